//! Webhook triggers, which authenticate with a webhook secret and always use callback delivery.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::config::deployment::{Deployment, DeploymentKind};
use crate::http::response::{Response, error_response};
use crate::operations::agent_invoke;
use crate::operations::answer::{required_callback_url, validated_inputs};
use crate::operations::prompts;
use crate::operations::request::{OperationRequest, OperationResult};
use crate::operations::runs::{Run, accepted_response};
use crate::operations::workflows::accept;

const SECRET_HEADER: &str = "x-fetch-hive-webhook-secret";

/// Triggers a workflow or a prompt.
pub(crate) async fn trigger_deployment(request: &OperationRequest<'_>, kind: DeploymentKind) -> OperationResult {
    let parameter = if kind == DeploymentKind::Prompt { "prompt_endpoint_id" } else { "workflow_endpoint_id" };
    let (deployment, url) = authenticate(request, kind, request.id(parameter))?;
    let mut body = request.body.clone();
    // A body without `inputs` is itself the inputs.
    if body.get("inputs").is_none() {
        let mut inputs: Map<String, Value> = body.as_object().cloned().unwrap_or_default();
        inputs.retain(|name, _| !matches!(name.as_str(), "async" | "metadata" | "user"));
        body["inputs"] = inputs.into();
    }
    body["deployment"] = deployment.name.as_str().into();
    body["variant"] = request.id("variant_id").into();
    body["inputs"] = validated_inputs(&deployment, &body)?;
    if kind == DeploymentKind::Workflow {
        let accepted = accept(request, deployment, body, &url);
        // The response omits the secret, which the caller already has.
        let accepted = json!({"request_id": accepted["request_id"], "run_status": accepted["run_status"]});
        return Ok(accepted_response(request, &accepted).await);
    }
    let run = Run::start(request, "prompt", &deployment.name, &body, "running");
    run.store_pending_callback(&url, &request.state.webhook_secret(&deployment), &body);
    let accepted = json!({"request_id": run.id, "run_status": "running"});
    request.state.spawn(async move {
        prompts::execute(&run, &deployment, &body).await;
        run.deliver_callback().await;
    });
    Ok(accepted_response(request, &accepted).await)
}

/// Sends a message to an agent.
pub(crate) async fn trigger_agent(request: &OperationRequest<'_>) -> OperationResult {
    let (deployment, url) = authenticate(request, DeploymentKind::Agent, request.id("agent_id"))?;
    let mut body = request.body.clone();
    body["agent"] = deployment.name.as_str().into();
    let state = Arc::clone(request.state);
    let run = Run::start(request, "agent", &deployment.name, &body, "running");
    run.store_pending_callback(&url, &state.webhook_secret(&deployment), &body);
    let accepted = json!({"request_id": run.id, "run_status": "running"});
    request.state.spawn(async move {
        let run = agent_invoke::run_unattended(&state, run, deployment, body).await;
        run.deliver_callback().await;
    });
    Ok(accepted_response(request, &accepted).await)
}

/// Checks the secret in the header, or in the query, and returns the deployment and the callback
/// URL.
fn authenticate(
    request: &OperationRequest<'_>,
    kind: DeploymentKind,
    name: &str,
) -> Result<(Deployment, String), Box<Response>> {
    let deployment = request.state.deployment(kind, name);
    let header = request.headers.get(SECRET_HEADER).and_then(|value| value.to_str().ok());
    let secret = header.or_else(|| request.query("secret")).unwrap_or_default();
    if secret.is_empty() || secret != request.state.webhook_secret(&deployment) {
        return Err(Box::new(error_response(401, "", "Invalid access.")));
    }
    let url = required_callback_url(&request.body["async"])?;
    Ok((deployment, url))
}
