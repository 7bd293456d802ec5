//! Clocks that are wrong, are set, or jump while a runner is stopped, with real processes: libfaketime gives each process the time
//! that a file says.
//!
//! Where libfaketime is not installed, the tests say so on stderr and end; with `POLL_FAKETIME=required`, as in CI, they fail
//! then.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use test_support::{Gate, Reply, Script, Server};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::process::{command, finish};
use crate::signals::send;
use crate::store::Folder;

/// Which clocks of a process go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The time of day alone, as somebody sets it.
    Wall,
    /// The monotonic clock too, as where a virtual machine was paused.
    Both,
}

/// A clock for processes. It differs from the true one by what its file says.
pub(crate) struct FakeClock {
    library: PathBuf,
    file: PathBuf,
}

impl FakeClock {
    /// A clock that is right, with its file in this folder; `None` where libfaketime is not installed.
    pub(crate) fn new(folder: &Folder) -> Option<Self> {
        let known = ["/usr/lib", "/usr/local/lib", "/usr/lib64"].map(PathBuf::from);
        let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
        let found = known
            .iter()
            .flat_map(|folder| [folder.clone(), folder.join(&triplet)])
            .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
            .find(|library| library.exists());
        let Some(library) = found else {
            let required = std::env::var("POLL_FAKETIME").is_ok_and(|value| value == "required");
            assert!(!required, "POLL_FAKETIME=required, and libfaketime is not installed");
            eprintln!("!! libfaketime is not installed: THIS TEST WAS NOT RUN");
            return None;
        };
        let clock = Self { library, file: folder.path().join(format!("clock-{}", fastrand::u64(..))) };
        clock.set(0);
        Some(clock)
    }

    /// Sets how many seconds it is ahead of the true time. Processes see that at their next look.
    pub(crate) fn set(&self, ahead: i64) {
        // In one step: a process must never read half of it.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{ahead:+}\n")).unwrap();
        fs::rename(&new, &self.file).unwrap();
    }

    /// Gives this clock to a process.
    pub(crate) fn of<'c>(&self, command: &'c mut Command, which: Which) -> &'c mut Command {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", if which == Which::Wall { "1" } else { "0" })
    }
}

/// A runner with a clock of its own, and what it prints.
struct Runner {
    child: Child,
    outcomes: Lines<BufReader<ChildStdout>>,
    log: Lines<BufReader<ChildStderr>>,
}

impl Runner {
    fn start(folder: &Folder, clock: &FakeClock, which: Which) -> Self {
        let arguments = folder.arguments(&["run", "--keep", "--json"]);
        let mut command = command(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let mut child = clock.of(&mut command, which).stdin(Stdio::null()).spawn().unwrap();
        let outcomes = BufReader::new(child.stdout.take().unwrap()).lines();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, outcomes, log }
    }

    async fn outcome(&mut self) -> Value {
        let line = self.outcomes.next_line().await.unwrap().expect("the runner goes on");
        serde_json::from_str(&line).unwrap()
    }

    /// Waits for a line with these words on its standard error.
    async fn says(&mut self, words: &str) -> String {
        loop {
            let line =
                self.log.next_line().await.unwrap().unwrap_or_else(|| panic!("it never said {words:?}"));
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Waits until it looks for polls of other processes.
    async fn is_up(&mut self, folder: &Folder, server: &Server) {
        submit(folder, "first", &server.url("/done"), 60.0).await;
        assert_eq!(self.outcome().await["key"], "first");
    }

    async fn end(mut self) {
        send(Signal::TERM, &self.child);
        assert_eq!(self.child.wait().await.unwrap().code(), Some(0));
    }
}

async fn submit(folder: &Folder, key: &str, url: &str, timeout: f64) {
    let spec = format!(
        r#"{{"cacheKey":"{key}","url":"{url}","interval":40,"timeout":{timeout},
            "responseFilter":{{"body":{{"status":["SUCCESS"]}}}}}}"#
    );
    folder.poll(&["submit", "--unbounded", "-"], spec).await.expect(0, &format!("{key}\n"));
}

async fn server() -> Server {
    let [running, done] =
        ["RUNNING", "SUCCESS"].map(|status| Reply::json(format!(r#"{{"status":"{status}"}}"#)));
    Server::start(Script::new().on("/done", [done.clone()]).on("/later", [running, done])).await
}

/// Far below the differences of the clocks, and far above what a request takes.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn polls_are_asked_at_once_by_a_runner_whose_clock_is_wrong() {
    for ahead in [-20, 40, -86_400, 86_400] {
        let folder = Folder::new();
        let Some(clock) = FakeClock::new(&folder) else { return };
        clock.set(ahead);
        let server = server().await;
        let mut runner = Runner::start(&folder, &clock, Which::Both);
        runner.is_up(&folder, &server).await;
        // Shorter than the difference, so that by its own clock the runner would find the poll over, or not begun.
        submit(&folder, "a", &server.url("/done"), 15.0).await;
        let outcome = tokio::time::timeout(SOON, runner.outcome()).await;
        let outcome = outcome.unwrap_or_else(|_| panic!("{ahead} s ahead: it is not asked at once"));
        assert_eq!(
            (&outcome["key"], &outcome["outcome"], &outcome["attempts"]),
            (&"a".into(), &"matched".into(), &1.into()),
            "{ahead} s ahead: {outcome}"
        );
        runner.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_is_told_and_moves_no_poll() {
    for ahead in [7230, -7230] {
        let folder = Folder::new();
        let Some(clock) = FakeClock::new(&folder) else { return };
        let server = server().await;
        let mut runner = Runner::start(&folder, &clock, Which::Wall);
        runner.is_up(&folder, &server).await;
        submit(&folder, "waits", &server.url("/later"), 300.0).await;
        server.arrived(1).await;
        clock.set(ahead);
        let direction = if ahead > 0 { "forward" } else { "back" };
        runner.says(&format!("the clock of this machine was set {direction} by 2h")).await;
        // The submitter has the new time, too.
        let arguments = folder.arguments(&["submit", "--unbounded", "-"]);
        let mut late = command(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let late = clock.of(&mut late, Which::Wall).spawn().unwrap();
        let spec = format!(
            r#"{{"cacheKey":"new","url":"{}","interval":40,"timeout":15,"responseFilter":{{"status":[200]}}}}"#,
            server.url("/done")
        );
        finish(late, spec).await.expect(0, "new\n");
        let outcome = tokio::time::timeout(SOON, runner.outcome()).await.expect("it is asked at once");
        assert_eq!((&outcome["key"], &outcome["outcome"]), (&"new".into(), &"matched".into()), "{outcome}");
        assert_eq!(folder.state("waits").await, "open", "its deadline is minutes away");
        assert_eq!(server.requests().len(), 3, "and its next request some 40 s");
        runner.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_was_stopped_for_an_hour_looks_once_more() {
    let folder = Folder::new();
    let Some(clock) = FakeClock::new(&folder) else { return };
    let server = server().await;
    let mut runner = Runner::start(&folder, &clock, Which::Both);
    runner.is_up(&folder, &server).await;
    submit(&folder, "job", &server.url("/later"), 300.0).await;
    server.arrived(1).await;
    runner.says("job: #1 200").await;
    send(Signal::STOP, &runner.child);
    clock.set(3600);
    send(Signal::CONT, &runner.child);
    let outcome = tokio::time::timeout(SOON, runner.outcome()).await.expect("it is asked at once");
    assert_eq!(
        (&outcome["key"], &outcome["outcome"], &outcome["attempts"]),
        (&"job".into(), &"matched".into(), &2.into()),
        "its deadline passed while nobody ran it: {outcome}"
    );
    // The submitter's clock was not stopped: it is an hour behind that of the runner.
    submit(&folder, "new", &server.url("/done"), 15.0).await;
    let outcome = tokio::time::timeout(SOON, runner.outcome()).await.expect("it is asked at once");
    assert_eq!((&outcome["key"], &outcome["outcome"]), (&"new".into(), &"matched".into()), "{outcome}");
    runner.end().await;
}

/// A request was in flight when the machine stopped: what comes of it afterwards says little, so there is another.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_while_the_runner_is_stopped_is_no_last_look() {
    let folder = Folder::new();
    let Some(clock) = FakeClock::new(&folder) else { return };
    let gate = Gate::new();
    let held = Reply::json(r#"{"status":"RUNNING"}"#).held_by(&gate);
    let done = Reply::json(r#"{"status":"SUCCESS"}"#);
    let server = Server::start(Script::new().on("/done", [done.clone()]).on("/job", [held, done])).await;
    let mut runner = Runner::start(&folder, &clock, Which::Both);
    runner.is_up(&folder, &server).await;
    submit(&folder, "job", &server.url("/job"), 300.0).await;
    server.arrived(1).await;
    send(Signal::STOP, &runner.child);
    clock.set(3600);
    gate.open();
    send(Signal::CONT, &runner.child);
    let outcome = tokio::time::timeout(SOON, runner.outcome()).await.expect("it is asked at once");
    assert_eq!(
        (&outcome["key"], &outcome["outcome"], &outcome["attempts"]),
        (&"job".into(), &"matched".into(), &2.into()),
        "{outcome}"
    );
    runner.end().await;
}
