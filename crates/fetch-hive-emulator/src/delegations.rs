//! Delegations: work that an agent left to the background.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::call::Call;
use crate::moment;
use crate::reply::{Reply, json_reply};
use crate::resources::{DELEGATION, new_id, visible};
use crate::run::Run;
use crate::run::STOPPED;
use crate::service::Service;

/// What is left to the background.
pub(crate) struct Work {
    /// The run of the agent.
    pub(crate) run: Run,
    pub(crate) thread_id: Option<String>,
    pub(crate) tool: String,
    pub(crate) tool_call_id: String,
    pub(crate) takes: Duration,
    pub(crate) result: Value,
    /// Where its end is told, and with which secret.
    pub(crate) callback: Option<(String, String)>,
}

/// Starts a delegation, and gives what the agent's reply tells of it.
pub(crate) fn start(service: &Arc<Service>, work: Work) -> Value {
    let id = new_id();
    let expected_by = moment::after(work.takes);
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
        "created_at": moment::now(),
        "_thread_id": work.thread_id,
    });
    service.store.put(DELEGATION.name, "", &id, delegation);
    let told = json!({"id": id, "kind": "workflow", "target": target, "expected_by": expected_by});
    let working = Arc::clone(service);
    service.spawn(async move {
        tokio::time::sleep(work.takes).await;
        finish(&working, &id, work).await;
    });
    told
}

async fn finish(service: &Arc<Service>, id: &str, work: Work) {
    let result = if work.result.is_object() { work.result } else { json!({"output": work.result}) };
    let mut ended = false;
    let delegation = service.store.update(DELEGATION.name, "", id, |delegation| {
        if is_open(delegation) {
            ended = true;
            delegation["status"] = "completed".into();
            delegation["result"] = result;
        }
    });
    if let (Some(delegation), Some((url, secret)), true) = (delegation, work.callback, ended) {
        let data = json!({"delegation": visible(delegation)});
        work.run.post("agent.delegation.completed", url, secret, data).await;
        service.store.update(DELEGATION.name, "", id, |delegation| delegation["delivered_at"] = moment::now().into());
    }
}

/// Ends what an emulator of the same file left under way.
pub(crate) fn recover(service: &Service) {
    for delegation in service.store.list(DELEGATION.name, "").iter().filter(|one| is_open(one)) {
        let id = delegation["id"].as_str().unwrap_or_default();
        service.store.update(DELEGATION.name, "", id, |delegation| {
            delegation["status"] = "failed".into();
            delegation["result"] = json!({"error": STOPPED});
        });
    }
}

fn is_open(delegation: &Value) -> bool {
    matches!(delegation["status"].as_str(), Some("pending" | "running"))
}

pub(crate) fn shown(_: &Call<'_>, _: &str, delegation: Value) -> Value {
    visible(delegation)
}

/// One, which is not wrapped.
pub(crate) fn read(call: &Call<'_>) -> Result<Reply, Box<Reply>> {
    DELEGATION.find(call, call.id("id")).map(|delegation| json_reply(200, &visible(delegation)))
}

/// One that has ended comes back as it is.
pub(crate) fn cancel(call: &Call<'_>) -> Result<Reply, Box<Reply>> {
    let cancelled = call.service.store.update(DELEGATION.name, "", call.id("id"), |delegation| {
        if is_open(delegation) {
            delegation["status"] = "cancelled".into();
        }
    });
    cancelled.map(|delegation| json_reply(200, &visible(delegation))).ok_or_else(|| Box::new(DELEGATION.not_found()))
}

pub(crate) fn of_thread(call: &Call<'_>) -> Reply {
    let all = call.service.store.list(DELEGATION.name, "");
    let open = all.into_iter().filter(|one| is_open(one) && one["_thread_id"] == call.id("thread_id"));
    json_reply(200, &json!({"delegations": open.map(visible).collect::<Vec<_>>()}))
}
