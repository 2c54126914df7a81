//! Agents.

use serde_json::{Map, Value, json};

use crate::config::deployment::{Deployment, DeploymentKind};
use crate::http::response::{Response, error_response};
use crate::operations::request::{OperationRequest, scope};
use crate::operations::resource::{Resource, plain_view};
use crate::state::catalog::ModelError;
use crate::state::clock;
use crate::state::ids::new_id;
use crate::state::store::Store;

pub(crate) static AGENT: Resource = Resource {
    kind: "agent",
    field: "agent",
    list_field: "agents",
    scope: &["workspace_id"],
    parent: None,
    child_kinds: &["chat", "message"],
    missing_status: 422,
    noun: "Agent",
    on_create: Some(on_create),
    on_update: Some(check_model),
    view: plain_view,
};

fn on_create(request: &OperationRequest<'_>, agent: &mut Map<String, Value>) -> Result<(), Box<Response>> {
    check_model(request, agent)?;
    let name = agent.get("name").and_then(Value::as_str).unwrap_or_default();
    let slug: String = name.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    for (field, value) in [
        ("slug", json!(slug)),
        ("description", Value::Null),
        ("instruction_prompt", Value::Null),
        ("temperature", json!(1.0)),
        ("max_token", json!(4096)),
        ("tool_choice", json!("auto")),
        ("tool_approval_mode", json!("policy")),
        ("status", json!("active")),
    ] {
        agent.entry(field).or_insert(value);
    }
    Ok(())
}

/// Rejects a model that the catalog does not accept.
fn check_model(request: &OperationRequest<'_>, agent: &mut Map<String, Value>) -> Result<(), Box<Response>> {
    let Some(model) = agent.get("llm_model").and_then(Value::as_str) else { return Ok(()) };
    request.state.catalog.check_model(model).map_err(|error| {
        Box::new(match error {
            ModelError::Deprecated => {
                error_response(422, "model_deprecated", "The model is retired. Choose a current model.")
            }
            ModelError::Unknown => error_response(422, "", &format!("There is no model {model}.")),
        })
    })
}

/// Stores a record for a declared agent, so that the operations on agents find it.
pub(crate) fn store_declared_agent(store: &Store, deployment: &Deployment) {
    let name = &deployment.name;
    if deployment.kind != DeploymentKind::Agent || find_agent(store, name).is_some() {
        return;
    }
    let id = if uuid::Uuid::try_parse(name).is_ok() { name.clone() } else { new_id() };
    let agent = json!({
        "id": id, "slug": name, "name": name, "llm_model": deployment.model, "model_type": "llm", "status": "active",
        "generated_at": clock::now(),
    });
    store.put(AGENT.kind, &scope([deployment.workspace()]), &id, agent);
}

/// Returns the agent with an id, slug or name, from any workspace, and its scope.
pub(crate) fn find_agent(store: &Store, name: &str) -> Option<(String, Value)> {
    store.find(AGENT.kind, |agent| ["id", "slug", "name"].iter().any(|field| agent[*field] == name))
}
