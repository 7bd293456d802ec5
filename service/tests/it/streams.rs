//! Event streams: what they carry, where they resume, how they end.

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use test_support::{Gate, Reply, Script};
use tower::ServiceExt as _;

use crate::client::Fixture;

/// An open stream.
pub(crate) struct Stream {
    body: Body,
    text: String,
}

/// An event that arrived.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) name: String,
    id: Option<String>,
    pub(crate) data: Value,
}

impl Stream {
    async fn open(it: &Fixture, path: &str, last: Option<&str>) -> Self {
        Self::of(&it.router, path, last).await
    }

    pub(crate) async fn of(router: &Router, path: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(path).header("host", "localhost");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), text: String::new() }
    }

    pub(crate) async fn next(&mut self) -> Option<Arrived> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                        .map(str::to_owned)
                };
                let Some(data) = field("data") else { continue };
                let data = serde_json::from_str(&data).unwrap();
                return Some(Arrived { name: field("event").unwrap(), id: field("id"), data });
            }
            let frame = self.body.frame().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        }
    }

    pub(crate) async fn rest(mut self) -> Vec<Arrived> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }
}

pub(crate) fn names(events: &[Arrived]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

/// Two responses that do not match, then one that does.
fn third_matches() -> Script {
    Script::from_fn(|request, _| match request {
        0 | 1 => Reply::json(r#"{"status":"RUNNING"}"#),
        _ => Reply::json(r#"{"status":"SUCCESS"}"#),
    })
}

#[tokio::test]
async fn a_stream_of_one_poll_replays_and_ends_with_the_outcome() {
    let it = Fixture::new(third_matches()).await;
    it.put("/v1/polls/a?wait=25", &it.spec("/job")).await.expect(200);
    let events = Stream::open(&it, "/v1/polls/a/events", None).await.rest().await;
    assert_eq!(names(&events), ["attempted", "attempted", "attempted", "outcome"]);
    let ids: Vec<_> = events.iter().map(|event| event.id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["1", "2", "3", "end"]);
    assert_eq!((&events[3].data["outcome"], &events[3].data["attempts"]), (&"matched".into(), &3.into()));

    let events = Stream::open(&it, "/v1/polls/a/events", Some("2")).await.rest().await;
    assert_eq!(names(&events), ["attempted", "outcome"]);
    // A reader that comes back after the end is told not to come again.
    let ended = it.send(Request::get("/v1/polls/a/events").header("last-event-id", "end"), "").await;
    ended.expect(204);
    it.get("/v1/polls/b/events").await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn a_stream_of_one_poll_is_live() {
    let gate = Gate::new();
    let it = Fixture::new(Script::from(Reply::json(r#"{"status":"SUCCESS"}"#).held_by(&gate))).await;
    it.put("/v1/polls/a", &it.spec("/job")).await.expect(201);
    it.jobs.arrived(0).await;
    let mut stream = Stream::open(&it, "/v1/polls/a/events", None).await;
    assert_eq!(stream.next().await.unwrap().name, "requesting");
    gate.open();
    assert_eq!(names(&stream.rest().await), ["attempted", "outcome"]);
}

#[tokio::test]
async fn a_gap_is_told() {
    let it = Fixture::new(Script::from_fn(|request, _| match request {
        0..30 => Reply::json("{}"),
        _ => Reply::json(r#"{"status":"SUCCESS"}"#),
    }))
    .await;
    it.put("/v1/polls/a?wait=25", &it.spec("/job").replace("0.05", "0.01")).await.expect(200);
    let events = Stream::open(&it, "/v1/polls/a/events", Some("3")).await.rest().await;
    let first = events[1].data["number"].as_u64().unwrap();
    assert_eq!((events[0].name.as_str(), &events[0].data["missed"]), ("lagged", &(first - 4).into()));
    assert_eq!(events.len(), 20 + 2);
}

#[tokio::test]
async fn a_stream_of_all_polls_resumes_where_it_was() {
    let it = Fixture::new(third_matches()).await;
    let mut stream = Stream::open(&it, "/v1/events", None).await;
    it.put("/v1/scopes/s/polls/a?wait=25", &it.spec("/job")).await.expect(200);
    let first = stream.next().await.unwrap();
    assert_eq!(
        (first.name.as_str(), &first.data["key"], &first.data["scope"]),
        ("opened", &"a".into(), &"s".into())
    );
    let mut seen = vec![first];
    while seen.last().unwrap().name != "outcome" {
        seen.push(stream.next().await.unwrap());
    }
    let id = seen[0].id.clone();
    let mut again = Stream::open(&it, "/v1/events", id.as_deref()).await;
    for event in &seen[1..] {
        let repeated = again.next().await.unwrap();
        assert_eq!((&repeated.id, &repeated.data), (&event.id, &event.data));
    }
    // Numbers of another process say nothing here.
    let mut lost = Stream::open(&it, "/v1/events", Some("1-1.7")).await;
    let first = lost.next().await.unwrap();
    assert_eq!((first.name.as_str(), &first.data["missed"]), ("lagged", &Value::Null));
    it.call(http::Method::DELETE, "/v1/scopes/s/polls/a", "").await.expect(204);
    assert_eq!(lost.next().await.unwrap().name, "forgotten");
    it.service.close();
    assert!(lost.next().await.is_none() && again.rest().await.iter().all(|event| event.name == "forgotten"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_are_served_at_once() {
    let gate = Gate::new();
    let it = Fixture::new(Script::from(Reply::json(r#"{"status":"SUCCESS"}"#).held_by(&gate))).await;
    it.put("/v1/polls/a", &it.spec("/job")).await.expect(201);
    it.jobs.arrived(0).await;
    let mut streams = Vec::new();
    for number in 0..1000 {
        let path = if number % 2 == 0 { "/v1/events" } else { "/v1/polls/a/events" };
        streams.push(Stream::open(&it, path, None).await);
    }
    gate.open();
    for mut stream in streams {
        while stream.next().await.unwrap().name != "outcome" {}
    }
}
