use std::fmt::Display;

use serde::Serialize;

use crate::macros::{record, request};
use crate::{
    AgentId, EndpointId, Inputs, Metadata, MetadataValue, MissingField, RequestId, RunStatus, ThreadId, VariantId,
    WebhookSecret,
};

/// A request that starts a workflow with its webhook secret instead of the API key.
///
/// The request is `POST /workflow/webhooks/{workflow_endpoint_id}/variants/{variant_id}`. The
/// outcome is always delivered to a callback URL. See the
/// [contract](crate::contract#callbacks).
///
/// ```
/// use fetch_hive_types::TriggerWorkflow;
///
/// let request = TriggerWorkflow::new("ep_1", "var_1", "whsec_…", "https://example.com/callbacks")
///     .input("topic", "enterprise AI")
///     .metadata("order", 42);
/// let body = serde_json::to_value(&request.body)?;
/// assert_eq!(body["inputs"]["topic"], "enterprise AI");
/// assert_eq!(body["async"]["callback_url"], "https://example.com/callbacks");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a request does nothing until it is sent"]
#[non_exhaustive]
pub struct TriggerWorkflow {
    /// The id of the workflow's endpoint, as shown on the page of the deployment.
    pub workflow_endpoint_id: EndpointId,
    /// The id of the variant of the deployment to run.
    pub variant_id: VariantId,
    /// The webhook secret of the deployment, which is sent in a header.
    pub secret: WebhookSecret,
    /// The JSON body of the request.
    pub body: TriggerDeploymentRequest,
}

impl TriggerWorkflow {
    /// Creates a trigger for a workflow whose outcome is delivered to an `https` callback URL.
    pub fn new(
        endpoint_id: impl Into<EndpointId>,
        variant_id: impl Into<VariantId>,
        secret: impl Into<WebhookSecret>,
        callback_url: impl Into<String>,
    ) -> Self {
        Self {
            workflow_endpoint_id: endpoint_id.into(),
            variant_id: variant_id.into(),
            secret: secret.into(),
            body: TriggerDeploymentRequest::new(callback_url.into(), Inputs::new()),
        }
    }

    /// Sets one start input from any serializable value.
    ///
    /// If the value cannot be serialized, the request fails with the name of the input before it is
    /// sent.
    pub fn input(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.body.inputs.insert(name, value);
        self
    }

    /// Adds every field of a struct or map to the start inputs.
    pub fn inputs(mut self, inputs: impl Serialize) -> Self {
        self.body.inputs.extend(inputs);
        self
    }

    /// Sets one metadata value, which comes back with the outcome of the run.
    ///
    /// A value is a string, a number, a boolean, or an `Option` of one of these for null.
    pub fn metadata(mut self, name: impl Into<String>, value: impl TryInto<MetadataValue, Error: Display>) -> Self {
        self.body.metadata.insert(name, value);
        self
    }

    /// Adds every field of a struct or map to the metadata.
    ///
    /// If a field holds a list or an object, the request fails with the name of that field before
    /// it is sent.
    pub fn metadata_from(mut self, values: impl Serialize) -> Self {
        self.body.metadata.extend(values);
        self
    }

    /// Sets the caller's own id of the user that the run belongs to.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.body.user = Some(user.into());
        self
    }

    /// Adds a field to the JSON body that this version of the crate does not know.
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.body.extra.insert(name.into(), value.into());
        self
    }
}

/// A request that runs a prompt with its webhook secret instead of the API key.
///
/// The request is `POST /prompt/webhooks/{prompt_endpoint_id}/variants/{variant_id}`. The outcome
/// is always delivered to a callback URL. See the [contract](crate::contract#callbacks).
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a request does nothing until it is sent"]
#[non_exhaustive]
pub struct TriggerPrompt {
    /// The id of the prompt's endpoint, as shown on the page of the deployment.
    pub prompt_endpoint_id: EndpointId,
    /// The id of the variant of the deployment to run.
    pub variant_id: VariantId,
    /// The webhook secret of the deployment, which is sent in a header.
    pub secret: WebhookSecret,
    /// The JSON body of the request.
    pub body: TriggerDeploymentRequest,
}

impl TriggerPrompt {
    /// Creates a trigger for a prompt whose outcome is delivered to an `https` callback URL.
    pub fn new(
        endpoint_id: impl Into<EndpointId>,
        variant_id: impl Into<VariantId>,
        secret: impl Into<WebhookSecret>,
        callback_url: impl Into<String>,
    ) -> Self {
        Self {
            prompt_endpoint_id: endpoint_id.into(),
            variant_id: variant_id.into(),
            secret: secret.into(),
            body: TriggerDeploymentRequest::new(callback_url.into(), Inputs::new()),
        }
    }

    /// Sets one start input from any serializable value.
    ///
    /// If the value cannot be serialized, the request fails with the name of the input before it is
    /// sent.
    pub fn input(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.body.inputs.insert(name, value);
        self
    }

    /// Adds every field of a struct or map to the start inputs.
    pub fn inputs(mut self, inputs: impl Serialize) -> Self {
        self.body.inputs.extend(inputs);
        self
    }

    /// Sets one metadata value, which comes back with the outcome of the run.
    ///
    /// A value is a string, a number, a boolean, or an `Option` of one of these for null.
    pub fn metadata(mut self, name: impl Into<String>, value: impl TryInto<MetadataValue, Error: Display>) -> Self {
        self.body.metadata.insert(name, value);
        self
    }

    /// Adds every field of a struct or map to the metadata.
    ///
    /// If a field holds a list or an object, the request fails with the name of that field before
    /// it is sent.
    pub fn metadata_from(mut self, values: impl Serialize) -> Self {
        self.body.metadata.extend(values);
        self
    }

    /// Sets the caller's own id of the user that the run belongs to.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.body.user = Some(user.into());
        self
    }

    /// Adds a field to the JSON body that this version of the crate does not know.
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.body.extra.insert(name.into(), value.into());
        self
    }
}

/// A request that sends a message to an agent with its webhook secret instead of the API key.
///
/// The request is `POST /agent/webhooks/{agent_id}`. The agent's answer is always delivered to a
/// callback URL. See the [contract](crate::contract#callbacks).
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a request does nothing until it is sent"]
#[non_exhaustive]
pub struct TriggerAgent {
    /// The id of the agent that receives the message.
    pub agent_id: AgentId,
    /// The webhook secret of the agent, which is sent in a header.
    pub secret: WebhookSecret,
    /// The JSON body of the request.
    pub body: TriggerAgentRequest,
}

impl TriggerAgent {
    /// Creates a trigger for an agent whose answer is delivered to an `https` callback URL.
    ///
    /// The message must not be empty.
    pub fn new(
        agent_id: impl Into<AgentId>,
        secret: impl Into<WebhookSecret>,
        message: impl Into<String>,
        callback_url: impl Into<String>,
    ) -> Self {
        Self {
            agent_id: agent_id.into(),
            secret: secret.into(),
            body: TriggerAgentRequest::new(message, callback_url.into()),
        }
    }

    /// Sets the thread that the message continues or starts.
    pub fn thread_id(mut self, thread: impl Into<ThreadId>) -> Self {
        self.body.thread_id = Some(thread.into());
        self
    }

    /// Sets one metadata value, which comes back with the outcome of the run.
    ///
    /// A value is a string, a number, a boolean, or an `Option` of one of these for null.
    pub fn metadata(mut self, name: impl Into<String>, value: impl TryInto<MetadataValue, Error: Display>) -> Self {
        self.body.metadata.insert(name, value);
        self
    }

    /// Adds every field of a struct or map to the metadata.
    ///
    /// If a field holds a list or an object, the request fails with the name of that field before
    /// it is sent.
    pub fn metadata_from(mut self, values: impl Serialize) -> Self {
        self.body.metadata.extend(values);
        self
    }

    /// Sets the caller's own id of the user that the run belongs to.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.body.user = Some(user.into());
        self
    }

    /// Adds a field to the JSON body that this version of the crate does not know.
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.body.extra.insert(name.into(), value.into());
        self
    }
}

request! {
    /// The callback settings of a trigger. A triggered run always delivers its outcome by callback.
    WebhookAsyncOptions(
        /// The `https` URL that the service posts the outcome to.
        callback_url: String,
    ) {
        /// Whether callback delivery is enabled; the service does not need this field.
        enabled: bool,
    }
}

impl<T: Into<String>> From<T> for WebhookAsyncOptions {
    fn from(url: T) -> Self {
        Self::new(url)
    }
}

request! {
    /// The JSON body of a workflow or prompt trigger.
    TriggerDeploymentRequest(
        /// The callback settings of the run.
        #[serde(rename = "async")]
        async_mode: WebhookAsyncOptions,
        /// The start inputs of the run.
        ///
        /// They are sent even when empty, because the service reads a body without `inputs` as the
        /// inputs themselves.
        #[serde(default)]
        inputs: Inputs,
    ) {
        /// The metadata that comes back with the outcome of the run.
        metadata = Metadata,
        /// The caller's own id of the user that the run belongs to.
        user: String,
    }
}

request! {
    /// The JSON body of an agent trigger.
    TriggerAgentRequest(
        /// The message to the agent. It must not be empty.
        message: String,
        /// The callback settings of the run.
        #[serde(rename = "async")]
        async_mode: WebhookAsyncOptions,
    ) {
        /// The id of the thread that the message continues or starts.
        thread_id: ThreadId,
        /// The metadata that comes back with the outcome of the run.
        metadata = Metadata,
        /// The caller's own id of the user that the run belongs to.
        user: String,
    }
}

record! {
    /// The response to a trigger, which confirms that the run was accepted.
    ///
    /// It is documented for agents. For workflows and prompts it is our decision, and unconfirmed.
    WebhookTriggerResponse {
        /// The public id of the run.
        request_id: Option<RequestId>,
        /// The status of the run, which is usually `running`.
        run_status: Option<RunStatus>,
    }
}

impl WebhookTriggerResponse {
    /// Returns the public id of the run.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `request_id`.
    pub fn request_id(&self) -> Result<&RequestId, MissingField> {
        MissingField::check(self.request_id.as_ref(), "request_id")
    }
}
