//! A filter and an event: every engine gives the oracle's answer.
//!
//! The first byte picks the dialect; the filter ends at the first line break, and the event is the rest.
#![no_main]

use filter::{Dialect, Document, Filter, FilterOptions, FilterSet};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

#[path = "../../filter/tests/it/oracle.rs"]
mod oracle;

const OURS: usize = usize::MAX;

/// A set with enough other filters on the same fields that this one is found by index keys.
fn among_others(filter: Filter) -> FilterSet<usize> {
    let mut set = FilterSet::new();
    for (id, name) in ["a", "b", "c"].iter().flat_map(|name| (0..10).map(move |n| (n, name))) {
        let other = format!(r#"{{"{name}": [{id}, "{id}", {{"$gt": {id}}}], "a": {{"b": {id}}}}}"#);
        if let Ok(other) = Filter::parse(&other.replace(r#""a": {"b""#, r#""nested": {"b""#)) {
            set.insert(set.len(), other);
        }
    }
    set.insert(OURS, filter);
    set
}

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let dialect = Dialect::ALL[usize::from(*first) % Dialect::ALL.len()];
    let Some(at) = rest.iter().position(|&byte| byte == b'\n') else { return };
    let (filter, event) = (&rest[..at], &rest[at + 1..]);
    // The oracle's wildcards take exponential time.
    if filter.iter().filter(|&&byte| byte == b'*').count() > 8 {
        return;
    }
    let Ok(text) = std::str::from_utf8(filter) else { return };
    let Ok(filter) = FilterOptions::new().dialect(dialect).parse(text) else { return };
    // Must terminate for any bytes.
    let known_valid = filter.matches_valid_slice(event);
    let answer = filter.matches_slice(event);
    let valid = serde_json::from_slice::<Value>(event);
    assert_eq!(answer.is_ok(), valid.is_ok(), "{answer:?}, {valid:?}");
    if valid.is_err() {
        return;
    }
    let document = Document::from_slice(event).expect("valid JSON is a document");
    let value = document.value().clone();
    let source = filter.to_value();
    let expected = match dialect {
        Dialect::TriggerDev => oracle::trigger_dev::filter(&source, &value),
        Dialect::EventBridge => oracle::event_bridge::pattern(&source, &value),
        _ => oracle::native::filter(&source, &value),
    };
    assert_eq!(answer, Ok(expected), "bytes: {filter} on {value}");
    assert_eq!(filter.matches(&value), expected, "value: {filter} on {value}");
    // A document without duplicate keys.
    assert_eq!(
        filter.matches_valid_slice(value.to_string().as_bytes()),
        expected,
        "known to be valid: {filter}"
    );
    let _ = known_valid;
    let set = among_others(filter.clone());
    let ids = set.matches_slice(event).unwrap_or_default();
    assert_eq!(ids.contains(&&OURS), expected, "set: {filter} on {value}");
    assert_eq!(set.matches(&value), ids, "set on a value: {filter} on {value}");
    let explanation = filter.explain(&value);
    assert_eq!(explanation.matched(), expected, "explain: {filter} on {value}");
    assert_eq!(explanation.summary().is_none(), expected, "{explanation}");
    assert_eq!(filter.matches_document(&document), expected, "document: {filter} on {value}");
    assert_eq!(
        filter.explain_document(&document).matched(),
        expected,
        "explain document: {filter} on {value}"
    );
});
