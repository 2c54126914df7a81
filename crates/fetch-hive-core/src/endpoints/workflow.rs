use fetch_hive_types::{Inputs, InvokeWorkflow, Metadata, WorkflowRun};
use http::Method;

use crate::url::check_callback_url;
use crate::{Body, Endpoint, InvalidInput, Repeat};

impl Endpoint for InvokeWorkflow {
    type Response = WorkflowRun;
    const NAME: &'static str = "invokeWorkflow";
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/workflow/invoke";
    const REPEAT: Repeat = Repeat::OnlyIfUnsent;

    fn validate(&self) -> Result<(), InvalidInput> {
        not_blank("deployment", &self.deployment)?;
        check_inputs(&self.inputs)?;
        check_metadata(&self.metadata)?;
        match &self.async_mode {
            Some(mode) if mode.enabled => check_callback_url("async.callback_url", mode.callback_url.as_deref()),
            _ => Ok(()),
        }
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_with_extra(self, &self.extra)
    }
}

pub(super) fn not_blank(field: &'static str, value: &str) -> Result<(), InvalidInput> {
    if value.trim().is_empty() { Err(InvalidInput::new(field, "must not be empty")) } else { Ok(()) }
}

pub(super) fn check_inputs(inputs: &Inputs) -> Result<(), InvalidInput> {
    match inputs.invalid() {
        Some(invalid) => Err(InvalidInput::new(format!("inputs.{}", invalid.name), invalid.reason.clone())),
        None => Ok(()),
    }
}

pub(super) fn check_metadata(metadata: &Metadata) -> Result<(), InvalidInput> {
    match metadata.invalid() {
        Some(invalid) => Err(InvalidInput::new(format!("metadata.{}", invalid.name), invalid.reason.clone())),
        None => Ok(()),
    }
}
