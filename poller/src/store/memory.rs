//! The store that forgets when the process ends: for tests and one-shot use.
//!
//! Clones share what they keep, so a poller can be shut down and another be built on the same polls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Creation, PollKey, Store, StoreError, StoredPoll};
use crate::clock::BoxFuture;
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
    polls: Arc<Mutex<HashMap<PollKey, StoredPoll>>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn polls(&self) -> MutexGuard<'_, HashMap<PollKey, StoredPoll>> {
        // Each change is a single insert or remove, so even a panic while locked leaves the map whole.
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
        polls.insert(poll.key.clone(), poll);
        ready(Creation::Created)
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        match self.polls().get_mut(&key) {
            Some(poll) => ready(Arc::clone(poll.outcome.get_or_insert(outcome))),
            None => Box::pin(std::future::ready(Err(StoreError::new(format!(
                "the poll {key} is not in the store"
            ))))),
        }
    }

    fn load_open(&self) -> BoxFuture<'_, Result<Vec<StoredPoll>, StoreError>> {
        let mut polls = self.polls();
        let open = polls.values_mut().filter(|poll| poll.outcome.is_none());
        ready(
            open.map(|poll| {
                poll.restarts = poll.restarts.saturating_add(1);
                poll.clone()
            })
            .collect(),
        )
    }

    fn get(&self, key: PollKey) -> BoxFuture<'_, Result<Option<StoredPoll>, StoreError>> {
        ready(self.polls().get(&key).cloned())
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredPoll>, StoreError>> {
        let mut polls: Vec<StoredPoll> = self.polls().values().cloned().collect();
        polls.sort_by(|a, b| (a.created_at, &a.key).cmp(&(b.created_at, &b.key)));
        ready(polls)
    }

    fn forget(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        let mut polls = self.polls();
        let finished = polls.get(&key).is_some_and(|poll| poll.outcome.is_some());
        if finished {
            polls.remove(&key);
        }
        ready(finished)
    }
}
