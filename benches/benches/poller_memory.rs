//! Memory of a million waiting polls, each with its own key and its own URL of 64 bytes: resident growth of the process.
//! With `--differ`, each poll also has a header and a literal of its filter to itself, as where every tenant wrote its own spec.
//!
//! It is measured after the first attempt of each poll, which does not match, and again after more attempts than a poll keeps.
//! Half of the polls are there before the others: what the second half adds is the share that grows with their number, without
//! threads, caches and the like.
//! Processor use while nothing is due is measured too. Each store is measured in a process of its own.
//!
//! `cargo bench -p benches --bench poller_memory [-- POLLS] [--differ]`

use std::ops::Range;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use poller::fetch::{Fetch, FetchError, Request, Response};
use poller::{
    BoxFuture, Clock, Limits, MemoryStore, PollSpec, Poller, SpecOptions, SqliteStore, SystemClock, Timestamp,
};
use tokio::sync::watch;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let polls = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let differ = arguments.iter().any(|argument| argument == "--differ");
    if let Some(store) = arguments.iter().find_map(|argument| argument.strip_prefix("--store=")) {
        return measure(store, polls, differ);
    }
    let program = std::env::current_exe().expect("this program has a path");
    for store in ["memory", "sqlite"] {
        let mut run = Command::new(&program);
        run.arg(format!("--store={store}")).arg(polls.to_string());
        let run = run.args(differ.then_some("--differ")).status();
        assert!(run.is_ok_and(|status| status.success()), "the measurement of the {store} store failed");
    }
}

const INTERVAL: Duration = Duration::from_secs(300);
/// One attempt more than a poll keeps.
const ROUNDS: u64 = 21;
/// The number of concurrent submitters.
const SUBMITTERS: usize = 2048;

fn measure(store: &str, polls: u64, differ: bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        let folder = tempfile::tempdir().expect("there is room for a file");
        let limits = limits();
        let clock = LeapingClock::new();
        let answers = Answers::default();
        let builder = Poller::builder().fetch(answers.clone()).clock(clock.clone()).limits(limits.clone());
        let builder = match store {
            "memory" => builder.store(MemoryStore::new()),
            _ => builder.store(SqliteStore::open(folder.path().join("polls.db")).expect("the file opens")),
        };
        let poller = builder.build().await.expect("the store is empty");
        let empty = resident();
        let half = polls / 2;
        submit(&poller, 0..half, differ).await;
        answers.reached(&poller, half).await;
        let at_half = resident();
        submit(&poller, half..polls, differ).await;
        answers.reached(&poller, polls).await;
        let per_poll = |resident: u64| resident.saturating_sub(empty) as f64 / polls as f64;
        let now = resident();
        println!("{store}: {polls} polls, {:.0} B each after one attempt", per_poll(now));
        let grown = now.saturating_sub(at_half) as f64 / (polls - half) as f64;
        println!("{store}: {grown:.0} B for each of the second half");

        let used = processor_time();
        clock.real.sleep_until(clock.real.now() + Duration::from_secs(5)).await;
        let used = processor_time() - used;
        println!("{store}: {:.2} % of one processor while nothing is due", used.as_secs_f64() / 5.0 * 100.0);

        for round in 2..=ROUNDS {
            clock.leap(INTERVAL);
            answers.reached(&poller, round * polls).await;
        }
        println!("{store}: {:.0} B each after {ROUNDS} attempts", per_poll(resident()));
    });
}

fn limits() -> Limits {
    let mut limits = Limits::unbounded();
    (limits.in_flight, limits.per_origin) = (1024, 1024);
    limits.open_polls = usize::MAX;
    limits
}

async fn submit(poller: &Poller, polls: Range<u64>, differ: bool) {
    let shared = spec("");
    let submitters = (0..SUBMITTERS).map(|first| {
        let (poller, shared, polls) = (poller.clone(), shared.clone(), polls.clone());
        tokio::spawn(async move {
            for number in polls.skip(first).step_by(SUBMITTERS) {
                let url = format!("https://api.example.com/v1/tenants/7f3a/exports/{number:016}");
                let key = format!("tenant-7f3a/nightly/export-of-everything-there-is/{number:014}");
                assert_eq!((url.len(), key.len()), (64, 64));
                let own = differ.then(|| spec(&format!("{number:08}")));
                let spec = own.as_ref().unwrap_or(&shared).with_url(&url).expect("the URL is valid");
                poller.submit(key, spec).await.expect("the poll is accepted");
            }
        })
    });
    for submitter in submitters.collect::<Vec<_>>() {
        submitter.await.expect("the submitter did not panic");
    }
}

/// The spec of a poll, with this in a header and in a literal of its filter.
fn spec(own: &str) -> PollSpec {
    SpecOptions::new()
        .limits(limits())
        .parse(&format!(
            r#"{{"url": "https://api.example.com/", "interval": {}, "timeout": 86400,
                "requestInit": {{"headers": {{"x-tenant": "tenant-{own}"}}}},
                "responseFilter": {{"status": [200], "body": {{"status": ["SUCCESS"], "export": ["{own}"]}}}},
                "failureFilter": {{"body": {{"status": ["FAILED", "CANCELLED"]}}}}}}"#,
            INTERVAL.as_secs()
        ))
        .expect("the spec is valid")
}

/// Responds at once that the job is still running.
#[derive(Clone, Default)]
struct Answers {
    given: Arc<watch::Sender<u64>>,
}

impl Answers {
    async fn reached(&self, poller: &Poller, count: u64) {
        self.given.subscribe().wait_for(|given| *given >= count).await.expect("the sender is here");
        // The last responses are still on their way to the engine. A response after the clock's next leap would miss a tick.
        while poller.stats().attempts.total() < count {
            tokio::task::yield_now().await;
        }
    }
}

impl Fetch for Answers {
    fn fetch(&self, _: Request) -> BoxFuture<'static, Result<Response, FetchError>> {
        self.given.send_modify(|given| *given += 1);
        let mut headers = http::HeaderMap::new();
        headers.insert("content-type", http::HeaderValue::from_static("application/json"));
        headers.insert("date", http::HeaderValue::from_static("Tue, 24 Nov 2026 19:20:36 GMT"));
        headers.insert("content-length", http::HeaderValue::from_static("41"));
        let body = br#"{"status":"PENDING","progress":0.5,"n":1}"#.to_vec();
        Box::pin(std::future::ready(Ok(Response::new(200, headers, body))))
    }
}

/// The real clock, with leaps forward.
#[derive(Clone)]
struct LeapingClock {
    real: SystemClock,
    ahead: Arc<watch::Sender<Duration>>,
}

impl LeapingClock {
    fn new() -> Self {
        Self { real: SystemClock::new(), ahead: Arc::new(watch::Sender::new(Duration::ZERO)) }
    }

    fn leap(&self, by: Duration) {
        self.ahead.send_modify(|ahead| *ahead += by);
    }
}

impl Clock for LeapingClock {
    fn now(&self) -> Timestamp {
        self.real.now() + *self.ahead.borrow()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let (real, mut leaps) = (self.real, self.ahead.subscribe());
        Box::pin(async move {
            loop {
                let ahead = *leaps.borrow_and_update();
                let until = Timestamp::from_micros(at.as_micros().saturating_sub(ahead.as_micros() as u64));
                tokio::select! {
                    () = real.sleep_until(until) => return,
                    leapt = leaps.changed() => if leapt.is_err() { return std::future::pending().await },
                }
            }
        })
    }
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the line is there");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
    kib * 1024
}

/// The processor time of this process.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("it is a number")).sum();
    Duration::from_millis(ticks * 10)
}
