//! The arguments of the commands that work on a store, the file in which polls survive: `submit`, `list`, `show`,
//! `cancel`, `forget` and `purge`. `run --store` is with the commands that poll.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values;

/// Which file is meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct FileArgs {
    /// The file that keeps the polls
    #[arg(long = "store", value_name = "FILE")]
    pub(crate) path: PathBuf,
}

/// Which polls are meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,

    /// The scope of the keys; without it, the default scope
    #[arg(long, value_name = "NAME", value_parser = values::scope)]
    pub(crate) scope: Option<String>,
}

impl StoreArgs {
    /// The scope; the default one is the empty one.
    pub(crate) fn scope(&self) -> &str {
        self.scope.as_deref().unwrap_or("")
    }
}

/// What to print, for every command that works on a store.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct EachArgs {
    /// Print one JSON object per poll
    #[arg(long)]
    pub(crate) json: bool,

    /// Say nothing on standard error but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Polls by their keys, for the commands that do something to them.
#[derive(Clone, Debug, Args)]
pub(crate) struct NamedArgs {
    /// Keys of polls
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<String>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) each: EachArgs,
}

/// Put polls into a file, for `poll run --store` to run
///
/// Stores the polls and returns, once they are on disk; it makes no request. They are run by `poll run --store FILE`,
/// by one that is running already (it notices within a second) or by the next. Their time runs from now on, whether
/// somebody runs them or not.
///
/// All specs are checked before any is stored. A key is stored once: the same spec again changes nothing, another spec
/// under the same key is an error. The key is the spec's cacheKey or, without one, a digest of the spec. The key of each
/// poll is printed when the poll is on disk.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll submit --store polls.db export.json
  key=$(poll submit --store polls.db export.json) && poll run --store polls.db
  jq -c '{cacheKey: .id, url, timeout: 600}' jobs.json | poll submit --store polls.db -

Secrets: a spec that names a secret ({\"$secret\": \"env:NAME\"}) is stored as it is. A secret that
stands in a spec is sealed with the key in POLL_SEAL_KEY (openssl rand -hex 32 makes one), and
refused without it.

Exit codes:
  0 all are stored, 2 a spec is wrong, a key is taken by another spec, the store cannot be used")]
pub(crate) struct SubmitArgs {
    /// Files of specs; `-` is standard input
    #[arg(required = true, value_name = "SPEC")]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Forget finished polls of the same keys first, so that they are asked anew
    #[arg(long)]
    pub(crate) fresh: bool,

    /// Lift the limits on interval (10 to 300 s) and timeout (30 to 3600 s)
    #[arg(long)]
    pub(crate) unbounded: bool,

    #[command(flatten)]
    pub(crate) each: EachArgs,
}

/// List the polls of a store
///
/// Open polls first. STATE is open, cancelling (somebody wants it cancelled, and nobody has done so yet), or the outcome:
/// matched, failed, timed out, cancelled. WHEN is the time that is left to an open poll, or how long ago a poll ended. The
/// attempts of an open poll are counted when it ends; `poll show` has the last of them. Works
/// beside a running `poll run --store` and needs no key for sealed secrets, which it does not read.
#[derive(Debug, Args)]
#[command(after_long_help = r#"Examples:
  poll list --store polls.db
  poll list --store polls.db --json | jq -r 'select(.state == "failed") | .key'

Exit codes:
  0 listed, be it nothing; 2 the store cannot be read"#)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,

    /// List this scope only; '' is the default scope
    #[arg(long, value_name = "NAME", value_parser = values::scope)]
    pub(crate) scope: Option<String>,

    #[command(flatten)]
    pub(crate) each: EachArgs,
}

/// Show one poll: its spec, its state, what each attempt brought
///
/// Prints the state; the spec in full, with defaults filled in and secrets left out; and the timeline: when each attempt
/// ended (counted from when the poll was accepted), its status, how long it took, what did not match, when the next
/// was due. The last 20 attempts are kept. Those of an open poll are written by its runner every few seconds, unless more
/// than 10,000 polls are open; then they come with the outcome.
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
/// Asks the process that runs the file to cancel the polls and waits until it has: a second, mostly. Where nobody runs
/// the file they are cancelled at once. A cancelled poll has an outcome like any other and stays in the file until it is
/// forgotten; one that has ended before keeps the outcome it has.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll cancel export-42 --store polls.db
  poll list --store polls.db --scope '' --json | jq -r 'select(.state == \"open\") | .key' \\
    | tr '\\n' '\\0' | xargs -0 poll cancel --store polls.db

Exit codes:
  0 all are cancelled
  1 a poll had ended in another way before
  2 there is no such poll (none is cancelled then), the store cannot be used, its runner is silent")]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    pub(crate) polls: NamedArgs,
}

/// Remove finished polls from a store
///
/// What a forgotten poll came to is gone, and its key is free for another spec. Open polls are not removed; cancel them
/// first.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll forget export-42 --store polls.db
  poll list --store polls.db --scope '' --json | jq -r 'select(.state == \"matched\") | .key' \\
    | tr '\\n' '\\0' | xargs -0 poll forget --store polls.db

Exit codes:
  0 all are forgotten, 2 a poll is open or there is none of that key (none is forgotten then),
  or the store cannot be used")]
pub(crate) struct ForgetArgs {
    #[command(flatten)]
    pub(crate) polls: NamedArgs,
}

/// Remove finished polls by age and number
///
/// Removes the polls that ended long ago, and their outcomes. Open polls are never removed. The process that runs the file
/// removes what ended more than 30 days ago by itself, a few at a time. What is removed makes room inside the file for new
/// polls; the file does not become smaller. For single polls there is `poll forget`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  poll purge --store polls.db
  poll purge --store polls.db --older-than 7d
  poll purge --store polls.db --older-than 7d --keep 1000

Exit codes:
  0 done, be there nothing to remove; 2 the store cannot be used")]
pub(crate) struct PurgeArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,

    /// Remove what ended longer ago than this
    #[arg(long, value_name = "AGE", value_parser = values::duration, default_value = "30d")]
    pub(crate) older_than: Duration,

    /// Of what is not that old, keep only so many, those that ended last
    #[arg(long, value_name = "N")]
    pub(crate) keep: Option<usize>,

    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
