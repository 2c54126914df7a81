//! `fetch-hive help`.

use std::io::Write as _;

use clap::Args;

use crate::context::Context;
use crate::exit;
use crate::failure::{Failure, Result};

const EXAMPLES: &str = "\
Examples:
  fetch-hive help workflow run
  fetch-hive help exit-codes";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Help {
    /// A command, or the topic exit-codes
    topic: Vec<String>,
}

pub(crate) fn execute(command: &Help, description: clap::Command, context: &Context) -> Result<()> {
    if command.topic.iter().map(String::as_str).eq(["exit-codes"]) {
        return context.out.text(exit::help().trim_end());
    }
    let mut found = description;
    found.build();
    for name in &command.topic {
        let Some(next) = found.find_subcommand(name) else {
            return Err(Failure::usage(format!("no command or topic `{name}`"))
                .next("`fetch-hive help` lists the commands; the topic is exit-codes"));
        };
        found = next.clone();
    }
    let help = found.render_help();
    // The colours are removed if standard output is not a terminal.
    write!(anstream::stdout().lock(), "{}", help.ansi()).map_err(|error| Failure::write(&error))
}
