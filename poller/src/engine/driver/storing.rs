//! What the driver asks of the store, and what follows from its answers.
//!
//! Every call is a task, which answers by a message; the driver counts those that are under way. Polls that were open at
//! the start are read some at a time, and afterwards the store is asked now and then for what other processes did.

use std::sync::Arc;
use std::time::Duration;

use super::super::entry::PollId;
use super::super::message::{Answer, Message, reply, report};
use super::super::store_reply::{StoreReply, catch_panic, catch_panic_now};
use super::Driver;
use crate::clock::Timestamp;
use crate::event::PollerEvent;
use crate::key::PollKey;
use crate::observe::{Operation, trace};
use crate::store::{Creation, OpenPolls, Store, StoreError, StoredPoll};

/// Open polls are read some at a time, and those that were read run meanwhile.
pub(super) struct Loading {
    /// How many are still to come.
    pub(super) left: usize,
    /// Who asked for a poll that may be among them.
    pub(super) finds: Vec<(PollKey, Answer<Option<PollId>>)>,
}

/// New polls on their way to the store.
pub(super) struct Creates {
    /// Whether a call would wait there for the one before.
    in_turn: bool,
    /// Those that it has not been given yet.
    ids: Vec<PollId>,
    polls: Vec<StoredPoll>,
    /// How many calls are under way.
    calls: usize,
}

impl Creates {
    pub(super) const fn new(in_turn: bool) -> Self {
        Self { in_turn, ids: Vec::new(), polls: Vec::new(), calls: 0 }
    }

    pub(super) fn push(&mut self, id: PollId, poll: StoredPoll) {
        self.ids.push(id);
        self.polls.push(poll);
    }
}

/// So many new polls are given to the store whatever it is doing.
const MANY: usize = 1024;

/// When a store that failed while polls were loaded, or when it was asked how often it changes, is asked again.
const RELOAD: Duration = Duration::from_millis(500);

impl Driver {
    /// The store has answered to a call of [`with_store`](Self::with_store).
    pub(super) fn stored(&mut self, reply: StoreReply, recovered: bool, now: Timestamp) {
        self.store_calls -= 1;
        let operation = reply.operation();
        if recovered {
            self.subscribers.send(|| PollerEvent::StoreRecovered { operation });
        } else if let Some(error) = reply.error() {
            self.subscribers.send(|| PollerEvent::StoreFailed { operation, error: error.clone() });
        }
        match reply {
            StoreReply::Loaded(result) => self.loaded(result, now),
            StoreReply::Changed(result) => {
                let more = result.as_ref().is_ok_and(|changes| !changes.open.last);
                // A store that cannot be read just now is asked again; what it has does not go away.
                if let (Ok(changes), None) = (result, &self.closing) {
                    self.take_over(changes.open, now);
                    for key in changes.cancelling {
                        if let Some(id) = self.core.find(&key) {
                            self.core.cancel(id, now);
                        }
                    }
                }
                self.core.end_look();
                if more {
                    self.look = Some(now);
                } else {
                    self.look_again();
                }
            }
            StoreReply::Purged(result) => self.maintenance.purged(result.unwrap_or(0), now),
            // What could not be written is written with what comes next, or with the outcome.
            StoreReply::Noted(_) => {}
            StoreReply::Looked(result) => {
                if let (Ok(Some(poll)), None) = (result, &self.closing) {
                    self.take_over(OpenPolls::all(vec![poll]), now);
                }
            }
            StoreReply::Created(results) => {
                self.creates.calls -= 1;
                // Before all that follows from the answers, so that the store has something to do meanwhile.
                self.create();
                for (id, result) in results {
                    if let Ok(Creation::Created) = result {
                        self.deps.observer.created();
                        trace::created(self.core.key(id), self.core.deadline(id));
                    }
                    self.core.created(id, result, now);
                    self.report_opened(id);
                }
            }
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

    /// Does for the store what is due.
    pub(super) fn keep_up(&mut self, now: Timestamp) {
        if let Some(retention) = self.maintenance.purge(now) {
            self.with_store(move |store| async move { store.purge(retention).await }, StoreReply::Purged);
        }
        if let Some(attempted) = self.maintenance.flush(self.core.open(), now) {
            let attempts = attempted.into_iter().filter_map(|id| self.core.attempts(id)).collect();
            self.with_store(
                move |store| async move { store.note_attempts(attempts).await },
                StoreReply::Noted,
            );
        }
    }

    /// Asks the store for open polls.
    pub(super) fn look(&mut self) {
        if self.loading.is_some() {
            return self.load();
        }
        self.core.begin_look();
        self.with_store(|store| async move { store.changes().await }, StoreReply::Changed);
    }

    fn load(&mut self) {
        self.with_store(|store| async move { store.load_open().await }, StoreReply::Loaded);
    }

    /// Some of the polls that were open at the start have been read.
    pub(super) fn loaded(&mut self, result: Result<OpenPolls, StoreError>, now: Timestamp) {
        let Some(loading) = self.loading.as_mut().filter(|_| self.closing.is_none()) else { return };
        match result {
            Ok(open) => {
                loading.left = loading.left.saturating_sub(open.polls.len() + open.unreadable.len());
                let last = open.last;
                if !last {
                    // They are read while these are taken over.
                    self.load();
                }
                self.take_over(open, now);
                if last {
                    self.core.end_look();
                    self.look_again();
                    for (key, answer) in self.loading.take().map(|loading| loading.finds).unwrap_or_default()
                    {
                        reply(answer, self.core.find(&key));
                    }
                }
            }
            Err(_) => self.look = Some(now + RELOAD),
        }
    }

    /// Tells subscribers that a poll has begun, if it is open.
    fn report_opened(&mut self, id: PollId) {
        if !self.subscribers.is_empty()
            && let Some(opened) = self.core.opened(id)
        {
            self.subscribers.send(|| opened.clone());
        }
    }

    fn take_over(&mut self, open: OpenPolls, now: Timestamp) {
        for (key, outcome) in &open.unreadable {
            self.deps.observer.finished(outcome);
            trace::finished(Some(key), outcome);
            self.subscribers.outcome(key, outcome);
        }
        let new = |poll: &&StoredPoll| poll.outcome.is_none() && self.core.find(&poll.key).is_none();
        let keys: Vec<_> = if self.subscribers.is_empty() {
            Vec::new()
        } else {
            open.polls.iter().filter(new).map(|poll| poll.key.clone()).collect()
        };
        for key in self.core.adopt(open.polls, now) {
            self.look_at_one(key);
        }
        for id in keys.iter().filter_map(|key| self.core.find(key)).collect::<Vec<_>>() {
            self.report_opened(id);
        }
    }

    /// Asks the store for one poll anew, to run it if it is open.
    fn look_at_one(&mut self, key: PollKey) {
        self.with_store(|store| async move { store.get(key).await }, StoreReply::Looked);
    }

    /// Asks for what other processes do when the store says. One that panics is asked soon: it may have much to tell.
    fn look_again(&mut self) {
        let period = catch_panic_now(|| self.deps.store.changes_every());
        let now = self.deps.clock.now();
        if let Err(error) = &period {
            self.deps.observer.store(Operation::Changes, Duration::ZERO, Some(error));
            let failed = || PollerEvent::StoreFailed { operation: Operation::Changes, error: error.clone() };
            self.subscribers.send(failed);
        }
        self.look = period.unwrap_or(Some(RELOAD)).map(|period| now + period);
    }

    /// Asks the store for something; [`stored`](Self::stored) follows.
    pub(super) fn with_store<T, C>(
        &mut self,
        call: impl FnOnce(Arc<dyn Store>) -> C + Send + 'static,
        to_reply: impl FnOnce(Result<T, StoreError>) -> StoreReply + Send + 'static,
    ) where
        C: Future<Output = Result<T, StoreError>> + Send,
        T: Send,
    {
        let driver = self.driver.clone();
        self.store_calls += 1;
        let deps = Arc::clone(&self.deps);
        tokio::spawn(async move {
            let asked = deps.clock.now();
            let reply = to_reply(catch_panic(call(Arc::clone(&deps.store))).await);
            let took = deps.clock.now().since(asked);
            let recovered = deps.observer.store(reply.operation(), took, reply.error());
            report(&driver, Message::Stored { reply, recovered });
        });
    }

    /// Has the polls stored that came since the last time, in one call: it is answered by one message. Where the store would
    /// have them wait for the call that is under way, they wait here, until they are [many](MANY): each call of its own, and
    /// each transaction, costs what it costs.
    pub(super) fn create(&mut self) {
        let Creates { in_turn, ids, polls, calls } = &mut self.creates;
        if ids.is_empty() || (*in_turn && *calls > 0 && ids.len() < MANY) {
            return;
        }
        *calls += 1;
        let (ids, polls) = (std::mem::take(ids), std::mem::take(polls));
        self.with_store(
            move |store| async move { Ok(store.create_all(polls).await) },
            move |results| StoreReply::created(ids, results),
        );
    }
}
