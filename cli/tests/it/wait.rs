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
async fn parameters_are_appended_and_their_secrets_never_shown() {
    let server = serve([Reply::new(503), Reply::json("{}")]).await;
    let url = server.url("/job?page=1");
    let query = ["--query", "key=env:POLL_TEST_KEY", "--query", "q=a&b c", "--query", r"user=\@home"];
    let mut command = command(&["wait", &url, "--every", "100ms", "--json"]);
    let child = command.args(query).env("POLL_TEST_KEY", "s3cret/of=42").spawn().unwrap();
    let ended = finish(child, "").await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(!ended.stdout.contains("s3cret") && !ended.stderr.contains("s3cret"), "{ended:#?}");
    assert_eq!(server.requests()[1].path, "/job?page=1&key=s3cret%2Fof%3D42&q=a%26b+c&user=%40home");

    for (arguments, expected) in [
        (
            vec!["--query", "key=env:POLL_TEST_UNSET"],
            "--query key: the environment variable \"POLL_TEST_UNSET\" is not set",
        ),
        (
            vec!["--query", "a=1", "--query", "a=2"],
            "--query a is given twice; write repeated ones into the URL",
        ),
    ] {
        let arguments = [vec!["wait", &url], arguments].concat();
        run(&arguments, "").await.expect(2, "").stderr_contains(expected);
    }
    // A plain one that looks like a secret is told, and is not shown either.
    let ended = run(&["wait", &url, "--query", "token=plain-s3cret"], "").await.expect(0, "{}");
    assert!(!ended.stderr.contains("plain-s3cret"), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_page_ends_no_wait_without_a_filter() {
    let page = || Reply::new(200).header("content-type", "text/html").body("<html>Sign in");
    let script = Script::new().on("/job", [Reply::redirect(302, "/login")]).on("/login", [page()]);
    let server = Server::start(script).await;
    let wait = ["wait", &server.url("/job"), "--every", "100ms", "--timeout", "150ms"];
    run(&wait, "").await.expect(124, "").stderr_contains("HTML page elsewhere").stderr_contains("/login");
    run(&[&wait[..], &["--consecutive", "2"]].concat(), "").await.expect(124, "");
    run(&[&wait[..], &["--until", r#"{"status":["2xx"]}"#]].concat(), "").await.expect(0, "<html>Sign in");
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_are_kept_on_request() {
    let script = Script::from_fn(|_, request| match request.header("cookie") {
        Some("session=1") => Reply::text("in"),
        _ => Reply::new(401).header("set-cookie", "session=1"),
    });
    let server = Server::start(script).await;
    let wait = ["wait", &server.url("/job"), "--every", "100ms", "--give-up", "2"];
    run(&wait, "").await.expect(1, "");
    run(&[&wait[..], &["--cookies"]].concat(), "").await.expect(0, "in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_replaced_while_the_poll_runs_is_read_anew() {
    let good = |sent: &test_support::Received| sent.header("authorization") == Some("Bearer new-token");
    let script = Script::from_fn(move |_, sent| if good(sent) { Reply::text("ok") } else { Reply::new(401) });
    let server = Server::start(script).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "old-token\n").unwrap();
    let header = format!("authorization: Bearer @{}", file.display());
    let child =
        command(&["wait", &server.url("/job"), "--every", "100ms", "--give-up", "never", "-H", &header])
            .spawn();
    server.arrived(0).await;
    let replacement = folder.path().join("replacement");
    std::fs::write(&replacement, "new-token\n").unwrap();
    std::fs::rename(replacement, &file).unwrap();
    let ended = finish(child.unwrap(), "").await.expect(0, "ok");
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer old-token"));
    assert!(!ended.stderr.contains("-token"), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn intervals_may_grow() {
    let server = serve([Reply::new(503), Reply::new(503), Reply::text("up")]).await;
    run(&["wait", &server.url("/job"), "--backoff", "100ms..1s"], "")
        .await
        .expect(0, "up")
        .stderr_contains("every 100ms to 1s for 10m at most");
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
    run(&["wait", url, "-H", "te: b"], "").await.expect(2, "").stderr_contains("error: --header te: ");
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
