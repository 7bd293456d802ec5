//! The arguments of the commands that work on filters without a network: `check`, `match` and `explain`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{Args, ValueEnum};

use super::values::{self, TextArg};

/// Reads a dialect's name; clap lists the names and suggests the nearest.
pub(super) fn dialect() -> ValueParser {
    PossibleValuesParser::new(["native", "trigger-dev", "event-bridge"])
        .try_map(|name| name.parse::<filter::Dialect>())
        .into()
}

/// The filter that events are held against.
#[derive(Clone, Debug, Args)]
pub(crate) struct FilterArgs {
    /// The filter: JSON text, or @FILE
    #[arg(short, long, value_name = "FILTER", value_parser = values::text)]
    pub(crate) filter: TextArg,

    /// How the filter is written: native, trigger-dev or event-bridge
    #[arg(long, default_value = "native", hide_possible_values = true, value_parser = dialect())]
    pub(crate) dialect: filter::Dialect,
}

/// What `check` is to take a JSON value for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Filter,
    Spec,
}

/// Find mistakes in filters and specs
///
/// Reads files of filters and specs (one, or any sequence of JSON values per file) and prints every error and warning
/// with its place, a caret under it and, where one is likely, the remedy; on standard error, as compilers do. Nothing
/// is requested from anywhere. Header values are not shown, since they may be secret.
///
/// An object is taken for a spec when it has a member url that is a string, or a member that only specs have
/// (cacheKey, requestInit, responseFilter, failureFilter, requestTimeout, giveUp); anything else for a filter. --as
/// decides for all.
#[derive(Debug, Args)]
#[command(after_long_help = r#"Examples:
  poll check export.json filters/*.json
  poll check --as filter --dialect trigger-dev rule.json
  echo '{"status": {"$startWith": "SUCC"}}' | poll check -

Exit codes:
  0 no errors (warnings are none), 1 errors, 2 a file cannot be read or a bad argument"#)]
pub(crate) struct CheckArgs {
    /// Files to check; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Take everything for this: filter or spec
    #[arg(long = "as", value_name = "KIND", hide_possible_values = true)]
    pub(crate) kind: Option<Kind>,

    /// How filters are written: native, trigger-dev or event-bridge; a spec says so itself
    #[arg(long, default_value = "native", hide_possible_values = true, value_parser = dialect())]
    pub(crate) dialect: filter::Dialect,

    /// Allow any interval and timeout in specs, as `run --unbounded` does
    #[arg(long)]
    pub(crate) unbounded: bool,

    /// Print errors only: no warnings, no summary
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Print the JSON Lines that match a filter
///
/// Reads one JSON value per line and prints the lines that match, byte for byte. Lines that are not JSON are reported
/// on standard error and the search goes on; blank lines are skipped. Without a file, reads standard input.
#[derive(Debug, Args)]
#[command(after_long_help = r#"Examples:
  poll match -f '{"level": ["error", "fatal"]}' app.jsonl
  poll match -f '{"user": {"age": {"$gte": 18}}, "tags": {"$includes": "new"}}' events-*.jsonl
  tail -f app.jsonl | poll match --line-buffered -f @alerts.json | notify
  poll match -q -f '{"type": "refund"}' today.jsonl && echo 'there were refunds'

Exit codes:
  0 a line was selected, 1 none was, 2 an error occurred: a bad filter, a file that cannot be read,
  a line that is not JSON. With -q a selected line makes it 0 whatever else occurred"#)]
pub(crate) struct MatchArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Select the lines that do not match
    #[arg(short = 'v', long)]
    pub(crate) invert_match: bool,

    /// Print how many lines are selected instead; with several files, FILE:COUNT for each
    #[arg(short, long)]
    pub(crate) count: bool,

    /// Print nothing; end with 0 at the first selected line
    #[arg(short, long, conflicts_with = "count")]
    pub(crate) quiet: bool,

    /// Write out every line as soon as it is found, as is done on a terminal
    #[arg(long)]
    pub(crate) line_buffered: bool,

    /// Files of JSON Lines; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Say why events do or do not match a filter
///
/// For each event, says whether it matches and lists the conditions of the filter: where each looks, what it expects,
/// what it found. Reads any sequence of JSON values, on a line each or spread over several.
#[derive(Debug, Args)]
#[command(after_long_help = r#"Examples:
  echo '{"status": "RUNNING", "progress": 40}' | poll explain -f '{"progress": {"$gte": 50}}'
  curl -s https://api.example.com/jobs/42 | poll explain -f @done.json
  poll explain --json -f @done.json events.jsonl | jq 'select(.matched | not)'

Exit codes:
  0 an event matched, 1 none did, 2 an error occurred: a bad filter, unreadable or invalid input"#)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Print one JSON object per event
    #[arg(long)]
    pub(crate) json: bool,

    /// A file of events; `-`, or none, is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}
