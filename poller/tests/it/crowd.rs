//! Many polls at once: backpressure on submissions, and coalesced requests.

use std::sync::Arc;
use std::time::Duration;

use poller::store::{Creation, Store, StoreError, StoredPoll};
use poller::{BoxFuture, Limits, Outcome};
use poller::{MemoryStore, PollKey};
use serde_json::json;
use tokio::sync::{Semaphore, watch};

use crate::around::rest_to_inner;
use crate::world::{Reply, World, pending, spec, success};

/// A memory store whose creations wait for permits.
#[derive(Clone)]
struct Gated {
    inner: MemoryStore,
    gate: Arc<Semaphore>,
    asked: Arc<watch::Sender<usize>>,
}

impl Gated {
    fn new() -> Self {
        Self { inner: MemoryStore::new(), gate: Arc::new(Semaphore::new(0)), asked: Arc::default() }
    }
}

impl Store for Gated {
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        self.inner.create(poll)
    }

    fn create_all(&self, polls: Vec<StoredPoll>) -> BoxFuture<'_, Vec<Result<Creation, StoreError>>> {
        Box::pin(async move {
            self.asked.send_modify(|asked| *asked += polls.len());
            let number = u32::try_from(polls.len()).expect("a few");
            self.gate.acquire_many(number).await.expect("the gate is never closed").forget();
            self.inner.create_all(polls).await
        })
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        self.inner.finish(key, outcome)
    }

    rest_to_inner!();
}

#[tokio::test(start_paused = true)]
async fn submissions_wait_for_the_store() {
    let world = World::sequence([success]);
    let store = Gated::new();
    let mut limits = Limits::unbounded();
    limits.submitting = 2;
    let poller = world.poller().store(store.clone()).limits(limits).build().await.unwrap();
    let submitters: Vec<_> = (0..5)
        .map(|number| {
            let poller = poller.clone();
            let spec = spec(json!({"interval": 10, "timeout": 100}));
            tokio::spawn(async move { poller.submit(format!("job-{number}"), spec).await })
        })
        .collect();
    // The virtual clock advances only when no task can run.
    world.sleep_until(Duration::from_secs(1)).await;
    assert_eq!(*store.asked.borrow(), 2, "two submissions are under way");
    submitters[0].abort();
    world.sleep_until(Duration::from_secs(2)).await;
    assert_eq!(*store.asked.borrow(), 2, "an aborted submission keeps its permit until the store answers");
    store.gate.add_permits(5);
    for submitter in submitters.into_iter().skip(1) {
        assert_eq!(submitter.await.unwrap().unwrap().outcome().await.unwrap().name(), "matched");
    }
    assert_eq!(*store.asked.borrow(), 5);
}

/// Answers every request after a second, with export 1 as done.
fn exports() -> World {
    World::new(|_, _| Reply::json(200, r#"{"done":1}"#).after(Duration::from_secs(1)))
}

fn waits_for(export: u32) -> serde_json::Value {
    json!({"interval": 10, "timeout": 15, "responseFilter": {"body": {"done": export}}, "failureFilter": {"status": [500]}})
}

#[tokio::test(start_paused = true)]
async fn polls_of_one_scope_share_a_request_and_judge_it_by_their_own_filters() {
    let world = exports();
    let poller = world.poller().coalesce(true).build().await.unwrap();
    let one = poller.submit("one", spec(waits_for(1))).await.unwrap();
    let two = poller.submit("two", spec(waits_for(2))).await.unwrap();
    let other = poller.scope("other").submit("one", spec(waits_for(1))).await.unwrap();
    let outcomes =
        (one.outcome().await.unwrap(), other.outcome().await.unwrap(), two.outcome().await.unwrap());
    assert_eq!(
        (outcomes.0.name(), outcomes.1.name(), outcomes.2.name()),
        ("matched", "matched", "timed out")
    );
    assert_eq!(world.times(), [0, 0, 10_000], "one request for each scope, and one more for the second poll");
    assert_eq!(outcomes.2.attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn requests_are_not_shared_by_default_nor_if_they_differ() {
    let world = exports();
    let poller = world.poller().build().await.unwrap();
    for key in ["one", "two"] {
        poller.submit(key, spec(waits_for(1))).await.unwrap();
    }
    world.arrived(2).await;

    let world = exports();
    let poller = world.poller().coalesce(true).build().await.unwrap();
    let init = |value: &str| json!({"headers": {"x-tenant": value}});
    for (key, member, value) in [
        ("one", "requestInit", init("a")),
        ("two", "requestInit", init("b")),
        ("three", "requestInit", json!({"method": "POST", "body": "x"})),
        ("four", "requestInit", json!({"method": "POST", "body": "x"})),
        ("five", "url", json!("https://api.example.com/other")),
    ] {
        let mut members = waits_for(1);
        members[member] = value;
        poller.submit(key, spec(members)).await.unwrap();
    }
    world.arrived(5).await;
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_one_poll_does_not_abort_a_shared_request() {
    let world = World::new(|_, _| success().after(Duration::from_secs(5)));
    let poller = world.poller().coalesce(true).build().await.unwrap();
    let hasty = json!({"interval": 60, "timeout": 100, "requestTimeout": {"durationInMs": 1000}});
    let patient = json!({"interval": 60, "timeout": 100});
    let hasty = poller.submit("hasty", spec(hasty)).await.unwrap();
    let patient = poller.submit("patient", spec(patient)).await.unwrap();
    assert_eq!(patient.outcome().await.unwrap().name(), "matched");
    assert_eq!(world.times(), [0]);
    hasty.cancel().await.unwrap();
    let outcome = hasty.outcome().await.unwrap();
    assert_eq!(outcome.counts.to_string(), "1 × timeout");
}

#[tokio::test(start_paused = true)]
async fn a_past_response_is_not_shared() {
    let world = World::sequence([pending]);
    let poller = world.poller().coalesce(true).build().await.unwrap();
    poller.submit("one", spec(json!({"interval": 10, "timeout": 100}))).await.unwrap();
    world.arrived(1).await;
    world.sleep_until(Duration::from_secs(1)).await;
    poller.submit("two", spec(json!({"interval": 10, "timeout": 100}))).await.unwrap();
    world.arrived(2).await;
    assert_eq!(world.times(), [0, 1000]);
}
