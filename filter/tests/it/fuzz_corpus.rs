//! Replays the inputs that fuzzing found, without a fuzzer.

use std::path::Path;

use filter::{Dialect, FilterOptions, Limits, json};
use serde_json::Value;

use crate::{oracle, scan};

fn inputs(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = std::fs::read_dir(folder).unwrap();
    let inputs: Vec<Vec<u8>> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(inputs.len() > 100, "{target}: {}", inputs.len());
    inputs
}

#[test]
fn filter_parse() {
    for input in inputs("filter_parse") {
        let Ok(text) = std::str::from_utf8(&input) else { continue };
        let reference = serde_json::from_str::<Value>(text).is_ok();
        assert_eq!(json::parse(text, &Limits::new()).is_ok(), reference, "{text:?}");
        for dialect in Dialect::ALL {
            match FilterOptions::new().dialect(dialect).parse(text) {
                Ok(filter) => {
                    let again = FilterOptions::new().dialect(dialect).parse(&filter.to_string());
                    assert_eq!(again.as_ref(), Ok(&filter));
                }
                Err(error) => assert!(!error.diagnostics().is_empty()),
            }
        }
    }
}

/// The first byte picks the dialect; the filter ends at the first line break, and the event is the rest.
#[test]
fn filter_match() {
    for input in inputs("filter_match") {
        let Some((first, rest)) = input.split_first() else { continue };
        let dialect = Dialect::ALL[usize::from(*first) % Dialect::ALL.len()];
        let mut parts = rest.splitn(2, |&byte| byte == b'\n');
        let (Some(filter), Some(event)) = (parts.next(), parts.next()) else { continue };
        let Ok(text) = std::str::from_utf8(filter) else { continue };
        let Ok(filter) = FilterOptions::new().dialect(dialect).parse(text) else { continue };
        let answer = filter.matches_slice(event);
        if serde_json::from_slice::<Value>(event).is_err() {
            assert!(answer.is_err());
            continue;
        }
        let value = crate::event(std::str::from_utf8(event).unwrap());
        let source = filter.to_value();
        let expected = match dialect {
            Dialect::TriggerDev => oracle::trigger_dev::filter(&source, &value),
            Dialect::EventBridge => oracle::event_bridge::pattern(&source, &value),
            _ => oracle::native::filter(&source, &value),
        };
        assert_eq!(answer, Ok(expected), "bytes: {filter} on {value}");
        assert_eq!(filter.matches(&value), expected, "value: {filter} on {value}");
        assert_eq!(filter.explain(&value).matched(), expected, "explain: {filter} on {value}");
    }
}

#[test]
fn filter_scan() {
    let accepted = inputs("filter_scan").iter().filter(|input| scan::accepted(input)).count();
    assert!(accepted > 20, "only {accepted} inputs are JSON");
}
