//! The options that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::text::parse_duration;

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
    /// The store of the history and of webhook secrets: a file or a postgres:// URL [default: in
    /// the data folder]
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
    /// The format of the result [default: text for a run; for other results, a table or text on a
    /// terminal and JSON elsewhere]
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
    /// Answer every question with yes, except for approvals of tool actions: see --auto-approve
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

/// The inputs and the metadata of a run.
#[derive(Debug, Args)]
pub(crate) struct InputArgs {
    /// An input: NAME=TEXT, NAME:=JSON, NAME=@FILE, NAME:=@FILE.json, or NAME=\@TEXT for a text
    /// that starts with an at sign
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
    /// Print a curl command instead of sending the request, without the key unless --show-secrets
    /// is set
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) curl: bool,
}
