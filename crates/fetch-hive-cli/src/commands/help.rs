//! `fetch-hive help`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use clap::error::ContextKind;

use crate::context::Context;
use crate::exit;
use crate::failure::{Failure, Result};

const EXAMPLES: &str = "\
Examples:
  fetch-hive help workflow run
  fetch-hive help exit-codes
  fetch-hive help --man ~/.local/share/man/man1";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Help {
    /// A command, or the topic exit-codes
    topic: Vec<String>,
    /// Write the manual pages of all commands into a folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "topic")]
    man: Option<PathBuf>,
}

pub(crate) fn execute(command: &Help, description: clap::Command, context: &Context) -> Result<()> {
    if let Some(folder) = &command.man {
        std::fs::create_dir_all(folder).map_err(|error| Failure::file("create", folder, &error))?;
        return clap_mangen::generate_to(description, folder)
            .map_err(|error| Failure::file("write to", folder, &error));
    }
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
