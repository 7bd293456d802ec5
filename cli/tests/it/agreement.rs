//! `match`, `route`, `explain`, `run` and `wait` give the same answer for every pair of filter and event.
//!
//! The pairs are event-ruler's corpus and a table of numbers that a careless reader rounds. One process per pair would take
//! minutes, so `match` and `explain` get many pairs as one filter: `{"$or": [{"id": [0], "event": …}, …]}`. `wait` takes one
//! pair per process, and therefore only a sample of the corpus.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;

use serde_json::{Value, json, value::RawValue};
use test_support::{Reply, Script, Server};

use crate::process::run;

struct Pair {
    filter: String,
    event: String,
    matches: bool,
}

/// event-ruler's answers to pairs of pattern and event: every tenth, or all with `POLL_WHOLE_CORPUS`.
fn corpus() -> Vec<Pair> {
    let packed = include_bytes!("../../../testdata/event-bridge/event-bridge.jsonl.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    let pair = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        Pair { filter: text("pattern"), event: text("event"), matches: line["expected"].as_bool().unwrap() }
    };
    let step = if std::env::var_os("POLL_WHOLE_CORPUS").is_some() { 1 } else { 10 };
    text.lines().step_by(step).map(pair).collect()
}

/// Numbers that serde_json reads one ulp off, integers beyond 64 bits and beyond 2^53, extreme exponents.
fn numbers() -> Vec<Pair> {
    let numbers = [
        "37.807807921694092",
        "37.80780792169409",
        "37.8078079216941",
        "8.41e21",
        "3.9e-308",
        "2.2250738585072011e-308",
        "0.1",
        "0.30000000000000004",
        "9007199254740993",
        "9007199254740992",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551617",
        "36893488147419103232",
        "-9223372036854775809",
        "1e308",
        "1.0",
        "1",
    ];
    let mut pairs = Vec::new();
    for filter in numbers {
        let filter = format!(r#"{{"n":[{filter}]}}"#);
        let compiled: filter::Filter = filter.parse().unwrap();
        for event in numbers {
            let event = format!(r#"{{"n":{event}}}"#);
            let matches = compiled.matches_slice(event.as_bytes()).unwrap();
            pairs.push(Pair { filter: filter.clone(), event, matches });
        }
    }
    pairs
}

#[test]
fn the_numbers_of_the_table_differ_as_floats_do() {
    let matches = |filter: &str, event: &str| {
        let found = numbers().into_iter().find(|pair| {
            pair.filter == format!(r#"{{"n":[{filter}]}}"#) && pair.event == format!(r#"{{"n":{event}}}"#)
        });
        found.unwrap().matches
    };
    assert!(matches("37.807807921694092", "37.807807921694092") && matches("1", "1.0"));
    assert!(
        !matches("37.80780792169409", "37.8078079216941") && !matches("9007199254740993", "9007199254740992")
    );
}

/// Ids of pairs for which a command has another answer.
#[track_caller]
fn assert_agreement(command: &str, pairs: &[Pair], matched: &HashSet<usize>) {
    let wrong: Vec<_> = (pairs.iter().enumerate())
        .filter(|(id, pair)| matched.contains(id) != pair.matches)
        .map(|(_, pair)| format!("{} on {}: expected {}", pair.filter, pair.event, pair.matches))
        .collect();
    assert!(
        wrong.is_empty(),
        "{command}: {} of {}:\n{}",
        wrong.len(),
        pairs.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
}

/// Filters and events of `count` pairs at a time, with the id of the first.
fn batches(pairs: &[Pair], count: usize) -> impl Iterator<Item = (usize, String, String)> {
    pairs.chunks(count).enumerate().map(move |(batch, pairs)| {
        let pairs = || pairs.iter().enumerate();
        // The second alternative of a batch of one.
        let never = r#"{"id":[-1]}"#.to_owned();
        let alternatives: Vec<_> = pairs()
            .map(|(id, pair)| format!(r#"{{"id":[{id}],"event":{}}}"#, pair.filter))
            .chain([never])
            .collect();
        let events = pairs().map(|(id, pair)| format!("{{\"id\":{id},\"event\":{}}}\n", pair.event));
        (batch * count, format!(r#"{{"$or":[{}]}}"#, alternatives.join(",")), events.collect())
    })
}

fn id(event: &str) -> usize {
    serde_json::from_str::<Value>(event).unwrap()["id"].as_u64().unwrap() as usize
}

async fn agree(dialect: &str, pairs: &[Pair], waits: usize) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("filter.json");
    let argument = format!("@{}", file.display());

    let mut matched = HashSet::new();
    for (first, filter, events) in batches(pairs, 500) {
        std::fs::write(&file, filter).unwrap();
        let printed = run(&["match", "--dialect", dialect, "-f", &argument], events).await;
        matched.extend(printed.stdout.lines().map(|line| first + id(line)));
    }
    assert_agreement("match", pairs, &matched);

    let mut matched = HashSet::new();
    for (first, filter, events) in batches(pairs, 25) {
        std::fs::write(&file, filter).unwrap();
        let printed = run(&["explain", "--json", "--dialect", dialect, "-f", &argument], events).await;
        for (line, explanation) in printed.stdout.lines().enumerate() {
            let explanation: Value = serde_json::from_str(explanation).unwrap();
            if explanation["matched"] == true {
                matched.insert(first + line);
            }
        }
    }
    assert_agreement("explain", pairs, &matched);

    let rules: String = pairs
        .iter()
        .enumerate()
        .map(|(id, pair)| format!("{{\"id\":{id},\"filter\":{}}}\n", pair.filter))
        .collect();
    std::fs::write(&file, rules).unwrap();
    let events: String = pairs.iter().map(|pair| pair.event.clone() + "\n").collect();
    let printed = run(&["route", "--dialect", dialect, "-r", file.to_str().unwrap()], events).await;
    let routed = printed
        .stdout
        .lines()
        .enumerate()
        .filter(|(id, ids)| serde_json::from_str::<Vec<usize>>(ids).unwrap().contains(id));
    assert_agreement("route", pairs, &routed.map(|(id, _)| id).collect());

    let server = Server::start(each_once(pairs)).await;
    let specs = pairs.iter().enumerate().map(|(id, pair)| {
        let filter: &RawValue = serde_json::from_str(&pair.filter).unwrap();
        json!({
            "cacheKey": id.to_string(), "url": server.url(&format!("/{id}")), "dialect": dialect,
            "interval": 0.05, "timeout": 600, "failureFilter": {"status": 404}
        })
        .to_string()
        .replacen('{', &format!(r#"{{"responseFilter":{{"body":{filter}}},"#), 1)
    });
    let printed = run(&["run", "--unbounded", "--json", "-"], specs.collect::<String>()).await;
    assert_eq!(printed.stdout.lines().count(), pairs.len(), "{}", printed.stderr);
    let outcomes = printed.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let matched = outcomes.filter(|outcome| outcome["outcome"] == "matched");
    assert_agreement(
        "run",
        pairs,
        &matched.map(|outcome| outcome["key"].as_str().unwrap().parse().unwrap()).collect(),
    );

    let server = Server::start(each_once(pairs)).await;
    for (id, pair) in pairs.iter().enumerate().step_by(pairs.len() / waits) {
        let url = server.url(&format!("/{id}"));
        let fail = r#"{"status":[404]}"#;
        let arguments = [
            "wait",
            &url,
            "--every",
            "0.1",
            "--dialect",
            dialect,
            "--until-body",
            &pair.filter,
            "--fail-if",
            fail,
        ];
        let code = run(&arguments, "").await.code;
        assert_eq!(code, Some(i32::from(!pair.matches)), "wait: {} on {}", pair.filter, pair.event);
    }
}

/// Serves each event once, then 404, which ends a poll whose filter did not match the event.
fn each_once(pairs: &[Pair]) -> Script {
    let mut events: HashMap<String, String> =
        pairs.iter().enumerate().map(|(id, pair)| (format!("/{id}"), pair.event.clone())).collect();
    Script::from_fn(move |_, request| {
        events.remove(&request.path).map_or_else(|| Reply::new(404), Reply::json)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn all_commands_agree_on_the_corpus() {
    agree("event-bridge", &corpus(), 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_commands_agree_on_numbers() {
    agree("native", &numbers(), 40).await;
}
