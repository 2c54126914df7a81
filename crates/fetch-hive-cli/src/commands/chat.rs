//! `fetch-hive chat`.

use clap::Subcommand;
use fetch_hive_client::types::{
    AgentChatCreate, AgentChatUpdate, ClearAgentChatMessages, CreateAgentChat, DeleteAgentChat, GetAgentChat,
    ListAgentChatMessages, UpdateAgentChat,
};

use super::resource::{Fields, call, change, delete};
use crate::context::Context;
use crate::failure::Result;
use crate::table::Shape;
use crate::terminal::confirm;

const MESSAGES: Shape = Shape::List { key: "messages", columns: &["sent_at", "role", "content"] };
const RECORD: Shape = Shape::Record("chat");

#[derive(Debug, Subcommand)]
pub(crate) enum Chat {
    /// List the messages of a chat, oldest first
    #[command(before_help = "Examples:\n  fetch-hive chat messages agent_1 chat_1")]
    Messages {
        /// The id of the agent
        agent: String,
        /// The id of the chat
        id: String,
    },
    /// Show a chat
    #[command(before_help = "Examples:\n  fetch-hive chat get agent_1 chat_1")]
    Get {
        /// The id of the agent
        agent: String,
        /// The id of the chat
        id: String,
    },
    /// Create a chat with an agent
    #[command(before_help = "Examples:\n  fetch-hive chat create agent_1 -f name=Onboarding")]
    Create {
        /// The id of the agent
        agent: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Change a chat
    #[command(before_help = "Examples:\n  fetch-hive chat update agent_1 chat_1 -f name=Renewal")]
    Update {
        /// The id of the agent
        agent: String,
        /// The id of the chat
        id: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Delete all messages of a chat
    #[command(before_help = "Examples:\n  fetch-hive chat clear agent_1 chat_1 --yes")]
    Clear {
        /// The id of the agent
        agent: String,
        /// The id of the chat
        id: String,
    },
    /// Delete a chat
    #[command(before_help = "Examples:\n  fetch-hive chat delete agent_1 chat_1 --yes")]
    Delete {
        /// The id of the agent
        agent: String,
        /// The id of the chat
        id: String,
    },
}

pub(crate) async fn execute(command: Chat, context: &Context) -> Result<()> {
    let workspace = context.workspace()?;
    match command {
        Chat::Messages { agent, id } => call(context, ListAgentChatMessages::new(workspace, agent, id), MESSAGES).await,
        Chat::Get { agent, id } => call(context, GetAgentChat::new(workspace, agent, id), RECORD).await,
        Chat::Create { agent, fields } => {
            let request = CreateAgentChat::new(workspace, agent, fields.read::<AgentChatCreate>()?);
            change(context, request, RECORD, &fields.preview).await
        }
        Chat::Update { agent, id, fields } => {
            let request = UpdateAgentChat::new(workspace, agent, id, fields.read::<AgentChatUpdate>()?);
            change(context, request, RECORD, &fields.preview).await
        }
        Chat::Clear { agent, id } => {
            confirm(&context.globals, &format!("Delete all messages of the chat {id}?"))?;
            call(context, ClearAgentChatMessages::new(workspace, agent, id), RECORD).await
        }
        Chat::Delete { agent, id } => {
            let request = DeleteAgentChat::new(workspace, agent, id.as_str());
            delete(context, &format!("the chat {id}"), request).await
        }
    }
}
