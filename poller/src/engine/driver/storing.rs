//! The calls of the driver to the store, and the handling of the replies.
//!
//! Every call is a task that replies with a message; the driver counts the calls under way. Polls that were open at the
//! start are read in batches; after that, changes by other processes are read periodically.
//!
//! This is a second part of `impl Driver`, and so uses its parent module.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::super::entry::PollId;
use super::super::message::{Answer, Message, reply, report};
use super::super::store_reply::{StoreReply, catch_panic, catch_panic_now};
use super::Driver;
use crate::clock::{BoxFuture, Timestamp};
use crate::event::PollerEvent;
use crate::key::PollKey;
use crate::observe::{Operation, trace};
use crate::store::{Creation, OpenPolls, Store, StoreError, StoredPoll};

/// The start: open polls are read in batches, and run as they are read.
pub(super) struct Loading {
    /// The number of polls not read yet.
    pub(super) left: usize,
    /// Look-ups of polls that may be among those not read yet.
    pub(super) finds: Vec<(PollKey, Answer<Option<PollId>>)>,
}

/// New polls on their way to the store.
#[derive(Default)]
pub(super) struct Creates {
    /// The polls that are not in a call yet.
    ids: Vec<PollId>,
    polls: Vec<StoredPoll>,
    /// The number of calls under way.
    calls: usize,
}

impl Creates {
    pub(super) fn push(&mut self, id: PollId, poll: StoredPoll) {
        self.ids.push(id);
        self.polls.push(poll);
    }
}

/// The batch size at which a call does not wait for the one before.
const FULL_BATCH: usize = 1024;

/// The delay before a failed read is repeated.
const READ_RETRY: Duration = Duration::from_millis(500);

impl Driver {
    /// Moves the start of a poll that another process has created; with a clock of its own, the store has the times of all
    /// processes right.
    fn place(&self, poll: &mut StoredPoll, now: Timestamp) {
        if !self.shares_clock {
            self.clocks.place(poll, now);
        }
    }

    /// Handles the reply to a call of [`with_store`](Self::with_store).
    pub(super) fn stored(&mut self, reply: StoreReply, recovered: bool, now: Timestamp) {
        self.store_calls -= 1;
        let (operation, error) = reply.call();
        if recovered {
            self.subscribers.send(|| PollerEvent::StoreRecovered { operation });
        } else if let Some(error) = error {
            self.subscribers.send(|| PollerEvent::StoreFailed { operation, error: error.clone() });
            if error.is_unusable() {
                self.stop_at_once(now);
            }
        }
        match reply {
            StoreReply::Loaded(result) => self.loaded(result, now),
            StoreReply::Changed(result) => {
                let more = result.as_ref().is_ok_and(|changes| !changes.open.last);
                // A failed read is repeated in the next period; the store keeps the changes until then.
                if let (Ok(mut changes), None) = (result, &self.closing) {
                    self.release(&changes.released, now);
                    changes.open.polls.iter_mut().for_each(|poll| self.place(poll, now));
                    if !more {
                        self.clocks.end_read();
                    }
                    self.adopt(changes.open, now);
                    self.found(&changes.cancelling).into_iter().for_each(|id| self.core.cancel(id, now));
                    self.found(&changes.hastened).into_iter().for_each(|id| self.core.hasten(id, now));
                }
                self.core.end_read();
                if more {
                    self.next_read = Some(now);
                } else {
                    self.schedule_changes();
                }
            }
            StoreReply::Purged(result) => self.maintenance.purged(result.unwrap_or(0), now),
            // A caller that waits for the outcome asks the store for it.
            StoreReply::CancelRequested(_) => {}
            // Unwritten attempts are written with the next ones, or with the outcome.
            StoreReply::Noted(_) => {}
            // It is read again with the next look.
            StoreReply::Reread(key, Err(_)) => self.doubtful.push(key),
            StoreReply::Reread(_, result) => {
                if let (Ok(Some(poll)), None) = (result, &self.closing)
                    && self.deps.store.runs(&poll.key)
                {
                    self.adopt(OpenPolls::all(vec![poll]), now);
                }
            }
            StoreReply::Created(results) => {
                self.creates.calls -= 1;
                // First of all, so that the store works while the results are handled.
                self.create();
                for (id, mut result) in results {
                    match &mut result {
                        Ok(Creation::Created) => {
                            self.deps.observer.created();
                            trace::created(self.core.key(id), self.core.deadline(id));
                        }
                        // Another process has stored it since the last look.
                        Ok(Creation::Exists(present)) => self.place(present, now),
                        Err(_) => {}
                    }
                    let elsewhere =
                        self.core.key(id).is_some_and(|key| result.is_ok() && !self.deps.store.runs(key));
                    match self.core.created(id, result, elsewhere, now) {
                        Some(key) => self.cancel_elsewhere(key),
                        None => self.report_opened(id),
                    }
                }
            }
            StoreReply::LinkSaved(id, result) => self.core.link_saved(id, result, now),
            StoreReply::OutcomeSaved(id, result) => {
                if let Ok(outcome) = &result {
                    self.deps.observer.finished(outcome);
                    let key = self.core.key(id);
                    trace::finished(key, outcome);
                    if let Some(key) = key {
                        self.subscribers.outcome(key, outcome);
                    }
                }
                self.core.outcome_saved(id, result, now);
            }
        }
    }

    /// Starts the maintenance that is due.
    pub(super) fn maintain(&mut self, now: Timestamp) {
        if let Some(retention) = self.maintenance.purge(now) {
            self.with_store(move |store| store.purge(retention), StoreReply::Purged);
        }
        if let Some(attempted) = self.maintenance.flush(self.core.open(), now) {
            let attempts = attempted.into_iter().filter_map(|id| self.core.attempts(id)).collect();
            self.with_store(move |store| store.note_attempts(attempts), StoreReply::Noted);
        }
    }

    /// Reads open polls: the next batch during the start, changes by other processes after it.
    pub(super) fn read_open(&mut self) {
        if self.loading.is_some() {
            return self.load();
        }
        for key in std::mem::take(&mut self.doubtful) {
            self.reread(key);
        }
        let now = self.deps.clock.now();
        let lag = self.core.oldest_due(now).map_or(Duration::ZERO, |since| now.since(since));
        // A panic of the store must not end the driver.
        let _ = catch_panic_now(|| self.deps.store.note_lag(lag));
        self.core.begin_read();
        self.clocks.begin_read(now);
        self.with_store(|store| store.changes(), StoreReply::Changed);
    }

    fn load(&mut self) {
        self.with_store(|store| store.load_open(), StoreReply::Loaded);
    }

    /// Handles a batch of the polls that were open at the start.
    pub(super) fn loaded(&mut self, result: Result<OpenPolls, StoreError>, now: Timestamp) {
        let Some(loading) = self.loading.as_mut().filter(|_| self.closing.is_none()) else { return };
        match result {
            Ok(open) => {
                loading.left =
                    loading.left.saturating_sub(open.polls.len() + open.unreadable.len() + open.sealed.len());
                let last = open.last;
                if !last {
                    // The next batch is read while this one is adopted.
                    self.load();
                }
                self.adopt(open, now);
                if last {
                    self.core.end_read();
                    self.clocks.end_read();
                    self.schedule_changes();
                    for (key, answer) in self.loading.take().map(|loading| loading.finds).unwrap_or_default()
                    {
                        reply(answer, self.core.find(&key));
                    }
                }
            }
            Err(_) => self.next_read = Some(now + READ_RETRY),
        }
    }

    /// Drops polls that another process runs from now on. Callers that wait for their outcomes find them in the store.
    fn release(&mut self, keys: &[PollKey], now: Timestamp) {
        for key in keys {
            let Some(id) = self.core.find(key) else { continue };
            if !self.core.release(id, now) {
                continue;
            }
            for waiting in self.watchers.remove(&id).map(|watchers| watchers.outcome).unwrap_or_default() {
                reply(waiting, None);
            }
            self.subscribers.send(|| PollerEvent::Released { key: key.clone() });
        }
        self.carry_out();
    }

    fn cancel_elsewhere(&mut self, key: PollKey) {
        self.with_store(move |store| store.cancel_elsewhere(key), StoreReply::CancelRequested);
    }

    /// Tells subscribers that a poll has begun, if it is open.
    fn report_opened(&mut self, id: PollId) {
        if !self.subscribers.is_empty()
            && let Some(opened) = self.core.opened(id)
        {
            self.subscribers.send(|| opened.clone());
        }
    }

    fn adopt(&mut self, open: OpenPolls, now: Timestamp) {
        for (key, outcome) in &open.unreadable {
            self.deps.observer.finished(outcome);
            trace::finished(Some(key), outcome);
            self.subscribers.outcome(key, outcome);
        }
        for (key, seal_key) in &open.sealed {
            trace::sealed(key, seal_key);
            self.subscribers.send(|| PollerEvent::Sealed { key: key.clone(), seal_key: seal_key.clone() });
        }
        let new = |poll: &&StoredPoll| poll.outcome.is_none() && self.core.find(&poll.key).is_none();
        let keys: Vec<_> = if self.subscribers.is_empty() {
            Vec::new()
        } else {
            open.polls.iter().filter(new).map(|poll| poll.key.clone()).collect()
        };
        for key in self.core.adopt(open.polls, now) {
            self.reread(key);
        }
        self.found(&keys).into_iter().for_each(|id| self.report_opened(id));
    }

    /// The open polls with these keys.
    fn found(&self, keys: &[PollKey]) -> Vec<PollId> {
        keys.iter().filter_map(|key| self.core.find(key)).collect()
    }

    /// Reads one poll again, to run it if it is open.
    fn reread(&mut self, key: PollKey) {
        let name = key.clone();
        self.with_store(|store| store.get(key), move |result| StoreReply::Reread(name, result));
    }

    /// Waits for the next change that another process tells of.
    pub(super) fn listen(&mut self) {
        let changed = catch_panic_now(|| self.deps.store.changed());
        self.changed = changed.unwrap_or_else(|_| Box::pin(std::future::pending()));
    }

    /// Reads changes now, or once the read under way has ended.
    pub(super) fn read_now(&mut self) {
        match &mut self.next_read {
            // During the start, the next page comes when it comes.
            Some(at) if self.loading.is_none() => *at = (*at).min(self.deps.clock.now()),
            _ => self.read_soon = true,
        }
    }

    /// Schedules the next read of changes, by the period of the store, or soon if the store panics.
    fn schedule_changes(&mut self) {
        let period = catch_panic_now(|| self.deps.store.changes_every());
        let now = self.deps.clock.now();
        if let Err(error) = &period {
            self.deps.observer.store(Operation::Changes, Duration::ZERO, Some(error));
            let failed = || PollerEvent::StoreFailed { operation: Operation::Changes, error: error.clone() };
            self.subscribers.send(failed);
        }
        let soon = std::mem::take(&mut self.read_soon);
        let period = period.unwrap_or(Some(READ_RETRY));
        self.next_read = period.map(|period| if soon { now } else { now + period });
    }

    /// Calls the store in a task; a call of [`stored`](Self::stored) follows.
    pub(super) fn with_store<T: Send>(
        &mut self,
        call: impl FnOnce(&dyn Store) -> BoxFuture<'_, Result<T, StoreError>> + Send + 'static,
        to_reply: impl FnOnce(Result<T, StoreError>) -> StoreReply + Send + 'static,
    ) {
        let driver = self.driver.clone();
        self.store_calls += 1;
        let deps = Arc::clone(&self.deps);
        tokio::spawn(async move {
            let began = deps.clock.now();
            let reply = to_reply(catch_panic(async { call(&*deps.store).await }).await);
            let took = deps.clock.now().since(began);
            let (operation, error) = reply.call();
            let recovered = deps.observer.store(operation, took, error);
            report(&driver, Message::Stored { reply, recovered });
        });
    }

    /// Stores the polls submitted since the last call, in one call with one answer. While a call is under way, new polls wait
    /// for its answer until they are a [full batch](FULL_BATCH): each call, and each transaction of the store, has a fixed cost.
    pub(super) fn create(&mut self) {
        let Creates { ids, polls, calls } = &mut self.creates;
        if ids.is_empty() || (*calls > 0 && ids.len() < FULL_BATCH) {
            return;
        }
        *calls += 1;
        let (ids, polls) = (std::mem::take(ids), std::mem::take(polls));
        self.with_store(
            move |store| store.create_all(polls).map(Ok).boxed(),
            move |results| StoreReply::created(ids, results),
        );
    }
}
