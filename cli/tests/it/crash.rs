//! `kill -9` at random points under load, then restart, repeated: acknowledged polls survive and printed outcomes never change.
//! In some rounds the runner is stopped and continued, with its clock an hour further or not, or its file is moved away and back, or
//! its lock or the index of its log is removed, instead. Half of the submitting processes have a clock that is wrong by up to an
//! hour; without libfaketime, all clocks are right.
//!
//! Each round starts a runner, a submitting process and a cancelling process. A seed decides which of them are killed and when:
//! after a number of requests at the server, or after a number of lines from a pipe. After each round the file must contain
//! every printed key and every printed outcome. Then finished polls are forgotten or purged, and that process is sometimes
//! killed too. At the end one undisturbed runner finishes all polls, and every outcome is compared in full.
//!
//! `POLL_KILLS` is the number of rounds, `POLL_SEED` the seed; a failure names both.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use poller::SqliteStore;
use poller::store::{Store as _, StoreAdmin as _};
use rustix::process::Signal;
use serde_json::Value;
use test_support::{Reply, Script, Server};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::clocks::{FakeClock, Which};
use crate::process::command;
use crate::signals::send;
use crate::store::Folder;

/// How many polls one process submits.
const LOAD: usize = 24;

/// What was promised so far.
#[derive(Default)]
struct Promises {
    /// Keys that were printed: their polls are on disk.
    acknowledged: BTreeSet<String>,
    /// Outcomes that were printed, by key, without the key.
    told: BTreeMap<String, Value>,
    /// How polls ended that `cancel` said had ended, by key.
    ended: BTreeMap<String, String>,
    /// Keys whose removal was requested: the polls may be removed or unchanged.
    released: BTreeSet<String>,
    /// Keys that were said to be removed.
    gone: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_polls_and_printed_outcomes_survive_kills() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let rounds = number("POLL_KILLS").unwrap_or(6);
    let seed = number("POLL_SEED").unwrap_or_else(|| fastrand::u64(..));
    // Shown where the test fails.
    println!("POLL_KILLS={rounds} POLL_SEED={seed}");
    let mut dice = fastrand::Rng::with_seed(seed);

    let server = Server::start(unreliable_jobs(seed)).await;
    let folder = Folder::new();
    let clock = FakeClock::new(&folder);
    let mut promises = Promises::default();
    let mut kills = 0;
    for round in 0..rounds {
        kills += one_round(round, &server, &folder, clock.as_ref(), &mut dice, &mut promises).await;
        glance(&folder, &promises).await;
        kills += u32::from(remove(round, &folder, &mut dice, &mut promises).await);
    }
    println!("{kills} processes killed, {} polls acknowledged", promises.acknowledged.len());
    let mut last = start(&folder, &["run", "--quiet"]);
    let mut lines = lines(&mut last);
    while let Some(line) = lines.next_line().await.unwrap() {
        promises.hear(&line);
    }
    assert!(last.wait().await.unwrap().code().is_some(), "the last runner ends by itself");
    compare(&folder, &promises).await;
}

/// Every job is done after a while, most of them well; on the way there is everything else.
fn unreliable_jobs(seed: u64) -> Script {
    Script::from_fn(move |index, _| {
        let mut dice = fastrand::Rng::with_seed(seed ^ (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        match dice.u32(..100) {
            0..12 => Reply::json(r#"{"status":"SUCCESS"}"#),
            12..15 => Reply::json(r#"{"status":"FAILED"}"#),
            15..20 => Reply::new(500),
            20..23 => Reply::reset(),
            23..25 => Reply::new(429).header("retry-after-ms", "30"),
            _ => Reply::json(r#"{"status":"RUNNING"}"#),
        }
    })
}

/// Returns how many processes were killed.
async fn one_round(
    round: u64,
    server: &Server,
    folder: &Folder,
    clock: Option<&FakeClock>,
    dice: &mut fastrand::Rng,
    promises: &mut Promises,
) -> u32 {
    // The first polls of a round are there before its runner, the others come while it runs.
    let first = submit(folder, &format!("{round}a"), server, clock, dice).await;
    let kill_first = dice.u8(..4) == 0;
    let mut kills = u32::from(hear_submitter(first, promises, dice, kill_first).await);

    let mut runner = start_at(folder, &["run", "--quiet"], clock);
    let beside = submit(folder, &format!("{round}b"), server, clock, dice).await;
    let cancelling = cancel(folder, dice, promises);
    let kill_beside = dice.u8(..3) == 0;
    let seen = server.requests().len();
    let (requests, told) = (dice.usize(..80), dice.usize(..30));
    let mut printed = lines(&mut runner);
    let mut heard = Vec::new();
    let beside_killed = {
        let death = async {
            match dice.u8(..8) {
                // Before it has done anything, in the middle of taking up the file.
                0 => {}
                1..5 => drop(server.arrived(seen + requests).await),
                _ => std::future::pending().await,
            }
        };
        let listening = async {
            while heard.len() < told {
                match printed.next_line().await.unwrap() {
                    Some(line) => heard.push(line),
                    // Everything in the file has ended, and the runner with it.
                    None => break,
                }
            }
        };
        let mut dice_beside = fastrand::Rng::with_seed(u64::from(kill_beside) + round);
        let runner_dies = async {
            tokio::select! {
                () = death => {}
                () = listening => {}
            }
        };
        let (killed, ()) =
            tokio::join!(hear_submitter(beside, promises, &mut dice_beside, kill_beside), runner_dies);
        killed
    };
    kills += u32::from(beside_killed);
    let fate = Fate::draw(dice);
    if fate == Fate::Stepped
        && let Some(clock) = clock
        && runner.id().is_some()
    {
        let seen = server.requests().len();
        send(Signal::STOP, &runner);
        clock.set(dice.i64(0..7200));
        send(Signal::CONT, &runner);
        // Until it does something by the new time.
        tokio::select! {
            () = async { drop(server.arrived(seen).await) } => {}
            line = printed.next_line() => heard.extend(line.unwrap()),
        }
    }
    fate.befall(&mut runner, folder);
    if let Some(mut child) = cancelling {
        // Without a runner, `cancel` ends the polls itself; half of these processes are killed while they do.
        if dice.bool() {
            child.start_kill().unwrap();
        }
        let output = child.wait_with_output().await.unwrap();
        kills += u32::from(output.status.code().is_none());
        promises.hear_cancel(&String::from_utf8(output.stdout).unwrap());
    }
    // What was in the pipe when it died had been told.
    while let Some(line) = printed.next_line().await.unwrap() {
        heard.push(line);
    }
    let status = runner.wait().await.unwrap();
    fate.pass(folder, status.code());
    kills += u32::from(status.code().is_none());
    heard.iter().for_each(|line| promises.hear(line));
    kills
}

/// How a round ends for its runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Killed,
    /// It is stopped by SIGSTOP, continued, and killed.
    Stopped,
    /// The same, and its clocks have jumped to another time between. Killed once it has asked, or told something.
    Stepped,
    /// The file is moved away, and back when the runner has noticed.
    Moved,
    /// The lock file is removed.
    Unlocked,
    /// The index of the log is removed.
    Unindexed,
}

impl Fate {
    fn draw(dice: &mut fastrand::Rng) -> Self {
        match dice.u8(..11) {
            0 | 1 => Self::Moved,
            2 => Self::Unlocked,
            3 => Self::Stopped,
            4 | 5 => Self::Stepped,
            6 => Self::Unindexed,
            _ => Self::Killed,
        }
    }

    fn befall(self, runner: &mut Child, folder: &Folder) {
        match self {
            Self::Killed | Self::Stepped => runner.start_kill().unwrap(),
            Self::Stopped => {
                // It may have ended by itself; then it has no id any more.
                if runner.id().is_some() {
                    send(Signal::STOP, runner);
                    send(Signal::CONT, runner);
                }
                runner.start_kill().unwrap();
            }
            Self::Moved => std::fs::rename(folder.file(), elsewhere(folder)).unwrap(),
            Self::Unlocked => std::fs::remove_file(folder.file() + "-runner").unwrap(),
            // It goes with the runner, if that has ended by itself.
            Self::Unindexed => drop(std::fs::remove_file(folder.file() + "-shm")),
        }
    }

    /// After the end of the runner, which nobody has killed if a file of it was moved or removed.
    fn pass(self, folder: &Folder, code: Option<i32>) {
        if matches!(self, Self::Killed | Self::Stopped | Self::Stepped) {
            return;
        }
        // 0, 1, 124 or, if `cancel` ended one of them, 130 if it had ended all polls before it noticed.
        assert!(code.is_some_and(|code| [0, 1, 2, 124, 130].contains(&code)), "{self:?}: {code:?}");
        if self == Self::Moved {
            assert!(!std::fs::exists(folder.file()).unwrap(), "nobody makes a new file beside the old log");
            std::fs::rename(elsewhere(folder), folder.file()).unwrap();
        }
    }
}

fn elsewhere(folder: &Folder) -> String {
    folder.file() + ".elsewhere"
}

impl Promises {
    fn hear(&mut self, line: &str) {
        // The last line of a process that was killed may be cut short; nothing was promised by half of it.
        let Ok(Value::Object(mut outcome)) = serde_json::from_str(line) else { return };
        let Some(Value::String(key)) = outcome.remove("key") else { panic!("no key in {line}") };
        // Not every outcome has a reason.
        let while_away = outcome.get("reason").is_some_and(|reason| reason == "while-away");
        assert!(!(while_away && outcome["attempts"] == 0), "no last look: {line}");
        let before = self.told.insert(key, Value::Object(outcome));
        assert_eq!(before, None, "told twice: {line}");
    }

    /// `a17: cancelled`, or how it had ended before, with ` already` after it.
    fn hear_cancel(&mut self, said: &str) {
        for line in said.lines() {
            let Some((key, words)) = line.split_once(": ") else { continue };
            let name = words.strip_suffix(" already").unwrap_or(words);
            self.ended.insert(key.to_owned(), name.to_owned());
        }
    }

    /// Holds what is kept, by key, against what was promised; `as_kept` says of a whole outcome what is kept of it.
    fn hold<T: PartialEq + std::fmt::Debug>(&self, kept: &BTreeMap<&str, T>, as_kept: impl Fn(&Value) -> T) {
        let must_be_there = |key: &String| !self.released.contains(key);
        for key in self.acknowledged.iter().filter(|key| must_be_there(key)) {
            assert!(kept.contains_key(&**key), "{key} was acknowledged and is not there");
        }
        for (key, told) in &self.told {
            match kept.get(&**key) {
                Some(kept) => assert_eq!(*kept, as_kept(told), "{key} was told, and has changed"),
                None => assert!(!must_be_there(key), "{key} was told and is not there"),
            }
        }
        for key in &self.gone {
            assert!(!kept.contains_key(&**key), "{key} was forgotten and is there");
        }
    }
}

/// Has a poll cancelled that is open as far as is known.
fn cancel(folder: &Folder, dice: &mut fastrand::Rng, promises: &Promises) -> Option<Child> {
    let known = |key: &&String| promises.told.contains_key(*key) || promises.released.contains(*key);
    let open: Vec<&String> = promises.acknowledged.iter().filter(|key| !known(key)).collect();
    let key = dice.choice(open)?;
    Some(start(folder, &["cancel", "--quiet", key]))
}

/// Removes finished polls by key or by number, without a runner. Returns whether the process was killed.
async fn remove(round: u64, folder: &Folder, dice: &mut fastrand::Rng, promises: &mut Promises) -> bool {
    let by_number = round % 4 == 3;
    let mut child = if by_number {
        let polls = SqliteStore::open(folder.file()).unwrap().summaries().await.unwrap();
        let ended = polls.iter().filter(|poll| poll.ended.is_some()).map(|poll| poll.key.key().to_owned());
        promises.released.extend(ended);
        start(folder, &["purge", "--keep", "20"])
    } else {
        let told: Vec<String> =
            promises.told.keys().filter(|key| !promises.released.contains(*key)).take(3).cloned().collect();
        if told.is_empty() {
            return false;
        }
        promises.released.extend(told.iter().cloned());
        let mut arguments = vec!["forget", "--quiet"];
        arguments.extend(told.iter().map(|key| &**key));
        start(folder, &arguments)
    };
    let mut lines = lines(&mut child);
    let kill = dice.u8(..3) == 0;
    let mut until = dice.usize(..3);
    loop {
        if kill && until == 0 {
            child.start_kill().unwrap();
        }
        until = until.wrapping_sub(1);
        let Some(line) = lines.next_line().await.unwrap() else { break };
        if let Some(key) = line.strip_suffix(": forgotten") {
            promises.gone.insert(key.to_owned());
        }
    }
    let status = child.wait().await.unwrap();
    assert!(kill || status.success(), "a removal that nobody kills succeeds");
    status.code().is_none()
}

async fn submit(
    folder: &Folder,
    name: &str,
    server: &Server,
    clock: Option<&FakeClock>,
    dice: &mut fastrand::Rng,
) -> Child {
    let specs: String = (0..LOAD)
        .map(|number| {
            let key = format!("{name}{number}");
            let timeout = if dice.u8(..10) == 0 { 0.3 } else { 60.0 };
            format!(
                r#"{{"cacheKey":"{key}","url":"{}","interval":0.02,"timeout":{timeout},
                    "responseFilter":{{"body":{{"status":["SUCCESS"]}}}},
                    "failureFilter":{{"body":{{"status":["FAILED"]}}}}}}"#,
                server.url(&format!("/{key}"))
            )
        })
        .collect();
    let wrong = clock.filter(|_| dice.bool()).and_then(|_| FakeClock::new(folder));
    wrong.iter().for_each(|clock| clock.set(dice.i64(-3600..3600)));
    let mut child = start_at(folder, &["submit", "--quiet", "--unbounded", "-"], wrong.as_ref());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(specs.as_bytes()).await.unwrap();
    child
}

/// Hears the keys that are acknowledged; kills the process after some of them if that is wished. Whether it was killed.
async fn hear_submitter(
    mut child: Child,
    promises: &mut Promises,
    dice: &mut fastrand::Rng,
    kill: bool,
) -> bool {
    let mut lines = lines(&mut child);
    let mut until = if kill { dice.usize(..LOAD) } else { usize::MAX };
    loop {
        if until == 0 {
            child.start_kill().unwrap();
        }
        until = until.saturating_sub(1);
        match lines.next_line().await.unwrap() {
            Some(key) => drop(promises.acknowledged.insert(key)),
            None => break,
        }
    }
    let status = child.wait().await.unwrap();
    assert!(kill || status.success(), "a submission that nobody kills succeeds");
    status.code().is_none()
}

fn start(folder: &Folder, arguments: &[&str]) -> Child {
    start_at(folder, arguments, None)
}

/// Starts a process with this clock.
fn start_at(folder: &Folder, arguments: &[&str], clock: Option<&FakeClock>) -> Child {
    let arguments = folder.arguments(arguments);
    let mut command = command(&arguments.iter().map(|text| &**text).collect::<Vec<_>>());
    if let Some(clock) = clock {
        clock.of(&mut command, Which::Both);
    }
    command.stderr(Stdio::inherit()).spawn().unwrap()
}

fn lines(child: &mut Child) -> Lines<BufReader<ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

/// Holds the file against what was promised, by the names of the outcomes.
async fn glance(folder: &Folder, promises: &Promises) {
    let polls = SqliteStore::open(folder.file()).unwrap().summaries().await.unwrap();
    let kept: BTreeMap<&str, Option<String>> = polls
        .iter()
        .map(|poll| (poll.key.key(), poll.ended.as_ref().map(|ending| ending.outcome.clone())))
        .collect();
    promises.hold(&kept, |told| told["outcome"].as_str().map(str::to_owned));
    for (key, name) in &promises.ended {
        if let Some(kept) = kept.get(&**key) {
            assert_eq!(kept.as_ref(), Some(name), "cancel said how {key} ended, and that has changed");
        }
    }
}

/// Holds the whole outcomes of the file against what was promised; all have one.
async fn compare(folder: &Folder, promises: &Promises) {
    let polls = SqliteStore::open(folder.file()).unwrap().list().await.unwrap();
    let mut kept = BTreeMap::new();
    for poll in &polls {
        let Some(outcome) = &poll.outcome else { panic!("{} is still open", poll.key) };
        kept.insert(poll.key.key(), serde_json::to_value(&**outcome).unwrap());
    }
    promises.hold(&kept, Value::clone);
}
