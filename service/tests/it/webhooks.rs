//! Webhooks and callbacks through the API.

use http::{Method, Request};
use serde_json::json;
use service::{Access, Keys, Options};
use test_support::{Gate, Reply, Script};

use crate::client::{Fixture, digest};

fn with_webhook(it: &Fixture, receiver: &str) -> String {
    let hook = json!({"url": it.jobs.url(receiver), "secret": "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"});
    it.spec("/job").replacen('{', &format!(r#"{{"onOutcome":{hook},"#), 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_shown_listed_and_sent_again() {
    let script = Script::new()
        .on("/job", [Reply::json(r#"{"status":"SUCCESS"}"#)])
        .on("/gone", [Reply::new(410), Reply::new(204)]);
    let it = Fixture::new(script).await;
    it.put("/v1/polls/a", &with_webhook(&it, "/gone")).await.expect(201);
    it.put("/v1/polls/b", &it.spec("/job")).await.expect(201);
    for poll in ["a", "b"] {
        it.get(&format!("/v1/polls/{poll}/outcome?wait=25")).await.expect(200);
    }
    it.get("/v1/polls/b/webhook").await.expect_problem(404, "not-found");
    it.post("/v1/polls/b/webhook", "").await.expect_problem(404, "not-found");
    assert!(it.get("/v1/polls/b").await.expect(200).json().get("webhook").is_none());
    until(&it, "a", "dead").await;
    let shown = it.get("/v1/polls/a").await.expect(200).json();
    assert_eq!(shown["webhook"]["attempts"][0]["status"], 410, "{shown}");
    assert_eq!(shown["spec"]["onOutcome"]["secret"], json!({"__redactedString": true}));
    for state in ["dead", "failing"] {
        let found = it.get(&format!("/v1/webhooks?state={state}")).await.expect(200).json();
        let keys: Vec<_> = found["webhooks"].as_array().unwrap().iter().map(|each| &each["key"]).collect();
        assert_eq!(keys, ["a"], "{state}");
    }
    let again = it.post("/v1/polls/a/webhook", "").await.expect(202).json();
    assert_eq!((&again["state"], &again["id"]), (&"pending".into(), &shown["webhook"]["id"]));
    until(&it, "a", "delivered").await;
    assert_eq!(it.get("/v1/webhooks?state=failing").await.expect(200).json()["webhooks"], json!([]));
    let page = it.get("/v1/webhooks?limit=1").await.expect(200).json();
    let next =
        it.get(&format!("/v1/webhooks?cursor={}", page["next"].as_str().unwrap())).await.expect(200).json();
    assert_eq!(next, json!({"webhooks": [], "next": null}));
    for wrong in ["state=gone", "limit=0", "cursor=x", "key=a"] {
        it.get(&format!("/v1/webhooks?{wrong}")).await.expect_problem(400, "bad-request");
    }
    it.call(Method::DELETE, "/v1/polls/a", "").await.expect(204);
    it.get("/v1/polls/a/webhook").await.expect_problem(404, "not-found");
    let ids: Vec<_> =
        it.jobs.requests().iter().filter_map(|sent| sent.header("webhook-id").map(str::to_owned)).collect();
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
}

/// Waits until the webhook of a poll is in this state.
async fn until(it: &Fixture, poll: &str, state: &str) {
    while it.get(&format!("/v1/polls/{poll}/webhook")).await.expect(200).json()["state"] != state {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_of_others_are_not_listed_or_sent() {
    let entry = |key: &str, scope: &str| {
        let rights = "['create', 'read', 'cancel']";
        format!("[[key]]\nname = '{key}'\nsha256 = '{}'\nscope = '{scope}'\nrights = {rights}\n", digest(key))
    };
    let mut options = Options::default();
    options.access = Access::Keys(Keys::parse(&[entry("a", "a"), entry("b", "ab")].concat()).unwrap());
    let it = Fixture::with(Script::from_fn(|_, _| Reply::json(r#"{"status":"SUCCESS"}"#)), options).await;
    let call = async |key: &str, method: Method, path: &str, body: String| {
        let request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
        it.send(request, body).await
    };
    call("a", Method::PUT, "/v1/scopes/a/polls/x", with_webhook(&it, "/hook")).await.expect(201);
    call("a", Method::GET, "/v1/scopes/a/polls/x/outcome?wait=25", String::new()).await.expect(200);
    call("a", Method::GET, "/v1/scopes/a/polls/x/webhook", String::new()).await.expect(200);
    for method in [Method::GET, Method::POST] {
        let hidden = call("b", method, "/v1/scopes/a/polls/x/webhook", String::new()).await;
        hidden.expect_problem(404, "not-found");
    }
    let listed = call("b", Method::GET, "/v1/webhooks", String::new()).await.expect(200).json();
    assert_eq!(listed["webhooks"], json!([]));
    let listed = call("a", Method::GET, "/v1/webhooks", String::new()).await.expect(200).json();
    assert_eq!(listed["webhooks"].as_array().unwrap().len(), 1);
    it.get("/v1/webhooks").await.expect_problem(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_makes_the_poll_ask_and_needs_its_token_only() {
    let gate = Gate::new();
    let script = {
        let gate = gate.clone();
        Script::from_fn(move |number, _| match number {
            0 => Reply::json(r#"{"status":"RUNNING"}"#),
            _ => Reply::json(r#"{"status":"SUCCESS"}"#).held_by(&gate),
        })
    };
    let it = Fixture::new(script).await;
    it.put("/v1/polls/a", &it.spec("/job").replace("0.05", "3600").replace("60", "3600")).await.expect(201);
    it.jobs.ended(0).await;
    let callback = it.get("/v1/polls/a").await.expect(200).json()["callback"].as_str().unwrap().to_owned();
    let mut forged = callback.clone();
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'B' } else { 'A' });
    it.post(&forged, "").await.expect_problem(404, "not-found");
    it.post("/v1/callbacks/x", "").await.expect_problem(404, "not-found");
    it.get(&callback).await.expect_problem(405, "method-not-allowed");
    it.post(&callback, "{\"status\": \"SUCCESS\"}").await.expect(204);
    it.jobs.arrived(1).await;
    assert_eq!(it.get("/v1/polls/a").await.json()["state"], "open", "what it says is not believed");
    gate.open();
    it.get("/v1/polls/a/outcome?wait=25").await.expect(200);
    it.post(&callback, "").await.expect(204);
    assert_eq!(it.jobs.requests().len(), 2);
    it.call(Method::DELETE, "/v1/polls/a", "").await.expect(204);
    it.put("/v1/polls/a", &it.spec("/job")).await.expect(201);
    it.post(&callback, "").await.expect_problem(404, "not-found");
}
