//! A key and the polls of others: whatever it calls, the answer is the one that it would get if they were not there, and they stay
//! as they are. The calls are those of the description, so a new one is tried by being described.

use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use service::{Access, Keys, Options};
use test_support::{Reply, Script};
use tower::ServiceExt as _;

use crate::client::{Answer, Fixture, digest};
use crate::openapi::document;

/// The owner of the hidden polls, one beside it, one beneath it.
const KEYS: [(&str, &str); 3] = [("owner", "a"), ("beside", "ab"), ("beneath", "a/deep")];

/// An operation of the description.
struct Operation {
    method: Method,
    path: &'static str,
    described: &'static Value,
}

fn operations() -> Vec<Operation> {
    let paths = document()["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, described)| Operation {
            method: method.to_uppercase().parse().unwrap(),
            path,
            described,
        })
    });
    let all: Vec<_> = all.collect();
    assert!(all.len() > 30, "{}", all.len());
    all
}

impl Operation {
    fn is_public(&self) -> bool {
        self.described["security"] == json!([])
    }

    fn is_stream(&self) -> bool {
        self.described["responses"]["200"]["content"]["text/event-stream"].is_object()
    }

    /// The path about this poll, with every parameter by which a call may reach for it.
    fn about(&self, scope: &str, key: &str) -> String {
        let path = self.path.replace("{scope}", scope).replace("{key}", key);
        let path = path.replace("{dialect}", "native").replace("{name}", "conflict").replace("{token}", "t");
        let parameters = self.described["parameters"].as_array().into_iter().flatten();
        let query = parameters.filter(|parameter| parameter["in"] == "query").filter_map(|parameter| {
            match parameter["name"].as_str().unwrap() {
                "scope" => Some(format!("scope={scope}")),
                "prefix" => Some("prefix=hidden".to_owned()),
                _ => None,
            }
        });
        let query: Vec<_> = query.collect();
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }

    /// A body that the call accepts.
    fn body(&self, it: &Fixture) -> String {
        let schema = &self.described["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let body = match schema.as_str().and_then(|schema| schema.rsplit('/').next()) {
            Some("Spec") => return it.spec("/job"),
            Some("BulkCancel") => json!({"all": true}),
            Some("ExplainRequest") => json!({"filter": {"a": [1]}, "event": {"a": 1}}),
            Some("MatchRequest") => json!({"filter": {"a": [1]}, "events": [{"a": 1}]}),
            Some("ConvertRequest") => json!({"filter": {"a": [1]}, "from": "native"}),
            // Of any JSON, and what no call reads.
            _ => json!({"a": [1]}),
        };
        body.to_string()
    }
}

/// A service with keys; `hidden` polls are there or not: one open, one that has ended and whose webhook is dead.
async fn world(hidden: bool) -> Fixture {
    let rights = "rights = ['create', 'read', 'cancel']";
    let entry = |(key, scope): (&str, &str)| {
        format!("[[key]]\nname = '{key}'\nsha256 = '{}'\nscope = '{scope}'\n{rights}\n", digest(key))
    };
    let mut options = Options::default();
    options.access = Access::Keys(Keys::parse(&KEYS.map(entry).concat()).unwrap());
    let script = Script::new()
        .on("/job", [Reply::json("{}")])
        .on("/done", [Reply::json(r#"{"status":"SUCCESS"}"#)])
        .on("/gone", [Reply::new(410)]);
    let it = Fixture::with(script, options).await;
    if hidden {
        let hook = json!({"url": it.jobs.url("/gone"), "secret": "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"});
        let done = it.spec("/done").replacen('{', &format!(r#"{{"onOutcome":{hook},"#), 1);
        call(&it, "owner", Method::PUT, "/v1/scopes/a/polls/hidden-open", it.spec("/job")).await.expect(201);
        call(&it, "owner", Method::PUT, "/v1/scopes/a/polls/hidden-done?wait=60", done).await.expect(200);
        while facts(&it).await[1]["webhook"]["state"] != "dead" {
            tokio::task::yield_now().await;
        }
    }
    it
}

async fn call(it: &Fixture, key: &str, method: Method, path: &str, body: impl Into<String>) -> Answer {
    let request = Request::builder().method(method).uri(path);
    it.send(request.header("authorization", format!("Bearer {key}")), body).await
}

/// What is so of the hidden polls, apart from their attempts.
async fn facts(it: &Fixture) -> Vec<Value> {
    let mut all = Vec::new();
    for key in ["hidden-open", "hidden-done"] {
        let answer = call(it, "owner", Method::GET, &format!("/v1/scopes/a/polls/{key}"), "").await;
        let mut poll = answer.expect(200).json();
        for changing in ["history", "next", "inFlight", "last"] {
            poll.as_object_mut().unwrap().remove(changing);
        }
        all.push(poll);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_answers_as_if_polls_of_others_were_not_there() {
    let (with, without) = (world(true).await, world(false).await);
    let before = facts(&with).await;
    for operation in operations().iter().filter(|operation| operation.path != "/v1/events") {
        for foreigner in ["beside", "beneath"] {
            for key in ["hidden-open", "hidden-done"] {
                let path = operation.about("a", key);
                let body = operation.body(&with);
                let one = call(&with, foreigner, operation.method.clone(), &path, body.clone()).await;
                let other = call(&without, foreigner, operation.method.clone(), &path, body).await;
                let called = format!("{} {path} by {foreigner}", operation.method);
                assert_eq!((one.status, &one.text), (other.status, &other.text), "{called}");
                let names: Vec<_> = one.headers.keys().collect();
                assert_eq!(names, other.headers.keys().collect::<Vec<_>>(), "{called}");
                if operation.path.contains("{key}") {
                    assert_eq!(one.status, 404, "{called}: {one:?}");
                }
            }
        }
    }
    assert_eq!(facts(&with).await, before, "nothing has happened to them");
    assert_eq!(with.poller.stats().open, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_carry_no_events_of_others() {
    let it = world(true).await;
    for operation in operations().iter().filter(|operation| operation.is_stream()) {
        for foreigner in ["beside", "beneath"] {
            let request = Request::builder().uri(operation.about("a", "hidden-open"));
            let request = request.header("authorization", format!("Bearer {foreigner}"));
            let response = it.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            if operation.path.contains("{key}") {
                assert_eq!(response.status(), 404, "{}", operation.path);
                continue;
            }
            assert_eq!(response.status(), 200, "{}", operation.path);
            let scope = KEYS.iter().find(|(key, _)| *key == foreigner).unwrap().1.replace('/', "%2F");
            call(&it, "owner", Method::PUT, "/v1/scopes/a/polls/hidden-new", it.spec("/job")).await;
            let own = format!("/v1/scopes/{scope}/polls/own");
            call(&it, foreigner, Method::PUT, &own, it.spec("/job")).await.expect(201);
            call(&it, "owner", Method::POST, "/v1/scopes/a/polls/hidden-new/cancel", "").await.expect(200);
            call(&it, foreigner, Method::POST, &format!("{own}/cancel"), "").await.expect(200);
            let (mut body, mut text) = (response.into_body(), String::new());
            while !text.contains("event: outcome") {
                let frame = body.frame().await.unwrap().unwrap();
                text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
            }
            assert!(text.contains(r#""key":"own""#) && !text.contains("hidden"), "{text}");
        }
    }
}

#[tokio::test]
async fn without_a_key_of_the_service_only_public_calls_are_answered() {
    let it = world(false).await;
    for operation in operations() {
        let path = operation.about("a", "k");
        for key in ["", "unknown"] {
            let answer = call(&it, key, operation.method.clone(), &path, operation.body(&it)).await;
            match operation.is_public() {
                true => assert_ne!(answer.status, 401, "{} {path}", operation.method),
                false => drop(answer.expect_problem(401, "unauthorized")),
            }
        }
    }
}
