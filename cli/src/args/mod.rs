//! The command line: its commands, their options, and the help that teaches them.
//!
//! Help is written for a first-time user: the purpose of a command, its options, examples that can be pasted, and the exit
//! codes. `-h` prints the short form, `--help` all of it. Snapshots in `tests/cmd` cover the texts.

mod filters;
mod polls;
mod reading;
mod stores;
mod values;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use filters::{
    CheckArgs, ConvertArgs, ExplainArgs, FilterArgs, Kind, MatchArgs, RouteArgs, SchemaArgs,
};
pub(crate) use polls::{ConnectArgs, DemoArgs, RunArgs, WaitArgs};
pub(crate) use stores::{CancelArgs, ForgetArgs, KeysArgs, ListArgs, PurgeArgs, ShowArgs, SubmitArgs};
pub(crate) use values::TextArg;

/// Poll a URL until its JSON says done.
///
/// A background poll requests a URL at a fixed interval until a response matches a filter, a response matches a
/// failure filter, or the timeout is reached. Filters are useful on their own too: `match` is grep for JSON events,
/// `route` matches events against many filters at once, `explain` shows why an event does or does not match, `check`
/// finds errors in filters and specs before they run.
#[derive(Debug, Parser)]
#[command(
    name = "poll",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Run 'poll COMMAND --help' for examples.",
    after_long_help = TOP
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Colour the output: auto, always or never
    ///
    /// `auto` colours on a terminal, unless NO_COLOR is set or TERM is `dumb`.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true,
        display_order = 900
    )]
    pub(crate) color: ColorChoice,
}

const TOP: &str = "\
Start here:
  poll demo
      a poll against a job server on this machine, with comments
  poll wait https://api.example.com/jobs/42 --until '{\"status\": [\"SUCCESS\"]}'
      requests the URL every ten seconds until the job is done, then prints the body
  poll run --store polls.db export.json
      the same from a file; after Ctrl-C or a crash, `poll run --store polls.db` continues
  poll match -f '{\"level\": [\"error\", \"fatal\"]}' app.jsonl
      grep for JSON: the lines that match

A filter is JSON in the shape of what it matches: {\"status\": [\"SUCCESS\", \"DONE\"]} holds when the
field status equals one of the two; {\"progress\": {\"$gte\": 50}} uses an operator. Several fields
must all hold.

Results go to standard output and nothing else does; progress and errors go to standard error.

Exit codes of demo, run and wait:
  0    a response matched
  1    the job failed: the failure filter matched, or further requests cannot succeed
  2    the command could not run: bad arguments, a bad spec, a file that cannot be read
  124  the poll timed out
  130  cancelled by Ctrl-C or SIGTERM; with --store, stopped: the polls stay open
The other commands use the exit codes of grep: 0, 1, and 2 for errors.";

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    Auto,
    Always,
    Never,
}

/// The commands. clap takes the description of each from its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(DemoArgs),
    Run(RunArgs),
    Wait(Box<WaitArgs>),
    Submit(SubmitArgs),
    List(ListArgs),
    Show(ShowArgs),
    Cancel(CancelArgs),
    Forget(ForgetArgs),
    Purge(PurgeArgs),
    Check(CheckArgs),
    Match(MatchArgs),
    Route(RouteArgs),
    Explain(ExplainArgs),
    Convert(ConvertArgs),
    Schema(SchemaArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_and_exit_codes() {
        for command in Cli::command().get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Examples:"), "{}", command.get_name());
            assert!(help.contains("Exit codes:"), "{}", command.get_name());
        }
    }
}
