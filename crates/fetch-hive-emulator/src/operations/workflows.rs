//! Workflow invocations.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use crate::config::deployment::{Deployment, DeploymentKind};
use crate::http::response::{Response, error_response, json_response};
use crate::operations::answer::{default_output, required_callback_url, template_variables, validated_inputs};
use crate::operations::approvals::{PendingApproval, ToolAction};
use crate::operations::request::{OperationRequest, OperationResult};
use crate::operations::runs::{Run, accepted_response};
use crate::state::State;

pub(crate) async fn invoke(request: &OperationRequest<'_>) -> OperationResult {
    let (state, mut body) = (request.state, request.body.clone());
    check_auto_approve(request)?;
    let url = callback_url(&body)?;
    let deployment = state.deployment(DeploymentKind::Workflow, body["deployment"].as_str().unwrap_or_default());
    body["inputs"] = validated_inputs(&deployment, &body)?;
    match url {
        Some(url) => Ok(accepted_response(request, &accept(request, deployment, body, &url)).await),
        None if deployment.needs_human() => {
            let error = "This workflow has a Human in the Loop step: invoke it with async enabled and a callback_url.";
            Err(Box::new(error_response(422, "validation_error", error)))
        }
        None => invoke_directly(request, deployment, body).await,
    }
}

/// Rejects `auto_approve` for the reserved key that lacks the permission.
pub(crate) fn check_auto_approve(request: &OperationRequest<'_>) -> Result<(), Box<Response>> {
    if request.body["tool_approval"] == "auto_approve" && request.api_key() == "fhk_no_auto_approve" {
        let error = "This key may not approve tools automatically.";
        return Err(Box::new(error_response(403, "tool_approval_override_not_permitted", error)));
    }
    Ok(())
}

async fn invoke_directly(request: &OperationRequest<'_>, deployment: Deployment, body: Value) -> OperationResult {
    let state = request.state;
    let Ok(slot) = state.run_slots.clone().try_acquire_owned() else {
        let error = "You've reached your concurrency limit. Wait for a run to end, or use async.";
        return Err(Box::new(error_response(429, "", error)));
    };
    let run = Run::start(request, "workflow", &deployment.name, &body, "running");
    let request_id = run.id.clone();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let task_state = Arc::clone(state);
    // Like a run of the service, the run continues after its caller disconnects.
    state.spawn(async move {
        let _ = sender.send(execute(&task_state, &run, slot, &deployment, &body).await);
    });
    match receiver.await {
        Ok(mut outcome) => {
            outcome["request_id"] = request_id.into();
            Ok(json_response(200, &outcome))
        }
        Err(_) => Err(Box::new(error_response(500, "internal_server_error", "The emulator is stopping."))),
    }
}

/// Starts a run with callback delivery, and returns the body of the 202 response.
///
/// The run is queued if no run slot is free.
pub(crate) fn accept(request: &OperationRequest<'_>, deployment: Deployment, body: Value, url: &str) -> Value {
    let state = request.state;
    let slot = state.run_slots.clone().try_acquire_owned();
    let run_status = if slot.is_ok() { "running" } else { "queued" };
    let run = Run::start(request, "workflow", &deployment.name, &body, run_status);
    let secret = state.webhook_secret(&deployment);
    run.store_pending_callback(url, &secret, &body);
    let accepted = json!({"request_id": run.id, "run_status": run_status, "webhook_secret": secret});
    let task_state = Arc::clone(state);
    state.spawn(async move {
        let slot = match slot {
            Ok(slot) => slot,
            // The semaphore is closed only when the emulator stops.
            Err(_) => match task_state.run_slots.clone().acquire_owned().await {
                Ok(slot) => slot,
                Err(_) => return,
            },
        };
        execute(&task_state, &run, slot, &deployment, &body).await;
        run.deliver_callback().await;
    });
    accepted
}

/// Executes a run in a slot, and returns its outcome.
async fn execute(
    state: &Arc<State>,
    run: &Run,
    slot: OwnedSemaphorePermit,
    deployment: &Deployment,
    body: &Value,
) -> Value {
    let active = state.start_run(slot);
    run.set_status("running");
    let outcome = execute_steps(state, run, deployment, body).await;
    drop(active);
    run.end(&outcome);
    outcome
}

/// Returns the callback URL if the request enables `async`.
fn callback_url(body: &Value) -> Result<Option<String>, Box<Response>> {
    if body["async"]["enabled"] == true { required_callback_url(&body["async"]).map(Some) } else { Ok(None) }
}

async fn execute_steps(state: &State, run: &Run, deployment: &Deployment, body: &Value) -> Value {
    tokio::time::sleep(deployment.delay()).await;
    let failed = |reason: &str| json!({"run_status": "failed", "error": reason});
    for step in &deployment.steps {
        tokio::time::sleep(Duration::from_millis(step.delay_ms)).await;
        if step.human_in_the_loop && body["tool_approval"] != "auto_approve" {
            let action = ToolAction {
                workspace: deployment.workspace(),
                request_id: &run.id,
                agent_id: None,
                requested_by: "workflow",
                tool: &step.name,
                summary: step.summary.as_deref(),
                arguments: step.arguments.clone().unwrap_or_default(),
                destructive: step.destructive,
                expires_ms: step.expires_ms,
            };
            let pending = PendingApproval::create(state, action);
            run.set_status("awaiting_approval");
            if let Err(reason) = pending.decision(state).await {
                return failed(&format!("{}: {reason}", step.name));
            }
            run.set_status("running");
        }
        if let Some(reason) = &step.failure {
            return failed(&format!("{}: {reason}", step.name));
        }
    }
    if let Some(reason) = &deployment.failure {
        return failed(reason);
    }
    match deployment.declared_output(&template_variables(run, body)) {
        None => json!({"run_status": "completed", "output": default_output(body)}),
        Some(Ok(output)) => json!({"run_status": "completed", "output": output}),
        Some(Err(reason)) => failed(&reason),
    }
}
