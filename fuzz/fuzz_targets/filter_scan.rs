//! Any bytes as an event: the byte reader accepts what serde_json accepts, and, where keys are unique, its two modes agree.
#![no_main]

use std::collections::HashSet;
use std::sync::LazyLock;

use filter::json::{self, Kind, Node};
use filter::{Document, Filter, Limits};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static FILTERS: LazyLock<[Filter; 3]> = LazyLock::new(|| {
    [
        r#"{"a": {"$exists": true}}"#,
        r#"{"a": [{"$size": 2}, {"$some": [1.5]}, {"$some": {"b": 1}}, "é"]}"#,
        r#"{"": {"a": {"$gt": 1}}, "b": {"$every": [{"$isNull": true}]}}"#,
    ]
    .map(|text| text.parse().unwrap())
});

/// Whether no object has a key twice.
fn has_unique_keys(text: &str) -> bool {
    fn walk(node: &Node) -> bool {
        match &node.kind {
            Kind::Array(items) => items.iter().all(walk),
            Kind::Object(members) => {
                let mut keys = HashSet::new();
                members.iter().all(|member| keys.insert(member.key.as_str()) && walk(&member.value))
            }
            _ => true,
        }
    }
    json::parse(text, &Limits::new()).is_ok_and(|node| walk(&node))
}

fuzz_target!(|data: &[u8]| {
    let value = serde_json::from_slice::<Value>(data)
        .map(|_| Document::from_slice(data).expect("valid JSON is a document").into_value());
    let unique = std::str::from_utf8(data).is_ok_and(has_unique_keys);
    for filter in &*FILTERS {
        let checked = filter.matches_slice(data);
        let trusted = filter.matches_valid_slice(data);
        match &value {
            Ok(value) => {
                assert_eq!(checked, Ok(filter.matches(value)), "{filter} on {value}");
                assert!(!unique || checked == Ok(trusted), "{filter} on valid {value}");
            }
            Err(error) => assert!(checked.is_err(), "accepted, though {error}"),
        }
    }
});
