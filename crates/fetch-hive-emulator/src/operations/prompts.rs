//! Prompt invocations.

use serde_json::{Value, json};

use crate::config::deployment::{Deployment, DeploymentKind};
use crate::http::response::json_response;
use crate::operations::answer::{
    StreamEvents, answer, default_output, failure_response, model, outcome, stream_response, usage, validated_inputs,
};
use crate::operations::request::{OperationRequest, OperationResult};
use crate::operations::runs::Run;

pub(crate) async fn invoke(request: &OperationRequest<'_>) -> OperationResult {
    let (state, mut body) = (request.state, request.body.clone());
    let deployment = state.deployment(DeploymentKind::Prompt, body["deployment"].as_str().unwrap_or_default());
    body["inputs"] = validated_inputs(&deployment, &body)?;
    let run = Run::start(request, "prompt", &deployment.name, &body, "running");
    if body["streaming"] == true {
        let answer = answer(&run, &deployment, &body, default_output(&body));
        run.end(&outcome(&answer));
        let usage = usage(&body["inputs"].to_string(), answer.as_deref().unwrap_or_default());
        let last = json!({"type": "usage", "request_id": run.id, "usage": usage, "stop_reason": "completed"});
        let text_event = |text: &str| json!({"type": "response", "response": text, "model": model(&deployment), "request_id": run.id});
        let events = StreamEvents { before: &[], answer, text_event, last: &last };
        return Ok(stream_response(state, &deployment, events));
    }
    let mut outcome = execute(&run, &deployment, &body).await;
    if outcome["run_status"] == "failed" {
        let reason = outcome["error"].as_str().unwrap_or_default();
        return Err(Box::new(failure_response(state, &deployment, reason)));
    }
    outcome.as_object_mut().map(|outcome| outcome.remove("run_status"));
    outcome["request_id"] = run.id.into();
    Ok(json_response(200, &outcome))
}

/// Executes a prompt without streaming, and returns its outcome.
pub(crate) async fn execute(run: &Run, deployment: &Deployment, body: &Value) -> Value {
    tokio::time::sleep(deployment.delay()).await;
    let answer = answer(run, deployment, body, default_output(body));
    let mut outcome = outcome(&answer);
    if let Ok(response) = &answer {
        outcome["model"] = model(deployment).into();
        outcome["usage"] = usage(&body["inputs"].to_string(), response);
    }
    run.end(&outcome);
    outcome
}
