//! The commands for many polls, as processes: `check`, `submit`, `run` of finished specs, `cancel`, beside bare inserts of the
//! same rows; and `route` with as many rules, its memory beside what `--stats` says.
//!
//! Each command runs on a file of its own; its time is that of the whole process, and its memory is the most that was resident
//! (`VmHWM`, read every few milliseconds, so that the last ones may be missed). The program is built before:
//!
//! `cargo build --release -p cli && cargo bench -p benches --bench commands [-- POLLS] [--program=target/release/poll]`

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use poller::store::{Store as _, StoredPoll};
use poller::{Clock as _, Outcome, PollKey, PollSpec, SqliteStore, SystemClock};
use rusqlite::params;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let polls = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let program =
        arguments.iter().find_map(|argument| argument.strip_prefix("--program=").map(PathBuf::from));
    let program =
        program.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/poll"));
    assert!(program.exists(), "{} is missing; cargo build --release -p cli", program.display());
    let folder = tempfile::tempdir().expect("there is room for files");
    let path = |name: &str| folder.path().join(name).to_str().expect("the path is text").to_owned();
    let specs = path("specs.json");
    fs::write(&specs, text(polls)).expect("there is room for the specs");
    let (output, messages) = (path("output"), path("messages"));
    let measure = |name: &str, arguments: &[&str]| {
        let (time, resident) = run(&program, arguments, [&output, &messages]);
        report(name, polls, time, Some(resident));
        resident
    };

    report("bare inserts", polls, bare_inserts(Path::new(&path("bare.db")), polls), None);
    measure("check", &["check", "-q", &specs]);
    measure("submit", &["submit", "--store", &path("polls.db"), &specs]);
    measure("submit again", &["submit", "--store", &path("polls.db"), &specs]);
    measure("list", &["list", "--json", "--store", &path("polls.db")]);
    measure("verify", &["verify", "--store", &path("polls.db")]);
    measure("cancel --all", &["cancel", "--all", "--store", &path("polls.db")]);
    fill(Path::new(&path("finished.db")), polls);
    measure("run of finished specs", &["run", "-q", "--store", &path("finished.db"), &specs]);
    let (rules, events) = (path("rules.jsonl"), path("events.jsonl"));
    fs::write(&rules, rule_lines(polls)).expect("there is room for the rules");
    fs::write(&events, r#"{"street":"street-7","lot":7}"#).expect("there is room for an event");
    let resident = measure("route with as many rules", &["route", "--stats", "-r", &rules, &events]);
    let stats = fs::read_to_string(&messages).expect("the program told its statistics");
    let bytes = stats.lines().find_map(|line| line.strip_prefix("bytes "));
    let bytes: u64 = bytes.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).expect("a number");
    println!("route: {:.2} times the {} MB of --stats", resident as f64 / bytes as f64, bytes >> 20);
}

fn report(name: &str, polls: u64, time: Duration, resident: Option<u64>) {
    let seconds = time.as_secs_f64();
    let memory = resident.map(|bytes| format!(", {} MB resident", bytes >> 20)).unwrap_or_default();
    println!("{name}: {polls} polls in {seconds:.2} s, {:.0}/s{memory}", polls as f64 / seconds);
}

fn key(number: u64) -> String {
    format!("export-{number:08}")
}

fn url(number: u64) -> String {
    format!("https://127.0.0.1:9/v1/exports/{number:08}")
}

const KIND: &str = r#""interval":30,"timeout":3600,"responseFilter":{"body":{"status":["SUCCESS"]}},"failureFilter":{"body":{"status":["FAILED"]}}"#;

fn text(polls: u64) -> String {
    (0..polls).fold(String::new(), |mut text, number| {
        let (key, url) = (key(number), url(number));
        writeln!(text, r#"{{"cacheKey":"{key}","url":"{url}",{KIND}}}"#).expect("a string grows");
        text
    })
}

/// Rules of two exact fields.
fn rule_lines(rules: u64) -> String {
    (0..rules).fold(String::new(), |mut text, number| {
        let street = number % 5000;
        writeln!(
            text,
            r#"{{"id":"rule-{number}","filter":{{"street":["street-{street}"],"lot":[{number}]}}}}"#
        )
        .expect("a string grows");
        text
    })
}

/// Runs the program to its end; returns its time and the most memory that was seen.
#[expect(clippy::disallowed_methods, reason = "the memory of another process is looked at now and then")]
fn run(program: &Path, arguments: &[&str], [output, messages]: [&str; 2]) -> (Duration, u64) {
    let clock = std::time::Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(File::create(output).expect("there is room for the output"))
        .stderr(File::create(messages).expect("there is room for the messages"))
        .spawn()
        .expect("the program starts");
    let mut resident = 0;
    let status = loop {
        let text = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        resident = resident.max(kib.unwrap_or(0) * 1024);
        if let Some(status) = child.try_wait().expect("it is a child") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{arguments:?}: {status}");
    (clock.elapsed(), resident)
}

fn bare_inserts(file: &Path, polls: u64) -> Duration {
    drop(SqliteStore::open(file).expect("the file is made"));
    let mut connection = rusqlite::Connection::open(file).expect("the file opens");
    connection.pragma_update(None, "synchronous", "full").expect("the connection is set up");
    let clock = SystemClock::new();
    let began = clock.now();
    for first in (0..polls).step_by(4096) {
        let transaction = connection.transaction().expect("a transaction begins");
        {
            let mut insert = transaction
                .prepare_cached(
                    "INSERT INTO polls (scope, key, url, spec, created_at, run) VALUES ('', ?1, ?2, 1, ?3, 1)",
                )
                .expect("the statement is valid");
            for number in first..polls.min(first + 4096) {
                insert
                    .execute(params![key(number), url(number), 1_700_000_000_000_000_i64])
                    .expect("it is new");
            }
        }
        transaction.commit().expect("it is on the disk");
    }
    clock.now().since(began)
}

/// A file whose polls have ended.
fn fill(file: &Path, polls: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        let store = SqliteStore::open(file).expect("the file is made");
        let closed = store.closed();
        let kind = PollSpec::parse(&format!(r#"{{"url":"{}",{KIND}}}"#, url(0))).expect("the spec is valid");
        let now = SystemClock::new().now();
        let mut outcome: Outcome = serde_json::from_str(
            r#"{"outcome":"matched","attempts":1,"restarts":0,"startedAt":"2026-01-01T00:00:00Z",
                "endedAt":"2026-01-01T00:00:01Z","counts":{"200":1},"history":[],
                "response":{"status":200,"headers":{"content-type":"application/json"},"body":{"status":"SUCCESS"}}}"#,
        )
        .expect("the outcome is valid");
        (outcome.started_at, outcome.ended_at) = (now, now);
        let outcome = Arc::new(outcome);
        for first in (0..polls).step_by(4096) {
            let new = (first..polls.min(first + 4096)).map(|number| {
                let spec = kind.with_url(&url(number)).expect("the URL is valid");
                StoredPoll::new(PollKey::new("", key(number)), spec, now)
            });
            for created in store.create_all(new.collect()).await {
                created.expect("it is stored");
            }
        }
        let mut ends = futures_util::stream::iter(0..polls)
            .map(|number| store.finish(PollKey::new("", key(number)), Arc::clone(&outcome)))
            .buffered(4096);
        while let Some(ended) = ends.next().await {
            ended.expect("it is stored");
        }
        drop(ends);
        drop(store);
        closed.await;
    });
}
