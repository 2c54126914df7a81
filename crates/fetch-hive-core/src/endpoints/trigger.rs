use fetch_hive_types::TriggeredRun;

use super::endpoint;
use crate::checks::{Checked, inputs, metadata, not_blank};
use crate::url::check_callback_url;
use crate::{Auth, Body, InvalidInput};

endpoint! {
    TriggerWorkflow(workflow_endpoint_id, variant_id): "triggerWorkflow",
        POST "/workflow/webhooks/{workflow_endpoint_id}/variants/{variant_id}", OnlyIfUnsent => TriggeredRun;

    fn validate(&self) -> Checked {
        inputs(&self.body.inputs)?;
        metadata(&self.body.metadata)?;
        check_callback_url("async.callback_url", Some(&self.body.async_mode.callback_url))
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_with_extra(&self.body, &self.body.extra)
    }

    fn auth(&self) -> Auth<'_> {
        Auth::WebhookSecret(&self.secret)
    }
}

endpoint! {
    TriggerPrompt(prompt_endpoint_id, variant_id): "triggerPrompt",
        POST "/prompt/webhooks/{prompt_endpoint_id}/variants/{variant_id}", OnlyIfUnsent => TriggeredRun;

    fn validate(&self) -> Checked {
        inputs(&self.body.inputs)?;
        metadata(&self.body.metadata)?;
        check_callback_url("async.callback_url", Some(&self.body.async_mode.callback_url))
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_with_extra(&self.body, &self.body.extra)
    }

    fn auth(&self) -> Auth<'_> {
        Auth::WebhookSecret(&self.secret)
    }
}

endpoint! {
    TriggerAgent(agent_id): "triggerAgent", POST "/agent/webhooks/{agent_id}", OnlyIfUnsent => TriggeredRun;

    fn validate(&self) -> Checked {
        not_blank("message", &self.body.message)?;
        metadata(&self.body.metadata)?;
        check_callback_url("async.callback_url", Some(&self.body.async_mode.callback_url))
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_with_extra(&self.body, &self.body.extra)
    }

    fn auth(&self) -> Auth<'_> {
        Auth::WebhookSecret(&self.secret)
    }
}
