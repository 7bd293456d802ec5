//! The ports to a store of polls: [`Store`], which the engine runs on, and [`StoreAdmin`], which commands run on.
//!
//! A store holds two facts about a poll: its creation and its outcome; of a poll that follows a link also its URL. Everything
//! in between follows from them and the clock, so an attempt that did not match needs no write.

pub(crate) mod error;
mod records;
mod runner;
mod selection;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::clock::{BoxFuture, Clock, Timestamp};
use crate::job::PollSpec;
use crate::key::{PollKey, PollKeys};
use crate::outbox::Outbox;
use crate::outcome::{Attempt, Counts, FailureReason, Outcome, OutcomeKind};

pub use self::error::{StoreError, StoreFuture};
pub use self::records::{
    Changes, Creation, Ending, FoundOutcome, FoundPoll, OpenPolls, PollRecord, Retention, StoredPoll, Summary,
};
pub use self::runner::{Runner, RunsUntil};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use self::selection::beneath;
pub(crate) use self::selection::page;
pub use self::selection::{Cursor, InvalidCursor, Page, Selection, StoreStatus, covers};

/// A store of polls, as the engine uses it.
///
/// Every method may be called at any time from any task. A future that returned `Ok` has made its change as durable as the
/// store ever makes it; a dropped future may or may not have made its change.
///
/// The engine treats a panic of a future as an error of the store: it refuses to create the poll, or stores the outcome
/// later. A call from outside the engine, such as [`Poller::list`](crate::Poller::list), panics in its caller.
pub trait Store: Send + Sync + 'static {
    /// Stores a new poll, unless the store has one of that name.
    fn create(&self, poll: StoredPoll) -> StoreFuture<'_, Creation>;

    /// Stores new polls for the runner, each as [`create`](Self::create) does, and answers in their order. The polls created
    /// here need not appear in the [`changes`](Self::changes) of this run.
    ///
    /// The default creates one after the other. The engine starts a second call only when many polls are waiting, so a
    /// store does best to store all polls of a call together.
    fn create_all(&self, polls: Vec<StoredPoll>) -> BoxFuture<'_, Vec<Result<Creation, StoreError>>> {
        Box::pin(stream::iter(polls).then(|poll| self.create(poll)).collect())
    }

    /// Stores the outcome of an open poll. If the poll has an outcome, nothing changes and that outcome is returned: an
    /// outcome never changes.
    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> StoreFuture<'_, Arc<Outcome>>;

    /// Stores the URL that an open poll asks from now on, in place of an earlier one: from then on the poll is loaded with it
    /// as [`StoredPoll::followed`]. The engine asks that URL only after this has succeeded, so that a restart does not repeat
    /// the first request of the poll. The default is an error: a store without this cannot run specs with `follow`.
    fn follow(&self, key: PollKey, url: Arc<str>) -> StoreFuture<'_, ()> {
        let _ = url;
        let error = StoreError::new(format!("this store cannot keep the URL that the poll {key} follows"));
        Box::pin(std::future::ready(Err(error)))
    }

    /// Makes the caller the runner of this store. Adds a restart to each open poll of an earlier run. Returns the number of
    /// open polls.
    fn begin_run(&self) -> StoreFuture<'_, usize>;

    /// The next page of open polls that this run has not loaded yet. With pages, the first of a million polls run while the
    /// others are read. A poll may be on two pages: the engine passes over polls that run already. Called until [`OpenPolls::last`], never
    /// twice at once.
    fn load_open(&self) -> StoreFuture<'_, OpenPolls>;

    /// The poll of that name, if there is one.
    fn get(&self, key: PollKey) -> StoreFuture<'_, Option<StoredPoll>>;

    /// All polls, oldest first.
    fn list(&self) -> StoreFuture<'_, Vec<StoredPoll>>;

    /// Removes a finished poll; returns whether there was one.
    fn forget(&self, key: PollKey) -> StoreFuture<'_, bool>;

    /// How often the engine should ask for [`changes`](Self::changes); `None`, the default, if only the engine changes this
    /// store.
    fn changes_every(&self) -> Option<Duration> {
        None
    }

    /// The changes by other processes since the last call, or since the last page of [`load_open`](Self::load_open).
    fn changes(&self) -> StoreFuture<'_, Changes> {
        Box::pin(std::future::ready(Ok(Changes::default())))
    }

    /// Completes when another process may have changed something since this call. It only hastens a look for
    /// [`changes`](Self::changes) or for an outcome, which comes without it too; so it may miss changes, and complete without
    /// one. By default it never completes.
    fn changed(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }

    /// The time by which the processes of this store agree. A poller follows it unless it was given another clock. The
    /// default is `None`: the polls are run by one process, with the clock of its machine.
    fn clock(&self) -> Option<Arc<dyn Clock>> {
        None
    }

    /// Tells how long the oldest due poll of this process has been waiting for its request, held back polls aside; called
    /// before each look for [`changes`](Self::changes). It must be cheap. The default ignores it.
    fn note_lag(&self, lag: Duration) {
        let _ = lag;
    }

    /// Whether this process may begin requests now. While it may not, due polls wait. Read before each request, so it must
    /// be cheap. The default is true: a store of one process has no lease that could end.
    fn may_ask(&self) -> bool {
        true
    }

    /// Whether this process is the one that runs the polls of this name, as far as it knows. A submission of another poll
    /// is stored and left to the process that does. The default is true.
    fn runs(&self, key: &PollKey) -> bool {
        let _ = key;
        true
    }

    /// Asks the process that runs an open poll to cancel it. Returns whether the poll was open. Called for polls that this
    /// process does not [run](Self::runs); the default is false.
    fn cancel_elsewhere(&self, key: PollKey) -> StoreFuture<'_, bool> {
        let _ = key;
        Box::pin(std::future::ready(Ok(false)))
    }

    /// Has the process that runs an open poll ask as soon as it may. Returns whether the poll was open. Called for polls that
    /// this process does not [run](Self::runs); the default is false.
    fn hasten_elsewhere(&self, key: PollKey) -> StoreFuture<'_, bool> {
        let _ = key;
        Box::pin(std::future::ready(Ok(false)))
    }

    /// The deliveries of webhooks that this store keeps. A store with an outbox adds a delivery in the transaction of an
    /// outcome whose spec has [`onOutcome`](crate::PollSpec::on_outcome). The default is `None`: specs with it are refused.
    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        None
    }

    /// Removes some of the finished polls that need not be kept, the oldest endings first, and returns their number: few
    /// enough that other calls wait only briefly. Called again until it returns 0. Open polls are never removed, nor are those
    /// whose webhook is still to be delivered.
    fn purge(&self, keep: Retention) -> StoreFuture<'_, usize>;

    /// Stores the last attempts of open polls, replacing the earlier ones, for [`StoreAdmin::show`]. Polls that are not open
    /// are skipped. The default stores nothing.
    fn note_attempts(&self, attempts: Vec<(PollKey, Vec<Attempt>)>) -> StoreFuture<'_, ()> {
        let _ = attempts;
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A store as commands use it, beside its runner or without one: to list, show and cancel polls.
pub trait StoreAdmin: Store {
    /// All polls, the open ones first, each group in the order of creation. Unlike [`list`](Store::list), this needs no seal
    /// key and includes polls whose spec cannot be read.
    fn summaries(&self) -> StoreFuture<'_, Vec<Summary>> {
        self.select(Selection::all())
    }

    /// Some of the [`summaries`](Self::summaries), in their order. It is an error if the poll to begin
    /// [after](Selection::after) is not there.
    fn select(&self, selection: Selection) -> StoreFuture<'_, Vec<Summary>>;

    /// What [`select`](Self::select) returns, in pages: a list of a million polls takes the memory of a few thousand. No poll
    /// comes twice, although polls may change between two pages. The default is one page.
    fn select_pages(&self, selection: Selection) -> BoxStream<'_, Result<Vec<Summary>, StoreError>> {
        Box::pin(stream::once(self.select(selection)))
    }

    /// Some of the [summaries](Self::summaries), newest first, from the beginning or from where the page before ended.
    /// [`Selection::after`] does not apply.
    ///
    /// The default reads all polls that are selected, so it takes time linear in their number; a store with many polls
    /// does better.
    fn page(&self, selection: Selection, cursor: Option<Cursor>) -> StoreFuture<'_, Page> {
        Box::pin(async move {
            let limit = selection.limit;
            let all = Selection { after: None, limit: usize::MAX, ..selection };
            Ok(page(self.select(all).await?, limit, cursor.as_ref()))
        })
    }

    /// How many polls there are, and how they are getting on at `now`.
    fn status(&self, now: Timestamp) -> StoreFuture<'_, StoreStatus>;

    /// The summary of one poll, if it exists.
    fn summary(&self, key: PollKey) -> StoreFuture<'_, Option<Summary>>;

    /// Everything about one poll, read at one moment.
    fn show(&self, key: PollKey) -> StoreFuture<'_, Option<PollRecord>>;

    /// The outcome of a poll as text, or the poll if it is open; `None` if there is none of that name. A store that keeps
    /// outcomes as JSON does best to return what it keeps; the default reads the poll.
    fn outcome(&self, key: PollKey) -> StoreFuture<'_, Option<FoundOutcome>> {
        Box::pin(async move { self.get(key).await?.map(FoundOutcome::of).transpose() })
    }

    /// The number of open polls.
    fn count_open(&self) -> StoreFuture<'_, usize>;

    /// Asks the runner of the store, now or in its next run, to cancel a poll. Returns whether the poll was open.
    fn request_cancel(&self, key: PollKey) -> StoreFuture<'_, bool>;

    /// Ends a poll as cancelled if no process runs the store, and keeps others from running it meanwhile. Returns the
    /// outcome of the poll, which is another one if it had ended before; `None` if the store has a runner, which then is to
    /// be [asked](Self::request_cancel). It is an error if there is no such poll.
    fn cancel_unrun(&self, key: PollKey, now: Timestamp) -> StoreFuture<'_, Option<Arc<Outcome>>>;

    /// The polls of these names without their outcomes, in the order of the names; `None` where there is none. The default
    /// reads one after the other, outcomes included.
    fn find(&self, keys: Vec<PollKey>) -> StoreFuture<'_, Vec<Option<FoundPoll>>> {
        let found = |StoredPoll { spec, created_at, outcome, .. }| FoundPoll {
            spec,
            created_at,
            ended: outcome.is_some(),
        };
        let polls = stream::iter(keys).then(|key| self.get(key));
        Box::pin(polls.map_ok(move |poll| poll.map(found)).try_collect())
    }

    /// The polls of these names with their outcomes, in the order of the names; `None` where there is none. The default reads all at
    /// once.
    fn get_all(&self, keys: Vec<PollKey>) -> StoreFuture<'_, Vec<Option<StoredPoll>>> {
        Box::pin(futures_util::future::try_join_all(keys.into_iter().map(|key| self.get(key))))
    }

    /// The [summaries](Self::summary) of these polls, in their order. The default reads one after the other.
    fn summaries_of(&self, keys: Vec<PollKey>) -> StoreFuture<'_, Vec<Option<Summary>>> {
        Box::pin(stream::iter(keys).then(|key| self.summary(key)).try_collect())
    }

    /// Asks to cancel several polls, each as [`request_cancel`](Self::request_cancel) does. A durable store does so in one
    /// transaction; the default asks for one after the other.
    fn request_cancel_all(&self, keys: Vec<PollKey>) -> StoreFuture<'_, Vec<bool>> {
        Box::pin(stream::iter(keys).then(|key| self.request_cancel(key)).try_collect())
    }

    /// Cancels several polls, each as [`cancel_unrun`](Self::cancel_unrun) does, and returns how each has ended; `None` for
    /// one that does not exist. Nothing is cancelled, and the answer is `None`, if the store has a runner. A durable store
    /// does so in one transaction; the default cancels one after the other.
    fn cancel_all_unrun(
        &self,
        keys: Vec<PollKey>,
        now: Timestamp,
    ) -> StoreFuture<'_, Option<Vec<Option<Ending>>>> {
        Box::pin(async move {
            let mut endings = Vec::with_capacity(keys.len());
            for key in keys {
                if self.summary(key.clone()).await?.is_none() {
                    endings.push(None);
                    continue;
                }
                match self.cancel_unrun(key, now).await? {
                    Some(outcome) => endings.push(Some(Ending::of(&outcome))),
                    None => return Ok(None),
                }
            }
            Ok(Some(endings))
        })
    }

    /// Cancels all selected polls that are open, in one transaction, and returns their names in the order of creation. Nothing
    /// is cancelled, and the answer is `None`, if the store has a runner or does not do this; then each is to be cancelled by its
    /// name. [`Selection::after`] and [`Selection::limit`] do not apply. The default is `None`.
    fn cancel_selected_unrun(
        &self,
        selection: Selection,
        now: Timestamp,
    ) -> StoreFuture<'_, Option<PollKeys>> {
        let _ = (selection, now);
        Box::pin(std::future::ready(Ok(None)))
    }

    /// The process that runs the polls of this store, if there is one.
    fn runner(&self) -> StoreFuture<'_, Option<Runner>>;

    /// The key of the tokens by which callers [hasten](crate::Poller::hasten) polls: random, the same for all processes of a
    /// store and after every restart. The default is `None`: tokens are of one process then.
    fn callback_key(&self) -> StoreFuture<'_, Option<CallbackKey>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Whether this store can keep a spec: a durable store needs a seal key for inline secrets.
    ///
    /// # Errors
    /// What is missing, and how to fix it.
    fn admits(&self, spec: &PollSpec) -> Result<(), StoreError> {
        let _ = spec;
        Ok(())
    }
}

/// The key of the tokens of callbacks; see [`StoreAdmin::callback_key`].
pub type CallbackKey = [u8; 32];

/// A new key.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) fn random_key() -> Result<CallbackKey, StoreError> {
    let key = ring::rand::generate::<CallbackKey>(&ring::rand::SystemRandom::new());
    key.map(ring::rand::Random::expose).map_err(|_| StoreError::new("the system gives no random numbers"))
}

/// A value as the JSON that a store keeps.
pub(crate) fn to_json(what: &str, value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::with_source(format!("{what} cannot be written as JSON"), error))
}

/// The outcome of an open poll that cannot be read.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) fn unreadable(created_at: Timestamp, restarts: u32, explanation: String) -> Outcome {
    let kind = OutcomeKind::Failed { reason: FailureReason::Unreadable, response: None, explanation };
    outcome_without_request(kind, created_at, created_at, restarts)
}

/// The outcome of a poll that ended without a request in this run.
pub(crate) fn outcome_without_request(
    kind: OutcomeKind,
    created_at: Timestamp,
    ended_at: Timestamp,
    restarts: u32,
) -> Outcome {
    Outcome {
        kind,
        attempts: 0,
        restarts,
        started_at: created_at,
        ended_at,
        counts: Counts::default(),
        history: Vec::new(),
    }
}
