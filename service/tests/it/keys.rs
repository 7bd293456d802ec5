//! Keys: what they allow, what they hide, and their quotas.

use http::{Method, Request};
use serde_json::json;
use service::{Access, Keys, Options};
use test_support::{Reply, Script};

use crate::client::{Answer, Fixture, digest};

/// The keys `a`, `b`, `reader` and `admin`; the scopes of the first two are beside each other.
fn keys() -> Keys {
    let entry =
        |key: &str, rest: &str| format!("[[key]]\nname = '{key}'\nsha256 = '{}'\n{rest}\n", digest(key));
    Keys::parse(
        &[
            entry("a", "scope = 'a'\nrights = ['create', 'read', 'cancel']\nopen-polls = 2"),
            entry("b", "scope = 'ab'\nrights = ['create', 'read', 'cancel']"),
            entry("slow", "scope = 'slow'\nrights = ['create', 'read', 'cancel']\ncreates-per-second = 1"),
            entry("reader", "rights = ['read']"),
            entry("admin", "rights = ['admin']"),
        ]
        .concat(),
    )
    .unwrap()
}

async fn fixture() -> Fixture {
    let mut options = Options::default();
    options.access = Access::Keys(keys());
    Fixture::with(Script::from_fn(|_, _| Reply::json("{}")), options).await
}

async fn call(it: &Fixture, key: &str, method: Method, path: &str, body: impl Into<String>) -> Answer {
    it.send(
        Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}")),
        body,
    )
    .await
}

#[tokio::test]
async fn without_a_key_only_what_says_nothing_of_polls_is_answered() {
    let it = fixture().await;
    for path in ["/v1/polls", "/v1/polls/a", "/v1/events", "/v1/schema/native", "/v2", "/metrics"] {
        let answer = it.get(path).await;
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        answer.expect_problem(401, "unauthorized");
    }
    for key in ["", "c", "a ", "A", "Bearer a"] {
        let answer = call(&it, key, Method::GET, "/v1/polls", "").await;
        let expected = if key == "a " { 200 } else { 401 };
        answer.expect(expected);
    }
    for path in ["/healthz", "/readyz", "/openapi.json", "/problems/conflict"] {
        it.get(path).await.expect(200);
    }
}

#[tokio::test]
async fn a_key_does_what_its_rights_say() {
    let it = fixture().await;
    call(&it, "reader", Method::GET, "/v1/polls", "").await.expect(200);
    for (method, path) in [
        (Method::PUT, "/v1/polls/a"),
        (Method::POST, "/v1/polls/a/cancel"),
        (Method::POST, "/v1/polls/a/again"),
        (Method::POST, "/v1/cancel"),
        (Method::DELETE, "/v1/polls/a"),
    ] {
        call(&it, "reader", method, path, it.spec("/job")).await.expect_problem(403, "forbidden");
    }
    call(&it, "admin", Method::PUT, "/v1/polls/a", it.spec("/job")).await.expect(201);
}

#[tokio::test]
async fn a_key_cannot_see_cancel_or_count_polls_of_others() {
    let it = fixture().await;
    let (of_a, of_b) = ("/v1/scopes/a%2Frun/polls/x", "/v1/scopes/ab/polls/x");
    call(&it, "a", Method::PUT, of_a, it.spec("/job")).await.expect(201);
    call(&it, "b", Method::PUT, of_b, it.spec("/job")).await.expect(201);
    call(&it, "admin", Method::PUT, "/v1/polls/x", it.spec("/job")).await.expect(201);

    // The same answer as for a poll that is not there.
    let hidden = call(&it, "b", Method::GET, of_a, "").await;
    let missing = call(&it, "b", Method::GET, "/v1/scopes/a%2Frun/polls/y", "").await;
    assert_eq!(hidden.text.replace("/x", "/y"), missing.text);
    for (method, call_of) in [
        (Method::GET, ""),
        (Method::GET, "/outcome"),
        (Method::GET, "/result"),
        (Method::GET, "/events"),
        (Method::POST, "/cancel"),
        (Method::POST, "/again"),
        (Method::PUT, ""),
        (Method::DELETE, ""),
    ] {
        for path in [of_a, "/v1/polls/x"] {
            let answer = call(&it, "b", method.clone(), &format!("{path}{call_of}"), it.spec("/job")).await;
            answer.expect_problem(404, "not-found");
        }
    }
    let list = call(&it, "b", Method::GET, "/v1/polls", "").await.expect(200).json();
    assert_eq!(list["polls"].as_array().unwrap().len(), 1);
    let list = call(&it, "b", Method::GET, "/v1/polls?scope=a%2Frun", "").await.expect(200).json();
    assert_eq!(list["polls"], json!([]));
    let counted =
        call(&it, "b", Method::POST, "/v1/cancel", r#"{"all":true,"dryRun":true}"#).await.expect(200);
    assert_eq!(counted.json()["polls"], 1);
    assert_eq!(call(&it, "b", Method::POST, "/v1/cancel", r#"{"all":true}"#).await.json()["polls"], 1);
    assert_eq!(it.poller.stats().open, 2);
    assert_eq!(
        call(&it, "admin", Method::GET, "/v1/polls", "").await.json()["polls"].as_array().unwrap().len(),
        3
    );
}

#[tokio::test]
async fn quotas_are_kept() {
    let it = fixture().await;
    let put =
        async |n: u32| call(&it, "a", Method::PUT, &format!("/v1/scopes/a/polls/{n}"), it.spec("/job")).await;
    put(1).await.expect(201);
    put(2).await.expect(201);
    put(2).await.expect(200);
    let full = put(3).await;
    assert_eq!(full.headers["ratelimit"], "\"open-polls\";r=0;t=10");
    assert!(full.headers.contains_key("retry-after"));
    full.expect_problem(429, "quota");
    // A refused spec does not count, and a poll that has ended no longer does.
    call(&it, "a", Method::POST, "/v1/scopes/a/polls/1/cancel", "").await.expect(200);
    call(&it, "a", Method::PUT, "/v1/scopes/a/polls/3", "{}").await.expect_problem(422, "invalid-spec");
    let other = it.spec("/job").replace("0.05", "0.06");
    call(&it, "a", Method::PUT, "/v1/scopes/a/polls/2", other).await.expect_problem(409, "conflict");
    loop {
        // The outcome is told to quotas a moment after the answer.
        let answer = put(3).await;
        if answer.status != 429 {
            answer.expect(201);
            break;
        }
        tokio::task::yield_now().await;
    }

    let put = async |n: u32| {
        call(&it, "slow", Method::PUT, &format!("/v1/scopes/slow/polls/{n}"), it.spec("/job")).await
    };
    put(1).await.expect(201);
    put(2).await.expect_problem(429, "quota");
}
