//! One file per group of commands.

pub(crate) mod agent;
pub(crate) mod api;
pub(crate) mod approval;
pub(crate) mod asset;
pub(crate) mod auth;
pub(crate) mod callback;
pub(crate) mod catalog;
pub(crate) mod chat;
pub(crate) mod completion;
pub(crate) mod delegation;
pub(crate) mod doctor;
#[cfg(feature = "emulator")]
pub(crate) mod emulator;
pub(crate) mod help;
pub(crate) mod history;
pub(crate) mod hive_agent;
pub(crate) mod kb;
pub(crate) mod kb_item;
#[cfg(feature = "mcp")]
pub(crate) mod mcp;
pub(crate) mod prompt;
pub(crate) mod request;
mod resource;
mod stream;
pub(crate) mod trigger;
pub(crate) mod workflow;

use crate::args::Command;
use crate::context::Context;
use crate::failure::Result;

/// Executes a command.
pub(crate) async fn dispatch(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Workflow(command) => workflow::execute(command, context).await,
        Command::Prompt(command) => prompt::execute(command, context).await,
        Command::Agent(command) => Box::pin(agent::execute(command, context)).await,
        Command::HiveAgent(command) => hive_agent::execute(command, context).await,
        Command::Request(command) => request::execute(command, context).await,
        Command::Trigger(command) => trigger::execute(command, context).await,
        Command::Callback(command) => Box::pin(callback::execute(command, context)).await,
        Command::History(command) => history::execute(command, context).await,
        Command::Chat(command) => chat::execute(command, context).await,
        Command::Kb(command) => kb::execute(command, context).await,
        Command::KbItem(command) => kb_item::execute(command, context).await,
        Command::Asset(command) => asset::execute(command, context).await,
        Command::Approval(command) => approval::execute(command, context).await,
        Command::Delegation(command) => delegation::execute(command, context).await,
        Command::Model(command) => catalog::models(command, context).await,
        Command::Country(command) => catalog::countries(command, context).await,
        Command::ErrorCode(command) => catalog::error_codes(command, context).await,
        Command::Api(command) => api::execute(command, context).await,
        Command::Auth(command) => auth::execute(command, context).await,
        Command::Doctor(command) => Box::pin(doctor::execute(&command, context)).await,
        #[cfg(feature = "emulator")]
        Command::Emulator(command) => emulator::execute(command, context).await,
        #[cfg(feature = "mcp")]
        Command::Mcp(command) => Box::pin(mcp::execute(command, context)).await,
        Command::Completion(command) => completion::execute(&command, context),
        Command::Help(command) => help::execute(&command, context),
    }
}
