//! Requests a second of the service, beside a bare axum handler that reads and writes the same JSON.
//!
//! Both are served in this process, on loopback connections that stay open. Clients write the bytes of a request and read to the
//! end of its answer, so most of the processor is the servers'. The two take turns, so that other load on the machine affects both
//! alike; the medians over all rounds count, of the rates and of the ratios within a round.
//!
//! - create: `PUT /v1/polls/KEY`, each of a new key. The bare handler parses the spec and keeps it in a hash map.
//! - outcome: `GET /v1/polls/KEY/outcome` of finished polls. The bare handler looks the outcome up and serialises it.
//!
//! Polls ask nobody: a stub of the client matches at once those that are to finish, and answers the others never.
//!
//! `cargo bench -p benches --bench service_rate [-- ROUNDS]`

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use http::StatusCode;
use poller::fetch::{Fetch, FetchError, Request};
use poller::store::StoreAdmin;
use poller::{BoxFuture, Clock as _, Limits, MemoryStore, Poller, SqliteStore, SystemClock};
use serde_json::Value;
use service::Options;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The connections, each with one request at a time.
const CONNECTIONS: usize = 64;
/// The duration of a turn, and of its beginning that does not count.
const TURN: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(300);
/// The polls whose outcomes are read.
const FINISHED: u64 = 1000;

fn main() {
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(10).max(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        measure("memory", MemoryStore::new(), rounds).await;
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let store = SqliteStore::open(folder.path().join("polls.db")).expect("a store can be made");
        measure("sqlite", store, rounds).await;
    });
}

async fn measure<S: StoreAdmin + Clone>(name: &str, store: S, rounds: usize) {
    let mut limits = Limits::unbounded();
    (limits.in_flight, limits.per_origin) = (64, 64);
    let poller = Poller::builder().store(store.clone()).fetch(Stub).limits(limits);
    let poller = poller.build().await.expect("the poller can be built");
    let mut options = Options::default();
    options.limits = Limits::unbounded();
    let router = service::router(poller.clone(), store, options);
    let ours =
        Server::start(|listener| service::server::serve(listener, router, std::future::pending())).await;
    let kept = Kept::default();
    let bare = Server::start({
        let router = bare(kept.clone());
        async |listener| axum::serve(listener, router).await.expect("the listener stays open")
    })
    .await;
    for number in 0..FINISHED {
        let key = format!("done-{number}");
        let created = ours.call(&create(&key, "https://jobs.example.com/done", "?wait=60")).await;
        let outcome = created.split("\r\n\r\n").nth(1).expect("an answer has a body");
        let outcome: Value = serde_json::from_str(outcome).expect("an outcome is JSON");
        assert_eq!(outcome["outcome"], "matched", "{outcome}");
        kept.lock().insert(key, Arc::new(outcome));
    }
    let numbers = Arc::new(AtomicU64::new(0));
    let number = move || numbers.fetch_add(1, Ordering::Relaxed);
    let read = {
        let number = number.clone();
        move || {
            let number = number() % FINISHED;
            format!("GET /v1/polls/done-{number}/outcome HTTP/1.1\r\nhost: localhost\r\n\r\n")
        }
    };
    let created = move || {
        let number = number();
        create(&format!("new-{number}"), &format!("https://jobs.example.com/{number}"), "")
    };
    let (bare_reads, our_reads) = (bare.clients(read.clone()).await, ours.clients(read).await);
    let (bare_creates, our_creates) = (bare.clients(created.clone()).await, ours.clients(created).await);
    let (mut created, mut read) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        read.push((bare_reads.turn().await, our_reads.turn().await));
        created.push((bare_creates.turn().await, our_creates.turn().await));
    }
    report(name, "outcome", &read);
    report(name, "create", &created);
    for clients in [bare_reads, our_reads, bare_creates, our_creates] {
        clients.end().await;
    }
    poller.shutdown().await;
}

fn create(key: &str, url: &str, query: &str) -> String {
    let spec = format!(
        r#"{{"url":"{url}","interval":30,"timeout":36000,"responseFilter":{{"body":{{"status":["SUCCESS"]}}}}}}"#
    );
    format!(
        "PUT /v1/polls/{key}{query} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{spec}",
        spec.len()
    )
}

fn report(store: &str, what: &str, rounds: &[(f64, f64)]) {
    let median = |figure: fn(&(f64, f64)) -> f64| {
        let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
        figures.sort_unstable_by(f64::total_cmp);
        (figures[figures.len() / 2], figures[0], figures[figures.len() - 1])
    };
    let (ratio, least, most) = median(|(bare, ours)| 100.0 * ours / bare);
    println!(
        "{store}, {what}: bare handler {:.0} a second, service {:.0} a second, {ratio:.0} % ({least:.0} to {most:.0} %)",
        median(|(bare, _)| *bare).0,
        median(|(_, ours)| *ours).0,
    );
}

/// Answers what is to finish at once, and the rest never.
struct Stub;

impl Fetch for Stub {
    fn fetch(&self, request: Request) -> BoxFuture<'static, Result<poller::fetch::Response, FetchError>> {
        if request.url.path() != "/done" {
            return Box::pin(std::future::pending());
        }
        let mut headers = http::HeaderMap::new();
        headers.insert("content-type", http::HeaderValue::from_static("application/json"));
        let body = r#"{"status":"SUCCESS","progress":100,"file":"https://files.example.com/exports/42.csv"}"#;
        Box::pin(std::future::ready(Ok(poller::fetch::Response::new(200, headers, body))))
    }
}

/// What the bare handler keeps.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<HashMap<String, Arc<Value>>>>);

impl Kept {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Value>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bare(kept: Kept) -> Router {
    async fn create(
        State(kept): State<Kept>,
        Path(key): Path<String>,
        Json(spec): Json<Value>,
    ) -> (StatusCode, Json<Value>) {
        let answer = serde_json::json!({"key": key, "scope": "", "submitted": "created", "deadline": "2026-01-31T12:00:00Z"});
        kept.lock().insert(key, Arc::new(spec));
        (StatusCode::CREATED, Json(answer))
    }
    async fn outcome(State(kept): State<Kept>, Path(key): Path<String>) -> Result<Response, StatusCode> {
        let found = kept.lock().get(&key).cloned();
        found.map(|outcome| Json(&*outcome).into_response()).ok_or(StatusCode::NOT_FOUND)
    }
    Router::new()
        .route("/v1/polls/{key}", put(create))
        .route("/v1/polls/{key}/outcome", get(outcome))
        .with_state(kept)
}

/// A server of this process.
struct Server {
    address: SocketAddr,
}

impl Server {
    async fn start<F: Future<Output = ()> + Send + 'static>(serve: impl FnOnce(TcpListener) -> F) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(serve(listener));
        Self { address }
    }

    async fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).await.expect("the server accepts");
        stream.set_nodelay(true).expect("it is a socket");
        Connection { stream, read: Vec::with_capacity(16 << 10) }
    }

    async fn call(&self, request: &str) -> String {
        let mut connection = self.connect().await;
        connection.exchange(request).await.to_owned()
    }

    /// Clients that ask while their gate is open; `next` makes their requests.
    async fn clients(&self, next: impl Fn() -> String + Clone + Send + 'static) -> Clients {
        let (gate, answered) = (watch::Sender::new(false), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (mut connection, next) = (self.connect().await, next.clone());
            let (mut gate, answered) = (gate.subscribe(), Arc::clone(&answered));
            tasks.spawn(async move {
                while gate.wait_for(|open| *open).await.is_ok() {
                    let answer = connection.exchange(&next()).await;
                    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Clients { gate, answered, tasks }
    }
}

struct Clients {
    gate: watch::Sender<bool>,
    answered: Arc<AtomicU64>,
    tasks: JoinSet<()>,
}

impl Clients {
    /// The requests a second that are answered in one turn.
    async fn turn(&self) -> f64 {
        let clock = SystemClock::new();
        self.gate.send_replace(true);
        clock.sleep_until(clock.now() + WARM_UP).await;
        let (before, began) = (self.answered.load(Ordering::Relaxed), clock.now());
        clock.sleep_until(began + TURN).await;
        let answered = self.answered.load(Ordering::Relaxed) - before;
        let took = clock.now().since(began);
        self.gate.send_replace(false);
        answered as f64 / took.as_secs_f64()
    }

    /// Waits for the answers that are under way.
    async fn end(mut self) {
        drop(self.gate);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a client ends without a panic");
        }
    }
}

/// A connection with one request at a time.
struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    /// Sends a request and reads its whole answer.
    async fn exchange(&mut self, request: &str) -> &str {
        self.stream.write_all(request.as_bytes()).await.expect("the server reads");
        self.read.clear();
        loop {
            let read = self.stream.read_buf(&mut self.read).await.expect("the server answers");
            assert!(read > 0, "the server closed the connection");
            let text = std::str::from_utf8(&self.read).expect("answers are text");
            let Some(head) = text.find("\r\n\r\n") else { continue };
            let length = text[..head].lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.expect("it has a length").parse().expect("it is a number");
            if text.len() == head + 4 + length {
                break;
            }
        }
        std::str::from_utf8(&self.read).expect("answers are text")
    }
}
