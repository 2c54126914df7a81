//! The command `fetch-hive`.

mod args;
mod commands;
mod config;
mod context;
mod exit;
mod failure;
mod history;
mod inputs;
mod jq;
mod json;
#[cfg(feature = "keyring")]
mod keyring;
mod keys;
#[cfg(all(test, feature = "emulator"))]
mod operations;
mod options;
mod output;
mod preview;
mod redact;
mod run;
mod table;
mod terminal;
mod text;

use std::io::Write as _;
use std::process::ExitCode;

use crate::args::Cli;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::options::Color;

/// The allocator of musl asks the system for most blocks, which takes as long as a short command.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::from_env() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is silent.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match cli.globals.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure);
            ExitCode::from(failure.exit.code())
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(async {
        let context = Context::new(cli.globals)?;
        let result = commands::dispatch(cli.command, Cli::description, &context).await;
        result.map_err(|failure| if context.emulates() { failure.emulated() } else { failure })
    });
    // A read of standard input cannot be cancelled, and must not delay the exit.
    runtime.shutdown_background();
    result
}

/// Prints a failure to standard error.
fn report(failure: &Failure) {
    if failure.text.is_empty() {
        return;
    }
    let error = anstyle::AnsiColor::Red.on_default().bold();
    let hint = anstyle::AnsiColor::Cyan.on_default();
    let mut stderr = anstream::stderr().lock();
    let _ = writeln!(stderr, "{error}error:{error:#} {}", failure.text);
    if let Some(id) = failure.request_id.as_ref().filter(|id| !failure.text.contains(*id)) {
        let _ = writeln!(stderr, " {hint}run:{hint:#}  {id}");
    }
    if let Some(next) = &failure.next {
        let _ = writeln!(stderr, " {hint}next:{hint:#} {next}");
    }
}
