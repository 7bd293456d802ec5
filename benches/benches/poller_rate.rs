//! Requests per second of due polls to a local server, compared with bare loops of reqwest and of the poller's own HTTP client;
//! and the lateness of requests at half of that rate.
//!
//! The server is a process of its own. A bare loop sends a request, reads the response and parses its body, with as many
//! loops at once as the poller may have requests in flight. All of them take turns of two seconds in the same process, so
//! that other load on the machine affects all alike. The medians over all rounds count: of the rates, and of the ratios of
//! rates within a round. The processor time per request is reported too.
//!
//! Lateness is the time from the tick at which a request is due to the call of its HTTP client.
//!
//! `cargo bench -p benches --bench poller_rate [-- ROUNDS]`

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poller::fetch::{Fetch, FetchError, Request, Response};
use poller::http::{Guard, HttpClient};
use poller::{BoxFuture, Clock as _, Limits, PollSpec, Poller, SpecOptions, SystemClock, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The number of requests in flight.
const AT_ONCE: usize = 64;
/// The duration of a turn, and of its beginning that does not count.
const TURN: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(500);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rounds = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(20).max(1);
    if arguments.iter().any(|argument| argument == "--server") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.expect("a runtime can be built").block_on(serve());
    }
    // The bare client uses the provider of the process; the poller's client has its own.
    rustls::crypto::ring::default_provider().install_default().expect("no provider is installed yet");
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be built").block_on(compare(&server, rounds));
}

async fn compare(server: &Server, rounds: usize) {
    let polled = Gate::new(false);
    let client = reqwest::Client::builder().no_proxy().build().expect("the client can be built");
    let reqwest = BareLoop::new(server, move |url| {
        let client = client.clone();
        async move {
            let response = client.get(url).send().await.expect("the server answers");
            response.bytes().await.expect("the body is whole")
        }
    });
    let client = HttpClient::builder().guard(Guard::local()).idle_per_origin(AT_ONCE).build();
    let client = client.expect("the client can be built");
    let own = client.clone();
    let own = BareLoop::new(server, move |url| {
        let url = url.parse().expect("the URL is valid");
        let exchange = own.fetch(Request::new(http::Method::GET, url, 1 << 20));
        async { exchange.await.expect("the server answers").body }
    });
    let poller = poller(Gated { client, gate: polled.subscribe() }).await;
    // More polls than it can serve.
    submit(&poller, server, 100_000, Duration::from_secs(1), Duration::ZERO).await;
    let mut turns = Vec::new();
    for _ in 0..rounds {
        let (reqwest, own) = (reqwest.turn().await, own.turn().await);
        let polled = turn(&polled, || poller.stats().attempts.total()).await;
        turns.push(Round { polled, reqwest, own });
    }
    reqwest.end().await;
    own.end().await;
    polled.send_replace(true);
    poller.shutdown().await;
    assert_eq!(poller.stats().attempts.error, 0, "every request was answered");

    let median = |figure: fn(&Round) -> f64| {
        let mut figures: Vec<f64> = turns.iter().map(figure).collect();
        figures.sort_unstable_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let polled_a_second = median(|round| round.polled.a_second);
    println!(
        "due polls: {polled_a_second:.0} a second, {:.1} µs of processor each",
        median(|round| round.polled.processor)
    );
    println!(
        "bare loop of reqwest: {:.0} a second, {:.1} µs each; due polls reach {:.1} % of it",
        median(|round| round.reqwest.a_second),
        median(|round| round.reqwest.processor),
        median(|round| 100.0 * round.polled.a_second / round.reqwest.a_second)
    );
    println!(
        "bare loop of the poller's client: {:.0} a second, {:.1} µs each; due polls reach {:.1} % of it",
        median(|round| round.own.a_second),
        median(|round| round.own.processor),
        median(|round| 100.0 * round.polled.a_second / round.own.a_second)
    );
    let late = lateness(server, polled_a_second / 2.0).await;
    println!(
        "lateness at {:.0} requests a second: p50 {:?}, p99 {:?}, the latest {:?}",
        late.rate, late.p50, late.p99, late.latest
    );
}

/// A gate that requests pass only while it is open.
type Gate = watch::Sender<bool>;

/// Opens the gate for one turn and measures the rate.
async fn turn(gate: &Gate, count: impl Fn() -> u64) -> Rate {
    gate.send_replace(true);
    let rate = rate_of(TURN, WARM_UP, count).await;
    gate.send_replace(false);
    rate
}

/// The results of the turns of one round.
struct Round {
    polled: Rate,
    reqwest: Rate,
    own: Rate,
}

/// A bare HTTP client, which sends requests while its gate is open.
struct BareLoop {
    gate: Gate,
    tasks: Vec<JoinHandle<()>>,
    done: Arc<AtomicU64>,
}

impl BareLoop {
    /// `ask` requests a URL and returns the body.
    fn new<A, B: AsRef<[u8]> + Send>(
        server: &Server,
        ask: impl Fn(String) -> A + Clone + Send + 'static,
    ) -> Self
    where
        A: Future<Output = B> + Send,
    {
        let (gate, done) = (Gate::new(false), Arc::new(AtomicU64::new(0)));
        let looping = |number| {
            let (ask, done, mut gate) = (ask.clone(), Arc::clone(&done), gate.subscribe());
            let url = format!("http://{}/v1/exports/{number}", server.address);
            tokio::spawn(async move {
                while gate.wait_for(|open| *open).await.is_ok() {
                    let body = ask(url.clone()).await;
                    let json: serde_json::Value = serde_json::from_slice(body.as_ref()).expect("it is JSON");
                    assert_eq!(json["status"], "PENDING");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let tasks = (0..AT_ONCE).map(looping).collect();
        Self { gate, tasks, done }
    }

    async fn turn(&self) -> Rate {
        turn(&self.gate, || self.done.load(Ordering::Relaxed)).await
    }

    async fn end(self) {
        drop(self.gate);
        for task in self.tasks {
            task.await.expect("the loop did not panic");
        }
    }
}

/// A client that sends while its gate is open.
struct Gated {
    client: HttpClient,
    gate: watch::Receiver<bool>,
}

impl Fetch for Gated {
    fn fetch(&self, request: Request) -> BoxFuture<'static, Result<Response, FetchError>> {
        if *self.gate.borrow() {
            return self.client.fetch(request);
        }
        let (client, mut gate) = (self.client.clone(), self.gate.clone());
        Box::pin(async move {
            gate.wait_for(|open| *open).await.expect("it is opened before it goes");
            client.fetch(request).await
        })
    }
}

async fn rate_of(turn: Duration, warm_up: Duration, count: impl Fn() -> u64) -> Rate {
    let clock = SystemClock::new();
    clock.sleep_until(clock.now() + warm_up).await;
    let (before, used, began) = (count(), processor_time(), clock.now());
    clock.sleep_until(began + (turn - warm_up)).await;
    let (requests, used) = ((count() - before) as f64, processor_time() - used);
    Rate {
        a_second: requests / clock.now().since(began).as_secs_f64(),
        processor: used.as_secs_f64() * 1e6 / requests,
    }
}

/// The result of a turn.
#[derive(Clone, Copy)]
struct Rate {
    a_second: f64,
    /// Microseconds of processor time per request, without the server's.
    processor: f64,
}

/// The processor time of this process.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("it is a number")).sum();
    Duration::from_millis(ticks * 10)
}

struct Lateness {
    rate: f64,
    p50: Duration,
    p99: Duration,
    latest: Duration,
}

/// Measures the lateness of requests at an even rate per second.
async fn lateness(server: &Server, rate: f64) -> Lateness {
    const INTERVAL: Duration = Duration::from_secs(2);
    let polls = (rate * INTERVAL.as_secs_f64()) as u64;
    let client = HttpClient::builder().guard(Guard::local()).idle_per_origin(AT_ONCE).build();
    let observed = Observed::new(client.expect("the client can be built"), polls);
    let poller = poller(observed.clone()).await;
    // Submit during twice the interval, so that submitting disturbs less than the requests do.
    let starts = submit(&poller, server, polls, INTERVAL, INTERVAL * 2).await;
    *observed.starts.lock().expect("no thread panicked") = starts;
    observed.measuring.store(true, Ordering::Relaxed);
    let (turn, warm_up) = (INTERVAL * 2, INTERVAL / 2);
    let rate = rate_of(turn, warm_up, || poller.stats().attempts.total()).await.a_second;
    observed.measuring.store(false, Ordering::Relaxed);
    poller.shutdown().await;
    let mut late: Vec<Duration> = {
        let starts = observed.starts.lock().expect("no thread panicked");
        let began = observed.began.lock().expect("no thread panicked");
        let since_tick = |(poll, at): &(u64, Timestamp)| {
            let micros = at.since(starts[*poll as usize]).as_micros() % INTERVAL.as_micros();
            Duration::from_micros(micros as u64)
        };
        began.iter().map(since_tick).collect()
    };
    late.sort_unstable();
    let at = |share: f64| late[(late.len() as f64 * share) as usize];
    Lateness { rate, p50: at(0.5), p99: at(0.99), latest: at(0.999_999) }
}

async fn poller(fetch: impl Fetch) -> Poller {
    Poller::builder().fetch(fetch).limits(limits()).build().await.expect("an empty store is no problem")
}

fn limits() -> Limits {
    let mut limits = Limits::unbounded();
    (limits.in_flight, limits.per_origin) = (AT_ONCE, AT_ONCE);
    limits
}

/// Submits polls, spread evenly over a duration, and returns their starts.
async fn submit(
    poller: &Poller,
    server: &Server,
    polls: u64,
    interval: Duration,
    over: Duration,
) -> Vec<Timestamp> {
    let text = format!(
        r#"{{"url": "http://{}/", "interval": {}, "timeout": 3600,
            "responseFilter": {{"status": [200], "body": {{"status": ["SUCCESS"]}}}},
            "failureFilter": {{"body": {{"status": ["FAILED", "CANCELLED"]}}}}}}"#,
        server.address,
        interval.as_secs_f64()
    );
    let spec: PollSpec = SpecOptions::new().limits(limits()).parse(&text).expect("the spec is valid");
    let clock = SystemClock::new();
    let began = clock.now();
    let mut starts = Vec::with_capacity(polls as usize);
    for number in 0..polls {
        if number % 100 == 0 {
            clock.sleep_until(began + over.mul_f64(number as f64 / polls as f64)).await;
        }
        let url = format!("http://{}/v1/exports/{number}", server.address);
        let spec = spec.with_url(&url).expect("the URL is valid");
        let poll = poller.submit(format!("export-{number}"), spec).await.expect("the poll is accepted");
        starts.push(Timestamp::from_micros(poll.deadline().as_micros() - 3_600_000_000));
    }
    starts
}

/// A client that records the time of each call and its poll.
#[derive(Clone)]
struct Observed {
    client: HttpClient,
    clock: Arc<Mutex<Option<SystemClock>>>,
    measuring: Arc<AtomicBool>,
    starts: Arc<Mutex<Vec<Timestamp>>>,
    began: Arc<Mutex<Vec<(u64, Timestamp)>>>,
}

impl Observed {
    fn new(client: HttpClient, polls: u64) -> Self {
        Self {
            client,
            clock: Arc::default(),
            measuring: Arc::default(),
            starts: Arc::default(),
            began: Arc::new(Mutex::new(Vec::with_capacity(8 * polls as usize))),
        }
    }
}

impl Fetch for Observed {
    fn fetch(&self, request: Request) -> BoxFuture<'static, Result<Response, FetchError>> {
        if self.measuring.load(Ordering::Relaxed) {
            let number = request.url.path().rsplit('/').next().and_then(|number| number.parse().ok());
            let at =
                self.clock.lock().expect("no thread panicked").get_or_insert_with(SystemClock::new).now();
            self.began
                .lock()
                .expect("no thread panicked")
                .push((number.expect("the path ends with a number"), at));
        }
        self.client.fetch(request)
    }
}

/// The process of the server, which is killed on drop.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut process = Command::new(program)
            .arg("--server")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server's process starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("it was asked for");
        BufReader::new(output).read_line(&mut line).expect("the server says its address");
        Self { process, address: line.trim().parse().expect("it is an address") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killing a process that has already ended fails, which is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A minimal HTTP server that is sufficient for these clients.
async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    println!("{}", listener.local_addr().expect("it is bound"));
    loop {
        let (connection, _) = listener.accept().await.expect("connections can be accepted");
        // An error means that the client has closed the connection.
        tokio::spawn(async move { drop(converse(connection).await) });
    }
}

async fn converse(mut connection: TcpStream) -> std::io::Result<()> {
    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 41\r\n\
        date: Tue, 24 Nov 2026 19:20:36 GMT\r\n\r\n{\"status\":\"PENDING\",\"progress\":0.5,\"n\":1}";
    connection.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    let mut filled = 0;
    loop {
        filled += match connection.read(&mut buffer[filled..]).await? {
            0 => return Ok(()),
            read => read,
        };
        // A GET request has no body, so it ends with its head.
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            connection.write_all(RESPONSE).await?;
        }
    }
}
