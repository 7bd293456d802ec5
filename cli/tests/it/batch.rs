//! Several specs: checked together, run together, one line of JSON each.

use serde_json::Value;
use test_support::{Reply, Script, Server};

use crate::process::run;

fn spec(server: &Server, path: &str, timeout: f64) -> String {
    format!(
        r#"{{"cacheKey":"{path}","url":"{}","interval":0.02,"timeout":{timeout},
            "responseFilter":{{"body":{{"status":["SUCCESS"]}}}},"failureFilter":{{"body":{{"status":["FAILED"]}}}}}}"#,
        server.url(path)
    )
}

async fn server() -> Server {
    Server::start(
        Script::new()
            .on("/good", [Reply::json("{\n  \"status\": \"SUCCESS\"\n}\n")])
            .on("/bad", [Reply::json(r#"{"status":"FAILED"}"#)])
            .on("/slow", [Reply::json(r#"{"status":"RUNNING"}"#)]),
    )
    .await
}

/// Key and kind of every line, in order of the key.
fn lines(stdout: &str) -> Vec<(String, String)> {
    let mut lines: Vec<_> = stdout
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&line["key"]), text(&line["outcome"]))
        })
        .collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn each_poll_prints_a_line_and_the_most_severe_outcome_decides() {
    let server = server().await;
    let (good, bad, slow) =
        (spec(&server, "/good", 10.0), spec(&server, "/bad", 10.0), spec(&server, "/slow", 0.3));
    let ended = run(&["run", "--unbounded", "-"], format!("{good}\n{slow} {bad}")).await;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let expected = [("/bad", "failed"), ("/good", "matched"), ("/slow", "timed out")];
    assert_eq!(lines(&ended.stdout), expected.map(|(key, kind)| (key.to_owned(), kind.to_owned())));
    ended.stderr_contains("3 polls: 1 matched, 1 failed, 1 timed out");

    let ended = run(&["run", "--unbounded", "-"], format!("{slow}{good}")).await;
    assert_eq!(ended.code, Some(124), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_polls_only_failures_are_reported() {
    let server = server().await;
    let good =
        (0..20).map(|number| spec(&server, "/good", 10.0).replacen("/good", &format!("good-{number}"), 1));
    let crowd: String = good.chain([spec(&server, "/bad", 10.0)]).collect();
    let ended = run(&["run", "--unbounded", "-"], crowd).await;
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(1), 21), "{ended:#?}");
    let story: Vec<&str> = ended.stderr.lines().collect();
    let [first, failed, counts, work] = story[..] else { panic!("{ended:#?}") };
    assert_eq!((first, counts), ("21 polls", "21 polls: 20 matched, 1 failed"));
    assert!(work.starts_with("21 requests in ") && work.contains(": half within "), "{work}");
    assert!(failed.contains("/bad: failed after 1 attempt: the failure filter matched"), "{failed}");
    // With one poll fewer, each attempt and each outcome is printed.
    let few: String = (0..20)
        .map(|number| spec(&server, "/good", 10.0).replacen("/good", &format!("good-{number}"), 1))
        .collect();
    let ended = run(&["run", "--unbounded", "-"], few).await;
    assert_eq!(ended.stderr.lines().count(), 1 + 20 * 2 + 1, "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_invalid_spec_prevents_all_requests() {
    let server = server().await;
    let good = spec(&server, "/good", 10.0);
    let bad = good.replace("0.02", "\"often\"").replace("FAILED", "LATE");
    run(&["run", "--unbounded", "-"], format!("{good}\n{bad}"))
        .await
        .expect(2, "")
        .stderr_contains("--> standard input:3:")
        .stderr_contains("interval");
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_apply_without_unbounded() {
    let server = server().await;
    run(&["run", "-"], spec(&server, "/good", 30.0)).await.expect(2, "").stderr_contains("interval");
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_spec_twice_is_one_poll() {
    let server = server().await;
    let good = spec(&server, "/good", 10.0);
    let ended =
        run(&["run", "--unbounded", "-"], format!("{good}\n{good}")).await.stderr_contains("it runs once");
    // Two specs were given, so the output is that of several.
    assert_eq!(lines(&ended.stdout), [("/good".to_owned(), "matched".to_owned())]);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_for_two_specs_is_a_conflict() {
    let server = server().await;
    let (one, other) = (spec(&server, "/good", 10.0), spec(&server, "/good", 2.0));
    run(&["run", "--unbounded", "-"], format!("{one}\n{other}"))
        .await
        .expect(2, "")
        .stderr_contains("the same key as the one at standard input:1 but differs in /timeout");
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_input_and_arrays_are_rejected() {
    run(&["run", "-"], " \n").await.expect(2, "").stderr_contains("standard input holds no spec");
    run(&["run", "-"], r#"[{"url":"http://127.0.0.1:1"}]"#)
        .await
        .expect(2, "")
        .stderr_contains("one after the other");
    run(&["run", "no/such/file"], "").await.expect(2, "").stderr_contains("cannot read no/such/file: ");
}
