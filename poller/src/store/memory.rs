//! The store that forgets when the process ends: for tests and one-shot use.
//!
//! Clones share what they keep, so a poller can be shut down and another be built on the same polls.
//!
//! Polls stand in boxes behind a table of pointers, found by their own key: a table of polls by key would hold each key
//! twice and leave half its room, sized for whole polls, empty.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::{Creation, OpenPolls, PollKey, Retention, Store, StoreError, StoredPoll};
use crate::clock::{BoxFuture, Timestamp};
use crate::outcome::Outcome;

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
    table: HashTable<Box<StoredPoll>>,
    hasher: RandomState,
    has_run: bool,
}

impl Polls {
    fn entry(&mut self, key: &PollKey) -> Entry<'_, Box<StoredPoll>> {
        let hasher = &self.hasher;
        self.table.entry(hasher.hash_one(key), |poll| poll.key == *key, |poll| hasher.hash_one(&poll.key))
    }

    fn get(&self, key: &PollKey) -> Option<&StoredPoll> {
        self.table.find(self.hasher.hash_one(key), |poll| poll.key == *key).map(|poll| &**poll)
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn polls(&self) -> MutexGuard<'_, Polls> {
        // Each change is a single insert or remove, so even a panic while locked leaves the table whole.
        self.polls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ready<'a, T: Send + 'a>(result: T) -> BoxFuture<'a, Result<T, StoreError>> {
    Box::pin(std::future::ready(Ok(result)))
}

impl Store for MemoryStore {
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        match self.polls().entry(&poll.key) {
            Entry::Occupied(present) => ready(Creation::Exists(present.get().clone())),
            Entry::Vacant(place) => {
                place.insert(Box::new(poll));
                ready(Creation::Created)
            }
        }
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        match self.polls().entry(&key) {
            Entry::Occupied(mut present) => {
                ready(Arc::clone(present.get_mut().outcome.get_or_insert(outcome)))
            }
            Entry::Vacant(_) => Box::pin(std::future::ready(Err(StoreError::new(format!(
                "the poll {key} is not in the store"
            ))))),
        }
    }

    fn begin_run(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        let mut polls = self.polls();
        // What was created before the first run has not been run before it.
        let again = u32::from(std::mem::replace(&mut polls.has_run, true));
        let open = polls.table.iter_mut().filter(|poll| poll.outcome.is_none());
        ready(open.map(|poll| poll.restarts = poll.restarts.saturating_add(again)).count())
    }

    fn load_open(&self) -> BoxFuture<'_, Result<OpenPolls, StoreError>> {
        let polls = self.polls();
        let open = polls.table.iter().filter(|poll| poll.outcome.is_none());
        ready(OpenPolls::all(open.map(|poll| StoredPoll::clone(poll)).collect()))
    }

    fn get(&self, key: PollKey) -> BoxFuture<'_, Result<Option<StoredPoll>, StoreError>> {
        ready(self.polls().get(&key).cloned())
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredPoll>, StoreError>> {
        let mut polls: Vec<StoredPoll> =
            self.polls().table.iter().map(|poll| StoredPoll::clone(poll)).collect();
        polls.sort_by(|a, b| (a.created_at, &a.key).cmp(&(b.created_at, &b.key)));
        ready(polls)
    }

    fn forget(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        let mut polls = self.polls();
        match polls.entry(&key) {
            Entry::Occupied(present) if present.get().outcome.is_some() => {
                present.remove();
                ready(true)
            }
            _ => ready(false),
        }
    }

    fn purge(&self, keep: Retention) -> BoxFuture<'_, Result<usize, StoreError>> {
        let mut polls = self.polls();
        let ended = |poll: &StoredPoll| poll.outcome.as_ref().map(|outcome| outcome.ended_at);
        let mut since = keep.since;
        let mut times: Vec<Timestamp> = polls.table.iter().filter_map(|poll| ended(poll)).collect();
        if let Some(excess) = times.len().checked_sub(keep.most).filter(|excess| *excess > 0) {
            // As a store in memory is fast, all go at once; those that ended in the same microsecond stay together.
            let (_, last, _) = times.select_nth_unstable(excess - 1);
            since = since.max(*last + Duration::from_micros(1));
        }
        let before = polls.table.len();
        polls.table.retain(|poll| ended(poll).is_none_or(|at| at >= since));
        ready(before - polls.table.len())
    }
}
