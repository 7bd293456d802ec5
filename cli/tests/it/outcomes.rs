//! Each outcome of one poll: its exit code, standard output to the byte, and the story.

use test_support::{ClosedPort, Reply, Script, Server};

use crate::process::{command, finish, run};

const RUNNING: &str = r#"{"status":"RUNNING"}"#;
/// White space and all: it has to come out as it went in.
const SUCCESS: &str = "{ \"status\" :\t\"SUCCESS\",\n \"n\": 1.50 }\n";

async fn serve(replies: impl IntoIterator<Item = Reply>) -> Server {
    Server::start(Script::new().on("/job", replies)).await
}

/// A spec that asks `url` every 20 ms for ten seconds at most.
fn spec(url: &str) -> String {
    format!(
        r#"{{"url":"{url}","interval":0.02,"timeout":10,"responseFilter":{{"body":{{"status":["SUCCESS"]}}}},
            "failureFilter":{{"body":{{"status":["FAILED"]}}}}}}"#
    )
}

fn short_spec(url: &str) -> String {
    spec(url).replace("\"timeout\":10,", "\"timeout\":1.5,")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matched_body_is_printed_unchanged() {
    let server = serve([Reply::json(RUNNING), Reply::json(SUCCESS)]).await;
    run(&["run", "--unbounded", "-"], spec(&server.url("/job")))
        .await
        .expect(0, SUCCESS)
        .stderr_contains("#1 200 in ")
        .stderr_contains("expected \"SUCCESS\"")
        .stderr_contains("matched: 200 after 2 attempts");
    assert_eq!(server.requests().len(), 2);
    assert!(!server.overlapped("/job"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_documentation_works() {
    let server =
        serve([Reply::json(SUCCESS).header("content-type", "application/json; charset=utf-8")]).await;
    let example = r#"{"url":"URL","interval":10,"timeout":300,"responseFilter":{"status":[200],"headers":{"content-type":[{"$startsWith":"application/json"}]},"body":{"status":["SUCCESS"]}}}"#;
    let file = std::env::temp_dir().join(format!("poll-example-{}.json", std::process::id()));
    std::fs::write(&file, example.replace("URL", &server.url("/job"))).unwrap();
    let ended = run(&["run", file.to_str().unwrap()], "").await;
    std::fs::remove_file(&file).unwrap();
    ended.expect(0, SUCCESS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_ends_the_poll_and_prints_nothing() {
    let server = serve([Reply::json(RUNNING), Reply::json(r#"{"status":"FAILED"}"#)]).await;
    run(&["run", "--unbounded", "-"], spec(&server.url("/job")))
        .await
        .expect(1, "")
        .stderr_contains("failed after 2 attempts: the failure filter matched");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_401_gives_up_with_the_reason() {
    let server = serve([Reply::new(401)]).await;
    run(&["run", "--unbounded", "-"], spec(&server.url("/job")))
        .await
        .expect(1, "")
        .stderr_contains("failed after 5 attempts: gave up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_explains_the_missing_condition() {
    let server = serve([Reply::json(RUNNING)]).await;
    run(&["run", "--unbounded", "-"], short_spec(&server.url("/job")))
        .await
        .expect(124, "")
        .stderr_contains("timed out after ")
        .stderr_contains("is \"RUNNING\", expected \"SUCCESS\"");
    assert!(!server.overlapped("/job"));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_connections_are_retried_until_the_timeout() {
    let port = ClosedPort::new();
    run(&["run", "--unbounded", "-"], short_spec(&port.url("/job")))
        .await
        .expect(124, "")
        .stderr_contains("connect in ")
        .stderr_contains("× connect");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_request_ends_at_the_deadline() {
    let server = serve([Reply::stall()]).await;
    run(&["run", "--unbounded", "-"], short_spec(&server.url("/job"))).await.expect(124, "");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_do_not_end_a_poll() {
    let server = Server::start(Script::new().on("/done", [Reply::json(SUCCESS)]).on(
        "/job",
        [
            Reply::reset(),
            Reply::json(SUCCESS).reset_after(4),
            Reply::new(500),
            Reply::text("<html>not JSON</html>"),
            Reply::raw("not HTTP\r\n\r\n"),
            Reply::redirect(302, "/done"),
        ],
    ))
    .await;
    run(&["run", "--unbounded", "-"], spec(&server.url("/job")))
        .await
        .expect(0, SUCCESS)
        .stderr_contains("#2 reset")
        .stderr_contains("#3 500")
        .stderr_contains("an HTML page");
    assert!(!server.overlapped("/job"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_reference_in_a_spec_is_resolved() {
    let server = serve([Reply::json(SUCCESS)]).await;
    let with_secret = spec(&server.url("/job")).replacen(
        '{',
        r#"{"requestInit":{"headers":{"authorization":{"$secret":"env:POLL_TEST_SECRET"}}},"#,
        1,
    );
    let child = command(&["run", "--unbounded", "--json", "-"]).env("POLL_TEST_SECRET", "s3cret").spawn();
    let ended = finish(child.unwrap(), &with_secret).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(!ended.stdout.contains("s3cret") && !ended.stderr.contains("s3cret"), "{ended:#?}");
    assert_eq!(server.requests()[0].header("authorization"), Some("s3cret"));

    // Not an error of the spec: the one who runs it may set the variable yet. It is given up like a 401.
    run(&["run", "--unbounded", "-"], with_secret).await.expect(1, "").stderr_contains("POLL_TEST_SECRET");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_text_is_sanitized() {
    let hostile = "{\"status\":\"\\u001b[2J\u{9b}31m\u{202e}\"}";
    let server = serve([Reply::json(hostile), Reply::json(SUCCESS)]).await;
    let ended = run(&["run", "--unbounded", "-"], spec(&server.url("/job"))).await.expect(0, SUCCESS);
    assert!(!ended.stderr.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_prints_every_outcome() {
    let server = serve([Reply::json(r#"{"status":"FAILED"}"#)]).await;
    let ended = run(&["run", "--unbounded", "--json", "--quiet", "-"], spec(&server.url("/job"))).await;
    assert_eq!((ended.code, &*ended.stderr), (Some(1), ""), "{ended:#?}");
    let outcome: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(ended.stdout.lines().count(), 1);
    assert_eq!(outcome["outcome"], "failed");
    assert_eq!(outcome["response"]["body"]["status"], "FAILED");
    assert_eq!(outcome["attempts"], 1);
}
