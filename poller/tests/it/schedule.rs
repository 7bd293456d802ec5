//! The times of requests, to the millisecond, under the virtual clock.

use std::time::Duration;

use poller::fetch::{FetchError, FetchErrorKind};
use poller::{FailureReason, NextReason, OutcomeKind, TimeoutReason};
use serde_json::json;

use crate::world::{Reply, World, millis, pending, run, spec, success};

#[tokio::test(start_paused = true)]
async fn requests_are_made_exactly_on_the_grid_until_the_deadline() {
    let world = World::sequence([pending]);
    let outcome = run(&world, spec(json!({"interval": 10, "timeout": 300}))).await;
    let grid: Vec<u64> = (0..30).map(|tick| tick * 10_000).collect();
    assert_eq!(world.times(), grid);
    assert_eq!(millis(outcome.elapsed()), 300_000);
    let OutcomeKind::TimedOut { reason, response, explanation } = &outcome.kind else {
        panic!("{outcome:?}")
    };
    assert_eq!(*reason, TimeoutReason::Deadline);
    assert_eq!(response.as_ref().unwrap().status(), 200);
    assert!(explanation.contains("PENDING") && explanation.contains("SUCCESS"), "{explanation}");
    assert_eq!((outcome.attempts, outcome.history.len()), (30, 20));
    assert_eq!(outcome.counts.to_string(), "30 × 200");
}

#[tokio::test(start_paused = true)]
async fn a_match_ends_the_poll_at_once() {
    let world = World::sequence([pending, pending, success]);
    let outcome = run(&world, spec(json!({"interval": 10, "timeout": 300}))).await;
    assert_eq!(world.times(), [0, 10_000, 20_000]);
    let OutcomeKind::Matched { response } = &outcome.kind else { panic!("{outcome:?}") };
    assert_eq!(response.json(), Some(r#"{"status":"SUCCESS"}"#));
    assert_eq!(millis(outcome.elapsed()), 20_000);
}

#[tokio::test(start_paused = true)]
async fn slow_responses_skip_ticks_and_never_overlap() {
    let world = World::new(|_, _| pending().after(Duration::from_millis(12_500)));
    run(&world, spec(json!({"interval": 10, "timeout": 60}))).await;
    assert_eq!(world.times(), [0, 20_000, 40_000]);
    assert_eq!(world.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_ends_on_a_tick_is_followed_at_once() {
    let world = World::new(|_, _| pending().after(Duration::from_secs(10)));
    run(&world, spec(json!({"interval": 10, "timeout": 35}))).await;
    assert_eq!(world.times(), [0, 10_000, 20_000, 30_000]);
    assert_eq!(world.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_flight_is_cut_at_the_deadline() {
    let world = World::new(|_, _| Reply::Never);
    let outcome =
        run(&world, spec(json!({"interval": 10, "timeout": 35, "requestTimeout": {"durationInMs": 60_000}})))
            .await;
    assert_eq!(world.times(), [0]);
    assert_eq!(millis(outcome.elapsed()), 35_000);
    assert_eq!(outcome.counts.to_string(), "1 × timeout");
}

#[tokio::test(start_paused = true)]
async fn a_response_after_the_deadline_does_not_count() {
    let world = World::new(|_, _| success().after(Duration::from_secs(35)));
    let outcome =
        run(&world, spec(json!({"interval": 10, "timeout": 35, "requestTimeout": {"durationInMs": 60_000}})))
            .await;
    assert_eq!(outcome.name(), "timed out");
}

#[tokio::test(start_paused = true)]
async fn every_request_has_its_own_timeout() {
    let world = World::new(|number, _| if matches!(number, 1 | 4) { Reply::Never } else { success() });
    let poller = world.poller().build().await.unwrap();
    let mut took = Vec::new();
    for (key, secs) in [("a", 5), ("longer", 20), ("b", 30), ("shorter", 12)] {
        let request_timeout = json!({"durationInMs": secs * 1000});
        let spec = spec(json!({"interval": 10, "timeout": 60, "requestTimeout": request_timeout}));
        let outcome = poller.submit(key, spec).await.unwrap().outcome().await.unwrap();
        took.push(outcome.history.iter().map(|attempt| millis(attempt.duration)).collect::<Vec<_>>());
    }
    assert_eq!(took, [vec![0], vec![20_000, 0], vec![0], vec![12_000, 0]]);
}

#[tokio::test(start_paused = true)]
async fn after_a_request_timeout_the_next_tick_follows() {
    let world = World::new(|number, _| if number == 0 { Reply::Never } else { success() });
    run(&world, spec(json!({"interval": 10, "timeout": 60, "requestTimeout": {"durationInMs": 12_000}})))
        .await;
    assert_eq!(world.times(), [0, 20_000]);
}

#[tokio::test(start_paused = true)]
async fn a_request_timeout_is_retried_by_its_policy() {
    let world = World::new(|number, _| if number < 3 { Reply::Never } else { success() });
    let retry = json!({"limit": 3, "factor": 2, "minTimeoutInMs": 500, "randomize": false});
    let timeout = json!({"durationInMs": 1000, "retry": retry});
    let outcome = run(&world, spec(json!({"interval": 10, "timeout": 60, "requestTimeout": timeout}))).await;
    assert_eq!(world.times(), [0, 1500, 3500, 10_000], "two retries, then the grid goes on");
    let reasons: Vec<_> =
        outcome.history.iter().filter_map(|attempt| attempt.next).map(|next| next.why).collect();
    assert_eq!(
        reasons,
        [
            NextReason::Retry { r#try: 2, limit: 3 },
            NextReason::Retry { r#try: 3, limit: 3 },
            NextReason::Grid
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_sequence_replaces_the_ticks_inside_it() {
    let world =
        World::sequence([|| Reply::json(500, ""), || Reply::json(500, ""), || Reply::json(500, ""), success]);
    let retry = json!({"500-599": {"strategy": "backoff", "limit": 3, "factor": 3, "minTimeoutInMs": 8000, "randomize": false}});
    run(&world, spec(json!({"interval": 10, "timeout": 100, "retry": retry}))).await;
    assert_eq!(world.times(), [0, 8000, 32_000, 40_000]);
}

#[tokio::test(start_paused = true)]
async fn another_status_starts_another_sequence() {
    let world = World::sequence([
        || Reply::json(500, ""),
        || Reply::json(500, ""),
        || Reply::json(502, ""),
        || Reply::json(500, ""),
        success,
    ]);
    let retry = json!({"5xx": {"strategy": "backoff", "limit": 3, "factor": 2, "minTimeoutInMs": 1000, "randomize": false}});
    run(&world, spec(json!({"interval": 60, "timeout": 600, "retry": retry}))).await;
    assert_eq!(world.times(), [0, 1000, 3000, 4000, 5000]);
}

#[tokio::test(start_paused = true)]
async fn the_first_rule_in_document_order_that_applies_counts() {
    let world =
        World::sequence([|| Reply::json(503, r#"{"code":"busy"}"#), || Reply::json(503, "{}"), success]);
    let text = r#"{"url": "https://api.example.com/job", "interval": 60, "timeout": 600, "retry": {
        "5xx": {"strategy": "backoff", "minTimeoutInMs": 3000, "randomize": false, "bodyFilter": {"code": ["busy"]}},
        "503": {"strategy": "backoff", "minTimeoutInMs": 7000, "randomize": false},
        "all": {"strategy": "backoff", "minTimeoutInMs": 100}}}"#;
    run(&world, text.parse().unwrap()).await;
    assert_eq!(world.times(), [0, 3000, 10_000]);
}

#[tokio::test(start_paused = true)]
async fn a_hint_holds_back_to_the_first_tick_at_or_after_it() {
    let world = World::sequence([
        || Reply::json(202, "{}").header("retry-after", "25"),
        || Reply::json(202, "{}").header("retry-after", "10"),
        || Reply::json(202, "{}").header("retry-after", "3"),
        success,
    ]);
    let outcome = run(&world, spec(json!({"interval": 10, "timeout": 300}))).await;
    assert_eq!(world.times(), [0, 30_000, 40_000, 50_000]);
    let reasons: Vec<_> =
        outcome.history.iter().filter_map(|attempt| attempt.next).map(|next| next.why).collect();
    assert_eq!(reasons, [NextReason::Hint, NextReason::Grid, NextReason::Grid]);
}

#[tokio::test(start_paused = true)]
async fn a_hint_past_the_deadline_ends_the_poll_at_once() {
    let world = World::sequence([pending, || Reply::json(503, "").header("retry-after", "3600")]);
    let outcome = run(&world, spec(json!({"interval": 10, "timeout": 300}))).await;
    let OutcomeKind::TimedOut { reason, explanation, .. } = &outcome.kind else { panic!("{outcome:?}") };
    assert_eq!(*reason, TimeoutReason::HintPastDeadline);
    assert!(explanation.contains("3600s"), "{explanation}");
    assert_eq!(millis(outcome.elapsed()), 10_000);
}

#[tokio::test(start_paused = true)]
async fn a_headers_strategy_waits_for_the_reset() {
    let retry = json!({"429": {"strategy": "headers", "limitHeader": "x-limit", "remainingHeader": "x-remaining",
        "resetHeader": "x-reset", "resetFormat": "iso_8601_duration_openai_variant"}});
    let world = World::sequence([
        || Reply::json(429, "").header("x-reset", "12s500ms").header("x-remaining", "0"),
        || Reply::json(429, "").header("x-reset", "12s").header("x-remaining", "7"),
        || Reply::json(429, "").header("x-reset", "nonsense"),
        success,
    ]);
    run(&world, spec(json!({"interval": 10, "timeout": 300, "retry": retry}))).await;
    assert_eq!(world.times(), [0, 12_500, 20_000, 30_000], "without headers the grid applies");
}

#[tokio::test(start_paused = true)]
async fn permanent_errors_give_up() {
    let world = World::sequence([|| Reply::json(401, r#"{"error":"no"}"#)]);
    let outcome = run(&world, spec(json!({"interval": 10, "timeout": 300}))).await;
    assert_eq!(world.times(), [0, 10_000, 20_000, 30_000, 40_000]);
    let OutcomeKind::Failed { reason, response, explanation } = &outcome.kind else { panic!("{outcome:?}") };
    assert_eq!(*reason, FailureReason::GaveUp);
    assert_eq!(response.as_ref().unwrap().status(), 401);
    assert!(explanation.starts_with("gave up after 5 attempts in a row"), "{explanation}");
}

#[tokio::test(start_paused = true)]
async fn expected_statuses_do_not_give_up() {
    let hopeless = || World::sequence([|| Reply::json(401, "{}")]);
    for members in [
        json!({"giveUp": false}),
        json!({"failureFilter": {"status": [401], "body": {"fatal": [true]}}}),
        json!({"retry": {"401": {"strategy": "backoff", "limit": 2, "minTimeoutInMs": 1000}}}),
    ] {
        let mut all = json!({"interval": 10, "timeout": 100});
        all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        assert_eq!(run(&hopeless(), spec(all)).await.name(), "timed out", "{members}");
    }
    let all = json!({"interval": 10, "timeout": 100, "retry": {"all": {"strategy": "backoff", "minTimeoutInMs": 1000}}});
    assert_eq!(
        run(&hopeless(), spec(all)).await.name(),
        "failed",
        "\"all\" covers a status without speaking of it"
    );
}

#[tokio::test(start_paused = true)]
async fn another_result_resets_the_count_of_permanent_errors() {
    let world = World::new(|number, _| if number % 5 == 4 { pending() } else { Reply::json(403, "") });
    assert_eq!(run(&world, spec(json!({"interval": 10, "timeout": 300}))).await.name(), "timed out");
}

#[tokio::test(start_paused = true)]
async fn errors_without_a_status_wait_for_the_next_tick() {
    let world = World::sequence([
        || Reply::error(FetchError::new(FetchErrorKind::Connect, "connection refused")),
        || {
            Reply::error(FetchError::new(FetchErrorKind::Reset, "connection reset"))
                .after(Duration::from_secs(3))
        },
        success,
    ]);
    let retry = json!({"all": {"strategy": "backoff", "minTimeoutInMs": 100}});
    run(&world, spec(json!({"interval": 10, "timeout": 300, "retry": retry}))).await;
    assert_eq!(world.times(), [0, 10_000, 20_000]);
}

#[tokio::test(start_paused = true)]
async fn the_failure_filter_is_checked_first() {
    let world = World::sequence([|| Reply::json(200, r#"{"status":"SUCCESS","error":"quota"}"#)]);
    let outcome = run(&world, spec(json!({"failureFilter": {"body": {"error": [{"$exists": true}]}}}))).await;
    let OutcomeKind::Failed { reason, explanation, .. } = &outcome.kind else { panic!("{outcome:?}") };
    assert_eq!(*reason, FailureReason::FailureFilter);
    assert!(explanation.contains("error"), "{explanation}");
}

#[tokio::test(start_paused = true)]
async fn without_a_response_filter_any_2xx_but_202_is_enough() {
    let world =
        World::sequence([|| Reply::json(404, "{}"), || Reply::json(202, "{}"), || Reply::json(204, "")]);
    let spec = poller::PollSpec::parse(r#"{"url": "https://api.example.com/job"}"#).unwrap();
    let outcome = run(&world, spec).await;
    assert_eq!((outcome.name(), world.times()), ("matched", vec![0, 10_000, 20_000]));
    let notes: Vec<_> = outcome.history.iter().filter_map(|attempt| attempt.note.as_deref()).collect();
    assert_eq!(
        notes,
        [
            "HTTP status is 404, expected 2xx other than 202",
            "HTTP status is 202, expected 2xx other than 202"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn growing_gaps_are_a_grid_of_their_own_that_a_restart_keeps() {
    let interval = json!({"from": 2, "to": 9, "factor": 1.5});
    let members = json!({"interval": interval, "timeout": 40});
    let world = World::sequence([pending]);
    assert_eq!(run(&world, spec(members.clone())).await.name(), "timed out");
    let grid = [0, 2000, 5000, 9500, 16_250, 25_250, 34_250];
    assert_eq!(world.times(), grid, "gaps of 2, 3, 4.5, 6.75 and then 9 s");

    let store = poller::MemoryStore::new();
    let world = World::sequence([pending]);
    let before = world.poller().store(store.clone()).build().await.unwrap();
    before.submit("job", spec(members.clone())).await.unwrap();
    world.sleep_until(Duration::from_secs(6)).await;
    before.shutdown().await;
    world.sleep_until(Duration::from_secs(12)).await;
    let after = world.poller().store(store).build().await.unwrap();
    after.submit("job", spec(members.clone())).await.unwrap().outcome().await.unwrap();
    assert_eq!(world.times(), [0, 2000, 5000, 16_250, 25_250, 34_250]);

    // A slow response skips ticks; a hint that ends up to a tenth of the gap after a tick delays it.
    let world = World::new(|number, _| match number {
        0 => pending().after(Duration::from_millis(5100)),
        1 => pending().header("retry-after-ms", "7400"),
        _ => pending(),
    });
    run(&world, spec(members)).await;
    assert_eq!(world.times(), [0, 9500, 16_900, 25_250, 34_250]);
}

#[test]
fn an_interval_of_growing_gaps_is_checked_gap_by_gap() {
    let parse = |interval: serde_json::Value| {
        let text = json!({"url": "https://api.example.com", "interval": interval}).to_string();
        poller::PollSpec::parse(&text).map_err(|error| error.to_string())
    };
    for (interval, messages) in [
        (json!({"from": 1, "to": 30}), &["/interval/from: found 1 s, expected 10 s to 300 s"][..]),
        (json!({"from": 10, "to": 600}), &["/interval/to: found 600 s, expected 10 s to 300 s"]),
        (json!({"from": 30, "to": 10}), &["/interval/to: found 10, expected at least 30 s"]),
        (
            json!({"from": 10, "to": 30, "factor": 1}),
            &["/interval/factor: found 1, expected a number from 1.01 to 100"],
        ),
        (json!({"from": 10}), &["/interval: the member \"to\" is missing"]),
        (json!({"from": 10, "to": 20, "worth": 2}), &["\"worth\""]),
        (
            json!("10s"),
            &["/interval: found \"10s\", expected a number of seconds, 10 s to 300 s, or an object"],
        ),
    ] {
        let error = parse(interval.clone()).unwrap_err();
        assert!(messages.iter().all(|message| error.contains(message)), "{interval}: {error}");
    }
    let spec = parse(json!({"from": 10, "to": 30})).unwrap();
    assert_eq!(spec.to_value()["interval"], json!({"from": 10, "to": 30, "factor": 1.5}));
    assert_eq!(spec, parse(json!({"factor": 1.5, "to": 30.0, "from": 10})).unwrap());
    assert_eq!(parse(json!({"from": 10, "to": 10})).unwrap(), parse(json!(10)).unwrap());
}

#[tokio::test(start_paused = true)]
async fn retry_rules_name_kinds_of_errors_beside_statuses() {
    let world = World::sequence([
        || Reply::error(FetchError::new(FetchErrorKind::Reset, "connection reset")),
        || Reply::error(FetchError::new(FetchErrorKind::Reset, "connection reset")),
        || Reply::error(FetchError::new(FetchErrorKind::Reset, "connection reset")),
        || Reply::error(FetchError::new(FetchErrorKind::Connect, "connection refused")),
        || Reply::json(503, ""),
        || Reply::Never,
        success,
    ]);
    let backoff = |limit: u32, delay: u32| json!({"strategy": "backoff", "limit": limit, "minTimeoutInMs": delay, "factor": 2, "randomize": false});
    let retry = json!({"503, reset": backoff(3, 1000), "timeout": backoff(2, 4000)});
    let members =
        json!({"interval": 10, "timeout": 100, "retry": retry, "requestTimeout": {"durationInMs": 500}});
    let outcome = run(&world, spec(members)).await;
    // Two retries of the reset, the grid, no rule for refused connections, a retry of the 503, one of the timeout.
    assert_eq!(world.times(), [0, 1000, 3000, 10_000, 20_000, 21_000, 25_500]);
    assert_eq!(outcome.name(), "matched");
}

#[tokio::test(start_paused = true)]
async fn an_error_that_a_retry_rule_names_is_not_hopeless() {
    let world =
        World::sequence([|| Reply::error(FetchError::new(FetchErrorKind::NoSuchHost, "no such host"))]);
    let retry = json!({"no-such-host": {"strategy": "backoff", "limit": 2, "minTimeoutInMs": 1000}});
    assert_eq!(
        run(&world, spec(json!({"interval": 10, "timeout": 100, "retry": retry}))).await.name(),
        "timed out"
    );
}

#[test]
fn rules_for_errors_are_checked() {
    for (name, rule, message) in [
        ("resett", json!({"strategy": "backoff"}), "did you mean \"reset\"?"),
        ("refused", json!({"strategy": "backoff"}), "kinds of errors are connect, no-such-host"),
        (
            "reset",
            json!({"strategy": "headers", "resetHeader": "x-reset"}),
            "the strategy \"headers\" cannot be judged",
        ),
        (
            "503,reset",
            json!({"strategy": "backoff", "bodyFilter": {"a": 1}}),
            "so \"bodyFilter\" cannot be judged",
        ),
        ("5o3", json!({"strategy": "backoff"}), "5o3"),
    ] {
        let text = json!({"url": "https://api.example.com", "retry": {name: rule}}).to_string();
        let error = poller::PollSpec::parse(&text).unwrap_err().to_string();
        assert!(error.contains(message), "{name}: {error}");
    }
    let text = r#"{"url": "https://a.test", "retry": {"503,reset": {"strategy": "backoff"}}}"#;
    let one: poller::PollSpec = text.parse().unwrap();
    assert!(one.to_value()["retry"].get("503,reset").is_some());
    assert_eq!(one, one.to_value().to_string().parse().unwrap());
}
