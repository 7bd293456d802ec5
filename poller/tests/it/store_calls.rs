//! The calls of the engine to a store, and its handling of a store that fails, panics, replies incompletely or changes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poller::PollKey;
use poller::store::{Changes, Creation, OpenPolls, Store, StoreError, StoredPoll};
use poller::{
    Accepted, Attempt, BoxFuture, Clock as _, ErrorKind, Limits, MemoryStore, Outcome, SystemClock, Timestamp,
};
use serde_json::json;

use crate::around::rest_to_inner;
use crate::lifecycle::long;
use crate::world::{World, millis, pending, spec, success};

/// A memory store that fails to save the first outcomes.
pub(crate) struct Flaky {
    inner: MemoryStore,
    failures_left: Arc<AtomicU32>,
}

impl Flaky {
    pub(crate) fn new(failures_left: &Arc<AtomicU32>) -> Self {
        Self { inner: MemoryStore::new(), failures_left: Arc::clone(failures_left) }
    }

    fn fails(&self) -> bool {
        self.failures_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
    }
}

impl Store for Flaky {
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        self.inner.create(poll)
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        if self.fails() {
            return Box::pin(std::future::ready(Err(StoreError::new("the disk is full"))));
        }
        self.inner.finish(key, outcome)
    }

    rest_to_inner!();
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_reported_only_after_it_is_stored() {
    let world = World::sequence([success]);
    let failures_left = Arc::new(AtomicU32::new(3));
    let poller = world.poller().store(Flaky::new(&failures_left)).build().await.unwrap();
    let outcome = poller.submit("job", long()).await.unwrap().outcome().await.unwrap();
    assert_eq!(failures_left.load(Ordering::Relaxed), 0);
    let delays = millis(world.now());
    assert!((1500..=3000).contains(&delays), "there were three delays: {delays} ms");
    assert_eq!(
        (outcome.name(), millis(outcome.elapsed())),
        ("matched", 0),
        "the decision is as old as it is"
    );
    assert_eq!(world.sent().len(), 1, "the request is not sent again");
}

#[tokio::test(start_paused = true)]
async fn an_unsaved_outcome_is_stored_during_a_shutdown() {
    for wait in [0, 40] {
        let world = World::sequence([success]);
        let failures_left = Arc::new(AtomicU32::new(u32::MAX));
        let poller = world.poller().store(Flaky::new(&failures_left)).build().await.unwrap();
        let poll = poller.submit("job", long()).await.unwrap();
        world.sleep_until(Duration::from_secs(wait) + Duration::from_millis(1)).await;
        assert!(failures_left.load(Ordering::Relaxed) < u32::MAX, "it has failed");
        failures_left.store(2, Ordering::Relaxed);
        let began = world.now();
        let (outcome, report) = tokio::join!(poll.outcome(), poller.shutdown());
        assert_eq!((outcome.unwrap().name(), report.left_open, report.unsaved), ("matched", 0, 0));
        assert!(world.now() - began <= Duration::from_secs(2), "{:?}", world.now() - began);
        assert_eq!((failures_left.load(Ordering::Relaxed), world.sent().len()), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_store_delays_a_shutdown_by_the_grace_and_unsaved_outcomes_are_counted() {
    let world = World::new(|_, request| if request.url.path() == "/pending" { pending() } else { success() });
    let failures_left = Arc::new(AtomicU32::new(u32::MAX));
    let poller = world.poller().store(Flaky::new(&failures_left)).build().await.unwrap();
    let poll = poller.submit("job", long()).await.unwrap();
    let pending = long().with_url("https://api.example.com/pending").unwrap();
    let _pending = poller.submit("pending", pending).await.unwrap();
    world.arrived(2).await;
    let (outcome, report) = tokio::join!(poll.outcome(), poller.shutdown());
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Shutdown);
    assert_eq!((report.left_open, report.unsaved, millis(world.now())), (2, 1, 10_000));
    let left: Vec<_> = report.first.iter().map(|poll| (poll.key.key(), poll.unsaved)).collect();
    assert_eq!(left, [("job", true), ("pending", false)]);
    assert_eq!((report.abandoned, failures_left.load(Ordering::Relaxed) < u32::MAX), (0, true));
}

/// A memory store with a poll of another process in each batch of changes; its period is an hour.
struct Pages {
    inner: Flaky,
    left: AtomicU32,
    created_at: Timestamp,
}

const HOUR: Duration = Duration::from_secs(3600);

impl Store for Pages {
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        self.inner.create(poll)
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        self.inner.finish(key, outcome)
    }

    fn changes_every(&self) -> Option<Duration> {
        Some(HOUR)
    }

    fn changes(&self) -> BoxFuture<'_, Result<Changes, StoreError>> {
        let left = self.left.fetch_sub(1, Ordering::Relaxed) - 1;
        let spec = spec(json!({"interval": 10, "timeout": 7200}));
        let key = PollKey::new("", format!("their {left}"));
        let mut changes = Changes::default();
        changes.open = OpenPolls::all(vec![StoredPoll::new(key, spec, self.created_at)]);
        changes.open.last = left == 0;
        Box::pin(std::future::ready(Ok(changes)))
    }

    rest_to_inner!();
}

#[tokio::test(start_paused = true)]
async fn changes_are_read_to_the_end_and_then_once_per_period() {
    let world = World::sequence([pending]);
    let inner = Flaky::new(&Arc::default());
    let created_at = SystemClock::new().now() + HOUR;
    let _poller =
        world.poller().store(Pages { inner, left: AtomicU32::new(3), created_at }).build().await.unwrap();
    world.arrived(3).await;
    let times = world.times();
    assert!(times[0] >= 3_600_000, "{times:?}");
    assert!(times[2] < 3_600_000 + 1000, "{times:?}");
}

/// A memory store that panics in the first call of each kind: before it returns a future, or in the future.
#[derive(Default)]
struct Panicking {
    inner: MemoryStore,
    created: AtomicU32,
    finished: AtomicU32,
    period_read: AtomicU32,
    changes_read: Arc<AtomicU32>,
}

fn is_first(calls: &AtomicU32) -> bool {
    calls.fetch_add(1, Ordering::Relaxed) == 0
}

impl Store for Panicking {
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        assert!(!is_first(&self.created), "a bug in the store");
        self.inner.create(poll)
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        Box::pin(async move {
            assert!(!is_first(&self.finished), "a bug in the store");
            self.inner.finish(key, outcome).await
        })
    }

    fn changes_every(&self) -> Option<Duration> {
        assert!(!is_first(&self.period_read), "a bug in the store");
        Some(Duration::from_secs(1))
    }

    fn changes(&self) -> BoxFuture<'_, Result<Changes, StoreError>> {
        assert!(!is_first(&self.changes_read), "a bug in the store");
        Box::pin(std::future::ready(Ok(Changes::default())))
    }

    rest_to_inner!();
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_store_is_a_failed_call() {
    let world = World::sequence([pending, success]);
    let store = Panicking::default();
    let changes_read = Arc::clone(&store.changes_read);
    let poller = world.poller().store(store).build().await.unwrap();
    let error = poller.submit("job", long()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.to_string().contains("the store panicked"), "{error}");
    let poll = poller.submit("job", long()).await.unwrap();
    assert_eq!(poll.accepted(), Accepted::Created);
    let outcome = poll.outcome().await.unwrap();
    assert_eq!((outcome.name(), world.times()), ("matched", vec![0, 10_000]));
    assert!(millis(world.now()) > 10_000, "the outcome was stored the second time: {:?}", world.now());
    assert!(changes_read.load(Ordering::Relaxed) > 1, "changes are read again");
    let report = poller.shutdown().await;
    assert_eq!(report.left_open, 0);
}

/// A memory store that records the writes to it.
#[derive(Clone, Default)]
struct Noting {
    inner: MemoryStore,
    written: Arc<Mutex<Vec<&'static str>>>,
}

impl Noting {
    fn note(&self, what: &'static str) {
        self.written.lock().unwrap().push(what);
    }
}

impl Store for Noting {
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        self.note("create");
        self.inner.create(poll)
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        self.note("finish");
        self.inner.finish(key, outcome)
    }

    fn note_attempts(&self, _: Vec<(PollKey, Vec<Attempt>)>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.note("attempts");
        Box::pin(std::future::ready(Ok(())))
    }

    rest_to_inner!();
}

/// The writes for a poll that matches at its fourth attempt.
async fn written_of_four_attempts(history_every: Option<Duration>) -> Vec<&'static str> {
    let world = World::sequence([pending, pending, pending, success]);
    let store = Noting::default();
    let mut limits = Limits::unbounded();
    limits.history_every = history_every;
    let poller = world.poller().store(store.clone()).limits(limits).build().await.unwrap();
    let outcome = poller.submit("job", long()).await.unwrap().outcome().await.unwrap();
    assert_eq!((outcome.name(), world.sent().len()), ("matched", 4));
    let written = store.written.lock().unwrap();
    written.clone()
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_does_not_match_writes_nothing() {
    assert_eq!(written_of_four_attempts(None).await, ["create", "finish"]);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_written_in_batches_once_per_period() {
    // Attempts are 10 s apart.
    let every = |seconds| written_of_four_attempts(Some(Duration::from_secs(seconds)));
    assert_eq!(every(25).await, ["create", "attempts", "finish"]);
    assert_eq!(every(3).await, ["create", "attempts", "attempts", "attempts", "finish"]);
}

/// A memory store that returns no results for creations.
struct Silent {
    inner: MemoryStore,
}

impl Store for Silent {
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        self.inner.create(poll)
    }

    fn create_all(&self, _: Vec<StoredPoll>) -> BoxFuture<'_, Vec<Result<Creation, StoreError>>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        self.inner.finish(key, outcome)
    }

    rest_to_inner!();
}

#[tokio::test(start_paused = true)]
async fn creations_without_a_result_are_errors() {
    let poller = World::sequence([pending]).poller().store(Silent { inner: MemoryStore::new() });
    let poller = poller.build().await.unwrap();
    let error = poller.submit("job", long()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.to_string().contains("does not say whether it has kept the poll"), "{error}");
}
