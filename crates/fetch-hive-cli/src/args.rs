//! The command line.

use clap::builder::Styles;
use clap::builder::styling::{AnsiColor, Effects};
use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};

use crate::commands::Command;
use crate::options::Globals;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .usage(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .literal(AnsiColor::Cyan.on_default().effects(Effects::BOLD))
    .placeholder(AnsiColor::Cyan.on_default());

/// Examples come before everything else.
const TEMPLATE: &str = "{about}\n\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

const EXAMPLES: &str = "\
Examples:
  fetch-hive workflow run weekly-report -i topic=\"enterprise AI\"
  fetch-hive prompt run tagline --inputs row.json --stream
  fetch-hive agent chat support
  fetch-hive agent list --workspace ws_1 --jq '.agents[].name'
  fetch-hive --emulate workflow run weekly-report        # without a key";

/// Runs workflows, prompts and agents of Fetch Hive from a shell.
#[derive(Debug, Parser)]
#[command(
    name = "fetch-hive",
    version,
    before_help = EXAMPLES,
    after_help = "`fetch-hive help exit-codes` explains the exit codes. A key is never an argument: see \
                  `fetch-hive auth --help`.",
    styles = STYLES,
    max_term_width = 100,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Returns the command line's description.
    pub(crate) fn description() -> clap::Command {
        let mut description = Self::command();
        description.build();
        with_template(description)
    }

    /// Parses the arguments of this process.
    pub(crate) fn from_env() -> Result<Self, clap::Error> {
        // This builds only the invoked command. Help and errors need the whole description.
        match Self::try_parse() {
            Err(error) if error.kind() != ErrorKind::DisplayVersion => {}
            parsed => return parsed,
        }
        let mut description = Self::description();
        let matches = description.try_get_matches_from_mut(std::env::args_os())?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut description))
    }
}

fn with_template(command: clap::Command) -> clap::Command {
    command.help_template(TEMPLATE).mut_subcommands(with_template)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Command)>) {
        let path = format!("{path} {}", command.get_name());
        if command.has_subcommands() {
            command.get_subcommands().for_each(|command| leaves(command, &path, found));
        } else {
            found.push((path.trim().to_owned(), command.clone()));
        }
    }

    #[test]
    fn command_line_is_consistent() {
        Cli::description().debug_assert();
    }

    #[test]
    fn help_of_every_command_starts_with_examples() {
        let mut found = Vec::new();
        leaves(&Cli::description(), "", &mut found);
        assert!(found.len() > 40, "{}", found.len());
        for (path, mut command) in found {
            let help = command.render_help().to_string();
            let example = help.lines().nth(2).unwrap_or_default().to_owned();
            assert!(example.starts_with("Examples:"), "{path}: {help}");
            assert!(help.contains(&format!("\n  {path}")), "{path} is not in its examples: {help}");
        }
    }

    #[test]
    fn help_of_every_command_describes_the_command() {
        let listed = Cli::command();
        for command in Cli::description().get_subcommands() {
            let about = listed.find_subcommand(command.get_name()).unwrap().get_about();
            assert_eq!(about.unwrap().to_string(), command.get_about().unwrap().to_string());
        }
        let mut found = Vec::new();
        leaves(&Cli::description(), "", &mut found);
        for (path, command) in found {
            let about = command.get_about().unwrap().to_string();
            // The description of a flattened group of options is a noun phrase.
            assert!(!about.starts_with("The ") && !about.starts_with("Where "), "{path}: {about}");
        }
    }

    #[test]
    fn typos_suggest_the_nearest_command() {
        for (typo, wanted) in [("workflw", "workflow"), ("promt", "prompt"), ("doctr", "doctor")] {
            let error = Cli::description().try_get_matches_from(["fetch-hive", typo]).unwrap_err().to_string();
            assert!(error.contains(&format!("'{wanted}'")), "{error}");
        }
        let error = Cli::description().try_get_matches_from(["fetch-hive", "agent", "lst"]).unwrap_err().to_string();
        assert!(error.contains("'list'"), "{error}");
    }

    #[test]
    fn no_option_takes_a_key() {
        let mut found = Vec::new();
        leaves(&Cli::description(), "", &mut found);
        for (path, command) in found {
            for argument in command.get_arguments() {
                let name = argument.get_id().as_str();
                let takes_text = argument.get_action().takes_values();
                let is_secret = ["key", "secret", "token", "password", "api_key"].contains(&name);
                assert!(!(takes_text && is_secret), "{path}: {name}");
            }
        }
    }
}
