//! The events of one poll, with exact times; and bounded memory for slow watchers.

use std::time::Duration;

use http::HeaderMap;
use poller::fetch::Response;
use poller::{Event, HoldSource, PollHandle};
use serde_json::json;

use crate::world::{Reply, World, millis, pending, spec, success};

/// The events of a poll as text, with times in milliseconds since the start.
async fn transcript(world: &World, poll: &PollHandle) -> Vec<String> {
    let began = world.timestamp();
    let at = |time: poller::Timestamp| millis(time.since(began));
    let mut events = poll.events();
    let mut lines = Vec::new();
    while let Some(event) = events.next().await {
        lines.push(match event {
            Event::Requesting { attempt, at: begun } => format!("request {attempt} at {}", at(begun)),
            Event::Attempted(attempt) => format!("#{} {}", attempt.number, attempt.result),
            Event::RetryScheduled { at: due, r#try, limit } => format!("try {try} of {limit} at {}", at(due)),
            Event::HeldBack { until, by: HoldSource::Own } => format!("own hint until {}", at(until)),
            Event::HeldBack { until, by: HoldSource::Neighbour(key) } => {
                format!("hint to {key} until {}", at(until))
            }
            Event::Outcome(outcome) => outcome.name().to_owned(),
            other => format!("{other:?}"),
        });
    }
    lines
}

#[tokio::test(start_paused = true)]
async fn a_retry_and_a_hint_are_events_of_their_own() {
    let world = World::sequence([
        || Reply::json(500, "{}"),
        || Reply::json(202, "{}").header("retry-after", "15"),
        success,
    ]);
    let poller = world.poller().build().await.unwrap();
    let spec = spec(json!({"interval": 10, "timeout": 100, "retry": {"500": {
        "strategy": "backoff", "limit": 3, "minTimeoutInMs": 2000, "randomize": false
    }}}));
    let poll = poller.submit("job", spec).await.unwrap();
    let live = transcript(&world, &poll).await;
    assert_eq!(
        live,
        [
            "#1 500",
            "try 2 of 3 at 2000",
            "request 2 at 2000",
            "#2 202",
            "own hint until 20000",
            "request 3 at 20000",
            "#3 200",
            "matched"
        ]
    );
    let replayed: Vec<_> = live.into_iter().filter(|line| !line.starts_with("request")).collect();
    let mut events = poll.events();
    let mut again = 0;
    while events.next().await.is_some() {
        again += 1;
    }
    assert_eq!(again, replayed.len(), "a late watcher gets the same events, except for `Requesting`");
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_reported_with_its_origin_to_every_poll_that_it_delays() {
    // `first` gets 429 at 0 s; the others are waiting, in flight, and not submitted yet.
    let world = World::new(|number, request| match (request.url.path(), number) {
        ("/first", 0..=3) => Reply::json(429, "{}").header("retry-after", "25").after(Duration::from_secs(1)),
        ("/slow", 0..=3) => pending().after(Duration::from_secs(3)),
        ("/elsewhere", _) => success(),
        (_, 0..=3) => pending(),
        _ => success(),
    });
    let poller = world.poller().build().await.unwrap();
    let at = |path: &str, interval: u32| {
        let url = format!("https://api.example.com{path}");
        spec(json!({"url": url, "interval": interval, "timeout": 100}))
    };
    let waiting = poller.submit("waiting", at("/waiting", 5)).await.unwrap();
    let slow = poller.submit("slow", at("/slow", 5)).await.unwrap();
    let rare = poller.submit("rare", at("/rare", 40)).await.unwrap();
    let first = poller.scope("other").submit("first", at("/first", 5)).await.unwrap();
    world.arrived(4).await;
    let late = async {
        world.sleep_until(Duration::from_secs(2)).await;
        let poll = poller.submit("late", at("/late", 5)).await.unwrap();
        (poll.deadline(), transcript(&world, &poll).await)
    };
    let (waiting, slow, rare, first, (_, late)) = tokio::join!(
        transcript(&world, &waiting),
        transcript(&world, &slow),
        transcript(&world, &rare),
        transcript(&world, &first),
        late
    );
    // The hold lasts until 1 s + 25 s = 26 s.
    let told = "hint to other/first until 26000";
    assert_eq!(
        waiting,
        ["#1 200", told, "request 2 at 26000", "#2 200", "matched"],
        "a waiting poll receives the event when the hint arrives"
    );
    assert_eq!(
        slow,
        ["request 1 at 0", "#1 200", told, "request 2 at 26000", "#2 200", "matched"],
        "a poll in flight receives it after its response"
    );
    assert_eq!(
        rare,
        ["#1 200", "request 2 at 40000", "#2 200", "matched"],
        "the hold ends before its next tick"
    );
    assert_eq!(first[1..3], ["#1 429", "own hint until 30000"], "a hint to the poll itself is reported once");
    assert_eq!(late[0], "hint to other/first until 24000", "times are relative to its own submission");
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_loses_the_oldest_events_and_gets_the_outcome() {
    let world = World::new(|number, _| if number < 500 { pending() } else { success() });
    let poller = world.poller().build().await.unwrap();
    let poll = poller.submit("job", spec(json!({"interval": 1, "timeout": 3600}))).await.unwrap();
    let mut events = poll.events();
    assert_eq!(poll.outcome().await.unwrap().attempts, 501, "the poll does not wait for the watcher");
    let Some(Event::Lagged { missed }) = events.next().await else { panic!("expected Lagged") };
    let mut rest = Vec::new();
    while let Some(event) = events.next().await {
        rest.push(event);
    }
    assert!(rest.len() <= 128, "{}", rest.len());
    assert_eq!(
        missed + rest.len() as u64,
        2 * 501,
        "each event but the first, which came before the watcher, is either there or counted"
    );
    assert!(matches!(rest.last(), Some(Event::Outcome(outcome)) if outcome.name() == "matched"));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_stream_without_an_outcome() {
    let world =
        World::new(|_, _| Reply::After(Duration::ZERO, Ok(Response::new(200, HeaderMap::new(), "{}"))));
    let poller = world.poller().build().await.unwrap();
    let poll = poller.submit("job", spec(json!({"interval": 10, "timeout": 100}))).await.unwrap();
    let (mut watched, dropped) = (poll.events(), poll.events());
    drop(dropped);
    world.arrived(3).await;
    poller.shutdown().await;
    let mut last = None;
    while let Some(event) = watched.next().await {
        last = Some(event);
    }
    assert!(matches!(last, Some(Event::Attempted(_))), "{last:?}");
}
