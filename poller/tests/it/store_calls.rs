//! What the engine asks of a store, and what it makes of one that fails, panics, says nothing or changes by itself.

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

/// A memory store whose first outcomes cannot be written.
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
async fn an_outcome_is_told_only_once_the_store_has_it() {
    let world = World::sequence([success]);
    let failures_left = Arc::new(AtomicU32::new(3));
    let poller = world.poller().store(Flaky::new(&failures_left)).build().await.unwrap();
    let outcome = poller.submit("job", long()).await.unwrap().outcome().await.unwrap();
    assert_eq!(failures_left.load(Ordering::Relaxed), 0);
    assert!(millis(world.now()) >= 3000, "three failures were waited for: {:?}", world.now());
    assert_eq!(
        (outcome.name(), millis(outcome.elapsed())),
        ("matched", 0),
        "the decision is as old as it is"
    );
    assert_eq!(world.sent().len(), 1, "the request is not made again");
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_could_not_be_stored_is_stored_during_a_shutdown() {
    // By then the store has failed once, and the next try is a second away; or so often that it is most of a minute away.
    for (failed, wait) in [(1, 0), (6, 40)] {
        let world = World::sequence([success]);
        let failures_left = Arc::new(AtomicU32::new(failed + 2));
        let poller = world.poller().store(Flaky::new(&failures_left)).build().await.unwrap();
        let poll = poller.submit("job", long()).await.unwrap();
        world.sleep_until(Duration::from_secs(wait) + Duration::from_millis(1)).await;
        assert!(failures_left.load(Ordering::Relaxed) > 0);
        let began = world.now();
        let (outcome, report) = tokio::join!(poll.outcome(), poller.shutdown());
        assert_eq!((outcome.unwrap().name(), report.left_open, report.unsaved), ("matched", 0, 0));
        assert!(world.now() - began < Duration::from_secs(10), "{:?}", world.now() - began);
        assert_eq!((failures_left.load(Ordering::Relaxed), world.sent().len()), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_works_again_holds_a_shutdown_up_for_the_grace_and_what_it_did_not_keep_is_counted()
 {
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

/// A memory store of which others see to it that a poll is found in it each time somebody looks, once an hour at most.
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
async fn what_others_submit_is_asked_for_until_nothing_is_left_and_then_no_sooner_than_the_store_says() {
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
    asked_how_often: AtomicU32,
    looked: Arc<AtomicU32>,
}

fn is_first(calls: &AtomicU32) -> bool {
    calls.fetch_add(1, Ordering::Relaxed) == 0
}

impl Store for Panicking {
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        assert!(!is_first(&self.created), "a defect of the store");
        self.inner.create(poll)
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        Box::pin(async move {
            assert!(!is_first(&self.finished), "a defect of the store");
            self.inner.finish(key, outcome).await
        })
    }

    fn creates_in_turn(&self) -> bool {
        panic!("a defect of the store");
    }

    fn changes_every(&self) -> Option<Duration> {
        assert!(!is_first(&self.asked_how_often), "a defect of the store");
        Some(Duration::from_secs(1))
    }

    fn changes(&self) -> BoxFuture<'_, Result<Changes, StoreError>> {
        assert!(!is_first(&self.looked), "a defect of the store");
        Box::pin(std::future::ready(Ok(Changes::default())))
    }

    rest_to_inner!();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_has_failed_and_is_asked_again() {
    let world = World::sequence([pending, success]);
    let store = Panicking::default();
    let looked = Arc::clone(&store.looked);
    let poller = world.poller().store(store).build().await.unwrap();
    let error = poller.submit("job", long()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.to_string().contains("the store panicked"), "{error}");
    let poll = poller.submit("job", long()).await.unwrap();
    assert_eq!(poll.accepted(), Accepted::Created);
    let outcome = poll.outcome().await.unwrap();
    assert_eq!((outcome.name(), world.times()), ("matched", vec![0, 10_000]));
    assert!(millis(world.now()) > 10_000, "the outcome was stored the second time: {:?}", world.now());
    assert!(looked.load(Ordering::Relaxed) > 1, "what others did is asked for again");
    let report = poller.shutdown().await;
    assert_eq!(report.left_open, 0);
}

/// A memory store that others read, and that notes what is written to it.
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

    fn keeps_attempts(&self) -> bool {
        true
    }

    fn note_attempts(&self, _: Vec<(PollKey, Vec<Attempt>)>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.note("attempts");
        Box::pin(std::future::ready(Ok(())))
    }

    rest_to_inner!();
}

/// What is written of a poll that matches at its fourth attempt.
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
async fn attempts_are_written_in_batches_no_more_often_than_asked_for() {
    // Attempts are 10 s apart.
    let every = |seconds| written_of_four_attempts(Some(Duration::from_secs(seconds)));
    assert_eq!(every(25).await, ["create", "attempts", "finish"]);
    assert_eq!(every(3).await, ["create", "attempts", "attempts", "attempts", "finish"]);
}

/// A memory store that says nothing of what it creates.
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
async fn a_store_that_answers_for_fewer_polls_than_it_was_given_has_not_kept_the_others() {
    let poller = World::sequence([pending]).poller().store(Silent { inner: MemoryStore::new() });
    let poller = poller.build().await.unwrap();
    let error = poller.submit("job", long()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.to_string().contains("does not say whether it has kept the poll"), "{error}");
}
