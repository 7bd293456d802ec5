//! Hostile servers, and what they cost the others: attacks beside honest polls of another origin.
//!
//! A test of its own process, since it measures the memory of the process. By default attacks run several at a time, without those
//! that take long in a debug build; the honest polls must end and memory stay bounded. Measured one by one, in a release build and
//! with nothing else on the machine, honest polls must be at most 100 ms late (p99); `UPDATE_GENERATED=1` writes what was measured
//! into the table of docs/hostile-servers.md:
//!
//! `HOSTILE_SECONDS=3 UPDATE_GENERATED=1 cargo test --release -p poller --test hostile -- --nocapture`
//!
//! `HOSTILE_ONLY=gzip` chooses attacks by a part of their name, and `HOSTILE_PART=2/5` the second of five parts of them.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poller::fetch::{Fetch, FetchError, Request, Response};
use poller::http::{Guard, HttpClient};
use poller::{BoxFuture, Clock as _, Limits, PollSpec, Poller, SpecOptions, SystemClock, Timestamp};
use test_support::{Attack, Authority, HostileServer, Reply, Script, Server, attacks};
use tokio::runtime::{Builder, Handle, Runtime};

/// The interval of the honest polls when they are measured.
const INTERVAL: Duration = Duration::from_millis(500);

/// How late honest polls may be beside any attack, for 99 of 100 requests.
const LATEST: Duration = Duration::from_millis(100);

/// How many attacks run at a time when nothing is measured.
const TOGETHER: usize = 5;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/hostile-servers.md");

/// The first lines of the table.
const HEAD: [&str; 2] = [
    "| attack | what it is | late p50 | late p99 | late max | answered p99 | peak MiB | attempts | most of them |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
];

/// A client that notes when honest requests begin and end, and what becomes of hostile ones.
#[derive(Clone)]
struct Observed {
    client: HttpClient,
    clock: Arc<SystemClock>,
    /// The poll, the beginning and the end.
    honest: Arc<Mutex<Vec<(String, Timestamp, Timestamp)>>>,
    /// How many hostile requests have begun, and how many of them have ended how.
    hostile: Arc<Mutex<(u64, BTreeMap<String, usize>)>>,
}

impl Fetch for Observed {
    fn fetch(&self, request: Request) -> BoxFuture<'static, Result<Response, FetchError>> {
        let exchange = self.client.fetch(request.clone());
        let (clock, honest, hostile) =
            (Arc::clone(&self.clock), Arc::clone(&self.honest), Arc::clone(&self.hostile));
        let began = clock.now();
        let is_honest = request.url.host_str() == Some("honest.test");
        if !is_honest {
            hostile.lock().unwrap().0 += 1;
        }
        Box::pin(async move {
            let response = exchange.await;
            if is_honest {
                honest.lock().unwrap().push((request.url.path().to_owned(), began, clock.now()));
            } else {
                let ended = match &response {
                    Ok(response) => response.status.to_string(),
                    Err(error) => error.kind().to_string(),
                };
                *hostile.lock().unwrap().1.entry(ended).or_default() += 1;
            }
            response
        })
    }
}

/// What honest polls saw beside an attack, and what became of its requests.
struct Measured {
    late: Vec<Duration>,
    answered: Vec<Duration>,
    /// Requests that ticks would have had but did not get.
    missed: usize,
    /// Growth of the resident memory, at its peak, in MiB.
    memory: u64,
    attempts: u64,
    /// The most frequent end of a hostile request; the others ran into their timeout.
    ended: Option<(String, usize)>,
}

impl Measured {
    /// The row of the table.
    fn row(&self, name: &str, what: &str) -> String {
        let ms = |duration: Duration| format!("{:.1}", duration.as_secs_f64() * 1e3);
        let late = |share| ms(percentile(&self.late, share));
        let ended = match &self.ended {
            Some((ended, times)) if *times as u64 > self.attempts / 2 => ended.as_str(),
            _ if self.attempts == 0 => "",
            _ => "timeout",
        };
        format!(
            "| {name} | {what} | {} | {} | {} | {} | {} | {} | {ended} |",
            late(0.5),
            late(0.99),
            late(1.0),
            ms(percentile(&self.answered, 0.99)),
            self.memory,
            self.attempts
        )
    }

    /// What is wrong beside this attack.
    fn wrong(&self, name: &str) -> Option<String> {
        let late = percentile(&self.late, 0.99);
        (late > LATEST || self.missed > 0)
            .then(|| format!("{name}: p99 {late:?} late, {} requests missed", self.missed))
    }
}

fn limits() -> Limits {
    Limits::unbounded()
}

fn spec(text: &str) -> PollSpec {
    SpecOptions::new().limits(limits()).parse(text).unwrap_or_else(|error| panic!("{text:.400}: {error}"))
}

/// A number of `/proc/self/status` in kB.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The addresses of a hostile host: the server's, or many at which nobody listens.
fn addresses(attack: &Attack) -> Vec<IpAddr> {
    if attack.addresses == 1 {
        return vec![IpAddr::from([127, 0, 0, 1])];
    }
    (0..attack.addresses).map(|n| IpAddr::from([127, 1, (n >> 8) as u8, n as u8])).collect()
}

/// Runs attacks beside honest polls, for a time or until the honest ones have matched.
async fn run(
    attacks: &[Attack],
    authority: &Arc<Authority>,
    seconds: Option<f64>,
    servers: [&Handle; 2],
) -> Measured {
    let (hostile_polls, honest_polls) = if seconds.is_some() { (16, 40) } else { (4, 4) };
    let reply = |body: &str| Reply::json(body);
    let script = Script::from_fn(move |index, _| {
        let is_done = seconds.is_none() && index >= 3 * honest_polls;
        reply(if is_done { r#"{"status":"SUCCESS"}"# } else { r#"{"status":"PENDING"}"# })
    });
    let [for_honest, for_hostile] = servers;
    let honest = for_honest.spawn(Server::start(script)).await.unwrap();
    let mut hostile = Vec::new();
    for (number, attack) in attacks.iter().enumerate() {
        let (copy, authority, host) = (*attack, Arc::clone(authority), format!("{number}.hostile.test"));
        let name = host.clone();
        let started = for_hostile.spawn(async move { HostileServer::start(&copy, &authority, &name).await });
        hostile.push((attack, host, started.await.unwrap()));
    }
    // Resets the peak; where that is not allowed, the peak of before counts.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = status("VmRSS");
    let mut client = HttpClient::builder()
        .guard(Guard::local())
        .system_roots(false)
        .add_root_pem(authority.pem().as_bytes())
        .unwrap()
        .resolve("honest.test", [IpAddr::from([127, 0, 0, 1])])
        // The target of a redirect.
        .resolve("hostile.test", [IpAddr::from([127, 0, 0, 1])]);
    let polls_of = |attack: &Attack| {
        let few = if seconds.is_some() { 300 } else { 40 };
        attack.polls.map_or(hostile_polls, |polls| polls.min(few))
    };
    for (attack, host, _) in &hostile {
        for number in 0..polls_of(attack) {
            client = client.resolve((attack.host)(host, number), addresses(attack));
        }
    }
    let fetch = Observed {
        client: client.build().unwrap(),
        clock: Arc::new(SystemClock::new()),
        honest: Arc::default(),
        hostile: Arc::default(),
    };
    let poller = Poller::builder().fetch(fetch.clone()).limits(limits()).build().await.unwrap();
    let interval = if seconds.is_some() { INTERVAL } else { Duration::from_millis(20) };
    let clock = SystemClock::new();
    let hostile_come = async {
        for (attack, host, server) in &hostile {
            let text = format!(
                r#"{{"url":"{}","interval":0.05,"timeout":60,"requestTimeout":{{"durationInMs":1000}},"giveUp":false,{}}}"#,
                server.url_as(host, "/job"),
                (attack.members)()
            );
            let spec = spec(&text);
            for number in 0..polls_of(attack) {
                let spec = spec.with_url(&server.url_as(&(attack.host)(host, number), "/job")).unwrap();
                poller.submit(format!("{host}-{number}"), spec).await.unwrap();
            }
        }
    };
    let honest_come = async {
        let text = format!(
            r#"{{"url":"{}","interval":{},"timeout":60,"responseFilter":{{"body":{{"status":["SUCCESS"]}}}}}}"#,
            honest.url_as("honest.test", "/"),
            interval.as_secs_f64()
        );
        let honest_spec = spec(&text);
        let (mut starts, mut polls) = (HashMap::new(), Vec::new());
        for number in 0..honest_polls {
            let url = honest.url_as("honest.test", &format!("/{number}"));
            let poll =
                poller.submit(format!("honest-{number}"), honest_spec.with_url(&url).unwrap()).await.unwrap();
            starts.insert(
                format!("/{number}"),
                Timestamp::from_micros(poll.deadline().as_micros() - 60_000_000),
            );
            polls.push(poll);
            if seconds.is_some() {
                clock.sleep_until(clock.now() + INTERVAL / honest_polls as u32).await;
            }
        }
        (starts, polls)
    };
    // A crowd comes when the honest polls run already: nobody could tell a site that was never asked before from one of the crowd.
    let (starts, polls) = if seconds.is_some() && attacks.iter().any(|attack| attack.polls.is_some()) {
        let come = honest_come.await;
        hostile_come.await;
        come
    } else {
        hostile_come.await;
        honest_come.await
    };
    let began = clock.now();
    match seconds {
        Some(seconds) => clock.sleep_until(began + Duration::from_secs_f64(seconds)).await,
        None => {
            for poll in &polls {
                let outcome = tokio::time::timeout(Duration::from_secs(20), poll.outcome()).await;
                let outcome =
                    outcome.unwrap_or_else(|_| panic!("{attacks:?} keep an honest poll from its end"));
                assert_eq!(outcome.unwrap().name(), "matched", "beside {attacks:?}");
            }
        }
    }
    let ended = clock.now();
    // Whatever is under way is cut off, and no poll is left that could go on.
    drop((polls, poller));
    let (mut late, mut answered) = (Vec::new(), Vec::new());
    let honest = std::mem::take(&mut *fetch.honest.lock().unwrap());
    for (poll, at, end) in &honest {
        if *at < began {
            continue;
        }
        let since = at.since(starts[poll]).as_micros() % interval.as_micros();
        let since = Duration::from_micros(u64::try_from(since).unwrap());
        late.push(since);
        answered.push(since + end.since(*at));
    }
    late.sort_unstable();
    answered.sort_unstable();
    let ticks = ended.since(began).as_secs_f64() / interval.as_secs_f64() * honest_polls as f64;
    let missed = (ticks as usize).saturating_sub(late.len() + honest_polls);
    let memory = status("VmHWM").saturating_sub(before) / 1024;
    let (attempts, hostile) = std::mem::take(&mut *fetch.hostile.lock().unwrap());
    let ended = hostile.into_iter().max_by_key(|(_, times)| *times);
    Measured { late, answered, missed, memory, attempts, ended }
}

fn percentile(sorted: &[Duration], share: f64) -> Duration {
    sorted.get((sorted.len() as f64 * share) as usize).or(sorted.last()).copied().unwrap_or_default()
}

/// The attacks that the variables choose.
fn chosen(is_measured: bool) -> Vec<Attack> {
    let only = std::env::var("HOSTILE_ONLY").ok();
    // What takes long to judge in a debug build is left out, but for the two that this is mostly about.
    let is_chosen = |attack: &Attack| match &only {
        Some(only) => attack.name.contains(only.as_str()),
        None => {
            is_measured || !attack.is_large || ["tree", "1000 × $ignoreCaseEquals"].contains(&attack.name)
        }
    };
    let mut attacks: Vec<Attack> = attacks().into_iter().filter(is_chosen).collect();
    if let Ok(part) = std::env::var("HOSTILE_PART") {
        let (part, of) = part.split_once('/').unwrap_or_else(|| panic!("HOSTILE_PART={part}, not as 2/5"));
        let (part, of): (usize, usize) = (part.parse().unwrap(), of.parse().unwrap());
        let size = attacks.len().div_ceil(of);
        attacks = attacks.into_iter().skip((part - 1) * size).take(size).collect();
    }
    attacks
}

#[test]
fn hostile_servers_leave_honest_polls_their_time_and_the_process_its_memory() {
    let seconds: Option<f64> = std::env::var("HOSTILE_SECONDS").ok().map(|text| text.parse().unwrap());
    let authority = Arc::new(Authority::new());
    let attacks = chosen(seconds.is_some());
    // The servers have threads of their own: a hostile one that floods is no task of the poller's runtime.
    let runtime = |threads: usize| -> Runtime {
        Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
    };
    let run = |attacks: &[Attack]| {
        let [poller, honest, hostile] = [2, 1, 1].map(runtime);
        let servers = [honest.handle(), hostile.handle()];
        let measured = poller.block_on(run(attacks, &authority, seconds, servers));
        [poller, honest, hostile].into_iter().for_each(Runtime::shutdown_background);
        measured
    };
    let Some(_) = seconds else {
        // What is large runs by itself: its bodies would add up.
        let (large, small): (Vec<Attack>, Vec<Attack>) =
            attacks.into_iter().partition(|attack| attack.is_large);
        for attacks in small.chunks(TOGETHER).chain(large.chunks(1)) {
            let measured = run(attacks);
            assert!(measured.attempts >= attacks.len() as u64, "{attacks:?}: {} attempts", measured.attempts);
            // Bodies of 10 MiB, as the server has them, as they arrive and as they are judged.
            assert!(measured.memory <= 300, "{attacks:?} took {} MiB", measured.memory);
        }
        return;
    };
    println!("{}\n{}", HEAD[0], HEAD[1]);
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    let none = run(&[]);
    println!("{}", none.row("none", ""));
    rows.push(none.row("none", ""));
    for attack in &attacks {
        let measured = run(&[*attack]);
        let row = measured.row(attack.name, attack.what);
        println!("{row}");
        rows.push(row);
        wrong.extend(measured.wrong(attack.name));
        // Sixteen bodies of 10 MiB.
        if measured.memory > 640 {
            wrong.push(format!("{} took {} MiB", attack.name, measured.memory));
        }
    }
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        write_rows(&rows);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The document before the table, its rows by name, and what follows it.
fn table() -> (String, BTreeMap<String, String>, String) {
    let text = std::fs::read_to_string(TABLE).unwrap();
    let Some((before, rest)) = text.split_once(HEAD[0]) else {
        return (format!("{text}\n"), BTreeMap::new(), String::new());
    };
    let lines = rest.lines().skip(2);
    let rows: Vec<&str> = lines.take_while(|line| line.starts_with('|')).collect();
    let after = rest.lines().skip(2 + rows.len()).map(|line| format!("{line}\n")).collect();
    let name = |row: &str| row.split('|').nth(1).unwrap().trim().to_owned();
    (before.to_owned(), rows.into_iter().map(|row| (name(row), row.to_owned())).collect(), after)
}

/// Writes rows into the table; those of other attacks stay as they are.
fn write_rows(measured: &[String]) {
    let (before, mut rows, after) = table();
    for row in measured {
        rows.insert(row.split('|').nth(1).unwrap().trim().to_owned(), row.clone());
    }
    let names =
        ["none"].into_iter().chain(attacks().into_iter().map(|attack| attack.name)).map(str::to_owned);
    let rows: Vec<String> = names.filter_map(|name| rows.remove(&name)).collect();
    let text = format!("{before}{}\n{}\n{}\n{after}", HEAD[0], HEAD[1], rows.join("\n"));
    std::fs::write(TABLE, text).unwrap();
}

/// The document counts the attacks, and its table has all of them as they are described here, with honest polls that were not late.
#[test]
fn the_document_knows_the_attacks() {
    let (before, mut rows, _) = table();
    let attacks = attacks();
    assert!(before.contains(&format!("{} attacks", attacks.len())), "expected the number {}", attacks.len());
    rows.remove("none");
    assert_eq!(rows.len(), attacks.len());
    for attack in attacks {
        let row = rows.get(attack.name).unwrap_or_else(|| panic!("{} has no row", attack.name));
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(attack.what, cells[2], "{}", attack.name);
        let late: f64 = cells[4].parse().unwrap();
        assert!(late <= LATEST.as_secs_f64() * 1e3, "{row}");
    }
}
