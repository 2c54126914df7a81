//! Delegations: the background work of an agent.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::response::{Response, json_response};
use crate::operations::request::{OperationRequest, OperationResult};
use crate::operations::resource::{Resource, plain_view, without_internal_fields};
use crate::operations::runs::{Run, STOPPED};
use crate::state::State;
use crate::state::clock;
use crate::state::ids::new_id;

static DELEGATION: Resource = Resource {
    kind: "delegation",
    field: "delegation",
    list_field: "delegations",
    scope: &[],
    parent: None,
    child_kinds: &[],
    missing_status: 404,
    noun: "Delegation",
    on_create: None,
    on_update: None,
    view: plain_view,
};

/// The background work of a tool call.
pub(crate) struct BackgroundWork {
    /// The run of the agent.
    pub(crate) run: Run,
    pub(crate) thread_id: Option<String>,
    pub(crate) tool: String,
    pub(crate) tool_call_id: String,
    pub(crate) duration: Duration,
    pub(crate) result: Value,
    /// The URL and the secret of the callback.
    pub(crate) callback: Option<(String, String)>,
}

/// Starts a delegation, and returns the fields for the agent's response.
pub(crate) fn start(state: &Arc<State>, work: BackgroundWork) -> Value {
    let id = new_id();
    let expected_by = clock::after(work.duration);
    let target = json!({"name": work.tool});
    let delegation = json!({
        "id": id,
        "status": "running",
        "kind": "workflow",
        "target": target,
        "result": null,
        "expected_by": expected_by,
        "delivered_at": null,
        "delivery_error": null,
        "parent_request_id": work.run.id,
        "tool_call_id": work.tool_call_id,
        "workflow_run_id": new_id(),
        "created_at": clock::now(),
        "_thread_id": work.thread_id,
    });
    state.store.put(DELEGATION.kind, "", &id, delegation);
    let summary = json!({"id": id, "kind": "workflow", "target": target, "expected_by": expected_by});
    let task_state = Arc::clone(state);
    state.spawn(async move {
        tokio::time::sleep(work.duration).await;
        finish(&task_state, &id, work).await;
    });
    summary
}

async fn finish(state: &Arc<State>, id: &str, work: BackgroundWork) {
    let result = if work.result.is_object() { work.result } else { json!({"output": work.result}) };
    let mut completed = false;
    let delegation = state.store.update(DELEGATION.kind, "", id, |delegation| {
        if is_open(delegation) {
            completed = true;
            delegation["status"] = "completed".into();
            delegation["result"] = result;
        }
    });
    if let (Some(delegation), Some((url, secret)), true) = (delegation, work.callback, completed) {
        let data = json!({"delegation": without_internal_fields(delegation)});
        work.run.deliver("agent.delegation.completed", url, secret, data).await;
        state.store.update(DELEGATION.kind, "", id, |delegation| delegation["delivered_at"] = clock::now().into());
    }
}

/// Fails the delegations that were running when an emulator with the same data file stopped.
pub(crate) fn recover(state: &State) {
    for delegation in state.store.list(DELEGATION.kind, "").iter().filter(|one| is_open(one)) {
        let id = delegation["id"].as_str().unwrap_or_default();
        state.store.update(DELEGATION.kind, "", id, |delegation| {
            delegation["status"] = "failed".into();
            delegation["result"] = json!({"error": STOPPED});
        });
    }
}

fn is_open(delegation: &Value) -> bool {
    matches!(delegation["status"].as_str(), Some("pending" | "running"))
}

/// Returns a delegation, which the response contains without a wrapper.
pub(crate) fn get(request: &OperationRequest<'_>) -> OperationResult {
    DELEGATION
        .find(request, request.id("id"))
        .map(|delegation| json_response(200, &without_internal_fields(delegation)))
}

/// Cancels a delegation. A finished delegation is not changed.
pub(crate) fn cancel(request: &OperationRequest<'_>) -> OperationResult {
    let cancelled = request.state.store.update(DELEGATION.kind, "", request.id("id"), |delegation| {
        if is_open(delegation) {
            delegation["status"] = "cancelled".into();
        }
    });
    cancelled
        .map(|delegation| json_response(200, &without_internal_fields(delegation)))
        .ok_or_else(|| Box::new(DELEGATION.not_found()))
}

/// Lists the pending and running delegations of a thread.
pub(crate) fn list_for_thread(request: &OperationRequest<'_>) -> Response {
    let all = request.state.store.list(DELEGATION.kind, "");
    let open = all.into_iter().filter(|one| is_open(one) && one["_thread_id"] == request.id("thread_id"));
    json_response(200, &json!({"delegations": open.map(without_internal_fields).collect::<Vec<_>>()}))
}
