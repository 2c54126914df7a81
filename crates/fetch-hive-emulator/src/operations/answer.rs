//! The results of runs, which workflows, prompts and agents share.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::deployment::Deployment;
use crate::config::script::Script;
use crate::http::response::{Response, error_response};
use crate::http::script_body::script_response;
use crate::operations::runs::Run;
use crate::state::State;

/// The model of a deployment that does not declare one.
const DEFAULT_MODEL: &str = "emulated-1";

/// Validates the inputs of a request, and returns them with default values.
pub(crate) fn validated_inputs(deployment: &Deployment, body: &Value) -> Result<Value, Box<Response>> {
    let inputs = deployment
        .validate_inputs(body)
        .map_err(|error| Box::new(error_response(error.status, error.code, &error.message)))?;
    Ok(if inputs == json!({}) { body["inputs"].clone() } else { inputs })
}

/// Checks that a request has a callback URL, in the `async` object of its body.
pub(crate) fn required_callback_url(mode: &Value) -> Result<String, Box<Response>> {
    let rejected = |error| Err(Box::new(error_response(400, "", error)));
    match mode["callback_url"].as_str() {
        None | Some("") => rejected("callback_url is required when async is enabled"),
        Some(url) => match url.parse::<http::Uri>() {
            Ok(uri) if uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")) => Ok(url.to_owned()),
            _ => rejected("callback_url must be a valid URL"),
        },
    }
}

/// Returns the variables of an output template.
pub(crate) fn template_variables(run: &Run, body: &Value) -> Value {
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

/// Returns the default output of a deployment: its name and the inputs.
pub(crate) fn default_output(body: &Value) -> String {
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

/// Returns the response text of a prompt or an agent, or the reason of its failure.
pub(crate) fn answer(run: &Run, deployment: &Deployment, body: &Value, default: String) -> Result<String, String> {
    if let Some(reason) = &deployment.failure {
        return Err(reason.clone());
    }
    match deployment.declared_output(&template_variables(run, body)) {
        None => Ok(default),
        Some(output) => output.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
    }
}

/// Converts an answer into the outcome of a run.
pub(crate) fn outcome(answer: &Result<String, String>) -> Value {
    match answer {
        Ok(response) => json!({"run_status": "completed", "response": response}),
        Err(reason) => json!({"run_status": "failed", "error": reason}),
    }
}

/// Creates the error response of a failed run. The default status is 502.
pub(crate) fn failure_response(state: &State, deployment: &Deployment, reason: &str) -> Response {
    let code = deployment.error_code.as_deref().unwrap_or_default();
    error_response(state.catalog.status_of(code).unwrap_or(502), code, reason)
}

pub(crate) fn model(deployment: &Deployment) -> &str {
    deployment.model.as_deref().unwrap_or(DEFAULT_MODEL)
}

/// The events of a stream that is not scripted.
pub(crate) struct StreamEvents<'a, F> {
    /// The events before the answer.
    pub(crate) before: &'a [Value],
    pub(crate) answer: Result<String, String>,
    /// Creates the event for a part of the answer.
    pub(crate) text_event: F,
    /// The last event of a successful stream.
    pub(crate) last: &'a Value,
}

/// Creates a streaming response from the script of the deployment, or from these events.
pub(crate) fn stream_response<F>(state: &State, deployment: &Deployment, events: StreamEvents<'_, F>) -> Response
where
    F: Fn(&str) -> Value,
{
    let scripted = state.scripts.get(&deployment.name).cloned().or_else(|| deployment.script());
    let script = scripted.unwrap_or_else(|| default_script(deployment, events));
    script_response(script, &state.open_streams)
}

fn default_script<F: Fn(&str) -> Value>(deployment: &Deployment, events: StreamEvents<'_, F>) -> Script {
    let mut script = Script::new();
    if deployment.delay_ms > 0 {
        script = script.wait(Duration::from_millis(deployment.delay_ms));
    }
    script = events.before.iter().fold(script, Script::event);
    script = match events.answer {
        Ok(response) => response
            .split_inclusive(' ')
            .fold(script, |script, word| script.event(&(events.text_event)(word)))
            .event(events.last),
        Err(reason) => {
            let mut event = json!({"type": "error", "error": reason, "message": reason});
            if let Some(code) = &deployment.error_code {
                event["error_code"] = code.as_str().into();
            }
            script.event(&event)
        }
    };
    script.done()
}

/// Returns the token usage, with four bytes counted as one token.
pub(crate) fn usage(input: &str, output: &str) -> Value {
    let tokens = |text: &str| text.len().div_ceil(4);
    json!({
        "duration": 0.01,
        "prompt_tokens": {"total_tokens": tokens(input), "cached_tokens": 0},
        "completion_tokens": {"total_tokens": tokens(output), "reasoning_tokens": 0},
        "total_tokens": tokens(input) + tokens(output),
    })
}
