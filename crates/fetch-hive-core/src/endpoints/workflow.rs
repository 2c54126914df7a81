use fetch_hive_types::{InvokeWorkflowResponse, RunStatus};

use super::endpoint;
use crate::checks::{inputs, metadata, not_blank, require_callback_url};
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
            Some(mode) if mode.enabled => require_callback_url(mode.callback_url.as_deref()),
            _ => Ok(()),
        }
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_with_inputs(self, &self.extra, &self.inputs)
    }

    fn callback_url(&self) -> Option<&str> {
        self.async_mode.as_ref().filter(|mode| mode.enabled)?.callback_url.as_deref()
    }

    fn target(&self) -> Option<&str> {
        Some(&self.deployment)
    }

    fn run_status(response: &InvokeWorkflowResponse) -> Option<&str> {
        response.run_status.as_ref().map(RunStatus::as_str)
    }
}
