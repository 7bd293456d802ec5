//! Faults of workers and of the database, with real processes and a PostgreSQL server: `kill -9`, SIGSTOP past the lease, a
//! restart and a crash of the server. After each, every poll that was acknowledged ends, with one outcome.

mod upgrade;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use test_support::postgres::Postgres;
use test_support::{Reply, Script, Server};
use tokio::process::Child;

use crate::process::{command, run};
use crate::signals::send;

/// The polls of a test.
const POLLS: usize = 40;

/// The looks into the database before a test gives up: at ten milliseconds each, longer than any lease here.
const LOOKS: usize = 3000;

/// A database, a server to ask, and workers.
pub(crate) struct Fleet {
    pub(crate) postgres: Postgres,
    pub(crate) url: String,
    pub(crate) server: Server,
    /// The jobs are done from now on.
    pub(crate) done: Arc<AtomicBool>,
}

impl Fleet {
    pub(crate) async fn new(test: &str) -> Option<Self> {
        Self::with(test, &[], |_| true).await
    }

    /// With these settings of the server. `ends` says for a path whether the job there is ever done.
    pub(crate) async fn with(
        test: &str,
        settings: &[&str],
        ends: impl Fn(&str) -> bool + Send + 'static,
    ) -> Option<Self> {
        Some(Self::on(Postgres::own(test, settings)?, ends).await)
    }

    /// The same on this server.
    pub(crate) async fn on(postgres: Postgres, ends: impl Fn(&str) -> bool + Send + 'static) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let script = Script::from_fn(move |_, request| {
            let status =
                if is_done.load(Ordering::Relaxed) && ends(&request.path) { "SUCCESS" } else { "RUNNING" };
            Reply::json(format!(r#"{{"status":"{status}"}}"#))
        });
        Self { url: postgres.database(), server: Server::start(script).await, postgres, done }
    }

    fn arguments(&self) -> [&str; 9] {
        ["run", "--keep", "--lease", "5s", "--allow-network", "127.0.0.0/8", "--quiet", "--store", &self.url]
    }

    pub(crate) fn worker(&self) -> Child {
        let mut worker = command(&self.arguments());
        worker.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
    }

    /// Waits until this query has this answer. Each look is a process, so this does not spin.
    pub(crate) fn wait(&self, sql: &str, expected: &str) {
        let mut answer = String::new();
        for _ in 0..LOOKS {
            answer = self.postgres.query(&self.url, sql);
            if answer == expected {
                return;
            }
        }
        panic!("{sql}: {answer} after {LOOKS} looks, expected {expected}");
    }

    /// Waits until so many workers share all shards, each with at least half of an even share.
    pub(crate) fn wait_for_workers(&self, number: usize) {
        let share = format!(
            "SELECT CASE WHEN min(shards) >= {} THEN count(*) ELSE 0 END FROM \
             (SELECT count(*) AS shards FROM poll.shard WHERE worker IS NOT NULL GROUP BY worker) each",
            4096 / number / 2
        );
        self.wait(&share, &number.to_string());
    }

    async fn submit(&self) {
        let specs: String = (0..POLLS)
            .map(|number| {
                let url = self.server.url(&format!("/job-{number}"));
                format!(
                    r#"{{"cacheKey": "job-{number}", "url": "{url}", "interval": 0.2, "timeout": 600,
                        "responseFilter": {{"body": {{"status": ["SUCCESS"]}}}}}}"#
                )
            })
            .collect::<Vec<_>>()
            .join("\n");
        let arguments =
            ["submit", "--quiet", "--unbounded", "--allow-network", "127.0.0.0/8", "--store", &self.url, "-"];
        let submitted = run(&arguments, specs).await;
        assert_eq!((submitted.code, submitted.stdout.lines().count()), (Some(0), POLLS), "{submitted:?}");
    }

    /// All jobs are done now; each poll ends once, as matched.
    pub(crate) fn finish(&self) {
        self.done.store(true, Ordering::Relaxed);
        self.wait("SELECT count(*) FROM poll.open", "0");
        let outcomes =
            "SELECT count(*), count(DISTINCT key), string_agg(DISTINCT ending, ',') FROM poll.done";
        assert_eq!(self.postgres.query(&self.url, outcomes), format!("{POLLS}|{POLLS}|matched"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_polls_end_at_another() {
    let Some(fleet) = Fleet::new("kill -9 of a worker").await else { return };
    let (mut first, _second) = (fleet.worker(), fleet.worker());
    fleet.wait("SELECT count(*) FROM pg_namespace WHERE nspname = 'poll'", "1");
    fleet.wait("SELECT count(to_regclass('poll.shard'))", "1");
    fleet.wait_for_workers(2);
    fleet.submit().await;
    fleet.server.arrived(5 * POLLS).await;
    let its = format!(
        "SELECT count(*) FROM poll.open o JOIN poll.shard s ON s.id = o.shard JOIN poll.worker w ON w.id = s.worker \
         WHERE w.process = {}",
        first.id().unwrap()
    );
    let its: usize = fleet.postgres.query(&fleet.url, &its).parse().unwrap();
    assert!(its > 0, "it runs some");
    send(Signal::KILL, &first);
    first.wait().await.unwrap();
    fleet.wait_for_workers(1);
    fleet.finish();
    let continued = fleet.postgres.query(&fleet.url, "SELECT count(*) FROM poll.done WHERE restarts > 0");
    assert!(continued.parse::<usize>().unwrap() >= its, "{continued} of {its} were continued");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_slept_past_its_lease_joins_again() {
    let Some(fleet) = Fleet::new("SIGSTOP of a worker").await else { return };
    let (first, _second) = (fleet.worker(), fleet.worker());
    fleet.wait("SELECT count(to_regclass('poll.shard'))", "1");
    fleet.wait_for_workers(2);
    fleet.submit().await;
    fleet.server.arrived(3 * POLLS).await;
    send(Signal::STOP, &first);
    fleet.wait_for_workers(1);
    send(Signal::CONT, &first);
    fleet.wait_for_workers(2);
    fleet.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_restarts_or_crashes_loses_nothing() {
    let Some(fleet) = Fleet::new("a restart of the database").await else { return };
    let _workers = (fleet.worker(), fleet.worker());
    fleet.wait("SELECT count(to_regclass('poll.shard'))", "1");
    fleet.wait_for_workers(2);
    fleet.submit().await;
    fleet.server.arrived(3 * POLLS).await;
    fleet.postgres.stop();
    fleet.postgres.resume();
    let before = fleet.server.requests().len();
    fleet.server.arrived(before + POLLS).await;
    fleet.postgres.kill();
    // Outcomes are decided while the database is away; they are stored when it is back.
    fleet.done.store(true, Ordering::Relaxed);
    fleet.postgres.resume();
    fleet.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_work_from_anywhere() {
    let Some(fleet) = Fleet::new("commands on a database").await else { return };
    let url = &*fleet.url;
    fleet.submit().await;
    run(&["list", "--store", url, "--limit", "1", "--quiet"], "").await.stderr_contains("");
    let status = run(&["status", "--store", url, "--json"], "").await;
    assert_eq!(status.code, Some(1), "open polls and no worker: {status:?}");
    run(&["cancel", "job-0", "--store", url, "--quiet"], "").await.expect(0, "job-0: cancelled\n");
    let nobody = run(&["fleet", "--store", url], "").await;
    let first = "0 workers, 4096 shards, 4096 without a worker";
    assert_eq!((nobody.code, nobody.stdout.lines().next()), (Some(1), Some(first)), "{nobody:?}");
    run(&["fleet", "--store", "polls.db"], "").await.expect(2, "").stderr_contains("poll status");
    let worker = fleet.worker();
    fleet.wait_for_workers(1);
    let shown = run(&["fleet", "--store", url], "").await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.stdout.lines().all(|line| line.chars().count() <= 80), "{shown:?}");
    let as_json = run(&["fleet", "--store", url, "--json"], "").await;
    let object: serde_json::Value = serde_json::from_str(&as_json.stdout).unwrap();
    crate::json::holds_to("A fleet", &object, &[]);
    crate::json::holds_to("A worker of a fleet", &object["workers"][0], &[]);
    assert_eq!((&object["orphanedShards"], &object["workers"][0]["shards"]), (&0.into(), &4096.into()));
    run(&["cancel", "job-1", "--store", url, "--quiet"], "").await.expect(0, "job-1: cancelled\n");
    let shown = run(&["show", "job-1", "--store", url, "--json"], "").await;
    assert!(shown.stdout.contains(r#""state":"cancelled""#), "{shown:?}");
    run(&["forget", "job-0", "--store", url, "--quiet"], "").await.expect(0, "job-0: forgotten\n");
    run(&["backup", "copy.db", "--store", url], "").await.expect(2, "").stderr_contains("pg_dump");
    run(&["run", "--store", url], "").await.expect(2, "").stderr_contains("add --keep");
    send(Signal::TERM, &worker);
    fleet.wait("SELECT count(*) FROM poll.worker", "0");
}

#[tokio::test]
async fn a_password_is_in_no_message() {
    let url = "postgres://poll:hunter2@127.0.0.1:1/polls";
    for arguments in [
        &["list", "--store", url][..],
        &["show", "a", "--store", url],
        &["list", "--store", "postgres://poll:hunter2@127.0.0.1:1/polls?sslmode=maybe"],
        &["list", "--store", url, "--no-such-option"],
    ] {
        let output = run(arguments, "").await;
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(!output.stderr.contains("hunter2") && !output.stderr.is_empty(), "{output:?}");
    }
}
