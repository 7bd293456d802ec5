//! Polls that follow the link of a response: which links, with which request, across restarts.

use std::time::Duration;

use poller::{Limits, MemoryStore, PollSpec, SpecOptions, SqliteStore, store::Store};
use serde_json::{Value, json};

use crate::world::{Reply, World, run, success};

fn posting(follow: Value, also: Value) -> PollSpec {
    let mut spec = json!({
        "url": "https://api.example.com/v1/jobs?x=1",
        "interval": 10, "timeout": 300, "follow": follow,
        "requestInit": {
            "method": "POST", "body": "{}",
            "headers": {"x-api-key": "hunter2-hunter2", "content-type": "application/json", "accept": "application/json"},
            "query": {"q": "1"},
        },
        "responseFilter": {"body": {"status": "SUCCESS"}},
    });
    spec.as_object_mut().unwrap().extend(also.as_object().unwrap().clone());
    SpecOptions::new()
        .limits(Limits::unbounded())
        .parse(&spec.to_string())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Answers the first request with this, and GETs with success.
fn world(first: impl Fn() -> Reply + Send + Sync + 'static) -> World {
    World::new(move |number, request| match number {
        0 => first(),
        _ if request.method == "GET" && request.body.is_none() => success(),
        _ => Reply::json(500, "only GET is expected here"),
    })
}

#[tokio::test(start_paused = true)]
async fn each_link_is_followed_with_a_get_without_the_body() {
    let reply = |status, name, value| move || Reply::json(status, "{}").header(name, value);
    let body = || Reply::json(200, r#"{"links": [{"status": "../status/7?sig=a%2Fb"}]}"#);
    for (follow, world, path) in [
        (json!("auto"), world(reply(202, "operation-location", "/ops/7")), "/ops/7"),
        (json!("auto"), world(reply(200, "azure-asyncoperation", "https://api.example.com/a/7")), "/a/7"),
        (json!("auto"), world(reply(201, "location", "jobs/7")), "/v1/jobs/7"),
        (json!({"header": "X-Status"}), world(reply(200, "x-status", "/s/7")), "/s/7"),
        (json!({"body": "/links/0/status"}), world(body), "/status/7"),
    ] {
        let outcome = run(&world, posting(follow.clone(), json!({}))).await;
        assert_eq!((outcome.name(), outcome.attempts), ("matched", 2), "{follow}: {outcome:?}");
        let sent = world.sent();
        assert_eq!((sent[0].path.as_str(), sent[1].path.as_str()), ("/v1/jobs", path));
        assert_eq!(world.times()[1] - world.times()[0], 10_000, "at the next tick");
        let headers = |name: &str| sent[1].headers.contains_key(name);
        assert!(headers("x-api-key") && headers("accept") && !headers("content-type"), "{follow}");
    }
}

#[tokio::test(start_paused = true)]
async fn headers_of_the_user_stay_within_the_origins_that_the_spec_trusts() {
    for (follow, sent_there) in [
        (json!("auto"), false),
        (json!({"auto": true, "origins": ["https://status.example.com"]}), true),
        (json!({"header": "location", "origins": ["https://STATUS.example.com:443/"]}), true),
        (json!({"header": "location", "origins": ["http://status.example.com"]}), false),
    ] {
        let world = world(|| Reply::json(202, "{}").header("location", "https://status.example.com/7"));
        let outcome = run(&world, posting(follow.clone(), json!({}))).await;
        assert_eq!(outcome.name(), "matched");
        assert_eq!(world.sent()[1].headers.contains_key("x-api-key"), sent_there, "{follow}");
        let note = outcome.history[0].note.as_deref().unwrap();
        assert_eq!(note.contains("asked without the headers of the request"), !sent_there, "{note}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_further_link_replaces_the_first_and_is_resolved_against_it() {
    let world = World::new(|number, _| match number {
        0 => Reply::json(202, "{}").header("location", "/queue/7"),
        1 => Reply::json(202, "{}").header("location", "7/result"),
        2 => Reply::json(202, "{}"),
        _ => success(),
    });
    run(&world, posting(json!("auto"), json!({}))).await;
    let paths: Vec<_> = world.sent().iter().map(|sent| sent.path.clone()).collect();
    assert_eq!(paths, ["/v1/jobs", "/queue/7", "/queue/7/result", "/queue/7/result"]);
}

#[tokio::test(start_paused = true)]
async fn links_that_lead_astray_are_told_of_and_not_followed() {
    for (link, why) in [
        ("http://api.example.com/7", "it leads from https to http"),
        ("ftp://api.example.com/7", "only http and https are followed"),
        ("https://user:pass@api.example.com/7", "it has credentials"),
        ("https://[broken/", "it is not a URL"),
        ("https://hunter2-hunter2.example.com/7", "the name of its host contains a secret of the request"),
        ("//HUNTER2-HUNTER2.example.com/7", "the name of its host contains a secret of the request"),
    ] {
        let world = World::new(move |number, _| match number {
            0 => Reply::json(202, "{}").header("location", link),
            _ => success(),
        });
        let outcome = run(&world, posting(json!("auto"), json!({}))).await;
        let note = outcome.history[0].note.as_deref().unwrap();
        assert!(note.ends_with(&format!("; its link is not followed: {why}")), "{note}");
        assert_eq!(world.sent()[1].path, "/v1/jobs");
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_that_is_repeated_although_it_has_a_link_is_told_of() {
    let world = World::sequence([
        || Reply::json(202, "{}").header("location", "/7"),
        || Reply::json(202, "{}").header("location", "/8"),
        success,
    ]);
    let spec = json!({"url": "https://api.example.com/jobs", "requestInit": {"method": "POST"},
        "responseFilter": {"body": {"status": "SUCCESS"}}});
    let outcome = run(&world, PollSpec::parse(&spec.to_string()).unwrap()).await;
    for attempt in &outcome.history[..2] {
        assert_eq!(
            attempt.note.as_deref().unwrap(),
            "status is missing, expected \"SUCCESS\"; each attempt posts again; with \"follow\": \"auto\" the next asks \
             the URL in its location header"
        );
    }
}

#[tokio::test]
async fn a_restart_does_not_repeat_the_first_request() {
    restart("memory", MemoryStore::new()).await;
    let folder = tempfile::tempdir().unwrap();
    restart("sqlite", SqliteStore::open(folder.path().join("polls.db")).unwrap()).await;
}

/// The first run sees the link, the second asks it.
async fn restart(name: &str, store: impl Store + Clone) {
    let spec = || posting(json!("auto"), json!({"interval": 0.01, "requestInit": {"method": "POST"}}));
    let world = World::new(|_, _| Reply::json(202, "{}").header("location", "/7"));
    let before = world.poller().store(store.clone()).build().await.unwrap();
    before.submit("job", spec()).await.unwrap();
    world.arrived(3).await;
    before.shutdown().await;
    drop(before);
    let world = World::new(|_, _| success().after(Duration::ZERO));
    let after = world.poller().store(store).build().await.unwrap();
    let outcome = after.submit("job", spec()).await.unwrap().outcome().await.unwrap();
    assert_eq!((outcome.name(), outcome.restarts), ("matched", 1), "{name}");
    assert_eq!(world.sent()[0].path, "/7", "{name}: not the POST");
}

#[test]
fn a_follow_that_says_nothing_is_an_error() {
    for (follow, message) in [
        (json!(true), "/follow: found true, expected \"auto\", or an object"),
        (json!({}), "expected exactly one of"),
        (json!({"header": "location", "body": "/a"}), "expected exactly one of"),
        (json!({"header": "a b"}), "/follow/header: found \"a b\", expected the name of a header"),
        (json!({"body": "links"}), "/follow/body: found \"links\", expected a JSON pointer"),
        (json!({"auto": false}), "/follow/auto: found false, expected true"),
        (json!({"auto": true, "origins": ["https://a.test/path"]}), "/follow/origins: found"),
        (json!({"link": "x"}), "\"link\""),
    ] {
        let text = json!({"url": "https://a.test", "follow": follow}).to_string();
        let error = PollSpec::parse(&text).unwrap_err().to_string();
        assert!(error.contains(message), "{follow}: {error}");
    }
    for follow in
        [json!("auto"), json!({"header": "x-status"}), json!({"body": "/a/0", "origins": ["https://b.test"]})]
    {
        let spec = posting(follow.clone(), json!({}));
        assert_eq!(spec.to_value()["follow"], follow);
    }
}
