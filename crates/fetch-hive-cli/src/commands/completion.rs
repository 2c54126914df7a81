//! `fetch-hive completion`.

use clap::Args;
use clap_complete::Shell;

use crate::context::Context;
use crate::failure::Result;

const EXAMPLES: &str = "\
Examples:
  fetch-hive completion bash > ~/.local/share/bash-completion/completions/fetch-hive
  fetch-hive completion zsh > ~/.zfunc/_fetch-hive
  fetch-hive completion fish > ~/.config/fish/completions/fetch-hive.fish
  fetch-hive completion powershell >> $PROFILE";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn execute(command: &Completion, mut description: clap::Command, context: &Context) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut description, "fetch-hive", &mut script);
    let script = String::from_utf8_lossy(&script);
    if command.shell == Shell::Bash {
        // clap_complete writes the hyphen of the command's name in two ways, so no case matches.
        return context.out.text(&script.replace("fetch__subcmd__hive__", "fetch__hive__"));
    }
    context.out.text(&script)
}
