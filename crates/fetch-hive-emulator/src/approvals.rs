//! Approvals of tool actions: pending, decided, expired (contract, section 8).

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::call::{Call, scope};
use crate::moment;
use crate::reply::{Reply, json_reply, refusal};
use crate::resources::{APPROVAL, new_id, uuid_or_null, visible};
use crate::service::Service;

/// How long an approval can be decided, where nothing is declared.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// What someone is asked.
pub(crate) struct Question<'a> {
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
pub(crate) struct Pending {
    scope: String,
    id: String,
    /// As the run's reply tells of it.
    pub(crate) told: Value,
}

impl Pending {
    pub(crate) fn ask(service: &Service, question: Question<'_>) -> Self {
        let id = new_id();
        let expires_at = moment::after(question.expires_ms.map_or(LIFETIME, Duration::from_millis));
        let summary = question.summary.map_or_else(|| format!("Use {}", question.tool), str::to_owned);
        let arguments = Value::Object(question.arguments);
        let is_agent = question.requested_by == "agent";
        let name = |is| if is { json!(question.agent_id) } else { Value::Null };
        let approval = json!({
            "id": id,
            "status": "pending",
            "decision": null,
            "summary": summary,
            "action_slug": question.tool,
            "action_label": question.tool,
            "arguments": arguments,
            "result": null,
            "error": null,
            "risk_level": if question.destructive { "destructive" } else { "standard" },
            "requested_by_kind": question.requested_by,
            "requested_by": {"kind": question.requested_by, "agent_name": name(is_agent), "workflow_name": name(!is_agent)},
            "created_at": moment::now(),
            "expires_at": expires_at,
            "decided_at": null,
            "decided_via": null,
            "workspace_id": uuid_or_null(question.workspace),
            "capabilities": {"can_always_allow": false, "can_run_decision": !question.destructive},
            "_request_id": question.request_id,
            "_agent_id": question.agent_id,
        });
        let scope = scope([question.workspace]);
        service.store.put(APPROVAL.name, &scope, &id, approval);
        let told = json!({
            "approval_id": id,
            "tool_name": question.tool,
            "summary": summary,
            "arguments": arguments,
            "expires_at": expires_at,
        });
        Self { scope, id, told }
    }

    /// Waits until someone has decided, or nobody can any more; says whether the action is allowed, else why not.
    pub(crate) async fn decided(&self, service: &Service) -> Result<(), String> {
        let mut changes = service.decisions.subscribe();
        loop {
            let Some(approval) = service.store.get(APPROVAL.name, &self.scope, &self.id) else {
                return Err("the approval is gone".to_owned());
            };
            match (status(&approval), approval["decision"].as_str()) {
                ("pending", _) => {}
                (_, Some("allow_once")) => return Ok(()),
                ("expired", _) => return Err("the approval expired".to_owned()),
                _ => return Err("the action was denied".to_owned()),
            }
            let expires = approval["expires_at"].as_str().and_then(moment::read).unwrap_or(0);
            let left = Duration::from_millis(expires.saturating_sub(moment::now_ms()) + 1);
            let _ = tokio::time::timeout(left, changes.changed()).await;
        }
    }
}

/// Ends the time for what a run waits for.
pub(crate) fn expire(service: &Service, request_id: &str) {
    let waits = |approval: &Value| status(approval) == "pending" && approval["_request_id"] == request_id;
    while let Some((scope, approval)) = service.store.find(APPROVAL.name, waits) {
        let id = approval["id"].as_str().unwrap_or_default();
        service.store.update(APPROVAL.name, &scope, id, |approval| approval["expires_at"] = moment::now().into());
    }
}

/// Where an approval stands now: nobody marks one that expires.
fn status(approval: &Value) -> &str {
    let status = approval["status"].as_str().unwrap_or("pending");
    let expires = approval["expires_at"].as_str().and_then(moment::read);
    if status == "pending" && expires.is_some_and(|expires| expires <= moment::now_ms()) { "expired" } else { status }
}

pub(crate) fn shown(_: &Call<'_>, _: &str, approval: Value) -> Value {
    let status = status(&approval).to_owned();
    let mut approval = visible(approval);
    approval["status"] = status.into();
    approval
}

/// The ones that the query asks for; the last id of a page is the cursor of the next (contract, section 10).
pub(crate) fn list(call: &Call<'_>) -> Reply {
    let limit = match call.query("limit").map(str::parse::<usize>) {
        None => 50,
        Some(Ok(limit @ 1..=50)) => limit,
        Some(_) => return refusal(400, "validation_error", "limit must be from 1 to 50."),
    };
    let wanted = call.query("status").unwrap_or("pending");
    let cursor = call.query("cursor").unwrap_or_default();
    let fits = |approval: &Value| {
        let of = |name: &str, member: &str| call.query(name).is_none_or(|wanted| approval[member] == wanted);
        status(approval) == wanted
            && approval["id"].as_str().is_some_and(|id| id > cursor)
            && of("agent_id", "_agent_id")
            && of("request_id", "_request_id")
            && of("run_id", "_request_id")
    };
    let approvals = call.service.store.list(APPROVAL.name, &APPROVAL.scope(call));
    let page: Vec<_> =
        approvals.into_iter().filter(fits).take(limit).map(|approval| shown(call, "", approval)).collect();
    json_reply(200, &json!({"approvals": page}))
}

pub(crate) fn decide(call: &Call<'_>) -> Result<Reply, Box<Reply>> {
    let approval = APPROVAL.find(call, call.id("id"))?;
    let decision = call.body["decision"].as_str().unwrap_or_default();
    let now = status(&approval);
    if now != "pending" {
        return Err(Box::new(refusal(409, "", &format!("The approval is no longer pending: it is {now}."))));
    }
    let decided = match decision {
        "allow_once" => "approved",
        "deny" => "denied",
        "" => return Err(Box::new(refusal(400, "validation_error", "decision must be allow_once or deny."))),
        _ => {
            let error = "A decision for a whole run is not for callers with an API key; decide allow_once or deny.";
            return Err(Box::new(refusal(422, "validation_error", error)));
        }
    };
    let store = &call.service.store;
    let mut won = false;
    let approval = store.update(APPROVAL.name, &APPROVAL.scope(call), call.id("id"), |approval| {
        // Someone may have been faster.
        if approval["status"] != "pending" {
            return;
        }
        won = true;
        approval["status"] = decided.into();
        approval["decision"] = decision.into();
        approval["decided_at"] = moment::now().into();
        approval["decided_via"] = "api".into();
    });
    let Some(approval) = approval else { return Err(Box::new(APPROVAL.not_found())) };
    if !won {
        return Err(Box::new(refusal(409, "", "The approval was decided in the meantime.")));
    }
    call.service.decisions.send_modify(|count| *count += 1);
    Ok(json_reply(200, &json!({"approval": shown(call, "", approval)})))
}
