//! The store of a fleet: many equal processes, one PostgreSQL database.
//!
//! ```text
//!  submit, cancel, read ──► any process ──► open, done, inbox
//!                                             │
//!  worker ──► lease on some of the shards ──► the open polls in them: requests, outcomes
//! ```
//!
//! Polls are hashed to shards, and each worker runs the polls of the shards that it has leased. A poll costs three rows in
//! its life: its creation, the end of its open row, its outcome; what is due in between is computed.
//!
//! What always holds:
//! - the open row is the fence: an outcome deletes it in the transaction that inserts the outcome, so there is one outcome,
//!   whatever leases say;
//! - a batch of a worker begins with a look at its lease, and is refused once another worker has taken over;
//! - a worker that is not certain of its lease begins no request and writes nothing ([`lease`]).
//!
//! All of it works without LISTEN and NOTIFY, session state and named statements. Connections live on a thread of their
//! own: a renewal does not wait for a busy runtime, and a test's paused clock does not time out a socket.

mod admin;
mod balance;
mod batches;
mod calls;
mod changes;
mod clock;
mod clock_steps;
mod combine;
mod creates;
mod database;
mod fleet;
mod lease;
mod lists;
mod loading;
mod maintenance;
mod new_poll;
mod options;
mod outbox;
mod reads;
mod schema;
mod shards;
mod sightings;
#[cfg(test)]
mod simulation;
mod specs;
mod telling;
mod tls;
mod words;
mod writes;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use retry::Rng;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};

use self::batches::Found;
use self::clock::DatabaseClock;
use self::combine::Combiner;
use self::database::{Database, Fault};
use self::lease::{Role, Worker};
use self::loading::Loading;
use self::shards::{Shards, shard_of};
use self::sightings::Sightings;
use self::telling::Telling;
use self::writes::Finish;
use crate::clock::Timestamp;
use crate::job::StoredSpecs;
use crate::key::PollKey;
use crate::lock::lock;
use crate::store::{Creation, RunsUntil, StoreError, StoreFuture, StoredPoll};

pub use self::fleet::{Fleet, FleetWorker};
pub use self::options::PostgresOptions;

/// The most specs whose ids are kept.
const KNOWN_SPECS: usize = 4096;

/// Keeps polls in a PostgreSQL database that many processes share; see [`PostgresOptions`]. Clones share the connections.
///
/// A [`Poller`](crate::Poller) on such a store is a worker: it runs a share of all open polls, takes over those of workers
/// that stop, and gives its own back when the store is dropped.
///
/// ```no_run
/// use poller::{Poller, PostgresOptions};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresOptions::parse("postgres://poll@db.example.com/polls")?.connect().await?;
/// let poller = Poller::builder().store(store).build().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    inner: Arc<Inner>,
    thread: Arc<Thread>,
}

/// The thread of the connections; dropping this ends it, after the lease is given back.
struct Thread {
    handle: Handle,
    close: Mutex<Option<oneshot::Sender<()>>>,
    closed: watch::Receiver<()>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(close) = lock(&self.close).take() {
            let _ = close.send(());
        }
    }
}

/// What the calls and the renewal of the lease share.
struct Inner {
    database: Database,
    clock: DatabaseClock,
    lease: Duration,
    shard_count: i32,
    host: String,
    runs_until: Mutex<RunsUntil>,
    role: Mutex<Role>,
    /// By the boot-time clock, in microseconds.
    trusted_until: AtomicU64,
    /// Held while shards are taken: of two at once, each would skip the rows that the other has locked.
    balancing: tokio::sync::Mutex<()>,
    /// When a transaction was last refused because the lease had ended, by the same clock.
    suspected: AtomicU64,
    wake: Notify,
    /// What was seen of the leases of others.
    sightings: Mutex<Sightings>,
    /// Since when this process has been waiting to be certain of the fleet's time.
    uncertain_since: Mutex<Option<Timestamp>>,
    takeovers: AtomicI64,
    /// How long the oldest due poll has been waiting, in microseconds.
    lag: AtomicI64,
    shards: Mutex<Shards>,
    loading: tokio::sync::Mutex<Loading>,
    /// The ids of specs and the day on which they were seen, by the digests of their texts.
    spec_ids: Mutex<HashMap<[u8; 32], (i64, i64)>>,
    stored_specs: Mutex<StoredSpecs>,
    /// Days whose partitions are there.
    days: Mutex<HashSet<i64>>,
    finishes: Combiner<Finish, Result<bool, StoreError>>,
    creates: Combiner<StoredPoll, Result<Creation, StoreError>>,
    gets: Combiner<PollKey, Found>,
    rng: Mutex<Rng>,
    /// Told of new deliveries of webhooks.
    added: Arc<Notify>,
    telling: Telling,
}

impl Inner {
    fn shards(&self) -> MutexGuard<'_, Shards> {
        lock(&self.shards)
    }

    /// The shard of a poll.
    fn shard_of(&self, key: &PollKey) -> i32 {
        shard_of(key, self.shard_count)
    }

    fn role(&self) -> Role {
        *lock(&self.role)
    }

    fn set_role(&self, role: Role) {
        *lock(&self.role) = role;
    }

    fn worker(&self) -> Option<Worker> {
        match self.role() {
            Role::Worker(worker) => Some(worker),
            Role::Client | Role::Deposed { .. } => None,
        }
    }

    /// A number that no other process draws; not negative.
    fn random(&self) -> i64 {
        i64::try_from(lock(&self.rng).next_u64() >> 1).unwrap_or(0)
    }

    /// A number from 0 to 1.
    fn fraction(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "jitter needs no 53 bits")]
        let fraction = self.random() as f64 / i64::MAX as f64;
        fraction
    }

    fn runs_shard(&self, shard: i32) -> bool {
        self.shards().is_ours(shard)
    }
}

impl PostgresStore {
    async fn connect(options: PostgresOptions) -> Result<Self, StoreError> {
        let (ready, started) = oneshot::channel();
        let (close, closed) = oneshot::channel();
        let (ended, has_ended) = watch::channel(());
        let failed = |error: std::io::Error| {
            StoreError::with_source(format!("cannot start the thread of {}: {error}", options.shown), error)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let thread = move || {
            runtime.block_on(async move {
                match Inner::open(&options).await {
                    Ok(inner) => {
                        let inner = Arc::new(inner);
                        if ready.send(Ok(Arc::clone(&inner))).is_ok() {
                            tokio::spawn(telling::keep(Arc::clone(&inner)));
                            lease::keep(inner, closed).await;
                        }
                    }
                    Err(fault) => {
                        let _ = ready.send(Err(fault.into_error("open the store", &options.shown)));
                    }
                }
            });
            drop(ended);
        };
        std::thread::Builder::new().name("poll-postgres".to_owned()).spawn(thread).map_err(|error| {
            StoreError::with_source(format!("cannot start a thread for the database: {error}"), error)
        })?;
        let inner =
            started.await.map_err(|_| StoreError::new("the thread of the database has stopped"))??;
        let thread = Thread { handle, close: Mutex::new(Some(close)), closed: has_ended };
        Ok(Self { inner, thread: Arc::new(thread) })
    }

    /// Says when this process ends by itself, for [`StoreAdmin::runner`](crate::store::StoreAdmin::runner) in other
    /// processes. To be called before the store is given to a [`Poller`](crate::Poller).
    pub fn runs_until(&self, until: RunsUntil) {
        *lock(&self.inner.runs_until) = until;
    }

    /// Waits until the last clone of this store is dropped and its lease is given back, so that others run its polls at
    /// once. The future does not keep the store open.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut closed = self.thread.closed.clone();
        async move {
            // An error says that the thread has ended.
            while closed.changed().await.is_ok() {}
        }
    }

    /// Runs a call on the thread of the connections. It goes on if the returned future is dropped.
    fn call<T, C>(
        &self,
        action: &'static str,
        call: impl FnOnce(Arc<Inner>) -> C + Send + 'static,
    ) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
        C: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let task = self.thread.handle.spawn(async move {
            let shown = inner.database.shown.clone();
            call(inner).await.map_err(|fault| fault.into_error(action, &shown))
        });
        Box::pin(async move { task.await.unwrap_or_else(|_| Err(abandoned(action))) })
    }
}

/// The error of a call whose task has ended without an answer.
fn abandoned(action: &str) -> StoreError {
    StoreError::new(format!("cannot {action}: the call was abandoned"))
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresStore").field(&self.inner.database.shown).finish()
    }
}

impl Inner {
    async fn open(options: &PostgresOptions) -> Result<Self, Fault> {
        let clock = DatabaseClock::new();
        let database = Database::new(options, clock.own())?;
        let shard_count = schema::prepare(&database, options.shards).await?;
        let inner = Self {
            database,
            clock,
            lease: options.lease,
            shard_count,
            host: host(),
            runs_until: Mutex::new(options.runs_until),
            role: Mutex::new(Role::Client),
            trusted_until: AtomicU64::new(0),
            balancing: tokio::sync::Mutex::new(()),
            suspected: AtomicU64::new(0),
            wake: Notify::new(),
            sightings: Mutex::default(),
            uncertain_since: Mutex::default(),
            takeovers: AtomicI64::new(0),
            lag: AtomicI64::new(0),
            shards: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
            spec_ids: Mutex::default(),
            stored_specs: Mutex::new(StoredSpecs::new(None)),
            days: Mutex::default(),
            finishes: Combiner::default(),
            creates: Combiner::default(),
            gets: Combiner::default(),
            rng: Mutex::new(Rng::from_entropy()),
            added: Arc::default(),
            telling: Telling::new(options.notify),
        };
        inner.measure().await?;
        Ok(inner)
    }
}

/// The name of this machine.
fn host() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    name
}

fn micros(at: Timestamp) -> i64 {
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX)
}

fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Microseconds as a column has them.
fn signed(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The reverse.
fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// The number in another type; 0 if it does not fit.
fn or_zero<T: TryFrom<N> + Default, N>(number: N) -> T {
    T::try_from(number).unwrap_or_default()
}
