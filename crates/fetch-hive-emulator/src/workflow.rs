//! `POST /workflow/invoke` (contract, sections 3 and 4).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use crate::approvals::{Pending, Question};
use crate::call::Call;
use crate::callback;
use crate::deployment::{Deployment, DeploymentKind};
use crate::reply::{Reply, json_reply, refusal};
use crate::run::Run;
use crate::service::Service;

pub(crate) async fn invoke(call: &Call<'_>) -> Result<Reply, Box<Reply>> {
    let (service, mut body) = (call.service, call.body.clone());
    refuse_override(call)?;
    let url = callback_url(&body)?;
    let deployment = service.deployment(DeploymentKind::Workflow, body["deployment"].as_str().unwrap_or_default());
    body["inputs"] = checked(&deployment, &body)?;
    match url {
        Some(url) => Ok(callback::accepted(call, &accept(call, deployment, body, &url)).await),
        None if deployment.needs_someone() => {
            let error = "This workflow has a Human in the Loop step: invoke it with async enabled and a callback_url.";
            Err(Box::new(refusal(422, "validation_error", error)))
        }
        None => direct(call, deployment, body).await,
    }
}

/// A key that may not approve for others says so.
pub(crate) fn refuse_override(call: &Call<'_>) -> Result<(), Box<Reply>> {
    if call.body["tool_approval"] == "auto_approve" && call.key() == "fhk_no_auto_approve" {
        let error = "This key may not approve tools automatically.";
        return Err(Box::new(refusal(403, "tool_approval_override_not_permitted", error)));
    }
    Ok(())
}

/// The inputs as declared, or the refusal.
pub(crate) fn checked(deployment: &Deployment, body: &Value) -> Result<Value, Box<Reply>> {
    let inputs = deployment.check(body).map_err(|(status, code, error)| Box::new(refusal(status, code, &error)))?;
    Ok(if inputs == json!({}) { body["inputs"].clone() } else { inputs })
}

async fn direct(call: &Call<'_>, deployment: Deployment, body: Value) -> Result<Reply, Box<Reply>> {
    let service = call.service;
    let Ok(place) = service.places.clone().try_acquire_owned() else {
        let error = "You've reached your concurrency limit. Wait for a run to end, or use async.";
        return Err(Box::new(refusal(429, "", error)));
    };
    let run = Run::start(call, "workflow", &deployment.name, &body, "running");
    let request_id = run.id.clone();
    let (tell, told) = tokio::sync::oneshot::channel();
    let working = Arc::clone(service);
    // The run goes on when its caller hangs up, as the service's do.
    service.spawn(async move {
        let outcome = carry_out(&working, &run, place, &deployment, &body).await;
        let _ = tell.send(outcome);
    });
    match told.await {
        Ok(mut outcome) => {
            outcome["request_id"] = request_id.into();
            Ok(json_reply(200, &outcome))
        }
        Err(_) => Err(Box::new(refusal(500, "internal_server_error", "The emulator is stopping."))),
    }
}

/// Takes a run whose outcome goes to a callback URL: at once where there is a place, else when there is. Gives what the caller is told.
pub(crate) fn accept(call: &Call<'_>, deployment: Deployment, body: Value, url: &str) -> Value {
    let service = call.service;
    let place = service.places.clone().try_acquire_owned();
    let run_status = if place.is_ok() { "running" } else { "queued" };
    let run = Run::start(call, "workflow", &deployment.name, &body, run_status);
    let secret = service.secret(&deployment);
    run.owes(url, &secret, &body);
    let accepted = json!({"request_id": run.id, "run_status": run_status, "webhook_secret": secret});
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
        carry_out(&working, &run, place, &deployment, &body).await;
        run.report().await;
    });
    accepted
}

/// Does what a run does, and gives how it ended.
async fn carry_out(
    service: &Arc<Service>,
    run: &Run,
    place: OwnedSemaphorePermit,
    deployment: &Deployment,
    body: &Value,
) -> Value {
    let running = service.running(place);
    run.stands("running");
    let outcome = outcome(service, run, deployment, body).await;
    drop(running);
    run.end(&outcome);
    outcome
}

/// The callback URL, where the request asks for callback delivery.
pub(crate) fn callback_url(body: &Value) -> Result<Option<String>, Box<Reply>> {
    if body["async"]["enabled"] == true { required_url(&body["async"]).map(Some) } else { Ok(None) }
}

pub(crate) fn required_url(mode: &Value) -> Result<String, Box<Reply>> {
    let refused = |error| Err(Box::new(refusal(400, "", error)));
    match mode["callback_url"].as_str() {
        None | Some("") => refused("callback_url is required when async is enabled"),
        Some(url) => match url.parse::<http::Uri>() {
            Ok(uri) if uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")) => Ok(url.to_owned()),
            _ => refused("callback_url must be a valid URL"),
        },
    }
}

/// What a run ends with, after the time and the steps it takes.
async fn outcome(service: &Service, run: &Run, deployment: &Deployment, body: &Value) -> Value {
    tokio::time::sleep(deployment.delay()).await;
    let failed = |reason: &str| json!({"run_status": "failed", "error": reason});
    for step in &deployment.steps {
        tokio::time::sleep(Duration::from_millis(step.delay_ms)).await;
        if step.human_in_the_loop && body["tool_approval"] != "auto_approve" {
            let question = Question {
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
            let pending = Pending::ask(service, question);
            run.stands("awaiting_approval");
            if let Err(reason) = pending.decided(service).await {
                return failed(&format!("{}: {reason}", step.name));
            }
            run.stands("running");
        }
        if let Some(reason) = &step.failure {
            return failed(&format!("{}: {reason}", step.name));
        }
    }
    if let Some(reason) = &deployment.failure {
        return failed(reason);
    }
    match deployment.answer(&seen(run, body)) {
        None => json!({"run_status": "completed", "output": describe(body)}),
        Some(Ok(output)) => json!({"run_status": "completed", "output": output}),
        Some(Err(reason)) => failed(&reason),
    }
}

/// What a template sees.
pub(crate) fn seen(run: &Run, body: &Value) -> Value {
    json!({
        "request_id": run.id,
        "deployment": body["deployment"],
        "agent": body["agent"],
        "variant": body["variant"],
        "inputs": body["inputs"],
        "message": body["message"],
        "user": body["user"],
        "metadata": body["metadata"],
    })
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
