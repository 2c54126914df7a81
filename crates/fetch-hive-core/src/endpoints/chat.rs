use fetch_hive_types::{AgentChat, AgentChatChange, ChatMessage, MessageResponse};

use super::endpoint;
use crate::checks::{Checked, not_blank};
use crate::{Body, InvalidInput};

endpoint! {
    CreateAgentChat(workspace_id, agent_id): "createAgentChat",
        POST "/public/workspaces/{workspace_id}/agents/{agent_id}/chats", OnlyIfUnsent => AgentChatChange;

    fn validate(&self) -> Checked {
        not_blank("chat.name", &self.chat.name)
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("chat", &self.chat, &self.chat.extra)
    }
}

endpoint! {
    GetAgentChat(workspace_id, agent_id, id): "getAgentChat",
        GET "/public/workspaces/{workspace_id}/agents/{agent_id}/chats/{id}", Safe, envelope "chat" => AgentChat;
}

endpoint! {
    UpdateAgentChat(workspace_id, agent_id, id): "updateAgentChat",
        PATCH "/public/workspaces/{workspace_id}/agents/{agent_id}/chats/{id}", Safe => AgentChatChange;

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("chat", &self.chat, &self.chat.extra)
    }
}

endpoint! {
    DeleteAgentChat(workspace_id, agent_id, id): "deleteAgentChat",
        DELETE "/public/workspaces/{workspace_id}/agents/{agent_id}/chats/{id}", Safe => MessageResponse;

    const MAY_BE_EMPTY: bool = true;
}

endpoint! {
    ClearAgentChatMessages(workspace_id, agent_id, id): "clearAgentChatMessages",
        PATCH "/public/workspaces/{workspace_id}/agents/{agent_id}/chats/{id}/clear_messages", Safe => AgentChatChange;

    const MAY_BE_EMPTY: bool = true;

    fn body(&self) -> Result<Body, InvalidInput> {
        Ok(Body::empty_object())
    }
}

endpoint! {
    ListAgentChatMessages(workspace_id, agent_id, chat_id): "listAgentChatMessages",
        GET "/public/workspaces/{workspace_id}/agents/{agent_id}/chats/{chat_id}/messages", Safe,
        envelope "messages" => Vec<ChatMessage>;
}
