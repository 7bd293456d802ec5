//! The store that forgets when the process ends: for tests and one-shot use.
//!
//! Clones share what they keep, so a poller can be shut down and another be built on the same polls.
//!
//! Polls stand one beside the other, and a table of their numbers finds them by their own key: a table of polls by key would
//! hold each key twice and leave half its room, sized for whole polls, empty; a box for each takes room of its own.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashTable;
use slab::Slab;

use crate::clock::{BoxFuture, Timestamp};
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::store::{Creation, OpenPolls, Retention, Store, StoreError, StoredPoll};

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
}

#[derive(Debug, Default)]
struct Polls {
    polls: Slab<StoredPoll>,
    /// Their numbers, by their keys.
    numbers: HashTable<usize>,
    hasher: RandomState,
    has_run: bool,
}

impl Polls {
    fn number(&self, key: &PollKey) -> Option<usize> {
        let named = |number: &usize| self.polls.get(*number).is_some_and(|poll| poll.key == *key);
        self.numbers.find(self.hasher.hash_one(key), named).copied()
    }

    fn get(&self, key: &PollKey) -> Option<&StoredPoll> {
        self.polls.get(self.number(key)?)
    }

    fn get_mut(&mut self, key: &PollKey) -> Option<&mut StoredPoll> {
        self.polls.get_mut(self.number(key)?)
    }

    /// Takes in a poll whose name no other has.
    fn insert(&mut self, poll: StoredPoll) {
        let Self { polls, numbers, hasher, .. } = self;
        let hash = hasher.hash_one(&poll.key);
        let number = polls.insert(poll);
        let hash_of = |number: &usize| polls.get(*number).map_or(0, |poll| hasher.hash_one(&poll.key));
        numbers.insert_unique(hash, number, hash_of);
    }

    /// Removes the polls that are not to be kept, and says how many.
    fn retain(&mut self, mut keep: impl FnMut(&StoredPoll) -> bool) -> usize {
        let Self { polls, numbers, .. } = self;
        let before = numbers.len();
        numbers.retain(|number| {
            let kept = polls.get(*number).is_some_and(&mut keep);
            if !kept {
                polls.remove(*number);
            }
            kept
        });
        before - numbers.len()
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn polls(&self) -> MutexGuard<'_, Polls> {
        // No change stops half way: what it calls does not panic.
        self.polls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ready<'a, T: Send + 'a>(result: T) -> BoxFuture<'a, Result<T, StoreError>> {
    Box::pin(std::future::ready(Ok(result)))
}

impl Store for MemoryStore {
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        let mut polls = self.polls();
        if let Some(present) = polls.get(&poll.key) {
            return ready(Creation::Exists(Box::new(present.clone())));
        }
        polls.insert(poll);
        ready(Creation::Created)
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        match self.polls().get_mut(&key) {
            Some(present) => ready(Arc::clone(present.outcome.get_or_insert(outcome))),
            None => Box::pin(std::future::ready(Err(StoreError::new(format!(
                "the poll {key} is not in the store"
            ))))),
        }
    }

    fn begin_run(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        let mut polls = self.polls();
        // What was created before the first run has not been run before it.
        let again = u32::from(std::mem::replace(&mut polls.has_run, true));
        let open = polls.polls.iter_mut().map(|(_, poll)| poll).filter(|poll| poll.outcome.is_none());
        ready(open.map(|poll| poll.restarts = poll.restarts.saturating_add(again)).count())
    }

    fn load_open(&self) -> BoxFuture<'_, Result<OpenPolls, StoreError>> {
        let polls = self.polls();
        let open = polls.polls.iter().map(|(_, poll)| poll).filter(|poll| poll.outcome.is_none());
        ready(OpenPolls::all(open.cloned().collect()))
    }

    fn get(&self, key: PollKey) -> BoxFuture<'_, Result<Option<StoredPoll>, StoreError>> {
        ready(self.polls().get(&key).cloned())
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredPoll>, StoreError>> {
        let mut polls: Vec<StoredPoll> = self.polls().polls.iter().map(|(_, poll)| poll.clone()).collect();
        polls.sort_by(|a, b| (a.created_at, &a.key).cmp(&(b.created_at, &b.key)));
        ready(polls)
    }

    fn forget(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        let mut polls = self.polls();
        let Some(number) = polls.number(&key) else { return ready(false) };
        if polls.polls.get(number).is_none_or(|poll| poll.outcome.is_none()) {
            return ready(false);
        }
        let hash = polls.hasher.hash_one(&key);
        if let Ok(place) = polls.numbers.find_entry(hash, |present| *present == number) {
            place.remove();
        }
        polls.polls.remove(number);
        ready(true)
    }

    fn purge(&self, keep: Retention) -> BoxFuture<'_, Result<usize, StoreError>> {
        let mut polls = self.polls();
        let ended = |poll: &StoredPoll| poll.outcome.as_ref().map(|outcome| outcome.ended_at);
        let mut since = keep.since;
        let mut times: Vec<Timestamp> = polls.polls.iter().map(|(_, poll)| poll).filter_map(ended).collect();
        if let Some(excess) = times.len().checked_sub(keep.most).filter(|excess| *excess > 0) {
            // As a store in memory is fast, all go at once; those that ended in the same microsecond stay together.
            let (_, last, _) = times.select_nth_unstable(excess - 1);
            since = since.max(*last + Duration::from_micros(1));
        }
        ready(polls.retain(|poll| ended(poll).is_none_or(|at| at >= since)))
    }
}
