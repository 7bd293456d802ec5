//! The command line: its commands, their options, and the help that teaches them.
//!
//! Help is written for a first-time user: the purpose of a command, its options, examples that can be pasted, and the exit
//! codes. `-h` prints the short form, `--help` all of it. Snapshots in `tests/cmd` cover the texts.

mod caps;
mod config;
mod connect;
mod filters;
mod generated;
mod location;
mod log;
mod pairs;
mod polls;
mod reading;
mod serve;
mod stores;
mod values;

use clap::{ColorChoice, Parser, Subcommand};

pub(crate) use config::expand;
pub(crate) use connect::ConnectArgs;
pub(crate) use filters::{
    CheckArgs, CheckedKind, ConvertArgs, ExplainArgs, FilterArgs, Format, Kind, MatchArgs, RouteArgs,
    SchemaArgs,
};
pub(crate) use generated::{CompletionsArgs, ManArgs};
pub(crate) use location::StoreLocation;
pub(crate) use log::{LogArgs, LogFormat};
pub(crate) use pairs::PairArg;
pub(crate) use polls::{DemoArgs, RunArgs, WaitArgs};
pub(crate) use reading::VariablesArgs;
pub(crate) use serve::ServeArgs;
pub(crate) use stores::{
    BackupArgs, CancelArgs, CompactArgs, FleetArgs, ForgetArgs, ListArgs, PurgeArgs, ResealArgs, ShowArgs,
    StatusArgs, StoreArgs, SubmitArgs, VerifyArgs, WholeArgs,
};
pub(crate) use values::{TextArg, is_name, is_of_name};

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
    max_term_width = 80,
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
      requests the URL every ten seconds until the job is done, then prints the
      body
  poll run --store polls.db export.json
      the same from a file; after Ctrl-C or a crash, it continues with
      `poll run --store polls.db`
  poll match -f '{\"level\": [\"error\", \"fatal\"]}' app.jsonl
      grep for JSON: the lines that match

A filter is JSON in the shape of what it matches:
{\"status\": [\"SUCCESS\", \"DONE\"]} holds when the field status equals one of the
two; {\"progress\": {\"$gte\": 50}} uses an operator. Several fields must all hold.

Results go to standard output and nothing else does; progress and errors go to
standard error. With --json, errors are an object on standard output too.

Exit codes of demo, run and wait:
  0    a response matched
  1    the job failed: the failure filter matched, or further requests cannot
       succeed
  2    the command could not run: bad arguments, a bad spec, an unreadable file
  124  the poll timed out
  130  cancelled by Ctrl-C or SIGTERM; with --store, stopped: polls stay open
The other commands use the exit codes of grep: 0, 1, and 2 for errors.";

/// The commands. clap takes the description of each from its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(DemoArgs),
    Run(Box<RunArgs>),
    Wait(Box<WaitArgs>),
    Serve(Box<ServeArgs>),
    Submit(SubmitArgs),
    List(ListArgs),
    Show(ShowArgs),
    Cancel(CancelArgs),
    Forget(ForgetArgs),
    Purge(PurgeArgs),
    Status(StatusArgs),
    Fleet(FleetArgs),
    Backup(BackupArgs),
    Compact(CompactArgs),
    Verify(VerifyArgs),
    Reseal(ResealArgs),
    Check(CheckArgs),
    Match(MatchArgs),
    Route(RouteArgs),
    Explain(ExplainArgs),
    Convert(ConvertArgs),
    Schema(SchemaArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

impl Command {
    /// Whether standard output carries JSON only, errors included.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Demo(DemoArgs { report }) => report.json,
            Self::Run(args) => args.report.json,
            Self::Wait(args) => args.report.json,
            Self::Submit(SubmitArgs { each, .. })
            | Self::List(ListArgs { each, .. })
            | Self::Cancel(CancelArgs { each, .. })
            | Self::Forget(ForgetArgs { each, .. }) => each.json,
            Self::Status(StatusArgs { whole })
            | Self::Fleet(FleetArgs { whole })
            | Self::Backup(BackupArgs { whole, .. })
            | Self::Compact(CompactArgs { whole })
            | Self::Verify(VerifyArgs { whole })
            | Self::Reseal(ResealArgs { whole }) => whole.json,
            Self::Show(ShowArgs { json, .. })
            | Self::Purge(PurgeArgs { json, .. })
            | Self::Explain(ExplainArgs { json, .. })
            | Self::Route(RouteArgs { json, .. }) => *json,
            Self::Check(args) => args.format() == Format::Json,
            Self::Serve(_) | Self::Match(_) | Self::Convert(_) | Self::Schema(_) => false,
            Self::Completions(_) | Self::Man(_) => false,
        }
    }

    /// Whether problems are needed as data, besides their text.
    pub(crate) fn wants_problems(&self) -> bool {
        self.json() || matches!(self, Self::Check(args) if args.format() != Format::Text)
    }
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
    fn help_fits_80_columns() {
        let mut command = Cli::command().term_width(80);
        command.build();
        let mut commands: Vec<_> = command.get_subcommands().cloned().collect();
        commands.push(command);
        for mut command in commands {
            for help in [command.render_long_help(), command.render_help()] {
                for line in help.to_string().lines() {
                    assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
                }
            }
        }
        // clap wraps examples too, at places where they cannot be pasted; therefore the source must fit.
        for command in Cli::command().get_subcommands() {
            let after = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            for line in after.lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
        }
        assert!(TOP.lines().all(|line| line.chars().count() <= 80));
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
