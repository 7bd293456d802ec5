//! The commands that work on a store, the file in which polls survive.
//!
//! ```text
//! run --store ──► resume ──► poller (holds the runner's lock) ──► news ──► story, outcomes
//! submit, list, show, cancel, forget, purge ──► the file itself, beside a runner or without one
//! ```
//!
//! What these have in common is here: opening the file, and what is checked of all polls before one of them is touched,
//! because half a batch would be harder to clean up than none.

pub(super) mod cancel;
pub(super) mod forget;
pub(super) mod list;
mod news;
pub(super) mod purge;
pub(super) mod resume;
pub(super) mod show;
pub(super) mod submit;

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use poller::fetch::{Fetch as _, HttpClient};
use poller::store::{PollKey, Store as _, StoreError, Summary};
use poller::{Clock as _, ErrorKind, SealKey, SqliteStore, SystemClock};

use super::specs::Job;
use super::{AlreadyTold, block_on, signals, tell_error};
use crate::args::NamedArgs;
use crate::exit::Exit;
use crate::render::clean;
use crate::render::terminal::Terminal;

/// Whether the file may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    MayBeNew,
    /// A command that only looks must not leave a file behind where a name was misspelt.
    MustExist,
}

/// How long a file may take to be closed before the process ends anyway: nothing is lost then, it is only not tidied up.
const CLOSING: Duration = Duration::from_secs(2);

/// Runs a command on the store in this file. The file is closed in the end, so that nothing but it is left, and a copy of
/// it has everything.
fn on_store(
    file: &Path,
    opening: Opening,
    command: impl AsyncFnOnce(SqliteStore) -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    block_on(async {
        signals::survive_file_limits();
        let store = open(file, opening)?;
        let closed = store.closed();
        let result = command(store).await;
        let clock = SystemClock::new();
        tokio::select! {
            () = closed => {}
            () = clock.sleep_until(clock.now() + CLOSING) => {}
        }
        result
    })
}

/// The store in this file.
fn open(file: &Path, opening: Opening) -> anyhow::Result<SqliteStore> {
    // Where that cannot be found out, opening it says why.
    if opening == Opening::MustExist && matches!(file.try_exists(), Ok(false)) {
        anyhow::bail!(
            "there is no store at {}; `poll submit --store FILE SPEC` or `poll run --store FILE SPEC` makes one",
            file.display()
        );
    }
    SqliteStore::open_sealed(file, SealKey::from_env()?).map_err(plain)
}

/// A store's message says it all; its cause is in it.
fn plain(error: StoreError) -> anyhow::Error {
    anyhow::Error::msg(error.to_string())
}

/// The message of a poller's error, once.
fn plainly(error: poller::Error) -> anyhow::Error {
    match (error.kind(), error.source()) {
        (ErrorKind::Store, Some(store)) => anyhow::Error::msg(store.to_string()),
        _ => anyhow::Error::msg(error.to_string()),
    }
}

/// Tells everything that keeps one of the jobs from being stored: nothing is stored then.
async fn check(
    store: &SqliteStore,
    scope: &str,
    jobs: &[Job],
    fresh: bool,
    client: &HttpClient,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let mut wrong = false;
    let mut tell = |key: &str, problem: String| {
        wrong = true;
        tell_error(terminal, &anyhow::anyhow!("{}: {problem}", clean::excerpt(key, 80)));
    };
    for Job { key, spec } in jobs {
        if let Err(error) = client.admits(&spec.url()) {
            tell(key, format!("the URL cannot be asked: {error}"));
        }
        if let Err(error) = store.admits(spec) {
            tell(key, error.to_string());
        }
        let present = store.get(PollKey::new(scope, key.as_str())).await.map_err(plain)?;
        let Some(present) = present.filter(|poll| poll.outcome.is_none() || !fresh) else { continue };
        let differences = present.spec.differences(spec);
        if !differences.is_empty() {
            let ways_out = match present.outcome {
                Some(_) => "give it another cacheKey, or forget the finished poll with --fresh",
                None => "give it another cacheKey, or cancel and forget the poll that is there",
            };
            tell(
                key,
                format!(
                    "the store has a poll of this key with another spec; they differ in {}: {ways_out}",
                    differences.join(", ")
                ),
            );
        }
    }
    if wrong { Err(AlreadyTold.into()) } else { Ok(()) }
}

/// The polls of these keys; tells which there are none of.
async fn find(store: &SqliteStore, polls: &NamedArgs, terminal: &Terminal) -> anyhow::Result<Vec<Summary>> {
    let (file, scope) = (&polls.store.file.path, polls.store.scope());
    let mut found: Vec<Summary> = Vec::with_capacity(polls.keys.len());
    let mut wrong = false;
    for key in &polls.keys {
        let name = PollKey::new(scope, key.as_str());
        match store.summary(name.clone()).await.map_err(plain)? {
            // A key that is given twice is one poll.
            Some(summary) if found.iter().any(|known| known.key == summary.key) => {}
            Some(summary) => found.push(summary),
            None => {
                wrong = true;
                tell_error(terminal, &no_such_poll(&name, file));
            }
        }
    }
    if wrong { Err(AlreadyTold.into()) } else { Ok(found) }
}

fn no_such_poll(key: &PollKey, file: &Path) -> anyhow::Error {
    anyhow::anyhow!(
        "there is no poll {} in {file}; `poll list --store {}` shows those there are",
        shown(key),
        quoted(file),
        file = file.display(),
    )
}

/// A key as it is shown in a line.
fn shown(key: &PollKey) -> String {
    clean::line(&key.to_string()).into_owned()
}

/// A path as a shell takes it.
fn quoted(file: &Path) -> String {
    quoted_text(&file.display().to_string())
}

/// The arguments by which a shell names a poll: its scope, if it is not the default one, and its key.
fn named(key: &PollKey) -> String {
    let scope = match key.scope() {
        "" => String::new(),
        scope => format!("--scope {} ", quoted_text(scope)),
    };
    format!("{scope}{}", quoted_text(key.key()))
}

/// Text as a shell takes it for one argument.
fn quoted_text(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", clean::line(text).replace('\'', r"'\''"))
}

/// `3m 02s`, `4h 10m`, `12d`: for ages, where seconds stop mattering.
fn age(age: Duration) -> String {
    const DAY: u64 = 24 * 3600;
    match age.as_secs() {
        0 => "0s".to_owned(),
        seconds if seconds < 2 * DAY => crate::render::time::short(Duration::from_secs(seconds)),
        seconds => format!("{}d", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_can_be_pasted() {
        assert_eq!(quoted(Path::new("/var/lib/polls.db")), "/var/lib/polls.db");
        assert_eq!(quoted(Path::new("my polls.db")), "'my polls.db'");
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
        assert_eq!(named(&PollKey::new("", "a b")), "'a b'");
        assert_eq!(named(&PollKey::new("run 17", "a")), "--scope 'run 17' a");
    }

    #[test]
    fn ages_are_short() {
        let shown = |seconds| age(Duration::from_secs(seconds));
        assert_eq!(
            [0, 45, 245, 7200, 172_800, 1_000_000].map(shown),
            ["0s", "45s", "4m 05s", "2h", "2d", "11d"]
        );
    }
}
