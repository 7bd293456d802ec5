//! The arguments of the commands that make no requests: `check`, `match`, `route`, `explain`, `convert` and `schema`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::reading::{DialectArgs, LimitsArgs, LineArgs, VariablesArgs, dialect};
use super::values::{self, TextArg};

/// The filter to apply to events.
#[derive(Clone, Debug, Args)]
pub(crate) struct FilterArgs {
    /// The filter: JSON text, or @FILE
    #[arg(short, long, value_name = "FILTER")]
    pub(crate) filter: TextArg,

    #[command(flatten)]
    pub(crate) dialect: DialectArgs,
}

/// Whether a JSON value is a filter or a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Filter,
    Spec,
}

/// What a file to check holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckedKind {
    Filter,
    Spec,
    Rules,
}

/// Find errors in filters, specs and rules
///
/// Reads files of filters and specs (any sequence of JSON values per file) or of rules (as `route` reads them) and prints every error and warning to standard
/// error, with its location in the source and, where possible, a fix. Makes no requests. Header values are hidden, since
/// they may be secret.
///
/// An object counts as a spec if it has a member url that is a string, or a member that only specs have (cacheKey,
/// requestInit, responseFilter, failureFilter, requestTimeout, giveUp). Any other value counts as a filter. A
/// file whose first line is {"id": …, "filter": …} counts as rules. --as overrides this.
///
/// Rules are also compared with each other: rules that are equal, and rules whose events another rule matches too, are
/// warnings. Found are those with fewer or wider conditions: lists, comparisons, beginnings and ends of strings.
#[derive(Debug, Args)]
#[command(after_long_help = r#"Examples:
  poll check export.json filters/*.json
  poll check --as filter --dialect trigger-dev rule.json
  poll check --as rules rules.jsonl
  poll check --format github specs/*.json     in a workflow of GitHub Actions
  poll check --json specs/*.json | jq '.problems[].message'
  echo '{"status": {"$startWith": "SUCC"}}' | poll check -

Exit codes:
  0 no errors (warnings do not count), 1 errors, 2 a file cannot be read or
  a bad argument"#)]
pub(crate) struct CheckArgs {
    /// Files to check; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Treat every value as a filter or as a spec, or every line as a rule: filter, spec or rules
    #[arg(long = "as", value_name = "KIND", hide_possible_values = true)]
    pub(crate) kind: Option<CheckedKind>,

    #[command(flatten)]
    pub(crate) dialect: DialectArgs,

    #[command(flatten)]
    pub(crate) variables: VariablesArgs,

    #[command(flatten)]
    pub(crate) limits: LimitsArgs,

    /// Print errors only: no warnings, no summary
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Also print to standard output: json, one object; github, annotations of GitHub Actions
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        hide_default_value = true,
        hide_possible_values = true
    )]
    format: Format,

    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl CheckArgs {
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// What `check` prints to standard output, beside the text on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Nothing.
    Text,
    /// One object with all problems.
    Json,
    /// A workflow command per problem.
    Github,
}

/// Print the JSON Lines that match a filter
///
/// Reads one JSON value per line and prints the lines that match, unchanged and in order, searching on all cores. Lines
/// that are not JSON are reported on standard error and the search continues; blank lines are skipped. Without a
/// file, reads standard input. Matches from a pipe are printed before the command waits for more input.
#[derive(Debug, Args)]
#[command(after_long_help = r#"Examples:
  poll match -f '{"level": ["error", "fatal"]}' app.jsonl
  poll match -f '{"user": {"age": {"$gte": 18}}, "new": {"$exists": true}}' \
    events-*.jsonl
  tail -f app.jsonl | poll match --line-buffered -f @alerts.json | notify
  poll match -q -f '{"type": "refund"}' today.jsonl && echo 'there were refunds'

Exit codes:
  0 a line was selected, 1 none was, 2 an error occurred: a bad filter, a file
  that cannot be read, a line that is not JSON. With -q, 0 if a line was
  selected, even after an error"#)]
pub(crate) struct MatchArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Select the lines that do not match
    #[arg(short = 'v', long)]
    pub(crate) invert_match: bool,

    /// Print only the number of selected lines; with several files, FILE:COUNT for each
    #[arg(short, long)]
    pub(crate) count: bool,

    /// Print nothing; exit with 0 at the first selected line
    #[arg(short, long, conflicts_with = "count")]
    pub(crate) quiet: bool,

    /// Flush every match at once, as on a terminal, even while more input is available
    #[arg(long)]
    pub(crate) line_buffered: bool,

    #[command(flatten)]
    pub(crate) lines: LineArgs,

    /// Files of JSON Lines; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Print which of many rules each event matches
///
/// Reads rules, one per line: {"id": …, "filter": …}, the id a string or a number. Then reads events, one per line, and
/// prints for each event the ids of the rules it matches, as an array in the order of the rules; `[]` if there are
/// none. The cost per event depends on the rules it nearly matches, not on the number of rules.
///
/// If the rules have errors, they are reported and no event is routed. Events that are not JSON are reported on
/// standard error and yield no line; blank lines are skipped. Both count as lines for --json. Without a file, reads standard input; results for events
/// from a pipe are printed before the command waits for more input.
#[derive(Debug, Args)]
#[command(after_long_help = r#"Examples:
  poll route -r rules.jsonl events.jsonl
  tail -f app.jsonl | poll route -r alerts.jsonl \
    | while read -r ids; do notify "$ids"; done
  poll route --dialect event-bridge -r patterns.jsonl --stats events.jsonl
  poll route -r queues.jsonl --first --else dead-letters --events app.jsonl
  poll route -r rules.jsonl --hits app.jsonl >/dev/null

Rules:
  {"id": "big-order", "filter": {"type": "order", "amount": {"$gte": 1000}}}
  {"id": 17, "filter": {"type": [{"$startsWith": "refund."}]}}

Exit codes:
  0 an event matched a rule, 1 none did, 2 an error occurred: a bad rule, an
  unreadable file, a line that is not JSON"#)]
pub(crate) struct RouteArgs {
    /// The rules: a file of JSON Lines; `-` is standard input
    #[arg(short, long, value_name = "RULES")]
    pub(crate) rules: PathBuf,

    #[command(flatten)]
    pub(crate) dialect: DialectArgs,

    /// Print statistics to standard error: memory, indexes, and the rules that are checked against every event
    #[arg(long)]
    pub(crate) stats: bool,

    /// Print objects: {"line": 3, "ids": […]}
    #[arg(long)]
    pub(crate) json: bool,

    /// Print the events with their ids: {"line": 3, "ids": […], "event": {…}}
    #[arg(long)]
    pub(crate) events: bool,

    /// Print for each id the conditions that held: {"line": 3, "ids": […], "why": […]}
    #[arg(long)]
    pub(crate) why: bool,

    /// Print only the first rule that matches: the order of the rules is their priority
    #[arg(long)]
    pub(crate) first: bool,

    /// Print this id for events that match no rule
    #[arg(long = "else", value_name = "ID", value_parser = values::rule_id)]
    pub(crate) otherwise: Option<String>,

    /// In the end, print to standard error how many events each rule got, and which rules got none
    #[arg(long)]
    pub(crate) hits: bool,

    #[command(flatten)]
    pub(crate) lines: LineArgs,

    /// A file of events; without one, or for `-`, standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// Explain why events do or do not match a filter
///
/// Prints for each event whether it matches, and lists the conditions of the filter: the field of each, the expected and
/// the actual value. Reads any sequence of JSON values, one per line or spread over several lines.
#[derive(Debug, Args)]
#[command(after_long_help = r#"Examples:
  echo '{"progress": 40}' | poll explain -f '{"progress": {"$gte": 50}}'
  curl -s https://api.example.com/jobs/42 | poll explain -f @done.json
  poll explain --json -f @done.json events.jsonl | jq 'select(.matched | not)'

Exit codes:
  0 an event matched, 1 none did, 2 an error occurred: a bad filter, unreadable
  or invalid input"#)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Print one JSON object per event
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) lines: LineArgs,

    /// A file of events; without one, or for `-`, standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// Convert filters of other dialects to the native one
///
/// Reads filters (any sequence of JSON values per file) and prints each in the native dialect, one per line. A converted
/// filter matches exactly the same events; a filter that the native dialect cannot express is rejected with the reason.
#[derive(Debug, Args)]
#[command(after_long_help = r#"Examples:
  poll convert --from trigger-dev rule.json
  echo '{"n": [{"$gt": 1}, {"$lt": 5}]}' | poll convert --from trigger-dev
  poll convert --from event-bridge --assume-flat-arrays patterns/*.json
  poll convert --from event-bridge --assume-no-arrays rule.json > native.json

Exit codes:
  0 all were converted, 1 one was not, 2 a file cannot be read or a bad argument"#)]
pub(crate) struct ConvertArgs {
    /// The dialect of the filters: trigger-dev or event-bridge; native filters are printed unchanged
    #[arg(long, value_name = "DIALECT", hide_possible_values = true, value_parser = dialect())]
    pub(crate) from: filter::Dialect,

    /// Assume that no event has an array inside an array
    ///
    /// Patterns of the event-bridge dialect match inside nested arrays, and native filters do not. Only under this
    /// assumption can they be converted; almost all events satisfy it.
    #[arg(long)]
    pub(crate) assume_flat_arrays: bool,

    /// Assume that the fields of the filters are never arrays, nor inside arrays
    ///
    /// The results are short and read like the patterns. Without this, each condition is written twice, for a value
    /// and for the elements of an array.
    #[arg(long)]
    pub(crate) assume_no_arrays: bool,

    /// Files of filters; without one, or for `-`, standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Print the JSON Schema of filters or specs
///
/// Editors use it for completion and validation. It accepts more than `check` does where a schema cannot express a
/// rule: for example, it does not compile regular expressions.
#[derive(Debug, Args)]
#[command(after_long_help = r#"Examples:
  poll schema spec > poll-spec.schema.json
  poll schema filter --dialect event-bridge > pattern.schema.json

Exit codes:
  0 printed, 2 a bad argument"#)]
pub(crate) struct SchemaArgs {
    /// filter or spec
    #[arg(value_name = "KIND", hide_possible_values = true)]
    pub(crate) kind: Kind,

    #[command(flatten)]
    pub(crate) dialect: DialectArgs,

    #[command(flatten)]
    pub(crate) limits: LimitsArgs,
}
