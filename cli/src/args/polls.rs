//! The arguments of the commands that poll: `demo`, `run` and `wait`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use poller::Limits;

use super::reading::{DialectArgs, LimitsArgs};
use super::values::{self, HeaderArg, TextArg};

/// What to print, for the commands that run polls.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ReportArgs {
    /// Print the whole outcome as one JSON object, whatever the outcome is
    #[arg(long)]
    pub(crate) json: bool,

    /// Print no progress on standard error, only errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// How to connect to servers.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConnectArgs {
    /// Trust the certificates in this PEM file, in addition to those of the system
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,

    /// Reject bodies that are larger than this after decompression, such as 20MiB or 500k; 10MiB by default
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub(crate) max_body: Option<u64>,
}

impl ConnectArgs {
    /// `limits` with the limits given on the command line.
    pub(crate) fn apply(&self, mut limits: Limits) -> Limits {
        limits.max_body = self.max_body.unwrap_or(limits.max_body);
        limits
    }
}

/// Watch a poll run against a job server on this machine
///
/// Starts a small HTTP server on a free port of the loopback interface. Its job goes from PENDING over RUNNING to
/// SUCCESS within a few seconds, and the server fails on the way as real ones do: it responds once with 500 and once
/// with 429 and Retry-After. The poll is built as by `run`; each step is explained on standard error. Nothing is sent to
/// other machines and no files are written.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll demo
  poll demo 2>/dev/null         only the result: the JSON body of the response that matched
  poll demo --json | jq .attempts

Exit codes:
  0 the job succeeded, 2 the demo could not run, 130 cancelled")]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Run the polls described by specs
///
/// A spec is a JSON object: the URL, the interval and timeout, what counts as success and what as failure. A file
/// contains one spec or any sequence of them. The specs of all files are checked before the first request; then all
/// polls run concurrently.
///
/// With one spec, the body of the response that matched goes to standard output unchanged; without a match, nothing
/// does. With several specs, or with --json, each poll prints one line of JSON when it ends: its key, its outcome
/// ("matched", "failed", "timed out" or "cancelled"), the response, the attempts. Equal specs with the same cacheKey
/// are one poll; different specs with the same cacheKey are an error.
///
/// Progress goes to standard error. For up to 20 polls, every attempt gets a line. For more, one line shows the totals
/// (done, in flight, requests per second, the oldest, the time left), redrawn on a terminal and otherwise printed
/// every half minute, and only polls that fail or time out get a line, the first hundred of them.
///
/// With --store, polls are kept in a file and survive this process. After a crash or Ctrl-C, run the same command
/// again: open polls continue with the same start and deadline; a finished poll makes no more requests, and its stored
/// result is printed at once. Without SPEC, all open polls of the file run until none is left, and each prints its
/// line. With SPEC, the other open polls of the file run too, but the command prints and waits for the given ones only.
/// One process at a time runs a file. `submit`, `list`, `show`, `cancel` and `forget` work beside it, and it starts
/// submitted polls within a second.
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
  1    a poll failed: its failure filter matched, or further requests cannot succeed
  2    a spec is wrong or cannot be read, no request was made; the store cannot be used
  124  a poll timed out
  130  cancelled by Ctrl-C or SIGTERM; with --store, stopped: the polls stay open.
       A second Ctrl-C ends at once
For several polls, the first of 2, 130, 1, 124, 0 that occurred."#)]
pub(crate) struct RunArgs {
    /// Files of specs; `-` is standard input
    #[arg(required_unless_present = "store", value_name = "SPEC")]
    pub(crate) files: Vec<PathBuf>,

    /// Keep the polls in this file, so that they survive this process; it is created if missing
    #[arg(long, value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,

    /// Forget finished polls with the same keys first, so that they run again
    #[arg(long, requires = "store", requires = "files")]
    pub(crate) fresh: bool,

    /// The scope of the keys in the store; the default scope if omitted
    #[arg(long, value_name = "NAME", requires = "store", requires = "files", value_parser = values::scope)]
    pub(crate) scope: Option<String>,

    #[command(flatten)]
    pub(crate) limits: LimitsArgs,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Poll a URL until a response matches
///
/// Requests the URL at once and then at every interval, until a response matches --until (exit 0, its body on standard
/// output) or --fail-if (exit 1), or until the timeout (exit 124). Without --until, any 2xx response matches. Errors do
/// not end the poll: if the server is down, slow or responds with 500, the next request follows.
#[derive(Debug, Args)]
#[command(
    after_long_help = r#"FILTER is JSON text, or @FILE. There are two kinds; the first line of progress shows the kind in use:
  a filter for the body      '{"status": ["SUCCESS"]}'
  a filter for the response  '{"status": [200], "headers": {…}, "body": {"status": ["SUCCESS"]}}'
A filter applies to the response if all its members are status, headers or body and have the right
type: status lists status codes or patterns such as "2xx" and "500-599", headers and body are
objects. So {"status": [200]} means the status code, {"status": ["SUCCESS"]} a field of the body.
--until-body and --fail-if-body always take a filter for the body.

Secrets: a header value that is, or ends in, env:NAME or @FILE is read from there, which keeps it
out of the list of processes:
  --header 'authorization: Bearer env:API_TOKEN'
A backslash before such a word turns this off.

Examples:
  poll wait http://localhost:8080/health
  poll wait https://api.example.com/jobs/42 --until '{"status": ["SUCCESS"]}' \
    --fail-if '{"status": ["FAILED", "CANCELLED"]}' --every 5s --timeout 10m \
    --header 'authorization: Bearer env:API_TOKEN'
  poll wait https://example.com/report.pdf --until '{"status": [200]}' > report.pdf

Exit codes:
  0    a response matched
  1    the job failed: --fail-if matched, or further requests cannot succeed (after five times 401)
  2    bad arguments, a bad filter, a secret that cannot be read; no request was made
  124  the poll timed out
  130  cancelled by Ctrl-C or SIGTERM; a second Ctrl-C ends at once"#
)]
pub(crate) struct WaitArgs {
    /// The URL to request, http or https
    pub(crate) url: String,

    /// The response to wait for; any 2xx by default
    #[arg(long, value_name = "FILTER", value_parser = values::text)]
    pub(crate) until: Option<TextArg>,

    /// The body to wait for
    #[arg(long, value_name = "FILTER", value_parser = values::text, conflicts_with = "until")]
    pub(crate) until_body: Option<TextArg>,

    /// The response that means failure; checked first
    #[arg(long, value_name = "FILTER", value_parser = values::text)]
    pub(crate) fail_if: Option<TextArg>,

    /// The body that means failure; checked first
    #[arg(long, value_name = "FILTER", value_parser = values::text, conflicts_with = "fail_if")]
    pub(crate) fail_if_body: Option<TextArg>,

    /// The interval between requests, at least 0.1s
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::poll_duration)]
    pub(crate) every: Duration,

    /// The timeout, at least 0.1s
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = values::poll_duration)]
    pub(crate) timeout: Duration,

    /// Send this header: 'Name: value', 'Name: env:VARIABLE', 'Name: @FILE'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = values::header)]
    pub(crate) headers: Vec<HeaderArg>,

    /// The request's method; POST with --data, otherwise GET
    #[arg(short = 'X', long)]
    pub(crate) method: Option<String>,

    /// Send this body: text, @FILE, or @- for standard input. Set the content-type with --header
    #[arg(short, long, value_name = "BODY", value_parser = values::text)]
    pub(crate) data: Option<TextArg>,

    #[command(flatten)]
    pub(crate) dialect: DialectArgs,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
