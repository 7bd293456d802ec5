//! A scripted fetch under tokio's virtual clock, which logs the beginning and the end of each request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use poller::fetch::{Fetch, FetchError, Request, Response};
use poller::{
    BoxFuture, Clock, Limits, Outcome, PollSpec, PollerBuilder, SpecOptions, SystemClock, Timestamp,
};
use tokio::sync::watch;

/// The reply of the scripted server to a request.
pub(crate) enum Reply {
    After(Duration, Result<Response, FetchError>),
    Never,
}

impl Reply {
    /// A response at once.
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::After(Duration::ZERO, Ok(Response::new(status, HeaderMap::new(), body.to_owned())))
    }

    /// The same response with one more header.
    pub(crate) fn header(self, name: &'static str, value: &str) -> Self {
        match self {
            Self::After(delay, Ok(mut response)) => {
                let value = HeaderValue::from_str(value).unwrap();
                response.headers.insert(HeaderName::from_static(name), value);
                Self::After(delay, Ok(response))
            }
            _ => panic!("only a response has headers"),
        }
    }

    /// The same response with this body.
    pub(crate) fn with_body(self, body: &'static [u8]) -> Self {
        match self {
            Self::After(delay, Ok(mut response)) => {
                response.body = body.into();
                Self::After(delay, Ok(response))
            }
            _ => panic!("only a response has a body"),
        }
    }

    /// The same reply, later.
    pub(crate) fn after(self, delay: Duration) -> Self {
        match self {
            Self::After(_, result) => Self::After(delay, result),
            Self::Never => Self::Never,
        }
    }

    pub(crate) fn error(error: FetchError) -> Self {
        Self::After(Duration::ZERO, Err(error))
    }
}

/// One request as the server saw it. `ended` is `None` if the client aborted it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) path: String,
    pub(crate) at: Duration,
    pub(crate) ended: Option<Duration>,
    pub(crate) headers: HeaderMap,
}

type Script = dyn Fn(usize, &Request) -> Reply + Send + Sync;

/// The scripted server; clones share the log.
#[derive(Clone)]
pub(crate) struct World {
    clock: SystemClock,
    epoch: Timestamp,
    script: Arc<Script>,
    log: Arc<Mutex<Vec<Sent>>>,
    arrivals: Arc<watch::Sender<usize>>,
}

impl World {
    /// `script` gets the number of the request, from 0, and the request.
    pub(crate) fn new(script: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        let clock = SystemClock::new();
        Self {
            clock,
            epoch: clock.now(),
            script: Arc::new(script),
            log: Arc::default(),
            arrivals: Arc::default(),
        }
    }

    /// Answers with these replies in order; the last one repeats.
    pub(crate) fn sequence<const N: usize>(replies: [fn() -> Reply; N]) -> Self {
        Self::new(move |number, _| replies[number.min(N - 1)]())
    }

    pub(crate) fn poller(&self) -> PollerBuilder {
        let builder = poller::Poller::builder().fetch(self.clone()).clock(self.clock);
        builder.limits(Limits::unbounded()).seed(7)
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        self.clock.now()
    }

    /// Waits until this number of requests has begun.
    pub(crate) async fn arrived(&self, requests: usize) {
        self.arrivals.subscribe().wait_for(|arrived| *arrived >= requests).await.unwrap();
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.now().since(self.epoch)
    }

    pub(crate) async fn sleep_until(&self, at: Duration) {
        self.clock.sleep_until(self.epoch + at).await;
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.log.lock().unwrap().clone()
    }

    /// The times of all requests, in whole milliseconds since the start.
    pub(crate) fn times(&self) -> Vec<u64> {
        self.sent().iter().map(|sent| millis(sent.at)).collect()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        let sent = self.sent();
        let overlaps = |at: Duration| {
            sent.iter().filter(|other| other.at <= at && other.ended.is_none_or(|ended| ended > at)).count()
        };
        sent.iter().map(|request| overlaps(request.at)).max().unwrap_or(0)
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

impl Fetch for World {
    fn fetch(&self, request: Request) -> BoxFuture<'static, Result<Response, FetchError>> {
        let world = self.clone();
        Box::pin(async move {
            let number = {
                let mut log = world.log.lock().unwrap();
                log.push(Sent {
                    path: request.url.path().to_owned(),
                    at: world.now(),
                    ended: None,
                    headers: request.headers.clone(),
                });
                world.arrivals.send_replace(log.len());
                log.len() - 1
            };
            match (world.script)(number, &request) {
                Reply::Never => std::future::pending().await,
                Reply::After(delay, result) => {
                    world.clock.sleep_until(world.clock.now() + delay).await;
                    world.log.lock().unwrap()[number].ended = Some(world.now());
                    result
                }
            }
        })
    }
}

/// A spec with the usual filters and these members.
pub(crate) fn spec(members: serde_json::Value) -> PollSpec {
    let mut spec = serde_json::json!({
        "url": "https://api.example.com/job",
        "responseFilter": {"status": [200], "body": {"status": ["SUCCESS"]}},
        "failureFilter": {"body": {"status": ["FAILED"]}},
    });
    spec.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    SpecOptions::new().limits(Limits::unbounded()).parse(&spec.to_string()).unwrap()
}

pub(crate) fn pending() -> Reply {
    Reply::json(200, r#"{"status":"PENDING"}"#)
}

pub(crate) fn success() -> Reply {
    Reply::json(200, r#"{"status":"SUCCESS"}"#)
}

/// Runs one poll to its end.
pub(crate) async fn run(world: &World, spec: PollSpec) -> Arc<Outcome> {
    let poller = world.poller().build().await.unwrap();
    poller.submit("job", spec).await.unwrap().outcome().await.unwrap()
}
