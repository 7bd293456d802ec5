//! The public face: building a poller, handing it polls, getting their outcomes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::engine::{self, Coalescer, Deps, Message};
use crate::error::Error;
use crate::event::{self, PollerEvents, Subscriber};
use crate::fetch::Fetch;
use crate::handle::PollHandle;
use crate::http::{Guard, HttpClient};
use crate::job::PollSpec;
use crate::limits::Limits;
use crate::memory::MemoryStore;
use crate::observe::{Observer, Stats};
use crate::outcome::Outcome;
use crate::runtime::Runtime;
use crate::scope::Scope;
use crate::secret::{DenyAll, SecretResolver};
use crate::shutdown::ShutdownReport;
use crate::store::{Retention, Store, StoredPoll};

/// Runs polls in the background. Cheap to clone; all clones share one engine.
///
/// The engine lives on the tokio runtime that [`build`](PollerBuilder::build) was called on. It stops with
/// [`shutdown`](Self::shutdown), or when the last `Poller`, [`Scope`] and [`PollHandle`] is dropped; polls that are open then
/// stay open in their store.
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

    /// The polls of one scope (a run, a tenant), in which keys need to be unique.
    #[must_use]
    pub fn scope(&self, name: impl Into<String>) -> Scope {
        Scope::new(Arc::clone(&self.runtime), name.into())
    }

    /// Runs a poll and returns once it is durable. The same key and spec again is the same poll: it is joined while it
    /// runs, and its stored outcome is returned at once, without a request, after it has ended.
    ///
    /// # Errors
    /// If the key is not valid, the poll exists with another spec, the store fails, the poller is full or shutting
    /// down.
    pub async fn submit(&self, key: impl Into<String>, spec: PollSpec) -> Result<PollHandle, Error> {
        self.default_scope().submit(key, spec).await
    }

    /// The poll of that key in the default scope, open or finished, as the store has it.
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

    /// Cancels the poll of that key in the default scope and returns its outcome, which is another one where that was
    /// decided first.
    ///
    /// # Errors
    /// If there is no such poll, the store fails, or the poller is shutting down.
    pub async fn cancel(&self, key: impl Into<String>) -> Result<Arc<Outcome>, Error> {
        self.default_scope().cancel(key).await
    }

    /// Removes a finished poll of the default scope, so that its key can be used anew. Says whether there was one; an
    /// open poll is not removed.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn forget(&self, key: impl Into<String>) -> Result<bool, Error> {
        self.default_scope().forget(key).await
    }

    /// What this poller has done so far and has under way: counts, and how late requests were.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.runtime.deps.observer.stats()
    }

    /// Removes finished polls of all scopes now: those that ended longer than `age` ago, and of the others all but the
    /// `most` that ended last. Says how many. The poller does the same by itself, by its [limits](Limits::keep_finished).
    ///
    /// # Errors
    /// If the store fails; what was removed until then is gone.
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

    /// The events of all polls from now on: first those that are open ([`PollerEvent::Opened`](crate::PollerEvent::Opened)),
    /// then beginnings, requests, attempts and outcomes of every poll, and trouble with the store; see [`PollerEvents`]. A
    /// poll that ended before this call is not among them; [`PollerBuilder::build_with_events`] misses none.
    pub fn events(&self) -> PollerEvents {
        let (subscriber, events) = event::subscription();
        // A driver that has stopped drops the subscriber, and the stream ends.
        let _ = self.runtime.driver.send(Message::Subscribe(subscriber));
        events
    }

    /// Stops: no request begins any more, those in flight get [`Limits::grace`], then they are abandoned. For as long, an
    /// outcome that the store failed to keep is tried again. Open polls stay open in the store; whoever waits for one gets
    /// an error. Says what was left; asked again, it says the same.
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
/// // For a tool whose user writes the specs: this machine may be asked, its environment may be read.
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
    guard: Option<Guard>,
    clock: Option<Arc<dyn Clock>>,
    secrets: Option<Arc<dyn SecretResolver>>,
    limits: Limits,
    seed: Option<u64>,
    coalesce: bool,
}

impl PollerBuilder {
    /// Where polls are kept; a [`MemoryStore`] unless set.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// How requests are sent; an [`HttpClient`] unless set.
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(Arc::new(fetch));
        self
    }

    /// Which addresses the default client may talk to; public ones only unless set.
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// What time it is; a [`SystemClock`] unless set.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Who resolves secrets; nobody ([`DenyAll`]) unless set.
    pub fn secrets(mut self, secrets: impl SecretResolver) -> Self {
        self.secrets = Some(Arc::new(secrets));
        self
    }

    /// What is accepted and done at once. A spec must keep these, whatever it was read under.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether polls of one scope may share a GET or HEAD that is in flight, where URL, headers and caps are equal; no
    /// unless told otherwise. Each judges the response by its own filters and waits as long as its own timeouts allow.
    /// Worth it where many polls ask for one document, each for another part of it.
    pub fn coalesce(mut self, allowed: bool) -> Self {
        self.coalesce = allowed;
        self
    }

    /// Seeds the jitter of retries, for runs that can be repeated.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Loads what the store has open and starts to run it.
    ///
    /// # Errors
    /// If the store cannot be read, or a guard is given beside a `fetch` of one's own, which does not know of it.
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

    async fn build_for(self, subscriber: Option<Subscriber>) -> Result<Poller, Error> {
        let Self { store, fetch, guard, clock, secrets, limits, seed, coalesce } = self;
        let fetch: Arc<dyn Fetch> = match (fetch, guard) {
            (Some(_), Some(_)) => {
                return Err(Error::configuration(
                    "a guard was given besides a fetch; give the guard to the fetch instead",
                ));
            }
            (Some(fetch), None) => fetch,
            (None, guard) => Arc::new(
                HttpClient::builder()
                    .guard(guard.unwrap_or_else(Guard::public_only))
                    .idle_per_origin(limits.per_origin)
                    .build()
                    .map_err(|error| Error::configuration(error.to_string()))?,
            ),
        };
        let deps = Arc::new(Deps {
            store: store.unwrap_or_else(|| Arc::new(MemoryStore::new())),
            fetch,
            coalescer: coalesce.then(Coalescer::default),
            clock: clock.unwrap_or_else(|| Arc::new(SystemClock::new())),
            secrets: secrets.unwrap_or_else(|| Arc::new(DenyAll)),
            observer: Observer::new(),
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

impl fmt::Debug for PollerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollerBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}
