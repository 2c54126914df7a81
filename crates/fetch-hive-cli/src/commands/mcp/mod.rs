//! `fetch-hive mcp`.

mod config;
mod server;
mod verdict;

use std::path::PathBuf;

use clap::Args;
use rmcp::ServiceExt as _;
use rmcp::transport::stdio;

use self::config::{ToolConfig, ToolsFile};
use self::server::Server;
use crate::context::Context;
use crate::failure::{Failure, Result};

const EXAMPLES: &str = "\
Examples:
  fetch-hive mcp --config tools.toml
  fetch-hive mcp --config tools.toml --list

The file names the tools:
  [[tool]]
  name = \"weekly_report\"
  description = \"Writes the weekly report on a topic.\"
  workflow = \"weekly-report\"                  # or prompt = \"…\", or agent = \"…\"
  inputs.topic = { type = \"string\", description = \"The topic\", required = true }";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Mcp {
    /// The file that names the tools
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print the tools instead of serving them
    #[arg(long)]
    list: bool,
}

pub(crate) async fn execute(command: Mcp, context: &Context) -> Result<()> {
    let tools = ToolsFile::read(&command.config)?.tools()?;
    if command.list {
        let list: Vec<_> = tools.iter().map(ToolConfig::declaration).collect();
        let json = serde_json::to_vec(&list).map_err(|error| Failure::other(error.to_string()))?;
        return context.out.json(&json);
    }
    let history = if context.records_history() { Some(context.store().await?.history()) } else { None };
    let count = tools.len();
    let server = Server::new(tools, context.client().await?.clone(), history, context.run_timeout());
    context.out.note(&format!("serving {count} tools on standard input and output"));
    let failed = |error: &dyn std::error::Error| Failure::other(format!("MCP: {}", crate::failure::chain(error)));
    let running = server.serve(stdio()).await.map_err(|error| failed(&error))?;
    running.waiting().await.map_err(|error| failed(&error))?;
    Ok(())
}
