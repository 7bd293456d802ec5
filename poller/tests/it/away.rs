//! Polls that no process ran for a while: the last look after a deadline that passed meanwhile, and clocks that were ahead.

use std::sync::Arc;
use std::time::Duration;

use poller::fetch::{FetchError, FetchErrorKind};
use poller::store::{Store, StoredPoll};
use poller::{MemoryStore, Outcome, OutcomeKind, PollKey, SqliteStore, TimeoutReason};
use serde_json::json;

use crate::lifecycle::long;
use crate::world::{Reply, World, millis, pending, run, spec, success};

/// How a poll ends whose deadline passed while no process ran it, by the reply to its last look.
async fn last_look(reply: fn() -> Reply, pass: impl AsyncFn(World) -> Arc<Outcome>) -> (Arc<Outcome>, u64) {
    let world = World::new(move |number, _| if number == 0 { pending() } else { reply() });
    let outcome = pass(world.clone()).await;
    assert_eq!(outcome.attempts, u32::try_from(world.times().len()).unwrap() - outcome.restarts);
    (outcome, *world.times().last().unwrap())
}

/// The poll runs for one request, and no process runs it until long after its deadline.
async fn restarted(world: World) -> Arc<Outcome> {
    let store = MemoryStore::new();
    let before = world.poller().store(store.clone()).build().await.unwrap();
    before.submit("job", long()).await.unwrap();
    world.arrived(1).await;
    before.shutdown().await;
    world.sleep_until(Duration::from_secs(500)).await;
    let after = world.poller().store(store).build().await.unwrap();
    after.submit("job", long()).await.unwrap().outcome().await.unwrap()
}

/// The process is stopped while the poll waits.
async fn stopped(world: World) -> Arc<Outcome> {
    let poller = world.poller().build().await.unwrap();
    let poll = poller.submit("job", long()).await.unwrap();
    world.sleep_until(Duration::from_secs(5)).await;
    tokio::time::advance(Duration::from_secs(495)).await;
    poll.outcome().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passed_while_nobody_ran_the_poll_leaves_one_last_look() {
    type Case = (fn() -> Reply, &'static str, &'static str);
    let cases: [Case; 6] = [
        (success, "matched", ""),
        (|| Reply::json(200, r#"{"status":"FAILED"}"#), "failed", ""),
        (pending, "timed out", "PENDING"),
        (|| Reply::json(429, "").header("retry-after", "1000"), "timed out", "429"),
        (refused, "timed out", "connection refused"),
        (|| Reply::Never, "timed out", "no whole response within 30s"),
    ];
    for (reply, name, why) in cases {
        for (outcome, at) in [last_look(reply, restarted).await, last_look(reply, stopped).await] {
            assert_eq!(outcome.name(), name, "{outcome:?}");
            assert!((500_000..501_000).contains(&at), "{at}: {outcome:?}");
            if let OutcomeKind::TimedOut { reason, explanation, .. } = &outcome.kind {
                assert_eq!(*reason, TimeoutReason::WhileAway);
                let start = "the deadline passed while no process ran the poll; one more request was made, and did not";
                assert!(explanation.starts_with(start) && explanation.contains(why), "{explanation}");
            }
        }
    }
}

fn refused() -> Reply {
    Reply::error(FetchError::new(FetchErrorKind::Connect, "connection refused by nobody"))
}

#[tokio::test(start_paused = true)]
async fn a_request_in_flight_while_the_process_was_stopped_past_the_deadline_is_made_once_more() {
    let world = World::new(|number, _| match number {
        0 => Reply::Never,
        _ => success(),
    });
    let poller = world.poller().build().await.unwrap();
    let members = json!({"interval": 10, "timeout": 100, "requestTimeout": {"durationInMs": 3_600_000}});
    let poll = poller.submit("job", spec(members)).await.unwrap();
    world.arrived(1).await;
    tokio::time::advance(Duration::from_secs(300)).await;
    let outcome = poll.outcome().await.unwrap();
    assert_eq!((outcome.name(), outcome.attempts, world.times()), ("matched", 2, vec![0, 300_000]));
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_ends_while_a_process_runs_it_gets_no_last_look() {
    let world = World::sequence([pending]);
    let outcome = run(&world, long()).await;
    let OutcomeKind::TimedOut { reason, .. } = outcome.kind else { panic!("{outcome:?}") };
    assert_eq!((reason, outcome.attempts), (TimeoutReason::Deadline, 10));
}

#[tokio::test(start_paused = true)]
async fn the_last_look_of_a_cancelled_poll_is_not_made() {
    let store = MemoryStore::new();
    let world = World::sequence([pending]);
    let before = world.poller().store(store.clone()).build().await.unwrap();
    before.submit("job", long()).await.unwrap();
    world.arrived(1).await;
    before.shutdown().await;
    world.sleep_until(Duration::from_secs(500)).await;
    let slow = World::new(|_, _| Reply::Never);
    let after = slow.poller().store(store).build().await.unwrap();
    let poll = after.submit("job", long()).await.unwrap();
    slow.arrived(1).await;
    assert_eq!(poll.cancel().await.unwrap().name(), "cancelled");
}

#[tokio::test(start_paused = true)]
async fn a_start_in_the_future_counts_as_now() {
    let store = MemoryStore::new();
    let world = World::sequence([pending, pending, success]);
    let ahead = world.timestamp() + Duration::from_secs(3600);
    store.create(StoredPoll::new(PollKey::new("", "job"), long(), ahead)).await.unwrap();
    let poller = world.poller().store(store).build().await.unwrap();
    let outcome = poller.submit("job", long()).await.unwrap().outcome().await.unwrap();
    assert_eq!((outcome.name(), world.times()), ("matched", vec![0, 10_000, 20_000]));
    assert_eq!(millis(outcome.elapsed()), 20_000);
}

#[tokio::test]
async fn every_store_brings_back_polls_whose_deadline_passed_or_whose_start_is_yet_to_come() {
    bring_back("memory", MemoryStore::new()).await;
    let folder = tempfile::tempdir().unwrap();
    bring_back("sqlite", SqliteStore::open(folder.path().join("polls.db")).unwrap()).await;
}

async fn bring_back(name: &str, store: impl Store) {
    let world = World::sequence([success]);
    let now = world.timestamp();
    let away = Duration::from_secs(200);
    for (key, at) in [("late", now.before(away)), ("early", now + away)] {
        store.create(StoredPoll::new(PollKey::new("", key), long(), at)).await.unwrap();
    }
    let poller = world.poller().store(store).build().await.unwrap();
    for key in ["late", "early"] {
        let outcome = poller.submit(key, long()).await.unwrap().outcome().await.unwrap();
        assert_eq!((outcome.name(), outcome.attempts), ("matched", 1), "{name}: {key}");
    }
    assert_eq!(world.sent().len(), 2, "{name}");
}
