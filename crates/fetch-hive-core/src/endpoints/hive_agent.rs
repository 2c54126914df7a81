use fetch_hive_types::InvokeHiveAgentResponse;

use super::endpoint;
use crate::checks::{check_callback_url, metadata, not_blank, reject_if};
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
        check_callback_url("async.callback_url", Some(&self.async_mode.callback_url))
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_with_extra(self, &self.extra)
    }

    fn target(&self) -> Option<&str> {
        Some(self.hive_agent.as_str())
    }
}
