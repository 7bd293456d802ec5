//! Warnings are true: a condition that is reported to hold always or never does so.

use filter::{Code, Dialect, FilterOptions};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::generate;

/// The top-level field of a warning, if the warning is about the whole field.
fn top_field(pointer: &str) -> Option<String> {
    let key = pointer.strip_prefix('/')?;
    (!key.contains('/')).then(|| key.replace("~1", "/").replace("~0", "~"))
}

fn check(dialect: Dialect, filter: &Value, events: &[Value]) -> Result<(), TestCaseError> {
    let options = FilterOptions::new().dialect(dialect);
    for warning in options.from_value(filter).unwrap().warnings() {
        let expected = match warning.code() {
            Code::AlwaysHolds => true,
            Code::NeverHolds => false,
            _ => continue,
        };
        if warning.pointer().is_empty() {
            let alone = options.from_value(filter).unwrap();
            for event in events {
                prop_assert_eq!(alone.matches(event), expected, "{}: {} on {}", warning, alone, event);
            }
            continue;
        }
        let Some(key) = top_field(warning.pointer()) else { continue };
        // An operator on the event itself: the warning may be about its argument.
        let names_an_operator =
            key.starts_with('$') && !key.starts_with("$$") && !["$or", "$and", "$nor"].contains(&&*key);
        if names_an_operator && dialect == Dialect::Native {
            continue;
        }
        let alone = options.from_value(&json!({ &key: filter[&key] })).unwrap();
        for event in events.iter().filter(|event| event.is_object()) {
            prop_assert_eq!(alone.matches(event), expected, "{}: {} on {}", warning, alone, event);
        }
    }
    Ok(())
}

fn events() -> impl Strategy<Value = Vec<Value>> {
    proptest::collection::vec(generate::event(), 8)
}

proptest! {
    #![proptest_config(generate::config())]

    #[test]
    fn native(filter in generate::native::filter(), events in events()) {
        check(Dialect::Native, &filter, &events)?;
    }

    #[test]
    fn trigger_dev(filter in generate::trigger_dev::filter(), events in events()) {
        check(Dialect::TriggerDev, &filter, &events)?;
    }

    #[test]
    fn event_bridge(pattern in generate::event_bridge::pattern(), events in events()) {
        check(Dialect::EventBridge, &pattern, &events)?;
    }
}

#[test]
fn unsuspicious_filters_have_no_warnings() {
    let innocent = [
        r#"{"age": {"$gt": 20, "$lt": 40}}"#,
        r#"{"age": [{"$lt": 20}, {"$gt": 40}]}"#,
        r#"{"a": {"$anythingBut": ["x", "y"]}}"#,
        r#"{"a": ["x", "y", 1, true, false, null]}"#,
        r#"{"a": [{"$exists": false}, null, {"$startsWith": "x"}]}"#,
        r#"{"a": {"$isNull": false, "$anythingBut": 1}}"#,
        r#"{"a": {"$size": {"$gt": 0}, "$some": {"b": 1}, "$not": "x"}}"#,
        r#"{"a": {"$none": ["x"], "$all": [{"$startsWith": "y"}, {"$endsWith": "z"}]}}"#,
        r#"{"a": [{"$not": "x"}, {"$not": "y"}]}"#,
        r#"{"a": {"$between": [5, 5]}, "b": {"$gte": 1, "$lte": 1}}"#,
        r#"{"$or": [{"a": 1}, {"a": 2}], "$nor": [{"b": 1}]}"#,
    ];
    for text in innocent {
        let filter = FilterOptions::new().parse(text).unwrap();
        assert_eq!(filter.warnings(), [], "{text}");
    }
}
