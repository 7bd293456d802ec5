//! The SQLite store, compared with plain inserts.
//!
//! `creates`: durable creates through `Poller::submit`, with 64 submitters of 32 outstanding creates each, compared with plain
//! inserts of the same rows into the same table, 2048 per transaction (the maximum that is outstanding, so the reference has
//! the fewest syncs possible). Both use `synchronous=FULL` and alternate, each in a new file. The reference is a simple loop
//! over the rows in the order of their keys, with a prepared statement per row and one core for itself. The store inserts 32
//! rows per statement, so it can be faster.
//!
//! `restart`: the time from building a poller on a file with a million open polls to its first request, and until all are
//! resumed.
//!
//! `cargo bench -p benches --bench store [-- creates|restart [POLLS]]`

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use poller::PollKey;
use poller::fetch::{Fetch, FetchError, Request, Response};
use poller::store::{Creation, Store as _, StoredPoll};
use poller::{BoxFuture, Clock as _, Limits, PollSpec, Poller, SqliteStore, SystemClock, Timestamp};
use rusqlite::params;
use tokio::sync::Notify;

const SUBMITTERS: u64 = 64;
const OUTSTANDING: u64 = 32;
const ROUNDS: usize = 5;

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|text| !text.starts_with('-')).collect();
    let polls = arguments.pop_if(|text| text.parse::<u64>().is_ok()).and_then(|text| text.parse().ok());
    let chosen = |name: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        if chosen("creates") {
            creates(polls.unwrap_or(200_000)).await;
        }
        if chosen("restart") {
            restart(polls.unwrap_or(1_000_000)).await;
        }
    });
}

fn key(number: u64) -> String {
    format!("export-{number:08}")
}

fn url(number: u64) -> String {
    format!("https://api.example.com/v1/exports/{number:08}")
}

fn kind() -> PollSpec {
    PollSpec::parse(
        r#"{"url": "https://api.example.com/v1/exports/0", "interval": 30, "timeout": 3600,
            "responseFilter": {"body": {"status": ["SUCCESS"]}}, "failureFilter": {"body": {"status": ["FAILED"]}}}"#,
    )
    .expect("the spec is valid")
}

async fn creates(polls: u64) {
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let bare = bare_inserts(polls);
        let ours = submissions(polls).await;
        ratios.push(bare.as_secs_f64() / ours.as_secs_f64());
        let per_second = |time: Duration| polls as f64 / time.as_secs_f64();
        println!(
            "creates, round {round}: bare inserts {:.0}/s, submissions {:.0}/s, {:.0} %",
            per_second(bare),
            per_second(ours),
            ratios[round - 1] * 100.0
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!("creates: {:.0} % of bare inserts in the median of {ROUNDS} rounds", ratios[ROUNDS / 2] * 100.0);
}

fn bare_inserts(polls: u64) -> Duration {
    let folder = tempfile::tempdir().expect("there is room for a file");
    let file = folder.path().join("polls.db");
    drop(SqliteStore::open(&file).expect("the file is made"));
    let mut connection = rusqlite::Connection::open(&file).expect("the file opens");
    connection.pragma_update(None, "synchronous", "full").expect("the connection is set up");
    let rows: Vec<(String, String)> = (0..polls).map(|number| (key(number), url(number))).collect();
    let created = 1_700_000_000_000_000_i64;
    let clock = SystemClock::new();
    let began = clock.now();
    for batch in rows.chunks(2048) {
        let transaction = connection.transaction().expect("a transaction begins");
        {
            let mut insert = transaction
                .prepare_cached(
                    "INSERT INTO polls (scope, key, url, spec, created_at, run) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )
                .expect("the statement is valid");
            for (key, url) in batch {
                insert.execute(params!["", key, url, 1, created, 1]).expect("the row is new");
            }
        }
        transaction.commit().expect("it is on the disk");
    }
    clock.now().since(began)
}

async fn submissions(polls: u64) -> Duration {
    let folder = tempfile::tempdir().expect("there is room for a file");
    let store = SqliteStore::open(folder.path().join("polls.db")).expect("the file is made");
    let mut limits = Limits::default();
    // The requests in flight never get a response.
    limits.grace = Duration::ZERO;
    let poller = Poller::builder().store(store).fetch(Silent).limits(limits).build().await;
    let poller = poller.expect("the store is empty");
    let kind = kind();
    let specs: Vec<PollSpec> =
        (0..polls).map(|number| kind.with_url(&url(number)).expect("the URL is valid")).collect();
    let specs = Arc::new(specs);
    let clock = SystemClock::new();
    let began = clock.now();
    let submitters = (0..SUBMITTERS).map(|submitter| {
        let (poller, specs) = (poller.clone(), Arc::clone(&specs));
        tokio::spawn(async move {
            futures_util::stream::iter((submitter..polls).step_by(SUBMITTERS as usize))
                .for_each_concurrent(OUTSTANDING as usize, |number| {
                    let (poller, spec) = (&poller, specs[number as usize].clone());
                    async move {
                        poller.submit(key(number), spec).await.expect("it is stored");
                    }
                })
                .await;
        })
    });
    for submitter in submitters.collect::<Vec<_>>() {
        submitter.await.expect("a submitter ends");
    }
    let time = clock.now().since(began);
    poller.shutdown().await;
    time
}

/// A client that never gets a response, so that only the path to the disk is measured.
struct Silent;

impl Fetch for Silent {
    fn fetch(&self, _: Request) -> BoxFuture<'static, Result<Response, FetchError>> {
        Box::pin(std::future::pending())
    }
}

async fn restart(polls: u64) {
    let folder = tempfile::tempdir().expect("there is room for a file");
    let file = folder.path().join("polls.db");
    fill(&file, polls).await;
    let size = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
    println!("restart: {polls} open polls in {} MB, {} B each", size >> 20, size / polls);
    for round in 1..=ROUNDS {
        let first = Arc::new(Notify::new());
        let clock = SystemClock::new();
        let began = clock.now();
        let store = SqliteStore::open(&file).expect("the file opens");
        let limits = Limits::default();
        let builder = Poller::builder().store(store).limits(limits).fetch(Pending(Arc::clone(&first)));
        let poller = builder.build().await.expect("the file is read");
        first.notified().await;
        let first = clock.now().since(began);
        // A lookup of a poll that may not have been read yet completes when all polls have been read.
        assert!(poller.cancel("no such poll").await.is_err());
        let all = clock.now().since(began);
        println!(
            "restart, round {round}: first request after {:.0} ms, all polls taken over after {:.2} s",
            first.as_secs_f64() * 1e3,
            all.as_secs_f64()
        );
        assert_eq!(poller.shutdown().await.left_open as u64, polls);
    }
}

/// Creates polls directly in the store, with starts spread over one interval.
async fn fill(file: &Path, polls: u64) {
    let store = SqliteStore::open(file).expect("the file is made");
    let now = SystemClock::new().now().as_micros();
    let kind = kind();
    futures_util::stream::iter(0..polls)
        .for_each_concurrent(4096, |number| {
            let (store, kind) = (&store, &kind);
            async move {
                let spec = kind.with_url(&url(number)).expect("the URL is valid");
                let created = Timestamp::from_micros(now - 40_000_000 - number * 30_000_000 / polls);
                let poll = StoredPoll::new(PollKey::new("", key(number)), spec, created);
                assert!(matches!(store.create(poll).await, Ok(Creation::Created)));
            }
        })
        .await;
}

/// A client whose jobs never complete, and which reports the first request.
struct Pending(Arc<Notify>);

impl Fetch for Pending {
    fn fetch(&self, _: Request) -> BoxFuture<'static, Result<Response, FetchError>> {
        self.0.notify_one();
        let response = Response::new(200, http::HeaderMap::new(), r#"{"status":"RUNNING"}"#);
        Box::pin(std::future::ready(Ok(response)))
    }
}
