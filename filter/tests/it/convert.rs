//! Converted filters have the same meaning.

use filter::{Conversion, Dialect, Filter, FilterError, FilterOptions};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::generate;

fn compile(dialect: Dialect, filter: &Value) -> Filter {
    FilterOptions::new().dialect(dialect).from_value(filter).unwrap_or_else(|e| panic!("{filter}: {e}"))
}

fn assume_flat(filter: &Filter) -> Result<Value, FilterError> {
    Conversion::new().assume_flat_arrays(true).to_native(filter)
}

/// The event with the elements of nested arrays moved out.
fn flattened(value: Value) -> Value {
    match value {
        Value::Array(items) => items
            .into_iter()
            .map(flattened)
            .flat_map(|item| match item {
                Value::Array(inner) => inner,
                other => vec![other],
            })
            .collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, flattened(value))).collect(),
        scalar => scalar,
    }
}

/// The event with the first element in place of each array; of an empty array, null.
fn without_arrays(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().next().map_or(Value::Null, without_arrays),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, without_arrays(value))).collect(),
        scalar => scalar,
    }
}

proptest! {
    #![proptest_config(generate::config())]

    #[test]
    fn native_to_native_is_the_identity(filter in generate::native::filter()) {
        prop_assert_eq!(compile(Dialect::Native, &filter).to_native().unwrap(), filter);
    }

    #[test]
    fn trigger_dev(filter in generate::trigger_dev::filter(), events in events()) {
        let original = compile(Dialect::TriggerDev, &filter);
        let native = original.to_native().unwrap();
        let converted = compile(Dialect::Native, &native);
        for event in events {
            prop_assert_eq!(converted.matches(&event), original.matches(&event), "{} on {}", native, event);
        }
    }

    #[test]
    fn event_bridge(pattern in generate::event_bridge::pattern(), events in events()) {
        let original = compile(Dialect::EventBridge, &pattern);
        prop_assert!(original.to_native().is_err());
        let native = assume_flat(&original).unwrap();
        let converted = compile(Dialect::Native, &native);
        for event in events {
            let event = flattened(event);
            prop_assert_eq!(converted.matches(&event), original.matches(&event), "{} on {}", native, event);
        }
    }
}

proptest! {
    #![proptest_config(generate::config())]

    #[test]
    fn event_bridge_without_arrays(pattern in generate::event_bridge::pattern(), events in events()) {
        let original = compile(Dialect::EventBridge, &pattern);
        let native = Conversion::new().assume_no_arrays(true).to_native(&original).unwrap();
        let converted = compile(Dialect::Native, &native);
        for event in events {
            let event = without_arrays(event);
            prop_assert_eq!(converted.matches(&event), original.matches(&event), "{} on {}", native, event);
        }
    }
}

fn events() -> impl Strategy<Value = Vec<Value>> {
    proptest::collection::vec(generate::event(), 1..6)
}

#[test]
fn reads_well() {
    let trigger_dev = [
        (json!({"a": ["x", "y"]}), json!({"a": ["x", "y"]})),
        (json!({"a": [{"$gt": 1}, {"$lt": 5}]}), json!({"a": {"$gt": 1, "$lt": 5}})),
        (json!({"a": [{"$not": 1}, {"$not": 2}]}), json!({"a": {"$all": [{"$not": 1}, {"$not": 2}]}})),
        (json!({"a": [{"$between": [5, 1]}]}), json!({"a": {"$gte": 5, "$lte": 1}})),
        (json!({"a": []}), json!({"a": [{"$exists": true}, {"$exists": false}]})),
        (json!({"$ref": {"b": ["x"]}}), json!({"$$ref": {"b": ["x"]}})),
        (json!({}), json!({})),
    ];
    for (filter, native) in trigger_dev {
        assert_eq!(compile(Dialect::TriggerDev, &filter).to_native().unwrap(), native);
    }
    let event_bridge = [
        (json!({"a": ["x"]}), json!({"a": ["x", {"$includes": "x"}]})),
        (
            json!({"a": [{"prefix": "x"}]}),
            json!({"a": [{"$startsWith": "x"}, {"$some": {"$startsWith": "x"}}]}),
        ),
        (
            json!({"a": [{"numeric": [">", 0, "<=", 5]}, 7]}),
            json!({"a": [{"$gt": 0, "$lte": 5}, 7, {"$some": [{"$gt": 0, "$lte": 5}, 7]}]}),
        ),
        (json!({"a": {"b": [1]}}), json!({"a": {"b": [1, {"$includes": 1}]}})),
    ];
    for (pattern, native) in event_bridge {
        assert_eq!(assume_flat(&compile(Dialect::EventBridge, &pattern)).unwrap(), native);
    }
}

#[test]
fn refusals_name_every_field_and_the_way_out() {
    let pattern = json!({"a": ["x"], "b": {"c": [1]}, "$or": [{"d": [1]}, {"e": [2]}]});
    let error = compile(Dialect::EventBridge, &pattern).to_native().unwrap_err();
    let pointers: Vec<&str> = error.diagnostics().iter().map(filter::Diagnostic::pointer).collect();
    assert_eq!(pointers, ["/$or/0/d", "/$or/1/e", "/a", "/b/c"]);
    assert!(error.diagnostics()[0].help().unwrap().contains("flat arrays"));
}

#[test]
fn the_whole_corpus_converts() {
    let mut checked = 0;
    for (pattern, event, expected) in crate::corpus::pairs() {
        let original = FilterOptions::new().dialect(Dialect::EventBridge).parse(&pattern).unwrap();
        let event = crate::event(&event);
        if flattened(event.clone()) == event {
            let native = compile(Dialect::Native, &assume_flat(&original).unwrap());
            assert_eq!(native.matches(&event), expected, "{pattern} as {native} on {event}");
            checked += 1;
        }
    }
    assert!(checked > 8_000, "{checked}");
}
