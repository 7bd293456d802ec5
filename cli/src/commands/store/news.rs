//! A store that tells what passes through it.
//!
//! The runner of a file has polls that it did not submit: those that were open when it started, and those that other
//! processes submit meanwhile. It learns of them, and of every outcome, where all of it passes anyway: between the
//! engine and the store. An outcome is told after the store has it, like everywhere.

use std::sync::Arc;
use std::time::Duration;

use poller::PollKey;
use poller::store::{Changes, Creation, OpenPolls, Retention, Store, StoreError, StoredPoll};
use poller::{Attempt, BoxFuture, Outcome, SqliteStore};
use tokio::sync::mpsc;

/// What passed.
#[derive(Debug)]
pub(super) enum News {
    /// The run has begun; so many polls were open.
    Begun(usize),
    /// These polls are open and are run from now on; none, when somebody has looked in vain.
    Open(Vec<StoredPoll>),
    /// A poll has ended.
    Finished(PollKey, Arc<Outcome>),
    /// A poll could not be read, and has ended for that.
    Unreadable(PollKey, Arc<Outcome>),
    /// An outcome cannot be written at the moment.
    Unsaved(StoreError),
    /// What other processes did cannot be read at the moment.
    Trouble(StoreError),
}

/// The store and who listens to it.
#[derive(Debug)]
pub(super) struct Watched {
    store: SqliteStore,
    news: mpsc::UnboundedSender<News>,
}

impl Watched {
    pub(super) fn new(store: SqliteStore) -> (Self, mpsc::UnboundedReceiver<News>) {
        let (news, listener) = mpsc::unbounded_channel();
        (Self { store, news }, listener)
    }

    fn send(&self, news: News) {
        // Whoever listened has gone when the process is about to end.
        let _ = self.news.send(news);
    }

    fn tell_of(&self, open: &OpenPolls) {
        self.send(News::Open(open.polls.clone()));
        // The store has ended these, and the engine never sees them.
        for (key, outcome) in &open.unreadable {
            self.send(News::Unreadable(key.clone(), Arc::clone(outcome)));
        }
    }
}

impl Store for Watched {
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        self.store.create(poll)
    }

    fn create_all(&self, polls: Vec<StoredPoll>) -> BoxFuture<'_, Vec<Result<Creation, StoreError>>> {
        self.store.create_all(polls)
    }

    fn creates_in_turn(&self) -> bool {
        self.store.creates_in_turn()
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        Box::pin(async move {
            // It is tried again, and told when it is kept.
            let kept = self
                .store
                .finish(key.clone(), outcome)
                .await
                .inspect_err(|error| self.send(News::Unsaved(error.clone())))?;
            self.send(News::Finished(key, Arc::clone(&kept)));
            Ok(kept)
        })
    }

    fn begin_run(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            let open = self.store.begin_run().await?;
            self.send(News::Begun(open));
            Ok(open)
        })
    }

    fn load_open(&self) -> BoxFuture<'_, Result<OpenPolls, StoreError>> {
        Box::pin(async move {
            let open =
                self.store.load_open().await.inspect_err(|error| self.send(News::Trouble(error.clone())))?;
            self.tell_of(&open);
            Ok(open)
        })
    }

    fn get(&self, key: PollKey) -> BoxFuture<'_, Result<Option<StoredPoll>, StoreError>> {
        self.store.get(key)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredPoll>, StoreError>> {
        self.store.list()
    }

    fn forget(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.store.forget(key)
    }

    fn purge(&self, keep: Retention) -> BoxFuture<'_, Result<usize, StoreError>> {
        self.store.purge(keep)
    }

    fn keeps_attempts(&self) -> bool {
        self.store.keeps_attempts()
    }

    fn note_attempts(&self, attempts: Vec<(PollKey, Vec<Attempt>)>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.note_attempts(attempts)
    }

    fn attempts(&self, key: PollKey) -> BoxFuture<'_, Result<Vec<Attempt>, StoreError>> {
        self.store.attempts(key)
    }

    fn changes_every(&self) -> Option<Duration> {
        self.store.changes_every()
    }

    fn changes(&self) -> BoxFuture<'_, Result<Changes, StoreError>> {
        Box::pin(async move {
            let changes =
                self.store.changes().await.inspect_err(|error| self.send(News::Trouble(error.clone())))?;
            self.tell_of(&changes.open);
            Ok(changes)
        })
    }
}
