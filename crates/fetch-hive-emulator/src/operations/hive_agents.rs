//! Hive agent invocations.

use serde_json::json;

use crate::config::deployment::DeploymentKind;
use crate::http::response::error_response;
use crate::operations::answer::{answer, outcome, required_callback_url};
use crate::operations::request::{OperationRequest, OperationResult};
use crate::operations::runs::{Run, accepted_response};
use crate::state::ids::new_id;

pub(crate) async fn invoke(request: &OperationRequest<'_>) -> OperationResult {
    let (state, body) = (request.state, request.body.clone());
    if body["async"]["enabled"] != true {
        let error = "A hive agent needs async enabled and a callback_url.";
        return Err(Box::new(error_response(400, "validation_error", error)));
    }
    let url = required_callback_url(&body["async"])?;
    let name = body["hive_agent"].as_str().unwrap_or_default();
    let deployment = state.deployment(DeploymentKind::HiveAgent, name);
    let run = Run::start(request, "hive_agent", name, &body, "pending");
    let (id, secret) = (new_id(), state.webhook_secret(&deployment));
    run.store_pending_callback(&url, &secret, &body);
    let accepted = json!({"run_id": id, "request_id": run.id, "status": "pending", "webhook_secret": secret});
    state.spawn(async move {
        run.set_status("running");
        tokio::time::sleep(deployment.delay()).await;
        let objective = body["objective"].as_str().unwrap_or_default();
        let default = format!("{} did: {objective}", deployment.name);
        let mut outcome = outcome(&answer(&run, &deployment, &body, default));
        outcome["run_id"] = id.into();
        outcome["status"] = outcome["run_status"].clone();
        run.end(&outcome);
        run.deliver_callback().await;
    });
    Ok(accepted_response(request, &accepted).await)
}
