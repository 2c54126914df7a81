use fetch_hive_types::{Agent, AgentChange, MessageResponse};

use super::endpoint;
use crate::checks::{Checked, finite, not_blank};
use crate::{Body, InvalidInput};

endpoint! {
    ListAgents(workspace_id): "listAgents", GET "/public/workspaces/{workspace_id}/agents", Safe,
        envelope "agents" => Vec<Agent>;
}

endpoint! {
    GetAgent(workspace_id, id): "getAgent", GET "/public/workspaces/{workspace_id}/agents/{id}", Safe,
        envelope "agent" => Agent;
}

endpoint! {
    CreateAgent(workspace_id): "createAgent", POST "/public/workspaces/{workspace_id}/agents", OnlyIfUnsent => AgentChange;

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
    UpdateAgent(workspace_id, id): "updateAgent", PATCH "/public/workspaces/{workspace_id}/agents/{id}", Safe => AgentChange;

    fn validate(&self) -> Checked {
        finite("agent.temperature", self.agent.temperature)
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("agent", &self.agent, &self.agent.extra)
    }
}

endpoint! {
    DeleteAgent(workspace_id, id): "deleteAgent", DELETE "/public/workspaces/{workspace_id}/agents/{id}", Safe => MessageResponse;

    const MAY_BE_EMPTY: bool = true;
}
