//! Conditions on the event itself, whatever it is.

use filter::{Dialect, Document, Filter, FilterOptions, FilterSet, LiveSet};
use serde_json::{Value, json};

/// The answer of every engine, which must agree.
fn matches(filter: &Filter, event: &Value) -> bool {
    let text = event.to_string();
    let matched = filter.matches(event);
    let document = Document::from_slice(text.as_bytes()).unwrap();
    assert_eq!(filter.matches_document(&document), matched, "document: {filter} on {text}");
    assert_eq!(filter.matches_slice(text.as_bytes()), Ok(matched), "bytes: {filter} on {text}");
    assert_eq!(filter.matches_valid_slice(text.as_bytes()), matched, "valid bytes: {filter} on {text}");
    assert_eq!(filter.explain(event).matched(), matched, "explain: {filter} on {text}");
    assert_eq!(filter.explain(event).summary().is_none(), matched, "summary: {filter} on {text}");
    let mut set = FilterSet::new();
    set.insert(0, Filter::parse(r#"{"a": 1}"#).unwrap());
    set.insert(1, filter.clone());
    set.insert(2, Filter::parse("{}").unwrap());
    let found = set.matches(event).contains(&&1);
    assert_eq!(found, matched, "set: {filter} on {text}");
    assert_eq!(
        set.matches_slice(text.as_bytes()).unwrap(),
        set.matches(event),
        "set, bytes: {filter} on {text}"
    );
    assert_eq!(
        set.matches_valid_slice(text.as_bytes()),
        set.matches(event),
        "set, valid: {filter} on {text}"
    );
    let mut batch = Vec::new();
    set.matches_slices([text.as_bytes(); 4], |found| {
        batch.push(found.map(|found| found.ids(&set).any(|&id| id == 1)));
    });
    assert_eq!(batch, vec![Ok(matched); 4], "batch: {filter} on {text}");
    matched
}

#[test]
fn a_matcher_or_a_list_judges_the_event() {
    let events = [
        json!(null),
        json!(true),
        json!(7),
        json!("ready"),
        json!([]),
        json!([{"id": 1}]),
        json!([1, 2, 3]),
        json!({}),
        json!({"id": 1}),
    ];
    for (filter, expected) in [
        (json!(["ready"]), vec![json!("ready")]),
        (json!([7, null]), vec![json!(7), json!(null)]),
        (json!({"$gt": 5}), vec![json!(7)]),
        (json!({"$eq": "ready"}), vec![json!("ready")]),
        (json!({"$some": {"id": 1}}), vec![json!([{"id": 1}])]),
        (json!({"$size": 0}), vec![json!([])]),
        (json!({"$includes": 2}), vec![json!([1, 2, 3])]),
        (json!([{"$size": {"$gte": 1}}, true]), vec![json!([{"id": 1}]), json!([1, 2, 3]), json!(true)]),
        (json!({"$isNull": true}), vec![json!(null)]),
        (json!({"$exists": false}), vec![]),
        (json!({"$exists": true}), events.to_vec()),
        (json!({"$every": [{"$gt": 0}]}), vec![json!([]), json!([1, 2, 3])]),
        (json!({"$anythingBut": ["ready", null, 7, true]}), events[4..].to_vec()),
        (json!({"$not": "x"}), events[1..7].to_vec()),
        // Objects are judged by their fields, as ever.
        (json!({"id": 1}), vec![json!({"id": 1})]),
        (json!({}), events.to_vec()),
    ] {
        let filter = Filter::try_from(&filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        for event in &events {
            assert_eq!(matches(&filter, event), expected.contains(event), "{filter} on {event}");
        }
    }
}

#[test]
fn is_written_again_as_it_was() {
    for text in [r#"["ready",{"$gt":5}]"#, r#"{"$some":{"a":1}}"#] {
        let filter: Filter = text.parse().unwrap();
        assert_eq!(filter.to_string(), text);
        assert_eq!(Filter::try_from(&filter.to_value()).unwrap(), filter);
        assert_eq!(filter.to_native().unwrap(), filter.to_value());
        assert_eq!(serde_json::from_value::<Filter>(filter.to_value()).unwrap(), filter);
    }
}

#[test]
fn is_native_only() {
    for dialect in [Dialect::TriggerDev, Dialect::EventBridge] {
        assert!(FilterOptions::new().dialect(dialect).parse(r#"["ready"]"#).is_err());
    }
    let ordinary = FilterOptions::new().dialect(Dialect::TriggerDev).parse(r#"{"$some": ["x"]}"#).unwrap();
    assert!(ordinary.matches(&json!({"$some": "x"})));
}

#[test]
fn sets_find_removed_and_replaced_ones_no_more() {
    let filter = |text: &str| Filter::parse(text).unwrap();
    let live = LiveSet::default();
    live.update(|set| {
        set.insert("big", filter(r#"{"$gt": 5}"#));
        set.insert("same", filter(r#"{"a": {"$eq": {"$ref": "/b"}}}"#));
    });
    let before = live.load();
    live.update(|set| {
        set.insert("big", filter(r#"{"a": {"$gt": 5}}"#));
        set.remove(&"same");
    });
    let after = live.load();
    for (event, old, new) in [
        (json!(7), vec!["big"], vec![]),
        (json!({"a": 9, "b": 9}), vec!["same"], vec!["big"]),
        (json!({"a": 1, "b": 1}), vec!["same"], vec![]),
    ] {
        assert_eq!(before.matches(&event), old.iter().collect::<Vec<_>>(), "before: {event}");
        assert_eq!(after.matches(&event), new.iter().collect::<Vec<_>>(), "after: {event}");
    }
}
