//! Runs, from their start to their callback.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::callbacks::delivery::{self, Callback, RECEIVER_TIMEOUT};
use crate::faults::matching::Origin;
use crate::http::response::{Response, error_response, json_response};
use crate::operations::approvals;
use crate::operations::request::{OperationRequest, OperationResult};
use crate::state::State;
use crate::state::clock;
use crate::state::recorded::RecordedRun;
use crate::state::store::RUN;

/// The kind of the record of a callback that is not yet delivered.
const PENDING_CALLBACK: &str = "pending_callback";

/// The error of a run that was active when the emulator stopped.
pub(crate) const STOPPED: &str = "The emulator was stopped before the run ended.";

/// A run with a record in the store.
#[derive(Clone)]
pub(crate) struct Run {
    state: Arc<State>,
    /// The public id, which starts with `req_`.
    pub(crate) id: String,
    origin: Origin,
}

impl Run {
    /// Creates the record of a run.
    ///
    /// The kind is `workflow`, `prompt`, `agent`, `hive_agent` or `knowledge_base_item`.
    pub(crate) fn start(
        request: &OperationRequest<'_>,
        kind: &'static str,
        name: &str,
        body: &Value,
        status: &str,
    ) -> Self {
        let state = request.state;
        let uuid = uuid::Uuid::now_v7();
        let id = format!("req_{}", uuid.simple());
        let user_metadata = body.get("metadata").filter(|metadata| metadata.is_object());
        let now = clock::now();
        let record = json!({
            "id": uuid.to_string(),
            "request_id": id,
            "status": status,
            "request_type": kind,
            "requestable_type": null,
            "requestable_id": null,
            "message": null,
            "generated_at": now,
            "started_at": if status == "queued" { Value::Null } else { now.clone().into() },
            "ended_at": null,
            "metadata": {"name": name, "variant": body.get("variant"), "user": body.get("user")},
            "user_metadata": user_metadata.cloned().unwrap_or_else(|| json!({})),
            "data": null,
        });
        state.store.put(RUN, "", &id, record);
        if kind == "workflow" {
            state.runs.push(RecordedRun {
                request_id: id.clone(),
                deployment: name.to_owned(),
                run_status: status.to_owned(),
                metadata: body.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default(),
            });
        }
        Self { state: Arc::clone(state), id, origin: request.origin.clone() }
    }

    /// Stores the callback of the run, so that a restarted emulator can deliver it.
    pub(crate) fn store_pending_callback(&self, url: &str, secret: &str, body: &Value) {
        let mut echo = json!({});
        for (field, value) in [("user_metadata", body.get("metadata")), ("user", body.get("user"))] {
            if let Some(value) = value {
                echo[field] = value.clone();
            }
        }
        self.state.store.put(PENDING_CALLBACK, "", &self.id, json!({"url": url, "secret": secret, "echo": echo}));
    }

    fn update(&self, change: impl FnOnce(&mut Value)) {
        self.state.store.update(RUN, "", &self.id, change);
    }

    pub(crate) fn set_status(&self, status: &str) {
        self.update(|record| {
            record["status"] = status.into();
            if record["started_at"].is_null() && status == "running" {
                record["started_at"] = clock::now().into();
            }
        });
        self.state.set_run_status(&self.id, status);
    }

    /// Ends the run with an outcome, whose `run_status` is the final status.
    pub(crate) fn end(&self, outcome: &Value) {
        let status = outcome["run_status"].as_str().unwrap_or("completed");
        self.update(|record| {
            record["status"] = status.into();
            record["ended_at"] = clock::now().into();
            record["message"] = outcome["error"].clone();
            record["data"] = outcome.clone();
        });
        self.state.set_run_status(&self.id, status);
    }

    /// Delivers the pending callback of the run, if there is one.
    pub(crate) async fn deliver_callback(&self) {
        let store = &self.state.store;
        let pending = store.get(PENDING_CALLBACK, "", &self.id);
        let (Some(pending), Some(record)) = (pending, store.get(RUN, "", &self.id)) else { return };
        let text = |field: &str| pending[field].as_str().unwrap_or_default().to_owned();
        let mut data = record["data"].clone();
        for (field, value) in pending["echo"].as_object().into_iter().flatten() {
            data[field] = value.clone();
        }
        let kind = record["request_type"].as_str().unwrap_or_default();
        let event_type = format!("{kind}.{}", if record["status"] == "failed" { "failed" } else { "completed" });
        self.deliver(&event_type, text("url"), text("secret"), data).await;
        store.remove(PENDING_CALLBACK, "", &self.id);
    }

    /// Delivers an event of the run after its records are durable.
    pub(crate) async fn deliver(&self, event_type: &str, url: String, secret: String, data: Value) {
        if self.state.store.flush().await.is_err() {
            return;
        }
        let event = json!({"event_type": event_type, "request_id": self.id, "data": data});
        let (request_id, origin) = (self.id.clone(), self.origin.clone());
        let callback = Callback { request_id, url, secret, body: event.to_string().into(), origin };
        delivery::deliver(&self.state, callback).await;
    }
}

/// Creates the response to an accepted run.
///
/// With the fault `callback-early`, it waits for the first attempt to deliver the callback.
pub(crate) async fn accepted_response(request: &OperationRequest<'_>, body: &Value) -> Response {
    let state = request.state;
    if request.origin.has_early_callback(&state.faults) {
        state.log(|| format!("response for {} waits for its callback (fault callback-early)", body["request_id"]));
        let attempted = async {
            loop {
                let next = state.delivery_attempted.notified();
                if state.deliveries.any(|delivery| body["request_id"] == *delivery.request_id) {
                    return;
                }
                next.await;
            }
        };
        let _ = tokio::time::timeout(RECEIVER_TIMEOUT, attempted).await;
    }
    json_response(202, body)
}

/// Handles the lookup of a run by its request id.
pub(crate) fn get(request: &OperationRequest<'_>) -> OperationResult {
    let run = request.state.store.get(RUN, "", request.id("id"));
    run.map(|run| json_response(200, &run)).ok_or_else(|| Box::new(error_response(404, "", "Request not found.")))
}

/// Fails the runs that were active when an emulator with the same data file stopped, and delivers
/// all pending callbacks.
pub(crate) fn recover(state: &Arc<State>) {
    let run = |id: &str| Run { state: Arc::clone(state), id: id.to_owned(), origin: Origin::default() };
    for record in state.store.list(RUN, "").iter().filter(|record| record["ended_at"].is_null()) {
        let id = record["request_id"].as_str().unwrap_or_default();
        approvals::expire(state, id);
        run(id).end(&json!({"run_status": "failed", "error": STOPPED}));
    }
    for id in state.store.ids(PENDING_CALLBACK, "") {
        let run = run(&id);
        state.spawn(async move { run.deliver_callback().await });
    }
}
