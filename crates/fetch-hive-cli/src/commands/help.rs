//! `fetch-hive help`.

use std::io::Write as _;

use clap::Args;
use clap::error::ContextKind;

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
    let mut found = description.clone();
    found.build();
    for name in &command.topic {
        let Some(next) = found.find_subcommand(name) else {
            let next = match nearest(description, &command.topic) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "`fetch-hive help` lists the commands; the topic is exit-codes".to_owned(),
            };
            return Err(Failure::usage(format!("no command or topic `{name}`")).next(next));
        };
        found = next.clone();
    }
    let help = found.render_help();
    // The colours are removed if standard output is not a terminal.
    write!(anstream::stdout().lock(), "{}", help.ansi()).map_err(|error| Failure::write(&error))
}

/// Returns the command that the parser suggests.
fn nearest(description: clap::Command, topic: &[String]) -> Option<String> {
    let words = std::iter::once("fetch-hive").chain(topic.iter().map(String::as_str));
    let error = description.try_get_matches_from(words).err()?;
    error.get(ContextKind::SuggestedSubcommand).map(ToString::to_string)
}
