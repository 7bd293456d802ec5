//! The life of a poll apart from its requests: keys, joining, cancelling, restarts, shutdown.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use poller::secret::AllowAll;
use poller::{Accepted, ErrorKind, Event, JudgementKind, Limits, MemoryStore};
use serde_json::json;

use crate::world::{Reply, World, millis, pending, run, spec, success};

pub(crate) fn long() -> poller::PollSpec {
    spec(json!({"interval": 10, "timeout": 100}))
}

#[derive(Debug, serde::Deserialize, PartialEq)]
struct Job {
    status: String,
}

#[tokio::test(start_paused = true)]
async fn background_poll_returns_a_typed_body() {
    let world = World::sequence([pending, success]);
    let poller = world.poller().build().await.unwrap();
    let done = poller.background_poll::<Job>("job", long()).await.unwrap();
    assert_eq!((done.value, done.attempts), (Job { status: "SUCCESS".into() }, 2));
    let error = poller.background_poll::<u32>("job", long()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert_eq!(error.outcome().unwrap().name(), "matched");
}

#[tokio::test(start_paused = true)]
async fn background_poll_returns_other_outcomes_as_errors() {
    let world = World::sequence([|| Reply::json(200, r#"{"status":"FAILED"}"#)]);
    let poller = world.poller().build().await.unwrap();
    let error = poller.background_poll::<Job>("job", long()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotMatched);
    assert!(error.to_string().starts_with("the poll job ended as failed after 1 attempts"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_client_is_a_failed_attempt() {
    let world = World::sequence([|| panic!("a defect of the client"), pending, success]);
    let poller = world.poller().build().await.unwrap();
    let outcome = poller.submit("job", long()).await.unwrap().outcome().await.unwrap();
    assert_eq!((outcome.name(), world.times()), ("matched", vec![0, 10_000, 20_000]));
    assert_eq!(outcome.counts.to_string(), "2 × 200, 1 × panicked");
}

#[tokio::test(start_paused = true)]
async fn the_same_key_and_spec_is_the_same_poll() {
    let world = World::sequence([pending, success]);
    let poller = world.poller().build().await.unwrap();
    let first = poller.submit("job", long()).await.unwrap();
    let second = poller.submit("job", long()).await.unwrap();
    assert_eq!((first.accepted(), second.accepted()), (Accepted::Created, Accepted::Joined));
    assert_eq!(first.outcome().await.unwrap(), second.outcome().await.unwrap());
    let third = poller.submit("job", long()).await.unwrap();
    assert_eq!(third.accepted(), Accepted::AlreadyFinished);
    assert_eq!(third.outcome().await.unwrap().name(), "matched");
    assert_eq!(world.sent().len(), 2, "a stored result needs no request");
    assert!(poller.forget("job").await.unwrap());
    assert_eq!(poller.submit("job", long()).await.unwrap().accepted(), Accepted::Created);
}

#[tokio::test(start_paused = true)]
async fn another_spec_under_the_same_key_is_a_conflict_that_names_the_fields() {
    let world = World::sequence([pending]);
    let poller = world.poller().build().await.unwrap();
    let secret = |text: &str| json!({"interval": 10, "timeout": 100, "requestInit": {"headers": {"authorization": text}}});
    poller.submit("job", spec(secret("Bearer one"))).await.unwrap();
    let error = poller.submit("job", spec(secret("Bearer two"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.conflicting_fields(), ["/requestInit/headers/authorization"]);
    assert!(!error.to_string().contains("two"), "{error}");
    let error = poller.submit("job", spec(json!({"interval": 20, "timeout": 100}))).await.unwrap_err();
    assert_eq!(error.conflicting_fields(), ["/interval", "/requestInit/headers"]);
}

#[tokio::test(start_paused = true)]
async fn scopes_keep_keys_apart() {
    let world = World::sequence([pending]);
    let poller = world.poller().build().await.unwrap();
    poller.submit("job", long()).await.unwrap();
    let scope = poller.scope("run-17");
    let other = scope.submit("job", spec(json!({"interval": 20, "timeout": 100}))).await.unwrap();
    assert_eq!(other.accepted(), Accepted::Created);
    assert_eq!(scope.cancel("job").await.unwrap().name(), "cancelled");
    assert!(poller.get("job").await.unwrap().unwrap().outcome.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_spec_must_keep_the_limits_of_the_poller_that_runs_it() {
    let poller = World::sequence([pending]).poller().limits(Limits::default()).build().await.unwrap();
    let retry = json!({"503": {"strategy": "backoff", "limit": 1000, "minTimeoutInMs": 10}});
    let error = poller
        .submit("job", spec(json!({"interval": 1, "timeout": 7200, "retry": retry})))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Spec);
    let message = error.to_string();
    for expected in [
        "/interval: found 1 s, expected 10 s to 300 s",
        "/timeout: found 7200 s, expected 30 s to 3600 s",
        "/retry/503/limit: found 1000, expected a whole number from 1 to 100",
        "/retry/503/minTimeoutInMs: found 10, expected at least 100 ms",
    ] {
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn bad_keys_are_refused() {
    let poller = World::sequence([pending]).poller().build().await.unwrap();
    for key in ["", "a\nb", &"x".repeat(600)] {
        assert_eq!(poller.submit(key, long()).await.unwrap_err().kind(), ErrorKind::Spec);
    }
}

#[tokio::test(start_paused = true)]
async fn cancelling_while_waiting_ends_the_poll_and_its_requests() {
    let world = World::sequence([pending]);
    let poller = world.poller().build().await.unwrap();
    let poll = poller.submit("job", long()).await.unwrap();
    world.sleep_until(Duration::from_secs(15)).await;
    let outcome = poll.cancel().await.unwrap();
    assert_eq!((outcome.name(), millis(outcome.elapsed())), ("cancelled", 15_000));
    world.sleep_until(Duration::from_secs(200)).await;
    assert_eq!(world.times(), [0, 10_000]);
    assert_eq!(poll.cancel().await.unwrap(), outcome, "an outcome never changes");
}

#[tokio::test(start_paused = true)]
async fn cancelling_in_flight_aborts_the_request() {
    let world = World::sequence([|| success().after(Duration::from_secs(5))]);
    let poller = world.poller().build().await.unwrap();
    let poll = poller.submit("job", long()).await.unwrap();
    world.sleep_until(Duration::from_secs(2)).await;
    assert_eq!(poll.cancel().await.unwrap().name(), "cancelled");
    world.sleep_until(Duration::from_secs(200)).await;
    assert_eq!(world.sent().len(), 1);
    assert_eq!(world.sent()[0].ended, None);
}

/// Spawning a task for every request would be more expensive.
#[tokio::test(start_paused = true)]
async fn worker_tasks_are_reused_unless_aborted() {
    let tasks = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&tasks);
    let world = World::new(move |number, _| {
        seen.lock().unwrap().push(tokio::task::id());
        if number == 2 { Reply::Never } else { pending() }
    });
    let poller = world.poller().build().await.unwrap();
    for (key, until) in [("a", 15), ("b", 17), ("c", 29)] {
        let poll = poller.submit(key, long()).await.unwrap();
        world.sleep_until(Duration::from_secs(until)).await;
        poll.cancel().await.unwrap();
    }
    assert_eq!(world.times(), [0, 10_000, 15_000, 17_000, 27_000]);
    let tasks = tasks.lock().unwrap();
    assert_eq!((tasks[1], tasks[2], tasks[4]), (tasks[0], tasks[0], tasks[3]));
    assert_ne!(tasks[3], tasks[2], "the aborted task is not reused");
}

#[tokio::test(start_paused = true)]
async fn dropping_handles_cancels_nothing() {
    let world = World::sequence([pending, success]);
    let poller = world.poller().build().await.unwrap();
    drop(poller.submit("job", long()).await.unwrap());
    world.sleep_until(Duration::from_secs(11)).await;
    let stored = poller.get("job").await.unwrap().unwrap();
    assert_eq!(stored.outcome.unwrap().name(), "matched");
}

#[tokio::test(start_paused = true)]
async fn the_engine_stops_with_its_last_handle_even_if_busy() {
    let world = World::new(|_, _| pending().after(Duration::from_secs(8)));
    let poller = world.poller().build().await.unwrap();
    // From 5 s on, at least one request is in flight at all times.
    let first = poller.submit("first", long()).await.unwrap();
    world.sleep_until(Duration::from_secs(5)).await;
    let second = poller.submit("second", long()).await.unwrap();
    world.sleep_until(Duration::from_secs(12)).await;
    drop((first, poller));
    world.sleep_until(Duration::from_secs(17)).await;
    assert_eq!(world.times(), [0, 5000, 10_000, 15_000], "one handle is enough");
    drop(second);
    world.sleep_until(Duration::from_secs(60)).await;
    assert_eq!(world.sent().len(), 4);
    assert_eq!(world.sent()[3].ended, None, "the request in flight is aborted");
}

#[tokio::test(start_paused = true)]
async fn events_report_every_attempt_and_end_with_the_outcome() {
    let world = World::sequence([pending, || Reply::json(500, ""), success]);
    let poller = world.poller().build().await.unwrap();
    let poll = poller.submit("job", long()).await.unwrap();
    let mut events = poll.events();
    let mut attempts = Vec::new();
    let outcome = loop {
        match events.next().await.expect("the outcome comes last") {
            Event::Attempted(attempt) => attempts.push((attempt.number, attempt.judgement)),
            Event::Outcome(outcome) => break outcome,
            _ => {}
        }
    };
    assert_eq!(
        attempts,
        [(1, JudgementKind::Unmatched), (2, JudgementKind::Unmatched), (3, JudgementKind::Matched)]
    );
    assert!(events.next().await.is_none());
    assert_eq!(outcome.history[1].note.as_deref(), Some("HTTP status is 500, expected 200"));
    // A late watcher gets the same attempts from the store.
    let mut late = poll.events();
    let mut seen = Vec::new();
    while let Some(event) = late.next().await {
        seen.push(matches!(event, Event::Outcome(_)));
    }
    assert_eq!(seen, [false, false, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_start_and_deadline() {
    let store = MemoryStore::new();
    let world = World::sequence([pending]);
    let before = world.poller().store(store.clone()).build().await.unwrap();
    let poll = before.submit("job", long()).await.unwrap();
    world.sleep_until(Duration::from_secs(12)).await;
    let (waiting, report) = tokio::join!(poll.outcome(), before.shutdown());
    assert_eq!(waiting.unwrap_err().kind(), ErrorKind::Shutdown);
    assert_eq!(report.left_open, 1);
    world.sleep_until(Duration::from_secs(55)).await;

    let after = world.poller().store(store.clone()).build().await.unwrap();
    let poll = after.submit("job", long()).await.unwrap();
    assert_eq!(poll.accepted(), Accepted::Joined);
    let outcome = poll.outcome().await.unwrap();
    assert_eq!(world.times(), [0, 10_000, 60_000, 70_000, 80_000, 90_000]);
    assert_eq!((outcome.name(), millis(outcome.elapsed()), outcome.restarts), ("timed out", 100_000, 1));
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_a_young_poll_and_a_poll_without_ticks_left_send_at_once() {
    for (down, up, expected) in [(3, 4, vec![0, 4000, 10_000]), (12, 95, vec![0, 10_000, 95_000])] {
        let store = MemoryStore::new();
        let world = World::new(move |number, _| if number == 2 { success() } else { pending() });
        let before = world.poller().store(store.clone()).build().await.unwrap();
        before.submit("job", long()).await.unwrap();
        world.sleep_until(Duration::from_secs(down)).await;
        before.shutdown().await;
        world.sleep_until(Duration::from_secs(up)).await;
        let after = world.poller().store(store).build().await.unwrap();
        let outcome = after.submit("job", long()).await.unwrap().outcome().await.unwrap();
        assert_eq!(outcome.name(), "matched");
        assert_eq!(world.times(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_requests_in_flight_and_begins_none() {
    let world = World::sequence([|| success().after(Duration::from_secs(4))]);
    let poller = world.poller().build().await.unwrap();
    let poll = poller.submit("job", long()).await.unwrap();
    world.sleep_until(Duration::from_secs(1)).await;
    let waiting = async {
        let error = poll.outcome().await.unwrap_err();
        (error.kind(), millis(world.now()))
    };
    let (waited, report) = tokio::join!(waiting, poller.shutdown());
    assert_eq!(waited, (ErrorKind::Shutdown, 1000), "waiting calls return at once");
    let stored = poller.get("job").await.unwrap().unwrap().outcome.unwrap();
    assert_eq!((stored.name(), report.left_open), ("matched", 0));
    assert_eq!((report.ended, report.abandoned, &report.first[..]), (1, 0, &[][..]));
    assert_eq!(millis(world.now()), 4000);
    assert_eq!(poller.submit("other", long()).await.unwrap_err().kind(), ErrorKind::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn shutdown_aborts_requests_after_the_grace() {
    let world = World::new(|_, request| match request.url.path() {
        "/hangs" => Reply::Never,
        _ => pending().after(Duration::from_secs(2)),
    });
    let poller = world.poller().build().await.unwrap();
    let at = |path: &str, timeout: u64| {
        spec(json!({"url": format!("https://example.com/{path}"), "interval": 30, "timeout": timeout}))
    };
    let hanging = poller.submit("hanging", at("hangs", 300)).await.unwrap();
    world.sleep_until(Duration::from_secs(1)).await;
    let answered = poller.scope("run-17").submit("answered", at("answers", 200)).await.unwrap();
    world.sleep_until(Duration::from_secs(2)).await;
    let report = poller.shutdown().await;
    assert_eq!(millis(world.now()), 12_000);
    assert_eq!((report.left_open, report.unsaved, report.ended, report.abandoned), (2, 0, 1, 1));
    let left: Vec<_> =
        report.first.iter().map(|poll| (poll.key.to_string(), poll.deadline, poll.abandoned)).collect();
    assert_eq!(
        left,
        [
            ("run-17/answered".to_owned(), answered.deadline(), false),
            ("hanging".to_owned(), hanging.deadline(), true)
        ]
    );
    assert_eq!(poller.shutdown().await, report, "a second call returns the same report");
}

#[tokio::test(start_paused = true)]
async fn caps_hold_per_origin_and_in_total() {
    let world = World::new(|_, _| success().after(Duration::from_secs(1)));
    let mut limits = Limits::unbounded();
    (limits.in_flight, limits.per_origin) = (5, 3);
    let poller = world.poller().limits(limits).build().await.unwrap();
    let mut polls = Vec::new();
    for number in 0..24 {
        let origin = if number % 2 == 0 { "a" } else { "b" };
        // Subdomains of one domain would share its part.
        let spec = spec(json!({"url": format!("https://{origin}-example.com/{number}"), "timeout": 100}));
        polls.push(poller.submit(format!("job-{number}"), spec).await.unwrap());
    }
    for poll in &polls {
        assert_eq!(poll.outcome().await.unwrap().name(), "matched");
    }
    assert_eq!(world.most_at_once(), 5);
    assert_eq!(world.sent().len(), 24);
}

#[tokio::test(start_paused = true)]
async fn a_429_holds_back_the_neighbours_but_ends_none_of_them() {
    let world = World::new(|_, request| match request.url.path() {
        "/limited" => Reply::json(429, "").header("retry-after", "25"),
        _ => pending(),
    });
    let poller = world.poller().build().await.unwrap();
    let of = |path: &str, token: &str| {
        spec(json!({"url": format!("https://api.example.com/{path}"), "interval": 10, "timeout": 60,
            "requestInit": {"headers": {"authorization": token}}}))
    };
    poller.submit("limited", of("limited", "a")).await.unwrap();
    world.sleep_until(Duration::from_secs(1)).await;
    poller.submit("neighbour", of("neighbour", "a")).await.unwrap();
    let stranger = poller.submit("stranger", of("stranger", "b")).await.unwrap();
    world.sleep_until(Duration::from_secs(40)).await;
    let of_path = |path: &str| -> Vec<u64> {
        world.sent().iter().filter(|sent| sent.path == path).map(|sent| millis(sent.at)).collect()
    };
    assert_eq!(of_path("/stranger"), [1000, 11_000, 21_000, 31_000]);
    assert_eq!(of_path("/limited"), [0, 30_000]);
    assert_eq!(of_path("/neighbour"), [25_000], "held until 25 s, and again from 30 s on");
    stranger.cancel().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn polls_past_the_limit_are_refused() {
    let mut limits = Limits::unbounded();
    limits.open_polls = 1;
    let poller = World::sequence([pending]).poller().limits(limits).build().await.unwrap();
    poller.submit("one", long()).await.unwrap();
    let error = poller.submit("two", long()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
}

#[tokio::test(start_paused = true)]
async fn secrets_are_resolved_when_a_request_is_sent_and_only_if_allowed() {
    // Secrets are resolved on threads of another runtime, of which the paused clock knows nothing: unless a thread of this one
    // is busy, the time of the request runs out meanwhile.
    let (_busy, released) = std::sync::mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || released.recv());
    let members = || json!({"interval": 10, "timeout": 100, "giveUp": {"after": 1}, "requestInit": {"headers": {"authorization": {"$secret": "env:PATH"}}}});
    let world = World::sequence([success]);
    let poller = world.poller().secrets(AllowAll).build().await.unwrap();
    assert_eq!(
        poller.submit("job", spec(members())).await.unwrap().outcome().await.unwrap().name(),
        "matched"
    );
    let value = &world.sent()[0].headers["authorization"];
    assert_eq!(value.to_str().unwrap(), std::env::var("PATH").unwrap());
    assert!(value.is_sensitive());

    let world = World::sequence([success]);
    let outcome = run(&world, spec(members())).await;
    assert_eq!((outcome.name(), world.sent().len()), ("failed", 0));
    assert!(outcome.explanation().unwrap().contains("env:PATH is not allowed here"), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn polls_that_fall_due_during_a_shutdown_are_ignored() {
    let world =
        World::new(|_, request| if request.url.path() == "/stuck" { Reply::Never } else { pending() });
    let poller = world.poller().build().await.unwrap();
    let stuck = long().with_url("https://api.example.com/stuck").unwrap();
    let (_stuck, _due) =
        (poller.submit("stuck", stuck).await.unwrap(), poller.submit("due", long()).await.unwrap());
    world.arrived(2).await;
    world.sleep_until(Duration::from_secs(5)).await;
    // The other poll falls due during the grace. A driver that woke for it without acting would spin, and the virtual clock
    // would stop.
    let report = poller.shutdown().await;
    assert_eq!((report.left_open, report.abandoned, world.sent().len()), (2, 1, 2));
    assert_eq!(millis(world.now()), 15_000);
}
