//! A service on a memory store and a scripted job server, and a client that calls it without sockets.

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use poller::http::Guard;
use poller::{Limits, MemoryStore, Poller};
use serde_json::Value;
use service::{Options, Service};
use test_support::{Script, Server};
use tower::ServiceExt as _;

/// A service whose polls ask a server of this test.
pub(crate) struct Fixture {
    pub(crate) service: Service,
    pub(crate) router: Router,
    pub(crate) poller: Poller,
    pub(crate) jobs: Server,
}

/// What a call answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Fixture {
    pub(crate) async fn new(script: impl Into<Script>) -> Self {
        Self::with(script, Options::default()).await
    }

    pub(crate) async fn with(script: impl Into<Script>, mut options: Options) -> Self {
        options.limits = Limits::unbounded();
        let store = MemoryStore::new();
        let poller = Poller::builder()
            .store(store.clone())
            .guard(Guard::local())
            .limits(Limits::unbounded())
            .build()
            .await
            .unwrap();
        let service = Service::new(poller.clone(), store, options);
        Self { router: service.router(), service, poller, jobs: Server::start(script).await }
    }

    /// A spec that waits for `{"status":"SUCCESS"}` from a path of the job server.
    pub(crate) fn spec(&self, path: &str) -> String {
        let url = self.jobs.url(path);
        format!(
            r#"{{"url":"{url}","interval":0.05,"timeout":60,"responseFilter":{{"body":{{"status":["SUCCESS"]}}}},"failureFilter":{{"body":{{"status":["FAILED"]}}}}}}"#
        )
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: impl Into<String>) -> Answer {
        self.send(Request::builder().method(method).uri(path), body).await
    }

    pub(crate) async fn send(&self, request: http::request::Builder, body: impl Into<String>) -> Answer {
        send(&self.router, request, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, "").await
    }

    pub(crate) async fn put(&self, path: &str, spec: &str) -> Answer {
        self.call(Method::PUT, path, spec).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.call(Method::POST, path, body).await
    }
}

/// Sends a request to a router, and holds the answer against the description of the API.
pub(crate) async fn send(
    router: &Router,
    request: http::request::Builder,
    body: impl Into<String>,
) -> Answer {
    let request = request.header("host", "localhost").body(Body::from(body.into())).unwrap();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = router.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let answer = Answer { status: head.status, headers: head.headers, text };
    crate::openapi::hold(&method, &path, &answer);
    answer
}

/// The digest of a key, as a file of keys has it.
pub(crate) fn digest(key: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Ends the test, showing everything, unless the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    /// Ends the test unless the answer is this problem.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, name: &str) -> Value {
        let answer = self.expect(status);
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{answer:?}");
        let problem = answer.json();
        assert_eq!(
            (&problem["type"], &problem["status"]),
            (&format!("/problems/{name}").into(), &status.into())
        );
        problem
    }
}
