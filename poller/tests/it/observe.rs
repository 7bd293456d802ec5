//! Statistics, metrics and traces of the same polls.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use poller::fetch::{FetchError, FetchErrorKind};
use poller::{Poller, SqliteStore};
use serde_json::json;
use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

use crate::store_calls::Flaky;
use crate::world::{Reply, World, pending, spec, success};

const TABLE: &str = include_str!("../../../docs/observability.md");

/// The output of a tracing subscriber.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    /// Records all events of this thread until the guard is dropped.
    pub(crate) fn listen(&self, level: tracing::Level) -> tracing::subscriber::DefaultGuard {
        // With a single subscriber, tracing caches the interest of whichever thread first reaches a callsite, and threads
        // of other tests have no subscriber. A second subscriber makes tracing consult all of them.
        static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));
        LazyLock::force(&SECOND);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(self.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Four polls: the first is retried, gets a hint, is refused and matches; the second waits for the hint to the first; the
/// third fails; the fourth is cancelled. The store refuses the first outcome twice.
async fn busy(world: &World) -> Poller {
    let poller = world.poller().store(Flaky::new(&Arc::new(AtomicU32::new(2)))).build().await.unwrap();
    let at = |path: &str| {
        let url = format!("https://api.example.com{path}");
        spec(json!({"url": url, "interval": 10, "timeout": 300,
            "retry": {"500": {"strategy": "backoff", "minTimeoutInMs": 1000, "randomize": false}}}))
    };
    let matching = poller.submit("matching", at("/matching")).await.unwrap();
    let failing = poller.submit("failing", at("/failing")).await.unwrap();
    let cancelled = poller.submit("cancelled", at("/cancelled")).await.unwrap();
    matching.outcome().await.unwrap();
    failing.outcome().await.unwrap();
    cancelled.cancel().await.unwrap();
    poller
}

fn world() -> World {
    let turns = Mutex::new(BTreeMap::<String, usize>::new());
    World::new(move |_, request| {
        let mut turns = turns.lock().unwrap();
        let turn = turns.entry(request.url.path().to_owned()).or_default();
        *turn += 1;
        match (request.url.path(), *turn) {
            ("/matching", 1) => Reply::json(500, "{}"),
            ("/matching", 2) => Reply::json(429, "{}").header("retry-after", "15"),
            ("/matching", 3) => Reply::error(FetchError::new(FetchErrorKind::Connect, "refused")),
            ("/matching", _) => success().after(Duration::from_millis(200)),
            ("/failing", 3) => Reply::json(299, r#"{"status":"FAILED"}"#),
            _ => pending(),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn metrics_and_statistics_agree_and_are_documented() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let guard = metrics::set_default_local_recorder(&recorder);
    let world = world();
    let poller = busy(&world).await;
    let stats = poller.stats();
    poller.shutdown().await;
    drop(guard);

    let mut found = BTreeMap::new();
    let mut names = BTreeSet::new();
    let mut samples = BTreeMap::new();
    for (key, _, description, value) in snapshotter.snapshot().into_vec() {
        let key = key.key();
        assert!(description.is_some(), "{key} has no description");
        names.insert(key.name().to_owned());
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        match value {
            DebugValue::Counter(count) => drop(found.insert(name, count)),
            DebugValue::Gauge(level) => drop(found.insert(name, level.into_inner() as u64)),
            DebugValue::Histogram(values) => {
                drop(samples.insert(name, values.iter().map(|value| value.into_inner()).collect::<Vec<_>>()));
            }
        }
    }
    let documented: BTreeSet<String> = TABLE
        .lines()
        .filter_map(|line| line.strip_prefix("| `poller_")?.split_once('`'))
        .map(|(name, _)| format!("poller_{name}"))
        .collect();
    assert_eq!(names, documented, "the table of docs/observability.md is what there is");

    let operations: BTreeSet<&str> = samples
        .keys()
        .chain(found.keys())
        .filter_map(|name| name.split_once("operation=")?.1.strip_suffix('}'))
        .collect();
    let documented = TABLE.lines().find_map(|line| line.strip_prefix("| `operation` | ")).unwrap();
    let documented: BTreeSet<&str> = documented.split('`').skip(1).step_by(2).collect();
    assert_eq!(operations, documented, "the table lists all operations");

    let attempts = |status: &str, error: &str| {
        let name = format!("poller_attempts_total{{http_response_status_code={status},error_type={error}}}");
        found.get(&name).copied().unwrap_or_default()
    };
    assert_eq!(
        (attempts("500", ""), attempts("429", ""), attempts("none", "connect")),
        (1, 1, 1),
        "{found:?}"
    );
    let by_class = &stats.attempts;
    let successes = attempts("200", "") + attempts("299", "");
    assert_eq!(
        (by_class.success, by_class.client_error, by_class.server_error, by_class.error),
        (successes, 1, 1, 1)
    );
    assert_eq!(by_class.total(), world.sent().len() as u64, "each request is counted once");
    let count = |name: &str| found[name];
    for (outcome, expected) in [
        ("matched", stats.outcomes.matched),
        ("failed", stats.outcomes.failed),
        ("cancelled", stats.outcomes.cancelled),
    ] {
        assert_eq!((count(&format!("poller_outcomes_total{{outcome={outcome}}}")), expected), (1, 1));
    }
    assert_eq!((count("poller_outcomes_total{outcome=timed_out}"), stats.outcomes.total()), (0, 3));
    assert_eq!((count("poller_polls_created_total{}"), stats.created), (3, 3));
    assert_eq!((count("poller_retries_total{}"), stats.retries), (1, 1));
    assert_eq!((count("poller_origins_held_back{}"), stats.held_back), (0, 0));
    assert_eq!((count("poller_hold_backs_total{}"), stats.hold_backs), (1, 1));
    assert_eq!((count("poller_store_errors_total{operation=finish}"), stats.store_errors), (2, 2));
    assert_eq!(count("poller_store_errors_total{operation=create}"), 0);
    assert_eq!((stats.open, stats.in_flight, stats.waiting()), (0, 0, 0));
    assert_eq!((count("poller_polls_open{}"), count("poller_requests_in_flight{}")), (0, 0));

    let first_requests = 3;
    let late = &samples["poller_lateness_seconds{}"];
    assert_eq!(late.len() as u64, stats.lateness.count());
    assert_eq!(stats.lateness.count(), by_class.total() - first_requests);
    assert!(stats.lateness.max() <= Duration::from_millis(1), "the virtual clock is on time: {stats:?}");
    // The neighbours are due at 10 s and held until the hint ends, 15 s after the end of the second request.
    let longest = samples["poller_held_seconds{}"].iter().copied().fold(0.0, f64::max);
    assert!((5.9..6.1).contains(&longest), "held for {longest} s");
    let slowest = samples["poller_request_duration_seconds{}"].iter().copied().fold(0.0, f64::max);
    assert!((0.199..0.202).contains(&slowest), "the slowest took {slowest} s");
    assert!((0.198..0.203).contains(&stats.request_time.max().as_secs_f64()), "{stats:?}");
    assert_eq!(samples["poller_store_duration_seconds{operation=create}"].len(), 3);
}

#[tokio::test(start_paused = true)]
async fn traces_use_the_names_of_the_semantic_conventions() {
    let written = Written::default();
    let guard = written.listen(tracing::Level::DEBUG);
    busy(&world()).await.shutdown().await;
    drop(guard);
    let text = written.text();
    let has = |parts: &[&str]| {
        let found = text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "no line with {parts:?} in\n{text}");
    };
    has(&[" INFO poller: poll accepted ", r#"poll.key="matching""#, r#"poll.scope="""#, "deadline="]);
    has(&[
        "DEBUG poller: attempt ended ",
        r#"poll.key="matching""#,
        "poll.attempt=1",
        "http.response.status_code=500",
        "duration=",
        "judgement=Unmatched",
        "next.at=",
        r#"next.why="retry""#,
    ]);
    has(&["DEBUG poller: attempt ended ", r#"error.type="connect""#]);
    has(&["DEBUG poller: the server asked to wait", r#"poll.key="matching""#, "until="]);
    has(&[" WARN poller: the store failed ", r#"operation="finish""#, "error=the disk is full"]);
    has(&["DEBUG poller: the store failed again ", r#"operation="finish""#]);
    has(&[" INFO poller: the store works again ", r#"operation="finish""#]);
    assert_eq!(text.matches(" WARN ").count(), 1, "one warning, however often it fails:\n{text}");
    has(&[
        " INFO poller: poll ended ",
        r#"poll.key="matching""#,
        r#"poll.outcome="matched""#,
        "poll.attempts=4",
        "http.response.status_code=200",
    ]);
    has(&[" INFO poller: stopped", "open=0", "unsaved=0", "ended=0", "abandoned=0"]);
}

#[tokio::test]
async fn a_request_is_a_span_with_its_server_and_without_its_path() {
    let server = test_support::Server::start(
        test_support::Script::new()
            .on("/hooks/s3cret-path", [test_support::Reply::json(r#"{"status":"SUCCESS"}"#)]),
    )
    .await;
    let written = Written::default();
    let guard = written.listen(tracing::Level::TRACE);
    let client = poller::http::HttpClient::builder().guard(poller::http::Guard::local()).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("polls.db")).unwrap();
    let poller = Poller::builder().fetch(client).store(store).build().await.unwrap();
    let url = server.url("/hooks/s3cret-path?token=s3cret-query");
    let spec = poller::PollSpec::parse(&json!({"url": url}).to_string()).unwrap();
    poller.submit("job", spec).await.unwrap().outcome().await.unwrap();
    poller.shutdown().await;
    drop(guard);
    let text = written.text();
    let port = server.url("").rsplit(':').next().unwrap().to_owned();
    assert!(
        text.contains(r#"request{poll.scope="" poll.key="job" poll.attempt=1 http.request.method="GET""#),
        "{text}"
    );
    assert!(text.contains(&format!(r#"server.address="127.0.0.1" server.port={port}"#)), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}
