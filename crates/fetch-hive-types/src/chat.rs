use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{Agent, AgentId, ChatId, MissingField, Role, Timestamp, WorkspaceId};

request! {
    /// Begins a chat with an agent: `POST …/agents/{agent_id}/chats`.
    CreateAgentChat(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The agent.
        agent_id: AgentId,
        /// Its settings.
        chat: AgentChatCreate,
    );
}

request! {
    /// Reads a chat: `GET …/chats/{id}`. The service has no list of chats.
    GetAgentChat(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The agent.
        agent_id: AgentId,
        /// The chat.
        id: ChatId,
    );
}

request! {
    /// Changes a chat: `PATCH …/chats/{id}`. What is not set stays as it is.
    UpdateAgentChat(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The agent.
        agent_id: AgentId,
        /// The chat.
        id: ChatId,
        /// What changes.
        chat: AgentChatUpdate,
    );
}

request! {
    /// Deletes a chat: `DELETE …/chats/{id}`.
    DeleteAgentChat(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The agent.
        agent_id: AgentId,
        /// The chat.
        id: ChatId,
    );
}

request! {
    /// Deletes the messages of a chat: `PATCH …/chats/{id}/clear_messages`.
    ClearAgentChatMessages(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The agent.
        agent_id: AgentId,
        /// The chat.
        id: ChatId,
    );
}

request! {
    /// Lists the messages of a chat, oldest first: `GET …/chats/{chat_id}/messages`.
    ListAgentChatMessages(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The agent.
        agent_id: AgentId,
        /// The chat.
        chat_id: ChatId,
    );
}

request! {
    /// The settings of a new chat.
    AgentChatCreate(
        /// Its name.
        name: String,
    ) {}
}

request! {
    /// What changes in a chat.
    AgentChatUpdate() {
        /// Its name.
        name: String,
    }
}

open_enum! {
    /// Whether a chat is in use.
    ChatStatus {
        /// It is.
        Active = "active",
        /// It was put away.
        Archived = "archived",
    }
}

record! {
    /// A chat of an agent.
    AgentChat {
        /// The chat.
        id: Option<ChatId>,
        /// Its name.
        name: Option<String>,
        /// The text of its newest message.
        last_message_content: Option<String>,
        /// When that was sent.
        last_message_sent_at: Option<Timestamp>,
        /// How many messages it has.
        message_count: Option<u64>,
        /// When it was made.
        generated_at: Option<Timestamp>,
        /// Whether it is in use.
        status: Option<ChatStatus>,
        /// Its agent.
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
    /// A chat after a change, with what the service says about it.
    AgentChatChangeResponse {
        /// What the service says.
        message: Option<String>,
        /// The chat.
        chat: Option<AgentChat>,
    }
}

impl AgentChatChangeResponse {
    /// Returns the id of the created or changed chat.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `chat` with an id.
    pub fn id(&self) -> Result<&ChatId, MissingField> {
        MissingField::check(self.chat.as_ref().and_then(|chat| chat.id.as_ref()), "chat.id")
    }
}

record! {
    /// A message of a chat.
    ChatMessage {
        /// Its id.
        id: Option<String>,
        /// Its text.
        content: Option<String>,
        /// Who said it.
        role: Option<Role>,
        /// When it was sent.
        sent_at: Option<Timestamp>,
        /// Its chat.
        chat_id: Option<ChatId>,
    }
}
