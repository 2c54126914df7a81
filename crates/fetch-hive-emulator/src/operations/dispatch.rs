//! The dispatch of a request to the handler of its operation.

use bytes::Bytes;
use serde_json::Value;

use crate::config::deployment::DeploymentKind;
use crate::http::response::{Response, error_response};
use crate::operations::agents::AGENT;
use crate::operations::approvals::APPROVAL;
use crate::operations::assets::ASSET;
use crate::operations::chats::CHAT;
use crate::operations::knowledge_bases::{ITEM, KNOWLEDGE_BASE};
use crate::operations::request::{OperationRequest, OperationResult};
use crate::operations::table::Operation;
use crate::operations::{
    agent_invoke, approvals, assets, catalog, chats, delegations, hive_agents, knowledge_bases, prompts, runs,
    webhooks, workflows,
};

/// Executes an operation.
pub(crate) async fn execute(operation: &Operation, request: &OperationRequest<'_>) -> OperationResult {
    check_workspace(request)?;
    match operation.id.as_str() {
        "invokePrompt" => prompts::invoke(request).await,
        "invokeWorkflow" => workflows::invoke(request).await,
        "invokeAgent" => agent_invoke::invoke(request).await,
        "invokeHiveAgent" => hive_agents::invoke(request).await,
        "triggerWorkflow" => webhooks::trigger_deployment(request, DeploymentKind::Workflow).await,
        "triggerPrompt" => webhooks::trigger_deployment(request, DeploymentKind::Prompt).await,
        "triggerAgent" => webhooks::trigger_agent(request).await,
        "getRequest" => runs::get(request),
        "getAgentDelegation" => delegations::get(request),
        "cancelAgentDelegation" => delegations::cancel(request),
        "listThreadDelegations" => Ok(delegations::list_for_thread(request)),
        "listAgents" => AGENT.list(request),
        "createAgent" => AGENT.create(request),
        "getAgent" => AGENT.get(request),
        "updateAgent" => AGENT.update(request),
        "deleteAgent" => AGENT.delete(request),
        "createAgentChat" => CHAT.create(request),
        "getAgentChat" => CHAT.get(request),
        "updateAgentChat" => CHAT.update(request),
        "deleteAgentChat" => CHAT.delete(request),
        "clearAgentChatMessages" => chats::clear_messages(request),
        "listAgentChatMessages" => chats::list_messages(request),
        "listKnowledgeBases" => KNOWLEDGE_BASE.list(request),
        "createKnowledgeBase" => KNOWLEDGE_BASE.create(request),
        "getKnowledgeBase" => KNOWLEDGE_BASE.get(request),
        "updateKnowledgeBase" => KNOWLEDGE_BASE.update(request),
        "deleteKnowledgeBase" => KNOWLEDGE_BASE.delete(request),
        "searchKnowledgeBase" => knowledge_bases::search(request),
        "listKnowledgeBaseItems" => ITEM.list(request),
        "createKnowledgeBaseItem" => ITEM.create(request),
        "getKnowledgeBaseItem" => ITEM.get(request),
        "updateKnowledgeBaseItem" => ITEM.update(request),
        "deleteKnowledgeBaseItem" => ITEM.delete(request),
        "regenerateKnowledgeBaseItem" => knowledge_bases::regenerate_item(request),
        "listAssets" => ASSET.list(request),
        "uploadAsset" => Ok(assets::upload(request).await),
        "listToolActionApprovals" => Ok(approvals::list(request)),
        "getToolActionApproval" => APPROVAL.get(request),
        "decideToolActionApproval" => approvals::decide(request),
        "listModels" => Ok(catalog::list_models(request)),
        "listSearchServiceCountries" => Ok(catalog::list_countries()),
        "getSearchServiceCountries" => Ok(catalog::get_countries(request)),
        "listErrorCodes" => Ok(catalog::list_error_codes(request)),
        id => Err(Box::new(error_response(501, "", &format!("The emulator does not implement {id}.")))),
    }
}

fn check_workspace(request: &OperationRequest<'_>) -> Result<(), Box<Response>> {
    let workspaces = &request.state.settings.workspaces;
    let is_unknown = |workspace: &String| !workspaces.is_empty() && !workspaces.contains(workspace);
    if request.path.get("workspace_id").is_some_and(is_unknown) {
        return Err(Box::new(error_response(404, "", "Workspace not found.")));
    }
    Ok(())
}

/// Parses the JSON body of a request, and validates it against the contract.
pub(crate) fn parse_body(operation: &Operation, body: &Bytes) -> Result<Value, Box<Response>> {
    let Some(validator) = &operation.body else { return Ok(Value::Null) };
    if body.is_empty() && operation.body_is_optional {
        return Ok(Value::Null);
    }
    let rejected = |error: &str| Err(Box::new(error_response(400, "validation_error", error)));
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return rejected("The body is not JSON.") };
    // For these fields, the service has its own error messages.
    let lacks = |field: &str| value[field].is_null() || value[field] == "";
    match operation.id.as_str() {
        "invokeWorkflow" | "invokePrompt" if lacks("deployment") => {
            return rejected("Missing required field: deployment or variant");
        }
        "invokeAgent" if lacks("agent") => return rejected("Missing required field: agent"),
        "invokeHiveAgent" if lacks("hive_agent") => return rejected("Missing required field: hive_agent"),
        _ => {}
    }
    // The handler rejects an unknown decision with a different status.
    if operation.id == "decideToolActionApproval" && value["decision"].is_string() {
        return Ok(value);
    }
    let approval = &value["tool_approval"];
    if !approval.is_null() && *approval != "policy" && *approval != "auto_approve" {
        let error = "tool_approval must be policy or auto_approve.";
        return Err(Box::new(error_response(400, "invalid_tool_approval", error)));
    }
    let first = validator.iter_errors(&value).next().map(|error| format!("{error} (at {})", error.instance_path()));
    first.map_or(Ok(value), |error| rejected(&error))
}
