use fetch_hive_types::{AgentChat, AgentChatChangeResponse, ChatMessage, MessageResponse};

use super::endpoint;
use crate::checks::not_blank;
use crate::{Body, InvalidInput};

endpoint! {
    request: CreateAgentChat { workspace_id, agent_id },
    name: "createAgentChat",
    method: POST, path: "/public/workspaces/{workspace_id}/agents/{agent_id}/chats",
    retry: OnlyIfNotSent,
    starts_run: false,
    response: AgentChatChangeResponse,

    fn validate(&self) -> Result<(), InvalidInput> {
        not_blank("chat.name", &self.chat.name)
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("chat", &self.chat, &self.chat.extra)
    }
}

endpoint! {
    request: GetAgentChat { workspace_id, agent_id, id },
    name: "getAgentChat",
    method: GET, path: "/public/workspaces/{workspace_id}/agents/{agent_id}/chats/{id}",
    retry: Idempotent,
    envelope: "chat",
    response: AgentChat,
}

endpoint! {
    request: UpdateAgentChat { workspace_id, agent_id, id },
    name: "updateAgentChat",
    method: PATCH, path: "/public/workspaces/{workspace_id}/agents/{agent_id}/chats/{id}",
    retry: Idempotent,
    response: AgentChatChangeResponse,

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("chat", &self.chat, &self.chat.extra)
    }
}

endpoint! {
    request: DeleteAgentChat { workspace_id, agent_id, id },
    name: "deleteAgentChat",
    method: DELETE, path: "/public/workspaces/{workspace_id}/agents/{agent_id}/chats/{id}",
    retry: Idempotent,
    allows_empty_body: true,
    response: MessageResponse,
}

endpoint! {
    request: ClearAgentChatMessages { workspace_id, agent_id, id },
    name: "clearAgentChatMessages",
    method: PATCH, path: "/public/workspaces/{workspace_id}/agents/{agent_id}/chats/{id}/clear_messages",
    retry: Idempotent,
    allows_empty_body: true,
    response: AgentChatChangeResponse,

    fn body(&self) -> Result<Body, InvalidInput> {
        Ok(Body::empty_object())
    }
}

endpoint! {
    request: ListAgentChatMessages { workspace_id, agent_id, chat_id },
    name: "listAgentChatMessages",
    method: GET, path: "/public/workspaces/{workspace_id}/agents/{agent_id}/chats/{chat_id}/messages",
    retry: Idempotent,
    envelope: "messages",
    response: Vec<ChatMessage>,
}
