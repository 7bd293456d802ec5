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
        // Of a status that no filter accepts nothing else is judged, and so nothing is quoted.
        assert!(name == "gave-up" || told.contains("[secret]"), "nothing was quoted of {name}: {told}");
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

/// A spec with these members only.
fn bare(url: &str, members: &Value) -> PollSpec {
    let mut spec = json!({"url": url});
    merge(&mut spec, members);
    SpecOptions::new().limits(Limits::unbounded()).parse(&spec.to_string()).unwrap()
}

/// A resolver that knows two secrets, of which one is new at each call.
struct Rotating(std::sync::atomic::AtomicU32);

impl SecretResolver for Rotating {
    fn resolve(&self, reference: &SecretRef, _: &Url) -> Result<SecretString, SecretError> {
        let count = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match reference.to_string().as_str() {
            "env:TOKEN" => Ok(format!("bare-token-{count}").into()),
            "env:EMPTY" => Ok(String::new().into()),
            _ => Ok("a b&c=déjà".into()),
        }
    }
}

#[tokio::test]
async fn references_have_text_around_them_and_may_be_parameters_and_are_resolved_at_each_sending() {
    let server = Server::start(Script::from_fn(|number, received| {
        let told = format!("{} {:?}", received.path, received.header("authorization"));
        if number < 2 {
            Reply::json(json!({"status": told}).to_string())
        } else {
            Reply::json(r#"{"status":"done"}"#)
        }
    }))
    .await;
    let members = json!({
        "interval": 0.01,
        "requestInit": {
            "headers": {"authorization": {"$secret": "env:TOKEN", "prefix": "Bearer ", "suffix": "/x"}, "host": "jobs.example:81"},
            "query": {"key": {"$secret": "env:KEY"}, "view": "full text"},
        },
        "responseFilter": {"body": {"status": "done"}},
    });
    let client = HttpClient::builder().guard(Guard::local()).system_roots(false).build().unwrap();
    let builder = Poller::builder().fetch(client).limits(Limits::unbounded());
    let poller = builder.secrets(Rotating(0.into())).build().await.unwrap();
    let spec = bare(&server.url("/job?id=1"), &members);
    assert_eq!(
        spec.to_value()["requestInit"]["headers"]["authorization"],
        members["requestInit"]["headers"]["authorization"]
    );
    let again: PollSpec =
        SpecOptions::new().limits(Limits::unbounded()).parse(&spec.to_value().to_string()).unwrap();
    assert!(again.differences(&spec).is_empty(), "{again:?}");
    let outcome = poller.submit("a", spec).await.unwrap().outcome().await.unwrap();
    assert_eq!(outcome.name(), "matched");
    let received = server.requests();
    let tokens: Vec<_> = received.iter().filter_map(|request| request.header("authorization")).collect();
    assert_eq!(tokens, ["Bearer bare-token-0/x", "Bearer bare-token-2/x", "Bearer bare-token-4/x"]);
    assert_eq!(received[0].path, "/job?id=1&key=a+b%26c%3Dd%C3%A9j%C3%A0&view=full+text");
    assert_eq!(received[0].header("host"), Some("jobs.example:81"));
    let told: Vec<_> = outcome.history.iter().filter_map(|attempt| attempt.note.as_deref()).collect();
    nowhere(&told.join("\n"), &["bare-token", "%C3%A9j"], "notes");
}

#[tokio::test]
async fn an_empty_secret_fails_attempts_that_cannot_get_better() {
    let server = Server::start(Reply::json("{}")).await;
    let client = HttpClient::builder().guard(Guard::local()).system_roots(false).build().unwrap();
    let builder = Poller::builder().fetch(client).limits(Limits::unbounded());
    let poller = builder.secrets(Rotating(0.into())).build().await.unwrap();
    let query = json!({"interval": 0.01, "requestInit": {"query": {"key": {"$secret": "env:EMPTY", "prefix": "k-"}}}});
    let outcome = poller.submit("a", bare(&server.url("/"), &query)).await.unwrap().outcome().await.unwrap();
    assert_eq!(outcome.counts.to_string(), "5 × secret");
    assert!(outcome.explanation().unwrap().ends_with("the secret env:EMPTY is empty"), "{outcome:?}");
    assert_eq!(server.requests().len(), 0);
}

/// A hostile server puts what it was sent into the place that it redirects to, and so into errors and notes.
#[tokio::test]
async fn an_echoed_secret_is_redacted_in_errors() {
    let closed = ClosedPort::new();
    let port = Url::parse(&closed.url("")).unwrap().port().unwrap();
    // As it was sent, in upper case, and as base64; each as a host, a port's neighbour and a scheme.
    let echoes = ["leak-by-reference", "LEAK-BY-REFERENCE", "bGVhay1ieS1yZWZlcmVuY2U"];
    let mut places: Vec<(u16, String)> = echoes
        .iter()
        .flat_map(|echo| {
            let host = format!("http://{echo}.x:{port}/");
            [
                (302, host.clone()),
                (307, host),
                (302, format!("{echo}:x")),
                (302, format!("//{echo}.x:{port}")),
                // Followed; the notes say where it led.
                (302, format!("/landed/{echo}")),
            ]
        })
        .collect();
    // A secret of the body is not known to the client, so such a host is looked up; the error does not show it either.
    places.push((302, format!("http://leak-by-body-reference.x:{port}/")));
    let script = places.clone();
    let server = Server::start(Script::from_fn(move |_, received| {
        let index = received.path.split('/').nth(1).and_then(|index| index.parse::<usize>().ok());
        match index.and_then(|index| script.get(index)) {
            Some((status, place)) => Reply::redirect(*status, place),
            None => Reply::json(r#"{"status":"PENDING"}"#),
        }
    }))
    .await;
    let mut client = HttpClient::builder().guard(Guard::local()).system_roots(false);
    for echo in echoes.into_iter().chain(["leak-by-body-reference"]) {
        client = client.resolve(format!("{echo}.x"), [[127, 0, 0, 1].into()]);
    }
    let written = Written::default();
    let _subscriber = written.listen(tracing::Level::TRACE);
    let poller = Poller::builder().fetch(client.build().unwrap()).limits(Limits::unbounded()).secrets(Vault);
    let poller = poller.build().await.unwrap();
    let mut told = String::new();
    for (index, (status, place)) in places.iter().enumerate() {
        let spec = spec(&server.url(&format!("/{index}")), &json!({"timeout": 0.1}));
        let poll = poller.submit(format!("{index}"), spec).await.unwrap();
        let mut events = poll.events();
        let before = told.len();
        while let Some(event) = events.next().await {
            let _ = writeln!(told, "{event:?}");
        }
        let _ = writeln!(told, "{:?} {:?}", poll.outcome().await.unwrap(), poller.stats());
        let hidden = ["[secret]", "to a host whose name contains a secret of the request"];
        let is_hidden = hidden.iter().any(|hidden| told[before..].contains(hidden));
        assert!(is_hidden, "{status} to {place}: {}", &told[before..]);
    }
    nowhere(&told, &["leak-by-body-reference"], "errors");
    for text in [told, written.text()] {
        let text = text.to_ascii_lowercase();
        nowhere(&text, &["leak-by-reference", "bgvhay1ies1yzwzlcmvuy2u"], "errors and logs");
    }
}
