use fetch_hive_types::{Agent, AgentChangeResponse, MessageResponse};

use super::endpoint;
use crate::checks::{finite, not_blank};
use crate::{Body, InvalidInput};

endpoint! {
    request: ListAgents { workspace_id },
    name: "listAgents",
    method: GET, path: "/public/workspaces/{workspace_id}/agents",
    retry: Idempotent,
    envelope: "agents",
    response: Vec<Agent>,
}

endpoint! {
    request: GetAgent { workspace_id, id },
    name: "getAgent",
    method: GET, path: "/public/workspaces/{workspace_id}/agents/{id}",
    retry: Idempotent,
    envelope: "agent",
    response: Agent,
}

endpoint! {
    request: CreateAgent { workspace_id },
    name: "createAgent",
    method: POST, path: "/public/workspaces/{workspace_id}/agents",
    retry: OnlyIfNotSent,
    starts_run: false,
    response: AgentChangeResponse,

    fn validate(&self) -> Result<(), InvalidInput> {
        not_blank("agent.name", &self.agent.name)?;
        not_blank("agent.llm_model", &self.agent.llm_model)?;
        not_blank("agent.model_type", &self.agent.model_type)?;
        finite("agent.temperature", self.agent.temperature)
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("agent", &self.agent, &self.agent.extra)
    }
}

endpoint! {
    request: UpdateAgent { workspace_id, id },
    name: "updateAgent",
    method: PATCH, path: "/public/workspaces/{workspace_id}/agents/{id}",
    retry: Idempotent,
    response: AgentChangeResponse,

    fn validate(&self) -> Result<(), InvalidInput> {
        finite("agent.temperature", self.agent.temperature)
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("agent", &self.agent, &self.agent.extra)
    }
}

endpoint! {
    request: DeleteAgent { workspace_id, id },
    name: "deleteAgent",
    method: DELETE, path: "/public/workspaces/{workspace_id}/agents/{id}",
    retry: Idempotent,
    allows_empty_body: true,
    response: MessageResponse,
}
