use std::fmt::Display;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::macros::{documented_or, record, request};
use crate::open_enum::open_enum;
use crate::{Extra, Inputs, Metadata, MetadataValue, MissingField, RequestId, RunId, WebhookSecret};

request! {
    /// A request to run a workflow deployment.
    ///
    /// The request is `POST /workflow/invoke`. A direct run is answered when it has ended, after
    /// seconds or minutes. With a [`callback_url`](Self::callback_url), the service answers at once
    /// and posts the signed outcome to that URL. See the [contract](crate::contract#workflows).
    ///
    /// ```
    /// use fetch_hive_types::InvokeWorkflow;
    ///
    /// let request = InvokeWorkflow::new("weekly-report").input("topic", "enterprise AI");
    /// assert_eq!(
    ///     serde_json::to_string(&request)?,
    ///     r#"{"deployment":"weekly-report","inputs":{"topic":"enterprise AI"}}"#
    /// );
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    InvokeWorkflow(
        /// The name of the deployment to run. It must not be empty.
        deployment: String,
    ) {
        /// The variant of the deployment to run.
        ///
        /// The service recommends setting it. An empty variant is not sent.
        variant = Option<String>,
        /// The start inputs of the workflow.
        inputs = Inputs,
        /// The settings for callback delivery. A direct run does not have them.
        #[serde(rename = "async")]
        async_mode = Option<WorkflowAsyncOptions>,
        /// The caller's own id of the user that the run belongs to.
        user: String,
        /// The metadata that comes back with the outcome of the run.
        metadata = Metadata,
        /// The mode for tool actions of this run that need approval.
        tool_approval: ToolApproval,
    }
}

impl InvokeWorkflow {
    /// Sets the variant of the deployment. An empty variant is not sent.
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into()).filter(|variant| !variant.is_empty());
        self
    }

    /// Sets one start input from any serializable value.
    ///
    /// If the value cannot be serialized, the request fails with the name of the input before it is
    /// sent.
    pub fn input(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.inputs.insert(name, value);
        self
    }

    /// Adds every field of a struct or map to the start inputs.
    pub fn inputs(mut self, inputs: impl Serialize) -> Self {
        self.inputs.extend(inputs);
        self
    }

    /// Sets one metadata value, which comes back with the outcome of the run.
    ///
    /// A value is a string, a number, a boolean, or an `Option` of one of these for null.
    pub fn metadata(mut self, name: impl Into<String>, value: impl TryInto<MetadataValue, Error: Display>) -> Self {
        self.metadata.insert(name, value);
        self
    }

    /// Adds every field of a struct or map to the metadata.
    ///
    /// If a field holds a list or an object, the request fails with the name of that field before
    /// it is sent.
    pub fn metadata_from(mut self, values: impl Serialize) -> Self {
        self.metadata.extend(values);
        self
    }

    /// Enables callback delivery to an `https` URL.
    ///
    /// An `http` URL is accepted only for a loopback address.
    pub fn callback_url(mut self, url: impl Into<String>) -> Self {
        self.async_mode = Some(WorkflowAsyncOptions::new(true).callback_url(url));
        self
    }
}

request! {
    /// The settings for callback delivery of a workflow run, sent as `async`.
    WorkflowAsyncOptions(
        /// Whether the outcome is posted to the callback URL instead of returned in the response.
        enabled: bool,
    ) {
        /// The URL that the outcome is posted to. It is required when callback delivery is enabled.
        callback_url: String,
    }
}

open_enum! {
    /// The mode for tool actions that need approval.
    ///
    /// See the [contract](crate::contract#approvals).
    ToolApproval {
        /// The saved rules of the workspace decide. This is the default.
        Policy = "policy",
        /// All tool actions are approved automatically, for this call only.
        ///
        /// The API key may lack the permission for this mode.
        AutoApprove = "auto_approve",
    }
}

open_enum! {
    /// The status of a run of a workflow, prompt or agent.
    ///
    /// See the [contract](crate::contract#workflows).
    RunStatus {
        /// The run has finished and has its output.
        Completed = "completed",
        /// The run has failed. The HTTP status of the response is still 200.
        Failed = "failed",
        /// The run is in progress, without an output so far.
        Running = "running",
        /// The run waits until one of the plan's concurrency slots is free.
        Queued = "queued",
    }
}

record! {
    /// The response to a workflow invocation, direct or with callback delivery.
    ///
    /// A failed run is a successful response with [`run_status`](Self::run_status) `failed`. The
    /// methods that return the output report it as a [`RunFailed`](crate::RunFailed) error. See the
    /// [contract](crate::contract#workflows).
    #[serde(try_from = "Wire")]
    InvokeWorkflowResponse {
        /// The public id of the run.
        request_id: Option<RequestId>,
        /// The status of the run, which is also read from the field `status`.
        run_status: Option<RunStatus>,
        /// The second id of the run, which only some responses carry.
        run_id: Option<RunId>,
        /// The output of the run: any JSON value, but text for most deployments.
        output: Option<Value>,
        /// The reason why the run failed.
        error: Option<String>,
        /// The secret that signs the callback of the run.
        ///
        /// Only the response to a request with callback delivery has it.
        webhook_secret: Option<WebhookSecret>,
    }
}

impl InvokeWorkflowResponse {
    /// Returns the public id of the run.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `request_id`.
    pub fn request_id(&self) -> Result<&RequestId, MissingField> {
        MissingField::check(self.request_id.as_ref(), "request_id")
    }

    /// Returns the secret that signs the callback of the run.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `webhook_secret`, as after a direct run.
    pub fn webhook_secret(&self) -> Result<&WebhookSecret, MissingField> {
        MissingField::check(self.webhook_secret.as_ref(), "webhook_secret")
    }
}

/// The fields of an [`InvokeWorkflowResponse`], including the other name `status`.
#[derive(Deserialize)]
struct Wire {
    request_id: Option<RequestId>,
    run_status: Option<RunStatus>,
    status: Option<Value>,
    run_id: Option<RunId>,
    output: Option<Value>,
    error: Option<String>,
    webhook_secret: Option<WebhookSecret>,
    #[serde(flatten)]
    extra: Extra,
}

impl TryFrom<Wire> for InvokeWorkflowResponse {
    type Error = serde_json::Error;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        let Wire { request_id, run_status, status, run_id, output, error, webhook_secret, mut extra } = wire;
        let run_status = documented_or(run_status, "status", status, &mut extra)?;
        Ok(Self { request_id, run_status, run_id, output, error, webhook_secret, extra })
    }
}
