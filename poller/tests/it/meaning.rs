//! What responses mean: which statuses a filter accepts that names none, bodies of every kind, responses in a row, hints.

use std::time::Duration;

use poller::{FailureReason, NextReason, Outcome, OutcomeKind, PollSpec, SpecOptions, TimeoutReason};
use serde_json::{Value, json};

use crate::world::{Reply, World, millis, pending, run, spec, success};

/// A spec with these members and no others but its URL and times.
fn bare(members: Value) -> PollSpec {
    let mut spec = json!({"url": "https://api.example.com/job", "interval": 10, "timeout": 60});
    spec.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    SpecOptions::new().parse(&spec.to_string()).unwrap_or_else(|error| panic!("{members}: {error}"))
}

fn notes(outcome: &Outcome) -> Vec<&str> {
    outcome.history.iter().filter_map(|attempt| attempt.note.as_deref()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_error_page_satisfies_no_negative_filter() {
    for dialect in ["native", "trigger-dev"] {
        let world = World::sequence([
            || Reply::json(502, r#"{"message":"Bad Gateway"}"#),
            || Reply::json(404, r#"{"message":"not yet"}"#),
            || Reply::json(202, r#"{"state":"queued"}"#),
        ]);
        let filter = json!({"body": {"state": [{"$anythingBut": "running"}]}});
        let outcome = run(&world, bare(json!({"dialect": dialect, "responseFilter": filter}))).await;
        assert_eq!((outcome.name(), world.times()), ("matched", vec![0, 10_000, 20_000]), "{dialect}");
        assert_eq!(notes(&outcome)[0], "HTTP status is 502, expected 2xx");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_filter_without_statuses_ignores_those_that_say_nothing_about_the_job() {
    for (status, name) in
        [(502, "timed out"), (503, "timed out"), (408, "timed out"), (425, "timed out"), (429, "timed out")]
            .into_iter()
            .chain([(200, "failed"), (404, "failed"), (409, "failed"), (422, "failed")])
    {
        let world = World::new(move |_, _| Reply::json(status, r#"{"message":"no"}"#));
        let filters = json!({
            "responseFilter": {"body": {"state": "done"}},
            "failureFilter": {"body": {"state": [{"$anythingBut": "running"}]}},
        });
        assert_eq!(run(&world, bare(filters)).await.name(), name, "{status}");
    }
    let world = World::sequence([|| Reply::json(503, r#"{"state":"failed"}"#)]);
    let filter = json!({"failureFilter": {"status": "all", "body": {"state": "failed"}}});
    let outcome = run(&world, bare(filter)).await;
    let OutcomeKind::Failed { reason, explanation, .. } = &outcome.kind else { panic!("{outcome:?}") };
    assert_eq!(*reason, FailureReason::FailureFilter);
    assert!(explanation.contains("HTTP status is 503, state is \"failed\""), "{explanation}");
}

#[tokio::test(start_paused = true)]
async fn all_accepts_every_status() {
    for filter in [json!({"status": "all"}), json!({"status": ["all"], "body": {"n": 1}})] {
        let world = World::sequence([|| Reply::json(500, r#"{"n":1}"#)]);
        assert_eq!(run(&world, bare(json!({"responseFilter": filter}))).await.name(), "matched");
    }
    let world = World::sequence([|| Reply::json(500, "{}")]);
    let spec = bare(json!({"dialect": "trigger-dev", "responseFilter": {"status": []}}));
    assert_eq!(run(&world, spec).await.name(), "matched", "[] is no constraint in that dialect");
    let world = World::sequence([|| Reply::json(500, "{}"), || Reply::json(202, "")]);
    assert_eq!(run(&world, bare(json!({"responseFilter": {}}))).await.attempts, 2, "{{}} is any 2xx");
}

#[test]
fn a_status_that_is_left_out_and_its_meaning_are_the_same_spec() {
    let same = |one: Value, two: Value| bare(one).differences(&bare(two)).is_empty();
    assert!(same(
        json!({"responseFilter": {"body": {"n": 1}}}),
        json!({"responseFilter": {"status": "200-299", "body": {"n": 1}}})
    ));
    assert!(!same(json!({}), json!({"responseFilter": {}})), "202 matches only the second");
    let failures = json!({"failureFilter": {"body": {"n": 1}}});
    assert_eq!(bare(failures.clone()).to_value()["failureFilter"], failures["failureFilter"]);
}

#[tokio::test(start_paused = true)]
async fn bodies_are_judged_as_text() {
    let cases: [(Value, &'static [u8]); 5] = [
        (json!({"$contains": "ready"}), b"state: ready\n"),
        (json!({"$regex": "(?m)^done$"}), b"{\"n\":1}\ndone\n"),
        (json!({"$startsWith": "<ok"}), b"\xEF\xBB\xBF<ok/>"),
        (json!(["up", {"$endsWith": "\u{FFFD}"}]), b"caf\xE9"),
        (json!("OK"), b"OK"),
    ];
    for (text, body) in cases {
        let world = World::new(move |number, _| {
            if number == 0 { Reply::json(200, "not yet") } else { Reply::json(200, "").with_body(body) }
        });
        let spec = bare(json!({"responseFilter": {"text": text}}));
        let again: PollSpec = SpecOptions::new().parse(&spec.to_value().to_string()).unwrap();
        assert!(again.differences(&spec).is_empty(), "{text}");
        let outcome = run(&world, spec).await;
        assert_eq!((outcome.name(), outcome.attempts), ("matched", 2), "{text}");
        assert!(notes(&outcome)[0].starts_with("text is \"not yet\", expected "), "{:?}", notes(&outcome));
        assert_eq!(outcome.response().unwrap().body(), body, "the outcome has the bytes as received");
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_not_quite_json_are_read_as_fetch_reads_them() {
    for body in [
        &b"\xEF\xBB\xBF{\"state\":\"done\"}"[..],
        b"{\"state\":\"done\",\"by\":\"Andr\xE9\"}",
        b"{\"state\":\"done\",\"icon\":\"\\ud83d\"}",
    ] {
        let world = World::new(move |_, _| Reply::json(200, "").with_body(body));
        let outcome = run(&world, bare(json!({"responseFilter": {"body": {"state": "done"}}}))).await;
        assert_eq!(outcome.response().unwrap().body(), body, "{}", String::from_utf8_lossy(body));
        assert_eq!(outcome.name(), "matched");
    }
    let world = World::sequence([|| Reply::json(200, "").with_body(b"{\"load\": NaN}")]);
    let outcome = run(&world, bare(json!({"responseFilter": {"body": {"state": "done"}}}))).await;
    assert!(outcome.explanation().unwrap().contains("NaN"), "{:?}", outcome.explanation());
}

#[tokio::test(start_paused = true)]
async fn several_responses_in_a_row_must_match() {
    let world = World::sequence([success, success, pending, success, success, success]);
    let filter = json!({"body": {"status": "SUCCESS"}, "consecutive": 3});
    let outcome = run(&world, bare(json!({"responseFilter": filter, "timeout": 100}))).await;
    assert_eq!((outcome.name(), outcome.attempts), ("matched", 6));
    assert_eq!(
        notes(&outcome),
        [
            "the response filter matched; 1 of 3 in a row",
            "the response filter matched; 2 of 3 in a row",
            "status is \"PENDING\", expected \"SUCCESS\"",
            "the response filter matched; 1 of 3 in a row",
            "the response filter matched; 2 of 3 in a row",
        ]
    );
    // An error in between starts the count anew, and so does a failure that is not counted yet.
    let world = World::new(|number, _| if number % 2 == 0 { success() } else { Reply::json(500, "") });
    let filter = json!({"body": {"status": "SUCCESS"}, "consecutive": 2});
    let outcome = run(&world, bare(json!({"responseFilter": filter}))).await;
    let OutcomeKind::TimedOut { reason, response, explanation } = &outcome.kind else {
        panic!("{outcome:?}")
    };
    assert_eq!((*reason, response.as_ref().unwrap().status()), (TimeoutReason::Deadline, 500));
    assert!(explanation.contains("500"), "{explanation}");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_says_how_many_responses_in_a_row_matched() {
    let world = World::sequence([pending, pending, pending, pending, success]);
    let filter = json!({"body": {"status": "SUCCESS"}, "consecutive": 3});
    let outcome = run(&world, bare(json!({"responseFilter": filter}))).await;
    let explanation = outcome.explanation().unwrap();
    assert!(
        explanation.starts_with("the response filter matched; 2 of 3 in a row\nbody:\n"),
        "{explanation}"
    );
    assert!(outcome.response().unwrap().json().unwrap().contains("SUCCESS"));
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_are_counted_too() {
    let world = World::sequence([
        || Reply::json(200, r#"{"status":"FAILED"}"#),
        pending,
        || Reply::json(200, r#"{"status":"FAILED"}"#),
    ]);
    let filter = json!({"body": {"status": "FAILED"}, "consecutive": 2});
    let filters = json!({"failureFilter": filter, "responseFilter": {"body": {"status": "SUCCESS"}}});
    let outcome = run(&world, bare(filters)).await;
    assert_eq!((outcome.name(), outcome.attempts), ("failed", 4));
    let explanation = outcome.explanation().unwrap();
    assert_eq!(explanation, "the failure filter matched: status is \"FAILED\", 2 times in a row");
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_ends_shortly_after_a_tick_delays_this_tick() {
    for (interval, answer_ms, hint, times) in [
        // Each hint counts from the end of the response, and so ends a little after the tick.
        (10, 50, "10", vec![0, 10_050, 20_100, 30_150, 40_200, 50_250]),
        (10, 1000, "10", vec![0, 11_000, 30_000, 41_000]),
        (10, 1001, "10", vec![0, 20_000, 40_000]),
        (10, 50, "20", vec![0, 20_050, 40_100]),
        // A tenth of the interval is the most.
        (5, 500, "5", vec![0, 5500, 15_000, 20_500, 30_000, 35_500, 45_000, 50_500]),
        (5, 501, "5", vec![0, 10_000, 20_000, 30_000, 40_000, 50_000]),
    ] {
        let world = World::new(move |_, _| {
            Reply::json(202, "{}").header("retry-after", hint).after(Duration::from_millis(answer_ms))
        });
        let spec = spec(json!({"interval": interval, "timeout": 60}));
        let outcome = run(&world, spec).await;
        let until = times.len();
        let sent = world.times();
        assert_eq!(sent[..until.min(sent.len())], times[..], "{interval} s, {answer_ms} ms: {sent:?}");
        assert!(matches!(outcome.history[0].next.unwrap().why, NextReason::Hint));
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_ends_before_the_next_tick_changes_nothing() {
    let world = World::new(|_, _| {
        Reply::json(202, "{}").header("retry-after-ms", "300").after(Duration::from_millis(50))
    });
    run(&world, spec(json!({"interval": 10, "timeout": 35}))).await;
    assert_eq!(world.times(), [0, 10_000, 20_000, 30_000]);
}

#[tokio::test(start_paused = true)]
async fn every_response_that_does_not_match_may_carry_a_hint() {
    let reset = |number: usize| number.to_string();
    for (status, name, value) in [
        (403, "retry-after", reset(25)),
        (202, "retry-after", reset(25)),
        (200, "retry-after", reset(25)),
        (404, "retry-after-ms", reset(25_000)),
        (503, "ratelimit-reset", reset(25)),
        (429, "x-ratelimit-reset-after", reset(25)),
        (429, "retry-after", reset(25)),
    ] {
        let value_of = value.clone();
        let world = World::new(move |number, _| match number {
            0 => Reply::json(status, "{}").header(name, &value_of).header("x-ratelimit-remaining", "0"),
            _ => success(),
        });
        run(&world, spec(json!({"interval": 10, "timeout": 300}))).await;
        assert_eq!(world.times(), [0, 30_000], "{status} {name}: {value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_when_to_come_back_is_not_hopeless() {
    let limited = || Reply::json(403, r#"{"message":"API rate limit exceeded"}"#).header("retry-after", "10");
    let world = World::new(move |number, _| if number < 12 { limited() } else { success() });
    let outcome = run(&world, spec(json!({"interval": 10, "timeout": 300}))).await;
    assert_eq!((outcome.name(), outcome.attempts), ("matched", 13));
    // A failure filter that names no status does not speak of a 403.
    let world = World::sequence([|| Reply::json(403, "{}")]);
    let filters = json!({"failureFilter": {"body": {"status": "FAILED"}}});
    assert_eq!(run(&world, bare(filters)).await.name(), "failed");
}

#[test]
fn filters_that_surprise_give_warnings() {
    for (members, pointer, message) in [
        (
            json!({"responseFilter": {"status": [200, 302]}}),
            "/responseFilter/status/1",
            "redirects are followed",
        ),
        (json!({"responseFilter": {"status": "3xx"}}), "/responseFilter/status", "has the status 3xx"),
        (json!({"retry": {"307": {"strategy": "backoff"}}}), "/retry/307", "redirects are followed"),
        (json!({"requestInit": {"query": {"q": "env:KEY"}}}), "/requestInit/query/q", "is sent as it stands"),
        (json!({"failureFilter": {}}), "/failureFilter", "accepts every response"),
        (json!({"failureFilter": {"status": "all"}}), "/failureFilter", "accepts every response"),
        (
            json!({"responseFilter": {"body": {"state": {"$anythingBut": "running"}}}}),
            "/responseFilter/body",
            "the body {} satisfies these conditions, so an empty answer would end the poll as matched",
        ),
        (
            json!({"failureFilter": {"body": {"error": {"$exists": false}}}}),
            "/failureFilter/body",
            "an empty answer would fail the poll",
        ),
        (
            json!({"responseFilter": {"body": {"$every": {"state": "done"}}}}),
            "/responseFilter/body",
            "the body [] satisfies",
        ),
    ] {
        let spec = bare(members.clone());
        let [warning] = spec.warnings() else { panic!("{members}: {:?}", spec.warnings()) };
        assert_eq!(warning.pointer(), pointer, "{warning}");
        assert!(warning.message().contains(message), "{warning}");
    }
    for members in [
        json!({"responseFilter": {"status": ["all"]}}),
        json!({"responseFilter": {"status": "200-399", "body": {}}}),
        json!({"responseFilter": {"body": {"id": {"$exists": true}, "state": {"$anythingBut": "running"}}}}),
        json!({"failureFilter": {"status": [500], "body": {"state": "failed"}}}),
    ] {
        assert_eq!(bare(members.clone()).warnings(), [], "{members}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_past_the_deadline_says_so() {
    let world = World::sequence([pending, || Reply::json(403, "{}").header("retry-after", "50")]);
    let outcome = run(&world, spec(json!({"interval": 10, "timeout": 60}))).await;
    assert_eq!(millis(outcome.elapsed()), 10_000);
    let OutcomeKind::TimedOut { reason, explanation, .. } = &outcome.kind else { panic!("{outcome:?}") };
    assert_eq!(*reason, TimeoutReason::HintPastDeadline);
    assert!(
        explanation.starts_with("the server asked to wait 50s, which is past the deadline"),
        "{explanation}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_429_holds_back_all_scopes_and_a_503_its_own() {
    for (status, times) in [(429, [0, 1000, 61_000, 61_000]), (503, [0, 1000, 1000, 61_000])] {
        let world = World::new(move |number, _| match number {
            0 => Reply::json(status, "").header("retry-after", "90").after(Duration::from_secs(1)),
            _ => success(),
        });
        let poller = world.poller().build().await.unwrap();
        let members = |token: &str| json!({"interval": 10, "timeout": 300, "requestInit": {"headers": {"x-api-key": token}}});
        poller.scope("run-1").submit("asks", spec(members("one"))).await.unwrap();
        world.sleep_until(Duration::from_secs(1)).await;
        world.sleep_until(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
        let other = poller.scope("run-1").submit("other-credentials", spec(members("two"))).await.unwrap();
        let same = poller.scope("run-1").submit("same-scope", spec(members("one"))).await.unwrap();
        let scope = poller.scope("run-2").submit("other-scope", spec(members("one"))).await.unwrap();
        for poll in [&other, &same, &scope] {
            assert_eq!(poll.outcome().await.unwrap().name(), "matched");
        }
        let mut sent = world.times()[..4].to_vec();
        sent.sort_unstable();
        assert_eq!(sent, times, "{status}: held back for 60 s at most, whatever the server asks for");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_never_ends_another_poll() {
    let world = World::new(|number, _| match number {
        0 => Reply::json(429, "").header("retry-after", "3600"),
        _ => success(),
    });
    let poller = world.poller().build().await.unwrap();
    let limited = poller.submit("limited", spec(json!({"interval": 10, "timeout": 30}))).await.unwrap();
    let OutcomeKind::TimedOut { reason, .. } = limited.outcome().await.unwrap().kind.clone() else {
        panic!()
    };
    assert_eq!(reason, TimeoutReason::HintPastDeadline);
    let short = poller.submit("short", spec(json!({"interval": 10, "timeout": 30}))).await.unwrap();
    let long = poller.submit("long", spec(json!({"interval": 10, "timeout": 90}))).await.unwrap();
    let OutcomeKind::TimedOut { reason, .. } = short.outcome().await.unwrap().kind.clone() else { panic!() };
    assert_eq!(reason, TimeoutReason::Deadline, "its own deadline ends it, not the hint of another");
    assert_eq!(long.outcome().await.unwrap().name(), "matched");
    assert_eq!(world.times(), [0, 60_000]);
}
