//! Hive agents, and triggers by webhook secret: runs whose outcome goes to a callback URL always (contract, sections 4 and 6).

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::callback;
use crate::chat::{answer, ended, prompt_outcome};
use crate::deployment::{Deployment, DeploymentKind};
use crate::reply::{Reply, refusal};
use crate::run::{Run, run_id};
use crate::turn;
use crate::workflow::{accept, checked, required_url};

/// The header that has the secret.
const SECRET: &str = "x-fetch-hive-webhook-secret";

pub(crate) async fn hive_agent(call: &Call<'_>) -> Result<Reply, Box<Reply>> {
    let (service, body) = (call.service, call.body.clone());
    if body["async"]["enabled"] != true {
        return Err(Box::new(refusal(400, "validation_error", "A hive agent needs async enabled and a callback_url.")));
    }
    let url = required_url(&body["async"])?;
    let name = body["hive_agent"].as_str().unwrap_or_default();
    let deployment = service.deployment(DeploymentKind::HiveAgent, name);
    let run = Run::start(call, "hive_agent", name, &body, "pending");
    let (id, secret) = (run_id(), service.secret(&deployment));
    run.owes(&url, &secret, &body);
    let accepted = json!({"run_id": id, "request_id": run.id, "status": "pending", "webhook_secret": secret});
    service.spawn(async move {
        run.stands("running");
        tokio::time::sleep(deployment.delay()).await;
        let objective = body["objective"].as_str().unwrap_or_default();
        let mut outcome = ended(&answer(&run, &deployment, &body, format!("{} did: {objective}", deployment.name)));
        outcome["run_id"] = id.into();
        outcome["status"] = outcome["run_status"].clone();
        run.end(&outcome);
        run.report().await;
    });
    Ok(callback::accepted(call, &accepted).await)
}

/// Starts a workflow or a prompt by its secret.
pub(crate) async fn deployment(call: &Call<'_>, kind: DeploymentKind) -> Result<Reply, Box<Reply>> {
    let endpoint = if kind == DeploymentKind::Prompt { "prompt_endpoint_id" } else { "workflow_endpoint_id" };
    let (deployment, url) = admitted(call, kind, call.id(endpoint))?;
    let mut body = call.body.clone();
    // An object without inputs is itself the inputs.
    if body.get("inputs").is_none() {
        let mut inputs: Map<String, Value> = body.as_object().cloned().unwrap_or_default();
        inputs.retain(|name, _| !matches!(name.as_str(), "async" | "metadata" | "user"));
        body["inputs"] = inputs.into();
    }
    body["deployment"] = deployment.name.as_str().into();
    body["variant"] = call.id("variant_id").into();
    body["inputs"] = checked(&deployment, &body)?;
    if kind == DeploymentKind::Workflow {
        let accepted = accept(call, deployment, body, &url);
        // Who triggers has the secret already.
        let told = json!({"request_id": accepted["request_id"], "run_status": accepted["run_status"]});
        return Ok(callback::accepted(call, &told).await);
    }
    let service = Arc::clone(call.service);
    let run = Run::start(call, "prompt", &deployment.name, &body, "running");
    run.owes(&url, &service.secret(&deployment), &body);
    let accepted = json!({"request_id": run.id, "run_status": "running"});
    call.service.spawn(async move {
        prompt_outcome(&run, &deployment, &body).await;
        run.report().await;
    });
    Ok(callback::accepted(call, &accepted).await)
}

/// Sends a message to an agent by its secret.
pub(crate) async fn agent(call: &Call<'_>) -> Result<Reply, Box<Reply>> {
    let (deployment, url) = admitted(call, DeploymentKind::Agent, call.id("agent_id"))?;
    let mut body = call.body.clone();
    body["agent"] = deployment.name.as_str().into();
    let service = Arc::clone(call.service);
    let run = Run::start(call, "agent", &deployment.name, &body, "running");
    run.owes(&url, &service.secret(&deployment), &body);
    let accepted = json!({"request_id": run.id, "run_status": "running"});
    call.service.spawn(async move {
        let run = turn::unattended(&service, run, deployment, body).await;
        run.report().await;
    });
    Ok(callback::accepted(call, &accepted).await)
}

/// What is triggered, if the secret is its own: in the header, else in the query.
fn admitted(call: &Call<'_>, kind: DeploymentKind, name: &str) -> Result<(Deployment, String), Box<Reply>> {
    let deployment = call.service.deployment(kind, name);
    let header = call.headers.get(SECRET).and_then(|value| value.to_str().ok());
    let given = header.or_else(|| call.query("secret")).unwrap_or_default();
    if given.is_empty() || given != call.service.secret(&deployment) {
        return Err(Box::new(refusal(401, "", "Invalid access.")));
    }
    let url = required_url(&call.body["async"])?;
    Ok((deployment, url))
}
