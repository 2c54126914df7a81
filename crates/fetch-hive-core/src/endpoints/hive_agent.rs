use fetch_hive_types::InvokeHiveAgentResponse;

use super::endpoint;
use crate::checks::{metadata, not_blank, reject_if, require_callback_url};
use crate::{Body, InvalidInput};

endpoint! {
    request: InvokeHiveAgent {},
    name: "invokeHiveAgent",
    method: POST, path: "/hive-agent/invoke",
    retry: OnlyIfNotSent,
    response: InvokeHiveAgentResponse,

    fn validate(&self) -> Result<(), InvalidInput> {
        not_blank("hive_agent", &self.hive_agent)?;
        not_blank("objective", &self.objective)?;
        metadata(&self.metadata)?;
        reject_if(!self.async_mode.enabled, "async.enabled", "must be true, because hive agents require callback delivery")?;
        require_callback_url(Some(&self.async_mode.callback_url))
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_with_extra(self, &self.extra)
    }

    fn callback_url(&self) -> Option<&str> {
        Some(&self.async_mode.callback_url)
    }

    fn target(&self) -> Option<&str> {
        Some(self.hive_agent.as_str())
    }
}
