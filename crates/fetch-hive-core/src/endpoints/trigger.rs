use fetch_hive_types::WebhookTriggerResponse;
use http::Method;

use super::endpoint;
use crate::checks::{Checked, inputs, metadata, not_blank};
use crate::url::check_callback_url;
use crate::{Auth, Body, Endpoint, InvalidInput, PathWriter, QueryWriter, Retry};

endpoint! {
    TriggerWorkflow(workflow_endpoint_id, variant_id): "triggerWorkflow",
        POST "/workflow/webhooks/{workflow_endpoint_id}/variants/{variant_id}", OnlyIfNotSent => WebhookTriggerResponse;

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
        POST "/prompt/webhooks/{prompt_endpoint_id}/variants/{variant_id}", OnlyIfNotSent => WebhookTriggerResponse;

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
    TriggerAgent(agent_id): "triggerAgent", POST "/agent/webhooks/{agent_id}", OnlyIfNotSent => WebhookTriggerResponse;

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

/// A trigger whose secret stands in the URL, as `?secret=`, for senders that cannot set headers (contract, section 4).
///
/// URLs are written to the logs of servers and proxies, and the secret with them: whoever reads those can start runs and sign callbacks.
/// Use it only where the header cannot be used.
#[derive(Clone, Debug)]
pub struct SecretInQuery<E>(pub E);

impl<E: Endpoint> Endpoint for SecretInQuery<E> {
    type Response = E::Response;
    const NAME: &'static str = E::NAME;
    const METHOD: Method = E::METHOD;
    const PATH: &'static str = E::PATH;
    const RETRY: Retry = E::RETRY;

    fn validate(&self) -> Checked {
        if let Auth::WebhookSecret(secret) = self.0.auth() {
            secret.check().map_err(|invalid| InvalidInput::new("secret", invalid.to_string()))?;
        }
        self.0.validate()
    }

    fn path(&self, path: &mut PathWriter) {
        self.0.path(path);
    }

    fn query(&self, query: &mut QueryWriter) {
        self.0.query(query);
        if let Auth::WebhookSecret(secret) = self.0.auth() {
            query.pair("secret", Some(secret.expose()));
        }
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        self.0.body()
    }

    fn auth(&self) -> Auth<'_> {
        Auth::None
    }

    fn target(&self) -> Option<&str> {
        self.0.target()
    }
}
