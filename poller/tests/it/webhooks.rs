//! Webhooks: what every store keeps of them, when they are sent, and what they say.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use poller::fetch::Request;
use poller::outbox::{Delivery, DeliverySelection, DeliveryState, Outbox};
use poller::store::{Retention, Store as _, StoredPoll};
use poller::{Clock as _, ErrorKind, MemoryStore, OutcomeKind, PollKey, PollSpec, SystemClock, Timestamp};
use serde_json::{Value, json};

use crate::stores::{Subject, key, outcome, subjects};
use crate::world::{Reply, World, millis, pending, spec, success};

/// 24 bytes of zeros.
const KEY: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn with_webhook(name: &str, second: u64, receiver: &str) -> StoredPoll {
    let spec: PollSpec = json!({
        "url": "https://example.com/job",
        "onOutcome": {"url": format!("{receiver}/hook?a=b"), "secret": {"$secret": "env:HOOK"}},
    })
    .to_string()
    .parse()
    .unwrap();
    StoredPoll::new(key(name), spec, Timestamp::from_micros(second * 1_000_000))
}

fn names(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.key.key()).collect()
}

/// All deliveries that are due at some time far away. A store that many processes share has deliveries to give only to the
/// worker that runs the polls.
async fn due(outbox: &dyn Outbox, busy: &[&str]) -> Vec<Delivery> {
    let busy = busy.iter().map(|receiver| (*receiver).into()).collect();
    outbox.due(Timestamp::from_micros(u64::MAX >> 1), busy, 10).await.unwrap().deliveries
}

#[tokio::test]
async fn an_outcome_and_its_delivery_are_one_change() {
    for Subject { name, store, .. } in subjects().await {
        store.begin_run().await.unwrap();
        let outbox = store.outbox().unwrap();
        store.create(with_webhook("a", 1, "https://one.test")).await.unwrap();
        store.create(with_webhook("b", 2, "https://two.test")).await.unwrap();
        let silent = StoredPoll::new(key("c"), crate::stores::poll("c", 3).spec, Timestamp::default());
        store.create(silent).await.unwrap();
        while !store.load_open().await.unwrap().last {}
        assert!(due(&*outbox, &[]).await.is_empty(), "{name}: before the outcome");
        let ended = outcome(b"1").await;
        for poll in ["a", "b", "c"] {
            store.finish(key(poll), Arc::clone(&ended)).await.unwrap();
            // An outcome that is there already adds nothing.
            store.finish(key(poll), Arc::clone(&ended)).await.unwrap();
        }
        assert!(outbox.delivery(key("c")).await.unwrap().is_none(), "{name}");
        let mut found = due(&*outbox, &[]).await;
        found.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(names(&found), ["a", "b"], "{name}");
        assert_eq!(
            names(&due(&*outbox, &["https://one.test"]).await),
            ["b"],
            "{name}: busy receivers are left out"
        );
        let early = outbox.due(Timestamp::default(), Vec::new(), 10).await.unwrap();
        assert_eq!((early.deliveries.len(), early.next), (0, Some(ended.ended_at)), "{name}");

        let mut first = found.remove(0);
        assert_eq!((&*first.receiver, first.state), ("https://one.test", DeliveryState::Pending), "{name}");
        assert_eq!(
            (first.created_at, first.ended_at),
            (Timestamp::from_micros(1_000_000), ended.ended_at),
            "{name}"
        );
        let attempts =
            r#"[{"at": "2026-01-01T00:00:00Z", "durationMs": 7, "status": 500, "error": "é\u0000'"}]"#;
        first.attempts = serde_json::from_str(attempts).unwrap();
        first.tries = 3;
        first.state = DeliveryState::Dead;
        first.due = None;
        assert!(outbox.note(first.clone()).await.unwrap(), "{name}");
        assert_eq!(outbox.delivery(key("a")).await.unwrap().unwrap(), first, "{name}");
        assert_eq!(names(&due(&*outbox, &[]).await), ["b"], "{name}");

        let list = async |selection| names_of(&*outbox, selection).await;
        assert_eq!(list(DeliverySelection::new("", 10)).await, ["b", "a"], "{name}: newest first");
        assert_eq!(list(DeliverySelection::new("run-17", 10)).await, ["b", "a"], "{name}");
        assert_eq!(list(DeliverySelection::new("run-1", 10)).await, [""; 0], "{name}: another scope");
        assert_eq!(
            list(DeliverySelection::new("", 10).with_state(DeliveryState::Dead)).await,
            ["a"],
            "{name}"
        );
        let failing = DeliverySelection::new("", 10).failing();
        assert_eq!(list(failing.clone()).await, ["a"], "{name}: one that was not tried does not fail");
        let mut second = found.remove(0);
        second.tries = 1;
        assert!(outbox.note(second).await.unwrap(), "{name}");
        assert_eq!(list(failing.clone()).await, ["b", "a"], "{name}");
        assert_eq!(list(failing.with_state(DeliveryState::Pending)).await, ["b"], "{name}");
        let page = outbox.deliveries(DeliverySelection::new("", 1)).await.unwrap();
        assert_eq!(list(DeliverySelection::new("", 10).after(page[0].place)).await, ["a"], "{name}");

        // What is to be delivered is kept, whatever its age.
        let now = Retention::new(Timestamp::from_micros(u64::MAX >> 2), usize::MAX);
        while store.purge(now).await.unwrap() > 0 {}
        assert!(store.get(key("b")).await.unwrap().is_some(), "{name}");
        assert_eq!(names(&due(&*outbox, &[]).await), ["b"], "{name}");
        assert!(store.forget(key("b")).await.unwrap(), "{name}");
        assert!(
            due(&*outbox, &[]).await.is_empty() && outbox.delivery(key("b")).await.unwrap().is_none(),
            "{name}"
        );
        while store.purge(now).await.unwrap() > 0 {}
        assert!(!outbox.note(first).await.unwrap(), "{name}: it went with its poll");
    }
}

async fn names_of(outbox: &dyn Outbox, selection: DeliverySelection) -> Vec<String> {
    let found = outbox.deliveries(selection).await.unwrap();
    found.iter().map(|delivery| delivery.key.key().to_owned()).collect()
}

/// A poll that ends at its first request, and sends its webhook to this path.
fn ending(path: &str) -> PollSpec {
    spec(json!({"onOutcome": {"url": format!("https://hooks.test{path}"), "secret": KEY}}))
}

fn is_webhook(request: &Request) -> bool {
    request.url.host_str().is_some_and(|host| host.starts_with("hooks"))
}

/// A world in which `answer` answers webhooks, by their number.
fn world(answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> World {
    let webhooks = Mutex::new(0);
    World::new(move |_, request| match is_webhook(request) {
        false => success(),
        true => {
            let number = {
                let mut webhooks = webhooks.lock().unwrap();
                *webhooks += 1;
                *webhooks - 1
            };
            answer(number, request)
        }
    })
}

/// The times of the webhooks that were sent, in seconds since the first.
fn sent(world: &World) -> Vec<f64> {
    let times: Vec<f64> = world
        .sent()
        .iter()
        .filter(|sent| sent.path.starts_with("/hook"))
        .map(|sent| sent.at.as_secs_f64())
        .collect();
    times.iter().map(|time| time - times[0]).collect()
}

/// Waits until the delivery of the poll `job` is in this state. Time goes on meanwhile, as it is virtual.
async fn until(store: &MemoryStore, state: DeliveryState) -> Delivery {
    let (outbox, clock) = (store.outbox().unwrap(), SystemClock::new());
    let mut pause = Duration::from_millis(10);
    loop {
        if let Some(delivery) = outbox.delivery(PollKey::new("", "job")).await.unwrap()
            && delivery.state == state
        {
            return delivery;
        }
        clock.sleep_until(clock.now() + pause).await;
        pause = (pause * 2).min(Duration::from_secs(60));
    }
}

#[tokio::test(start_paused = true)]
async fn a_webhook_says_what_the_outcome_is_and_is_signed() {
    for (include, has_response) in [("outcome", true), ("summary", false)] {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&bodies);
        let world = world(move |_, request| {
            seen.lock().unwrap().push((
                request.headers.clone(),
                request.body.clone().unwrap(),
                request.method.clone(),
            ));
            Reply::json(204, "")
        });
        let other = "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
        let on_outcome =
            json!({"url": "https://hooks.test/hook", "secret": [KEY, other], "include": include});
        let spec = spec(json!({"onOutcome": on_outcome}));
        assert!(!spec.to_value().to_string().contains("AAAA"), "keys are not shown: {spec:?}");
        let store = MemoryStore::new();
        let poller = world.poller().store(store.clone()).build().await.unwrap();
        poller.submit("job", spec).await.unwrap().outcome().await.unwrap();
        let delivery = until(&store, DeliveryState::Delivered).await;
        let (headers, body, method) = bodies.lock().unwrap()[0].clone();
        let header = |name: &str| headers[name].to_str().unwrap();
        assert_eq!((method.as_str(), header("content-type")), ("POST", "application/json"));
        assert_eq!(header("webhook-id"), delivery.id());
        let signatures: Vec<&str> = header("webhook-signature").split(' ').collect();
        let expected: Vec<String> = [[0; 24], [1; 24]]
            .map(|key| {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key);
                let signed = [header("webhook-id"), ".", header("webhook-timestamp"), "."].concat();
                let tag = ring::hmac::sign(&key, &[signed.as_bytes(), &body].concat());
                format!("v1,{}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, tag))
            })
            .to_vec();
        assert_eq!(signatures, expected, "each key signs");
        let payload: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(payload["type"], "poll.matched");
        assert_eq!(payload["timestamp"], payload["data"]["endedAt"]);
        let data = &payload["data"];
        assert_eq!(
            (&data["key"], &data["scope"], &data["outcome"]),
            (&"job".into(), &"".into(), &"matched".into())
        );
        assert_eq!(data.get("response").is_some(), has_response, "{payload}");
        assert_eq!((delivery.tries, delivery.attempts.len(), delivery.attempts[0].status), (1, 1, Some(204)));
        poller.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_webhook_is_tried_again_after_growing_delays() {
    let world = world(|number, _| match number {
        0 => Reply::json(500, ""),
        1 => Reply::Never,
        2 => Reply::json(404, ""),
        _ => Reply::json(200, ""),
    });
    let store = MemoryStore::new();
    let poller = world.poller().store(store.clone()).build().await.unwrap();
    poller.submit("job", ending("/hook")).await.unwrap().outcome().await.unwrap();
    let delivery = until(&store, DeliveryState::Delivered).await;
    let times = sent(&world);
    for (number, (delay, time)) in [5.0, 300.0, 1800.0].iter().zip(&times[1..]).enumerate() {
        // The second attempt waits for an answer for 20 s.
        let began = times[number] + if number == 1 { 20.0 } else { 0.0 };
        let gap = time - began;
        // Times of the log are in whole milliseconds.
        assert!((delay * 0.8 - 0.002..=delay * 1.2 + 0.002).contains(&gap), "{number}: {gap} for {delay}");
    }
    assert_eq!((times.len(), delivery.tries, delivery.due), (4, 4, None));
    assert!(delivery.attempts[1].error.as_ref().unwrap().contains("no answer within 20 s"), "{delivery:?}");

    // It can be sent again, and begins anew.
    let outbox = store.outbox().unwrap();
    let mut again = delivery;
    again.send_again(world.timestamp());
    assert!(outbox.note(again).await.unwrap());
    assert_eq!(until(&store, DeliveryState::Delivered).await.tries, 1);
    assert_eq!(sent(&world).len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_says_when_to_come_again_or_never() {
    let world = world(|number, _| match number {
        0 => Reply::json(503, "").header("retry-after", "3600"),
        1 => Reply::json(429, "").header("retry-after", "1"),
        _ => Reply::json(410, ""),
    });
    let store = MemoryStore::new();
    let poller = world.poller().store(store.clone()).build().await.unwrap();
    poller.submit("job", ending("/hook")).await.unwrap().outcome().await.unwrap();
    let delivery = until(&store, DeliveryState::Dead).await;
    assert_eq!(
        delivery.attempts.iter().map(|attempt| attempt.status).collect::<Vec<_>>(),
        [Some(503), Some(429), Some(410)]
    );
    let times = sent(&world);
    assert!(times[1] >= 3600.0, "{times:?}");
    poller.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_receiver_delays_no_other() {
    let world = world(|_, request| match request.url.host_str() {
        Some("hooks-slow.test") => Reply::Never,
        _ => Reply::json(200, ""),
    });
    let store = MemoryStore::new();
    let poller = world.poller().store(store.clone()).build().await.unwrap();
    for number in 0..200 {
        let slow = spec(json!({"onOutcome": {"url": "https://hooks-slow.test/slow", "secret": KEY}}));
        poller.submit(format!("slow-{number}"), slow).await.unwrap().outcome().await.unwrap();
    }
    let began = world.now();
    poller.submit("job", ending("/hook")).await.unwrap().outcome().await.unwrap();
    until(&store, DeliveryState::Delivered).await;
    assert!(world.now() - began < Duration::from_secs(1));
    let slow = world.sent().iter().filter(|sent| sent.path == "/slow").count();
    assert_eq!(slow, 4, "requests to one receiver at once");
    poller.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn deliveries_continue_after_a_restart_and_with_their_id() {
    let ids = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ids);
    let world = world(move |number, request| {
        seen.lock().unwrap().push(request.headers["webhook-id"].clone());
        if number == 0 { Reply::Never } else { Reply::json(200, "") }
    });
    let store = MemoryStore::new();
    let poller = world.poller().store(store.clone()).build().await.unwrap();
    poller.submit("job", ending("/hook")).await.unwrap().outcome().await.unwrap();
    world.arrived(2).await;
    poller.shutdown().await;
    drop(poller);
    let poller = world.poller().store(store.clone()).build().await.unwrap();
    until(&store, DeliveryState::Delivered).await;
    let ids = ids.lock().unwrap().clone();
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
    poller.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn cancelled_and_failed_polls_have_webhooks_too() {
    let types = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&types);
    let world = World::new(move |_, request| {
        if is_webhook(request) {
            let body: Value = serde_json::from_slice(request.body.as_ref().unwrap()).unwrap();
            seen.lock().unwrap().push(body["type"].as_str().unwrap().to_owned());
            return Reply::json(200, "");
        }
        match request.url.path() {
            "/failed" => Reply::json(200, r#"{"status":"FAILED"}"#),
            _ => pending(),
        }
    });
    let store = MemoryStore::new();
    let poller = world.poller().store(store.clone()).build().await.unwrap();
    let hook = json!({"url": "https://hooks.test/hook", "secret": KEY});
    let cancelled = poller.submit("a", spec(json!({"onOutcome": hook}))).await.unwrap();
    assert_eq!(cancelled.cancel().await.unwrap().kind, OutcomeKind::Cancelled);
    let failed = json!({"url": "https://api.example.com/failed", "onOutcome": hook});
    poller.submit("b", spec(failed)).await.unwrap().outcome().await.unwrap();
    let timed_out = json!({"timeout": 1, "onOutcome": hook});
    poller.submit("job", spec(timed_out)).await.unwrap().outcome().await.unwrap();
    until(&store, DeliveryState::Delivered).await;
    poller.shutdown().await;
    let mut types = types.lock().unwrap().clone();
    types.sort();
    assert_eq!(types, ["poll.cancelled", "poll.failed", "poll.timed-out"]);
}

#[tokio::test]
async fn a_receiver_that_the_guard_refuses_is_refused_at_once() {
    let poller = poller::Poller::builder().build().await.unwrap();
    let hook = json!({"url": "http://127.0.0.1:9/hook", "secret": KEY});
    let refused =
        json!({"url": "https://1.1.1.1/", "onOutcome": hook}).to_string().parse::<PollSpec>().unwrap();
    let error = poller.submit("job", refused).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Spec, "{error}");
}

#[test]
fn a_wrong_webhook_is_told_with_its_place() {
    for (webhook, place, part) in [
        (json!("https://a.test"), "/onOutcome", "an object of url, secret, include"),
        (json!({}), "/onOutcome", "found no url and no secret"),
        (json!({"url": "https://a.test"}), "/onOutcome", "found no secret"),
        (json!({"url": "ftp://a.test", "secret": KEY}), "/onOutcome/url", "scheme"),
        (json!({"url": "unix:/run/a.sock:/x", "secret": KEY}), "/onOutcome/url", "socket"),
        (json!({"url": "https://a:b@a.test", "secret": KEY}), "/onOutcome/url", "credentials"),
        (json!({"url": "https://a.test", "secret": "hunter22"}), "/onOutcome/secret", "whsec_"),
        (json!({"url": "https://a.test", "secret": []}), "/onOutcome/secret", "found 0 keys"),
        (json!({"url": "https://a.test", "secret": [KEY, KEY, KEY]}), "/onOutcome/secret", "found 3 keys"),
        (json!({"url": "https://a.test", "secret": [KEY, "x"]}), "/onOutcome/secret/1", "whsec_"),
        (json!({"url": "https://a.test", "secret": {"$secret": 1}}), "/onOutcome/secret/$secret", "env:NAME"),
        (json!({"url": "https://a.test", "secret": KEY, "include": "all"}), "/onOutcome/include", "summary"),
        (json!({"url": "https://a.test", "secret": KEY, "retry": 1}), "/onOutcome/retry", "retry"),
    ] {
        let text = json!({"url": "https://1.1.1.1/", "onOutcome": webhook}).to_string();
        let error = text.parse::<PollSpec>().unwrap_err();
        let diagnostic = &error.diagnostics()[0];
        assert!(diagnostic.pointer() == place && error.to_string().contains(part), "{webhook}: {error}");
        assert!(!error.to_string().contains("hunter22"), "{error}");
    }
}

#[test]
fn a_key_that_is_referred_to_needs_a_rule_for_the_receiver() {
    let spec: PollSpec = json!({
        "url": "https://api.example.com/",
        "onOutcome": {"url": "https://hooks.example.com/a", "secret": {"$secret": "env:HOOK"}},
    })
    .to_string()
    .parse()
    .unwrap();
    let rules: Vec<String> = spec.secret_rules().iter().map(ToString::to_string).collect();
    assert_eq!(rules, ["env:HOOK@https://hooks.example.com"]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_is_hastened_asks_at_once_but_at_most_once_a_second() {
    let world = World::new(|number, _| match number {
        // Hastened while it is under way.
        4 => pending().after(Duration::from_secs(2)),
        6 => Reply::json(429, "").header("retry-after", "30"),
        _ => pending(),
    });
    let poller = world.poller().build().await.unwrap();
    let hasten = async || poller.hasten(PollKey::new("", "job")).await.unwrap();
    assert!(!hasten().await, "there is none yet");
    let poll = poller.submit("job", spec(json!({"interval": 10, "timeout": 100}))).await.unwrap();
    world.arrived(1).await;
    // 0; 3 by the first call; 10 by the grid; 15; 16, when another second is over; 19, for what was told during the request.
    for at in [3000, 15_000, 15_200] {
        world.sleep_until(Duration::from_millis(at)).await;
        assert!(hasten().await);
    }
    world.sleep_until(Duration::from_secs(17)).await;
    hasten().await;
    world.sleep_until(Duration::from_secs(25)).await;
    // The server has asked to wait until 50.
    hasten().await;
    world.sleep_until(Duration::from_secs(51)).await;
    let outcome = poll.cancel().await.unwrap();
    let expected = [0, 3000, 10_000, 15_000, 16_000, 19_000, 20_000, 50_000];
    assert_eq!(world.times(), expected);
    let began = outcome.started_at;
    let kept: Vec<u64> = outcome.history.iter().map(|attempt| millis(attempt.at.since(began))).collect();
    assert_eq!(kept, expected, "the history has the times at which requests were made");
}
