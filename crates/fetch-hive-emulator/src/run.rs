//! A run, from its start to its end, as its record tells it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::approvals;
use crate::call::Call;
use crate::callback::{self, Callback};
use crate::faults::Cause;
use crate::moment;
use crate::record::RecordedRun;
use crate::resources::new_id;
use crate::service::Service;
use crate::store::RUN;

/// The kind of the records of callbacks that are still to be delivered.
const OWED: &str = "owed callback";

/// Why a run failed that was under way when the emulator stopped.
pub(crate) const STOPPED: &str = "The emulator was stopped while this was under way.";

/// A run that has a record.
#[derive(Clone)]
pub(crate) struct Run {
    service: Arc<Service>,
    /// The public id, `req_…`.
    pub(crate) id: String,
    cause: Cause,
}

impl Run {
    /// Records a run of what is named, as this request asks for it. What runs is a `workflow`, a `prompt`, an `agent`, a `hive_agent` or a
    /// `knowledge_base_item`.
    pub(crate) fn start(call: &Call<'_>, kind: &'static str, name: &str, request: &Value, status: &str) -> Self {
        let service = call.service;
        let uuid = uuid::Uuid::now_v7();
        let id = format!("req_{}", uuid.simple());
        let user_metadata = request.get("metadata").cloned();
        let now = moment::now();
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
            "metadata": {"name": name, "variant": request.get("variant"), "user": request.get("user")},
            "user_metadata": user_metadata.as_ref().filter(|given| given.is_object()).cloned().unwrap_or_else(|| json!({})),
            "data": null,
        });
        service.store.put(RUN, "", &id, record);
        if kind == "workflow" {
            service.runs.push(RecordedRun {
                request_id: id.clone(),
                deployment: name.to_owned(),
                run_status: status.to_owned(),
            });
        }
        Self { service: Arc::clone(service), id, cause: call.cause.clone() }
    }

    /// Notes that the run's end is to be told to a URL, with what the request gave to have back. A file remembers it until it is done.
    pub(crate) fn owes(&self, url: &str, secret: &str, request: &Value) {
        let mut back = json!({});
        for (member, given) in [("user_metadata", request.get("metadata")), ("user", request.get("user"))] {
            if let Some(value) = given {
                back[member] = value.clone();
            }
        }
        self.service.store.put(OWED, "", &self.id, json!({"url": url, "secret": secret, "back": back}));
    }

    fn change(&self, change: impl FnOnce(&mut Value)) {
        self.service.store.update(RUN, "", &self.id, change);
    }

    /// Says where the run stands.
    pub(crate) fn stands(&self, status: &str) {
        self.change(|record| {
            record["status"] = status.into();
            if record["started_at"].is_null() && status == "running" {
                record["started_at"] = moment::now().into();
            }
        });
        self.service.stands(&self.id, status);
    }

    /// Records how the run ended: `run_status`, and what came of it.
    pub(crate) fn end(&self, outcome: &Value) {
        let status = outcome["run_status"].as_str().unwrap_or("completed");
        self.change(|record| {
            record["status"] = status.into();
            record["ended_at"] = moment::now().into();
            record["message"] = outcome["error"].clone();
            record["data"] = outcome.clone();
        });
        self.service.stands(&self.id, status);
    }

    /// Posts how the run ended, signed, to whom it is owed.
    pub(crate) async fn report(&self) {
        let store = &self.service.store;
        let (Some(owed), Some(record)) = (store.get(OWED, "", &self.id), store.get(RUN, "", &self.id)) else { return };
        let text = |member: &str| owed[member].as_str().unwrap_or_default().to_owned();
        let mut data = record["data"].clone();
        for (member, value) in owed["back"].as_object().into_iter().flatten() {
            data[member] = value.clone();
        }
        let kind = record["request_type"].as_str().unwrap_or_default();
        let event_type = format!("{kind}.{}", if record["status"] == "failed" { "failed" } else { "completed" });
        self.post(&event_type, text("url"), text("secret"), data).await;
        store.remove(OWED, "", &self.id);
    }

    /// Posts an event of the run to a callback URL, once what it tells is safe.
    pub(crate) async fn post(&self, event_type: &str, url: String, secret: String, data: Value) {
        if self.service.store.settled().await.is_err() {
            return;
        }
        let event = json!({"event_type": event_type, "request_id": self.id, "data": data});
        let (request_id, cause) = (self.id.clone(), self.cause.clone());
        let callback = Callback { request_id, url, secret, body: event.to_string().into(), cause };
        callback::deliver(&self.service, callback).await;
    }
}

/// Ends the runs that an emulator of the same file left under way, and tells their ends and those that it did not get to tell.
pub(crate) fn recover(service: &Arc<Service>) {
    let run = |id: &str| Run { service: Arc::clone(service), id: id.to_owned(), cause: Cause::default() };
    for record in service.store.list(RUN, "").iter().filter(|record| record["ended_at"].is_null()) {
        let id = record["request_id"].as_str().unwrap_or_default();
        approvals::expire(service, id);
        run(id).end(&json!({"run_status": "failed", "error": STOPPED}));
    }
    for id in service.store.ids(OWED, "") {
        let run = run(&id);
        service.spawn(async move { run.report().await });
    }
}

/// An id for what has none of the service's forms.
pub(crate) fn run_id() -> String {
    new_id()
}
