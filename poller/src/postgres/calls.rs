//! The calls of the engine: the store's face, and creating, ending and following single polls.
//!
//! A call runs on the thread of the connections, and calls that wait while a transaction is under way share the next one
//! ([`Combiner`]). Outcomes are written as JSON by those who call, beside what that thread does. The statements of batches are in [`writes`](super::writes).

use std::sync::Arc;
use std::time::Duration;

use super::batches::Found;
use super::combine::Combiner;
use super::database::{Fault, params};
use super::lease::Role;
use super::shards::Known;
use super::writes::Finish;
use super::{Inner, PostgresStore, abandoned, signed};
use crate::clock::{BoxFuture, Clock};
use crate::job::{PollSpec, StoredSpec};
use crate::key::PollKey;
use crate::outbox::Outbox;
use crate::outcome::{Attempt, Outcome};
use crate::store::{
    Changes, Creation, OpenPolls, Retention, Store, StoreAdmin as _, StoreError, StoreFuture, StoredPoll,
};

const STORE_POLL: &str = "store a poll";
const STORE_OUTCOME: &str = "store an outcome";
const READ_POLL: &str = "read a poll";

/// How often a worker looks for polls and cancellations from outside: they are noticed within a second.
const LOOK: Duration = Duration::from_millis(500);

impl Inner {
    /// A spec as it is stored, without its URL. A database keeps no inline secrets: who can read it could read what is sent, and
    /// who can write to it could send it elsewhere.
    pub(super) fn stored(key: &PollKey, spec: &PollSpec) -> Result<StoredSpec, StoreError> {
        spec.to_stored(key, None).map_err(|error| {
            let inline = spec.inline_secrets();
            if inline.is_empty() {
                return StoreError::new(error.to_string());
            }
            StoreError::new(format!(
                "the spec holds a secret in {}, and the store is a database, which keeps none; refer to the secret as \
                 {{\"$secret\":\"env:NAME\"}}, which each worker resolves",
                inline.join(", ")
            ))
        })
    }

    /// The outcome of a poll that is not open.
    pub(super) async fn stored_outcome(&self, key: &PollKey) -> Result<Arc<Outcome>, Fault> {
        let tx = self.database.read().await?;
        let outcome = self.find(&tx, key).await?.and_then(|poll| poll.outcome);
        outcome.ok_or_else(|| Fault::Store(StoreError::not_found(key)))
    }

    /// The answer for a poll that was not created because of an existing one.
    pub(super) fn present(
        &self,
        key: &PollKey,
        found: Found,
        for_engine: bool,
    ) -> Result<Creation, StoreError> {
        let Some((present, incarnation)) = found? else {
            return Err(StoreError::new(format!(
                "the poll {key} was forgotten while it was created; try again"
            )));
        };
        if for_engine && present.outcome.is_none() {
            // The engine runs it from here on, if this process runs its shard: maybe a creation whose result was not known.
            let has_webhook = present.spec.on_outcome().is_some();
            let known = Known { incarnation, has_extras: true, has_webhook };
            self.shards().add(self.shard_of(key), key.clone(), known);
        }
        Ok(Creation::Exists(Box::new(present)))
    }

    /// Creates polls, and answers in their order.
    pub(super) async fn create_all(
        &self,
        polls: Vec<StoredPoll>,
        for_engine: bool,
    ) -> Vec<Result<Creation, StoreError>> {
        let error = |fault: Fault| fault.into_error(STORE_POLL, &self.database.shown);
        let mut results: Vec<Result<Creation, StoreError>> = Vec::with_capacity(polls.len());
        let mut new = Vec::with_capacity(polls.len());
        for (position, poll) in polls.iter().enumerate() {
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
                let names: Vec<PollKey> =
                    positions.iter().map(|position| polls[*position].key.clone()).collect();
                let found = self.get_all(&names).await;
                let found = found.unwrap_or_else(|fault| vec![Err(error(fault)); names.len()]);
                for (position, found) in positions.into_iter().zip(found) {
                    results[position] = self.present(&polls[position].key, found, for_engine);
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

    /// What is to be stored of an outcome.
    fn new_finish(&self, key: PollKey, outcome: &Outcome) -> Result<Finish, Fault> {
        let shard = self.shard_of(&key);
        match self.role() {
            Role::Client => {}
            Role::Worker(_) if self.is_trusted() && self.runs_shard(shard) => {}
            Role::Worker(_) | Role::Deposed { .. } => return Err(Fault::Deposed),
        }
        let known = self.shards().get(shard, &key);
        Ok(Finish::new(shard, key, known, outcome)?)
    }

    /// Stores outcomes that wait together.
    async fn finish_waiting(&self, finishes: Vec<Finish>) -> Vec<Result<bool, StoreError>> {
        let stored = match self.role() {
            Role::Worker(_) if !self.is_trusted() => Err(Fault::Deposed),
            role => self.finish_all(&finishes, role != Role::Client).await,
        };
        match stored {
            Ok(results) => results.into_iter().map(Ok).collect(),
            Err(fault) => vec![Err(fault.into_error(STORE_OUTCOME, &self.database.shown)); finishes.len()],
        }
    }

    async fn get_waiting(&self, keys: Vec<PollKey>) -> Vec<Found> {
        let error = |fault: Fault| fault.into_error(READ_POLL, &self.database.shown);
        self.get_all(&keys).await.unwrap_or_else(|fault| vec![Err(error(fault)); keys.len()])
    }

    pub(super) async fn follow(&self, key: &PollKey, url: &str) -> Result<(), Fault> {
        let (shard, scope, name) = (self.shard_of(key), key.scope(), key.key());
        let incarnation = self.shards().get(shard, key).map(|known| known.incarnation);
        let tx = self.database.write().await?;
        if self.role() != Role::Client {
            self.fence(&tx).await?;
        }
        let sql = "INSERT INTO poll.followed AS f (shard, scope, key, incarnation, url) \
             SELECT shard, scope, key, incarnation, $5 FROM poll.open \
             WHERE shard = $1 AND scope = $2 AND key = $3 AND incarnation = coalesce($4, incarnation) \
             ON CONFLICT (shard, scope, key) DO UPDATE SET incarnation = excluded.incarnation, url = excluded.url";
        let kept = tx.execute(sql, &params![shard, scope, name, incarnation, url]).await?;
        tx.commit().await?;
        self.shards().mark_extras(shard, key);
        if kept > 0 { Ok(()) } else { Err(Fault::Store(StoreError::not_found(key))) }
    }
}

/// The answers to calls of one kind that are made together.
type Answers<'a, T> = BoxFuture<'a, Vec<Result<T, StoreError>>>;

impl PostgresStore {
    /// Has an item wait for its turn with others; returns the answer.
    fn combined<I, T>(
        &self,
        action: &'static str,
        combiner: fn(&Inner) -> &Combiner<I, Result<T, StoreError>>,
        item: I,
        work: fn(&Inner, Vec<I>) -> Answers<'_, T>,
    ) -> StoreFuture<'static, T>
    where
        I: Send + 'static,
        T: Send + 'static,
    {
        let (answer, is_first) = combiner(&self.inner).push(item);
        if is_first {
            let inner = Arc::clone(&self.inner);
            self.thread.handle.spawn(async move {
                combiner(&inner).work(|items| work(&inner, items)).await;
            });
        }
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(abandoned(action))) })
    }
}

impl Store for PostgresStore {
    fn create(&self, poll: StoredPoll) -> StoreFuture<'_, Creation> {
        self.combined(
            STORE_POLL,
            |inner| &inner.creates,
            poll,
            |inner, polls| Box::pin(inner.create_all(polls, false)),
        )
    }

    fn create_all(&self, polls: Vec<StoredPoll>) -> BoxFuture<'_, Vec<Result<Creation, StoreError>>> {
        let number = polls.len();
        let stored = self.call("store polls", async move |inner| Ok(inner.create_all(polls, true).await));
        Box::pin(async move { stored.await.unwrap_or_else(|error| vec![Err(error); number]) })
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> StoreFuture<'_, Arc<Outcome>> {
        let finish = match self.inner.new_finish(key.clone(), &outcome) {
            Ok(finish) => finish,
            Err(fault) => {
                let error = fault.into_error(STORE_OUTCOME, &self.inner.database.shown);
                return Box::pin(std::future::ready(Err(error)));
            }
        };
        let stored = self.combined(
            STORE_OUTCOME,
            |inner| &inner.finishes,
            finish,
            |inner, finishes| Box::pin(inner.finish_waiting(finishes)),
        );
        Box::pin(async move {
            if stored.await? {
                return Ok(outcome);
            }
            self.call(STORE_OUTCOME, async move |inner| inner.stored_outcome(&key).await).await
        })
    }

    fn follow(&self, key: PollKey, url: Arc<str>) -> StoreFuture<'_, ()> {
        self.call("store the URL that a poll follows", async move |inner| inner.follow(&key, &url).await)
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        Some(Arc::new(self.clone()))
    }

    fn begin_run(&self) -> StoreFuture<'_, usize> {
        self.call("become a worker", async move |inner| inner.begin_run().await)
    }

    fn load_open(&self) -> StoreFuture<'_, OpenPolls> {
        self.call("read open polls", async move |inner| inner.load().await)
    }

    fn get(&self, key: PollKey) -> StoreFuture<'_, Option<StoredPoll>> {
        // Those who wait for outcomes all look at the same times, so they share a statement.
        let found = self.combined(
            READ_POLL,
            |inner| &inner.gets,
            key,
            |inner, keys| Box::pin(inner.get_waiting(keys)),
        );
        Box::pin(async move { Ok(found.await?.map(|(poll, _)| poll)) })
    }

    fn list(&self) -> StoreFuture<'_, Vec<StoredPoll>> {
        self.call("list polls", async move |inner| {
            let tx = inner.database.read().await?;
            inner.all(&tx).await
        })
    }

    fn forget(&self, key: PollKey) -> StoreFuture<'_, bool> {
        self.call("remove a poll", async move |inner| inner.forget(&key).await)
    }

    fn changes_every(&self) -> Option<Duration> {
        Some(LOOK)
    }

    fn changes(&self) -> StoreFuture<'_, Changes> {
        self.call("read changes", async move |inner| inner.changes().await)
    }

    fn changed(&self) -> BoxFuture<'static, ()> {
        self.inner.telling.changed()
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        Some(Arc::new(self.inner.clock.clone()))
    }

    fn note_lag(&self, lag: Duration) {
        self.inner.lag.store(signed(lag), std::sync::atomic::Ordering::Relaxed);
    }

    fn may_ask(&self) -> bool {
        self.inner.is_trusted()
    }

    fn runs(&self, key: &PollKey) -> bool {
        self.inner.runs_shard(self.inner.shard_of(key))
    }

    fn cancel_elsewhere(&self, key: PollKey) -> StoreFuture<'_, bool> {
        self.request_cancel(key)
    }

    fn hasten_elsewhere(&self, key: PollKey) -> StoreFuture<'_, bool> {
        self.call("have a poll ask at once", async move |inner| {
            Ok(inner.tell_owners(&[key], "hasten").await? == [true])
        })
    }

    fn purge(&self, keep: Retention) -> StoreFuture<'_, usize> {
        self.call("remove finished polls", async move |inner| inner.purge(keep).await)
    }

    fn note_attempts(&self, attempts: Vec<(PollKey, Vec<Attempt>)>) -> StoreFuture<'_, ()> {
        self.call("store attempts", async move |inner| inner.note_attempts(attempts).await)
    }
}
