use fetch_hive_types::InvokeWorkflowResponse;

use super::endpoint;
use crate::checks::{check_callback_url, inputs, metadata, not_blank};
use crate::{Body, InvalidInput};

endpoint! {
    request: InvokeWorkflow {},
    name: "invokeWorkflow",
    method: POST, path: "/workflow/invoke",
    retry: OnlyIfNotSent,
    occupies_run_slot: true,
    response: InvokeWorkflowResponse,

    fn validate(&self) -> Result<(), InvalidInput> {
        not_blank("deployment", &self.deployment)?;
        inputs(&self.inputs)?;
        metadata(&self.metadata)?;
        match &self.async_mode {
            Some(mode) if mode.enabled => check_callback_url("async.callback_url", mode.callback_url.as_deref()),
            _ => Ok(()),
        }
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_with_extra(self, &self.extra)
    }

    fn target(&self) -> Option<&str> {
        Some(&self.deployment)
    }
}
