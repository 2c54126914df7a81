use crate::model::{operation, record, request, with_inputs, with_metadata};
use crate::{AgentId, EndpointId, Inputs, Metadata, RequestId, RunStatus, ThreadId, VariantId, WebhookSecret};

operation! {
    /// Starts a workflow with its webhook secret and no API key: `POST /workflow/webhooks/{workflow_endpoint_id}/variants/{variant_id}`
    /// (contract, section 4).
    TriggerWorkflow {
        /// The deployment's endpoint.
        workflow_endpoint_id: EndpointId,
        /// The variant.
        variant_id: VariantId,
        /// The secret, sent in a header.
        secret: WebhookSecret,
        /// What is started.
        body: DeploymentTrigger,
    }

    /// Starts a prompt with its webhook secret: `POST /prompt/webhooks/{prompt_endpoint_id}/variants/{variant_id}`.
    TriggerPrompt {
        /// The deployment's endpoint.
        prompt_endpoint_id: EndpointId,
        /// The variant.
        variant_id: VariantId,
        /// The secret, sent in a header.
        secret: WebhookSecret,
        /// What is started.
        body: DeploymentTrigger,
    }

    /// Sends a message to an agent with its webhook secret: `POST /agent/webhooks/{agent_id}`.
    TriggerAgent {
        /// The agent.
        agent_id: AgentId,
        /// The secret, sent in a header.
        secret: WebhookSecret,
        /// What is sent.
        body: AgentTrigger,
    }
}

request! {
    /// Where the outcome of a triggered run goes; triggers always use callback delivery.
    WebhookAsyncOptions(
        /// Where the outcome goes: an https URL.
        callback_url: String,
    ) {
        /// May be left out.
        enabled: bool,
    }
}

impl<T: Into<String>> From<T> for WebhookAsyncOptions {
    fn from(url: T) -> Self {
        Self::new(url)
    }
}

request! {
    /// What a workflow or prompt is started with.
    DeploymentTrigger(
        /// Where the outcome goes.
        #[serde(rename = "async")]
        async_mode: WebhookAsyncOptions,
    ) {
        /// The start inputs; written even when there are none, for a body without them is taken to be the inputs itself.
        inputs = Inputs,
        /// Flat facts that come back with the run.
        metadata => Metadata,
        /// An opaque id of the caller's own user.
        user: String,
    }
}

with_inputs!(DeploymentTrigger);

request! {
    /// What an agent is sent.
    AgentTrigger(
        /// The message. Must not be empty.
        message: String,
        /// Where the outcome goes.
        #[serde(rename = "async")]
        async_mode: WebhookAsyncOptions,
    ) {
        /// The thread to go on with, or to begin.
        thread_id: ThreadId,
        /// Flat facts that come back with the run.
        metadata => Metadata,
        /// An opaque id of the caller's own user.
        user: String,
    }
}

with_metadata!(DeploymentTrigger, AgentTrigger);

record! {
    /// A triggered run was accepted. Documented for agents; workflows and prompts reply alike as far as we know.
    WebhookTriggerResponse {
        /// The public id of the run.
        request_id: Option<RequestId>,
        /// Where it stands.
        run_status: Option<RunStatus>,
    }
}
