use fetch_hive_core::types::{
    InvokeHiveAgent, InvokeWorkflow, RequestId, TriggerAgent, TriggerPrompt, TriggerWorkflow, WebhookSecret,
};
use fetch_hive_core::{Endpoint, SecretInQuery};

/// A request that starts a run whose outcome is delivered to a callback URL: a workflow, a hive
/// agent or a webhook trigger.
///
/// Agent invocations are not callback endpoints, because their response contains the answer. Only
/// events from an agent's background tools are sent to its callback URL (see
/// [`AgentAsyncOptions`](fetch_hive_core::types::AgentAsyncOptions)); handle them with
/// [`Receiver::receive`](super::Receiver::receive). To wait for an agent that needs an approval,
/// use [`Requests::wait`](crate::resources::Requests::wait). A prompt uses callbacks only when it
/// is started by a trigger.
pub trait CallbackEndpoint: Endpoint {
    /// Sets the callback URL, replacing the one in the request.
    #[must_use]
    fn with_callback_url(self, callback_url: String) -> Self;

    /// Returns the request id of the started run.
    fn request_id(response: &Self::Response) -> Option<&RequestId>;

    /// Returns the secret that signs the callback, which is in the response or in the request.
    fn webhook_secret(&self, response: &Self::Response) -> Option<WebhookSecret>;
}

impl CallbackEndpoint for InvokeWorkflow {
    fn with_callback_url(self, callback_url: String) -> Self {
        self.callback_url(callback_url)
    }

    fn request_id(response: &Self::Response) -> Option<&RequestId> {
        response.request_id.as_ref()
    }

    fn webhook_secret(&self, response: &Self::Response) -> Option<WebhookSecret> {
        response.webhook_secret.clone()
    }
}

impl CallbackEndpoint for InvokeHiveAgent {
    fn with_callback_url(mut self, callback_url: String) -> Self {
        self.async_mode.callback_url = callback_url;
        self
    }

    fn request_id(response: &Self::Response) -> Option<&RequestId> {
        response.request_id.as_ref()
    }

    fn webhook_secret(&self, response: &Self::Response) -> Option<WebhookSecret> {
        response.webhook_secret.clone()
    }
}

impl CallbackEndpoint for TriggerWorkflow {
    fn with_callback_url(mut self, callback_url: String) -> Self {
        self.body.async_mode.callback_url = callback_url;
        self
    }

    fn request_id(response: &Self::Response) -> Option<&RequestId> {
        response.request_id.as_ref()
    }

    fn webhook_secret(&self, _: &Self::Response) -> Option<WebhookSecret> {
        Some(self.secret.clone())
    }
}

impl CallbackEndpoint for TriggerPrompt {
    fn with_callback_url(mut self, callback_url: String) -> Self {
        self.body.async_mode.callback_url = callback_url;
        self
    }

    fn request_id(response: &Self::Response) -> Option<&RequestId> {
        response.request_id.as_ref()
    }

    fn webhook_secret(&self, _: &Self::Response) -> Option<WebhookSecret> {
        Some(self.secret.clone())
    }
}

impl CallbackEndpoint for TriggerAgent {
    fn with_callback_url(mut self, callback_url: String) -> Self {
        self.body.async_mode.callback_url = callback_url;
        self
    }

    fn request_id(response: &Self::Response) -> Option<&RequestId> {
        response.request_id.as_ref()
    }

    fn webhook_secret(&self, _: &Self::Response) -> Option<WebhookSecret> {
        Some(self.secret.clone())
    }
}

impl<E: CallbackEndpoint> CallbackEndpoint for SecretInQuery<E> {
    fn with_callback_url(self, callback_url: String) -> Self {
        Self(self.0.with_callback_url(callback_url))
    }

    fn request_id(response: &Self::Response) -> Option<&RequestId> {
        E::request_id(response)
    }

    fn webhook_secret(&self, response: &Self::Response) -> Option<WebhookSecret> {
        self.0.webhook_secret(response)
    }
}
