//! Approvals of tool actions.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::http::response::{Response, error_response, json_response};
use crate::operations::request::{OperationRequest, OperationResult, scope};
use crate::operations::resource::{Resource, without_internal_fields};
use crate::state::State;
use crate::state::clock;
use crate::state::ids::{new_id, uuid_or_null};

pub(crate) static APPROVAL: Resource = Resource {
    kind: "approval",
    field: "approval",
    list_field: "approvals",
    scope: &["workspace_id"],
    parent: None,
    child_kinds: &[],
    missing_status: 404,
    noun: "Approval",
    on_create: None,
    on_update: None,
    view,
};

/// The default time within which an approval can be decided.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The action that a run needs an approval for.
pub(crate) struct ToolAction<'a> {
    pub(crate) workspace: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) agent_id: Option<&'a str>,
    pub(crate) requested_by: &'static str,
    pub(crate) tool: &'a str,
    pub(crate) summary: Option<&'a str>,
    pub(crate) arguments: Map<String, Value>,
    pub(crate) destructive: bool,
    pub(crate) expires_ms: Option<u64>,
}

/// An approval that a run waits for.
pub(crate) struct PendingApproval {
    scope: String,
    id: String,
    /// The fields that the response of the run contains.
    pub(crate) summary: Value,
}

impl PendingApproval {
    pub(crate) fn create(state: &State, action: ToolAction<'_>) -> Self {
        let id = new_id();
        let expires_at = clock::after(action.expires_ms.map_or(DEFAULT_LIFETIME, Duration::from_millis));
        let summary = action.summary.map_or_else(|| format!("Use {}", action.tool), str::to_owned);
        let arguments = Value::Object(action.arguments);
        let is_agent = action.requested_by == "agent";
        let name_if = |condition| if condition { json!(action.agent_id) } else { Value::Null };
        let approval = json!({
            "id": id,
            "status": "pending",
            "decision": null,
            "summary": summary,
            "action_slug": action.tool,
            "action_label": action.tool,
            "arguments": arguments,
            "result": null,
            "error": null,
            "risk_level": if action.destructive { "destructive" } else { "standard" },
            "requested_by_kind": action.requested_by,
            "requested_by": {"kind": action.requested_by, "agent_name": name_if(is_agent), "workflow_name": name_if(!is_agent)},
            "created_at": clock::now(),
            "expires_at": expires_at,
            "decided_at": null,
            "decided_via": null,
            "workspace_id": uuid_or_null(action.workspace),
            "capabilities": {"can_always_allow": false, "can_run_decision": !action.destructive},
            "_request_id": action.request_id,
            "_agent_id": action.agent_id,
        });
        let scope = scope([action.workspace]);
        state.store.put(APPROVAL.kind, &scope, &id, approval);
        let summary_fields = json!({
            "approval_id": id,
            "tool_name": action.tool,
            "summary": summary,
            "arguments": arguments,
            "expires_at": expires_at,
        });
        Self { scope, id, summary: summary_fields }
    }

    /// Waits for a decision. Returns the reason if the action is not allowed.
    pub(crate) async fn decision(&self, state: &State) -> Result<(), String> {
        let mut changes = state.decisions.subscribe();
        loop {
            let Some(approval) = state.store.get(APPROVAL.kind, &self.scope, &self.id) else {
                return Err("the approval was removed".to_owned());
            };
            match (status(&approval), approval["decision"].as_str()) {
                ("pending", _) => {}
                (_, Some("allow_once")) => return Ok(()),
                ("expired", _) => return Err("the approval expired".to_owned()),
                _ => return Err("the action was denied".to_owned()),
            }
            let expires = approval["expires_at"].as_str().and_then(clock::parse_ms).unwrap_or(0);
            let remaining = Duration::from_millis(expires.saturating_sub(clock::now_ms()) + 1);
            let _ = tokio::time::timeout(remaining, changes.changed()).await;
        }
    }
}

/// Marks the pending approvals of a run as expired.
pub(crate) fn expire(state: &State, request_id: &str) {
    let is_pending = |approval: &Value| status(approval) == "pending" && approval["_request_id"] == request_id;
    while let Some((scope, approval)) = state.store.find(APPROVAL.kind, is_pending) {
        let id = approval["id"].as_str().unwrap_or_default();
        state.store.update(APPROVAL.kind, &scope, id, |approval| approval["expires_at"] = clock::now().into());
    }
}

/// Returns the current status. A stored approval stays `pending` when it expires.
fn status(approval: &Value) -> &str {
    let status = approval["status"].as_str().unwrap_or("pending");
    let expires = approval["expires_at"].as_str().and_then(clock::parse_ms);
    if status == "pending" && expires.is_some_and(|expires| expires <= clock::now_ms()) { "expired" } else { status }
}

fn view(_: &OperationRequest<'_>, _: &str, approval: Value) -> Value {
    let status = status(&approval).to_owned();
    let mut approval = without_internal_fields(approval);
    approval["status"] = status.into();
    approval
}

/// Lists the approvals that match the query. The last id of a page is the cursor of the next page.
pub(crate) fn list(request: &OperationRequest<'_>) -> Response {
    let limit = match request.query("limit").map(str::parse::<usize>) {
        None => 50,
        Some(Ok(limit @ 1..=50)) => limit,
        Some(_) => return error_response(400, "validation_error", "limit must be from 1 to 50."),
    };
    let wanted_status = request.query("status").unwrap_or("pending");
    let cursor = request.query("cursor").unwrap_or_default();
    let matches = |approval: &Value| {
        let equals = |name: &str, field: &str| request.query(name).is_none_or(|wanted| approval[field] == wanted);
        status(approval) == wanted_status
            && approval["id"].as_str().is_some_and(|id| id > cursor)
            && equals("agent_id", "_agent_id")
            && equals("request_id", "_request_id")
            && equals("run_id", "_request_id")
    };
    let approvals = request.state.store.list(APPROVAL.kind, &APPROVAL.scope(request));
    let page: Vec<_> =
        approvals.into_iter().filter(matches).take(limit).map(|approval| view(request, "", approval)).collect();
    json_response(200, &json!({"approvals": page}))
}

pub(crate) fn decide(request: &OperationRequest<'_>) -> OperationResult {
    let approval = APPROVAL.find(request, request.id("id"))?;
    let decision = request.body["decision"].as_str().unwrap_or_default();
    let current = status(&approval);
    if current != "pending" {
        return Err(Box::new(error_response(
            409,
            "",
            &format!("The approval is no longer pending: its status is {current}."),
        )));
    }
    let new_status = match decision {
        "allow_once" => "approved",
        "deny" => "denied",
        "" => return Err(Box::new(error_response(400, "validation_error", "decision must be allow_once or deny."))),
        _ => {
            let error = "API keys cannot decide for a whole run. Use allow_once or deny.";
            return Err(Box::new(error_response(422, "validation_error", error)));
        }
    };
    let store = &request.state.store;
    let mut is_decided = false;
    let approval = store.update(APPROVAL.kind, &APPROVAL.scope(request), request.id("id"), |approval| {
        // Another request may have decided in the meantime.
        if approval["status"] != "pending" {
            return;
        }
        is_decided = true;
        approval["status"] = new_status.into();
        approval["decision"] = decision.into();
        approval["decided_at"] = clock::now().into();
        approval["decided_via"] = "api".into();
    });
    let Some(approval) = approval else { return Err(Box::new(APPROVAL.not_found())) };
    if !is_decided {
        return Err(Box::new(error_response(
            409,
            "",
            "The approval is no longer pending: another request decided it.",
        )));
    }
    request.state.decisions.send_modify(|count| *count += 1);
    Ok(json_response(200, &json!({"approval": view(request, "", approval)})))
}
