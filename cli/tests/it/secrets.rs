//! No command shows a secret: not in its story, its results, its errors, nor in the files it leaves behind.
//!
//! As in the library's own test each secret has a marker of its own, and the server sees all of them.

use serde_json::json;
use test_support::{ClosedPort, Reply, Script, Server};

use crate::process::{ProcessOutput, command, finish, run};
use crate::store::Folder;

const SECRETS: [&str; 7] = [
    "leak-by-authorization",
    "leak-by-api-key",
    "leak-by-reference",
    "leak-by-redacted-string",
    "leak-by-body",
    "leak-by-file",
    "leak-by-password",
];

fn spec(key: &str, url: &str, timeout: f64) -> String {
    json!({
        "cacheKey": key, "url": url, "interval": 0.02, "timeout": timeout,
        "requestInit": {
            "method": "POST",
            "headers": {
                "authorization": "Bearer leak-by-authorization",
                "x-api-key": "leak-by-api-key",
                "x-token": {"$secret": "env:TOKEN"},
                "x-signed": {"__redactedString": true, "strings": ["v1=", ""], "interpolations": ["leak-by-redacted-string"]},
            },
            "body": {"$secret": "env:BODY"},
        },
        "responseFilter": {"body": {"status": ["SUCCESS"]}},
        "failureFilter": {"body": {"status": ["FAILED"]}},
    })
    .to_string()
}

/// Runs a command with the secrets in its environment; everything that it printed must be free of them.
async fn poll(arguments: &[&str], input: &str) -> ProcessOutput {
    let mut command = command(arguments);
    command.env("POLL_SEAL_KEY", "ab".repeat(32)).env("TOKEN", SECRETS[2]).env("BODY", SECRETS[4]);
    let ended = finish(command.spawn().unwrap(), input).await;
    for secret in SECRETS {
        assert!(!ended.stdout.contains(secret), "{arguments:?} prints {secret}: {ended:#?}");
        assert!(!ended.stderr.contains(secret), "{arguments:?} tells {secret}: {ended:#?}");
    }
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_shows_a_secret() {
    let server = Server::start(
        Script::new()
            .on("/good", [Reply::new(500), Reply::json(r#"{"status":"SUCCESS"}"#)])
            .on("/bad", [Reply::json(r#"{"status":"FAILED"}"#)])
            .on("/locked", [Reply::json("{}").status(401)]),
    )
    .await;
    let folder = Folder::new();
    let file = folder.file();
    let closed = ClosedPort::new();
    let (good, bad, locked) = (
        spec("good", &server.url("/good"), 60.0),
        spec("bad", &server.url("/bad"), 60.0),
        spec("locked", &server.url("/locked"), 60.0),
    );
    let refused = spec("refused", &closed.url("/"), 0.2);
    let all = [&*good, &*bad, &*locked, &*refused].join("\n");

    assert_eq!(poll(&["run", "--unbounded", "-"], &all).await.code, Some(1));
    assert_eq!(poll(&["run", "--unbounded", "-"], &good).await.code, Some(0));
    assert_eq!(
        poll(&["check", "-"], &all.replace("SUCCESS", "")).await.code,
        Some(1),
        "its interval is too short"
    );
    // An error on the very line of the secrets, in JSON and in what is not.
    assert_eq!(poll(&["run", "-"], &good.replace("\"interval\"", "\"intervall\"")).await.code, Some(2));
    assert_eq!(poll(&["run", "-"], &good.replace("\"url\"", "url")).await.code, Some(2));
    for broken in [r#"{"x-session": "leak-by-api-key",,}"#, "{'x-session':\n'leak-by-api-key'}"] {
        poll(&["check", "-"], broken).await.expect(1, "").stderr_contains("x-session");
    }
    let password = good.replace("http://", "http://user:leak-by-password@");
    poll(&["run", "--unbounded", "-"], &password).await.expect(2, "").stderr_contains("header");

    assert_eq!(poll(&["submit", "--store", &file, "--unbounded", "--json", "-"], &all).await.code, Some(0));
    let changed = good.replace("leak-by-api-key", "leak-by-api-key-changed");
    poll(&["submit", "--store", &file, "--unbounded", "-"], &changed)
        .await
        .expect(2, "")
        .stderr_contains("x-api-key");
    poll(&["list", "--store", &file], "").await.stderr_contains("4 polls: 4 open");
    assert!(poll(&["show", "--store", &file, "good"], "").await.stdout.contains("x-api-key"));
    assert_eq!(poll(&["run", "--store", &file], "").await.code, Some(1));
    assert!(poll(&["show", "--store", &file, "good"], "").await.stdout.contains("timeline"));
    assert!(poll(&["show", "--store", &file, "--json", "locked"], "").await.stdout.contains("gave up"));
    poll(&["cancel", "--store", &file, "--json", "refused"], "").await;
    assert_eq!(poll(&["list", "--store", &file, "--json"], "").await.stdout.lines().count(), 4);

    let secret_file = folder.path().join("token");
    std::fs::write(&secret_file, "leak-by-file").unwrap();
    let header = format!("x-file: Bearer @{}", secret_file.display());
    let wait = ["wait", &server.url("/good"), "-H", "authorization: env:TOKEN", "-H", &header];
    assert_eq!(poll(&wait, "").await.code, Some(0));
    std::fs::remove_file(secret_file).unwrap();
    poll(&wait, "").await.expect(2, "").stderr_contains("token");

    let sent: String = server
        .requests()
        .iter()
        .map(|received| format!("{received:?} {}", String::from_utf8_lossy(&received.body)))
        .collect();
    for secret in &SECRETS[..6] {
        assert!(sent.contains(secret), "{secret} was not sent, so it could not leak");
    }
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} is in {}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echoed_secret_is_redacted_in_progress_and_unchanged_in_the_body() {
    let server = Server::start(Script::from_fn(|_, received| {
        let sent: Vec<_> = received.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let echo = json!({"status": sent, "body": String::from_utf8_lossy(&received.body)});
        // Longer than the poll has time: it ends with this response.
        Reply::json(echo.to_string()).status(202).header("retry-after", "1000")
    }))
    .await;
    let folder = Folder::new();
    let sent = spec("echo", &server.url("/"), 60.0).replace(r#"["FAILED"]"#, r#"["never"]"#);
    let run = async |arguments: &[&str], input: &str| {
        let mut command = command(arguments);
        command.env("POLL_SEAL_KEY", "ab".repeat(32)).env("TOKEN", SECRETS[2]).env("BODY", SECRETS[4]);
        finish(command.spawn().unwrap(), input).await
    };
    let told = |text: &str| {
        assert!(text.contains("[secret]"), "nothing is quoted: {text}");
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} is told: {text}");
        }
    };
    let ended = run(&["run", "--store", &folder.file(), "--unbounded", "--json", "-"], &sent).await;
    assert_eq!(ended.code, Some(124), "{ended:#?}");
    told(&ended.stderr);
    let outcome: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let body = outcome["response"]["body"].to_string();
    for secret in &SECRETS[..5] {
        assert!(body.contains(secret), "the response is the user's: {body}");
    }
    told(&outcome["history"].to_string());
    told(&outcome["explanation"].to_string());
    told(&run(&["show", "--store", &folder.file(), "echo"], "").await.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_hides_header_values_in_broken_json() {
    for headers in [
        r#""x-session": "s3cret" // a comment"#,
        "'x-session': 's3cret'",
        r#""x-session": 's3cret'"#,
        r#""x-session": "s3cret" "accept": "a/b""#,
        "\"x-session\":\n\"s3cret\",,",
        "\"x-session\": \"s3cret\n",
        r#""x-session": ["a", "s3cret",,]"#,
        r#""x-session": s3cret"#,
        r#""authorization": "Bearer s3cret" "accept": "a/b""#,
    ] {
        let spec = format!(r#"{{"url": "http://a", "requestInit": {{"headers": {{{headers}}}}}}}"#);
        for command in ["check", "run"] {
            let refused = run(&[command, "-"], &spec).await;
            assert!(matches!(refused.code, Some(1 | 2)), "{refused:#?}");
            assert!(!refused.stderr.contains("s3cret"), "{headers}: {}", refused.stderr);
        }
    }
}

/// `poll COMMAND --store FILE ARGUMENTS` with variables.
async fn with(folder: &Folder, variables: &[(&str, &str)], arguments: &[&str], input: &str) -> ProcessOutput {
    let arguments = folder.arguments(arguments);
    let mut command = command(&arguments.iter().map(|text| &**text).collect::<Vec<_>>());
    command.envs(variables.iter().copied());
    finish(command.spawn().unwrap(), input).await
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_of_the_store_use_only_the_secrets_that_are_allowed() {
    let server = Server::start(Script::new().on("/job", [Reply::json(r#"{"status":"SUCCESS"}"#)])).await;
    let folder = Folder::new();
    let spec = json!({
        "cacheKey": "a", "url": server.url("/job"), "interval": 0.02, "timeout": 60, "giveUp": {"after": 1},
        "requestInit": {"headers": {"authorization": {"$secret": "env:TOKEN", "prefix": "Bearer "}}},
    })
    .to_string();
    let origin = server.url("");
    let rule = format!("env:TOKEN@{origin}");
    let token = [("TOKEN", "leak-by-reference")];
    with(&folder, &token, &["submit", "--unbounded", "-"], &spec)
        .await
        .expect(0, "a\n")
        .stderr_contains(&format!("--allow-secret {rule}"));

    // Neither without a rule, nor with one for another secret or another origin.
    let port = server.url("").rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let (other_secret, other_origin) =
        (format!("env:HOME@{origin}"), format!("TOKEN@http://127.0.0.1:{}", port ^ 1));
    for rules in [&[][..], &["--allow-secret", &other_secret, "--allow-secret", &other_origin]] {
        let arguments = [&["run", "--json"], rules].concat();
        let ended = with(&folder, &token, &arguments, "").await;
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        let ended = ended.stderr_contains(&format!("--allow-secret {rule}"));
        assert!(!format!("{ended:?}").contains("leak-by-reference"), "{ended:#?}");
        assert!(server.requests().is_empty(), "nothing is sent without it");
        with(&folder, &token, &["submit", "--unbounded", "--fresh", "-"], &spec).await.expect(0, "a\n");
    }
    let ended = with(&folder, &token, &["run", "--json", "--allow-secret", &rule], "").await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer leak-by-reference"));

    // A spec that is named needs no rule, also if the store had the poll before.
    with(&folder, &token, &["submit", "--unbounded", "--fresh", "-"], &spec).await.expect(0, "a\n");
    let ended = with(&folder, &token, &["run", "--unbounded", "--json", "-"], &spec).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(server.requests().len(), 2);

    let wrong = run(&["run", "--store", &folder.file(), "--allow-secret", "TOKEN"], "").await;
    wrong.expect(2, "").stderr_contains("expected NAME@ORIGIN");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_store_changes() {
    let server = Server::start(Script::new().on("/job", [Reply::json(r#"{"status":"SUCCESS"}"#)])).await;
    let folder = Folder::new();
    let (old, new) = ("ab".repeat(32), "cd".repeat(32));
    let spec = |key: &str| {
        json!({"cacheKey": key, "url": server.url("/job"), "interval": 0.02, "timeout": 60,
            "requestInit": {"headers": {"authorization": "Bearer leak-by-authorization"}}})
        .to_string()
    };
    let submit = ["submit", "--unbounded", "-"];
    with(&folder, &[("POLL_SEAL_KEY", &old)], &submit, &spec("a")).await.expect(0, "a\n");
    // Another key stops the polls of the first one, and nothing else.
    with(&folder, &[("POLL_SEAL_KEY", &new)], &submit, &spec("b")).await.expect(0, "b\n");
    let ended = with(&folder, &[("POLL_SEAL_KEY", &new)], &["run", "--json"], "").await;
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    let ended = ended.stderr_contains("1 poll was not run (a)").stderr_contains("POLL_SEAL_KEY_OLD");
    assert!(ended.stdout.starts_with(r#"{"key":"b","outcome":"matched""#), "{ended:#?}");
    assert_eq!((folder.state("a").await, server.requests().len()), ("open".to_owned(), 1));

    folder.poll(&["reseal"], "").await.expect(2, "").stderr_contains("POLL_SEAL_KEY");
    let only_old = with(&folder, &[("POLL_SEAL_KEY_OLD", &old)], &["reseal"], "").await;
    only_old.expect(2, "").stderr_contains("POLL_SEAL_KEY_OLD is set and POLL_SEAL_KEY is not");
    let missing = with(&folder, &[("POLL_SEAL_KEY", &new)], &["reseal"], "").await;
    assert_eq!(missing.code, Some(1), "{missing:#?}");
    assert!(missing.stdout.contains("1 poll is sealed with the key "), "{missing:#?}");
    let keys = [("POLL_SEAL_KEY", &*new), ("POLL_SEAL_KEY_OLD", &*old)];
    let ended = with(&folder, &keys, &["reseal", "--json"], "").await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let told: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    crate::json::holds_to("A store sealed anew", &told, &[]);
    assert_eq!((&told["resealed"], &told["kept"], &told["otherKeys"]), (&json!(1), &json!(1), &json!({})));
    let ended = with(&folder, &[("POLL_SEAL_KEY", &new)], &["run", "--json"], "").await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_are_allowed_by_number() {
    let folder = Folder::new();
    // Nobody is asked: submitting only checks the address.
    let spec = json!({"cacheKey": "a", "url": "http://169.254.7.1/job"}).to_string();
    with(&folder, &[], &["submit", "-"], &spec).await.expect(2, "").stderr_contains("--allow-network");
    for allowed in ["169.254.7.0/24", "169.254.7.1"] {
        with(&folder, &[], &["submit", "--allow-network", allowed, "-"], &spec).await.expect(0, "a\n");
    }
    // A wider network does not open a metadata service.
    let metadata = json!({"cacheKey": "m", "url": "http://169.254.169.254/"}).to_string();
    let wide = ["submit", "--allow-network", "169.254.0.0/16", "-"];
    with(&folder, &[], &wide, &metadata)
        .await
        .expect(2, "")
        .stderr_contains("a wider allowed network does not open");
    let wait = ["wait", "http://169.254.7.1/", "--give-up", "1", "--timeout", "5s"];
    let refused = run(&wait, "").await;
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    assert!(refused.stderr.contains("--allow-network"), "{refused:#?}");
    let wrong = run(&["wait", "http://127.0.0.1/", "--allow-network", "localhost"], "").await;
    wrong.expect(2, "").stderr_contains("expected a network such as 10.1.0.0/16");
}
