//! The arguments of `serve`, the service over HTTP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use poller::secret::SecretRule;

use super::connect::ConnectArgs;
use super::location::StoreLocation;
use super::log::LogArgs;
use super::reading::LimitsArgs;
use super::values;

/// Run polls as a service with an HTTP API and a page
///
/// Runs the polls of a store until it is stopped, and lets other programs submit, watch and cancel polls over HTTP. The
/// page at the address shows them to people. As with `poll run --store`, one process at a time runs a file, and
/// `submit`, `list` and the other commands work beside it.
///
/// Without keys, the service is for programs of this machine: it listens on a loopback address only, and answers no
/// requests that a browser sends for pages of other origins. Specs may then name addresses of this machine and of
/// private networks. With --keys it serves everyone who has one, and specs are for public addresses, unless the entry of
/// their key says otherwise.
///
/// Ctrl-C, SIGTERM and SIGHUP end it: no new requests begin, those in flight get 10 seconds, open polls stay open in the
/// store and continue with the next start.
#[derive(Debug, Args)]
#[command(after_long_help = r#"Examples:
  poll serve --store polls.db
  curl -X PUT http://127.0.0.1:7655/v1/polls/export-42 \
    -d '{"url": "https://api.example.com/v1/exports/42",
         "responseFilter": {"body": {"status": ["SUCCESS"]}}}'
  curl 'http://127.0.0.1:7655/v1/polls/export-42/outcome?wait=25'
  curl http://127.0.0.1:7655/v1/polls/export-42/result
  poll serve --store polls.db --listen 0.0.0.0:7655 --keys keys.toml
  poll serve --config poll.toml --log json

Exit codes:
  0 stopped; 2 the store or the keys cannot be used, the address cannot be
  listened on; 130 a second Ctrl-C"#)]
pub(crate) struct ServeArgs {
    /// Keep the polls in this file, which is created if missing, or in a database, as postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "STORE")]
    pub(crate) store: StoreLocation,

    /// With a database: how long the other workers wait for this one when it does not answer, before they take over its
    /// polls; 10s unless given
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(crate) lease: Option<Duration>,

    /// Listen on this address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7655")]
    pub(crate) listen: SocketAddr,

    /// Serve those who have a key of this file (TOML), from any address; see docs/service.md
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,

    /// Resolve this secret for this origin: env:TOKEN@https://api.example.com; may be repeated. With --keys, the file says it
    #[arg(long = "allow-secret", value_name = "NAME@ORIGIN", conflicts_with = "keys", value_parser = values::secret_rule)]
    pub(crate) allow_secrets: Vec<SecretRule>,

    /// The longest time for which a request may wait for an outcome
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = values::poll_duration)]
    pub(crate) max_wait: Duration,

    #[command(flatten)]
    pub(crate) limits: LimitsArgs,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    #[command(flatten)]
    pub(crate) log: LogArgs,

    /// Read options from this file (TOML) too, such as `listen = "0.0.0.0:7655"`; those of the command line go first
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Print only errors on standard error
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
