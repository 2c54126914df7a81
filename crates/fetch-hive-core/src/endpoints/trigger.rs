use fetch_hive_types::WebhookTriggerResponse;

use super::endpoint;
use crate::checks::{inputs, metadata, not_blank, require_callback_url};
use crate::{Auth, Body, InvalidInput};

endpoint! {
    request: TriggerWorkflow { workflow_endpoint_id, variant_id },
    name: "triggerWorkflow",
    method: POST, path: "/workflow/webhooks/{workflow_endpoint_id}/variants/{variant_id}",
    retry: OnlyIfNotSent,
    response: WebhookTriggerResponse,

    fn validate(&self) -> Result<(), InvalidInput> {
        inputs(&self.body.inputs)?;
        metadata(&self.body.metadata)?;
        require_callback_url(Some(&self.body.async_mode.callback_url))
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_with_inputs(&self.body, &self.body.extra, &self.body.inputs)
    }

    fn callback_url(&self) -> Option<&str> {
        Some(&self.body.async_mode.callback_url)
    }

    fn auth(&self) -> Auth<'_> {
        Auth::WebhookSecret(&self.secret)
    }
}

endpoint! {
    request: TriggerPrompt { prompt_endpoint_id, variant_id },
    name: "triggerPrompt",
    method: POST, path: "/prompt/webhooks/{prompt_endpoint_id}/variants/{variant_id}",
    retry: OnlyIfNotSent,
    response: WebhookTriggerResponse,

    fn validate(&self) -> Result<(), InvalidInput> {
        inputs(&self.body.inputs)?;
        metadata(&self.body.metadata)?;
        require_callback_url(Some(&self.body.async_mode.callback_url))
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_with_inputs(&self.body, &self.body.extra, &self.body.inputs)
    }

    fn callback_url(&self) -> Option<&str> {
        Some(&self.body.async_mode.callback_url)
    }

    fn auth(&self) -> Auth<'_> {
        Auth::WebhookSecret(&self.secret)
    }
}

endpoint! {
    request: TriggerAgent { agent_id },
    name: "triggerAgent",
    method: POST, path: "/agent/webhooks/{agent_id}",
    retry: OnlyIfNotSent,
    response: WebhookTriggerResponse,

    fn validate(&self) -> Result<(), InvalidInput> {
        not_blank("message", &self.body.message)?;
        metadata(&self.body.metadata)?;
        require_callback_url(Some(&self.body.async_mode.callback_url))
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_with_extra(&self.body, &self.body.extra)
    }

    fn callback_url(&self) -> Option<&str> {
        Some(&self.body.async_mode.callback_url)
    }

    fn auth(&self) -> Auth<'_> {
        Auth::WebhookSecret(&self.secret)
    }
}
