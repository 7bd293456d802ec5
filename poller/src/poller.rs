//! The public face: builds a poller, submits polls, reads and cancels them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::engine::{self, Coalescer, Deps, Judging, Message};
use crate::error::Error;
use crate::event::{self, PollerEvents, Subscriber};
use crate::fetch::Fetch;
use crate::handle::PollHandle;
#[cfg(feature = "http")]
use crate::http::{Guard, HttpClient};
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::limits::Limits;
use crate::memory::MemoryStore;
use crate::observe::{Observer, Stats};
use crate::open_poll::OpenPoll;
use crate::outcome::Outcome;
use crate::runtime::Runtime;
use crate::scope::Scope;
use crate::secret::{DenyAll, SecretResolver};
use crate::shutdown::ShutdownReport;
use crate::store::{Retention, Store, StoredPoll};
use crate::threads::Threads;

/// Runs polls in the background. Cheap to clone; all clones share one engine.
///
/// The engine lives on the tokio runtime that [`build`](PollerBuilder::build) was called on. It stops with
/// [`shutdown`](Self::shutdown), or when the last `Poller`, [`Scope`] and [`PollHandle`] is dropped; open polls stay open in
/// the store.
///
/// ```no_run
/// use poller::{PollSpec, Poller};
///
/// #[derive(serde::Deserialize)]
/// struct Export {
///     download_url: String,
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let poller = Poller::builder().build().await?;
/// let spec = PollSpec::parse(
///     r#"{"url": "https://api.example.com/v1/exports/42", "interval": 10, "timeout": 300,
///         "responseFilter": {"body": {"status": ["SUCCESS"]}},
///         "failureFilter": {"body": {"status": ["FAILED", "CANCELLED"]}}}"#,
/// )?;
/// let done = poller.background_poll::<Export>("export-42", spec).await?;
/// println!("{} after {} attempts", done.value.download_url, done.attempts);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Poller {
    runtime: Arc<Runtime>,
}

impl Poller {
    /// A builder with the defaults: memory store, real HTTP to public addresses only, real clock.
    pub fn builder() -> PollerBuilder {
        PollerBuilder::default()
    }

    /// The polls of one scope (a run, a tenant). Keys are unique within a scope.
    #[must_use]
    pub fn scope(&self, name: impl Into<String>) -> Scope {
        Scope::new(Arc::clone(&self.runtime), name.into())
    }

    /// Submits a poll and returns once it is durable. The same key and spec again is the same poll: the call joins it while
    /// it runs, and afterwards returns its stored outcome at once, without a request.
    ///
    /// # Errors
    /// If the key is not valid, the poll exists with another spec, the store fails, the poller is full or shutting
    /// down.
    pub async fn submit(&self, key: impl Into<String>, spec: PollSpec) -> Result<PollHandle, Error> {
        self.default_scope().submit(key, spec).await
    }

    /// The stored poll with this key in the default scope, open or finished.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn get(&self, key: impl Into<String>) -> Result<Option<StoredPoll>, Error> {
        self.default_scope().get(key).await
    }

    /// All polls of the store, whatever their scope, oldest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn list(&self) -> Result<Vec<StoredPoll>, Error> {
        Ok(self.runtime.deps.store.list().await?)
    }

    /// Cancels the poll with this key in the default scope and returns its outcome, which is another one if that was decided
    /// first.
    ///
    /// # Errors
    /// If there is no such poll, the store fails, or the poller is shutting down.
    pub async fn cancel(&self, key: impl Into<String>) -> Result<Arc<Outcome>, Error> {
        self.default_scope().cancel(key).await
    }

    /// Removes a finished poll of the default scope, so that its key can be used again. Returns false if there is none; an
    /// open poll is not removed.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn forget(&self, key: impl Into<String>) -> Result<bool, Error> {
        self.default_scope().forget(key).await
    }

    /// Open polls as the engine has them now, with attempts that no store has yet; in the order of `keys`. `None` for a poll
    /// that has ended, or that this poller does not run. Takes time linear in the number of keys, in the engine's task: ask
    /// for the polls of a page, not of a store.
    ///
    /// # Errors
    /// If the poller is shutting down.
    pub async fn look(&self, keys: Vec<PollKey>) -> Result<Vec<Option<OpenPoll>>, Error> {
        self.runtime.ask(|answer| Message::Look { keys, answer }).await
    }

    /// Has an open poll ask as soon as it may, because a caller says that there is something new: at once, but at most once a
    /// second, and not before the end of a wait that the server has asked for. The times of its later requests stay. A poll
    /// that another process of a fleet runs hears of it within a second. Returns whether there is such a poll.
    ///
    /// # Errors
    /// If the poller is shutting down, or the store fails.
    pub async fn hasten(&self, key: PollKey) -> Result<bool, Error> {
        if self.runtime.ask(|answer| Message::Hasten { key: key.clone(), answer }).await? {
            return Ok(true);
        }
        let store = &self.runtime.deps.store;
        Ok(!store.runs(&key) && store.hasten_elsewhere(key).await?)
    }

    /// Counts and latencies of this poller.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.runtime.deps.observer.stats()
    }

    /// Removes finished polls of all scopes: polls that ended more than `age` ago, and all but the `most` that ended last.
    /// Returns their number. The poller does the same by itself, by its [limits](Limits::keep_finished).
    ///
    /// # Errors
    /// If the store fails; polls removed before the failure stay removed.
    pub async fn purge(&self, age: Duration, most: usize) -> Result<usize, Error> {
        let deps = &self.runtime.deps;
        let keep = Retention::new(deps.clock.now().before(age), most);
        let mut removed = 0;
        loop {
            match deps.store.purge(keep).await? {
                0 => return Ok(removed),
                some => removed += some,
            }
        }
    }

    /// The events of all polls from now on: first the open ones ([`PollerEvent::Opened`](crate::PollerEvent::Opened)),
    /// then beginnings, requests, attempts and outcomes of every poll, and trouble with the store; see [`PollerEvents`]. A
    /// poll that ended before this call is not among them; [`PollerBuilder::build_with_events`] misses none.
    pub fn events(&self) -> PollerEvents {
        let (subscriber, events) = event::subscription();
        // A driver that has stopped drops the subscriber, and the stream ends.
        let _ = self.runtime.driver.send(Message::Subscribe(subscriber));
        events
    }

    /// Stops the engine: no request begins any more, and requests in flight are abandoned after [`Limits::grace`]. Until then,
    /// outcomes that the store failed to keep are stored again. Open polls stay open in the store; calls that wait for their
    /// outcomes return an error at once ([`ErrorKind::Shutdown`](crate::ErrorKind::Shutdown)), so a server that drains its
    /// connections calls this first. A second call returns the same report.
    pub async fn shutdown(&self) -> ShutdownReport {
        self.runtime.shutdown().await
    }

    pub(crate) fn default_scope(&self) -> Scope {
        self.scope("")
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").finish_non_exhaustive()
    }
}

/// Builds a [`Poller`].
///
/// ```
/// use poller::http::Guard;
/// use poller::secret::AllowAll;
/// use poller::{Limits, Poller};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut limits = Limits::default();
/// limits.per_origin = 4;
/// // For a tool whose user writes the specs: requests to this machine and references to its environment are allowed.
/// let poller = Poller::builder().limits(limits).guard(Guard::local()).secrets(AllowAll).build().await?;
/// assert_eq!(poller.stats().open, 0);
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `build`"]
#[derive(Default)]
pub struct PollerBuilder {
    store: Option<Arc<dyn Store>>,
    fetch: Option<Arc<dyn Fetch>>,
    #[cfg(feature = "http")]
    guard: Option<Guard>,
    clock: Option<Arc<dyn Clock>>,
    secrets: Option<Arc<dyn SecretResolver>>,
    limits: Limits,
    seed: Option<u64>,
    coalesce: bool,
}

impl PollerBuilder {
    /// The store; a [`MemoryStore`] by default.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// The HTTP client; by default an `HttpClient`, which the feature `http` provides.
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(Arc::new(fetch));
        self
    }

    /// The addresses that the default client may connect to; public ones only by default.
    #[cfg(feature = "http")]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// The clock; by default that of the store if it has one, else a [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// The resolver of secret references; by default none resolve ([`DenyAll`]).
    pub fn secrets(mut self, secrets: impl SecretResolver) -> Self {
        self.secrets = Some(Arc::new(secrets));
        self
    }

    /// The bounds of the poller. Every submitted spec must keep them, whatever limits it was read with.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether polls of one scope share a GET or HEAD in flight if URL, headers and caps are equal; false by default. Each
    /// poll judges the response by its own filters and keeps its own timeouts. Useful if many polls read different parts of
    /// one document.
    pub fn coalesce(mut self, allowed: bool) -> Self {
        self.coalesce = allowed;
        self
    }

    /// The seed of the jitter of retries, for reproducible runs.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts the engine and loads the open polls of the store.
    ///
    /// # Errors
    /// If the store cannot be read, or both a guard and a `fetch` are given: a guard applies only to the default client.
    pub async fn build(self) -> Result<Poller, Error> {
        self.build_for(None).await
    }

    /// As [`build`](Self::build), with the events of all polls from the first that is loaded, so that no outcome is missed.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub async fn build_with_events(self) -> Result<(Poller, PollerEvents), Error> {
        let (subscriber, events) = event::subscription();
        Ok((self.build_for(Some(subscriber)).await?, events))
    }

    #[cfg(feature = "http")]
    fn client(&self) -> Result<Arc<dyn Fetch>, Error> {
        match (&self.fetch, &self.guard) {
            (Some(_), Some(_)) => Err(Error::configuration(
                "a guard was given besides a fetch; give the guard to the fetch instead",
            )),
            (Some(fetch), None) => Ok(Arc::clone(fetch)),
            (None, guard) => {
                let builder = HttpClient::builder().guard(guard.clone().unwrap_or_else(Guard::public_only));
                let client = builder.idle_per_origin(self.limits.per_origin).build();
                Ok(Arc::new(client.map_err(|error| Error::configuration(error.to_string()))?))
            }
        }
    }

    #[cfg(not(feature = "http"))]
    fn client(&self) -> Result<Arc<dyn Fetch>, Error> {
        self.fetch.clone().ok_or_else(|| {
            Error::configuration(
                "no client was given: call `fetch`, or turn on the feature `http` for the default client",
            )
        })
    }

    async fn build_for(self, subscriber: Option<Subscriber>) -> Result<Poller, Error> {
        let fetch = self.client()?;
        let Self { store, clock, secrets, limits, seed, coalesce, .. } = self;
        let store = store.unwrap_or_else(|| Arc::new(MemoryStore::new()));
        let clock = clock.or_else(|| store.clock()).unwrap_or_else(|| Arc::new(SystemClock::new()));
        let deps = Arc::new(Deps {
            store,
            fetch,
            coalescer: coalesce.then(Coalescer::default),
            clock,
            secrets: secrets.unwrap_or_else(|| Arc::new(DenyAll)),
            secret_threads: Threads::new("poller-secrets", SECRET_THREADS),
            observer: Observer::new(),
            judging: Judging::new(limits.kept_bytes),
            max_body: limits.max_body,
            grace: limits.grace,
        });
        let expected = deps.store.begin_run().await?;
        let first = deps.store.load_open().await?;
        let rng = seed.map_or_else(retry::Rng::from_entropy, retry::Rng::seeded);
        let driver = engine::spawn(limits.clone(), rng, Arc::clone(&deps), first, expected, subscriber);
        Ok(Poller { runtime: Arc::new(Runtime::new(driver, deps, limits)) })
    }
}

/// The most secrets that are being resolved at once. A file on a mount that hangs, or a vault that is silent, holds a thread.
const SECRET_THREADS: usize = 32;

impl fmt::Debug for PollerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollerBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}
