//! Implications between filters: what is said to be implied is, by the judgement of events; what is implied by construction is found.

use std::collections::BTreeSet;

use filter::{Dialect, Filter, FilterOptions, schema};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::generate;

fn compile(dialect: Dialect, filter: &Value) -> Filter {
    FilterOptions::new()
        .dialect(dialect)
        .from_value(filter)
        .unwrap_or_else(|error| panic!("{filter}: {error}"))
}

fn filters(dialect: Dialect) -> BoxedStrategy<Value> {
    match dialect {
        Dialect::TriggerDev => generate::trigger_dev::filter(),
        Dialect::EventBridge => generate::event_bridge::pattern(),
        _ => generate::native::filter(),
    }
}

/// The filter without one of its parts, or with another number or text in it, if that is a filter.
fn changed(dialect: Dialect, filter: &Value, place: usize, how: usize) -> Option<Value> {
    fn count(value: &Value) -> usize {
        match value {
            Value::Array(items) => items.iter().map(|item| 1 + count(item)).sum(),
            Value::Object(members) => members.values().map(|value| 1 + count(value)).sum(),
            _ => 0,
        }
    }
    /// Changes the part of this number; false if it is behind this value.
    fn change(value: &mut Value, place: &mut usize, how: usize) -> bool {
        fn part(part: &mut Value, place: &mut usize, how: usize) -> (bool, bool) {
            if *place == 0 {
                match part {
                    Value::Number(number) if how != 0 => {
                        *part = json!(number.as_f64().unwrap_or(0.0) + how as f64 - 2.5);
                    }
                    Value::String(text) if how == 1 => drop(text.pop()),
                    Value::String(text) if how == 2 => text.push('a'),
                    Value::String(text) if how == 3 => *text = text.chars().skip(1).collect(),
                    _ => return (true, true),
                }
                return (true, false);
            }
            *place -= 1;
            (change(part, place, how), false)
        }
        match value {
            Value::Array(items) => {
                for at in 0..items.len() {
                    if let (true, remove) = part(&mut items[at], place, how) {
                        if remove {
                            items.remove(at);
                        }
                        return true;
                    }
                }
            }
            Value::Object(members) => {
                let keys: Vec<String> = members.keys().cloned().collect();
                for key in keys {
                    if let (true, remove) = part(members.get_mut(&key).unwrap(), place, how) {
                        if remove {
                            members.remove(&key);
                        }
                        return true;
                    }
                }
            }
            _ => {}
        }
        false
    }
    let mut filter = filter.clone();
    let mut place = place % count(&filter).max(1);
    change(&mut filter, &mut place, how);
    FilterOptions::new().dialect(dialect).from_value(&filter).is_ok().then_some(filter)
}

/// Two filters, which often have much in common.
fn pair(dialect: Dialect) -> BoxedStrategy<(Value, Value)> {
    let change = (any::<prop::sample::Index>(), 0..4_usize);
    (filters(dialect), filters(dialect), vec(change, 0..4))
        .prop_map(move |(one, other, changes)| {
            if changes.is_empty() {
                return (one, other);
            }
            let mut like_one = one.clone();
            for (place, how) in changes {
                like_one = changed(dialect, &like_one, place.index(64), how).unwrap_or(like_one);
            }
            (one, like_one)
        })
        .boxed()
}

fn check(dialect: Dialect, one: &Value, other: &Value, events: &[Value]) -> bool {
    let [one, other] = [one, other].map(|filter| compile(dialect, filter));
    let (forwards, backwards) = (one.implies(&other), other.implies(&one));
    let never = [&one, &other].map(Filter::never_matches);
    for event in events {
        let (a, b) = (one.matches(event), other.matches(event));
        assert!(!forwards || !a || b, "{dialect}: {one} does not imply {other}: {event}");
        assert!(!backwards || !b || a, "{dialect}: {other} does not imply {one}: {event}");
        assert!(!never[0] || !a, "{dialect}: {one} matches {event}");
        assert!(!never[1] || !b, "{dialect}: {other} matches {event}");
    }
    forwards || backwards
}

proptest! {
    #![proptest_config(generate::config())]

    #[test]
    fn no_event_contradicts_an_implication(
        native in pair(Dialect::Native),
        trigger_dev in pair(Dialect::TriggerDev),
        event_bridge in pair(Dialect::EventBridge),
        events in vec(generate::event(), 1..30),
    ) {
        check(Dialect::Native, &native.0, &native.1, &events);
        check(Dialect::TriggerDev, &trigger_dev.0, &trigger_dev.1, &events);
        check(Dialect::EventBridge, &event_bridge.0, &event_bridge.1, &events);
    }

    #[test]
    fn implications_by_construction_are_found(
        one in generate::native::filter().prop_filter("conditions on the event", is_of_fields),
        other in generate::native::filter().prop_filter("conditions on the event", is_of_fields),
    ) {
        let of = |filter: Value| compile(Dialect::Native, &filter);
        let both = of(json!({"$and": [one, other]}));
        let either = of(json!({"$or": [other, one]}));
        let not = of(json!({"$nor": [one]}));
        let neither = of(json!({"$nor": [one, other]}));
        let contradiction = of(json!({"$and": [one], "$nor": [one]}));
        let compiled = of(one.clone());
        prop_assert!(compiled.implies(&compiled), "{} implies itself", compiled);
        prop_assert!(both.implies(&compiled), "{} implies {}", both, compiled);
        if one != json!({}) {
            // The empty filter matches null, which `$or` does not.
            prop_assert!(compiled.implies(&either), "{} implies {}", compiled, either);
        }
        prop_assert!(neither.implies(&not), "{} implies {}", neither, not);
        prop_assert!(contradiction.never_matches(), "{} never matches", contradiction);
        let nested = |filter: &Value| of(json!({"x": filter, "y": {"$some": filter}}));
        prop_assert!(nested(&json!({"$and": [one, other]})).implies(&nested(&json!({"$and": [one]}))), "{}", both);
    }

    #[test]
    fn every_filter_implies_itself(
        native in generate::native::filter(),
        trigger_dev in generate::trigger_dev::filter(),
        event_bridge in generate::event_bridge::pattern(),
    ) {
        for (dialect, filter) in
            [(Dialect::Native, native), (Dialect::TriggerDev, trigger_dev), (Dialect::EventBridge, event_bridge)]
        {
            let filter = compile(dialect, &filter);
            prop_assert!(filter.implies(&filter), "{} in {}", filter, dialect);
        }
    }
}

fn is_of_fields(filter: &Value) -> bool {
    let is_operator = |key: &String| {
        key.starts_with('$') && !key.starts_with("$$") && !["$or", "$and", "$nor"].contains(&key.as_str())
    };
    filter.as_object().is_some_and(|members| !members.keys().any(is_operator))
}

/// The property proves little for pairs of which none implies the other.
#[test]
fn many_generated_pairs_imply_each_other() {
    let mut runner = TestRunner::deterministic();
    for dialect in Dialect::ALL {
        let implied = (0..500).filter(|_| {
            let (one, other) = pair(dialect).new_tree(&mut runner).unwrap().current();
            check(dialect, &one, &other, &[])
        });
        let implied = implied.count();
        assert!((150..480).contains(&implied), "{dialect}: {implied} of 500");
    }
}

/// For each operator a condition, and a wider one of another form.
const NATIVE: &[(&str, &str)] = &[
    (r#""order.paid""#, r#"{"$startsWith": "order."}"#),
    (r#"{"$startsWith": "order.paid"}"#, r#"{"$startsWith": "order."}"#),
    (r#"{"$startsWith": "order.paid"}"#, r#"{"$wildcard": "ord*r.*"}"#),
    (r#"{"$endsWith": "order.paid"}"#, r#"{"$endsWith": "paid"}"#),
    (r#"{"$endsWith": "x order.paid"}"#, r#"{"$contains": "order"}"#),
    (r#"{"$contains": "order.paid"}"#, r#"{"$wildcard": "*order*"}"#),
    (r#"{"$wildcard": "order.*.paid"}"#, r#"{"$startsWith": "order"}"#),
    (r#"{"$wildcard": "a*bcd*ef*g"}"#, r#"{"$wildcard": "a*c*e*"}"#),
    (r#"{"$wildcard": "a\\*b*"}"#, r#"{"$contains": "*b"}"#),
    (r#"{"$ignoreCaseEquals": "É"}"#, r#"{"$ignoreCaseEquals": "e\u0301"}"#),
    (r#"{"$ignoreCaseEquals": "x"}"#, r#"{"$exists": true}"#),
    (r#"{"$regex": "^x", "$contains": "y"}"#, r#"{"$regex": "^x"}"#),
    (r#"{"$cidr": "10.1.0.0/16"}"#, r#"{"$cidr": "10.0.0.0/8"}"#),
    (r#"{"$cidr": "2001:db8:1::/48"}"#, r#"{"$cidr": "2001:db8::/32"}"#),
    (r#"{"$cidr": "10.1.2.3"}"#, r#"{"$cidr": "10.1.2.3/32"}"#),
    (r#""Straße""#, r#"{"$ignoreCase": {"$startsWith": "STRA"}}"#),
    (r#"{"$startsWith": "ORDER."}"#, r#"{"$ignoreCase": {"$startsWith": "order"}}"#),
    (r#"{"$ignoreCase": {"$eq": "ÀB"}}"#, r#"{"$ignoreCase": {"$contains": "à"}}"#),
    (r#"{"$ignoreCase": {"$wildcard": "a*B"}}"#, r#"{"$ignoreCase": {"$endsWith": "b"}}"#),
    (r#"{"$before": "2026-01-01T00:00:00Z"}"#, r#"{"$before": "2026-01-01T00:00:00-01:00"}"#),
    (r#"{"$after": "2026-01-01T00:00:00Z"}"#, r#"{"$after": "2025-01-01T00:00:00Z"}"#),
    (r#"{"$eq": 7}"#, r#"[1, 7]"#),
    (r#"{"$eq": {"$ref": "/b"}, "$gt": 1}"#, r#"{"$eq": {"$ref": "/b"}}"#),
    (r#"{"$gt": {"$ref": "/b"}}"#, r#"{"$gte": {"$ref": "/b"}}"#),
    (r#"{"$gt": 9007199254740993}"#, r#"{"$gt": 9007199254740992}"#),
    (r#"{"$gte": 6, "$lt": 9}"#, r#"{"$between": [6, 9]}"#),
    (r#"{"$gte": 6}"#, r#"{"$gt": 5.5}"#),
    (r#"{"$lt": 6}"#, r#"{"$lte": 6}"#),
    (r#"{"$lte": 6}"#, r#"{"$anythingBut": 7}"#),
    (r#"{"$between": [6, 6]}"#, "6"),
    (r#"{"$between": [1, 6]}"#, r#"{"$not": 7}"#),
    (r#"{"$includes": "x"}"#, r#"{"$some": [{"$startsWith": "x"}, 1]}"#),
    (r#"{"$includes": "x"}"#, r#"{"$some": {"k": {"$exists": false}}}"#),
    (r#"{"$some": ["x"]}"#, r#"{"$includes": "x"}"#),
    (r#"{"$some": {"$gt": 7}}"#, r#"{"$some": {"$gt": 5}}"#),
    (r#"{"$some": {"k": "x", "l": 1}}"#, r#"{"k": "x"}"#),
    (r#"{"$some": {"k": "x", "l": 1}}"#, r#"{"$some": {"k": ["x", "y"]}}"#),
    (r#"{"$every": {"$gt": 7}}"#, r#"{"$every": [{"$gt": 5}, "x"]}"#),
    (r#"{"$size": 0}"#, r#"{"$every": ["x"]}"#),
    (r#"{"$size": 3}"#, r#"{"$size": {"$gt": 2}}"#),
    (r#"{"$size": {"$between": [3, 5]}}"#, r#"{"$size": {"$gte": 3}}"#),
    (r#"{"$exists": false}"#, r#"{"$isNull": false}"#),
    (r#"{"$exists": true, "$isNull": false}"#, r#"{"$exists": true}"#),
    (r#"{"$isNull": true}"#, "null"),
    ("null", r#"{"$isNull": true}"#),
    (r#"{"$isNull": false}"#, r#"{"$anythingBut": null}"#),
    (r#"{"$anythingBut": ["x", "y", 1]}"#, r#"{"$anythingBut": ["y", "x"]}"#),
    (r#"{"$anythingBut": ["x", "y"]}"#, r#"{"$none": ["x"]}"#),
    (r#"{"$anythingBut": {"$startsWith": "x"}}"#, r#"{"$anythingBut": {"$startsWith": "xy"}}"#),
    (r#"{"$startsWith": "x"}"#, r#"{"$anythingBut": {"$startsWith": "y"}}"#),
    (r#"{"$gt": 3}"#, r#"{"$none": [{"$lt": 3}, "x", {"$size": 1}]}"#),
    (r#"{"$not": "x", "$startsWith": "y"}"#, r#"{"$not": "x"}"#),
    (r#"{"$startsWith": "y"}"#, r#"{"$not": "x"}"#),
    (r#"{"$all": [{"$gt": 3}, {"$lt": 5}]}"#, r#"{"$between": [3, 5]}"#),
    (r#"{"$gt": 3, "$lt": 5}"#, r#"{"$all": [{"$gte": 3}, {"$lte": 5}]}"#),
    (r#"{"$none": ["x", {"$gt": 3}]}"#, r#"{"$none": [{"$gt": 4}]}"#),
    (r#"["a", "b"]"#, r#"["b", "c", "a"]"#),
    (r#"["ab", {"$startsWith": "ac"}]"#, r#"{"$startsWith": "a"}"#),
    (r#"{"b": {"c": 1, "d": 2}}"#, r#"{"b": {"c": {"$gte": 1}}}"#),
    (r#"{"b": 1}"#, r#"{"$exists": true}"#),
];

const TRIGGER_DEV: &[(&str, &str)] = &[
    (r#"["ab"]"#, r#"[{"$startsWith": "a"}]"#),
    (r#"[{"$startsWith": "ab"}]"#, r#"[{"$startsWith": "a"}]"#),
    (r#"[{"$endsWith": "ab"}, {"$startsWith": "x"}]"#, r#"[{"$endsWith": "b"}]"#),
    (r#"[{"$gt": 3}, {"$lt": 5}]"#, r#"[{"$between": [3, 5]}]"#),
    (r#"[{"$gte": 3}]"#, r#"[{"$gt": 2}]"#),
    (r#"[{"$lte": 3}]"#, r#"[{"$lt": 4}]"#),
    (r#"[{"$between": [1, 2]}]"#, r#"[{"$gte": 1}, {"$lte": 2}]"#),
    (r#"[{"$includes": "x"}]"#, r#"[{"$exists": true}]"#),
    (r#"[{"$ignoreCaseEquals": "AB"}]"#, r#"[{"$ignoreCaseEquals": "ab"}]"#),
    (r#"[{"$isNull": true}]"#, r#"[{"$exists": true}]"#),
    (r#"[{"$exists": false}]"#, r#"[{"$isNull": false}]"#),
    (r#"[{"$anythingBut": ["x", "y"]}]"#, r#"[{"$anythingBut": "x"}]"#),
    (r#"["x"]"#, r#"[{"$not": "y"}]"#),
];

const EVENT_BRIDGE: &[(&str, &str)] = &[
    (r#"["ab"]"#, r#"[{"prefix": "a"}]"#),
    (r#"[{"exactly": "ab"}]"#, r#"["x", "ab"]"#),
    (r#"[{"prefix": "ab"}]"#, r#"[{"prefix": "a"}]"#),
    (r#"[{"prefix": "ab"}]"#, r#"[{"prefix": {"equals-ignore-case": "A"}}]"#),
    (r#"[{"suffix": "ab"}]"#, r#"[{"wildcard": "*b"}]"#),
    (r#"[{"equals-ignore-case": "AB"}]"#, r#"[{"equals-ignore-case": "ab"}]"#),
    (r#"[{"wildcard": "a*b*c"}]"#, r#"[{"wildcard": "a*c"}]"#),
    (r#"[{"numeric": [">", 3, "<", 5]}]"#, r#"[{"numeric": ["<=", 5]}]"#),
    (r#"[{"numeric": ["=", 3]}]"#, "[3]"),
    (r#"[{"exists": true}]"#, r#"[{"exists": true}, "x"]"#),
    (r#"["x"]"#, r#"[{"exists": true}]"#),
    (r#"[{"exists": false}]"#, r#"["x", {"exists": false}]"#),
    (r#"[{"cidr": "10.1.0.0/16"}]"#, r#"[{"cidr": "10.0.0.0/8"}]"#),
    (r#"[{"anything-but": ["x", "y"]}]"#, r#"[{"anything-but": "x"}]"#),
    (r#"[{"anything-but": {"prefix": ["x", "y"]}}]"#, r#"[{"anything-but": {"prefix": "xa"}}]"#),
    (r#"[{"anything-but": {"suffix": "x"}}]"#, r#"[{"anything-but": {"suffix": "ax"}}]"#),
    (r#"[{"anything-but": {"wildcard": "x*"}}]"#, r#"[{"anything-but": {"wildcard": "x*y"}}]"#),
    (
        r#"[{"anything-but": {"equals-ignore-case": ["x", "y"]}}]"#,
        r#"[{"anything-but": {"equals-ignore-case": "X"}}]"#,
    ),
    (r#"{"b": ["x"], "c": [1]}"#, r#"{"b": ["x", "y"]}"#),
];

#[test]
fn wider_conditions_are_implied_for_every_operator() {
    for (dialect, pairs) in
        [(Dialect::Native, NATIVE), (Dialect::TriggerDev, TRIGGER_DEV), (Dialect::EventBridge, EVENT_BRIDGE)]
    {
        let mut seen = BTreeSet::new();
        for (narrow, wide) in pairs {
            let [narrow, wide] = [narrow, wide].map(|text| serde_json::from_str::<Value>(text).unwrap());
            let mut texts = narrow.to_string();
            texts.push_str(&wide.to_string());
            let filter = |condition: &Value| compile(dialect, &json!({"a": condition}));
            assert!(filter(&narrow).implies(&filter(&wide)), "{dialect}: {narrow} implies {wide}");
            let beside = compile(dialect, &json!({"a": narrow, "z": ["x"]}));
            assert!(beside.implies(&filter(&wide)), "{dialect}: {beside} implies {wide}");
            let schema = schema(dialect);
            let operators = schema["$defs"]["matcher"]["properties"].as_object().unwrap();
            seen.extend(operators.keys().filter(|name| texts.contains(&format!("\"{name}\""))).cloned());
        }
        let all: BTreeSet<String> =
            schema(dialect)["$defs"]["matcher"]["properties"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(seen, all, "{dialect}: each operator has a pair");
    }
}

#[test]
fn filters_imply_each_other_through_junctions() {
    for (narrow, wide) in [
        (r#"{"a": "x", "b": 1}"#, r#"{"$or": [{"b": 2}, {"a": "x"}]}"#),
        (r#"{"$or": [{"a": 1}, {"a": 2}]}"#, r#"{"a": {"$gt": 0}}"#),
        (r#"{"a": [1, 2]}"#, r#"{"$or": [{"a": 2}, {"a": 1}]}"#),
        (r#"{"$or": [{"a": 1}, {"b": 1}], "c": 1}"#, r#"{"$or": [{"b": 1}, {"a": 1}, {"d": 1}]}"#),
        (r#"{"$and": [{"a": {"$gt": 1}}, {"a": {"$lt": 5}}]}"#, r#"{"a": {"$between": [1, 5]}}"#),
        (r#"{"a": "x"}"#, r#"{"$nor": [{"a": "y"}, {"a": {"$gt": 1}}]}"#),
        (r#"{"$nor": [{"a": 1}, {"b": 1}]}"#, r#"{"$nor": [{"b": 1, "c": 2}]}"#),
        (r#"{"a": {"$anythingBut": "x"}}"#, r#"{"$nor": [{"a": "x"}]}"#),
        (r#"{"$some": {"a": 1, "b": 2}}"#, r#"{"$some": {"a": 1}}"#),
        (r#"["x", 1]"#, r#"[1, {"$startsWith": "x"}]"#),
        (r#"{"a": {"$gt": 5, "$lt": 3}}"#, r#"{"b": 1}"#),
        ("{}", "{}"),
        (r#"{"a": 1}"#, "{}"),
    ] {
        let [narrow, wide] = [narrow, wide].map(|text| Filter::parse(text).unwrap());
        assert!(narrow.implies(&wide), "{narrow} implies {wide}");
    }
    for (one, other) in [
        (r#"{"$nor": [{"a": 1}]}"#, r#"{"$nor": [{"a": 1}, {"b": 1}]}"#),
        ("{}", r#"{"$or": [{}]}"#),
        (r#"{"a": {"$exists": true}}"#, r#"{"a": {}}"#),
        (r#"{"a": {"$anythingBut": "x"}}"#, r#"{"a": {"$not": "x"}}"#),
        (r#"{"a": {"$regex": "x"}}"#, r#"{"a": {"$regex": "y"}}"#),
        (r#"{"a": {"$cidr": "::/0"}}"#, r#"{"a": {"$cidr": "0.0.0.0/0"}}"#),
    ] {
        let [one, other] = [one, other].map(|text| Filter::parse(text).unwrap());
        assert!(!one.implies(&other), "{one} does not imply {other}");
    }
}

#[test]
fn contradictions_are_found() {
    for text in [
        r#"{"a": "x", "$nor": [{"a": "x"}]}"#,
        r#"{"a": "x", "$and": [{"a": "y"}]}"#,
        r#"{"$and": [{"a": {"$gt": 5}}, {"a": {"$lt": 5}}]}"#,
        r#"{"a": {"$eq": "x", "$startsWith": "y"}}"#,
        r#"{"a": {"$cidr": "10.0.0.0/8"}, "$and": [{"a": {"$cidr": "11.0.0.0/8"}}]}"#,
        r#"{"a": {"$after": "2026-01-02T00:00:00Z", "$before": "2026-01-01T00:00:00Z"}}"#,
        r#"{"$or": [{"a": 1}, {"a": 2}], "a": 3}"#,
        r#"{"o": {"a": {"$gt": 1, "$lt": 0}}}"#,
        r#"{"a": {"$startsWith": "x"}, "$nor": [{"a": {"$exists": true}}]}"#,
        r#"[{"$eq": 1, "$gt": 2}]"#,
    ] {
        assert!(Filter::parse(text).unwrap().never_matches(), "{text}");
    }
    for text in ["{}", r#"{"a": 1}"#, r#"{"a": {"b": 1}, "$and": [{"a": {"b": 2}}]}"#] {
        assert!(!Filter::parse(text).unwrap().never_matches(), "{text}");
    }
}

/// A proof is bounded, whatever the filters are.
#[test]
fn hostile_filters_are_compared_in_bounded_time() {
    let list =
        |count: usize, item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<Vec<_>>().join(",");
    let long = format!(r#"{{"a":[{}]}}"#, list(20_000, &|i| format!(r#"{{"$startsWith":"p{i}"}}"#)));
    let many = format!(
        r#"{{"$or":[{}]}}"#,
        list(8, &|i| format!(r#"{{"$or":[{}]}}"#, list(8, &|j| format!(r#"{{"a{i}":{j}}}"#))))
    );
    let deep = format!(r#"{{"a":{}1{}}}"#, r#"{"$none":["#.repeat(60), "]}".repeat(60));
    let filters = [long, many, deep].map(|text| Filter::parse(&text).unwrap());
    for one in &filters {
        for other in &filters {
            let known = one.implies(other);
            assert!(!known || one == other || one.never_matches(), "{one:.60} {other:.60}");
        }
    }
}
