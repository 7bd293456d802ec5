//! Polls whose first requests are spread over their interval: when they are asked, and that a restart keeps their grids.

use std::collections::HashMap;
use std::time::Duration;

use poller::store::{Creation, Store as _, StoredPoll};
use poller::{Limits, MemoryStore, PollKey, SqliteStore, Timestamp};
use serde_json::json;

use crate::world::{World, pending, spec};

const POLLS: usize = 500;

fn spread() -> Limits {
    let mut limits = Limits::unbounded();
    limits.spread = true;
    (limits.in_flight, limits.per_origin) = (POLLS, POLLS);
    limits
}

fn poll_spec(number: usize) -> poller::PollSpec {
    spec(json!({"interval": 10, "timeout": 100, "url": format!("https://api.example.com/{number}")}))
}

/// The times of the requests of each poll, in milliseconds.
fn times(world: &World) -> HashMap<String, Vec<u64>> {
    let mut times: HashMap<String, Vec<u64>> = HashMap::new();
    for sent in world.sent() {
        times.entry(sent.path).or_default().push(crate::world::millis(sent.at));
    }
    times
}

#[tokio::test(start_paused = true)]
async fn requests_are_even_over_the_interval_and_stay_so_after_a_restart() {
    let world = World::new(|_, _| pending());
    let store = MemoryStore::new();
    let poller = world.poller().limits(spread()).store(store.clone()).build().await.unwrap();
    for number in 0..POLLS {
        poller.submit(format!("p{number}"), poll_spec(number)).await.unwrap();
    }
    world.sleep_until(Duration::from_secs(35)).await;
    let before = times(&world);
    assert_eq!(before.len(), POLLS);
    let mut seconds = [0; 10];
    for times in before.values() {
        seconds[usize::try_from(times[0] / 1000).unwrap()] += 1;
        assert!(times.windows(2).all(|pair| (pair[1] - pair[0]).abs_diff(10_000) <= 1), "{times:?}");
    }
    // A tenth each; at once without spreading.
    assert!(seconds.iter().all(|count| (25..80).contains(count)), "{seconds:?}");

    poller.shutdown().await;
    drop(poller);
    world.sleep_until(Duration::from_millis(42_345)).await;
    let poller = world.poller().store(store).build().await.unwrap();
    world.sleep_until(Duration::from_secs(63)).await;
    for (path, times) in times(&world) {
        let first = before[&path][0];
        let off = times.iter().map(|at| (at - first) % 10_000).max().unwrap();
        assert!(off <= 2 || off >= 9_998, "{path} is off its grid by {off} ms: {times:?}");
    }
    poller.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_before_the_first_request_does_not_make_it_earlier() {
    let world = World::new(|_, _| pending());
    let store = MemoryStore::new();
    let poller = world.poller().limits(spread()).store(store.clone()).build().await.unwrap();
    for number in 0..POLLS {
        poller.submit(format!("p{number}"), poll_spec(number)).await.unwrap();
    }
    world.sleep_until(Duration::from_secs(3)).await;
    let asked = times(&world).len();
    assert!(asked < POLLS / 2, "{asked}");
    poller.shutdown().await;
    drop(poller);
    let poller = world.poller().limits(spread()).store(store.clone()).build().await.unwrap();
    world.sleep_until(Duration::from_secs(20)).await;
    for poll in store.list().await.unwrap() {
        let due = poll.created_at + poll.first_after;
        let number = poll.key.key().trim_start_matches('p');
        let times = &times(&world)[&format!("/{number}")];
        let due = crate::world::millis(due.since(world.timestamp().before(world.now())));
        // Those of the first three seconds may be asked again, as their request may not have been sent.
        assert!(times[0].abs_diff(due) <= 2, "{number}: due at {due}, asked at {times:?}");
    }
    poller.shutdown().await;
}

#[tokio::test]
async fn a_file_keeps_the_offset() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("polls.db")).unwrap();
    let poll = |number: usize| {
        StoredPoll::new(PollKey::new("", number.to_string()), poll_spec(number), Timestamp::default())
    };
    // Alone, and many in one statement.
    let one = poll(100).spread();
    assert!(matches!(store.create(one.clone()).await.unwrap(), Creation::Created));
    let many: Vec<_> = (0..40).map(|number| poll(number).spread()).collect();
    store.create_all(many.clone()).await.into_iter().for_each(|created| drop(created.unwrap()));
    assert!(matches!(store.create(poll(101)).await.unwrap(), Creation::Created));
    for poll in many.into_iter().chain([one, poll(101)]) {
        let stored = store.get(poll.key.clone()).await.unwrap().unwrap();
        assert_eq!(stored.first_after, poll.first_after, "{}", poll.key);
    }
    store.begin_run().await.unwrap();
    let open = store.load_open().await.unwrap().polls;
    assert_eq!(open.iter().filter(|poll| poll.first_after > Duration::ZERO).count(), 41);
}
