//! `POST /prompt/invoke`, and what prompts and agents have in common (contract, sections 5 to 7).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::call::Call;
use crate::deployment::{Deployment, DeploymentKind};
use crate::reply::{Reply, json_reply, refusal};
use crate::run::Run;
use crate::script::Script;
use crate::service::Service;
use crate::workflow::{checked, describe, seen};

/// The model that answers where none is declared.
const MODEL: &str = "emulated-1";

/// A prompt's answer: whole, or as the stream that is declared for it or made from the answer.
pub(crate) async fn invoke_prompt(call: &Call<'_>) -> Result<Reply, Box<Reply>> {
    let (service, mut body) = (call.service, call.body.clone());
    let deployment = service.deployment(DeploymentKind::Prompt, body["deployment"].as_str().unwrap_or_default());
    body["inputs"] = checked(&deployment, &body)?;
    let run = Run::start(call, "prompt", &deployment.name, &body, "running");
    if body["streaming"] == true {
        let answer = answer(&run, &deployment, &body, describe(&body));
        run.end(&ended(&answer));
        let usage = usage(&body["inputs"].to_string(), answer.as_deref().unwrap_or_default());
        let end = json!({"type": "usage", "request_id": run.id, "usage": usage, "stop_reason": "completed"});
        let piece = |text: &str| json!({"type": "response", "response": text, "model": model(&deployment), "request_id": run.id});
        return Ok(stream(service, &deployment, &[], answer, piece, &end));
    }
    let outcome = prompt_outcome(&run, &deployment, &body).await;
    if outcome["run_status"] == "failed" {
        return Err(Box::new(failed(service, &deployment, outcome["error"].as_str().unwrap_or_default())));
    }
    let mut reply = outcome;
    reply.as_object_mut().map(|reply| reply.remove("run_status"));
    reply["request_id"] = run.id.into();
    Ok(json_reply(200, &reply))
}

/// How a prompt ends, after the time it takes.
pub(crate) async fn prompt_outcome(run: &Run, deployment: &Deployment, body: &Value) -> Value {
    tokio::time::sleep(deployment.delay()).await;
    let answer = answer(run, deployment, body, describe(body));
    let mut outcome = ended(&answer);
    if let Ok(response) = &answer {
        outcome["model"] = model(deployment).into();
        outcome["usage"] = usage(&body["inputs"].to_string(), response);
    }
    run.end(&outcome);
    outcome
}

/// The text that is declared, else this one; or why there is none.
pub(crate) fn answer(run: &Run, deployment: &Deployment, body: &Value, otherwise: String) -> Result<String, String> {
    if let Some(reason) = &deployment.failure {
        return Err(reason.clone());
    }
    match deployment.answer(&seen(run, body)) {
        None => Ok(otherwise),
        Some(answer) => answer.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
    }
}

pub(crate) fn ended(answer: &Result<String, String>) -> Value {
    match answer {
        Ok(response) => json!({"run_status": "completed", "response": response}),
        Err(reason) => json!({"run_status": "failed", "error": reason}),
    }
}

/// The refusal of a run that failed: what its code stands for, else that of a provider's failure.
pub(crate) fn failed(service: &Service, deployment: &Deployment, reason: &str) -> Reply {
    let code = deployment.error_code.as_deref().unwrap_or_default();
    refusal(service.catalog.status_of(code).unwrap_or(502), code, reason)
}

pub(crate) fn model(deployment: &Deployment) -> &str {
    deployment.model.as_deref().unwrap_or(MODEL)
}

/// The stream that is scripted or declared, else these events, and the answer word by word.
pub(crate) fn stream(
    service: &Arc<Service>,
    deployment: &Deployment,
    before: &[Value],
    answer: Result<String, String>,
    piece: impl Fn(&str) -> Value,
    end: &Value,
) -> Reply {
    if let Some(script) = service.scripts.get(&deployment.name).cloned().or_else(|| deployment.script()) {
        return script.reply(service);
    }
    let mut script = Script::new();
    if deployment.delay_ms > 0 {
        script = script.wait(Duration::from_millis(deployment.delay_ms));
    }
    script = before.iter().fold(script, Script::event);
    script = match answer {
        Ok(response) => {
            response.split_inclusive(' ').fold(script, |script, word| script.event(&piece(word))).event(end)
        }
        Err(reason) => {
            let mut event = json!({"type": "error", "error": reason, "message": reason});
            if let Some(code) = &deployment.error_code {
                event["error_code"] = code.as_str().into();
            }
            script.event(&event)
        }
    };
    script.done().reply(service)
}

/// Tokens of about four characters each, in the documented form.
pub(crate) fn usage(read: &str, written: &str) -> Value {
    let tokens = |text: &str| text.len().div_ceil(4);
    json!({
        "duration": 0.01,
        "prompt_tokens": {"total_tokens": tokens(read), "cached_tokens": 0},
        "completion_tokens": {"total_tokens": tokens(written), "reasoning_tokens": 0},
        "total_tokens": tokens(read) + tokens(written),
    })
}
