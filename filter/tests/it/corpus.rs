//! event-ruler's own answers on thousands of pairs of pattern and event, and on which patterns are valid.

use std::io::Read as _;
use std::path::Path;

use filter::{Dialect, Filter, FilterOptions};
use serde::Deserialize;

#[derive(Deserialize)]
struct Pair {
    pattern: String,
    event: String,
    expected: bool,
}

#[derive(Deserialize)]
struct Validity {
    pattern: String,
    valid: bool,
}

fn lines<T: for<'de> Deserialize<'de>>(name: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/event-bridge").join(name);
    let packed = std::fs::read(path).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Pattern, event and event-ruler's answer.
pub(crate) fn pairs() -> impl Iterator<Item = (String, String, bool)> {
    lines("event-bridge.jsonl.gz").into_iter().map(|pair: Pair| (pair.pattern, pair.event, pair.expected))
}

/// Pattern, and whether event-ruler accepts it.
pub(crate) fn validity() -> impl Iterator<Item = (String, bool)> {
    lines("event-bridge-validity.jsonl.gz").into_iter().map(|line: Validity| (line.pattern, line.valid))
}

fn compile(pattern: &str) -> Result<Filter, filter::FilterError> {
    FilterOptions::new().dialect(Dialect::EventBridge).parse(pattern)
}

#[test]
fn every_pair_gets_event_rulers_answer() {
    let pairs: Vec<_> = pairs().collect();
    assert!(pairs.len() > 11_000);
    let mut wrong = Vec::new();
    for (pattern, event, expected) in &pairs {
        let filter = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let value = crate::event(event);
        let answers = [
            filter.matches(&value),
            filter.matches_slice(event.as_bytes()).unwrap(),
            filter.explain(&value).matched(),
        ];
        if answers != [*expected; 3] {
            wrong.push(format!("{pattern} on {event}: {answers:?}, expected {expected}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} pairs:\n{}",
        wrong.len(),
        pairs.len(),
        wrong[..wrong.len().min(50)].join("\n")
    );
}

#[test]
fn patterns_are_valid_where_event_ruler_says_so() {
    let patterns: Vec<_> = validity().collect();
    assert!(patterns.len() > 100);
    let mut wrong = Vec::new();
    for (pattern, valid) in &patterns {
        let compiled = compile(pattern);
        if compiled.is_ok() != *valid {
            wrong.push(format!("{pattern}: expected valid {valid}, got {:?}", compiled.err()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} patterns:\n{}", wrong.len(), patterns.len(), wrong.join("\n"));
}
