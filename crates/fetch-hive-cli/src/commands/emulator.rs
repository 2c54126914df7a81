//! `fetch-hive emulator`.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use fetch_hive_emulator::{DEFAULT_WORKSPACE, Emulator, FORMAT_HELP, Fault, Plan, StartError};

use crate::context::Context;
use crate::failure::{Failure, Result, chain, chain_lines};

const EXAMPLES: &str = "\
Examples:
  fetch-hive emulator
  fetch-hive emulator --config deployments.toml --listen 127.0.0.1:8787
  fetch-hive emulator --plan lite --fault 'status=503 chance=0.1'

Then, in another terminal:
  export FETCH_HIVE_BASE_URL=http://127.0.0.1:8787/v1 FETCH_HIVE_API_KEY=fhk_any
  export FETCH_HIVE_WORKSPACE=00000000-0000-4000-8000-000000000001

Agents and approvals are in that workspace.";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES, after_help = FORMAT_HELP)]
pub(crate) struct EmulatorArgs {
    /// The address to listen on; port 0 selects a free port
    #[arg(long, value_name = "ADDRESS", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)))]
    listen: SocketAddr,
    /// Declare deployments in a TOML or YAML file, which is read again when it changes
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Store the records in a file, so that they survive a restart
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Limit concurrent runs and calls per day: lite, starter or pro
    #[arg(long, value_name = "PLAN")]
    plan: Option<Plan>,
    /// Limit concurrent workflow runs
    #[arg(long, value_name = "RUNS")]
    concurrency: Option<usize>,
    /// Limit invocations per day
    #[arg(long, value_name = "CALLS")]
    daily_cap: Option<u64>,
    /// Inject a fault, such as 'status=503 chance=0.1'
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Fault>,
    /// Let requests inject faults with the header x-fetch-hive-fault
    #[arg(long)]
    fault_header: bool,
    /// Deliver callbacks also to private addresses
    #[arg(long)]
    allow_private: bool,
    /// Serve HTTPS with a generated certificate for loopback addresses
    #[arg(long, requires = "ca_out")]
    tls: bool,
    /// Write the certificate of the generated authority to a file (PEM)
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
}

pub(crate) async fn execute(command: EmulatorArgs, context: &Context) -> Result<()> {
    let mut builder = Emulator::builder().listen(command.listen).record_limit(1_000).page(true).tls(command.tls);
    if let Some(file) = command.config {
        builder = builder.config(file);
    }
    if let Some(file) = command.data {
        builder = builder.data(file);
    }
    if let Some(plan) = command.plan {
        builder = builder.plan(plan);
    }
    if let Some(calls) = command.daily_cap {
        builder = builder.daily_cap(calls);
    }
    if let Some(runs) = command.concurrency {
        builder = builder.concurrency(runs);
    }
    if command.fault_header {
        builder = builder.fault_header();
    }
    if command.allow_private {
        builder = builder.allow_private_callbacks();
    }
    for fault in command.fault {
        builder = builder.fault(fault);
    }
    if !context.globals.quiet {
        builder = builder.logger(|line| {
            // A closed standard error does not stop the emulator.
            let _ = writeln!(std::io::stderr(), "{line}");
        });
    }
    let emulator = builder.start().await.map_err(|error| match error {
        StartError::Config(_) | StartError::Fault(_) => {
            Failure::usage(chain_lines(&error)).next("`fetch-hive emulator --help` shows the format")
        }
        error => Failure::other(chain(&error)).next("pass another `--listen ADDRESS`, such as 127.0.0.1:0"),
    })?;
    if let (Some(file), Some(pem)) = (&command.ca_out, emulator.ca_pem()) {
        std::fs::write(file, pem).map_err(|error| Failure::file("write", file, &error))?;
    }
    context.out.text(&format!("listening on {}", emulator.base_url()))?;
    context.out.text(&format!("page at {}/_emulator/", emulator.base_url().trim_end_matches("/v1")))?;
    context.out.text(&format!("workspace {DEFAULT_WORKSPACE}"))?;
    let _ = tokio::signal::ctrl_c().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_name_the_workspace() {
        assert!(EXAMPLES.contains(DEFAULT_WORKSPACE));
    }
}
