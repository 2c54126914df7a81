//! One file per group of commands.

pub(crate) mod agent;
pub(crate) mod api;
pub(crate) mod approval;
pub(crate) mod asset;
pub(crate) mod auth;
pub(crate) mod batch;
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

use clap::Subcommand;

use crate::context::Context;
use crate::failure::Result;

/// A command.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Run workflows
    #[command(subcommand)]
    Workflow(workflow::Workflow),
    /// Run prompts
    #[command(subcommand)]
    Prompt(prompt::Prompt),
    /// Run agents, chat with them and manage them
    #[command(subcommand)]
    Agent(agent::Agent),
    /// Run the rows of a spreadsheet
    #[command(subcommand)]
    Batch(batch::BatchCommand),
    /// Run hive agents
    #[command(subcommand)]
    HiveAgent(hive_agent::HiveAgent),
    /// Look up runs and wait for them
    #[command(subcommand)]
    Request(request::Request),
    /// Start deployments with their webhook secret
    #[command(subcommand)]
    Trigger(trigger::Trigger),
    /// Receive and verify callbacks
    #[command(subcommand)]
    Callback(callback::Callback),
    /// Show the runs that single commands have started; `batch list` shows the batches
    #[command(subcommand)]
    History(history::History),
    /// Manage the chats of an agent
    #[command(subcommand)]
    Chat(chat::Chat),
    /// Manage and search knowledge bases
    #[command(subcommand)]
    Kb(kb::Kb),
    /// Manage the items of a knowledge base
    #[command(subcommand)]
    KbItem(kb_item::KbItem),
    /// List and upload assets
    #[command(subcommand)]
    Asset(asset::Asset),
    /// List and decide approvals of tool actions
    #[command(subcommand)]
    Approval(approval::Approval),
    /// Look up and cancel the work that agents have delegated
    #[command(subcommand)]
    Delegation(delegation::Delegation),
    /// List the models
    #[command(subcommand)]
    Model(catalog::Model),
    /// List the countries of the search services
    #[command(subcommand)]
    Country(catalog::Country),
    /// List the error codes of the service
    #[command(subcommand)]
    ErrorCode(catalog::ErrorCode),
    /// Send a request to any path of the API
    Api(api::Api),
    /// Store, show and delete keys
    #[command(subcommand)]
    Auth(auth::Auth),
    /// Check the key, the network and the service
    Doctor(doctor::Doctor),
    /// Run an emulator of the service on this machine
    #[cfg(feature = "emulator")]
    Emulator(emulator::EmulatorArgs),
    /// Offer workflows, prompts and agents as tools to an MCP client
    #[cfg(feature = "mcp")]
    Mcp(mcp::Mcp),
    /// Print a completion script for a shell
    Completion(completion::Completion),
    /// Print the help of a command, or of a topic such as exit-codes
    Help(help::Help),
}

/// Executes a command. The description is that of the whole command line.
pub(crate) async fn dispatch(command: Command, description: fn() -> clap::Command, context: &Context) -> Result<()> {
    match command {
        Command::Workflow(command) => workflow::execute(command, context).await,
        Command::Prompt(command) => prompt::execute(command, context).await,
        Command::Agent(command) => Box::pin(agent::execute(command, context)).await,
        Command::Batch(command) => batch::execute(command, context).await,
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
        Command::Completion(command) => completion::execute(&command, description(), context),
        Command::Help(command) => help::execute(&command, description(), context),
    }
}
