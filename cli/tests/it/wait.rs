//! `poll wait`: what its arguments make of the request and of the filters.

use test_support::{Authority, Reply, Script, Server};

use crate::process::{command, finish, run};

async fn serve(replies: impl IntoIterator<Item = Reply>) -> Server {
    Server::start(Script::new().on("/job", replies)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_filter_any_2xx_matches() {
    let server = serve([Reply::new(503), Reply::text("up")]).await;
    run(&["wait", &server.url("/job"), "--every", "100ms"], "")
        .await
        .expect(0, "up")
        .stderr_contains("until a response is 2xx");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_filter_is_distinguished_from_a_response_filter() {
    let body = r#"{"status":"SUCCESS"}"#;
    let server = serve([Reply::json(body)]).await;
    let url = server.url("/job");
    let wait = async |until: &str| run(&["wait", &url, "--until", until], "").await;
    wait(r#"{"status":["SUCCESS"]}"#).await.expect(0, body).stderr_contains("until the body matches");
    wait(r#"{"status":[200]}"#).await.expect(0, body).stderr_contains("until the response matches");
    wait(r#"{"status":[200],"body":{"status":["SUCCESS"]}}"#).await.expect(0, body);
    run(&["wait", &url, "--until", r#"{"status":[404]}"#, "--timeout", "100ms"], "").await.expect(124, "");
    run(&["wait", &url, "--until-body", r#"{"status":[200]}"#, "--timeout", "100ms"], "")
        .await
        .expect(124, "");
    run(&["wait", &url, "--fail-if-body", r#"{"status":["SUCCESS"]}"#], "").await.expect(1, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_by_reference_are_sent_and_never_shown() {
    let server = serve([Reply::json("{}")]).await;
    let url = server.url("/job");
    let mut command = command(&[
        "wait",
        &url,
        "--json",
        "-H",
        "authorization: Bearer env:POLL_TEST_TOKEN",
        "-H",
        "X-Plain: a, b",
        "--data",
        "@-",
    ]);
    let child = command.env("POLL_TEST_TOKEN", "s3cret").spawn().unwrap();
    let ended = finish(child, b"\xff{").await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(!ended.stdout.contains("s3cret") && !ended.stderr.contains("s3cret"), "{ended:#?}");
    let request = &server.requests()[0];
    assert_eq!(request.header("authorization"), Some("Bearer s3cret"));
    assert_eq!(request.header("x-plain"), Some("a, b"));
    assert_eq!((&*request.method, &*request.body), ("POST", &b"\xff{"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_prevents_the_first_request() {
    let server = serve([Reply::json("{}")]).await;
    let url = server.url("/job");
    run(&["wait", &url, "-H", "a: env:POLL_TEST_NO_SUCH"], "")
        .await
        .expect(2, "")
        .stderr_contains("\"POLL_TEST_NO_SUCH\" is not set");
    run(&["wait", &url, "-H", "a: @/no/such"], "")
        .await
        .expect(2, "")
        .stderr_contains("cannot read /no/such");
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_point_into_their_arguments() {
    let url = "http://127.0.0.1:1/";
    run(&["wait", url, "--until", r#"{"status":{"$startWith":"S"}}"#], "")
        .await
        .expect(2, "")
        .stderr_contains(" --> --until:1:12")
        .stderr_contains("did you mean \"$startsWith\"?");
    run(&["wait", url, "--fail-if", "{"], "").await.expect(2, "").stderr_contains(" --> --fail-if:1:2");
    run(&["wait", "ftp://a"], "").await.expect(2, "").stderr_contains("error: URL: ");
    run(&["wait", url, "--method", "CONNECT"], "").await.expect(2, "").stderr_contains("error: --method: ");
    run(&["wait", url, "-H", "host: b"], "").await.expect(2, "").stderr_contains("error: --header host: ");
    run(&["wait", url, "-H", "a: b", "-H", "A: c"], "").await.expect(2, "").stderr_contains("given twice");
    run(&["wait", url, "--every", "5 parsecs"], "").await.expect(2, "").stderr_contains("10s, 1.5m, 500ms");
    run(&["wait", url, "--every", "50ms"], "").await.expect(2, "").stderr_contains("100ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn max_body_limits_bodies() {
    let large = format!("\"{}\"", "x".repeat((10 << 20) - 1));
    let server = serve([Reply::json(&*large), Reply::json("{}")]).await;
    let url = server.url("/job");
    run(&["wait", &url, "--every", "100ms"], "")
        .await
        .expect(0, "{}")
        .stderr_contains("larger than the cap of 10485760 bytes")
        .stderr_contains("raise the cap (--max-body, ");
    let server = serve([Reply::json(&*large)]).await;
    let url = server.url("/job");
    let ended = run(&["wait", &url, "--max-body", "10485761"], "").await;
    assert!(ended.code == Some(0) && ended.stdout == large, "{:?} {}", ended.code, ended.stderr);
    let server = serve([Reply::json("[ 1, 2, 3 ]"), Reply::json("[1, 2, 3]")]).await;
    let spec = format!(r#"{{"url":"{}","interval":0.1,"timeout":60}}"#, server.url("/job"));
    run(&["run", "--unbounded", "--max-body", "0.01kB", "-"], spec).await.expect(0, "[1, 2, 3]");
}

#[tokio::test(flavor = "multi_thread")]
async fn cacert_adds_a_trusted_certificate() {
    let authority = Authority::new();
    let server =
        Server::start_tls(Script::new().on("/job", [Reply::text("ok")]), &authority.issue(["localhost"]))
            .await;
    let url = server.url_as("localhost", "/job");
    let file = std::env::temp_dir().join(format!("poll-ca-{}.pem", std::process::id()));
    std::fs::write(&file, authority.pem()).unwrap();
    let trusted = run(&["wait", &url, "--cacert", file.to_str().unwrap()], "").await;
    std::fs::remove_file(&file).unwrap();
    trusted.expect(0, "ok");
    run(&["wait", &url, "--every", "100ms"], "").await.expect(1, "").stderr_contains("certificate");
}
