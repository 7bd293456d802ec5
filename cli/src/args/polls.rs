//! The arguments of the commands that poll: `demo`, `run` and `wait`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use poller::secret::SecretRule;
use serde_json::Value;

use super::caps::CapsArgs;
use super::connect::ConnectArgs;
use super::location::StoreLocation;
use super::log::LogArgs;
use super::pairs::{self, PairArg};
use super::reading::{DialectArgs, LimitsArgs, SpreadArgs, VariablesArgs};
use super::values::{self, TextArg};

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
  poll demo 2>/dev/null         only the result: the body of the response
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
/// ("matched", "failed", "timed out" or "cancelled"), the response, the attempts. On a terminal and without --json, the line
/// is one for people. Equal specs with the same cacheKey are one poll; different specs with the same cacheKey are an error.
///
/// Progress goes to standard error. For up to 20 polls, every attempt gets a line; a terminal shows only attempts whose
/// result differs from the one before. A failure or timeout is followed by the beginning of the response's body. For more polls, one line shows the totals
/// (done, in flight, requests per second, the oldest, the time left), redrawn on a terminal and otherwise printed
/// every half minute, and only polls that fail or time out get a line, the first hundred of them.
///
/// {{NAME}} in a string of a spec stands for the variable NAME, given by --variable or --variables-file; a string that is
/// nothing else takes the type that the variable has in a JSON file. An unknown name is an error; \\{{ is a literal {{.
///
/// With --store, polls are kept in a file and survive this process. After a crash or Ctrl-C, run the same command
/// again: open polls continue with the same start and deadline; a finished poll makes no more requests, and its stored
/// result is printed at once. Without SPEC, all open polls of the file run until none is left, and each prints its
/// line. With SPEC, the other open polls of the file run too, but the command prints and waits for the given ones only.
/// One process at a time runs a file. `submit`, `list`, `show`, `cancel` and `forget` work beside it, and it starts
/// submitted polls within a second. References to secrets are resolved for the given specs; for polls that come out of the
/// file, only where --allow-secret says so. With --keep it does so until it is stopped by Ctrl-C, SIGTERM or SIGHUP, prints
/// every outcome, and exits with 0.
#[derive(Debug, Args)]
#[command(after_long_help = r#"A spec (only url is required; times are in seconds):
  {
    "url": "https://api.example.com/v1/exports/42",
    "interval": 10,
    "timeout": 300,
    "requestInit": {"headers": {
      "authorization": {"$secret": "env:API_TOKEN", "prefix": "Bearer "}
    }},
    "responseFilter": {"status": [200], "body": {"status": ["SUCCESS"]}},
    "failureFilter": {"body": {"status": ["FAILED", "CANCELLED"]}}
  }

Examples:
  poll run export.json
  poll run export.json > result.json && echo ready
  poll run nightly/*.json | jq -r 'select(.outcome != "matched") | .key'
  poll run nightly/*.json --report junit.xml
  poll run template.json --variable ID=42
  jq '{url, responseFilter: {body: {done: true}}}' jobs.json | poll run -
  poll run --store polls.db export.json
  poll run --store polls.db
  poll run --store /var/lib/poll/polls.db --keep \
    --allow-secret env:API_TOKEN@https://api.example.com

Exit codes:
  0    every poll matched; with --keep, stopped
  1    a poll failed: its failure filter matched, or further requests cannot
       succeed
  2    a spec is wrong or cannot be read, no request was made; the store cannot
       be used
  124  a poll timed out
  130  cancelled by Ctrl-C or SIGTERM; with --store, stopped: polls stay open.
       A second Ctrl-C ends at once
For several polls, the first of 2, 130, 1, 124, 0 that occurred."#)]
pub(crate) struct RunArgs {
    /// Files of specs; `-` is standard input
    #[arg(required_unless_present = "store", value_name = "SPEC")]
    pub(crate) files: Vec<PathBuf>,

    /// Keep the polls in this file, so that they survive this process; it is created if missing. With --keep also a
    /// database that other workers share, as postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "STORE")]
    pub(crate) store: Option<StoreLocation>,

    /// Keep running when no poll is open, as a service: for polls that `poll submit` stores; exit 0 when stopped
    #[arg(long, requires = "store")]
    pub(crate) keep: bool,

    /// With a database: how long the other workers wait for this one when it does not answer, before they take over its
    /// polls; 10s unless given
    #[arg(long, value_name = "DURATION", requires = "keep", value_parser = values::duration)]
    pub(crate) lease: Option<Duration>,

    /// Forget finished polls with the same keys first, so that they run again
    #[arg(long, requires = "store", requires = "files")]
    pub(crate) fresh: bool,

    /// The scope of the keys in the store; the default scope if omitted
    #[arg(long, value_name = "NAME", requires = "store", requires = "files", value_parser = values::scope)]
    pub(crate) scope: Option<String>,

    /// Resolve this secret for this origin also in polls that the store had before: env:TOKEN@https://api.example.com;
    /// may be repeated. Without it, secrets are resolved for the given specs only
    #[arg(long = "allow-secret", value_name = "NAME@ORIGIN", requires = "store", value_parser = values::secret_rule)]
    pub(crate) allow_secrets: Vec<SecretRule>,

    /// Write the outcomes to this file as JUnit XML, for CI systems: a test case per poll
    #[arg(long = "report", value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) variables: VariablesArgs,

    #[command(flatten)]
    pub(crate) limits: LimitsArgs,

    #[command(flatten)]
    pub(crate) spread: SpreadArgs,

    #[command(flatten)]
    pub(crate) caps: CapsArgs,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,

    /// Leave the bodies of responses out of the lines of JSON; the store keeps them
    #[arg(long, conflicts_with = "junit")]
    pub(crate) no_bodies: bool,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Poll URLs until their responses match
///
/// Requests the URL at once and then at every interval, until a response matches --until (exit 0, its body on standard
/// output) or --fail-if (exit 1), or until the timeout (exit 124). Without --until, any 2xx response but 202 matches, except an HTML
/// page elsewhere that a redirect led to: it may be a login. Errors do not end the poll: if the server is down, slow or responds with 500, the next request follows.
///
/// With several URLs, each is polled until it matches, and each prints one line when it ends: JSON in a pipe or with
/// --json. The first match is enough with --any; with --fail-fast, the first failure or timeout ends all.
#[derive(Debug, Args)]
#[command(
    after_long_help = r#"FILTER is JSON text, or @FILE. There are two kinds; the first line of progress
shows the kind in use:
  a filter for the body      '{"status": ["SUCCESS"]}'
  a filter for the response  '{"status": [200], "headers": {…}, "body": {…}}'
A filter applies to the response if all its members are status, headers, body,
text or consecutive and have the right type: status lists status codes or
patterns such as "2xx" and "500-599", headers and body are objects, text has
operators, consecutive is a number. So {"status": [200]} means the status code,
{"status": ["SUCCESS"]} a field of the body. --until-body and --fail-if-body
always take a filter for the body.

Secrets: the value of a header or parameter that is, or ends in, env:NAME or
@FILE is read from there, which keeps it out of the list of processes:
  --header 'authorization: Bearer env:API_TOKEN'
  --query key=env:API_KEY
A backslash before such a word turns this off.

Examples:
  poll wait http://localhost:8080/health
  poll wait https://api.example.com/jobs/42 \
    --until '{"status": ["SUCCESS"]}' \
    --fail-if '{"status": ["FAILED", "CANCELLED"]}' --every 5s --timeout 10m \
    --header 'authorization: Bearer env:API_TOKEN'
  poll wait http://localhost:8080/ --until-text 'Welcome' --consecutive 3
  poll wait http://localhost:8080/health --backoff 1s..30s
  poll wait https://example.com/a.pdf --until '{"status": [200]}' > a.pdf
  poll wait --fail-fast http://localhost:8080/health http://localhost:9090/ready

Exit codes:
  0    every URL matched, or with --any one of them
  1    a job failed: --fail-if matched, or further requests cannot succeed
       (after five times 401)
  2    bad arguments, a bad filter, a secret that cannot be read; no request
       was made
  124  a poll timed out
  130  cancelled by Ctrl-C or SIGTERM; a second Ctrl-C ends at once
For several URLs, the first of 2, 130, 1, 124, 0 that occurred; polls that
--any or --fail-fast ended do not count."#
)]
pub(crate) struct WaitArgs {
    /// The URLs to request, http or https
    #[arg(required = true, value_name = "URL")]
    pub(crate) urls: Vec<String>,

    /// The response to wait for; any 2xx but 202 by default, and no HTML page that a redirect led to
    #[arg(long, value_name = "FILTER")]
    pub(crate) until: Option<TextArg>,

    /// The body to wait for
    #[arg(long, value_name = "FILTER", conflicts_with = "until")]
    pub(crate) until_body: Option<TextArg>,

    /// The text to wait for anywhere in the body of a 2xx response, whatever its type
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["until", "until_body"])]
    pub(crate) until_text: Option<String>,

    /// How many responses in a row must match [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) consecutive: Option<NonZeroU32>,

    /// The response that means failure; checked first
    #[arg(long, value_name = "FILTER")]
    pub(crate) fail_if: Option<TextArg>,

    /// The body that means failure; checked first
    #[arg(long, value_name = "FILTER", conflicts_with = "fail_if")]
    pub(crate) fail_if_body: Option<TextArg>,

    /// End with the first URL that matches
    #[arg(long, conflicts_with = "fail_fast")]
    pub(crate) any: bool,

    /// End with the first URL that fails or times out
    #[arg(long)]
    pub(crate) fail_fast: bool,

    /// The interval between requests, at least 0.1s [default: 10s, or a tenth of a shorter --timeout]
    #[arg(long, visible_alias = "interval", value_name = "TIME", value_parser = values::poll_duration)]
    every: Option<Duration>,

    /// Intervals that grow by half from one request to the next, up to a longest
    #[arg(long, value_name = "FROM..TO", conflicts_with = "every", value_parser = values::growing)]
    pub(crate) backoff: Option<(Duration, Duration)>,

    /// The timeout, at least 0.1s
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = values::poll_duration)]
    pub(crate) timeout: Duration,

    /// Go on with the URL that a response names: auto, header:NAME or body:/json/pointer
    #[arg(long, value_name = "WHERE", value_parser = values::follow)]
    pub(crate) follow: Option<Value>,

    /// How long one request may take [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = values::poll_duration)]
    pub(crate) request_timeout: Option<Duration>,

    /// Fail after N attempts in a row that cannot get better, such as 401; or never [default: 5]
    #[arg(long, value_name = "N", value_parser = values::give_up)]
    pub(crate) give_up: Option<Value>,

    /// Send this header: 'Name: value', 'Name: env:VARIABLE', 'Name: @FILE'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = pairs::header)]
    pub(crate) headers: Vec<PairArg>,

    /// Append this parameter to the URLs, encoded: NAME=VALUE, NAME=env:VARIABLE, NAME=@FILE; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pairs::query)]
    pub(crate) query: Vec<PairArg>,

    /// Keep the cookies that responses set, and send them with later requests of the same poll
    #[arg(long)]
    pub(crate) cookies: bool,

    /// The request's method; POST with --data, otherwise GET
    #[arg(short = 'X', long)]
    pub(crate) method: Option<String>,

    /// Send this body: text, @FILE, or @- for standard input. Set the content-type with --header
    #[arg(short, long, value_name = "BODY")]
    pub(crate) data: Option<TextArg>,

    #[command(flatten)]
    pub(crate) dialect: DialectArgs,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

impl WaitArgs {
    /// The interval: as given, or one that fits the timeout.
    pub(crate) fn every(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(10);
        const SHORTEST: Duration = Duration::from_millis(100);
        // A tenth of a short timeout, so that a poll of half a minute is not three requests.
        self.every.unwrap_or_else(|| (self.timeout / 10).clamp(SHORTEST, LONGEST))
    }
}
