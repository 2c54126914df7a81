use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{Agent, AgentId, ChatId, MissingField, Role, Timestamp, WorkspaceId};

request! {
    /// A request to create a chat with an agent.
    ///
    /// The request is `POST /public/workspaces/{workspace_id}/agents/{agent_id}/chats`.
    CreateAgentChat(
        /// The id of the workspace that the agent belongs to.
        workspace_id: WorkspaceId,
        /// The id of the agent to chat with.
        agent_id: AgentId,
        /// The settings of the new chat.
        chat: AgentChatCreate,
    );
}

request! {
    /// A request to get one chat of an agent.
    ///
    /// The request is `GET /public/workspaces/{workspace_id}/agents/{agent_id}/chats/{id}`. The
    /// service has no operation to list chats.
    GetAgentChat(
        /// The id of the workspace that the agent belongs to.
        workspace_id: WorkspaceId,
        /// The id of the agent that the chat belongs to.
        agent_id: AgentId,
        /// The id of the chat to get.
        id: ChatId,
    );
}

request! {
    /// A request to change the settings of a chat.
    ///
    /// The request is `PATCH /public/workspaces/{workspace_id}/agents/{agent_id}/chats/{id}`.
    /// Settings that are not set in the request keep their values.
    UpdateAgentChat(
        /// The id of the workspace that the agent belongs to.
        workspace_id: WorkspaceId,
        /// The id of the agent that the chat belongs to.
        agent_id: AgentId,
        /// The id of the chat to change.
        id: ChatId,
        /// The settings to change; all others keep their values.
        chat: AgentChatUpdate,
    );
}

request! {
    /// A request to delete a chat and its messages.
    ///
    /// The request is `DELETE /public/workspaces/{workspace_id}/agents/{agent_id}/chats/{id}`.
    DeleteAgentChat(
        /// The id of the workspace that the agent belongs to.
        workspace_id: WorkspaceId,
        /// The id of the agent that the chat belongs to.
        agent_id: AgentId,
        /// The id of the chat to delete.
        id: ChatId,
    );
}

request! {
    /// A request to delete all messages of a chat, but not the chat.
    ///
    /// The request is
    /// `PATCH /public/workspaces/{workspace_id}/agents/{agent_id}/chats/{id}/clear_messages`.
    ClearAgentChatMessages(
        /// The id of the workspace that the agent belongs to.
        workspace_id: WorkspaceId,
        /// The id of the agent that the chat belongs to.
        agent_id: AgentId,
        /// The id of the chat to clear.
        id: ChatId,
    );
}

request! {
    /// A request to list the messages of a chat, oldest first.
    ///
    /// The request is
    /// `GET /public/workspaces/{workspace_id}/agents/{agent_id}/chats/{chat_id}/messages`.
    ListAgentChatMessages(
        /// The id of the workspace that the agent belongs to.
        workspace_id: WorkspaceId,
        /// The id of the agent that the chat belongs to.
        agent_id: AgentId,
        /// The id of the chat whose messages are listed.
        chat_id: ChatId,
    );
}

request! {
    /// The settings of a new chat.
    AgentChatCreate(
        /// The display name of the chat.
        name: String,
    ) {}
}

request! {
    /// The settings to change in an existing chat.
    AgentChatUpdate() {
        /// The new display name of the chat.
        name: String,
    }
}

open_enum! {
    /// The status of a chat: active or archived.
    ChatStatus {
        /// The chat is in use and accepts messages.
        Active = "active",
        /// The chat is archived and no longer in use.
        Archived = "archived",
    }
}

record! {
    /// A chat between a user and an agent.
    AgentChat {
        /// The id of the chat, by which other requests refer to it.
        id: Option<ChatId>,
        /// The display name of the chat.
        name: Option<String>,
        /// The text of the most recent message in the chat.
        last_message_content: Option<String>,
        /// The time at which the most recent message was sent.
        last_message_sent_at: Option<Timestamp>,
        /// The number of messages in the chat.
        message_count: Option<u64>,
        /// The time at which the chat was created.
        generated_at: Option<Timestamp>,
        /// The status of the chat, active or archived.
        status: Option<ChatStatus>,
        /// The agent that the chat belongs to.
        agent: Option<Agent>,
    }
}

impl AgentChat {
    /// Returns the id of the chat.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `id`.
    pub fn id(&self) -> Result<&ChatId, MissingField> {
        MissingField::check(self.id.as_ref(), "id")
    }
}

record! {
    /// The response to a request that created or changed a chat.
    AgentChatChangeResponse {
        /// A confirmation for people, in the language of the account.
        message: Option<String>,
        /// The chat with the settings that it has after the change.
        chat: Option<AgentChat>,
    }
}

impl AgentChatChangeResponse {
    /// Returns the id of the chat that was created or changed.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `chat` with an id.
    pub fn id(&self) -> Result<&ChatId, MissingField> {
        MissingField::check(self.chat.as_ref().and_then(|chat| chat.id.as_ref()), "chat.id")
    }
}

record! {
    /// A message in a chat between a user and an agent.
    ChatMessage {
        /// The id of the message within the service.
        id: Option<String>,
        /// The text of the message, as its author wrote it.
        content: Option<String>,
        /// The role of the message's author.
        role: Option<Role>,
        /// The time at which the message was sent.
        sent_at: Option<Timestamp>,
        /// The id of the chat that the message belongs to.
        chat_id: Option<ChatId>,
    }
}
