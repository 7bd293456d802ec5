//! The commands that work on a store, the file that keeps polls across processes.
//!
//! ```text
//! run --store ──► drive ──► poller (holds the runner's lock)
//! submit, list, show, status, cancel, forget, purge, backup, verify ──► the file itself, beside a runner or without one
//! ```
//!
//! This module opens the file and [checks](Checking) all polls of a command before it changes one of them: a half-done batch is
//! harder to clean up than none.

pub(super) mod cancel;
pub(super) mod care;
pub(super) mod fleet;
pub(super) mod list;
mod remote;
pub(super) mod removal;
pub(super) mod show;
pub(super) mod status;
pub(super) mod stop_report;
pub(super) mod submit;

use std::collections::HashSet;
use std::error::Error as _;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use poller::fetch::Fetch as _;
use poller::http::{Guard, HttpClient, Proxies};
use poller::store::{FoundPoll, RunsUntil, Store as _, StoreAdmin, StoreError, Summary};
use poller::{
    Clock, ErrorKind, PollKey, PollSpec, PostgresOptions, PostgresStore, SealKey, SqliteStore, SystemClock,
};
use tokio::task::JoinHandle;
use url::Url;

use self::remote::RemoteStore;
use super::specs::Job;
use super::{AlreadyReported, block_on, print_listed, signals};
use crate::args::{StoreArgs, StoreLocation};
use crate::exit::Exit;
use crate::render::sanitize;
use crate::render::terminal::Terminal;

/// Whether a missing file is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    MayBeNew,
    /// A command that changes polls must not create a file under a misspelt name.
    MustExist,
    /// A command that only reads, for users without permission to write as well.
    Reading,
}

/// The number of concurrent calls of the store; writes that wait together share a transaction and its sync.
const AT_ONCE: usize = 1024;

/// The number of polls in one call of the store: few enough that other processes wait only briefly for the transaction.
pub(super) const BATCH: usize = 4096;

/// How long to wait until the file is closed. After that the process ends anyway; only the log file stays behind then.
const CLOSING: Duration = Duration::from_secs(2);

/// A store of any kind.
pub(super) type OpenStore = Arc<dyn StoreAdmin>;

/// Runs a command on a store. A file is closed afterwards, which merges the write-ahead log into it: a copy of the file is
/// complete. A worker gives its leases back.
pub(super) fn on_store(
    location: &StoreLocation,
    opening: Opening,
    command: impl AsyncFnOnce(OpenStore) -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    run_on_store(location, opening, RunsUntil::Unknown, None, command)
}

/// The same for a command that runs the polls, and ends by itself as `until` says.
pub(super) fn run_on_store(
    location: &StoreLocation,
    opening: Opening,
    until: RunsUntil,
    lease: Option<Duration>,
    command: impl AsyncFnOnce(OpenStore) -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    match location {
        StoreLocation::File(_) if lease.is_some() => {
            anyhow::bail!("--lease is for workers of a database; a file has one runner and no lease")
        }
        StoreLocation::File(file) => on_file(file, opening, async |store| {
            store.runs_until(until);
            command(Arc::new(store)).await
        }),
        StoreLocation::Service(_) if lease.is_some() => {
            anyhow::bail!("--lease is for workers of a database, and this is a service")
        }
        StoreLocation::Service(url) => block_on(async { command(Arc::new(service(url)?)).await }),
        StoreLocation::Database { url, .. } => block_on(async {
            let store = open_database(url, until, lease).await?;
            let closed = store.closed();
            let result = command(Arc::new(store)).await;
            wait_until(closed).await;
            result
        }),
    }
}

/// Connects to the database of this URL, with the password of the environment.
async fn open_database(
    url: &str,
    until: RunsUntil,
    lease: Option<Duration>,
) -> anyhow::Result<PostgresStore> {
    let mut options = PostgresOptions::parse(url).map_err(plain)?.with_runs_until(until);
    if let Some(lease) = lease {
        options = options.with_lease(lease);
    }
    if let Ok(password) = std::env::var(PASSWORD) {
        options = options.with_password(&password.into());
    }
    options.connect().await.map_err(plain)
}

/// The variable of the password of a database, as other programs for PostgreSQL read it: a URL in the arguments is visible
/// to all users of the machine.
const PASSWORD: &str = "PGPASSWORD";

/// The service at a URL. It is the user's own, so addresses of this machine are fine.
fn service(url: &str) -> anyhow::Result<RemoteStore> {
    let parsed = Url::parse(url).with_context(|| format!("{} is no URL", sanitize::line(url)))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        anyhow::bail!("the URL of a service has no credentials: give its key in {}", remote::KEY);
    }
    let key = std::env::var(remote::KEY).ok().filter(|key| !key.is_empty());
    let proxies = Proxies::from_variables(|name: &str| std::env::var(name).ok())?;
    let client = HttpClient::builder().guard(Guard::local()).proxies(proxies).build()?;
    RemoteStore::new(client, &parsed, key.as_deref())
}

/// The same for commands on a file only.
pub(super) fn on_file(
    file: &Path,
    opening: Opening,
    command: impl AsyncFnOnce(SqliteStore) -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    block_on(async {
        signals::handle_file_size_limit();
        let store = open(file, opening)?;
        let closed = store.closed();
        let result = command(store).await;
        wait_until(closed).await;
        result
    })
}

async fn wait_until(closed: impl Future<Output = ()>) {
    let clock = SystemClock::new();
    tokio::select! {
        () = closed => {}
        () = clock.sleep_until(clock.now() + CLOSING) => {}
    }
}

/// The clock by which the times of this store are read: that of the database if several machines share it.
pub(super) fn clock(store: &OpenStore) -> Arc<dyn Clock> {
    store.clock().unwrap_or_else(|| Arc::new(SystemClock::new()))
}

fn open(file: &Path, opening: Opening) -> anyhow::Result<SqliteStore> {
    // If `try_exists` fails, opening the file reports the reason.
    if opening != Opening::MayBeNew && matches!(file.try_exists(), Ok(false)) && !has_company(file) {
        anyhow::bail!(
            "there is no store at {}; `poll submit --store FILE SPEC` or `poll run --store FILE SPEC` makes one",
            file.display()
        );
    }
    let seal_key = SealKey::from_env()?;
    let opened = match SqliteStore::open_sealed(file, seal_key.clone()) {
        Err(error) if opening == Opening::Reading => {
            // The first error is the one to report: it is about the file as the user named it.
            SqliteStore::open_for_reading(file, seal_key).map_err(|_| error)
        }
        opened => opened,
    };
    opened.map_err(plain)
}

/// Whether a log or a lock shows that there was a store of this name; opening it says what happened.
fn has_company(file: &Path) -> bool {
    ["-wal", "-runner"].iter().any(|suffix| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        Path::new(&name).exists()
    })
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

/// The store for which specs are checked.
#[derive(Clone, Copy)]
pub(super) enum PresentStore<'a> {
    Open(&'a OpenStore),
    /// A file that is not there yet, with the key for secrets in it.
    NewFile(Option<&'a SealKey>),
}

impl PresentStore<'_> {
    /// Whether the store can keep a spec.
    fn admits(self, spec: &PollSpec) -> Result<(), StoreError> {
        match self {
            Self::Open(store) => store.admits(spec),
            Self::NewFile(seal_key) => SqliteStore::admits_with(seal_key, spec),
        }
    }
}

/// Checks the polls of a command, while they are read.
pub(super) struct Checking<'a> {
    store: PresentStore<'a>,
    scope: &'a str,
    /// Finished polls of the same keys do not count.
    fresh: bool,
    client: &'a HttpClient,
    terminal: &'a Terminal,
    /// The origin of the last URL that may be asked. The next one mostly has the same.
    admitted: String,
    /// The jobs that the store is being asked for, while the next ones are read.
    looking: Option<(Vec<Job>, Finding)>,
    /// How many of the polls the store has.
    pub(super) present: usize,
}

type Finding = JoinHandle<Result<Vec<Option<FoundPoll>>, StoreError>>;

impl<'a> Checking<'a> {
    pub(super) fn new(
        store: PresentStore<'a>,
        scope: &'a str,
        fresh: bool,
        client: &'a HttpClient,
        terminal: &'a Terminal,
    ) -> Self {
        Self { store, scope, fresh, client, terminal, admitted: String::new(), looking: None, present: 0 }
    }

    /// Checks that these jobs can be stored, and those of the call before by what the store has; after the last jobs to be called
    /// with none. Prints every problem and returns whether there is none.
    pub(super) async fn check(&mut self, jobs: Vec<Job>) -> anyhow::Result<bool> {
        let mut well = true;
        for Job { key, spec } in &jobs {
            for problem in self.problems(spec).into_iter().flatten() {
                well = false;
                self.report(key, &problem);
            }
        }
        let next = match self.store {
            PresentStore::Open(store) if !jobs.is_empty() => {
                let keys = jobs.iter().map(|job| PollKey::new(self.scope, job.key.as_str())).collect();
                let store = store.clone();
                Some((jobs, tokio::spawn(async move { store.find(keys).await })))
            }
            _ => None,
        };
        if let Some((jobs, found)) = std::mem::replace(&mut self.looking, next) {
            let found = found.await?.map_err(plain)?;
            self.present += found.iter().flatten().count();
            well &= self.check_present(&jobs, found);
        }
        Ok(well)
    }

    /// What is wrong with a spec by itself.
    fn problems(&mut self, spec: &PollSpec) -> [Option<String>; 2] {
        // Of the URL of an http server, its origin decides.
        let admitted = match spec.origin() {
            origin if origin == self.admitted => Ok(()),
            _ => self.client.admits(&spec.url()),
        };
        if admitted.is_ok() && spec.origin() != self.admitted && spec.origin().starts_with("http") {
            spec.origin().clone_into(&mut self.admitted);
        }
        [
            admitted.err().map(|error| format!("the URL cannot be asked: {error}")),
            self.store.admits(spec).err().map(|error| error.to_string()),
        ]
    }

    fn report(&self, key: &str, problem: &str) {
        print_listed(self.terminal, format_args!("{}: {problem}", sanitize::excerpt(key, 80)));
    }

    /// Checks that the polls that the store has under the keys of these jobs are the same. Prints the others, and returns whether
    /// there are none.
    fn check_present(&self, jobs: &[Job], found: Vec<Option<FoundPoll>>) -> bool {
        let mut well = true;
        for (Job { key, spec }, present) in jobs.iter().zip(found) {
            let Some(present) = present.filter(|poll| !(poll.ended && self.fresh)) else { continue };
            let differences = present.spec.differences(spec).join(", ");
            if !differences.is_empty() {
                let other_way = match present.ended {
                    true => "forget the finished poll with --fresh",
                    false => "cancel and forget the poll that is there",
                };
                well = false;
                let problem = format!(
                    "the store has a poll of this key with another spec; they differ in {differences}: give it another cacheKey, \
                     or {other_way}"
                );
                self.report(key, &problem);
            }
        }
        well
    }
}

/// Reads the polls of these keys; prints the missing ones and fails if there are any.
async fn find(
    store: &OpenStore,
    keys: &[String],
    args: &StoreArgs,
    terminal: &Terminal,
    mut each: impl FnMut(Summary),
) -> anyhow::Result<()> {
    // The same key twice is one poll.
    let mut seen = HashSet::new();
    let mut wrong = false;
    for keys in keys.chunks(BATCH) {
        let new = keys.iter().filter(|key| seen.insert(*key));
        let names: Vec<_> = new.map(|key| PollKey::new(args.scope(), key.as_str())).collect();
        let summaries = store.summaries_of(names.clone()).await.map_err(plain)?;
        for (name, summary) in names.iter().zip(summaries) {
            match summary {
                Some(summary) => each(summary),
                None => {
                    wrong = true;
                    print_listed(terminal, no_such_poll(name, &args.file.path));
                }
            }
        }
    }
    if wrong { Err(AlreadyReported.into()) } else { Ok(()) }
}

fn no_such_poll(key: &PollKey, file: &StoreLocation) -> anyhow::Error {
    let (key, quoted) = (shown(key), quoted(file));
    anyhow::anyhow!("there is no poll {key} in {file}; `poll list --store {quoted}` lists its polls")
}

/// A key for people.
fn shown(key: &PollKey) -> String {
    sanitize::line(&key.to_string()).into_owned()
}

/// A path or a location, quoted for the shell.
pub(super) fn quoted(name: impl Display) -> String {
    quoted_text(&name.to_string())
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
        assert_eq!(quoted("/var/lib/polls.db"), "/var/lib/polls.db");
        assert_eq!(quoted("my polls.db"), "'my polls.db'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(named(&PollKey::new("", "a b")), "'a b'");
        assert_eq!(named(&PollKey::new("run 17", "a")), "--scope 'run 17' a");
    }
}
