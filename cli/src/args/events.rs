//! The arguments of the commands that work without a network: `check`, `match`, `route`, `explain`, `convert` and `schema`.

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

/// What a JSON value is meant to be.
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
/// Reads one JSON value per line and prints the lines that match, byte for byte and in order, searching on all cores.
/// Lines that are not JSON are reported on standard error and the search goes on; blank lines are skipped. Without a
/// file, reads standard input. What is found in a pipe is printed before more of it is waited for.
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

    /// Write out what is found at once, as is done on a terminal, even while there is more to read
    #[arg(long)]
    pub(crate) line_buffered: bool,

    /// Files of JSON Lines; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Say which of many rules each event matches
///
/// Reads rules, one per line: {"id": …, "filter": …}, the id a string or a number. Then reads events, one per line, and
/// prints for each a line with the ids of the rules that it matches, as an array in the order of the rules: `[]` if
/// there is none. What an event costs depends on the rules that it nearly matches, not on how many there are.
///
/// Mistakes in the rules are all reported, and nothing is routed then. Lines that are not JSON are reported on standard
/// error and get no line; blank lines are skipped. Without a file, reads standard input; what comes through a pipe is
/// answered before more of it is waited for.
#[derive(Debug, Args)]
#[command(after_long_help = r#"Examples:
  poll route -r rules.jsonl events.jsonl
  tail -f app.jsonl | poll route -r alerts.jsonl | while read -r ids; do notify "$ids"; done
  poll route --dialect event-bridge -r patterns.jsonl --stats events.jsonl > routes.jsonl

Rules:
  {"id": "big-order", "filter": {"type": "order", "amount": {"$gte": 1000}}}
  {"id": 17, "filter": {"type": [{"$startsWith": "refund."}]}}

Exit codes:
  0 an event matched a rule, 1 none did, 2 an error occurred: a bad rule, an unreadable file, a line
  that is not JSON"#)]
pub(crate) struct RouteArgs {
    /// The rules: a file of JSON Lines; `-` is standard input
    #[arg(short, long, value_name = "RULES")]
    pub(crate) rules: PathBuf,

    /// How the filters are written: native, trigger-dev or event-bridge
    #[arg(long, default_value = "native", hide_possible_values = true, value_parser = dialect())]
    pub(crate) dialect: filter::Dialect,

    /// Say on standard error what the rules take, how they are found, and which are checked against every event
    #[arg(long)]
    pub(crate) stats: bool,

    /// A file of events; `-`, or none, is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
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

/// Say filters of another dialect in the native one
///
/// Reads filters (one, or any sequence of JSON values per file) and prints each in the native dialect, one per line. The
/// meaning is kept on every event: what the native dialect cannot say exactly is refused with the reason.
#[derive(Debug, Args)]
#[command(after_long_help = r#"Examples:
  poll convert --from trigger-dev rule.json
  echo '{"n": [{"$gt": 1}, {"$lt": 5}]}' | poll convert --from trigger-dev
  poll convert --from event-bridge --assume-flat-arrays patterns/*.json

Exit codes:
  0 all were converted, 1 one was not, 2 a file cannot be read or a bad argument"#)]
pub(crate) struct ConvertArgs {
    /// How they are written: trigger-dev or event-bridge; native filters are printed as they are
    #[arg(long, value_name = "DIALECT", hide_possible_values = true, value_parser = dialect())]
    pub(crate) from: filter::Dialect,

    /// Assume that no event has an array inside an array
    ///
    /// Patterns of the event-bridge dialect look into arrays in arrays, and native filters do not; only under this
    /// assumption can they be converted. Hardly any events break it.
    #[arg(long)]
    pub(crate) assume_flat_arrays: bool,

    /// Files of filters; `-`, or none, is standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Print the JSON Schema of filters or specs
///
/// An editor that is given it completes and checks what is written. It is laxer than `check` where a schema cannot
/// tell: it does not compile regular expressions, for one.
#[derive(Debug, Args)]
#[command(after_long_help = r#"Examples:
  poll schema spec > poll-spec.schema.json
  poll schema filter --dialect event-bridge > pattern.schema.json

Exit codes:
  0 printed, 2 a bad argument"#)]
pub(crate) struct SchemaArgs {
    /// Of what: filter or spec
    #[arg(value_name = "KIND", hide_possible_values = true)]
    pub(crate) kind: Kind,

    /// Of filters in this dialect; the schema of specs has all three
    #[arg(long, default_value = "native", hide_possible_values = true, value_parser = dialect())]
    pub(crate) dialect: filter::Dialect,

    /// Allow any interval and timeout in specs, as `run --unbounded` does
    #[arg(long)]
    pub(crate) unbounded: bool,
}
