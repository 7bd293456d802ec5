//! The calls of the API, one after the other.

use http::{Method, Request};
use serde_json::{Value, json};
use test_support::{Reply, Script};

use crate::client::Fixture;

const RUNNING: &str = r#"{"status":"RUNNING","n":1.50}"#;
const SUCCESS: &str = "{ \"status\": \"SUCCESS\",\n  \"n\": 37.807807921694092 }";

fn running() -> Script {
    Script::from_fn(|_, _| Reply::json(RUNNING))
}

fn done() -> Script {
    Script::from_fn(|_, _| Reply::json(SUCCESS))
}

#[tokio::test]
async fn a_poll_is_created_once_and_joined_after() {
    let it = Fixture::new(running()).await;
    let spec = it.spec("/job");
    let created = it.put("/v1/polls/export-42", &spec).await.expect(201).json();
    assert_eq!(
        (&created["key"], &created["scope"], &created["submitted"]),
        (&"export-42".into(), &"".into(), &"created".into())
    );
    assert_eq!(it.put("/v1/polls/export-42", &spec).await.expect(200).json()["submitted"], "open");

    let other = spec.replace("0.05", "0.06");
    let problem = it.put("/v1/polls/export-42", &other).await.expect_problem(409, "conflict");
    assert_eq!(problem["fields"], json!(["/interval"]));

    // Another scope is another poll.
    it.put("/v1/scopes/run%2F17/polls/export-42", &other).await.expect(201);
    assert_eq!(it.get("/v1/scopes/run%2F17/polls/export-42").await.expect(200).json()["scope"], "run/17");
}

#[tokio::test]
async fn a_wrong_spec_is_told_with_places_in_the_text_that_was_sent() {
    let it = Fixture::new(running()).await;
    let text = "{\"url\": \"ftp://a\",\n \"responseFilter\": {\"body\": {\"a\": {\"$startWith\": \"x\"}}}}";
    let problem = it.put("/v1/polls/a", text).await.expect_problem(422, "invalid-spec");
    let found = problem["diagnostics"].as_array().unwrap();
    assert_eq!(found.len(), 2, "{problem:#}");
    let operator = found.iter().find(|found| found["code"] == "unknown-operator").unwrap();
    assert_eq!(
        (&operator["line"], &operator["pointer"]),
        (&2.into(), &"/responseFilter/body/a/$startWith".into()),
        "{operator}"
    );
    assert!(operator["help"].as_str().unwrap().contains("$startsWith"));
    let span = &operator["span"];
    let (start, end) = (span["start"].as_u64().unwrap() as usize, span["end"].as_u64().unwrap() as usize);
    assert_eq!(&text[start..end], "\"$startWith\"");

    it.put("/v1/polls/a", "{").await.expect_problem(422, "invalid-spec");
    let problem = it.put("/v1/polls/a", &it.spec("/job").replacen('{', "{\"cacheKey\":\"b\",", 1)).await;
    assert_eq!(problem.expect_problem(422, "invalid-spec")["diagnostics"][0]["pointer"], "/cacheKey");
    it.get("/v1/polls/a").await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn keys_that_no_path_can_name_are_refused() {
    let it = Fixture::new(running()).await;
    for path in ["/v1/polls/%2E%2E", "/v1/polls/%0Aa", "/v1/polls/%ff", "/v1/scopes/../polls/a"] {
        it.put(path, &it.spec("/job")).await.expect_problem(400, "bad-request");
    }
    it.put(&format!("/v1/polls/{}", "k".repeat(600)), &it.spec("/job"))
        .await
        .expect_problem(400, "bad-request");
    let path = "/v1/polls/%22%3Cscript%3E%E2%80%AE%2F%3F%23%25";
    it.put(path, &it.spec("/job")).await.expect(201);
    assert_eq!(it.get(path).await.expect(200).json()["key"], "\"<script>\u{202e}/?#%");
}

#[tokio::test]
async fn an_outcome_is_waited_for_and_the_body_is_verbatim() {
    let it = Fixture::new(done()).await;
    let outcome = it.put("/v1/polls/a?wait=25", &it.spec("/job")).await.expect(200);
    assert!(outcome.text.contains(SUCCESS), "{outcome:?}");
    let outcome = outcome.json();
    assert_eq!(
        (&outcome["key"], &outcome["outcome"], &outcome["attempts"]),
        (&"a".into(), &"matched".into(), &1.into())
    );
    assert_eq!(it.get("/v1/polls/a/outcome").await.expect(200).json(), outcome);

    let result = it.get("/v1/polls/a/result").await.expect(200);
    assert_eq!(
        (result.text.as_str(), &result.headers["content-type"]),
        (SUCCESS, &"application/json".parse().unwrap())
    );
    assert_eq!(result.headers["content-security-policy"], "sandbox; default-src 'none'");
    assert_eq!(result.headers["x-content-type-options"], "nosniff");
    assert_eq!(result.headers["content-disposition"], "attachment");
    assert_eq!(it.put("/v1/polls/a", &it.spec("/job")).await.expect(200).json()["submitted"], "finished");
}

#[tokio::test]
async fn a_pending_outcome_says_when_to_come_back() {
    let it = Fixture::new(running()).await;
    it.put("/v1/polls/a", &it.spec("/job").replace("0.05", "30")).await.expect(201);
    it.jobs.ended(0).await;
    let pending = it.get("/v1/polls/a/outcome").await.expect(202);
    assert_eq!(pending.json()["state"], "open");
    let after: u64 = pending.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&after), "{after}");
    it.get("/v1/polls/a/result").await.expect(202);
    it.get("/v1/polls/a/outcome?wait=soon").await.expect_problem(400, "bad-request");
    it.get("/v1/polls/b/outcome?wait=25").await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn an_open_poll_shows_attempts_that_no_store_has_yet() {
    let it = Fixture::new(running()).await;
    it.put("/v1/polls/a", &it.spec("/job").replace("0.05", "30")).await.expect(201);
    it.jobs.ended(0).await;
    let mut poll = it.get("/v1/polls/a").await.expect(200).json();
    // The response has been sent; the engine has it a moment later.
    while poll["history"].as_array().unwrap().is_empty() {
        tokio::task::yield_now().await;
        poll = it.get("/v1/polls/a").await.expect(200).json();
    }
    assert_eq!((&poll["state"], &poll["history"][0]["result"]["status"]), (&"open".into(), &200.into()));
    assert_eq!(poll["spec"]["interval"], 30);
    assert!(poll["next"].is_string() && poll["outcome"].is_null());
    assert_eq!((&poll["last"]["excerpt"], &poll["last"]["bytes"]), (&RUNNING.into(), &RUNNING.len().into()));
    let explained = poll["last"]["explanation"].as_array().unwrap();
    assert_eq!((&explained[1]["part"], &explained[1]["matched"]), (&"body".into(), &false.into()));
    assert_eq!(explained[1]["conditions"][0]["actual"], "\"RUNNING\"");

    let row = &it.get("/v1/polls").await.expect(200).json()["polls"][0];
    assert_eq!(
        (&row["holds"], &row["recent"][0]["verdict"]),
        (&json!({"held": 1, "of": 2}), &"unmatched".into())
    );
    assert_eq!((&row["origin"], &row["interval"]), (&it.jobs.url("").into(), &json!(30.0)));
}

#[tokio::test]
async fn a_list_is_newest_first_in_pages_and_filtered() {
    let it = Fixture::new(running()).await;
    for n in 0..5 {
        it.put(&format!("/v1/polls/a{n}"), &it.spec("/job")).await.expect(201);
    }
    it.put("/v1/scopes/s/polls/b", &it.spec("/job")).await.expect(201);
    it.post("/v1/polls/a3/cancel", "").await.expect(200);
    let keys = |list: &Value| -> Vec<String> {
        list["polls"]
            .as_array()
            .unwrap()
            .iter()
            .map(|poll| poll["key"].as_str().unwrap().to_owned())
            .collect()
    };
    let list = async |query: &str| it.get(&format!("/v1/polls?{query}")).await.expect(200).json();
    let first = list("limit=4").await;
    assert_eq!(keys(&first), ["b", "a4", "a3", "a2"]);
    // A poll that is removed between two pages moves nothing.
    it.call(Method::DELETE, "/v1/polls/a3", "").await.expect(204);
    let second = list(&format!("limit=4&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!((keys(&second), &second["next"]), (vec!["a1".to_owned(), "a0".to_owned()], &Value::Null));
    assert_eq!(keys(&list("scope=s").await), ["b"]);
    assert_eq!(keys(&list("scope=&prefix=a1").await), ["a1"]);
    assert_eq!(keys(&list("state=matched,failed").await), Vec::<String>::new());
    assert_eq!(keys(&list("state=open&prefix=a").await), ["a4", "a2", "a1", "a0"]);
    let origin = it.jobs.url("");
    assert_eq!(keys(&list(&format!("origin={origin}")).await).len(), 5);
    assert!(keys(&list("origin=https://127.0.0.1").await).is_empty());
    assert!(keys(&list("since=2200-01-01T00:00:00Z").await).is_empty());
    for wrong in [
        "stat=open",
        "limit=1&limit=2",
        "state=done",
        "limit=0",
        "limit=x",
        "cursor=x",
        "since=x",
        "origin=x",
    ] {
        it.get(&format!("/v1/polls?{wrong}")).await.expect_problem(400, "bad-request");
    }
}

#[tokio::test]
async fn polls_are_cancelled_run_again_and_removed() {
    let it = Fixture::new(running()).await;
    it.put("/v1/polls/a", &it.spec("/job")).await.expect(201);
    it.call(Method::DELETE, "/v1/polls/a", "").await.expect_problem(409, "open");
    it.post("/v1/polls/a/again", "").await.expect_problem(409, "open");
    assert_eq!(it.post("/v1/polls/a/cancel", "").await.expect(200).json()["outcome"], "cancelled");
    assert_eq!(it.post("/v1/polls/a/cancel", "").await.expect(200).json()["outcome"], "cancelled");
    it.get("/v1/polls/a/result").await.expect_problem(409, "not-matched");
    assert_eq!(it.post("/v1/polls/a/again", "").await.expect(201).json()["submitted"], "created");
    it.post("/v1/polls/a/cancel", "").await.expect(200);
    it.call(Method::DELETE, "/v1/polls/a", "").await.expect(204);
    it.call(Method::DELETE, "/v1/polls/a", "").await.expect_problem(404, "not-found");
    for call in ["cancel", "again"] {
        it.post(&format!("/v1/polls/a/{call}"), "").await.expect_problem(404, "not-found");
    }
}

#[tokio::test]
async fn many_polls_are_cancelled_by_a_filter() {
    let it = Fixture::new(running()).await;
    for n in 0..5 {
        it.put(&format!("/v1/scopes/s/polls/a{n}"), &it.spec("/job")).await.expect(201);
    }
    it.put("/v1/polls/b", &it.spec("/job")).await.expect(201);
    let bulk = async |body: &str| it.post("/v1/cancel", body).await;
    bulk("{}").await.expect_problem(400, "bad-request");
    bulk(r#"{"scop":"s"}"#).await.expect_problem(400, "bad-request");
    let dry = bulk(r#"{"scope":"s","dryRun":true}"#).await.expect(200).json();
    assert_eq!(dry, json!({"polls": 5, "dryRun": true}));
    assert_eq!(bulk(r#"{"scope":"s","prefix":"a"}"#).await.expect(200).json()["polls"], 5);
    assert_eq!(bulk(r#"{"all":true,"dryRun":true}"#).await.expect(200).json()["polls"], 1);
    assert_eq!(it.poller.stats().open, 1);
}

#[tokio::test]
async fn filters_are_checked_explained_matched_and_converted() {
    let it = Fixture::new(running()).await;
    let checked = it.post("/v1/check", r#"{"status": ["SUCCESS"]}"#).await.expect(200).json();
    assert_eq!((&checked["kind"], &checked["diagnostics"]), (&"filter".into(), &json!([])));
    assert_eq!(it.post("/v1/check", r#"{"url": "https://a.test"}"#).await.expect(200).json()["kind"], "spec");
    it.post("/v1/check?kind=filter", r#"{"$gt": "#).await.expect_problem(422, "invalid-filter");
    it.post("/v1/check?kind=spec", "{}").await.expect_problem(422, "invalid-spec");
    it.post("/v1/check?kind=x", "{}").await.expect_problem(400, "bad-request");
    it.post("/v1/check?dialect=x", "{}").await.expect_problem(400, "bad-request");

    let text =
        r#"{"filter": {"n": {"$gt": 37.8}, "s": ["a"]}, "event": {"n": 37.807807921694092, "s": "b"}}"#;
    let explained = it.post("/v1/explain", text).await.expect(200).json();
    assert_eq!(explained["matched"], false);
    assert!(explained["text"].as_str().unwrap().contains("✓ n"), "{explained}");

    // Floats are compared as they are written.
    let text =
        r#"{"filter": {"n": [37.807807921694092]}, "events": [{"n": 37.807807921694092}, {"n": 37.8}]}"#;
    assert_eq!(it.post("/v1/match", text).await.expect(200).json(), json!({"matches": [true, false]}));
    it.post("/v1/match", r#"{"filter": {"$x": 1}, "events": []}"#)
        .await
        .expect_problem(422, "invalid-filter");
    it.post("/v1/match", r#"{"filter": {}, "event": {}}"#).await.expect_problem(400, "bad-request");

    let text = r#"{"filter": {"a": [{"$startsWith": "x"}]}, "from": "trigger-dev"}"#;
    let converted = it.post("/v1/convert", text).await.expect(200).json();
    assert!(converted["filter"].to_string().contains("$startsWith"), "{converted}");
    for name in ["native", "trigger-dev", "event-bridge", "spec"] {
        assert!(it.get(&format!("/v1/schema/{name}")).await.expect(200).json()["$schema"].is_string());
    }
    it.get("/v1/schema/other").await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let it = Fixture::new(running()).await;
    it.get("/v2").await.expect_problem(404, "not-found");
    it.get("/v1/polls/a/b").await.expect_problem(404, "not-found");
    let answer = it.call(Method::DELETE, "/v1/polls", "").await;
    assert!(answer.headers["allow"].to_str().unwrap().contains("GET"));
    answer.expect_problem(405, "method-not-allowed");
    assert!(it.get("/problems/conflict").await.expect(200).text.contains("JSON pointers"));
    assert_eq!(it.get("/healthz").await.expect(200).text, "ok\n");
    it.get("/readyz").await.expect(200);
}

#[tokio::test]
async fn bodies_are_bounded_and_must_be_text() {
    let it = Fixture::new(running()).await;
    let large = format!("{{\"url\":\"https://a.test/{}\"}}", "x".repeat(2 << 20));
    it.put("/v1/polls/a", &large).await.expect_problem(413, "too-large");
    let said = Request::put("/v1/polls/a").header("content-length", (1_u64 << 30).to_string());
    it.send(said, "").await.expect_problem(413, "too-large");
}

#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    let it = Fixture::new(running()).await;
    let from = |origin: &str| Request::post("/v1/cancel").header("origin", origin);
    it.send(from("https://evil.example"), r#"{"all":true}"#).await.expect_problem(403, "forbidden");
    let answer = it.send(from("http://localhost"), r#"{"all":true}"#).await.expect(200);
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{answer:?}");
    let preflight = Request::options("/v1/cancel").header("origin", "https://evil.example");
    it.send(preflight, "").await.expect_problem(403, "forbidden");
}
