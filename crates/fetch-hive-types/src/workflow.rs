use std::fmt::Display;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::macros::{documented_or, record, request};
use crate::open_enum::open_enum;
use crate::{Extra, Inputs, Metadata, MetadataValue, MissingField, RequestId, RunId, WebhookSecret};

request! {
    /// Runs a workflow deployment: `POST /workflow/invoke` (contract, section 3).
    ///
    /// Without [`callback_url`](Self::callback_url) the reply comes when the run has ended, which takes seconds to minutes. With
    /// it the service answers at once and delivers the signed outcome to that URL.
    InvokeWorkflow(
        /// The deployment to run. Must not be empty.
        deployment: String,
    ) {
        /// The variant of the deployment. Optional, and recommended; an empty one is left out.
        variant = Option<String>,
        /// The start inputs.
        inputs = Inputs,
        /// Callback delivery; direct runs leave it out.
        #[serde(rename = "async")]
        async_mode = Option<WorkflowAsyncOptions>,
        /// An opaque id of the caller's own user.
        user: String,
        /// Flat facts that come back with the run.
        metadata = Metadata,
        /// How tool actions that need approval are treated in this run.
        tool_approval: ToolApproval,
    }
}

impl InvokeWorkflow {
    /// Sets the variant; an empty one is left out.
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into()).filter(|variant| !variant.is_empty());
        self
    }

    /// Sets one start input from anything that serialises. A value that fails to serialise is reported when the
    /// request is sent, by its name.
    pub fn input(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.inputs.insert(name, value);
        self
    }

    /// Adds every field of a struct or map to the start inputs.
    pub fn inputs(mut self, inputs: impl Serialize) -> Self {
        self.inputs.extend(inputs);
        self
    }

    /// Attaches one metadata value: a string, a number, a boolean, or an `Option` of them for null.
    pub fn metadata(mut self, name: impl Into<String>, value: impl TryInto<MetadataValue, Error: Display>) -> Self {
        self.metadata.insert(name, value);
        self
    }

    /// Attaches every field of a struct or map as metadata.
    pub fn metadata_from(mut self, values: impl Serialize) -> Self {
        self.metadata.extend(values);
        self
    }

    /// Asks for callback delivery to an https URL (http is accepted for loopback).
    pub fn callback_url(mut self, url: impl Into<String>) -> Self {
        self.async_mode = Some(WorkflowAsyncOptions::new(true).callback_url(url));
        self
    }
}

request! {
    /// The `async` block of a workflow request (contract, section 3).
    WorkflowAsyncOptions(
        /// Whether the outcome is delivered to the callback URL instead of in the reply.
        enabled: bool,
    ) {
        /// Where the outcome is delivered; required when enabled.
        callback_url: String,
    }
}

open_enum! {
    /// How tool actions that need approval are treated (contract, section 8).
    ToolApproval {
        /// By the saved rules, as when nothing is set.
        Policy = "policy",
        /// All of them are allowed, in this call only. A key may lack the right to ask for it.
        AutoApprove = "auto_approve",
    }
}

open_enum! {
    /// Where a workflow run stands (contract, section 3).
    RunStatus {
        /// It ended and has its output.
        Completed = "completed",
        /// It ended without an output. The reply is a 200 all the same.
        Failed = "failed",
        /// It is under way.
        Running = "running",
        /// It waits for a free place of the plan.
        Queued = "queued",
    }
}

record! {
    /// The reply to a workflow invocation, direct or with callback delivery (contract, section 3).
    ///
    /// A run that failed is a reply like any other: ask [`run_status`](Self::run_status), or take the output by one of the methods
    /// below, which return [`RunFailed`](crate::RunFailed) as an error.
    #[serde(try_from = "Wire")]
    InvokeWorkflowResponse {
        /// The public id of the run.
        request_id: Option<RequestId>,
        /// Where the run stands. Read from `status` too.
        run_status: Option<RunStatus>,
        /// A second id that some replies carry.
        run_id: Option<RunId>,
        /// What the run made: any JSON, a text for most deployments.
        output: Option<Value>,
        /// Why the run failed.
        error: Option<String>,
        /// The secret that signs the callback of this run; in the reply to callback delivery only.
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

/// The fields of an [`InvokeWorkflowResponse`] under all their names.
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
