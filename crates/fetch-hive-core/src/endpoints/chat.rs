use fetch_hive_types::{AgentChat, AgentChatChangeResponse, ChatMessage, MessageResponse};

use super::endpoint;
use crate::checks::{Checked, not_blank};
use crate::{Body, InvalidInput};

endpoint! {
    CreateAgentChat(workspace_id, agent_id): "createAgentChat",
        POST "/public/workspaces/{workspace_id}/agents/{agent_id}/chats", OnlyIfNotSent => AgentChatChangeResponse;

    fn validate(&self) -> Checked {
        not_blank("chat.name", &self.chat.name)
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("chat", &self.chat, &self.chat.extra)
    }
}

endpoint! {
    GetAgentChat(workspace_id, agent_id, id): "getAgentChat",
        GET "/public/workspaces/{workspace_id}/agents/{agent_id}/chats/{id}", Idempotent, envelope "chat" => AgentChat;
}

endpoint! {
    UpdateAgentChat(workspace_id, agent_id, id): "updateAgentChat",
        PATCH "/public/workspaces/{workspace_id}/agents/{agent_id}/chats/{id}", Idempotent => AgentChatChangeResponse;

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("chat", &self.chat, &self.chat.extra)
    }
}

endpoint! {
    DeleteAgentChat(workspace_id, agent_id, id): "deleteAgentChat",
        DELETE "/public/workspaces/{workspace_id}/agents/{agent_id}/chats/{id}", Idempotent => MessageResponse;

    const ALLOWS_EMPTY_BODY: bool = true;
}

endpoint! {
    ClearAgentChatMessages(workspace_id, agent_id, id): "clearAgentChatMessages",
        PATCH "/public/workspaces/{workspace_id}/agents/{agent_id}/chats/{id}/clear_messages", Idempotent => AgentChatChangeResponse;

    const ALLOWS_EMPTY_BODY: bool = true;

    fn body(&self) -> Result<Body, InvalidInput> {
        Ok(Body::empty_object())
    }
}

endpoint! {
    ListAgentChatMessages(workspace_id, agent_id, chat_id): "listAgentChatMessages",
        GET "/public/workspaces/{workspace_id}/agents/{agent_id}/chats/{chat_id}/messages", Idempotent,
        envelope "messages" => Vec<ChatMessage>;
}
