//! The arguments of the commands that print files for other programs: `completions` and `man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// Print the completions of a shell
///
/// The script completes commands and options of poll when Tab is pressed.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll completions bash > ~/.local/share/bash-completion/completions/poll
  poll completions zsh > ~/.zfunc/_poll
  poll completions fish > ~/.config/fish/completions/poll.fish

Exit codes:
  0 printed, 2 a bad argument")]
pub(crate) struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub(crate) shell: Shell,
}

/// Write the man pages into a folder
///
/// Writes poll.1 and a page for each command, such as poll-wait.1. They say what --help says.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll man ~/.local/share/man/man1 && man poll-wait

Exit codes:
  0 written, 2 the folder cannot be written or a bad argument")]
pub(crate) struct ManArgs {
    /// The folder; it is made if it is missing
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}
