use fetch_hive_types::{Agent, AgentChangeResponse, MessageResponse};

use super::endpoint;
use crate::checks::{Checked, finite, not_blank};
use crate::{Body, InvalidInput};

endpoint! {
    ListAgents(workspace_id): "listAgents", GET "/public/workspaces/{workspace_id}/agents", Idempotent,
        envelope "agents" => Vec<Agent>;
}

endpoint! {
    GetAgent(workspace_id, id): "getAgent", GET "/public/workspaces/{workspace_id}/agents/{id}", Idempotent,
        envelope "agent" => Agent;
}

endpoint! {
    CreateAgent(workspace_id): "createAgent", POST "/public/workspaces/{workspace_id}/agents", OnlyIfNotSent => AgentChangeResponse;

    fn validate(&self) -> Checked {
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
    UpdateAgent(workspace_id, id): "updateAgent", PATCH "/public/workspaces/{workspace_id}/agents/{id}", Idempotent => AgentChangeResponse;

    fn validate(&self) -> Checked {
        finite("agent.temperature", self.agent.temperature)
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("agent", &self.agent, &self.agent.extra)
    }
}

endpoint! {
    DeleteAgent(workspace_id, id): "deleteAgent", DELETE "/public/workspaces/{workspace_id}/agents/{id}", Idempotent => MessageResponse;

    const ALLOWS_EMPTY_BODY: bool = true;
}
