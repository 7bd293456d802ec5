//! `poll wait URL URL…`: all must match, or with `--any` one; `--fail-fast`; what each prints.

use std::collections::BTreeMap;

use serde_json::Value;
use test_support::{Reply, Script, Server};

use crate::process::{ProcessOutput, run};

/// Ready at once, never ready, and a job that fails.
async fn server() -> Server {
    Server::start(
        Script::new()
            .on("/ready", [Reply::text("up")])
            .on("/never", [Reply::new(503).body("down for maintenance")])
            .on("/fails", [Reply::json(r#"{"status":"FAILED","why":"disk full"}"#)]),
    )
    .await
}

async fn wait(server: &Server, paths: &[&str], options: &[&str]) -> ProcessOutput {
    let urls: Vec<_> = paths.iter().map(|path| server.url(path)).collect();
    let mut arguments = vec!["wait", "--every", "100ms", "--fail-if", r#"{"body":{"status":["FAILED"]}}"#];
    arguments.extend(options);
    arguments.extend(urls.iter().map(|url| &**url));
    run(&arguments, "").await
}

/// The outcomes by the last segment of the key, which is the URL without its query.
fn outcomes(ended: &ProcessOutput) -> BTreeMap<String, String> {
    let outcome = |line: &str| {
        let object: Value = serde_json::from_str(line).unwrap();
        let key = object["key"].as_str().unwrap();
        (key.rsplit('/').next().unwrap().to_owned(), object["outcome"].as_str().unwrap().to_owned())
    };
    ended.stdout.lines().map(outcome).collect()
}

fn expected<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(key, outcome)| (key.to_owned(), outcome.to_owned())).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_must_match_and_the_first_code_of_the_table_counts() {
    let server = server().await;
    let all = wait(&server, &["/ready", "/ready?token=s3cret-token"], &[]).await;
    assert_eq!((all.code, all.stdout.lines().count()), (Some(0), 2), "{all:#?}");
    assert!(!all.stdout.contains("s3cret") && !all.stderr.contains("s3cret"), "{all:#?}");
    assert!(all.stderr.contains("2 URLs, all of which must match, every 100ms"), "{all:#?}");

    let timed_out = wait(&server, &["/ready", "/never"], &["--timeout", "300ms"]).await;
    assert_eq!(timed_out.code, Some(124), "{timed_out:#?}");
    assert_eq!(outcomes(&timed_out), expected([("ready", "matched"), ("never", "timed out")]));

    let failed = wait(&server, &["/ready", "/never", "/fails"], &["--timeout", "300ms"]).await;
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    assert_eq!(
        outcomes(&failed),
        expected([("ready", "matched"), ("never", "timed out"), ("fails", "failed")])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn any_ends_with_the_first_match() {
    let server = server().await;
    // Without --timeout, the poll of /never would run for ten minutes.
    let any = wait(&server, &["/never", "/ready"], &["--any"]).await;
    assert_eq!(any.code, Some(0), "{any:#?}");
    assert_eq!(outcomes(&any), expected([("never", "cancelled"), ("ready", "matched")]));
    assert!(
        any.stderr.contains("one of which must match") && any.stderr.contains("one matches: the others end")
    );

    // A failure is no match; the others go on.
    let one_failed = wait(&server, &["/fails", "/never", "/ready"], &["--any"]).await;
    assert_eq!(one_failed.code, Some(0), "{one_failed:#?}");

    let none = wait(&server, &["/never", "/fails"], &["--any", "--timeout", "300ms"]).await;
    assert_eq!(none.code, Some(1), "{none:#?}");
    assert_eq!(outcomes(&none), expected([("never", "timed out"), ("fails", "failed")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn fail_fast_ends_with_the_first_failure() {
    let server = server().await;
    let fast = wait(&server, &["/never", "/fails"], &["--fail-fast"]).await;
    assert_eq!(fast.code, Some(1), "{fast:#?}");
    assert_eq!(outcomes(&fast), expected([("never", "cancelled"), ("fails", "failed")]));
    assert!(fast.stderr.contains("one did not match: the others end"), "{fast:#?}");
    let good = wait(&server, &["/ready", "/ready?2"], &["--fail-fast"]).await;
    assert_eq!(good.code, Some(0), "{good:#?}");
    let both = wait(&server, &["/ready"], &["--any", "--fail-fast"]).await;
    assert_eq!((both.code, &*both.stdout), (Some(2), ""), "{both:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_said_once_and_name_their_url() {
    let bad =
        run(&["wait", "http://127.0.0.1:1", "ftp://a", "localhost:80", "--until", r#"{"a":{"$b":1}}"#], "")
            .await;
    assert_eq!(bad.code, Some(2), "{bad:#?}");
    assert_eq!(bad.stderr.matches("unknown operator").count(), 1, "{bad:#?}");
    assert!(bad.stderr.contains("scheme \"ftp\"") && bad.stderr.contains("\"localhost\""), "{bad:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_url_twice_is_one_poll() {
    let server = server().await;
    wait(&server, &["/ready", "/ready"], &[]).await.expect(0, "up");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_and_timeouts_show_the_beginning_of_the_body() {
    let server = server().await;
    wait(&server, &["/fails"], &[]).await.expect(1, "").stderr_contains(
        "the body of the response (200, 37 bytes):\n    {\"status\":\"FAILED\",\"why\":\"disk full\"}",
    );
    wait(&server, &["/never"], &["--timeout", "200ms"])
        .await
        .expect(124, "")
        .stderr_contains("the body of the response (503, 20 bytes):\n    down for maintenance");
    // With --quiet it is not shown, and after a match there is nothing to explain.
    let quiet = wait(&server, &["/fails"], &["--quiet"]).await.expect(1, "");
    assert_eq!(quiet.stderr, "");
    let matched = wait(&server, &["/ready"], &[]).await.expect(0, "up");
    assert!(!matched.stderr.contains("the body of"), "{matched:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interval_fits_a_short_timeout() {
    let server = server().await;
    let shown = async |options: &[&str]| {
        let urls = [&server.url("/ready")[..]];
        run(&[&["wait"], options, &urls[..]].concat(), "").await.stderr
    };
    for (options, words) in [
        (&[][..], "every 10s for 10m at most"),
        (&["--timeout", "30s"], "every 3s for 30s at most"),
        (&["--timeout", "500ms"], "every 100ms for 500ms at most"),
        (&["--timeout", "30s", "--every", "10s"], "every 10s for 30s at most"),
        (&["--interval", "2s"], "every 2s for 10m at most"),
    ] {
        let shown = shown(options).await;
        assert!(shown.contains(words), "{options:?}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn giving_up_and_the_time_of_a_request_can_be_set() {
    let server =
        Server::start(Script::new().on("/401", [Reply::new(401)]).on("/stall", [Reply::stall()])).await;
    let (denied, stalls) = (server.url("/401"), server.url("/stall"));
    run(&["wait", &denied, "--every", "100ms", "--give-up", "2"], "")
        .await
        .expect(1, "")
        .stderr_contains("gave up after 2 attempts");
    run(&["wait", &denied, "--every", "100ms", "--give-up", "never", "--timeout", "800ms"], "")
        .await
        .expect(124, "");
    run(&["wait", &stalls, "--every", "100ms", "--timeout", "500ms", "--request-timeout", "100ms"], "")
        .await
        .expect(124, "")
        .stderr_contains("× timeout");
    run(&["wait", &denied, "--give-up", "0"], "").await.expect(2, "").stderr_contains("or never");
}
