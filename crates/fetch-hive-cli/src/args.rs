//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::Styles;
use clap::builder::styling::{AnsiColor, Effects};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::commands;
use crate::text::parse_duration;

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

/// The options of all commands.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
#[allow(clippy::struct_excessive_bools, reason = "each is an option")]
pub(crate) struct Globals {
    /// The base URL of the service
    #[arg(long, global = true, value_name = "URL", env = "FETCH_HIVE_BASE_URL", hide_env_values = true)]
    pub(crate) base_url: Option<String>,
    /// The profile to use, from `fetch-hive auth login --profile NAME`
    #[arg(long, global = true, value_name = "NAME", env = "FETCH_HIVE_PROFILE", hide_env_values = true)]
    pub(crate) profile: Option<String>,
    /// The environment variable that contains the key [default: `FETCH_HIVE_API_KEY`]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) key_env: Option<String>,
    /// The workspace of agents, knowledge bases, assets and approvals
    #[arg(long, global = true, value_name = "ID", env = "FETCH_HIVE_WORKSPACE", hide_env_values = true)]
    pub(crate) workspace: Option<String>,
    /// The longest time that a call may take, such as 30s, 10m or 1h [default: 10m for a run, else
    /// 2m]
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// The store of the history and of webhook secrets: a file or a postgres:// URL [default: in the
    /// data folder]
    #[arg(long, global = true, value_name = "PATH", env = "FETCH_HIVE_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// Do not record this command in the history
    #[arg(long, global = true)]
    pub(crate) no_history: bool,
    /// Start an emulator of the service in this process, with the deployments of a file, and use it
    /// without a key
    #[cfg(feature = "emulator")]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    pub(crate) emulate: Option<String>,
    /// The format of the result [default: guessed]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
    /// Print the result as JSON: short for --output json
    #[arg(long, global = true, conflicts_with = "output")]
    pub(crate) json: bool,
    /// Print what a jq filter selects from the JSON
    #[arg(long, global = true, value_name = "FILTER", conflicts_with_all = ["output", "json"])]
    pub(crate) jq: Option<String>,
    /// Show webhook secrets in results instead of masking them
    #[arg(long, global = true)]
    pub(crate) show_secrets: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Answer every question with yes
    #[arg(long, short = 'y', global = true)]
    pub(crate) yes: bool,
    /// Never ask a question
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Print nothing but the result and errors
    #[arg(long, short = 'q', global = true)]
    pub(crate) quiet: bool,
    /// Print each request with its status and duration
    #[arg(long, short = 'v', global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
}

/// A format of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text: the output of a run, or one line per item with tabs between its columns
    Text,
    /// The JSON of the service
    Json,
    /// A table
    Table,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run workflows
    #[command(subcommand)]
    Workflow(commands::workflow::Workflow),
    /// Run prompts
    #[command(subcommand)]
    Prompt(commands::prompt::Prompt),
    /// Run agents, chat with them and manage them
    #[command(subcommand)]
    Agent(commands::agent::Agent),
    /// Run hive agents
    #[command(subcommand)]
    HiveAgent(commands::hive_agent::HiveAgent),
    /// Look up runs and wait for them
    #[command(subcommand)]
    Request(commands::request::Request),
    /// Start deployments with their webhook secret
    #[command(subcommand)]
    Trigger(commands::trigger::Trigger),
    /// Receive and verify callbacks
    #[command(subcommand)]
    Callback(commands::callback::Callback),
    /// Show what was run from this machine
    #[command(subcommand)]
    History(commands::history::History),
    /// Manage the chats of an agent
    #[command(subcommand)]
    Chat(commands::chat::Chat),
    /// Manage and search knowledge bases
    #[command(subcommand)]
    Kb(commands::kb::Kb),
    /// Manage the items of a knowledge base
    #[command(subcommand)]
    KbItem(commands::kb_item::KbItem),
    /// List and upload assets
    #[command(subcommand)]
    Asset(commands::asset::Asset),
    /// List and decide approvals of tool actions
    #[command(subcommand)]
    Approval(commands::approval::Approval),
    /// Look up and cancel the work that agents have delegated
    #[command(subcommand)]
    Delegation(commands::delegation::Delegation),
    /// List the models
    #[command(subcommand)]
    Model(commands::catalog::Model),
    /// List the countries of the search services
    #[command(subcommand)]
    Country(commands::catalog::Country),
    /// List the error codes of the service
    #[command(subcommand)]
    ErrorCode(commands::catalog::ErrorCode),
    /// Send any request
    Api(commands::api::Api),
    /// Store, show and delete keys
    #[command(subcommand)]
    Auth(commands::auth::Auth),
    /// Check the key, the network and the service
    Doctor(commands::doctor::Doctor),
    /// Run an emulator of the service on this machine
    #[cfg(feature = "emulator")]
    Emulator(commands::emulator::EmulatorArgs),
    /// Offer workflows, prompts and agents as tools to an MCP client
    #[cfg(feature = "mcp")]
    Mcp(commands::mcp::Mcp),
    /// Print a completion script for a shell
    Completion(commands::completion::Completion),
    /// Print the help of a command, or of a topic such as exit-codes
    Help(commands::help::Help),
}

impl Cli {
    /// Returns the command line's description.
    pub(crate) fn description() -> clap::Command {
        with_template(Self::command())
    }

    /// Parses the arguments of this process.
    pub(crate) fn from_env() -> Result<Self, clap::Error> {
        let mut description = Self::description();
        let matches = description.try_get_matches_from_mut(std::env::args_os())?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut description))
    }
}

fn with_template(command: clap::Command) -> clap::Command {
    command.help_template(TEMPLATE).mut_subcommands(with_template)
}

/// The inputs and the metadata of a run.
#[derive(Debug, Args)]
pub(crate) struct InputArgs {
    /// An input: NAME=TEXT, NAME:=JSON, NAME=@FILE, NAME:=@FILE.json, or NAME=\@TEXT for a text that
    /// starts with an at sign
    #[arg(short = 'i', long = "input", value_name = "NAME=VALUE")]
    pub(crate) input: Vec<String>,
    /// A file with a JSON object of inputs, or - for standard input; --input overrides it
    #[arg(long, value_name = "FILE")]
    pub(crate) inputs: Option<PathBuf>,
    /// A metadata value, which comes back with the outcome: NAME=TEXT or NAME:=JSON
    #[arg(short = 'm', long, value_name = "NAME=VALUE")]
    pub(crate) metadata: Vec<String>,
    /// Your own id of the user on whose behalf the run is started
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<String>,
}

/// The options that show a request instead of sending it.
#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    /// Print the request instead of sending it
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print a curl command instead of sending the request; the key is masked without --show-secrets
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) curl: bool,
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
