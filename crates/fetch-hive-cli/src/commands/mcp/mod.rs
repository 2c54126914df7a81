//! `fetch-hive mcp`.

mod config;
mod server;
mod verdict;

use std::path::PathBuf;

use clap::Args;
use rmcp::ServiceExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};

use self::config::{ToolConfig, ToolsFile};
use self::server::Server;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::json;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  fetch-hive mcp --config tools.toml
  fetch-hive mcp --config tools.toml --list

The file names the tools:
  [[tool]]
  name = \"weekly_report\"
  description = \"Writes the weekly report on a topic.\"
  workflow = \"weekly-report\"                  # or prompt = \"…\", or agent = \"…\"
  title = \"Weekly report\"                     # optional, as all fields below
  variant = \"short\"                           # of the workflow or prompt
  timeout = \"10m\"
  inputs.topic = { type = \"string\", description = \"The topic\", required = true }

The type of an input is string, number, integer, boolean, object or array. Other keys of JSON
Schema, such as enum and minimum, are passed on. The inputs of an agent are message and thread.";

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
    let (stdin, to_server) = tokio::io::duplex(64 << 10);
    tokio::spawn(forward_json(to_server, context.out.clone()));
    let running = server.serve((stdin, tokio::io::stdout())).await.map_err(|error| failed(&error))?;
    running.waiting().await.map_err(|error| failed(&error))?;
    Ok(())
}

/// Forwards standard input, and reports each line that is not JSON, because the server ignores it.
async fn forward_json(mut to_server: DuplexStream, out: Output) {
    let mut lines = BufReader::new(tokio::io::stdin()).split(b'\n');
    while let Ok(Some(mut line)) = lines.next_segment().await {
        if json::is_valid(&line) {
            line.push(b'\n');
            if to_server.write_all(&line).await.is_err() {
                return;
            }
        } else if !line.trim_ascii().is_empty() {
            out.warn("ignored a line on standard input that is not JSON");
        }
    }
}
