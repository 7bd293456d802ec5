//! The commands that work on a store, the file that keeps polls across processes.
//!
//! ```text
//! run --store ──► drive ──► poller (holds the runner's lock)
//! submit, list, show, cancel, forget, purge ──► the file itself, beside a runner or without one
//! ```
//!
//! This module opens the file and checks all polls of a command before it changes one of them: a half-done batch is
//! harder to clean up than none.

pub(super) mod cancel;
pub(super) mod forget;
pub(super) mod list;
pub(super) mod purge;
pub(super) mod show;
pub(super) mod stop_report;
pub(super) mod submit;

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use poller::PollKey;
use poller::fetch::Fetch as _;
use poller::http::HttpClient;
use poller::store::{Store as _, StoreAdmin as _, StoreError, Summary};
use poller::{Clock as _, ErrorKind, SealKey, SqliteStore, SystemClock};

use super::specs::Job;
use super::{AlreadyReported, block_on, print_error, signals};
use crate::args::KeysArgs;
use crate::exit::Exit;
use crate::render::sanitize;
use crate::render::terminal::Terminal;

/// Whether a missing file is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    MayBeNew,
    /// A command that only reads must not create a file under a misspelt name.
    MustExist,
}

/// How long to wait until the file is closed. After that the process ends anyway; only the log file stays behind then.
const CLOSING: Duration = Duration::from_secs(2);

/// Runs a command on the store in this file. The file is closed afterwards, which merges the write-ahead log into it: a copy
/// of the file is complete.
pub(super) fn on_store(
    file: &Path,
    opening: Opening,
    command: impl AsyncFnOnce(SqliteStore) -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    block_on(async {
        signals::handle_file_size_limit();
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
    // If `try_exists` fails, opening the file reports the reason.
    if opening == Opening::MustExist && matches!(file.try_exists(), Ok(false)) {
        anyhow::bail!(
            "there is no store at {}; `poll submit --store FILE SPEC` or `poll run --store FILE SPEC` makes one",
            file.display()
        );
    }
    SqliteStore::open_sealed(file, SealKey::from_env()?).map_err(plain)
}

/// The message of a store error; it includes the cause.
pub(super) fn plain(error: StoreError) -> anyhow::Error {
    anyhow::Error::msg(error.to_string())
}

/// The message of a poller error, without repeating that of a store error inside it.
pub(super) fn poller_error(error: poller::Error) -> anyhow::Error {
    match (error.kind(), error.source()) {
        (ErrorKind::Store, Some(store)) => anyhow::Error::msg(store.to_string()),
        _ => anyhow::Error::msg(error.to_string()),
    }
}

/// Checks that all jobs can be stored; prints every problem and fails if there is one.
pub(super) async fn check(
    store: &SqliteStore,
    scope: &str,
    jobs: &[Job],
    fresh: bool,
    client: &HttpClient,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let mut wrong = false;
    let mut report = |key: &str, problem: String| {
        wrong = true;
        print_error(terminal, &anyhow::anyhow!("{}: {problem}", sanitize::excerpt(key, 80)));
    };
    for Job { key, spec } in jobs {
        if let Err(error) = client.admits(&spec.url()) {
            report(key, format!("the URL cannot be asked: {error}"));
        }
        if let Err(error) = store.admits(spec) {
            report(key, error.to_string());
        }
        let present = store.get(PollKey::new(scope, key.as_str())).await.map_err(plain)?;
        let Some(present) = present.filter(|poll| poll.outcome.is_none() || !fresh) else { continue };
        let differences = present.spec.differences(spec);
        if !differences.is_empty() {
            let ways_out = match present.outcome {
                Some(_) => "give it another cacheKey, or forget the finished poll with --fresh",
                None => "give it another cacheKey, or cancel and forget the poll that is there",
            };
            report(
                key,
                format!(
                    "the store has a poll of this key with another spec; they differ in {}: {ways_out}",
                    differences.join(", ")
                ),
            );
        }
    }
    if wrong { Err(AlreadyReported.into()) } else { Ok(()) }
}

/// The polls of these keys; prints the missing ones and fails if there are any.
async fn find(store: &SqliteStore, polls: &KeysArgs, terminal: &Terminal) -> anyhow::Result<Vec<Summary>> {
    let (file, scope) = (&polls.store.file.path, polls.store.scope());
    let mut found: Vec<Summary> = Vec::with_capacity(polls.keys.len());
    let mut wrong = false;
    for key in &polls.keys {
        let name = PollKey::new(scope, key.as_str());
        match store.summary(name.clone()).await.map_err(plain)? {
            // The same key twice is one poll.
            Some(summary) if found.iter().any(|known| known.key == summary.key) => {}
            Some(summary) => found.push(summary),
            None => {
                wrong = true;
                print_error(terminal, &no_such_poll(&name, file));
            }
        }
    }
    if wrong { Err(AlreadyReported.into()) } else { Ok(found) }
}

fn no_such_poll(key: &PollKey, file: &Path) -> anyhow::Error {
    anyhow::anyhow!(
        "there is no poll {} in {file}; `poll list --store {}` shows those there are",
        shown(key),
        quoted(file),
        file = file.display(),
    )
}

/// A key for people.
fn shown(key: &PollKey) -> String {
    sanitize::line(&key.to_string()).into_owned()
}

/// A path, quoted for the shell.
pub(super) fn quoted(file: &Path) -> String {
    quoted_text(&file.display().to_string())
}

/// The shell arguments that name a poll: `--scope` unless it is the default one, and the key.
fn named(key: &PollKey) -> String {
    let scope = match key.scope() {
        "" => String::new(),
        scope => format!("--scope {} ", quoted_text(scope)),
    };
    format!("{scope}{}", quoted_text(key.key()))
}

/// Text as one shell argument.
fn quoted_text(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", sanitize::line(text).replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_arguments_are_quoted() {
        assert_eq!(quoted(Path::new("/var/lib/polls.db")), "/var/lib/polls.db");
        assert_eq!(quoted(Path::new("my polls.db")), "'my polls.db'");
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
        assert_eq!(named(&PollKey::new("", "a b")), "'a b'");
        assert_eq!(named(&PollKey::new("run 17", "a")), "--scope 'run 17' a");
    }
}
