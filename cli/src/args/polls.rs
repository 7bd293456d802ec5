//! The arguments of the commands that poll: `demo`, `run` and `wait`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use poller::Limits;

use super::events::dialect;
use super::values::{self, HeaderArg, TextArg};

/// What to print, for every command that polls.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ReportArgs {
    /// Print the whole outcome as one JSON object, whatever the outcome is
    #[arg(long)]
    pub(crate) json: bool,

    /// Tell no story on standard error, only errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// How to reach servers.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConnectArgs {
    /// Trust the certificates in this PEM file, besides the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,

    /// Refuse bodies larger than this once decompressed, say 20MiB or 500k; without it, 10MiB
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub(crate) max_body: Option<u64>,
}

impl ConnectArgs {
    /// These limits, but for what was asked for.
    pub(crate) fn bound(&self, mut limits: Limits) -> Limits {
        limits.max_body = self.max_body.unwrap_or(limits.max_body);
        limits
    }
}

/// Watch a poll work against a job server on this machine
///
/// Starts a small HTTP server on a free port of the loopback interface. Its job goes from PENDING over RUNNING to
/// SUCCESS within a few seconds, and the server misbehaves on the way as real ones do: once it answers 500, once 429
/// with Retry-After. The poll is the same one that `run` makes; what happens, and why, is told on standard error.
/// Nothing leaves this machine and nothing is left behind.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll demo
  poll demo 2>/dev/null         the result alone: the JSON body of the response that matched
  poll demo --json | jq .attempts

Exit codes:
  0 the job succeeded, 2 the demo could not run, 130 cancelled")]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Run polls that are written down as specs
///
/// A spec is a JSON object: the URL, how often and how long to ask, what counts as done and what as failed. A file
/// holds one spec or any sequence of them. The specs of all files are checked before the first request is made; then
/// they run at the same time.
///
/// With one spec, the body of the response that matched goes to standard output byte for byte; without a match,
/// nothing does. With several, each poll prints one line of JSON as it ends, as --json does: its key, its outcome
/// ("matched", "failed", "timed out" or "cancelled"), the response, the attempts. Specs that share a cacheKey and are
/// equal are one poll; if they differ, that is an error.
///
/// What happens is told on standard error. Of up to 20 polls every attempt is; of more, one line counts them (done, under
/// way, requests a second, the oldest, the time left), redrawn on a terminal and written every half minute into a log, and
/// only those that fail or run out of time get a line, the first hundred of them.
///
/// With --store, polls are kept in a file and survive this process. Run the same command again, after a crash or Ctrl-C,
/// and they go on with the same start and deadline; a poll that has ended is not asked again, its stored result is
/// printed at once. Without SPEC, everything that is open in the file is run until nothing is, and each poll prints its
/// line. With SPEC, the other open polls of the file run along meanwhile, but only those given are printed and waited
/// for. One process at a time runs a file; `submit`, `list`, `show`, `cancel` and `forget` work beside it, and what is
/// submitted is taken on within a second.
#[derive(Debug, Args)]
#[command(after_long_help = r#"A spec (only url is required; times are in seconds):
  {
    "url": "https://api.example.com/v1/exports/42",
    "interval": 10,
    "timeout": 300,
    "requestInit": {"headers": {"authorization": {"$secret": "env:API_TOKEN"}}},
    "responseFilter": {"status": [200], "body": {"status": ["SUCCESS"]}},
    "failureFilter": {"body": {"status": ["FAILED", "CANCELLED"]}}
  }

Examples:
  poll run export.json
  poll run export.json > result.json && echo ready
  poll run nightly/*.json | jq -r 'select(.outcome != "matched") | .key'
  jq '{url, responseFilter: {body: {done: true}}}' jobs.json | poll run -
  poll run --store polls.db export.json
  poll run --store polls.db

Exit codes:
  0    every poll matched
  1    a poll failed: its failure filter matched, or asking cannot succeed
  2    a spec is wrong or cannot be read, no request was made; the store cannot be used
  124  a poll ran out of time
  130  cancelled by Ctrl-C or SIGTERM; with --store, stopped: the polls stay open.
       A second Ctrl-C ends at once
Of several, the first of 2, 130, 1, 124, 0 that occurred."#)]
pub(crate) struct RunArgs {
    /// Files of specs; `-` is standard input
    #[arg(required_unless_present = "store", value_name = "SPEC")]
    pub(crate) files: Vec<PathBuf>,

    /// Keep the polls in this file, so that they survive this process; it is made if it is not there
    #[arg(long, value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,

    /// Forget finished polls of the same keys first, so that they are asked anew
    #[arg(long, requires = "store", requires = "files")]
    pub(crate) fresh: bool,

    /// The scope of the keys in the store; without it, the default scope
    #[arg(long, value_name = "NAME", requires = "store", requires = "files", value_parser = values::scope)]
    pub(crate) scope: Option<String>,

    /// Lift the limits on interval (10 to 300 s) and timeout (30 to 3600 s)
    #[arg(long)]
    pub(crate) unbounded: bool,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Poll a URL until a response matches
///
/// Asks at once, then at every interval, until a response matches --until (exit 0, its body on standard output), one
/// matches --fail-if (exit 1), or the time is up (exit 124). Without --until any 2xx response will do. Errors do not
/// end it: a server that is down, slow or answers 500 is asked again.
#[derive(Debug, Args)]
#[command(
    after_long_help = r#"FILTER is JSON text, or @FILE. It is one of two things; the story says which it was taken for:
  a filter for the body      '{"status": ["SUCCESS"]}'
  a filter for the response  '{"status": [200], "headers": {…}, "body": {"status": ["SUCCESS"]}}'
It is taken for the second when its only members are status, headers and body and each has that
shape: status lists status codes or patterns such as "2xx" and "500-599", headers and body are
objects. So {"status": [200]} means the status code, {"status": ["SUCCESS"]} a field of the body.
Where that is not what you mean, --until-body and --fail-if-body always take a filter for the body.

Secrets: a header value that is, or ends in, env:NAME or @FILE is read from there, so that it does
not show in the list of processes:
  --header 'authorization: Bearer env:API_TOKEN'
A backslash before such a word keeps it as it is.

Examples:
  poll wait http://localhost:8080/health
  poll wait https://api.example.com/jobs/42 --until '{"status": ["SUCCESS"]}' \
    --fail-if '{"status": ["FAILED", "CANCELLED"]}' --every 5s --timeout 10m \
    --header 'authorization: Bearer env:API_TOKEN'
  poll wait https://example.com/report.pdf --until '{"status": [200]}' > report.pdf

Exit codes:
  0    a response matched
  1    the job failed: --fail-if matched, or asking cannot succeed (say, five times 401)
  2    bad arguments, a bad filter, a secret that cannot be read; no request was made
  124  the time was up
  130  cancelled by Ctrl-C or SIGTERM; a second Ctrl-C ends at once"#
)]
pub(crate) struct WaitArgs {
    /// What to ask, http or https
    pub(crate) url: String,

    /// The response that ends the wait; without it, any 2xx
    #[arg(long, value_name = "FILTER", value_parser = values::text)]
    pub(crate) until: Option<TextArg>,

    /// The body that ends the wait
    #[arg(long, value_name = "FILTER", value_parser = values::text, conflicts_with = "until")]
    pub(crate) until_body: Option<TextArg>,

    /// The response that means failure; looked for first
    #[arg(long, value_name = "FILTER", value_parser = values::text)]
    pub(crate) fail_if: Option<TextArg>,

    /// The body that means failure; looked for first
    #[arg(long, value_name = "FILTER", value_parser = values::text, conflicts_with = "fail_if")]
    pub(crate) fail_if_body: Option<TextArg>,

    /// From one request to the next; 0.1s is the least
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::poll_duration)]
    pub(crate) every: Duration,

    /// When to stop waiting; 0.1s is the least
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = values::poll_duration)]
    pub(crate) timeout: Duration,

    /// Send this header: 'Name: value', 'Name: env:VARIABLE', 'Name: @FILE'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = values::header)]
    pub(crate) headers: Vec<HeaderArg>,

    /// The request's method; POST with --data, otherwise GET
    #[arg(short = 'X', long)]
    pub(crate) method: Option<String>,

    /// Send this body: text, @FILE, or @- for standard input. Its content-type is yours to give
    #[arg(short, long, value_name = "BODY", value_parser = values::text)]
    pub(crate) data: Option<TextArg>,

    /// How the filters are written: native, trigger-dev or event-bridge
    #[arg(long, default_value = "native", hide_possible_values = true, value_parser = dialect())]
    pub(crate) dialect: filter::Dialect,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
