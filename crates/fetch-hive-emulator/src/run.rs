//! A run, from its start to its end, as its record tells it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::call::Call;
use crate::callback::{self, Callback};
use crate::faults::Cause;
use crate::moment;
use crate::record::RecordedRun;
use crate::resources::new_id;
use crate::service::Service;
use crate::store::RUN;

/// A run that has a record.
#[derive(Clone)]
pub(crate) struct Run {
    service: Arc<Service>,
    /// The public id, `req_…`.
    pub(crate) id: String,
    /// What runs: `workflow`, `prompt`, `agent`, `hive_agent`, `knowledge_base_item`.
    kind: &'static str,
    user: Option<Value>,
    user_metadata: Option<Value>,
    cause: Cause,
}

impl Run {
    /// Records a run of what is named, as this request asks for it.
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
        let user = request.get("user").cloned();
        Self { service: Arc::clone(service), id, kind, user, user_metadata, cause: call.cause.clone() }
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

    /// Posts how the run ended, signed, with what the caller gave to have back.
    pub(crate) async fn report(&self, url: String, secret: String, mut outcome: Value) {
        let ending = if outcome["run_status"] == "failed" { "failed" } else { "completed" };
        for (member, value) in [("user_metadata", &self.user_metadata), ("user", &self.user)] {
            if let Some(value) = value {
                outcome[member] = value.clone();
            }
        }
        let event_type = format!("{}.{ending}", self.kind);
        self.post(&event_type, url, secret, outcome).await;
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

/// An id for what has none of the service's forms.
pub(crate) fn run_id() -> String {
    new_id()
}
