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
mod clock;
mod combine;
mod database;
mod fleet;
mod lease;
mod options;
mod outbox;
mod reads;
mod schema;
mod shards;
#[cfg(test)]
mod simulation;
mod tls;
mod writes;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use retry::Rng;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};
use tokio_postgres::types::Type;

use self::batches::Found;
use self::clock::DatabaseClock;
use self::combine::Combiner;
use self::database::{Database, Fault};
use self::lease::{Role, Worker};
use self::shards::{Known, Shards, shard_of};
use self::writes::Finish;
use crate::clock::{BoxFuture, Clock, Timestamp};
use crate::job::{PollSpec, StoredSpecs};
use crate::key::PollKey;
use crate::outbox::Outbox;
use crate::outcome::{Attempt, Outcome};
use crate::store::{Changes, Creation, OpenPolls, Retention, RunsUntil, Store, StoreError, StoredPoll};

pub use self::fleet::{Fleet, FleetWorker};
pub use self::options::PostgresOptions;

/// How often a worker looks for polls and cancellations from outside: they are noticed within a second.
const LOOK: Duration = Duration::from_millis(500);

/// The number of open polls in a page.
const PAGE: usize = 4096;

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
        let close = self.close.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(close) = close {
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
    takeovers: AtomicI64,
    /// How long the oldest due poll has been waiting, in microseconds.
    lag: AtomicI64,
    shards: Mutex<Shards>,
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
}

/// What the inbox of a worker says.
#[derive(Default)]
struct News {
    open: OpenPolls,
    cancelling: Vec<PollKey>,
    hastened: Vec<PollKey>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic cannot interrupt a change: nothing that a change calls panics.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn shards(&self) -> MutexGuard<'_, Shards> {
        lock(&self.shards)
    }

    fn spec_ids(&self) -> MutexGuard<'_, HashMap<[u8; 32], (i64, i64)>> {
        lock(&self.spec_ids)
    }

    fn stored_specs(&self) -> MutexGuard<'_, StoredSpecs> {
        lock(&self.stored_specs)
    }

    fn days(&self) -> MutexGuard<'_, HashSet<i64>> {
        lock(&self.days)
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

    fn runs_until(&self) -> RunsUntil {
        *lock(&self.runs_until)
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

    /// The stored text of a spec, without its URL. A database keeps no inline secrets: who can read it could read what is
    /// sent, and who can write to it could send it elsewhere.
    fn stored_text(key: &PollKey, spec: &PollSpec) -> Result<Arc<str>, StoreError> {
        let inline = spec.inline_secrets();
        if !inline.is_empty() {
            return Err(StoreError::new(format!(
                "the spec holds a secret in {}, and the store is a database, which keeps none; refer to the secret as \
                 {{\"$secret\":\"env:NAME\"}}, which each worker resolves",
                inline.join(", ")
            )));
        }
        spec.to_stored(key, None)
            .map(|stored| stored.text)
            .map_err(|error| StoreError::new(error.to_string()))
    }

    async fn get(&self, key: &PollKey) -> Result<Option<StoredPoll>, Fault> {
        let tx = self.database.read().await?;
        self.find(&tx, key).await
    }

    /// The outcome of a poll that is not open.
    async fn stored_outcome(&self, key: &PollKey) -> Result<Arc<Outcome>, Fault> {
        let outcome = self.get(key).await?.and_then(|poll| poll.outcome);
        outcome.ok_or_else(|| Fault::Store(StoreError::not_found(key)))
    }

    /// The answer for a poll that was not created because of an existing one.
    fn present(&self, key: &PollKey, found: Found, for_engine: bool) -> Result<Creation, StoreError> {
        let Some((present, incarnation)) = found? else {
            return Err(StoreError::new(format!(
                "the poll {key} was forgotten while it was created; try again"
            )));
        };
        if for_engine && present.outcome.is_none() {
            // The engine runs it from here on, if this process runs its shard: maybe a creation whose result was not known.
            let known = Known { incarnation, has_extras: true };
            self.shards().add(shard_of(key, self.shard_count), key.clone(), known);
        }
        Ok(Creation::Exists(Box::new(present)))
    }

    /// Creates polls, and answers in their order.
    async fn create_all(
        &self,
        polls: Vec<StoredPoll>,
        for_engine: bool,
    ) -> Vec<Result<Creation, StoreError>> {
        let error = |fault: Fault| fault.into_error("store a poll", &self.database.shown);
        let mut results: Vec<Result<Creation, StoreError>> = Vec::with_capacity(polls.len());
        let mut new = Vec::with_capacity(polls.len());
        let mut keys = Vec::with_capacity(polls.len());
        for (position, poll) in polls.iter().enumerate() {
            keys.push(poll.key.clone());
            match self.new_poll(position, poll) {
                Ok(poll) => {
                    results.push(Ok(Creation::Created));
                    new.push(poll);
                }
                Err(error) => results.push(Err(error)),
            }
        }
        match self.create(new, for_engine).await {
            Ok(present) if present.is_empty() => {}
            Ok(present) => {
                let positions: Vec<usize> = present.into_iter().collect();
                let names: Vec<PollKey> = positions.iter().map(|position| keys[*position].clone()).collect();
                match self.get_all(&names).await {
                    Ok(found) => {
                        for (position, found) in positions.into_iter().zip(found) {
                            results[position] = self.present(&keys[position], found, for_engine);
                        }
                    }
                    Err(fault) => {
                        let error = error(fault);
                        positions.into_iter().for_each(|position| results[position] = Err(error.clone()));
                    }
                }
            }
            Err(fault) => {
                let error = error(fault);
                for result in results.iter_mut().filter(|result| result.is_ok()) {
                    *result = Err(error.clone());
                }
            }
        }
        results
    }

    async fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> Result<Arc<Outcome>, Fault> {
        let shard = shard_of(&key, self.shard_count);
        let known = self.shards().get(shard, &key);
        let fenced = match self.role() {
            Role::Client => false,
            Role::Worker(_) if self.is_trusted() && self.runs_shard(shard) => true,
            Role::Worker(_) | Role::Deposed { .. } => return Err(Fault::Deposed),
        };
        let finish = Finish::new(shard, key.clone(), known, &outcome)?;
        let work = |finishes: Vec<Finish>| -> BoxFuture<'_, Vec<Result<bool, StoreError>>> {
            Box::pin(async move {
                match self.finish_all(&finishes, fenced).await {
                    Ok(results) => results.into_iter().map(Ok).collect(),
                    Err(fault) => {
                        let error = fault.into_error("store an outcome", &self.database.shown);
                        finishes.iter().map(|_| Err(error.clone())).collect()
                    }
                }
            })
        };
        match self.finishes.run(finish, work).await {
            Some(Ok(true)) => Ok(outcome),
            Some(Ok(false)) => self.stored_outcome(&key).await,
            Some(Err(error)) => Err(Fault::Store(error)),
            None => Err(Fault::Store(StoreError::new("the call was abandoned"))),
        }
    }

    async fn follow(&self, key: &PollKey, url: &str) -> Result<(), Fault> {
        let (shard, scope, name) = (shard_of(key, self.shard_count), key.scope(), key.key());
        let known = self.shards().get(shard, key);
        let incarnation = known.map(|known| known.incarnation);
        let tx = self.database.write().await?;
        if self.role() != Role::Client {
            self.fence(&tx).await?;
        }
        let kept = tx
            .execute(
                "INSERT INTO poll.followed AS f (shard, scope, key, incarnation, url) \
                 SELECT shard, scope, key, incarnation, $5 FROM poll.open \
                 WHERE shard = $1 AND scope = $2 AND key = $3 AND incarnation = coalesce($4, incarnation) \
                 ON CONFLICT (shard, scope, key) DO UPDATE SET incarnation = excluded.incarnation, url = excluded.url",
                &[
                    (&shard, Type::INT4),
                    (&scope, Type::TEXT),
                    (&name, Type::TEXT),
                    (&incarnation, Type::INT8),
                    (&url, Type::TEXT),
                ],
            )
            .await?;
        tx.commit().await?;
        self.shards().mark_extras(shard, key);
        if kept > 0 { Ok(()) } else { Err(Fault::Store(StoreError::not_found(key))) }
    }

    async fn note_attempts(&self, attempts: Vec<(PollKey, Vec<Attempt>)>) -> Result<(), Fault> {
        let mut attempts: Vec<_> = attempts
            .into_iter()
            .map(|(key, attempts)| (shard_of(&key, self.shard_count), key, attempts))
            .collect();
        attempts.sort_by(|(shard, key, _), (other, name, _)| (shard, key).cmp(&(other, name)));
        attempts.dedup_by(|(_, later, _), (_, first, _)| later == first);
        let mut names = writes::Names::default();
        let mut texts = Vec::with_capacity(attempts.len());
        for (shard, key, attempts) in &attempts {
            names.push(*shard, key);
            texts.push(serde_json::to_string(attempts).map_err(|error| {
                Fault::Store(StoreError::with_source("attempts cannot be written as JSON", error))
            })?);
        }
        let tx = self.database.write().await?;
        if self.role() != Role::Client {
            self.fence(&tx).await?;
        }
        tx.execute(
            "INSERT INTO poll.attempts AS a (shard, scope, key, incarnation, history) \
             SELECT o.shard, o.scope, o.key, o.incarnation, n.history \
             FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[]) AS n (shard, scope, key, history) \
             JOIN poll.open o ON o.shard = n.shard AND o.scope = n.scope AND o.key = n.key \
             ORDER BY o.shard, o.scope, o.key FOR KEY SHARE OF o \
             ON CONFLICT (shard, scope, key) DO UPDATE SET incarnation = excluded.incarnation, history = excluded.history",
            &[
                (&names.shards, Type::INT4_ARRAY),
                (&names.scopes, Type::TEXT_ARRAY),
                (&names.keys, Type::TEXT_ARRAY),
                (&texts, Type::TEXT_ARRAY),
            ],
        )
        .await?;
        for (shard, key, _) in &attempts {
            self.shards().mark_extras(*shard, key);
        }
        tx.commit().await
    }

    async fn begin_run(&self) -> Result<usize, Fault> {
        schema::probe(&self.database, self.random()).await?;
        self.register().await?;
        let ours = self.shards().ours();
        let sql = "SELECT count(*) FROM poll.open WHERE shard = ANY($1)";
        let row = self.database.read().await?.first(sql, &[(&ours, Type::INT4_ARRAY)]).await?;
        Ok(row.map_or(0, |row| usize::try_from(row.get::<_, i64>(0)).unwrap_or(0)))
    }

    /// The next page of polls that the engine has not read. Polls that cannot be read end as failed first.
    async fn load(&self) -> Result<OpenPolls, Fault> {
        self.shards().begin_read();
        let page = self.next_page(PAGE).await;
        self.shards().end_read();
        let (page, last) = page?;
        self.opened(page, last).await
    }

    async fn opened(&self, page: reads::Page, last: bool) -> Result<OpenPolls, Fault> {
        let mut unreadable = Vec::with_capacity(page.unreadable.len());
        for (key, known, outcome) in page.unreadable {
            let shard = shard_of(&key, self.shard_count);
            let finish = Finish::new(shard, key.clone(), Some(known), &outcome)?;
            match self.finish_all(&[finish], true).await {
                Ok(ended) if ended == [true] => unreadable.push((key, Arc::new(outcome))),
                Ok(_) => {}
                // The others must reach the engine; this one is read again.
                Err(_) => self.shards().read_again(),
            }
        }
        Ok(OpenPolls { polls: page.polls, unreadable, sealed: Vec::new(), last })
    }

    async fn changes(&self) -> Result<Changes, Fault> {
        let mut changes = Changes::default();
        match self.role() {
            Role::Client => return Ok(changes),
            Role::Deposed { id, told } => {
                changes.released = self.shards().released();
                if told && changes.released.is_empty() {
                    self.register().await?;
                } else {
                    self.set_role(Role::Deposed { id, told: true });
                }
                return Ok(changes);
            }
            Role::Worker(_) => {}
        }
        if !self.is_trusted() {
            return Ok(changes);
        }
        self.give_back().await?;
        changes.released = self.shards().released();
        self.shards().read_doubtful(crate::clock::boot_time());
        if !self.shards().all_read() {
            match self.load().await {
                Ok(open) => changes.open = open,
                // The released polls must reach the engine.
                Err(_) if !changes.released.is_empty() => {}
                Err(fault) => return Err(fault),
            }
            return Ok(changes);
        }
        self.shards().begin_read();
        let inbox = self.empty_inbox().await;
        self.shards().end_read();
        if inbox.as_ref().is_err_and(Fault::is_unknown) {
            // Maybe the news was removed: the open rows tell the same.
            self.shards().read_again();
        }
        match inbox {
            Ok(news) => {
                changes.open = news.open;
                changes.cancelling = news.cancelling;
                changes.hastened = news.hastened;
            }
            Err(_) if !changes.released.is_empty() => {}
            Err(fault) => return Err(fault),
        }
        Ok(changes)
    }

    /// What others have put into the inbox of this worker's shards. Creations are removed by reading them: a worker that takes over
    /// finds the open rows. So are calls to ask at once, which are no promises. Cancellations stay until the poll has ended, so that
    /// they survive this process.
    async fn empty_inbox(&self) -> Result<News, Fault> {
        let ours = self.shards().ours();
        let tx = self.database.write().await?;
        let there = tx.first("SELECT 1 FROM poll.inbox LIMIT 1", &[]).await?;
        if there.is_none() {
            tx.rollback().await?;
            return Ok(News { open: OpenPolls::all(Vec::new()), ..News::default() });
        }
        let worker = self.fence(&tx).await?;
        let key = |row: &tokio_postgres::Row| PollKey::new(row.get::<_, &str>(0), row.get::<_, &str>(1));
        let params = [(&ours as _, Type::INT4_ARRAY)];
        let told = tx
            .query(
                // A fail-over may have undone the assignment of a shard: its news belongs to the owner by the database.
                "DELETE FROM poll.inbox WHERE what IN ('created', 'hasten') AND shard = ANY($1) \
                 AND shard IN (SELECT id FROM poll.shard WHERE worker = $2) RETURNING scope, key, incarnation, what",
                &[(&ours as _, Type::INT4_ARRAY), (&worker.id as _, Type::INT8)],
            )
            .await?;
        tx.execute(
            "DELETE FROM poll.inbox i WHERE what = 'cancel' AND shard = ANY($1) AND NOT EXISTS \
             (SELECT FROM poll.open o WHERE o.shard = i.shard AND o.scope = i.scope AND o.key = i.key \
             AND o.incarnation = i.incarnation)",
            &params,
        )
        .await?;
        let cancel = tx
            .query(
                "SELECT DISTINCT scope, key FROM poll.inbox WHERE what = 'cancel' AND shard = ANY($1)",
                &params,
            )
            .await?;
        let (created, hastened): (Vec<_>, Vec<_>) =
            told.iter().partition(|row| row.get::<_, &str>(3) == "created");
        let mut created: Vec<(PollKey, i64)> =
            created.into_iter().map(|row| (key(row), row.get(2))).collect();
        {
            // Polls that were loaded with their shard.
            let shards = self.shards();
            created.retain(|(key, incarnation)| {
                let known = shards.get(shard_of(key, self.shard_count), key);
                known.is_none_or(|known| known.incarnation != *incarnation)
            });
        }
        let page =
            if created.is_empty() { reads::Page::default() } else { self.open_of(&tx, &created).await? };
        tx.commit().await?;
        let open = self.opened(page, true).await?;
        Ok(News {
            open,
            cancelling: cancel.iter().map(key).collect(),
            hastened: hastened.into_iter().map(key).collect(),
        })
    }

    async fn forget(&self, key: &PollKey) -> Result<bool, Fault> {
        let (shard, scope, name) = (shard_of(key, self.shard_count), key.scope(), key.key());
        let tx = self.database.write().await?;
        let rows = tx
            .query(
                "DELETE FROM poll.done WHERE shard = $1 AND scope = $2 AND key = $3 \
                 RETURNING ended >= (SELECT horizon FROM poll.meta)",
                &[(&shard, Type::INT4), (&scope, Type::TEXT), (&name, Type::TEXT)],
            )
            .await?;
        if !rows.is_empty() {
            tx.execute(
                "DELETE FROM poll.outbox WHERE shard = $1 AND scope = $2 AND key = $3",
                &[(&shard, Type::INT4), (&scope, Type::TEXT), (&name, Type::TEXT)],
            )
            .await?;
        }
        tx.commit().await?;
        Ok(rows.iter().any(|row| row.get(0)))
    }

    /// Raises the time before which finished polls count as removed, and drops the days that are wholly before it.
    async fn purge(&self, keep: Retention) -> Result<usize, Fault> {
        schema::sweep_specs(&self.database, schema::day_of(micros(self.clock.now()))).await?;
        let tx = self.database.write().await?;
        // One at a time, so that each poll is counted once.
        let row = tx.first("SELECT horizon FROM poll.meta FOR UPDATE", &[]).await?;
        let before: i64 = row.map_or(0, |row| row.get(0));
        let mut horizon = before.max(micros(keep.since));
        if let Ok(most) = i64::try_from(keep.most)
            && keep.most != usize::MAX
        {
            let excess = tx
                .first(
                    "SELECT ended FROM poll.done WHERE ended >= $1 ORDER BY ended DESC OFFSET $2 LIMIT 1",
                    &[(&horizon, Type::INT8), (&most, Type::INT8)],
                )
                .await?;
            if let Some(row) = excess {
                // Polls that ended in the same microsecond go together.
                horizon = horizon.max(row.get::<_, i64>(0).saturating_add(1));
            }
        }
        // An outcome stays until its webhook has been delivered or given up.
        let pending = tx.first("SELECT min(ended) FROM poll.outbox WHERE due IS NOT NULL", &[]).await?;
        if let Some(pending) = pending.and_then(|row| row.get::<_, Option<i64>>(0)) {
            horizon = horizon.min(pending).max(before);
        }
        if horizon == before {
            tx.rollback().await?;
            return Ok(0);
        }
        let row = tx
            .first(
                "SELECT count(*) FROM poll.done WHERE ended >= $1 AND ended < $2",
                &[(&before, Type::INT8), (&horizon, Type::INT8)],
            )
            .await?;
        tx.execute("UPDATE poll.meta SET horizon = $1", &[(&horizon, Type::INT8)]).await?;
        tx.execute("DELETE FROM poll.outbox WHERE ended < $1", &[(&horizon, Type::INT8)]).await?;
        tx.commit().await?;
        schema::drop_before(&self.database, horizon).await?;
        self.days().retain(|day| *day >= schema::day_of(horizon));
        Ok(row.map_or(0, |row| usize::try_from(row.get::<_, i64>(0)).unwrap_or(0)))
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
    ) -> BoxFuture<'_, Result<T, StoreError>>
    where
        T: Send + 'static,
        C: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let task = self.thread.handle.spawn(async move {
            let shown = inner.database.shown.clone();
            call(inner).await.map_err(|fault| fault.into_error(action, &shown))
        });
        Box::pin(async move {
            task.await
                .unwrap_or_else(|_| Err(StoreError::new(format!("cannot {action}: the call was abandoned"))))
        })
    }
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
            takeovers: AtomicI64::new(0),
            lag: AtomicI64::new(0),
            shards: Mutex::default(),
            spec_ids: Mutex::default(),
            stored_specs: Mutex::new(StoredSpecs::new(None)),
            days: Mutex::default(),
            finishes: Combiner::default(),
            creates: Combiner::default(),
            gets: Combiner::default(),
            rng: Mutex::new(Rng::from_entropy()),
            added: Arc::default(),
        };
        inner.measure().await?;
        Ok(inner)
    }

    /// Measures the offset to the database's clock.
    async fn measure(&self) -> Result<(), Fault> {
        let tx = self.database.read().await?;
        let before = self.clock.own().now();
        let row = tx.first("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8", &[]).await?;
        let after = self.clock.own().now();
        if let Some(row) = row {
            self.clock.measured(before, row.get(0), after);
        }
        Ok(())
    }
}

impl Store for PostgresStore {
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        self.call("store a poll", async move |inner: Arc<Inner>| {
            let shared = &inner;
            let work = |polls: Vec<StoredPoll>| -> BoxFuture<'_, Vec<Result<Creation, StoreError>>> {
                Box::pin(shared.create_all(polls, false))
            };
            match inner.creates.run(poll, work).await {
                Some(result) => result.map_err(Fault::Store),
                None => Err(Fault::Store(StoreError::new("the call was abandoned"))),
            }
        })
    }

    fn create_all(&self, polls: Vec<StoredPoll>) -> BoxFuture<'_, Vec<Result<Creation, StoreError>>> {
        let number = polls.len();
        let stored =
            self.call("store polls", async move |inner: Arc<Inner>| Ok(inner.create_all(polls, true).await));
        Box::pin(async move { stored.await.unwrap_or_else(|error| vec![Err(error); number]) })
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        self.call("store an outcome", async move |inner: Arc<Inner>| inner.finish(key, outcome).await)
    }

    fn follow(&self, key: PollKey, url: Arc<str>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.call("store the URL that a poll follows", async move |inner: Arc<Inner>| {
            inner.follow(&key, &url).await
        })
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        Some(Arc::new(self.clone()))
    }

    fn begin_run(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        self.call("become a worker", async move |inner: Arc<Inner>| inner.begin_run().await)
    }

    fn load_open(&self) -> BoxFuture<'_, Result<OpenPolls, StoreError>> {
        self.call("read open polls", async move |inner: Arc<Inner>| inner.load().await)
    }

    fn get(&self, key: PollKey) -> BoxFuture<'_, Result<Option<StoredPoll>, StoreError>> {
        // Those who wait for outcomes all look at the same times, so they share a statement.
        self.call("read a poll", async move |inner: Arc<Inner>| {
            let shared = &inner;
            let work = |keys: Vec<PollKey>| -> BoxFuture<'_, Vec<Found>> {
                Box::pin(async move {
                    match shared.get_all(&keys).await {
                        Ok(found) => found,
                        Err(fault) => {
                            let error = fault.into_error("read a poll", &shared.database.shown);
                            keys.iter().map(|_| Err(error.clone())).collect()
                        }
                    }
                })
            };
            match inner.gets.run(key, work).await {
                Some(found) => Ok(found?.map(|(poll, _)| poll)),
                None => Err(Fault::Store(StoreError::new("the call was abandoned"))),
            }
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredPoll>, StoreError>> {
        self.call("list polls", async move |inner: Arc<Inner>| {
            let tx = inner.database.read().await?;
            inner.all(&tx).await
        })
    }

    fn forget(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.call("remove a poll", async move |inner: Arc<Inner>| inner.forget(&key).await)
    }

    fn changes_every(&self) -> Option<Duration> {
        Some(LOOK)
    }

    fn changes(&self) -> BoxFuture<'_, Result<Changes, StoreError>> {
        self.call("read changes", async move |inner: Arc<Inner>| inner.changes().await)
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        Some(Arc::new(self.inner.clock.clone()))
    }

    fn note_lag(&self, lag: Duration) {
        let micros = i64::try_from(lag.as_micros()).unwrap_or(i64::MAX);
        self.inner.lag.store(micros, std::sync::atomic::Ordering::Relaxed);
    }

    fn may_ask(&self) -> bool {
        self.inner.is_trusted()
    }

    fn runs(&self, key: &PollKey) -> bool {
        self.inner.runs_shard(shard_of(key, self.inner.shard_count))
    }

    fn cancel_elsewhere(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.call("request a cancellation", async move |inner: Arc<Inner>| inner.request_cancel(&key).await)
    }

    fn hasten_elsewhere(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.call("have a poll ask at once", async move |inner: Arc<Inner>| {
            Ok(inner.tell_owners(&[key], "hasten").await?.contains(&true))
        })
    }

    fn purge(&self, keep: Retention) -> BoxFuture<'_, Result<usize, StoreError>> {
        self.call("remove finished polls", async move |inner: Arc<Inner>| inner.purge(keep).await)
    }

    fn note_attempts(&self, attempts: Vec<(PollKey, Vec<Attempt>)>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.call("store attempts", async move |inner: Arc<Inner>| inner.note_attempts(attempts).await)
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
