//! The arguments of the commands that work on a store, the file that keeps polls across processes: `submit`, `list`,
//! `show`, `status`, `cancel`, `forget`, `purge`, `backup`, `compact`, `verify` and `reseal`. `run --store` is in
//! [`polls`](super::polls).

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use poller::http::IpNet;

use super::location::StoreLocation;
use super::reading::{LimitsArgs, SpreadArgs, VariablesArgs};
use super::values;

/// The file or the database.
#[derive(Clone, Debug, Args)]
pub(crate) struct FileArgs {
    /// Where the polls are kept: a file, a database as postgres://USER@HOST/DATABASE, or a service as
    /// http://127.0.0.1:7655, whose key is in POLL_KEY
    #[arg(
        long = "store",
        visible_alias = "server",
        env = "POLL_SERVER",
        hide_env_values = true,
        value_name = "STORE"
    )]
    pub(crate) path: StoreLocation,
}

/// The file and the scope of the keys.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,

    /// The scope of the keys; the default scope if omitted
    #[arg(long, value_name = "NAME", value_parser = values::scope)]
    pub(crate) scope: Option<String>,
}

impl StoreArgs {
    /// The scope; the default scope is the empty string.
    pub(crate) fn scope(&self) -> &str {
        self.scope.as_deref().unwrap_or("")
    }
}

/// What to print, for the commands that work on a store.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct OutputArgs {
    /// Print one JSON object per poll
    #[arg(long)]
    pub(crate) json: bool,

    /// Print only errors on standard error
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// What the commands on a whole store have in common.
#[derive(Clone, Debug, Args)]
pub(crate) struct WholeArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Store polls in a file for `poll run --store`
///
/// Stores the polls, returns when they are on disk, and makes no requests. A running `poll run --store FILE` starts them
/// within a second; otherwise the next one does. Their timeouts start now, even if no process runs the file.
///
/// All specs are checked before any is stored. Submitting the same spec again changes nothing; a different spec with
/// the same key is an error. The key is the spec's cacheKey or, without one, a digest of the spec. The key of each poll
/// is printed when the poll is on disk. Specs are read twice, so a million of them need little memory; input from a pipe is
/// kept in a temporary file meanwhile.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll submit --store polls.db export.json
  key=$(poll submit --store polls.db export.json) && poll run --store polls.db
  jq -c '{cacheKey: .id, url}' jobs.json | poll submit --store polls.db -

Secrets: a spec that refers to a secret ({\"$secret\": \"env:NAME\"}) is stored
unchanged; the process that runs the store resolves it only where its
--allow-secret says so. A spec that contains a secret is sealed with the key
in POLL_SEAL_KEY (generate one by openssl rand -hex 32) and rejected without
it.

Exit codes:
  0 all are stored, 2 a spec is invalid, a key belongs to another spec, the
  store cannot be used")]
pub(crate) struct SubmitArgs {
    /// Files of specs; `-` is standard input
    #[arg(required = true, value_name = "SPEC")]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Forget finished polls with the same keys first, so that they run again
    #[arg(long)]
    pub(crate) fresh: bool,

    /// Accept URLs with addresses in this network too, as poll run --allow-network asks them; may be repeated
    #[arg(long = "allow-network", value_name = "CIDR", value_parser = values::network)]
    pub(crate) allow_networks: Vec<IpNet>,

    #[command(flatten)]
    pub(crate) spread: SpreadArgs,

    #[command(flatten)]
    pub(crate) variables: VariablesArgs,

    #[command(flatten)]
    pub(crate) limits: LimitsArgs,

    #[command(flatten)]
    pub(crate) each: OutputArgs,
}

/// The states that a poll can be in, as arguments.
const STATES: [&str; 6] = ["open", "cancelling", "matched", "failed", "timed-out", "cancelled"];

/// List the polls of a store
///
/// Open polls come first. STATE is open, cancelling (cancellation is requested and not done yet), or the outcome:
/// matched, failed, timed out, cancelled. WHEN is the time left of an open poll, or the time since a poll ended. ATTEMPTS
/// is known when a poll has ended; `poll show` lists the latest attempts of an open poll. Works beside a running
/// `poll run --store` and needs no key for sealed secrets, since it does not read them.
#[derive(Debug, Args)]
#[command(after_long_help = r#"Examples:
  poll list --store polls.db
  poll list --store polls.db --state failed --state timed-out
  poll list --store polls.db --json | jq -r 'select(.attempts > 100) | .key'
  poll list --store polls.db --scope '' --limit 100 --after export-42

Exit codes:
  0 listed, even if the list is empty; 2 the store cannot be read, or some of it
  is damaged: the rest is listed"#)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,

    /// List this scope only; '' is the default scope
    #[arg(long, value_name = "NAME", value_parser = values::scope)]
    pub(crate) scope: Option<String>,

    /// List only polls in this state; may be repeated
    #[arg(long = "state", value_name = "STATE", value_parser = STATES)]
    pub(crate) states: Vec<String>,

    /// List only polls whose key begins with this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) prefix: Option<String>,

    /// List at most N polls
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,

    /// List the polls after the one with this key, in the order of the list
    #[arg(long, value_name = "KEY")]
    pub(crate) after: Option<String>,

    #[command(flatten)]
    pub(crate) each: OutputArgs,
}

/// Show the state of a store, for people and for monitoring
///
/// Prints how many polls are open and finished, how many are overdue (open although their deadline has passed: no
/// process runs the file, or it does not get on), when the oldest open poll was accepted, which process runs the file,
/// and how much space it takes.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll status --store polls.db
  poll status --store polls.db --json | jq .overdue

Exit codes:
  0 shown; 1 polls are open and no process runs the file; 2 the store cannot be
  read")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) whole: WholeArgs,
}

/// Show the workers of a database and their state
///
/// Prints a line for each worker: its machine and process, what is left of its lease, its shards, the open polls that it
/// runs, how long its oldest due poll has been waiting for its request, how many workers it has taken over, and how far
/// the database's clock is ahead of its own. Reads no polls, so it costs the same whatever their number; the numbers of a
/// worker are those of its last renewal, at most a third of a lease ago.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll fleet --store postgres://poll@db.example.com/polls
  poll fleet --store postgres://poll@db/polls --json | jq .lagSeconds

`oldest xmin` is the oldest transaction that keeps the database from removing
dead rows. It and the oldest transaction are those that the role may see;
GRANT pg_read_all_stats shows all.

Exit codes:
  0 each shard has a worker; 1 there is no worker, or a shard has none; 2 the
  database cannot be read")]
pub(crate) struct FleetArgs {
    #[command(flatten)]
    pub(crate) whole: WholeArgs,
}

/// Copy a store, also while it is in use
///
/// Writes the store as it is at one moment to a new file. The copy is complete by itself, and readable only for you.
/// Do not copy a store that is in use by other means: its last changes are in a log beside it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll backup --store polls.db polls-$(date +%F).db

To restore it: end the process that runs the store, move polls.db, polls.db-wal
and polls.db-shm away, and copy the backup to polls.db. Polls that were open in
it go on; their deadlines stay.

Exit codes:
  0 the copy is complete and on the disk, 2 it could not be made")]
pub(crate) struct BackupArgs {
    /// The new file; it must not exist
    #[arg(value_name = "COPY")]
    pub(crate) copy: PathBuf,

    #[command(flatten)]
    pub(crate) whole: WholeArgs,
}

/// Shrink a store file to what is in it
///
/// Space of removed polls is used again, but the file does not become smaller by itself. This rewrites it. It needs as
/// much free space as the file takes, and that no process runs the file.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll purge --store polls.db --older-than 7d && poll compact --store polls.db

Exit codes:
  0 done, 2 a process runs the file, or it cannot be written")]
pub(crate) struct CompactArgs {
    #[command(flatten)]
    pub(crate) whole: WholeArgs,
}

/// Check a store file: pages, tables, specs and outcomes
///
/// Reads the whole file and prints what is wrong with it, a line each. Set POLL_SEAL_KEY for specs with sealed secrets.
/// Works beside a process that runs the file.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll verify --store polls.db

Exit codes:
  0 no damage found, 1 something is damaged, 2 the store cannot be read")]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) whole: WholeArgs,
}

/// Seal the secrets of a store anew, with another key
///
/// Seals what a former key has sealed with the present one. Set POLL_SEAL_KEY to the new key and POLL_SEAL_KEY_OLD to the
/// former one (several are separated by spaces or commas). Works beside a process that runs the file, if that process has
/// both keys too. Afterwards the former key is needed no more, except for backups.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  export POLL_SEAL_KEY_OLD=$POLL_SEAL_KEY POLL_SEAL_KEY=$(openssl rand -hex 32)
  poll reseal --store polls.db

Exit codes:
  0 all secrets are sealed with the present key; 1 some are sealed with a key
  that is not there, or are damaged; 2 there is no key, or the store cannot be
  written")]
pub(crate) struct ResealArgs {
    #[command(flatten)]
    pub(crate) whole: WholeArgs,
}

/// Show one poll: its state, its spec, its attempts
///
/// Prints the state; the spec, with default values and without secrets; and the timeline: for each attempt the time since
/// the poll was accepted, the status, the duration, what did not match, and the next request. The last 20 attempts are
/// kept. Attempts of an open poll are written every few seconds; with more than 10,000 open polls, they are written
/// with the outcome.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll show export-42 --store polls.db
  poll show export-42 --store polls.db --json | jq .outcome.response.body

Exit codes:
  0 shown, 2 there is no such poll, or the store cannot be read")]
pub(crate) struct ShowArgs {
    /// The poll's key
    pub(crate) key: String,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Print one JSON object, the response's body included
    #[arg(long)]
    pub(crate) json: bool,
}

/// Cancel open polls of a store
///
/// Requests cancellation from the process that runs the file and waits for it, usually a second. If no process runs the
/// file, the polls are cancelled at once. A cancelled poll has an outcome like any other and stays in the file until it
/// is forgotten. A poll that has already ended keeps its outcome.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll cancel export-42 --store polls.db
  poll cancel --prefix nightly/ --store polls.db
  poll cancel --keys-from keys.txt --store polls.db
  poll cancel --all --store polls.db

Exit codes:
  0 all are cancelled, even if no open poll is selected
  1 a poll had already ended with another outcome
  2 a key is unknown (then none is cancelled), the store cannot be used, its
    runner does not respond")]
pub(crate) struct CancelArgs {
    /// The keys of the polls
    #[arg(value_name = "KEY", required_unless_present_any = ["keys_from", "prefix", "all"])]
    pub(crate) keys: Vec<String>,

    /// Read keys from this file too, one per line or separated by NUL; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) keys_from: Option<PathBuf>,

    /// Cancel the open polls of the scope whose key begins with this text
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["keys", "keys_from"])]
    pub(crate) prefix: Option<String>,

    /// Cancel all open polls of the scope
    #[arg(long, conflicts_with_all = ["keys", "keys_from", "prefix"])]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) each: OutputArgs,
}

/// Remove finished polls from a store
///
/// Removes the polls with their outcomes; their keys are free for other specs. Open polls are not removed; cancel them
/// first.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll forget export-42 --store polls.db
  poll list --store polls.db --scope '' --json \\
    | jq -r 'select(.state == \"matched\") | .key' \\
    | tr '\\n' '\\0' | xargs -0 poll forget --store polls.db

Exit codes:
  0 all are forgotten, 2 a poll is open or a key is unknown (then none is
  forgotten), or the store cannot be used")]
pub(crate) struct ForgetArgs {
    /// The keys of the polls
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<String>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) each: OutputArgs,
}

/// Remove finished polls by age and number
///
/// Removes polls that ended long ago, with their outcomes. Open polls are never removed. A process that runs the file
/// removes polls that ended more than 30 days ago by itself. New polls reuse the space; the file does not shrink. Use
/// `poll forget` for single polls.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll purge --store polls.db
  poll purge --store polls.db --older-than 7d
  poll purge --store polls.db --older-than 7d --keep 1000

Exit codes:
  0 done, even if there was nothing to remove; 2 the store cannot be used")]
pub(crate) struct PurgeArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,

    /// Remove polls that ended longer ago than this
    #[arg(long, value_name = "AGE", value_parser = values::duration, default_value = "30d")]
    pub(crate) older_than: Duration,

    /// Of the more recent polls, keep only the N that ended last
    #[arg(long, value_name = "N")]
    pub(crate) keep: Option<usize>,

    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
