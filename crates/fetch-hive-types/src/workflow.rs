use serde_json::Value;

use crate::alias::aliased_record;
use crate::model::{request, with_inputs, with_metadata, with_variant};
use crate::open_enum::open_enum;
use crate::{Inputs, Metadata, RequestId, RunId, WebhookSecret};

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
        variant => Option<String>,
        /// The start inputs.
        inputs => Inputs,
        /// Callback delivery; direct runs leave it out.
        #[serde(rename = "async")]
        async_mode => Option<WorkflowAsyncOptions>,
        /// An opaque id of the caller's own user.
        user: String,
        /// Flat facts that come back with the run.
        metadata => Metadata,
        /// How tool actions that need approval are treated in this run.
        tool_approval: ToolApproval,
    }
}

impl InvokeWorkflow {
    /// Asks for callback delivery to an https URL (http is accepted for loopback).
    pub fn callback_url(mut self, url: impl Into<String>) -> Self {
        self.async_mode = Some(WorkflowAsyncOptions::new(true).callback_url(url));
        self
    }
}

with_variant!(InvokeWorkflow);
with_inputs!(InvokeWorkflow);
with_metadata!(InvokeWorkflow);

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

aliased_record! {
    /// The reply to a workflow invocation, direct or with callback delivery (contract, section 3).
    ///
    /// A run that failed is a reply like any other: ask [`run_status`](Self::run_status), or take the output by one of the methods
    /// below, which return [`RunFailed`](crate::RunFailed) as an error.
    "InvokeWorkflowResponse" InvokeWorkflowResponse {
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
