//! `$eq`, references, times and `$ignoreCase`: one test per row and rule of docs/filter-language.md.

use filter::{Filter, FilterSet};
use serde_json::{Value, json};

fn compile(filter: &Value) -> Filter {
    Filter::try_from(filter).unwrap_or_else(|error| panic!("{filter}: {error}"))
}

/// The answer of the value engine, the bytes engine and a set.
fn matches(filter: &Value, event: &Value) -> bool {
    let filter = compile(filter);
    let matched = filter.matches(event);
    let text = event.to_string();
    assert_eq!(filter.matches_slice(text.as_bytes()), Ok(matched), "bytes: {filter} on {text}");
    let mut set = FilterSet::new();
    set.insert((), filter.clone());
    assert_eq!(!set.matches(event).is_empty(), matched, "set: {filter} on {text}");
    assert_eq!(!set.matches_slice(text.as_bytes()).unwrap().is_empty(), matched, "set: {filter} on {text}");
    matched
}

fn check(filter: &Value, matching: &[Value], other: &[Value]) {
    for event in matching {
        assert!(matches(filter, event), "{filter} should match {event}");
    }
    for event in other {
        assert!(!matches(filter, event), "{filter} should not match {event}");
    }
}

#[test]
fn eq_of_a_literal() {
    check(
        &json!({"a": {"$eq": 1}}),
        &[json!({"a": 1}), json!({"a": 1.0})],
        &[json!({}), json!({"a": "1"}), json!({"a": [1]}), json!({"a": null})],
    );
    check(&json!({"a": {"$eq": null}}), &[json!({"a": null})], &[json!({}), json!({"a": 0})]);
    check(&json!({"a": {"$anythingBut": {"$eq": 1}}}), &[json!({}), json!({"a": 2})], &[json!({"a": 1})]);
    check(
        &json!({"a": {"$size": {"$eq": 2}}}),
        &[json!({"a": [1, 2]})],
        &[json!({"a": [1]}), json!({"a": 2})],
    );
}

#[test]
fn references_compare_two_fields() {
    check(
        &json!({"ready": {"$gte": {"$ref": "/spec/replicas"}}}),
        &[
            json!({"ready": 3, "spec": {"replicas": 3}}),
            json!({"ready": 3.5, "spec": {"replicas": 3}}),
            json!({"ready": "b", "spec": {"replicas": "a"}}),
        ],
        &[
            json!({"ready": 2, "spec": {"replicas": 3}}),
            json!({"ready": 3}),
            json!({"ready": 3, "spec": 3}),
            json!({"ready": 3, "spec": {"replicas": "3"}}),
            json!({"ready": 3, "spec": {"replicas": null}}),
            json!({"ready": 3, "spec": {"replicas": [1]}}),
            json!({"ready": 3, "spec": [{"replicas": 1}]}),
            json!({"ready": [3], "spec": {"replicas": 3}}),
            json!({"spec": {"replicas": 3}}),
        ],
    );
    for (operator, held) in [
        ("$eq", [false, true, false]),
        ("$gt", [false, false, true]),
        ("$gte", [false, true, true]),
        ("$lt", [true, false, false]),
        ("$lte", [true, true, false]),
    ] {
        let filter = json!({"a": {operator: {"$ref": "/b"}}});
        for (a, expected) in [1, 2, 3].into_iter().zip(held) {
            assert_eq!(matches(&filter, &json!({"a": a, "b": 2})), expected, "{operator}: {a} and 2");
        }
    }
}

#[test]
fn numbers_by_value_strings_by_code_point_others_only_by_eq() {
    let equal = json!({"a": {"$eq": {"$ref": "/b"}}});
    let greater = json!({"a": {"$gt": {"$ref": "/b"}}});
    for (a, b) in [
        (json!(1), json!(1.0)),
        (json!("é"), json!("é")),
        (json!(true), json!(true)),
        (json!(null), json!(null)),
        (json!(0), json!(-0.0)),
    ] {
        assert!(matches(&equal, &json!({"a": a, "b": b})), "{a} = {b}");
        assert!(!matches(&greater, &json!({"a": a, "b": b})), "{a} > {b}");
        assert!(!matches(&json!({"a": {"$lt": {"$ref": "/b"}}}), &json!({"a": a, "b": b})), "{a} < {b}");
    }
    // Nulls and booleans have no order, not even with themselves.
    for value in [json!(null), json!(true)] {
        assert!(!matches(&json!({"a": {"$gte": {"$ref": "/b"}}}), &json!({"a": value, "b": value})));
    }
    for (a, b) in [
        (json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992_f64)),
        (json!("é"), json!("e\u{301}")),
        (json!({}), json!({})),
        (json!([]), json!([])),
        (json!(1), json!("1")),
        (json!(false), json!(null)),
    ] {
        assert!(!matches(&equal, &json!({"a": a, "b": b})), "{a} = {b}");
    }
    // In UTF-16, U+FF5E would come after U+1F600.
    assert!(matches(&greater, &json!({"a": "\u{1F600}", "b": "\u{FF5E}"})));
}

#[test]
fn pointers_are_rfc_6901_from_the_event_even_inside_nested_filters() {
    let event = json!({"a/b": {"~": {"": 5}}, "list": [{"n": 4}, {"n": 5}], "dotted.name": 5});
    for pointer in ["/a~1b/~0/", "/dotted.name"] {
        let same = json!({"$ref": pointer});
        assert!(matches(&json!({"list": {"n": {"$eq": same}}}), &event), "{pointer}");
        assert!(matches(&json!({"list": {"$some": {"n": {"$gte": same}}}}), &event), "{pointer}");
        assert!(!matches(&json!({"list": {"$every": {"n": {"$gte": same}}}}), &event), "{pointer}");
        assert!(matches(&json!({"list": {"$size": {"$lt": same}}}), &event), "{pointer}");
        assert!(matches(&json!({"$or": [{"x": 1}, {"list": {"n": same_as(pointer)}}]}), &event), "{pointer}");
        assert!(!matches(&json!({"$nor": [{"list": {"n": same_as(pointer)}}]}), &event), "{pointer}");
        assert!(!matches(&json!({"list": {"n": {"$none": [same_as(pointer), 4]}}}), &event), "{pointer}");
    }
    // The last of duplicate keys counts.
    let filter = compile(&json!({"a": {"$eq": {"$ref": "/b"}}}));
    assert!(filter.matches_slice(br#"{"b":1,"a":2,"b":2}"#).unwrap());
    assert!(filter.matches_slice(br#"{"\u0062":"\u0061","a":"a"}"#).unwrap());
    // The event itself.
    assert!(matches(&json!({"$eq": {"$ref": ""}}), &json!(5)));
    assert!(!matches(&json!({"$eq": {"$ref": ""}}), &json!([5])));
}

fn same_as(pointer: &str) -> Value {
    json!({"$eq": {"$ref": pointer}})
}

#[test]
fn negated_references_hold_where_the_comparison_does_not() {
    let filter = json!({"a": {"$anythingBut": {"$eq": {"$ref": "/b"}}}});
    check(
        &filter,
        &[json!({"a": 1, "b": 2}), json!({"a": 1}), json!({"b": 1}), json!({})],
        &[json!({"a": 1, "b": 1})],
    );
}

#[test]
fn in_a_set_references_are_judged_for_candidates_only() {
    let mut set = FilterSet::new();
    for id in 0..1000 {
        set.insert(id, compile(&json!({"tenant": format!("t{id}"), "a": {"$gt": {"$ref": "/b"}}})));
    }
    assert_eq!(set.unindexed().count(), 0);
    assert_eq!(set.matches(&json!({"tenant": "t7", "a": 2, "b": 1})), [&7]);
    assert!(set.matches(&json!({"tenant": "t7", "a": 1, "b": 1})).is_empty());
}

#[test]
fn before_and_after_compare_instants() {
    let filter =
        json!({"at": {"$after": "2024-02-29T00:00:00Z", "$before": "2024-02-29T00:00:00.000000002Z"}});
    check(
        &filter,
        &[
            json!({"at": "2024-02-29T00:00:00.000000001Z"}),
            json!({"at": "2024-02-29T01:30:00.0000000019+01:30"}),
            json!({"at": "2024-02-28t23:59:00.000000001-00:01"}),
        ],
        &[
            json!({"at": "2024-02-29T00:00:00Z"}),
            json!({"at": "2024-02-29T00:00:00.000000002Z"}),
            json!({"at": "2024-02-28T23:59:60Z"}),
            json!({"at": "2024-02-29"}),
            json!({"at": "2024-02-29 00:00:00.000000001Z"}),
            json!({"at": 1_709_164_800}),
            json!({"at": null}),
            json!({"at": ["2024-02-29T00:00:00.000000001Z"]}),
            json!({}),
        ],
    );
    // As text, the second would come first.
    check(
        &json!({"at": {"$before": "2024-01-01T00:00:00Z"}}),
        &[json!({"at": "2024-01-01T05:00:00+06:00"})],
        &[json!({"at": "2023-12-31T23:00:00-02:00"})],
    );
}

#[test]
fn ignore_case_around_text_operators() {
    for (matcher, matching, other) in [
        (json!({"$startsWith": "Straße"}), vec!["STRAẞE 1", "straße"], vec!["strasse", "straß", ""]),
        (json!({"$endsWith": ".PDF"}), vec!["a.pdf", ".Pdf"], vec!["a.pdf ", "pdf"]),
        (json!({"$contains": "σίσυφος"}), vec!["ο ΣΊΣΥΦΟΣ", "σίσυφοσ"], vec!["ΣΙΣΥΦΟΣ"]),
        (json!({"$wildcard": r"re*\*.pdf"}), vec!["REPORT*.PDF"], vec!["report.pdf"]),
        (json!({"$regex": "^[a-c]+$"}), vec!["AbC"], vec!["abd"]),
        (json!({"$eq": "K"}), vec!["k", "\u{212A}"], vec!["kk"]),
        (json!({"$startsWith": "a", "$endsWith": "Z"}), vec!["Az", "AbZ"], vec!["a", "z"]),
        (json!({"$contains": ""}), vec![""], vec![]),
    ] {
        let filter = json!({"a": {"$ignoreCase": matcher}});
        let events = |texts: Vec<&str>| texts.into_iter().map(|text| json!({"a": text})).collect::<Vec<_>>();
        let mut others = events(other);
        others.extend([json!({}), json!({"a": 5}), json!({"a": null}), json!({"a": ["a", "re*.pdf"]})]);
        check(&filter, &events(matching), &others);
    }
}
