//! The arguments of the commands that work on a store, the file that keeps polls across processes: `submit`, `list`,
//! `show`, `cancel`, `forget` and `purge`. `run --store` is in [`polls`](super::polls).

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::reading::LimitsArgs;
use super::values;

/// The file.
#[derive(Clone, Debug, Args)]
pub(crate) struct FileArgs {
    /// The file that keeps the polls
    #[arg(long = "store", value_name = "FILE")]
    pub(crate) path: PathBuf,
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

/// The polls to act on, by key.
#[derive(Clone, Debug, Args)]
pub(crate) struct KeysArgs {
    /// The keys of the polls
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<String>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) each: OutputArgs,
}

/// Store polls in a file for `poll run --store`
///
/// Stores the polls, returns when they are on disk, and makes no requests. A running `poll run --store FILE` starts them
/// within a second; otherwise the next one does. Their timeouts start now, even if no process runs the file.
///
/// All specs are checked before any is stored. Submitting the same spec again changes nothing; a different spec with
/// the same key is an error. The key is the spec's cacheKey or, without one, a digest of the spec. The key of each poll
/// is printed when the poll is on disk.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll submit --store polls.db export.json
  key=$(poll submit --store polls.db export.json) && poll run --store polls.db
  jq -c '{cacheKey: .id, url, timeout: 600}' jobs.json | poll submit --store polls.db -

Secrets: a spec that refers to a secret ({\"$secret\": \"env:NAME\"}) is stored unchanged. A spec that
contains a secret is sealed with the key in POLL_SEAL_KEY (generate one by openssl rand -hex 32) and
rejected without it.

Exit codes:
  0 all are stored, 2 a spec is invalid, a key belongs to another spec, the store cannot be used")]
pub(crate) struct SubmitArgs {
    /// Files of specs; `-` is standard input
    #[arg(required = true, value_name = "SPEC")]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Forget finished polls with the same keys first, so that they run again
    #[arg(long)]
    pub(crate) fresh: bool,

    #[command(flatten)]
    pub(crate) limits: LimitsArgs,

    #[command(flatten)]
    pub(crate) each: OutputArgs,
}

/// List the polls of a store
///
/// Open polls come first. STATE is open, cancelling (cancellation is requested and not done yet), or the outcome:
/// matched, failed, timed out, cancelled. WHEN is the time left of an open poll, or the time since a poll ended. ATTEMPTS
/// is known when a poll has ended; `poll show` lists the latest attempts of an open poll. Works beside a running
/// `poll run --store` and needs no key for sealed secrets, since it does not read them.
#[derive(Debug, Args)]
#[command(after_long_help = r#"Examples:
  poll list --store polls.db
  poll list --store polls.db --json | jq -r 'select(.state == "failed") | .key'

Exit codes:
  0 listed, even if the list is empty; 2 the store cannot be read"#)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,

    /// List this scope only; '' is the default scope
    #[arg(long, value_name = "NAME", value_parser = values::scope)]
    pub(crate) scope: Option<String>,

    #[command(flatten)]
    pub(crate) each: OutputArgs,
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
  poll list --store polls.db --scope '' --json | jq -r 'select(.state == \"open\") | .key' \\
    | tr '\\n' '\\0' | xargs -0 poll cancel --store polls.db

Exit codes:
  0 all are cancelled
  1 a poll had already ended with another outcome
  2 a key is unknown (then none is cancelled), the store cannot be used, its runner does not respond")]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    pub(crate) polls: KeysArgs,
}

/// Remove finished polls from a store
///
/// Removes the polls with their outcomes; their keys are free for other specs. Open polls are not removed; cancel them
/// first.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll forget export-42 --store polls.db
  poll list --store polls.db --scope '' --json | jq -r 'select(.state == \"matched\") | .key' \\
    | tr '\\n' '\\0' | xargs -0 poll forget --store polls.db

Exit codes:
  0 all are forgotten, 2 a poll is open or a key is unknown (then none is forgotten),
  or the store cannot be used")]
pub(crate) struct ForgetArgs {
    #[command(flatten)]
    pub(crate) polls: KeysArgs,
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
