//! The store that forgets its polls when the process ends: for tests and one-shot use.
//!
//! Clones share their polls, so a poller can be shut down and another one be built on the same polls.
//!
//! Polls lie side by side in a slab, and a table of their numbers finds them by the key that they hold. A map from key to
//! poll would hold each key twice and keep half its slots, sized for whole polls, empty; a box per poll would cost an
//! allocation each.

mod kept;
mod outbox;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hashbrown::HashTable;
use slab::Slab;
use tokio::sync::Notify;

use self::kept::Kept;
use crate::clock::{BoxFuture, Timestamp};
use crate::job::OnOutcome;
use crate::key::PollKey;
use crate::lock::lock;
use crate::outbox::{Delivery, Outbox};
use crate::outcome::{Attempt, Outcome, OutcomeKind};
use crate::store::{
    Changes, Creation, Ending, FoundOutcome, OpenPolls, PollRecord, Retention, Runner, RunsUntil, Selection,
    Store, StoreAdmin, StoreError, StoreFuture, StoreStatus, StoredPoll, Summary, outcome_without_request,
};

/// How often the runner looks for polls and cancellations from outside: they are noticed within a second.
const LOOK: Duration = Duration::from_millis(500);

/// Keeps polls in memory.
///
/// ```
/// use poller::{MemoryStore, Poller};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let store = MemoryStore::new();
/// let poller = Poller::builder().store(store.clone()).build().await?;
/// poller.shutdown().await;
/// # Ok::<(), poller::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    polls: Arc<Mutex<Polls>>,
    /// Told of new deliveries.
    added: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Polls {
    polls: Slab<Kept>,
    /// Their numbers, by their keys. Fewer than 2³² polls fit into memory.
    numbers: HashTable<u32>,
    hasher: RandomState,
    has_run: bool,
    /// Polls created outside the engine since its last look.
    submitted: Vec<PollKey>,
    /// Open polls to cancel.
    cancelling: HashSet<PollKey>,
    /// The last attempts of open polls.
    attempts: HashMap<PollKey, Vec<Attempt>>,
    /// By their places, which grow.
    deliveries: BTreeMap<i64, Delivery>,
}

impl Polls {
    fn number(&self, key: &PollKey) -> Option<usize> {
        let has_key = |number: &u32| self.polls.get(*number as usize).is_some_and(|poll| poll.key == *key);
        self.numbers.find(self.hasher.hash_one(key), has_key).map(|number| *number as usize)
    }

    fn get(&self, key: &PollKey) -> Option<&Kept> {
        self.polls.get(self.number(key)?)
    }

    /// A run lasts until the store is dropped.
    fn runner(&self) -> Option<Runner> {
        self.has_run.then(|| Runner::this_process(RunsUntil::Unknown))
    }

    fn open(&self) -> impl Iterator<Item = &Kept> {
        self.polls.iter().map(|(_, poll)| poll).filter(|poll| poll.outcome.is_none())
    }

    fn is_open(&self, key: &PollKey) -> bool {
        self.get(key).is_some_and(|poll| poll.outcome.is_none())
    }

    fn create(&mut self, poll: StoredPoll) -> Creation {
        if let Some(present) = self.get(&poll.key) {
            return Creation::Exists(Box::new(present.apart()));
        }
        let Self { polls, numbers, hasher, .. } = self;
        let hash = hasher.hash_one(&poll.key);
        let number = u32::try_from(polls.insert(Kept::new(poll)))
            .expect("invariant: fewer than 2³² polls fit into memory");
        let hash_of = |number: &u32| polls.get(*number as usize).map_or(0, |poll| hasher.hash_one(&poll.key));
        numbers.insert_unique(hash, number, hash_of);
        Creation::Created
    }

    fn finish(&mut self, key: &PollKey, outcome: Arc<Outcome>) -> Result<Arc<Outcome>, StoreError> {
        let poll = self.number(key).and_then(|number| self.polls.get_mut(number));
        let poll = poll.ok_or_else(|| StoreError::not_found(key))?;
        let receiver = match poll.outcome {
            // What is read of a folded spec is not kept.
            None if poll.spec.outline().webhook => poll.spec.apart().on_outcome().map(OnOutcome::receiver),
            _ => None,
        };
        let created_at = poll.created_at;
        let outcome = Arc::clone(poll.outcome.get_or_insert(outcome));
        if let Some(receiver) = receiver {
            self.deliver(Delivery::new(key.clone(), created_at, outcome.ended_at, receiver));
        }
        self.cancelling.remove(key);
        self.attempts.remove(key);
        Ok(outcome)
    }

    /// Removes the polls that are not to be kept, and returns their number.
    fn retain(&mut self, mut keep: impl FnMut(&Kept) -> bool) -> usize {
        let Self { polls, numbers, .. } = self;
        let before = numbers.len();
        numbers.retain(|number| {
            let kept = polls.get(*number as usize).is_some_and(&mut keep);
            if !kept {
                polls.remove(*number as usize);
            }
            kept
        });
        before - numbers.len()
    }

    fn summary(&self, poll: &Kept) -> Summary {
        let ended = poll.outcome.as_deref().map(Ending::of);
        Summary {
            spec: Some(poll.spec.apart()),
            key: poll.key.clone(),
            created_at: poll.created_at,
            deadline: Some(poll.deadline()),
            restarts: poll.restarts,
            cancelling: self.cancelling.contains(&poll.key),
            ended,
            problem: None,
        }
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn polls(&self) -> MutexGuard<'_, Polls> {
        lock(&self.polls)
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

impl Store for MemoryStore {
    fn create(&self, poll: StoredPoll) -> StoreFuture<'_, Creation> {
        let mut polls = self.polls();
        let key = polls.has_run.then(|| poll.key.clone());
        let creation = polls.create(poll);
        if let (Creation::Created, Some(key)) = (&creation, key) {
            polls.submitted.push(key);
        }
        ready(Ok(creation))
    }

    fn create_all(&self, new: Vec<StoredPoll>) -> BoxFuture<'_, Vec<Result<Creation, StoreError>>> {
        let mut polls = self.polls();
        ready(new.into_iter().map(|poll| Ok(polls.create(poll))).collect())
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> StoreFuture<'_, Arc<Outcome>> {
        let finished = self.polls().finish(&key, outcome);
        self.added.notify_one();
        ready(finished)
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        Some(Arc::new(self.clone()))
    }

    fn follow(&self, key: PollKey, url: Arc<str>) -> StoreFuture<'_, ()> {
        let mut polls = self.polls();
        let poll = polls.number(&key).and_then(|number| polls.polls.get_mut(number));
        ready(match poll.filter(|poll| poll.outcome.is_none()) {
            Some(poll) => {
                poll.followed = Some(Box::new(url));
                Ok(())
            }
            None => Err(StoreError::not_found(&key)),
        })
    }

    fn begin_run(&self) -> StoreFuture<'_, usize> {
        let mut polls = self.polls();
        // A poll created before the first run has no earlier run.
        let again = u32::from(std::mem::replace(&mut polls.has_run, true));
        let open = polls.polls.iter_mut().map(|(_, poll)| poll).filter(|poll| poll.outcome.is_none());
        ready(Ok(open.map(|poll| poll.restarts = poll.restarts.saturating_add(again)).count()))
    }

    fn load_open(&self) -> StoreFuture<'_, OpenPolls> {
        let mut polls = self.polls();
        polls.submitted.clear();
        ready(Ok(OpenPolls::all(polls.open().map(Kept::apart).collect())))
    }

    fn changes_every(&self) -> Option<Duration> {
        Some(LOOK)
    }

    fn changes(&self) -> StoreFuture<'_, Changes> {
        let mut polls = self.polls();
        let submitted = std::mem::take(&mut polls.submitted);
        let new = submitted.iter().filter_map(|key| polls.get(key)).filter(|poll| poll.outcome.is_none());
        let open = OpenPolls::all(new.map(Kept::apart).collect());
        ready(Ok(Changes {
            open,
            cancelling: polls.cancelling.iter().cloned().collect(),
            ..Changes::default()
        }))
    }

    fn get(&self, key: PollKey) -> StoreFuture<'_, Option<StoredPoll>> {
        ready(Ok(self.polls().get(&key).map(Kept::apart)))
    }

    fn list(&self) -> StoreFuture<'_, Vec<StoredPoll>> {
        let mut polls: Vec<StoredPoll> = self.polls().polls.iter().map(|(_, poll)| poll.apart()).collect();
        polls.sort_by(|a, b| (a.created_at, &a.key).cmp(&(b.created_at, &b.key)));
        ready(Ok(polls))
    }

    fn forget(&self, key: PollKey) -> StoreFuture<'_, bool> {
        let mut polls = self.polls();
        let Some(number) = polls.number(&key) else { return ready(Ok(false)) };
        if polls.is_open(&key) {
            return ready(Ok(false));
        }
        let hash = polls.hasher.hash_one(&key);
        if let Ok(entry) = polls.numbers.find_entry(hash, |present| *present as usize == number) {
            entry.remove();
        }
        polls.polls.remove(number);
        polls.deliveries.retain(|_, delivery| delivery.key != key);
        ready(Ok(true))
    }

    fn purge(&self, keep: Retention) -> StoreFuture<'_, usize> {
        let mut polls = self.polls();
        let ended = |poll: &Kept| poll.outcome.as_ref().map(|outcome| outcome.ended_at);
        let mut since = keep.since;
        let mut times: Vec<Timestamp> = polls.polls.iter().map(|(_, poll)| poll).filter_map(ended).collect();
        if let Some(excess) = times.len().checked_sub(keep.most).filter(|excess| *excess > 0) {
            // Memory is fast, so all go at once; polls that ended in the same microsecond go together.
            let (_, last, _) = times.select_nth_unstable(excess - 1);
            since = since.max(*last + Duration::from_micros(1));
        }
        let pending: HashSet<PollKey> = polls.pending().map(|delivery| delivery.key.clone()).collect();
        let removed =
            polls.retain(|poll| ended(poll).is_none_or(|at| at >= since) || pending.contains(&poll.key));
        polls.forget_deliveries();
        ready(Ok(removed))
    }

    fn note_attempts(&self, attempts: Vec<(PollKey, Vec<Attempt>)>) -> StoreFuture<'_, ()> {
        let mut polls = self.polls();
        for (key, attempts) in attempts {
            if polls.is_open(&key) {
                polls.attempts.insert(key, attempts);
            }
        }
        ready(Ok(()))
    }
}

impl StoreAdmin for MemoryStore {
    fn select(&self, selection: Selection) -> StoreFuture<'_, Vec<Summary>> {
        let polls = self.polls();
        let mut summaries: Vec<_> = polls.polls.iter().map(|(_, poll)| polls.summary(poll)).collect();
        drop(polls);
        summaries.sort_by(|a, b| {
            let rank = |summary: &Summary| (summary.ended.is_some(), summary.created_at);
            rank(a).cmp(&rank(b)).then_with(|| a.key.cmp(&b.key))
        });
        if let Some(after) = &selection.after {
            match summaries.iter().position(|poll| poll.key == *after) {
                Some(position) => drop(summaries.drain(..=position)),
                None => return ready(Err(StoreError::not_found(after))),
            }
        }
        summaries.retain(|poll| selection.admits(poll));
        summaries.truncate(selection.limit);
        ready(Ok(summaries))
    }

    fn status(&self, now: Timestamp) -> StoreFuture<'_, StoreStatus> {
        let polls = self.polls();
        let mut status = StoreStatus { finished: polls.polls.len(), ..StoreStatus::default() };
        for poll in polls.open() {
            status.finished -= 1;
            status.open += 1;
            status.cancelling += usize::from(polls.cancelling.contains(&poll.key));
            status.overdue += usize::from(poll.deadline() <= now);
            status.oldest = Some(status.oldest.map_or(poll.created_at, |oldest| oldest.min(poll.created_at)));
        }
        ready(Ok(status))
    }

    fn summary(&self, key: PollKey) -> StoreFuture<'_, Option<Summary>> {
        let polls = self.polls();
        ready(Ok(polls.get(&key).map(|poll| polls.summary(poll))))
    }

    fn show(&self, key: PollKey) -> StoreFuture<'_, Option<PollRecord>> {
        let polls = self.polls();
        ready(Ok(polls.get(&key).map(|poll| PollRecord {
            poll: poll.apart(),
            cancelling: polls.cancelling.contains(&key),
            attempts: polls.attempts.get(&key).cloned().unwrap_or_default(),
            runner: polls.runner(),
        })))
    }

    fn outcome(&self, key: PollKey) -> StoreFuture<'_, Option<FoundOutcome>> {
        let outcome = match self.polls().get(&key) {
            None => return ready(Ok(None)),
            Some(Kept { outcome: Some(outcome), .. }) => Arc::clone(outcome),
            Some(open) => return ready(Ok(Some(FoundOutcome::Open(Box::new(open.apart()))))),
        };
        ready(FoundOutcome::ended(&outcome).map(Some))
    }

    fn count_open(&self) -> StoreFuture<'_, usize> {
        ready(Ok(self.polls().open().count()))
    }

    fn request_cancel(&self, key: PollKey) -> StoreFuture<'_, bool> {
        let mut polls = self.polls();
        let is_open = polls.is_open(&key);
        if is_open {
            polls.cancelling.insert(key);
        }
        ready(Ok(is_open))
    }

    fn cancel_unrun(&self, key: PollKey, now: Timestamp) -> StoreFuture<'_, Option<Arc<Outcome>>> {
        let mut polls = self.polls();
        if polls.has_run {
            return ready(Ok(None));
        }
        let Some(poll) = polls.get(&key) else { return ready(Err(StoreError::not_found(&key))) };
        let outcome = outcome_without_request(OutcomeKind::Cancelled, poll.created_at, now, poll.restarts);
        ready(polls.finish(&key, Arc::new(outcome)).map(Some))
    }

    fn runner(&self) -> StoreFuture<'_, Option<Runner>> {
        ready(Ok(self.polls().runner()))
    }
}
