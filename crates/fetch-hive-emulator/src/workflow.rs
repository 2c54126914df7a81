//! `POST /workflow/invoke` (contract, sections 3 and 4).

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::callback::{self, Callback};
use crate::deployment::Deployment;
use crate::record::RecordedRun;
use crate::reply::{Reply, json_reply, refusal};
use crate::service::Service;

pub(crate) async fn invoke(service: &Arc<Service>, body: Value) -> Reply {
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let name = text("deployment");
    if name.is_empty() {
        return refusal(400, "", "Missing required field: deployment or variant");
    }
    let callback_url = match callback_url(&body) {
        Ok(url) => url,
        Err(reply) => return *reply,
    };
    let deployment = service.deployment(&name);
    if deployment.human_in_the_loop && callback_url.is_none() {
        let error = "This workflow has a Human in the Loop step: invoke it with async enabled and a callback_url.";
        return refusal(422, "validation_error", error);
    }
    let place = service.places.clone().try_acquire_owned();
    let request_id = format!("req_{}", crate::random_hex());
    let started = |run_status: &str| {
        let (request_id, run_status) = (request_id.clone(), run_status.to_owned());
        service.runs.push(RecordedRun { request_id, deployment: name, run_status });
    };
    let Some(url) = callback_url else {
        let Ok(place) = place else {
            return refusal(429, "", "You've reached your concurrency limit. Wait for a run to end, or use async.");
        };
        started("running");
        let (tell, told) = tokio::sync::oneshot::channel();
        let (working, id) = (Arc::clone(service), request_id.clone());
        // The run goes on when its caller hangs up, as the service's do.
        service.spawn(async move {
            let running = working.running(place);
            let outcome = outcome(&deployment, &body).await;
            drop(running);
            working.ended(&id, &outcome);
            let _ = tell.send(outcome);
        });
        return match told.await {
            Ok(mut outcome) => {
                outcome["request_id"] = request_id.into();
                json_reply(200, &outcome)
            }
            Err(_) => refusal(500, "internal_server_error", "The emulator is stopping."),
        };
    };

    let run_status = if place.is_ok() { "running" } else { "queued" };
    started(run_status);
    let secret = service.secret(&deployment);
    let accepted = json!({"request_id": request_id, "run_status": run_status, "webhook_secret": secret});
    let working = Arc::clone(service);
    service.spawn(async move {
        let place = match place {
            Ok(place) => place,
            // Closed only when the emulator is gone, and this task with it.
            Err(_) => match working.places.clone().acquire_owned().await {
                Ok(place) => place,
                Err(_) => return,
            },
        };
        let running = working.running(place);
        let mut data = outcome(&deployment, &body).await;
        drop(running);
        working.ended(&request_id, &data);
        let event_type = if data["run_status"] == "failed" { "workflow.failed" } else { "workflow.completed" };
        for (from, to) in [("metadata", "user_metadata"), ("user", "user")] {
            if let Some(value) = body.get(from) {
                data[to] = value.clone();
            }
        }
        let event = json!({"event_type": event_type, "request_id": request_id, "data": data});
        callback::deliver(&working, Callback { request_id, url, secret, body: event.to_string().into() }).await;
    });
    json_reply(202, &accepted)
}

/// The callback URL, where the request asks for callback delivery.
fn callback_url(body: &Value) -> Result<Option<String>, Box<Reply>> {
    let mode = &body["async"];
    if mode["enabled"] != true {
        return Ok(None);
    }
    let refused = |error| Err(Box::new(refusal(400, "", error)));
    match mode["callback_url"].as_str() {
        None | Some("") => refused("callback_url is required when async is enabled"),
        Some(url) => match url.parse::<http::Uri>() {
            Ok(uri) if uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")) => {
                Ok(Some(url.to_owned()))
            }
            _ => refused("callback_url must be a valid URL"),
        },
    }
}

/// What a run ends with, after the time it takes.
async fn outcome(deployment: &Deployment, body: &Value) -> Value {
    tokio::time::sleep(deployment.delay()).await;
    match (&deployment.failure, &deployment.output) {
        (Some(reason), _) => json!({"run_status": "failed", "error": reason}),
        (None, Some(output)) => json!({"run_status": "completed", "output": output}),
        (None, None) => json!({"run_status": "completed", "output": describe(body)}),
    }
}

/// A readable output for a deployment that nobody declared: its name and the inputs.
pub(crate) fn describe(body: &Value) -> String {
    let mut text = body["deployment"].as_str().unwrap_or_default().to_owned();
    if let Some(variant) = body["variant"].as_str().filter(|variant| !variant.is_empty()) {
        let _ = write!(text, " ({variant})");
    }
    for (n, (name, value)) in body["inputs"].as_object().into_iter().flatten().enumerate() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _ = write!(text, "{} {name} = {value}", if n == 0 { ":" } else { "," });
    }
    text
}
