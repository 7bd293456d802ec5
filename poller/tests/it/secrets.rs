//! No secret reaches any outlet: not a log, a metric, an event, a `Debug`, an error, the statistics or the store's files.
//!
//! Each secret has a marker of its own, so that a leak says which way it took. Polls of every outcome are run with all of
//! them, against a real server that gets to see them and does not repeat them.

use std::fmt::Write as _;
use std::path::Path;

use metrics_util::debugging::DebuggingRecorder;
use poller::PollKey;
use poller::http::{Guard, HttpClient};
use poller::secret::{SecretError, SecretRef, SecretResolver};
use poller::store::StoreAdmin as _;
use poller::{Limits, PollSpec, Poller, SealKey, SpecOptions, SqliteStore};
use secrecy::SecretString;
use serde_json::{Value, json};
use test_support::{ClosedPort, Reply, Script, Server};
use url::Url;

use crate::observe::Written;

/// The secrets, named by their place. The second list is in the spec in clear, by the choice of its author: a store and
/// `Serialize` keep it, logs and events do not show it.
const SECRETS: [&str; 7] = [
    "leak-by-authorization",
    "leak-by-api-key",
    "leak-by-cookie",
    "leak-by-reference",
    "leak-by-redacted-string",
    "leak-by-body-reference",
    "leak-by-password",
];
const IN_CLEAR: [&str; 3] = ["leak-by-query", "leak-by-path", "leak-by-plain-body"];

#[derive(Debug)]
struct Vault;

impl SecretResolver for Vault {
    fn resolve(&self, reference: &SecretRef, _: &Url) -> Result<SecretString, SecretError> {
        match reference.to_string().as_str() {
            "env:HEADER" => Ok(SecretString::from("leak-by-reference")),
            "env:BODY" => Ok(SecretString::from("leak-by-body-reference")),
            other => Err(SecretError::new(format!("no {other} here"))),
        }
    }
}

fn spec(url: &str, members: &Value) -> PollSpec {
    let mut spec = json!({
        "url": format!("{url}/leak-by-path?token=leak-by-query"), "interval": 0.01, "timeout": 30,
        "requestInit": {
            "method": "POST",
            "headers": {
                "authorization": "Bearer leak-by-authorization",
                "x-api-key": "leak-by-api-key",
                "cookie": "session=leak-by-cookie",
                "x-token": {"$secret": "env:HEADER"},
                "x-signed": {"__redactedString": true, "strings": ["v1=", ""], "interpolations": ["leak-by-redacted-string"]},
            },
            "body": {"$secret": "env:BODY"},
        },
        "responseFilter": {"body": {"status": ["SUCCESS"]}},
        "failureFilter": {"body": {"status": ["FAILED"]}},
    });
    merge(&mut spec, members);
    SpecOptions::new().limits(Limits::unbounded()).parse(&spec.to_string()).unwrap()
}

fn merge(into: &mut Value, members: &Value) {
    match (into, members) {
        (Value::Object(into), Value::Object(members)) => {
            for (name, value) in members {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, value) => *into = value.clone(),
    }
}

fn nowhere(text: &str, secrets: &[&str], outlet: &str) {
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} is in the {outlet}:\n{text}");
    }
}

/// All bytes of all files of a folder, as text.
fn files(folder: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        // The last connection removes the files beside a store, perhaps now.
        let Ok(bytes) = std::fs::read(entry.unwrap().path()) else { continue };
        all.push_str(&String::from_utf8_lossy(&bytes));
    }
    all
}

/// Runs polls of every outcome; everything that can be shown of them is written into `shown`.
async fn run_all(server: &Server, folder: &Path, shown: &mut String) {
    let client = HttpClient::builder().guard(Guard::local()).system_roots(false).build().unwrap();
    let key = SealKey::parse(&"ab".repeat(32)).unwrap();
    let store = SqliteStore::open_sealed(folder.join("polls.db"), Some(key.clone())).unwrap();
    let builder = Poller::builder()
        .fetch(client.clone())
        .limits(Limits::unbounded())
        .secrets(Vault)
        .store(store.clone());
    let _ = writeln!(shown, "{key:?} {client:?} {builder:?} {store:?}");
    let poller = builder.build().await.unwrap();
    let closed = ClosedPort::new();
    let plain = SpecOptions::new().limits(Limits::unbounded()).parse(
        &json!({"url": server.url("/success"), "requestInit": {"method": "POST", "body": "leak-by-plain-body"}})
            .to_string(),
    );
    for (name, spec) in [
        ("matched", spec(&server.url("/success"), &json!({}))),
        ("failed", spec(&server.url("/failed"), &json!({}))),
        ("gave-up", spec(&server.url("/unauthorized"), &json!({}))),
        ("timed-out", spec(&server.url("/pending"), &json!({"timeout": 0.1}))),
        ("refused", spec(&closed.url(""), &json!({"timeout": 0.1}))),
        ("redirected", spec(&server.url("/redirect"), &json!({"timeout": 0.1}))),
        ("hinted", spec(&server.url("/limited"), &json!({}))),
        (
            "unresolved",
            spec(
                &server.url("/success"),
                &json!({"requestInit": {"headers": {"x-b": {"$secret": "env:B"}}}}),
            ),
        ),
        ("plain", plain.unwrap()),
    ] {
        let _ = writeln!(shown, "{spec:?} {}", serde_json::to_string(&spec).unwrap());
        let _ = writeln!(shown, "{:?} {:?} {:?}", spec.request(), spec.warnings(), spec.response_filter());
        let poll = poller.submit(name, spec.clone()).await.unwrap();
        let mut events = poll.events();
        let _ = writeln!(shown, "{poll:?} {events:?}");
        while let Some(event) = events.next().await {
            let _ = writeln!(shown, "{event:?}");
        }
        let outcome = poll.outcome().await.unwrap();
        let _ = writeln!(shown, "{outcome:?} {}", serde_json::to_string(&*outcome).unwrap());
        let other = SpecOptions::new().limits(Limits::unbounded());
        let other = other.parse(&json!({"url": server.url("/success")}).to_string()).unwrap();
        let conflict = poller.submit(name, other).await.unwrap_err();
        let _ = writeln!(shown, "{conflict} {conflict:?} {:?}", spec.differences(&spec));
        if let Err(error) = poller.background_poll::<u32>(name, spec).await {
            let _ = writeln!(shown, "{error} {error:?}");
        }
        let _ = writeln!(shown, "{:?}", poller.get(name).await.unwrap());
    }
    let open =
        poller.scope("run-17").submit("open", spec(&server.url("/pending"), &json!({}))).await.unwrap();
    assert!(open.events().next().await.is_some());
    let unsealed = SqliteStore::open(folder.join("unsealed.db")).unwrap();
    let refused = unsealed.admits(&spec(&server.url("/success"), &json!({}))).unwrap_err();
    let with_password =
        PollSpec::parse(&json!({"url": "http://user:leak-by-password@localhost/"}).to_string());
    let _ = writeln!(shown, "{refused} {refused:?} {0} {0:?}", with_password.unwrap_err());
    let _ = writeln!(shown, "{poller:?} {:?} {:?}", poller.stats(), poller.list().await.unwrap());
    let _ = writeln!(shown, "{:?} {:?}", store.summaries().await.unwrap(), poller.shutdown().await);
    let _ = writeln!(shown, "{:?}", store.summary(PollKey::new("run-17", "open")).await.unwrap());
}

#[tokio::test]
async fn no_secret_is_in_any_outlet() {
    let server = Server::start(Script::from_fn(|_, received| {
        match received.path.trim_end_matches("/leak-by-path?token=leak-by-query") {
            "/success" => Reply::json(r#"{"status":"SUCCESS"}"#),
            "/failed" => Reply::json(r#"{"status":"FAILED"}"#),
            "/unauthorized" => Reply::json("{}").status(401),
            "/redirect" => Reply::redirect(307, "http://127.0.0.1:1/elsewhere"),
            "/limited" => Reply::json("{}").status(429).header("retry-after", "1000"),
            _ => Reply::json(r#"{"status":"PENDING"}"#),
        }
    }))
    .await;
    let folder = tempfile::tempdir().unwrap();
    let written = Written::default();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let mut shown = String::new();
    {
        let _subscriber = written.listen(tracing::Level::TRACE);
        let _recorder = metrics::set_default_local_recorder(&recorder);
        run_all(&server, folder.path(), &mut shown).await;
    }

    // The server received each of them; otherwise nothing could have leaked.
    let sent: String = server
        .requests()
        .iter()
        .map(|received| format!("{received:?} {}", String::from_utf8_lossy(&received.body)))
        .collect();
    for secret in SECRETS.iter().chain(&IN_CLEAR).filter(|secret| **secret != "leak-by-password") {
        assert!(sent.contains(secret), "{secret} was not sent: {sent}");
    }
    let all = [&SECRETS[..], &IN_CLEAR[..]].concat();
    let traced = written.text();
    assert!(traced.contains("poll ended") && traced.contains("TRACE"), "every level is recorded: {traced}");
    nowhere(&traced, &all, "log");
    nowhere(&format!("{:?}", snapshotter.snapshot().into_vec()), &all, "metrics");
    nowhere(&shown, &SECRETS, "text of events, errors and Debug");
    let stored = files(folder.path());
    assert!(stored.contains("leak-by-query"), "the files are those of the store");
    nowhere(&stored, &SECRETS, "store");
}

/// A long secret: a quote shows only its beginning.
const LONG: &str = "leak-at-length-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789-end";

#[tokio::test]
async fn an_echoed_secret_is_redacted_in_quotes_and_unchanged_in_the_response() {
    // The server echoes every header and the body in fields that the filters name, and in a header.
    let server = Server::start(Script::from_fn(|_, received| {
        let header = |name: &str| {
            received.headers.iter().find(|(sent, _)| sent == name).map_or("", |(_, value)| value)
        };
        let body = String::from_utf8_lossy(&received.body);
        let sent: Vec<_> = received.headers.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let echo = json!({
            "status": header("authorization"), "cookie": header("cookie"), "all": sent,
            "nested": {"key": header("x-api-key"), "body": body, "token": header("x-token")},
            "signed": header("x-signed"), "long": header("x-long"),
        });
        let reply = Reply::json(echo.to_string()).header("x-echo", header("x-token"));
        match received.path.split('/').nth(1) {
            Some("unauthorized") => reply.status(401),
            // A hint past the deadline: the poll ends with this response.
            _ => reply.status(202).header("retry-after", "1000"),
        }
    }))
    .await;
    let filter = json!({
        "status": ["SUCCESS"], "cookie": ["x"], "nested": {"key": ["x"], "body": ["x"], "token": ["x"]},
        "signed": ["x"], "long": ["x"], "all": [{"$includes": "x"}],
    });
    let members = json!({
        "requestInit": {"headers": {"x-long": {"__redactedString": true, "strings": ["", ""], "interpolations": [LONG]}}},
        "responseFilter": {"headers": {"x-echo": ["x"]}, "body": filter},
    });
    let failing = json!({
        "failureFilter": {
            "headers": {"x-echo": [{"$exists": true}]},
            "body": {"status": [{"$exists": true}], "long": [{"$exists": true}], "nested": {"body": [{"$exists": true}]}},
        }
    });
    let written = Written::default();
    let _subscriber = written.listen(tracing::Level::TRACE);
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open_sealed(
        folder.path().join("polls.db"),
        Some(SealKey::parse(&"ab".repeat(32)).unwrap()),
    );
    let client = HttpClient::builder().guard(Guard::local()).system_roots(false).build().unwrap();
    let poller = Poller::builder()
        .fetch(client)
        .limits(Limits::unbounded())
        .secrets(Vault)
        .store(store.unwrap())
        .build()
        .await
        .unwrap();
    for (name, path, also, ending) in [
        ("header", "/later", json!({}), "timed out"),
        (
            "body",
            "/later",
            json!({"responseFilter": {"headers": {"x-echo": [{"$exists": true}]}}}),
            "timed out",
        ),
        ("failed", "/later", failing, "failed"),
        ("gave-up", "/unauthorized", json!({}), "failed"),
    ] {
        let mut members = members.clone();
        merge(&mut members, &also);
        let poll = poller.submit(name, spec(&server.url(path), &members)).await.unwrap();
        let mut told = String::new();
        let mut events = poll.events();
        while let Some(event) = events.next().await {
            let _ = writeln!(told, "{event:?}");
        }
        let outcome = poll.outcome().await.unwrap();
        assert_eq!(outcome.name(), ending, "{name}: {outcome:?}");
        let _ = writeln!(told, "{outcome:?} {:?}", outcome.explanation());
        assert!(told.contains("[secret]"), "nothing was quoted of {name}: {told}");
        nowhere(&told, &SECRETS, "outcome and events");
        nowhere(&told, &["leak-at-length"], "outcome and events");
        // The response is the user's data, equal from the store and from the engine.
        let response = outcome.response().unwrap();
        let body = String::from_utf8_lossy(response.body());
        for secret in SECRETS.iter().filter(|secret| **secret != "leak-by-password").chain([&LONG]) {
            assert!(body.contains(secret), "{secret} is not in the body of {name}: {body}");
        }
        assert_eq!(response.headers().get("x-echo"), Some("leak-by-reference"));
        let stored = poller.get(name).await.unwrap().unwrap().outcome.unwrap();
        assert_eq!(stored, outcome);
    }
    nowhere(&written.text(), &SECRETS, "log");
}
