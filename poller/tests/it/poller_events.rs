//! `Poller::events()`: the events of all polls.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use poller::PollKey;
use poller::store::{Store as _, StoredPoll};
use poller::{Event, MemoryStore, PollerEvent, PollerEvents, SqliteStore, StoreOperation};
use serde_json::json;

use crate::lifecycle::long;
use crate::store_calls::Flaky;
use crate::world::{World, pending, spec, success};

/// An event in a few words.
fn words(event: &PollerEvent) -> String {
    match event {
        PollerEvent::Started { open } => format!("started with {open}"),
        PollerEvent::Opened { key, restarts, .. } => format!("{key} opened, {restarts} restarts"),
        PollerEvent::Poll { key, event } => match event {
            Event::Requesting { attempt, .. } => format!("{key} request {attempt}"),
            Event::Attempted(attempt) => format!("{key} attempt {}: {}", attempt.number, attempt.result),
            Event::Outcome(outcome) => format!("{key} {}", outcome.name()),
            other => format!("{key} {other:?}"),
        },
        PollerEvent::OriginHeldBack { by, .. } => format!("held back by {by}"),
        PollerEvent::StoreFailed { operation, error } => format!("store: {}: {error}", operation.as_str()),
        PollerEvent::StoreRecovered { operation } => format!("store: {} works", operation.as_str()),
        other => format!("{other:?}"),
    }
}

/// The next events, until one that contains `last`.
async fn until(events: &mut PollerEvents, last: &str) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        seen.push(words(&event));
        if seen.last().is_some_and(|words| words.contains(last)) {
            return seen;
        }
    }
    panic!("the stream ended without {last:?}: {seen:?}")
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_receives_all_events_in_order() {
    let world = World::sequence([pending, success]);
    let (poller, mut events) = world.poller().build_with_events().await.unwrap();
    poller.scope("run").submit("job", spec(json!({"interval": 10, "timeout": 60}))).await.unwrap();
    assert_eq!(
        until(&mut events, "matched").await,
        [
            "started with 0",
            "run/job opened, 0 restarts",
            "run/job request 1",
            "run/job attempt 1: 200",
            "run/job request 2",
            "run/job attempt 2: 200",
            "run/job matched",
        ]
    );
    poller.shutdown().await;
    assert!(events.next().await.is_none(), "the stream ends with the poller");
}

#[tokio::test(start_paused = true)]
async fn polls_of_the_store_are_opened_too() {
    let world = World::sequence([success]);
    let store = MemoryStore::new();
    store.create(StoredPoll::new(PollKey::new("", "old"), long(), world.timestamp())).await.unwrap();
    let (_poller, mut events) = world.poller().store(store).build_with_events().await.unwrap();
    events.set_details(false);
    assert_eq!(
        until(&mut events, "matched").await,
        ["started with 1", "old opened, 0 restarts", "old matched"]
    );
}

#[tokio::test]
async fn polls_of_other_processes_are_opened_when_they_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("polls.db");
    let world = World::sequence([success]);
    let store = SqliteStore::open(&file).unwrap();
    let (poller, mut events) = world.poller().store(store).build_with_events().await.unwrap();
    events.set_details(false);
    let other = SqliteStore::open(&file).unwrap();
    other.create(StoredPoll::new(PollKey::new("", "theirs"), long(), world.timestamp())).await.unwrap();
    assert_eq!(
        until(&mut events, "matched").await,
        ["started with 0", "theirs opened, 0 restarts", "theirs matched"]
    );
    poller.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_late_subscriber_receives_the_open_polls_first() {
    let world = World::sequence([pending]);
    let poller = world.poller().build().await.unwrap();
    let poll = poller.submit("job", long()).await.unwrap();
    world.arrived(1).await;
    let mut events = poller.events();
    poll.cancel().await.unwrap();
    assert_eq!(
        until(&mut events, "cancelled").await,
        ["started with 1", "job opened, 0 restarts", "job cancelled"]
    );
}

#[tokio::test(start_paused = true)]
async fn store_trouble_and_its_end_are_reported_before_the_outcome() {
    let world = World::sequence([success]);
    let failures_left = Arc::new(AtomicU32::new(2));
    let (poller, mut events) =
        world.poller().store(Flaky::new(&failures_left)).build_with_events().await.unwrap();
    events.set_details(false);
    poller.submit("job", long()).await.unwrap();
    assert_eq!(
        until(&mut events, "matched").await,
        [
            "started with 0",
            "job opened, 0 restarts",
            "store: finish: the disk is full",
            "store: finish: the disk is full",
            "store: finish works",
            "job matched",
        ]
    );
    assert_eq!(StoreOperation::Finish.as_str(), "finish");
}

#[tokio::test(start_paused = true)]
async fn a_hold_of_an_origin_is_reported_once() {
    let world = World::new(|number, _| match number {
        0 => crate::world::Reply::json(429, "{}").header("retry-after", "20"),
        _ => success(),
    });
    let (poller, mut events) = world.poller().build_with_events().await.unwrap();
    poller.submit("job", spec(json!({"interval": 10, "timeout": 600}))).await.unwrap();
    let seen = until(&mut events, "matched").await;
    assert_eq!(seen.iter().filter(|words| words.as_str() == "held back by job").count(), 1, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_receives_the_hold_of_each_poll_that_it_keeps_waiting() {
    let world = World::new(|number, _| match number {
        2 => crate::world::Reply::json(429, "{}").header("retry-after", "40"),
        0 | 1 => pending(),
        _ => success(),
    });
    let (poller, mut events) = world.poller().build_with_events().await.unwrap();
    for (key, interval) in [("frequent", 10), ("rare", 30)] {
        poller.submit(key, spec(json!({"interval": interval, "timeout": 600}))).await.unwrap();
    }
    let seen = until(&mut events, "rare HeldBack").await;
    assert!(seen.last().is_some_and(|words| words.contains("frequent")), "{seen:?}");
}
