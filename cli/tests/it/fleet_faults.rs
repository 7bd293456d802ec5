//! Faults of a fleet under load, with real processes and a real database, and what holds after each of them: every poll that
//! was acknowledged ends once, none later than its deadline + lease + 2 s + the time that the database was away, and a
//! hand-over costs a poll at most one request more than its grid has ticks. The database is also away while the machine, busy
//! with something else, lets it answer late: that is measured beside the tests.
//!
//! `POLL_FAULTS=10` repeats what can be repeated, and keeps the database away, or its disk full, for 30 s.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command as SystemCommand, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use test_support::postgres::Postgres;
use tokio::process::{Child, Command};

use crate::fleet::Fleet;
use crate::process::{command, run};
use crate::signals::send;

/// The lease of the workers.
const LEASE: Duration = Duration::from_secs(3);

/// Between two requests of a poll.
const INTERVAL: Duration = Duration::from_millis(250);

/// The timeout of the polls whose jobs are never done.
const TIMEOUT: Duration = Duration::from_secs(8);

/// How often a fault is repeated.
fn rounds() -> usize {
    std::env::var("POLL_FAULTS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}

/// Waits for real time to pass, for faults that are made of it.
async fn pass(time: Duration) {
    let slept = Command::new("sleep").arg(time.as_secs_f64().to_string()).status().await.unwrap();
    assert!(slept.success());
}

/// Says on the handle itself that a test was not run, and fails in CI.
fn not_run(test: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{test}: {why}");
    let _ = writeln!(std::io::stderr(), "NOT RUN: {test}: {why}");
}

/// A fleet whose acknowledged polls are counted. Those with odd numbers are never done and time out.
struct Load {
    fleet: Fleet,
    /// How the workers and commands reach the database.
    url: String,
    acknowledged: Vec<String>,
    next: usize,
    lateness: Lateness,
}

impl Load {
    async fn new(test: &str) -> Option<Self> {
        Some(Self::on(Postgres::own(test, &["track_commit_timestamp=on"])?).await)
    }

    async fn on(postgres: Postgres) -> Self {
        let fleet = Fleet::on(postgres, |path| {
            let number: usize =
                path.strip_prefix("/job-").and_then(|number| number.parse().ok()).unwrap_or(0);
            number.is_multiple_of(2)
        })
        .await;
        let url = fleet.url.clone();
        let lateness = Lateness::measure(&fleet.postgres);
        Self { lateness, fleet, url, acknowledged: Vec::new(), next: 0 }
    }

    fn arguments<'a>(&'a self, lease: &'a str) -> [&'a str; 9] {
        ["run", "--keep", "--lease", lease, "--allow-network", "127.0.0.0/8", "--quiet", "--store", &self.url]
    }

    fn worker(&self) -> Child {
        quiet(command(&self.arguments("3s"))).spawn().unwrap()
    }

    async fn two_workers(&self) -> [Child; 2] {
        let workers = [self.worker(), self.worker()];
        self.fleet.wait("SELECT count(to_regclass('poll.shard'))", "1");
        self.fleet.wait_for_workers(2);
        workers
    }

    fn specs(&self, numbers: std::ops::Range<usize>) -> String {
        let line = |number: usize| {
            let url = self.fleet.server.url(&format!("/job-{number}"));
            let timeout = if number.is_multiple_of(2) { 600.0 } else { TIMEOUT.as_secs_f64() };
            let interval = INTERVAL.as_secs_f64();
            format!(
                r#"{{"cacheKey": "job-{number}", "url": "{url}", "interval": {interval}, "timeout": {timeout},
                    "responseFilter": {{"body": {{"status": ["SUCCESS"]}}}}}}"#
            )
        };
        numbers.map(line).collect::<Vec<_>>().join("\n")
    }

    /// Submits more polls, again and again until all are acknowledged.
    async fn submit(&mut self, number: usize) {
        let numbers = self.next..self.next + number;
        self.next = numbers.end;
        let specs = self.specs(numbers.clone());
        let arguments =
            ["submit", "--quiet", "--unbounded", "--allow-network", "127.0.0.0/8", "--store", &self.url, "-"];
        loop {
            let submitted = run(&arguments, &specs).await;
            if submitted.code == Some(0) {
                assert_eq!(submitted.stdout.lines().count(), number, "{submitted:?}");
                break;
            }
            assert!(submitted.stderr.contains("cannot"), "{submitted:?}");
        }
        self.acknowledged.extend(numbers.map(|number| format!("job-{number}")));
    }

    /// The time by the database's clock, since 1970.
    fn database_time(&self) -> Duration {
        let seconds =
            self.fleet.postgres.query(&self.fleet.url, "SELECT extract(epoch FROM clock_timestamp())");
        Duration::from_secs_f64(seconds.parse().unwrap())
    }

    /// The polls that are due while this is awaited are asked.
    async fn asked(&self, more: usize) {
        let before = self.fleet.server.requests().len();
        self.fleet.server.arrived(before + more).await;
    }

    /// The even jobs are done now. Waits until all polls have ended, and holds them to what is promised.
    fn finish(&self, away: Duration) {
        self.finish_uncounted(away, 0);
    }

    /// The same if up to `uncounted` hand-overs of a poll are not in its row.
    fn finish_uncounted(&self, away: Duration, uncounted: i64) {
        self.finish_by(
            "(extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::int8",
            away,
            uncounted,
        );
    }

    /// The same if `stored` says when an outcome was stored.
    fn finish_by(&self, stored: &str, away: Duration, uncounted: i64) {
        self.fleet.done.store(true, Ordering::Relaxed);
        self.fleet.wait("SELECT count(*) FROM poll.open", "0");
        let rows = self.fleet.postgres.query(
            &self.fleet.url,
            &format!("SELECT key, ending, restarts, ended - created, {stored} - created FROM poll.done"),
        );
        let mut asked: HashMap<String, i64> = HashMap::new();
        for request in self.fleet.server.requests() {
            *asked.entry(request.path.trim_start_matches('/').to_owned()).or_default() += 1;
        }
        let mut ended: HashMap<&str, usize> = HashMap::new();
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap();
        for row in rows.lines() {
            let [key, ending, restarts, took, stored] = row.split('|').collect::<Vec<_>>()[..] else {
                panic!("{row}")
            };
            *ended.entry(key).or_default() += 1;
            let number: usize = key.trim_start_matches("job-").parse().unwrap();
            let [restarts, took, stored] = [restarts, took, stored].map(|text| text.parse::<i64>().unwrap());
            let expected = if number.is_multiple_of(2) { "matched" } else { "timed out" };
            assert_eq!(ending, expected, "{row}");
            if ending == "timed out" {
                let away = away + self.lateness.total();
                let most = micros(TIMEOUT + LEASE + Duration::from_secs(2) + away);
                assert!(
                    stored <= most,
                    "{row}: stored after {stored} µs, expected at most {most}, {away:?} away"
                );
                assert!(took >= micros(TIMEOUT), "{row}: it timed out early");
            }
            let ticks = took / micros(INTERVAL) + 1;
            let requests = asked.get(key).copied().unwrap_or(0);
            assert!(requests <= ticks + restarts + uncounted, "{row}: {requests} requests in {ticks} ticks");
        }
        for key in &self.acknowledged {
            assert_eq!(ended.get(key.as_str()), Some(&1), "{key}");
        }
    }
}

/// How long, in all, a session of the database had to wait for its small transactions.
struct Lateness {
    session: std::process::Child,
    micros: Arc<AtomicU64>,
}

impl Lateness {
    /// What a transaction may take, with the pause before it.
    const USUAL: Duration = Duration::from_millis(200);

    #[expect(clippy::disallowed_methods, reason = "the time of the machine is what is measured")]
    fn measure(postgres: &Postgres) -> Self {
        let mut session = postgres.session();
        let micros = Arc::new(AtomicU64::new(0));
        let (mut input, output) = (session.stdin.take().unwrap(), session.stdout.take().unwrap());
        let total = Arc::clone(&micros);
        let mut lines = BufReader::new(output).lines();
        std::thread::spawn(move || {
            let mut ask = |sql: &str| {
                let sent = writeln!(input, "{sql} RETURNING number;").and_then(|()| input.flush());
                // The session ends with the server or with the test.
                sent.is_ok() && lines.next().is_some_and(|line| line.is_ok_and(|line| line == "0"))
            };
            if !ask("CREATE TABLE beat (number int); INSERT INTO beat VALUES (0)") {
                return;
            }
            let mut last = Instant::now();
            while ask("UPDATE beat SET number = 0") {
                let took = last.elapsed();
                last = Instant::now();
                if took > Self::USUAL {
                    total.fetch_add(u64::try_from(took.as_micros()).unwrap(), Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { session, micros }
    }

    fn total(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }
}

impl Drop for Lateness {
    fn drop(&mut self) {
        let _ = self.session.kill();
        let _ = self.session.wait();
    }
}

fn quiet(mut command: Command) -> Command {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_killed_under_load() {
    let Some(mut load) = Load::new("kill -9 of workers under load").await else { return };
    let [mut victim, mut other] = load.two_workers().await;
    for _ in 0..rounds() {
        load.submit(20).await;
        load.asked(40).await;
        send(Signal::KILL, &victim);
        victim.wait().await.unwrap();
        load.submit(10).await;
        load.fleet.wait_for_workers(1);
        victim = std::mem::replace(&mut other, load.worker());
        load.fleet.wait_for_workers(2);
    }
    load.finish(Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_sleeps_past_its_lease() {
    let Some(mut load) = Load::new("a worker that sleeps past its lease").await else { return };
    let workers = load.two_workers().await;
    for round in 0..rounds() {
        load.submit(20).await;
        load.asked(40).await;
        let sleeper = &workers[round % 2];
        send(Signal::STOP, sleeper);
        load.fleet.wait_for_workers(1);
        send(Signal::CONT, sleeper);
        load.fleet.wait_for_workers(2);
    }
    load.finish(Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_cut() {
    let Some(mut load) = Load::new("connections that are cut").await else { return };
    let _workers = load.two_workers().await;
    for _ in 0..3 * rounds() {
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE application_name = 'poll' AND pid <> pg_backend_pid()";
        let (postgres, url) = (&load.fleet.postgres, load.fleet.url.clone());
        postgres.sql(&url, cut);
        load.submit(10).await;
        load.fleet.postgres.sql(&url, cut);
        load.asked(10).await;
    }
    load.finish(Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_away_for_a_while() {
    let Some(mut load) = Load::new("a database that is away").await else { return };
    let _workers = load.two_workers().await;
    load.submit(20).await;
    load.asked(40).await;
    let away = if rounds() > 2 { Duration::from_secs(30) } else { LEASE + Duration::from_secs(1) };
    let before = load.database_time();
    load.fleet.postgres.kill();
    pass(away).await;
    // The workers have stopped asking with the end of their leases: from here on nothing arrives.
    let asked = load.fleet.server.requests().len();
    pass(2 * INTERVAL).await;
    assert_eq!(load.fleet.server.requests().len(), asked, "no request without a lease");
    load.fleet.postgres.resume();
    let away = load.database_time() - before;
    load.submit(5).await;
    load.asked(20).await;
    // A poll that is created while no lease is valid counts its hand-overs from the next one on.
    load.finish_uncounted(away, 1);
}

/// The server hangs while polls end, as with a disk that answers late: its connections stay, and nothing is answered.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_hangs_for_a_while() {
    let Some(mut load) = Load::new("a database that hangs").await else { return };
    let _workers = load.two_workers().await;
    let begun = load.database_time();
    load.submit(20).await;
    load.asked(40).await;
    let near = TIMEOUT - INTERVAL;
    pass(near.saturating_sub(load.database_time() - begun)).await;
    load.fleet.postgres.freeze(true);
    pass(LEASE).await;
    load.fleet.postgres.freeze(false);
    // The lateness that is measured is this.
    load.finish_uncounted(Duration::ZERO, 1);
    assert!(load.lateness.total() >= LEASE, "{:?}", load.lateness.total());
}

#[tokio::test(flavor = "multi_thread")]
async fn isolation_is_serializable_by_default() {
    let Some(mut load) = Load::new("a serializable default, under load").await else { return };
    let name = load.fleet.url.rsplit('/').next().unwrap();
    let set = format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'");
    load.fleet.postgres.sql("postgres", &set);
    let [mut victim, _other] = load.two_workers().await;
    load.submit(30).await;
    load.asked(40).await;
    send(Signal::KILL, &victim);
    victim.wait().await.unwrap();
    load.fleet.wait_for_workers(1);
    load.finish(Duration::ZERO);
}

/// The clock of one worker is an hour ahead, that of the other an hour behind.
#[tokio::test(flavor = "multi_thread")]
async fn clocks_of_workers_are_off_by_an_hour() {
    let Some(mut load) = Load::new("workers whose clocks are off").await else { return };
    let Some(library) = faketime() else {
        return not_run("workers whose clocks are off", "libfaketime is not installed (Debian: faketime)");
    };
    let worker = |offset: &str| {
        let mut worker = quiet(command(&load.arguments("3s")));
        worker.env("LD_PRELOAD", &library).env("FAKETIME", offset).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        worker.spawn().unwrap()
    };
    let (mut ahead, _behind) = (worker("+3600"), worker("-3600"));
    load.fleet.wait("SELECT count(to_regclass('poll.shard'))", "1");
    load.fleet.wait_for_workers(2);
    let off = "SELECT count(*) FROM poll.worker WHERE abs(abs(clock_offset) - 3600000000) < 5000000";
    load.fleet.wait(off, "2");
    load.submit(30).await;
    load.asked(40).await;
    send(Signal::KILL, &ahead);
    ahead.wait().await.unwrap();
    load.fleet.wait_for_workers(1);
    load.finish(Duration::ZERO);
}

/// An operator, NTP or a fail-over sets the database's clock by hours, both ways. Nothing waits for it and nothing times out.
#[tokio::test(flavor = "multi_thread")]
async fn the_clock_of_the_database_is_set_by_hours() {
    const TEST: &str = "a database whose clock is set";
    let Some(library) = faketime() else {
        return not_run(TEST, "libfaketime is not installed (Debian: faketime)");
    };
    let Some(postgres) = Postgres::with_clock(TEST, &[], library) else { return };
    let mut load = Load::on(postgres).await;
    let arguments: Vec<&str> = load.arguments("3s").into_iter().filter(|word| *word != "--quiet").collect();
    let mut talking = command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut victim = load.worker();
    load.fleet.wait("SELECT count(to_regclass('poll.shard'))", "1");
    load.fleet.wait_for_workers(2);
    load.submit(20).await;
    load.asked(40).await;
    for (steps, ahead) in [(1, -3 * 3600), (2, 2 * 3600)] {
        load.fleet.postgres.set_clock(ahead);
        load.fleet.wait("SELECT steps FROM poll.clock", &steps.to_string());
        load.asked(60).await;
        load.submit(5).await;
        load.asked(20).await;
    }
    let shift = load.fleet.postgres.query(&load.url, "SELECT round(shift / 60e6) FROM poll.clock");
    assert_eq!(shift, "-120", "the fleet has the time that it began with");
    let alive = load.fleet.postgres.query(&load.url, "SELECT sum(takeovers) FROM poll.worker");
    assert_eq!(alive, "0", "no lease has ended by it");
    let shown = run(&["fleet", "--store", &load.url], "").await;
    assert!(
        shown.stdout.contains("the database's clock was set 2 times; the fleet's is now -7200s from it"),
        "{shown:?}"
    );
    // A hand-over goes by the fleet's time too.
    send(Signal::KILL, &victim);
    victim.wait().await.unwrap();
    load.fleet.wait_for_workers(1);
    load.finish_by("ended", Duration::ZERO, 1);
    send(Signal::TERM, &talking);
    let mut said = String::new();
    let output = talking.stderr.as_mut().unwrap();
    tokio::io::AsyncReadExt::read_to_string(output, &mut said).await.unwrap();
    assert!(said.contains("the clock of the database was set back by "), "{said}");
    assert!(said.contains("the clock of the database was set forward by "), "{said}");
}

fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|file| file.exists())
}

/// The disk of the tables is full for a while: a small file system in memory.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_of_the_database_is_full() {
    const TEST: &str = "a full disk";
    let Some(mut load) = Load::new(TEST).await else { return };
    let Some(disk) = SmallDisk::mount(&load.fleet.postgres) else {
        return not_run(TEST, "a file system cannot be mounted (that needs root)");
    };
    let tablespace = format!("CREATE TABLESPACE small LOCATION '{}'", disk.tables().display());
    load.fleet.postgres.sql("postgres", &tablespace);
    let name = load.fleet.url.rsplit('/').next().unwrap();
    load.fleet.postgres.sql("postgres", &format!("ALTER DATABASE {name} SET TABLESPACE small"));
    let _workers = load.two_workers().await;
    load.submit(20).await;
    load.asked(40).await;
    let before = load.database_time();
    disk.fill();
    // More than fits into the pages that the tables have: the disk must be needed.
    let arguments =
        ["submit", "--quiet", "--unbounded", "--allow-network", "127.0.0.0/8", "--store", &load.url, "-"];
    let refused = run(&arguments, load.specs(1000..3000)).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("No space left on device"), "{refused:?}");
    let acknowledged = refused.stdout.lines().map(str::to_owned).collect::<Vec<_>>();
    load.acknowledged.extend(acknowledged);
    if rounds() > 2 {
        pass(Duration::from_secs(30)).await;
    }
    disk.free();
    let away = load.database_time() - before;
    load.submit(5).await;
    load.finish_uncounted(away, 1);
}

/// A file system of a few megabytes.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(postgres: &Postgres) -> Option<Self> {
        let folder = postgres.socket_folder().join("small");
        std::fs::create_dir(&folder).unwrap();
        let mounted = SystemCommand::new("mount")
            .args(["-t", "tmpfs", "-o", "size=40m,mode=0777", "tmpfs"])
            .arg(&folder)
            .stderr(Stdio::null())
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            return None;
        }
        let disk = Self(folder);
        std::fs::create_dir(disk.tables()).unwrap();
        let permissions: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(disk.tables(), permissions).unwrap();
        let (user, group) = postgres.user();
        std::os::unix::fs::chown(disk.tables(), Some(user), Some(group)).unwrap();
        Some(disk)
    }

    fn tables(&self) -> PathBuf {
        self.0.join("tables")
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server still has files open there.
        let _ = SystemCommand::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// PgBouncer in transaction mode between the fleet and the database: each transaction may get another connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_is_in_between() {
    const TEST: &str = "a fleet behind PgBouncer";
    let Some(mut load) = Load::new(TEST).await else { return };
    let Some(pooler) = Pooler::start(&load.fleet.postgres).await else {
        return not_run(TEST, "PgBouncer is not installed (Debian: pgbouncer)");
    };
    load.url = pooler.url(&load.fleet.url);
    let [mut victim, other] = load.two_workers().await;
    load.submit(30).await;
    load.asked(40).await;
    send(Signal::KILL, &victim);
    victim.wait().await.unwrap();
    load.fleet.wait_for_workers(1);
    load.submit(10).await;
    let fleet = run(&["fleet", "--store", &load.url], "").await;
    assert_eq!(fleet.code, Some(0), "{fleet:?}");
    load.finish(Duration::ZERO);
    send(Signal::TERM, &other);
    load.fleet.wait("SELECT count(*) FROM poll.worker WHERE expires > now()", "0");
}

struct Pooler {
    folder: tempfile::TempDir,
    _process: Child,
}

impl Pooler {
    async fn start(postgres: &Postgres) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists())?;
        let folder = tempfile::Builder::new().prefix("pb").tempdir_in("/tmp").unwrap();
        let path = folder.path().display();
        let settings = format!(
            "[databases]\n* = host={} user=poll\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\n\
             unix_socket_dir = {path}\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 10\n\
             max_client_conn = 200\nlogfile = {path}/log\npidfile = {path}/pid\n",
            postgres.socket_folder().display()
        );
        std::fs::write(folder.path().join("ini"), settings).unwrap();
        let (user, group) = postgres.user();
        std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).unwrap();
        let mut command = Command::new(program);
        command.arg("-q").arg(folder.path().join("ini")).kill_on_drop(true).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if rustix::process::geteuid().is_root() {
            command.uid(user).gid(group);
        }
        let process = command.spawn().unwrap();
        // It answers once its socket is there.
        let socket = folder.path().join(".s.PGSQL.6432");
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            tokio::task::yield_now().await;
        }
        Some(Self { folder, _process: process })
    }

    fn url(&self, of: &str) -> String {
        let host = self.folder.path().display().to_string().replace('/', "%2F");
        let database = of.rsplit('/').next().unwrap();
        format!("postgres://poll@{host}:6432/{database}")
    }
}
