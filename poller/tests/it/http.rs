//! Every outcome against a real HTTP server on loopback, with realistic faults.

use std::time::Duration;

use poller::http::{Guard, HttpClient};
use poller::{
    AttemptResult, ErrorKind, Event, FailureReason, JudgementKind, Limits, Outcome, OutcomeKind, PollSpec,
    Poller, SpecOptions,
};
use serde_json::json;
use test_support::{ClosedPort, End, Gate, Reply, Script, Server};

async fn poller() -> Poller {
    let client = HttpClient::builder().guard(Guard::local()).system_roots(false).build().unwrap();
    Poller::builder().fetch(client).limits(Limits::unbounded()).build().await.unwrap()
}

/// The spec of the documentation with a short interval. The replies of the server end the tests, not the timeout.
fn spec(url: &str, members: serde_json::Value) -> PollSpec {
    let mut spec = json!({
        "url": url,
        "interval": 0.01,
        "timeout": 30,
        "responseFilter": {
            "status": [200],
            "headers": {"content-type": [{"$startsWith": "application/json"}]},
            "body": {"status": ["SUCCESS"]},
        },
        "failureFilter": {"body": {"status": ["FAILED"]}},
    });
    spec.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    SpecOptions::new().limits(Limits::unbounded()).parse(&spec.to_string()).unwrap()
}

async fn run(server: &Server, members: serde_json::Value) -> std::sync::Arc<Outcome> {
    let poller = poller().await;
    let poll = poller.submit("job", spec(&server.url("/job"), members)).await.unwrap();
    let outcome = poll.outcome().await.unwrap();
    assert!(!server.overlapped("/job"), "no two requests of one poll at once");
    let (sent, counted) = (server.requests().len(), usize::try_from(outcome.attempts).unwrap());
    // A request that was sent once more is told, and is no attempt of its own.
    let sent = sent - outcome.history.iter().filter(|attempt| attempt.resent).count();
    // A request that was cut off at the deadline may not have reached the server.
    let cut = usize::from(outcome.name() == "timed out");
    assert!((sent..=sent + cut).contains(&counted), "every request counts: {counted} of {sent}");
    outcome
}

fn results(outcome: &Outcome) -> Vec<String> {
    outcome.history.iter().map(|attempt| attempt.result.to_string()).collect()
}

#[tokio::test]
async fn matched_after_every_kind_of_fault() {
    let body = "{\"status\": \"SUCCESS\",  \"url\": \"https://example.com/a.mp4\"}";
    let server = Server::start(Script::new().on(
        "/job",
        [
            Reply::json(r#"{"status":"PENDING"}"#),
            Reply::new(500),
            Reply::json(r#"{"status":"SUCCESS"}"#).reset_after(8),
            Reply::text("<html>starting</html>"),
            Reply::json(r#"{"status":"SUCCESS"}"#).status(404),
            Reply::text(r#"{"status":"SUCCESS"}"#),
            // On a kept connection: the request is sent once more, and gets the next reply.
            Reply::reset(),
            Reply::raw("SSH-2.0-OpenSSH_9.9\r\n"),
            Reply::json(body),
        ],
    ))
    .await;
    let outcome = run(&server, json!({})).await;
    let OutcomeKind::Matched { response } = &outcome.kind else { panic!("{outcome:?}") };
    assert_eq!(response.json(), Some(body), "the JSON is returned as received");
    assert_eq!(results(&outcome), ["200", "500", "reset", "200", "404", "200", "protocol", "200"]);
    let resent: Vec<bool> = outcome.history.iter().map(|attempt| attempt.resent).collect();
    assert_eq!(resent, [false, false, false, false, false, false, true, false]);
    let notes: Vec<&str> = outcome.history.iter().filter_map(|attempt| attempt.note.as_deref()).collect();
    assert_eq!(notes[0], r#"status is "PENDING", expected "SUCCESS""#);
    assert_eq!(notes[1], "HTTP status is 500, expected 200");
    assert!(notes[3].starts_with("header content-type is \"text/"), "{}", notes[3]);
}

#[tokio::test]
async fn a_body_that_is_not_json_does_not_match_and_the_note_says_so() {
    // The hint is longer than the timeout, so the poll ends with the first response.
    let server = Server::start(Reply::text("<html>").header("retry-after", "1000")).await;
    let outcome = run(&server, json!({"responseFilter": {"body": {"status": ["SUCCESS"]}}})).await;
    assert_eq!(outcome.name(), "timed out");
    let note = outcome.history[0].note.as_deref().unwrap();
    assert_eq!(note, "the body is an HTML page, expected JSON");
    assert!(outcome.explanation().unwrap().contains("the body is an HTML page"), "{outcome:?}");
}

#[tokio::test]
async fn a_redirect_is_followed_and_counts_as_one_attempt() {
    let server = Server::start(
        Script::new()
            .on("/job", [Reply::redirect(302, "/moved"), Reply::redirect(302, "/moved")])
            .on("/moved", [Reply::json(r#"{"status":"PENDING"}"#), Reply::json(r#"{"status":"SUCCESS"}"#)]),
    )
    .await;
    let poller = poller().await;
    let outcome =
        poller.submit("job", spec(&server.url("/job"), json!({}))).await.unwrap().outcome().await.unwrap();
    assert_eq!((outcome.name(), outcome.attempts, server.requests().len()), ("matched", 2, 4));
    let moved = server.url("/moved");
    let notes: Vec<&str> = outcome.history.iter().filter_map(|attempt| attempt.note.as_deref()).collect();
    let unmet = r#"status is "PENDING", expected "SUCCESS""#;
    assert_eq!(notes, [format!("{unmet}; redirected to {moved}"), format!("redirected to {moved}")]);
}

#[tokio::test]
async fn failed_by_the_failure_filter() {
    let server = Server::start(Script::new().on(
        "/job",
        [Reply::json(r#"{"status":"RUNNING"}"#), Reply::json(r#"{"status":"FAILED","reason":"codec"}"#)],
    ))
    .await;
    let outcome = run(&server, json!({})).await;
    let OutcomeKind::Failed { reason, response, explanation } = &outcome.kind else { panic!("{outcome:?}") };
    assert_eq!(*reason, FailureReason::FailureFilter);
    assert_eq!(response.as_ref().unwrap().json(), Some(r#"{"status":"FAILED","reason":"codec"}"#));
    assert_eq!(explanation, r#"the failure filter matched: status is "FAILED""#);
    assert_eq!(outcome.attempts, 2);
}

#[tokio::test]
async fn timed_out_with_no_request_begun_after_the_deadline() {
    let server = Server::start(Reply::json(r#"{"status":"PENDING"}"#)).await;
    let outcome = run(&server, json!({"interval": 0.2, "timeout": 1.6})).await;
    let OutcomeKind::TimedOut { response, explanation, .. } = &outcome.kind else { panic!("{outcome:?}") };
    assert_eq!(response.as_ref().unwrap().json(), Some(r#"{"status":"PENDING"}"#));
    assert!(explanation.contains("SUCCESS"), "{explanation}");
    let deadline = outcome.started_at + Duration::from_millis(1600);
    assert!(outcome.history.iter().all(|attempt| attempt.at < deadline), "{outcome:?}");
    assert!((1..=8).contains(&outcome.attempts), "ticks at 0, 0.2, … 1.4 s: {}", outcome.attempts);
    assert!(outcome.ended_at >= deadline);
}

#[tokio::test]
async fn timed_out_if_connections_are_refused() {
    let port = ClosedPort::new();
    let poller = poller().await;
    let spec = spec(&port.url("/job"), json!({"interval": 0.05, "timeout": 1}));
    let outcome = poller.submit("job", spec).await.unwrap().outcome().await.unwrap();
    assert_eq!(outcome.name(), "timed out");
    assert!(outcome.counts.iter().all(|(what, _)| what == "connect"), "{}", outcome.counts);
    assert!(outcome.explanation().unwrap().contains("connection refused"), "{outcome:?}");
}

#[tokio::test]
async fn a_stalled_body_is_one_failed_attempt_and_the_next_one_may_match() {
    let server = Server::start(Script::new().on(
        "/job",
        [
            Reply::json(r#"{"status":"SUCCESS"}"#).stall_after(5),
            Reply::stall(),
            Reply::json(r#"{"status":"SUCCESS"}"#),
        ],
    ))
    .await;
    let outcome = run(&server, json!({"requestTimeout": {"durationInMs": 500}})).await;
    assert_eq!(outcome.name(), "matched");
    assert_eq!(results(&outcome), ["timeout", "timeout", "200"]);
}

#[tokio::test]
async fn a_stalled_body_is_cut_at_the_deadline() {
    let server = Server::start(Reply::json(r#"{"status":"SUCCESS"}"#).stall_after(5)).await;
    let outcome = run(&server, json!({"timeout": 1})).await;
    assert_eq!((outcome.name(), outcome.attempts), ("timed out", 1));
    assert_eq!(outcome.history[0].judgement, JudgementKind::Error);
}

#[tokio::test]
async fn cancelled_while_a_request_is_in_flight() {
    let gate = Gate::new();
    let server = Server::start(Reply::json(r#"{"status":"SUCCESS"}"#).held_by(&gate)).await;
    let poller = poller().await;
    let poll = poller.submit("job", spec(&server.url("/job"), json!({}))).await.unwrap();
    server.arrived(0).await;
    let outcome = poll.cancel().await.unwrap();
    assert_eq!((outcome.name(), outcome.attempts), ("cancelled", 1));
    assert_eq!(server.ended(0).await, End::ClientGone);
    gate.open();
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_body_over_the_cap_is_a_failed_attempt_that_tells_the_cap() {
    let server = Server::start(Reply::gzip_bomb(20 << 20)).await;
    let poller = poller().await;
    let poll = poller.submit("job", spec(&server.url("/job"), json!({"interval": 10}))).await.unwrap();
    let mut events = poll.events();
    let attempt = loop {
        match events.next().await.unwrap() {
            Event::Attempted(attempt) => break attempt,
            Event::Outcome(outcome) => panic!("{outcome:?}"),
            _ => {}
        }
    };
    assert_eq!(attempt.result.to_string(), "body-too-large");
    assert!(attempt.note.as_deref().unwrap().contains("10485760"), "{attempt:?}");
}

#[tokio::test]
async fn a_429_with_retry_after_is_waited_for() {
    let server = Server::start(Script::new().on(
        "/job",
        [Reply::new(429).header("retry-after-ms", "300"), Reply::json(r#"{"status":"SUCCESS"}"#)],
    ))
    .await;
    let outcome = run(&server, json!({})).await;
    assert_eq!(outcome.name(), "matched");
    let waited = outcome.history[1].at.since(outcome.history[0].at);
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
}

#[tokio::test]
async fn the_request_is_the_one_in_the_spec() {
    let server = Server::start(Reply::json(r#"{"status":"SUCCESS"}"#)).await;
    let init = json!({"method": "post", "headers": {"X-Request": "a", "Authorization": "Bearer t"}, "body": "{\"id\":42}"});
    run(&server, json!({"requestInit": init})).await;
    let request = server.requests().remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/job"));
    assert_eq!((request.header("x-request"), request.header("authorization")), (Some("a"), Some("Bearer t")));
    assert_eq!(request.body, b"{\"id\":42}");
}

#[tokio::test]
async fn only_public_addresses_by_default() {
    let server = Server::start(Reply::json("{}")).await;
    let poller = Poller::builder().build().await.unwrap();
    let spec = PollSpec::parse(&json!({"url": server.url("/job")}).to_string()).unwrap();
    let error = poller.submit("job", spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Spec);
    assert!(error.to_string().starts_with("the URL cannot be asked: 127.0.0.1 is in loopback"), "{error}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn many_polls_run_concurrently() {
    let server = Server::start(Script::from_fn(|number, _| {
        Reply::json(if number < 200 { r#"{"status":"RUNNING"}"# } else { r#"{"status":"SUCCESS"}"# })
    }))
    .await;
    let poller = poller().await;
    let mut polls = Vec::new();
    for number in 0..100 {
        let url = server.url(&format!("/job-{number}"));
        polls.push(poller.submit(format!("job-{number}"), spec(&url, json!({}))).await.unwrap());
    }
    for (number, poll) in polls.iter().enumerate() {
        assert_eq!(poll.outcome().await.unwrap().name(), "matched");
        assert!(!server.overlapped(&format!("/job-{number}")));
    }
}

#[tokio::test]
async fn events_of_a_poll_come_in_order() {
    let server =
        Server::start(Script::new().on("/job", [Reply::new(500), Reply::json(r#"{"status":"SUCCESS"}"#)]))
            .await;
    let poller = poller().await;
    let poll = poller.submit("job", spec(&server.url("/job"), json!({}))).await.unwrap();
    let mut events = poll.events();
    let mut attempts = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Event::Attempted(attempt) => attempts.push(attempt.result),
            Event::Outcome(outcome) => assert_eq!(outcome.name(), "matched"),
            _ => {}
        }
    }
    assert_eq!(attempts, [AttemptResult::Status(500), AttemptResult::Status(200)]);
}
