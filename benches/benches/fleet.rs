//! The store of a fleet on a PostgreSQL server of its own, which runs on the same machine, with the server's own settings but
//! for its memory (`fsync`, `full_page_writes` and `synchronous_commit` are on).
//!
//! `rates`: creations and outcomes per second through the store, compared with the same statements in a bare loop on one
//! connection, in batches of the same size; both alternate. And the rows and the WAL of a poll's whole life.
//! `claims`: the same polls by claiming each due poll with SKIP LOCKED, in the cheapest form: a narrow table, one statement
//! per 500 claims that takes the due rows and moves them to their next tick.
//! `waiting`: transactions, WAL and processor time of the server while many polls wait for their next tick.
//! `handover`: a worker is killed (`kill -9`); how long after its tick each of its due polls is asked by the other one.
//! `workers`: requests per second of one, two and four worker processes with more due polls than they can ask, answered at
//! once in the process.
//!
//! `cargo bench -p benches --bench fleet [-- rates|claims|waiting|handover|workers [POLLS]]`

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poller::fetch::{Fetch, FetchError, Request, Response};
use poller::store::{Creation, Store as _, StoreAdmin as _, StoredPoll};
use poller::{
    BoxFuture, Clock as _, Limits, Outcome, PollKey, PollSpec, Poller, PostgresOptions, PostgresStore,
    SpecOptions, SystemClock, Timestamp,
};
use test_support::postgres::Postgres;
use tokio_postgres::NoTls;

/// The polls of a batch.
const BATCH: usize = 1000;
const ROUNDS: usize = 5;
const LEASE: Duration = Duration::from_secs(10);
/// The interval of polls that wait, in seconds.
const INTERVAL: u32 = 600;

fn main() {
    let mut arguments: Vec<String> =
        std::env::args().skip(1).filter(|text| !text.starts_with("--")).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be built");
    if arguments.first().is_some_and(|first| first == "worker") {
        return runtime.block_on(work(&arguments[1]));
    }
    let polls = arguments.pop_if(|text| text.parse::<usize>().is_ok()).and_then(|text| text.parse().ok());
    let chosen = |name: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == name);
    let settings = ["fsync=on", "full_page_writes=on", "shared_buffers=512MB", "max_wal_size=8GB"];
    let Some(server) = Postgres::own("the benchmark of a fleet", &settings) else { return };
    runtime.block_on(async {
        if chosen("rates") {
            rates(&server, polls.unwrap_or(50_000)).await;
        }
        if chosen("claims") {
            claims(&server, polls.unwrap_or(100_000)).await;
        }
        if chosen("waiting") {
            waiting(&server, polls.unwrap_or(100_000)).await;
        }
        if chosen("handover") {
            handover(&server, polls.unwrap_or(100_000)).await;
        }
        if chosen("workers") {
            workers(&server, polls.unwrap_or(200_000)).await;
        }
    });
}

fn now() -> Timestamp {
    SystemClock::new().now()
}

fn spec(interval: u32) -> PollSpec {
    let text = format!(
        r#"{{"url": "https://api.example.com/v1/exports/0", "interval": {interval}, "timeout": 86400,
            "responseFilter": {{"body": {{"status": ["SUCCESS"]}}}}}}"#
    );
    SpecOptions::new().limits(Limits::unbounded()).parse(&text).expect("the spec is valid")
}

fn poll(number: usize, spec: &PollSpec, at: Timestamp) -> StoredPoll {
    let spec = spec.with_url(&format!("https://api.example.com/v1/exports/{number}")).expect("a URL");
    StoredPoll::new(PollKey::new("", format!("export-{number:08}")), spec, at).spread()
}

async fn open(url: &str) -> PostgresStore {
    let options = PostgresOptions::parse(url).expect("a URL").with_lease(LEASE);
    options.connect().await.expect("the server is there")
}

/// Reads all open polls of a worker.
async fn load(store: &PostgresStore) {
    while !store.load_open().await.expect("it can be read").last {}
}

fn wal(server: &Postgres, url: &str) -> f64 {
    server.query(url, "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").parse().expect("a number")
}

/// The row versions that were written and deleted so far.
fn rows(server: &Postgres, url: &str) -> f64 {
    let sql = "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables \
               WHERE schemaname = 'poll' AND (relname IN ('open', 'inbox', 'attempts', 'followed') OR relname LIKE 'done_%')";
    server.query(url, sql).parse().expect("a number")
}

/// The seconds of processor time that this process has used.
fn own_processor() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let fields = text.rsplit_once(") ").expect("a name in parentheses").1.split(' ');
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() as f64 / 100.0
}

/// The seconds of processor time that the processes of a server have used.
fn processor(server: &Postgres) -> f64 {
    let file =
        std::fs::read_to_string(server.socket_folder().join("data/postmaster.pid")).unwrap_or_default();
    let first = file.lines().next().unwrap_or_default().to_owned();
    let processes = std::fs::read_dir("/proc").expect("Linux has it");
    let ticks = processes.filter_map(|process| {
        let text = std::fs::read_to_string(process.ok()?.path().join("stat")).ok()?;
        let number = text.split(' ').next()?.to_owned();
        // Behind the name, which may have spaces: state, parent, …, user and system time, and those of children that ended.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
        let times = if number == first { 11..15 } else { 11..13 };
        (number == first || fields[1] == first).then_some(())?;
        Some(fields[times].iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>())
    });
    ticks.sum::<u64>() as f64 / 100.0
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The outcome of a poll whose response says that the export is ready.
async fn outcome() -> Arc<Outcome> {
    let poller =
        Poller::builder().fetch(Replies::new(r#"{"status":"SUCCESS","url":"https://files.example.com/1"}"#));
    let poller = poller.limits(limits()).build().await.expect("a poller in memory");
    poller.submit("one", spec(10)).await.expect("accepted").outcome().await.expect("it ends")
}

async fn rates(server: &Postgres, polls: usize) {
    let ended = outcome().await;
    let (mut creates, mut finishes, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let bare = bare_rates(server, polls, &ended).await;
        let url = server.database();
        let store = open(&url).await;
        store.begin_run().await.expect("a worker");
        load(&store).await;
        server.sql(&url, "CHECKPOINT");
        let (before, rows_before) = (wal(server, &url), rows(server, &url));
        let (spec, at) = (spec(10), now());
        // As in the bare loop, the rows are there before the time begins.
        let new: Vec<StoredPoll> = (0..polls).map(|number| poll(number, &spec, at)).collect();
        let keys: Vec<PollKey> = new.iter().map(|poll| poll.key.clone()).collect();
        let mut new = new.into_iter();
        let (used, used_by_server) = (own_processor(), processor(server));
        let began = now();
        for number in (0..polls).step_by(BATCH) {
            let batch = new.by_ref().take(BATCH.min(polls - number)).collect();
            for result in store.create_all(batch).await {
                assert!(matches!(result.expect("it is stored"), Creation::Created));
            }
        }
        let created = now().since(began);
        let used_by_creates = own_processor() - used;
        let began = now();
        for batch in keys.chunks(BATCH) {
            let calls = batch.iter().map(|key| store.finish(key.clone(), Arc::clone(&ended)));
            futures_util::future::try_join_all(calls).await.expect("they are stored");
        }
        let finished = now().since(began);
        let used_by_finishes = own_processor() - used - used_by_creates;
        let used_by_server = processor(server) - used_by_server;
        bytes.push((wal(server, &url) - before) / polls as f64);
        let closed = store.closed();
        drop(store);
        closed.await;
        // The statistics of a session are complete when it has ended.
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'poll'";
        while server.query(&url, sessions) != "0" {}
        let written = (rows(server, &url) - rows_before) / polls as f64;
        let rate = |time: Duration| polls as f64 / time.as_secs_f64();
        creates.push(rate(created) / bare.0);
        finishes.push(rate(finished) / bare.1);
        println!(
            "rates, round {round}: creates {:.0}/s of {:.0}/s bare ({:.0} %), outcomes {:.0}/s of {:.0}/s bare ({:.0} %), \
             {written:.2} rows and {:.0} bytes of WAL for a poll's life; of the processor, this process took {:.1} and {:.1} µs a poll, \
             the bare loop {:.1} and {:.1}, the server {:.1} together",
            rate(created),
            bare.0,
            creates[round - 1] * 100.0,
            rate(finished),
            bare.1,
            finishes[round - 1] * 100.0,
            bytes[round - 1],
            used_by_creates / polls as f64 * 1e6,
            used_by_finishes / polls as f64 * 1e6,
            bare.2 / polls as f64 * 1e6,
            bare.3 / polls as f64 * 1e6,
            used_by_server / polls as f64 * 1e6,
        );
    }
    println!(
        "rates: creates {:.0} %, outcomes {:.0} % of the bare loop in the median of {ROUNDS} rounds; {:.0} bytes of WAL",
        median(&mut creates) * 100.0,
        median(&mut finishes) * 100.0,
        median(&mut bytes)
    );
}

/// The rates of the same inserts and moves in a loop on one connection, and the processor time of this process for each.
async fn bare_rates(server: &Postgres, polls: usize, ended: &Outcome) -> (f64, f64, f64, f64) {
    let url = server.database();
    // For the tables and a partition of today.
    let store = open(&url).await;
    store.begin_run().await.expect("a worker");
    store.create(poll(usize::MAX, &spec(10), now())).await.expect("it is stored");
    let key = PollKey::new("", format!("export-{:08}", usize::MAX));
    store.finish(key, outcome().await).await.expect("it is stored");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("the server is there");
    tokio::spawn(connection);
    let text = serde_json::to_string(ended).expect("an outcome is JSON");
    let create = client
        .prepare(
            "INSERT INTO poll.open (shard, scope, key, incarnation, created, deadline, spec, url, first_after, run) \
             SELECT n.shard, '', n.key, n.incarnation, n.created, n.created, 1, n.url, 0, 1 \
             FROM unnest($1::int4[], $2::text[], $3::int8[], $4::int8[], $5::text[]) \
                 AS n (shard, key, incarnation, created, url) ON CONFLICT (shard, scope, key) DO NOTHING RETURNING incarnation",
        )
        .await
        .expect("the statement is valid");
    let look = client
        .prepare(
            "SELECT n.key FROM unnest($1::int4[], $2::text[]) AS n (shard, key) WHERE EXISTS \
             (SELECT FROM poll.done d WHERE d.shard = n.shard AND d.scope = '' AND d.key = n.key)",
        )
        .await
        .expect("the statement is valid");
    let finish = client
        .prepare(
            "WITH n AS (SELECT * FROM unnest($1::int4[], $2::text[], $3::int8[], $4::int8[], $5::text[]) \
                 AS n (shard, key, incarnation, ended, outcome)), \
             gone AS (DELETE FROM poll.open o USING n WHERE o.shard = n.shard AND o.scope = '' AND o.key = n.key \
                 AND o.incarnation = n.incarnation RETURNING o.*, n.ended, n.outcome), \
             kept AS (INSERT INTO poll.done (shard, scope, key, incarnation, created, ended, restarts, requests, spec, url, \
                 ending, outcome) SELECT shard, scope, key, incarnation, created, ended, 0, 1, spec, url, 'matched', outcome \
                 FROM gone) SELECT count(*) FROM gone",
        )
        .await
        .expect("the statement is valid");
    client
        .batch_execute("SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off")
        .await
        .expect("set");
    let mut rows: Vec<(i32, String, i64, String)> = (0..polls)
        .map(|number| {
            let shard = i32::try_from(number.wrapping_mul(2_654_435_761) % 4096).expect("small");
            let url = format!("https://api.example.com/v1/exports/{number}");
            (shard, format!("export-{number:08}"), i64::try_from(number).expect("small") * 7919, url)
        })
        .collect();
    let micros = i64::try_from(ended.ended_at.as_micros()).expect("this century");
    let used = own_processor();
    let began = now();
    for batch in rows.chunks_mut(BATCH) {
        batch.sort();
        let shards: Vec<i32> = batch.iter().map(|row| row.0).collect();
        let keys: Vec<&str> = batch.iter().map(|row| &*row.1).collect();
        let incarnations: Vec<i64> = batch.iter().map(|row| row.2).collect();
        let urls: Vec<&str> = batch.iter().map(|row| &*row.3).collect();
        let times = vec![micros; batch.len()];
        client.batch_execute("BEGIN").await.expect("begun");
        let made =
            client.query(&create, &[&shards, &keys, &incarnations, &times, &urls]).await.expect("inserted");
        assert_eq!(made.len(), batch.len());
        assert!(client.query(&look, &[&shards, &keys]).await.expect("read").is_empty());
        client.batch_execute("COMMIT").await.expect("committed");
    }
    let created = now().since(began);
    let used_by_creates = own_processor() - used;
    let began = now();
    for batch in rows.chunks(BATCH) {
        let shards: Vec<i32> = batch.iter().map(|row| row.0).collect();
        let keys: Vec<&str> = batch.iter().map(|row| &*row.1).collect();
        let incarnations: Vec<i64> = batch.iter().map(|row| row.2).collect();
        let (times, texts) = (vec![micros; batch.len()], vec![&*text; batch.len()]);
        client.batch_execute("BEGIN").await.expect("begun");
        let moved =
            client.query_one(&finish, &[&shards, &keys, &incarnations, &times, &texts]).await.expect("moved");
        assert_eq!(usize::try_from(moved.get::<_, i64>(0)).expect("few"), batch.len());
        client.batch_execute("COMMIT").await.expect("committed");
    }
    let finished = now().since(began);
    let used_by_finishes = own_processor() - used - used_by_creates;
    (
        polls as f64 / created.as_secs_f64(),
        polls as f64 / finished.as_secs_f64(),
        used_by_creates,
        used_by_finishes,
    )
}

async fn claims(server: &Postgres, polls: usize) {
    let url = server.database();
    server.sql(
        &url,
        &format!(
            "CREATE TABLE claims (id bigint PRIMARY KEY, due bigint NOT NULL) WITH (fillfactor = 50); \
             CREATE INDEX ON claims (due); INSERT INTO claims SELECT id, id FROM generate_series(1, {polls}) AS id"
        ),
    );
    // Not in the transaction of several statements.
    server.sql(&url, "VACUUM ANALYZE claims");
    server.sql(&url, "CHECKPOINT");
    let before = wal(server, &url);
    let began = now();
    let loops = (0..2).map(|_| {
        let url = url.clone();
        tokio::spawn(async move {
            let (client, connection) =
                tokio_postgres::connect(&url, NoTls).await.expect("the server is there");
            tokio::spawn(connection);
            let claim = client
                .prepare(
                    "UPDATE claims SET due = due + 1000000000 WHERE id = ANY (ARRAY(SELECT id FROM claims \
                     WHERE due < 1000000000 ORDER BY due LIMIT 500 FOR UPDATE SKIP LOCKED)) RETURNING id",
                )
                .await
                .expect("the statement is valid");
            let mut claimed = 0;
            loop {
                match client.query(&claim, &[]).await.expect("claimed").len() {
                    0 => return claimed,
                    more => claimed += more,
                }
            }
        })
    });
    let mut claimed = 0;
    for task in loops.collect::<Vec<_>>() {
        claimed += task.await.expect("it ends");
    }
    let took = now().since(began).as_secs_f64();
    let bytes = (wal(server, &url) - before) / claimed as f64;
    println!("claims: {:.0}/s by two connections, {bytes:.0} bytes of WAL per claim", claimed as f64 / took);
}

async fn waiting(server: &Postgres, polls: usize) {
    const SECONDS: u64 = 20;
    let url = server.database();
    let (mut first, mut second) = (worker(&url), worker(&url));
    submit(server, &url, polls, INTERVAL).await;
    until_open(server, &url, polls).await;
    let count = || -> f64 {
        let sql = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";
        server.query(&url, sql).parse().expect("a number")
    };
    let (transactions, bytes, used) = (count(), wal(server, &url), processor(server));
    let clock = SystemClock::new();
    clock.sleep_until(clock.now() + Duration::from_secs(SECONDS)).await;
    println!(
        "waiting: {polls} open polls, two workers: {:.1} transactions/s, {:.0} bytes of WAL/s, {:.2} % of a core",
        (count() - transactions) / SECONDS as f64,
        (wal(server, &url) - bytes) / SECONDS as f64,
        (processor(server) - used) / SECONDS as f64 * 100.0
    );
    for worker in [&mut first, &mut second] {
        worker.kill().expect("it runs");
        worker.wait().expect("it ends");
    }
}

/// A worker in a process of its own.
fn worker(url: &str) -> Child {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    command.args(["worker", url]).stdin(Stdio::piped()).stdout(Stdio::null());
    command.spawn().expect("it starts")
}

/// Runs polls until it is killed, and says for each line of its input how many requests it has made.
async fn work(url: &str) {
    let count = Arc::new(AtomicU64::new(0));
    let replies = Replies { count: Arc::clone(&count), ..Replies::new("{}") };
    let poller = Poller::builder().store(open(url).await).fetch(replies).limits(limits());
    let _poller = poller.build().await.expect("a worker");
    tokio::task::spawn_blocking(move || {
        for _ in std::io::stdin().lines() {
            println!("{}", count.load(Ordering::Relaxed));
        }
    })
    .await
    .expect("nothing panics");
}

/// A worker that is asked how many requests it has made.
struct Counted {
    process: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
}

impl Counted {
    fn start(url: &str) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        command.args(["worker", url]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let ask = process.stdin.take().expect("it is piped");
        let answer = BufReader::new(process.stdout.take().expect("it is piped"));
        Self { process, ask, answer }
    }

    fn requests(&mut self) -> u64 {
        writeln!(self.ask).expect("it reads");
        let mut line = String::new();
        self.answer.read_line(&mut line).expect("it answers");
        line.trim().parse().expect("a number")
    }
}

async fn workers(server: &Postgres, polls: usize) {
    const SECONDS: u64 = 10;
    let mut alone = None;
    for number in [1, 2, 4] {
        let url = server.database();
        let mut workers: Vec<Counted> = (0..number).map(|_| Counted::start(&url)).collect();
        submit(server, &url, polls, 1).await;
        until_open(server, &url, polls).await;
        let shares = "SELECT count(*) FROM (SELECT FROM poll.shard WHERE worker IS NOT NULL GROUP BY worker \
                      HAVING count(*) > (SELECT shards / 2 / (SELECT count(*) FROM poll.worker) FROM poll.meta)) AS fair";
        let clock = SystemClock::new();
        while server.query(&url, shares) != number.to_string() {
            clock.sleep_until(clock.now() + Duration::from_millis(200)).await;
        }
        let total = |workers: &mut Vec<Counted>| workers.iter_mut().map(Counted::requests).sum::<u64>();
        let (began, before) = (clock.now(), total(&mut workers));
        clock.sleep_until(began + Duration::from_secs(SECONDS)).await;
        let rate = (total(&mut workers) - before) as f64 / clock.now().since(began).as_secs_f64();
        let of_one = rate / *alone.get_or_insert(rate);
        println!(
            "workers: {number} of them, {polls} open polls: {rate:.0} requests/s, {of_one:.2} times those of one"
        );
        for mut worker in workers {
            worker.process.kill().expect("it runs");
            worker.process.wait().expect("it ends");
        }
    }
}

fn limits() -> Limits {
    let mut limits = Limits::unbounded();
    (limits.in_flight, limits.per_origin, limits.open_polls) = (usize::MAX, usize::MAX, usize::MAX);
    limits
}

/// Stores polls that are asked at this interval in seconds, evenly spread over it.
async fn submit(server: &Postgres, url: &str, polls: usize, interval: u32) -> Timestamp {
    while server.query(url, "SELECT to_regclass('poll.shard') IS NOT NULL") != "t" {}
    let store = open(url).await;
    let spec = spec(interval);
    let at = store.clock().expect("it has one").now();
    for batch in (0..polls).collect::<Vec<_>>().chunks(4 * BATCH) {
        let batch = batch.iter().map(|number| poll(*number, &spec, at)).collect();
        for result in store.create_all(batch).await {
            result.expect("it is stored");
        }
    }
    at
}

/// Waits until the workers say that they run all polls.
async fn until_open(server: &Postgres, url: &str, polls: usize) {
    let clock = SystemClock::new();
    let sql = "SELECT coalesce(sum(open), 0) FROM poll.worker WHERE expires > now()";
    while server.query(url, sql) != polls.to_string() {
        clock.sleep_until(clock.now() + Duration::from_millis(200)).await;
    }
}

async fn handover(server: &Postgres, polls: usize) {
    let url = server.database();
    let mut victim = worker(&url);
    let at = submit(server, &url, polls, INTERVAL).await;
    let asked = Asked::default();
    let store = open(&url).await;
    let clock = store.clock().expect("it has one");
    let replies = Replies { asked: Some((Arc::clone(&asked), Arc::clone(&clock))), ..Replies::new("{}") };
    let poller = Poller::builder().store(store.clone()).fetch(replies).limits(limits());
    let poller = poller.build().await.expect("a worker");
    until_open(server, &url, polls).await;
    // Each has its half, as in a fleet that runs.
    while poller.stats().open < polls * 2 / 5 {
        clock.sleep_until(clock.now() + Duration::from_millis(200)).await;
    }
    // The polls of the one that dies.
    let its = server.query(
        &url,
        &format!(
            "SELECT o.key FROM poll.open o JOIN poll.shard s ON s.id = o.shard JOIN poll.worker w ON w.id = s.worker \
             WHERE w.process = {}",
            victim.id()
        ),
    );
    let spec = spec(INTERVAL);
    let before = poller.stats().open;
    let used = (own_processor(), processor(server));
    let killed = clock.now();
    victim.kill().expect("it runs");
    victim.wait().expect("it ends");
    let mut noticed = None;
    loop {
        match poller.stats().open {
            open if open >= polls => break,
            open if open > before => {
                noticed.get_or_insert_with(|| clock.now());
            }
            _ => {}
        }
        clock.sleep_until(clock.now() + Duration::from_millis(20)).await;
    }
    let adopted = clock.now();
    let used = (own_processor() - used.0, processor(server) - used.1);
    // Ticks until a second after that are asked within it.
    clock.sleep_until(adopted + Duration::from_secs(3)).await;
    let asked = asked.lock().expect("nothing panics").clone();
    let mut late: Vec<f64> = Vec::new();
    for key in its.lines() {
        let number: usize = key.trim_start_matches("export-").parse().expect("a number");
        let first_after = poll(number, &spec, at).first_after;
        let interval = Duration::from_secs(INTERVAL.into());
        let mut due = at + first_after;
        while due < killed {
            due = due + interval;
        }
        if due < adopted {
            let name = format!("/v1/exports/{number}");
            let time = asked.get(&name).copied().filter(|time| *time >= due);
            late.push(time.expect("every due poll is asked").since(due).as_secs_f64());
        }
    }
    late.sort_by(f64::total_cmp);
    let at = |share: f64| late.get(((late.len() as f64 - 1.0) * share) as usize).copied().unwrap_or(0.0);
    println!(
        "handover: {polls} open polls, {} of them of the worker that was killed, lease {} s: the first adopted after {:.2} s, \
         all after {:.2} s, for {:.1} s of this process and {:.1} s of the server on the processor; {} were due meanwhile, asked after p50 {:.2} s, p99 {:.2} s, at most {:.2} s",
        its.lines().count(),
        LEASE.as_secs(),
        noticed.unwrap_or(adopted).since(killed).as_secs_f64(),
        adopted.since(killed).as_secs_f64(),
        used.0,
        used.1,
        late.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    assert_eq!(store.count_open().await.expect("it can be read"), polls, "none was lost");
}

/// When the last request of each path began.
type Asked = Arc<Mutex<HashMap<String, Timestamp>>>;

/// Answers every request at once, and notes when it was asked.
struct Replies {
    body: &'static str,
    asked: Option<(Asked, Arc<dyn poller::Clock>)>,
    count: Arc<AtomicU64>,
}

impl Replies {
    fn new(body: &'static str) -> Self {
        Self { body, asked: None, count: Arc::default() }
    }
}

impl Fetch for Replies {
    fn fetch(&self, request: Request) -> BoxFuture<'static, Result<Response, FetchError>> {
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some((asked, clock)) = &self.asked {
            let now = clock.now();
            asked.lock().expect("nothing panics").insert(request.url.path().to_owned(), now);
        }
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        Box::pin(std::future::ready(Ok(Response::new(200, headers, self.body))))
    }
}
