//! Explanations as text and as data.

use filter::{Dialect, Explanation, Filter, FilterOptions};
use serde_json::{Value, json};

fn explain(filter: Value, event: Value) -> Explanation {
    Filter::try_from(&filter).unwrap().explain(&event)
}

#[test]
fn a_match() {
    let explanation = explain(
        json!({"status": ["SUCCESS", "DONE"], "tries": {"$lt": 3}}),
        json!({"status": "DONE", "tries": 1}),
    );
    insta::assert_snapshot!(explanation, @r#"
    match: all 2 conditions hold
      ✓ status  is "DONE"  expected "SUCCESS" or "DONE"
      ✓ tries   is 1       expected < 3
    "#);
    assert_eq!(explanation.summary(), None);
}

#[test]
fn the_nearest_miss_comes_first() {
    let filter = json!({"a": "x", "b": {"$gt": 5}, "c": "z", "d": {"$exists": true}, "e": 1});
    let explanation = explain(filter, json!({"b": 3, "c": null, "d": 1, "e": "1"}));
    insta::assert_snapshot!(explanation, @r#"
    no match: 4 of 5 conditions fail
      ✗ b  is 3        expected > 5
      ✗ e  is "1"      expected 1
      ✗ c  is null     expected "z"
      ✗ a  is missing  expected "x"
      ✓ d  is 1        expected present
    "#);
    assert_eq!(explanation.summary().unwrap(), "b is 3, expected > 5 (and 3 more)");
}

#[test]
fn nested_fields_have_paths() {
    let explanation = explain(
        json!({"body": {"job": {"status": "SUCCESS"}, "x y": {"$startsWith": "a"}}}),
        json!({"body": {"job": {"status": "RUNNING"}, "x y": 5}}),
    );
    insta::assert_snapshot!(explanation, @r#"
    no match: 2 of 2 conditions fail
      ✗ body.job.status  is "RUNNING"  expected "SUCCESS"
      ✗ body["x y"]      is 5          expected starting with "a"
    "#);
}

#[test]
fn a_missing_object_is_one_failed_condition() {
    let explanation = explain(json!({"body": {"a": 1, "b": [2, {"$gt": 5}]}}), json!({}));
    insta::assert_snapshot!(explanation, @r#"
    no match: the condition fails
      ✗ body  is missing  expected an object with {"a": 1, "b": 2 or > 5}
    "#);
}

#[test]
fn alternatives_are_grouped() {
    let explanation = explain(
        json!({"$or": [{"a": 1, "b": 2}, {"c": 3}], "$nor": [{"d": 4}, {"e": 5}]}),
        json!({"a": 1, "b": 5, "d": 4}),
    );
    insta::assert_snapshot!(explanation, @"
    no match: 2 of 2 conditions fail
      ✗ none of:
          ✗ d  is 4        must not be 4
          ✓ e  is missing  must not be 5
      ✗ any of:
          ✗ all of:
              ✗ b  is 5  expected 2
              ✓ a  is 1  expected 1
          ✗ c  is missing  expected 3
    ");
    assert_eq!(explanation.summary().unwrap(), "d is 4, must not be 4 (and 1 more)");
}

#[test]
fn of_an_array_the_nearest_element_is_shown() {
    let explanation = explain(
        json!({"items": {"sku": "A", "price": {"$gt": 50}}}),
        json!({"items": [{"sku": "B", "price": 5}, {"sku": "A", "price": 40}, {"price": 60}]}),
    );
    insta::assert_snapshot!(explanation, @r#"
    no match: the condition fails
      ✗ items[1], the nearest of 3 elements:
          ✗ items[1].price  is 40   expected > 50
          ✓ items[1].sku    is "A"  expected "A"
    "#);
    assert_eq!(explanation.summary().unwrap(), "items[1].price is 40, expected > 50");
    let empty = explain(json!({"items": {"sku": "A"}}), json!({"items": []}));
    assert_eq!(empty.summary().unwrap(), r#"items is [], expected an object with {"sku": "A"}"#);
}

#[test]
fn operators_in_words() {
    let filter = json!({
        "a": {"$some": ["x", {"$gt": 1}]}, "b": {"$size": {"$gt": 1}}, "c": {"$anythingBut": ["x", "y"]},
        "d": {"$none": ["x", {"$wildcard": "a*"}]}, "e": {"$cidr": "10.0.0.0/8"}, "f": {"$between": [1, 5]},
        "g": {"$ignoreCaseEquals": "x"}, "h": {"$every": {"y": null}}, "i": {"$gte": 1, "$lt": 5},
    });
    insta::assert_snapshot!(explain(filter, json!({})), @r#"
    no match: 7 of 9 conditions fail
      ✗ a  is missing  expected an array with some element "x" or > 1
      ✗ b  is missing  expected an array of length > 1
      ✗ e  is missing  expected an address in 10.0.0.0/8
      ✗ f  is missing  expected between 1 and 5
      ✗ g  is missing  expected "x" in any case
      ✗ h  is missing  expected an array with every element with {"y": null}
      ✗ i  is missing  expected >= 1 and < 5
      ✓ c  is missing  expected anything but "x" or "y"
      ✓ d  is missing  expected none of ("x" or like "a*")
    "#);
}

#[test]
fn other_dialects() {
    let trigger_dev = FilterOptions::new().dialect(Dialect::TriggerDev);
    let filter = trigger_dev.parse(r#"{"n": [{"$gt": 1}, {"$lt": 5}], "any": []}"#).unwrap();
    insta::assert_snapshot!(filter.explain(&json!({"n": 7})), @"
    no match: 1 of 2 conditions fails
      ✗ n    is 7        expected > 1 and < 5
      ✓ any  is missing  expected anything
    ");
    let event_bridge = FilterOptions::new().dialect(Dialect::EventBridge);
    let filter = event_bridge
        .parse(r#"{"s": [{"anything-but": {"prefix": ["a", "b"]}}], "i": {"x": [1], "y": [2]}}"#)
        .unwrap();
    insta::assert_snapshot!(filter.explain(&json!({"s": ["ax", "by"], "i": [[{"x": 1}], {"x": 1, "y": 3}]})), @r#"
    no match: 2 of 2 conditions fail
      ✗ s  is ["ax", "by"]  expected anything but starting with "a" or starting with "b"
      ✗ i[…], the nearest of 2 elements:
          ✗ i[…].y  is 3  expected 2
          ✓ i[…].x  is 1  expected 1
    "#);
}

#[test]
fn large_values_are_shortened() {
    let event = json!({"a": "x".repeat(5000), "b": vec![json!({"k": vec![1; 100]}); 500], "c": 1});
    insta::assert_snapshot!(explain(json!({"a": 1, "b": 1, "c": 2}), event), @r#"
    no match: 3 of 3 conditions fail
      ✗ c  is 1                                     expected 2
      ✗ a  is "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" (5000 bytes)  expected 1
      ✗ b  is 500 elements: [{"k": [100 elements]}, {"k": [100 elements]}, {"k": [100 elements]}, {"k": [100 elements]}, {"k": [100 el…  expected 1
    "#);
}

#[test]
fn explanations_serialize() {
    let explanation = explain(json!({"a": 1, "$or": [{"b": 2}, {"c": 3}]}), json!({"a": 2, "b": 2}));
    assert_eq!(
        serde_json::to_value(&explanation).unwrap(),
        json!({
            "matched": false,
            "summary": "a is 2, expected 1",
            "conditions": [
                {"path": "a", "expected": "1", "actual": "2", "held": false},
                {"rule": "any of", "held": true, "conditions": [
                    {"path": "c", "expected": "3", "actual": "missing", "held": false},
                    {"path": "b", "expected": "2", "actual": "2", "held": true},
                ]},
            ],
        })
    );
    let paths: Vec<&str> = explanation.checks().map(filter::Check::path).collect();
    assert_eq!(paths, ["a", "c", "b"]);
}

#[test]
fn the_empty_filter() {
    insta::assert_snapshot!(explain(json!({}), json!(null)), @"match: the filter is empty");
    insta::assert_snapshot!(explain(json!({"a": 1}), json!(null)), @r#"
    no match: the condition fails
      ✗ the event  is null  expected an object with {"a": 1}
    "#);
}

#[test]
fn numbers_are_shown_as_they_were_written() {
    let filter = Filter::parse(r#"{"a": {"$lt": 1}, "b": {"$size": 9}}"#).unwrap();
    let explanation =
        filter.explain_slice(br#"{"b": [1.0, {"c": -0.50e1}], "a": 37.807807921694092}"#).unwrap();
    let actual: Vec<&str> = explanation.checks().map(filter::Check::actual).collect();
    assert_eq!(actual, ["37.807807921694092", r#"[1.0, {"c": -0.50e1}]"#]);
}

#[test]
fn floats_of_full_precision_are_equal_to_themselves_in_every_engine() {
    for number in
        ["37.807807921694092", "18446744073709551617", "0.1000000000000000055511151231257827", "1e22"]
    {
        let text = format!("{{\"x\":{number}}}");
        let filter = Filter::parse(&text).unwrap();
        assert!(filter.matches_slice(text.as_bytes()).unwrap(), "{text}");
        assert!(filter.explain_slice(text.as_bytes()).unwrap().matched(), "{text}");
        assert!(filter.matches(&crate::event(&text)), "{text}");
    }
    // A number beyond f64 makes an event invalid.
    assert!(Filter::parse("{}").unwrap().explain_slice(b"{\"x\":1e400}").is_err());
}

/// The hint of the first failed condition; the same for a value and for bytes.
fn hint(dialect: Dialect, filter: &str, event: &str) -> Option<String> {
    let filter =
        FilterOptions::new().dialect(dialect).parse(filter).unwrap_or_else(|e| panic!("{filter}: {e}"));
    let of_bytes = filter.explain_slice(event.as_bytes()).unwrap();
    let of_value = filter.explain(&crate::event(event));
    let first = |explanation: &Explanation| {
        let failed = explanation.checks().find(|check| !check.held());
        failed.and_then(filter::Check::hint).map(str::to_owned)
    };
    let hint = first(&of_bytes);
    assert_eq!(hint, first(&of_value), "{filter} on {event}");
    if let Some(hint) = &hint {
        assert!(of_bytes.to_string().contains(hint), "{of_bytes}");
        assert!(of_bytes.summary().unwrap().contains(hint), "{of_bytes}");
        assert!(serde_json::to_string(&of_bytes).unwrap().contains("\"hint\""));
    }
    hint
}

#[test]
fn hints_tell_what_the_event_has_instead() {
    use Dialect::{EventBridge, Native, TriggerDev};
    for (dialect, filter, event, expected) in [
        // A parent that is a scalar or an array.
        (Native, r#"{"a":{"b":1}}"#, r#"{"a":5.0}"#, "a is 5.0, and has no fields"),
        (Native, r#"{"a":{"b":1}}"#, r#"{"a":["x"]}"#, r#"a[0] is "x", and has no fields"#),
        (Native, r#"{"a":{"b":1}}"#, r#"{"a":[[1]]}"#, "a[…] is an array, and has no fields"),
        (EventBridge, r#"{"a":{"b":[1]}}"#, r#"{"a":5}"#, "a is 5, and has no fields"),
        (Native, r#"{"a":1}"#, "true", "the event is true, and has no fields"),
        // An event that is an array.
        (
            Native,
            r#"{"a":1}"#,
            r#"[{"a":1}]"#,
            "the event is an array: $some around the filter judges its elements",
        ),
        (TriggerDev, r#"{"a":[1]}"#, r#"[{"a":1}]"#, "the event is an array, and has no fields"),
        // Another spelling.
        (
            Native,
            r#"{"status":"x"}"#,
            r#"{"Status":"x"}"#,
            r#"there is "Status": letter case counts in names"#,
        ),
        (Native, r#"{"É":"x"}"#, r#"{"\u00e9":"x"}"#, r#"there is "é": letter case counts in names"#),
        (
            Native,
            r#"{"a":{"orderId":1}}"#,
            r#"{"a":{"order_id":1}}"#,
            r#"there is "order_id", spelt in another way"#,
        ),
        (
            EventBridge,
            r#"{"Detail":{"x":[1]}}"#,
            r#"{"detail":{"x":1}}"#,
            r#"there is "detail": letter case counts in names"#,
        ),
        (
            Native,
            r#"{"Detail":{"x":1}}"#,
            r#"{"detail":{"x":1}}"#,
            r#"there is "detail": letter case counts in names"#,
        ),
        // Paths and names with dots.
        (
            Native,
            r#"{"a.b.c":"x"}"#,
            r#"{"a":{"b":{"c":"x"}}}"#,
            "there is a field at the path a.b.c: write nested objects",
        ),
        (
            Native,
            r#"{"/a/b":"x"}"#,
            r#"{"a":{"b":null}}"#,
            "there is a field at the path a.b: write nested objects",
        ),
        (Native, r#"{"a":{"b":"x"}}"#, r#"{"a.b":"x"}"#, r#"there is "a.b", one name with a dot"#),
        // Conditions on an array that has what is asked for.
        (
            Native,
            r#"{"tags":"urgent"}"#,
            r#"{"tags":["new","urgent"]}"#,
            "an element equals it: $includes looks into arrays",
        ),
        (
            Native,
            r#"{"tags":["a",{"$startsWith":"ur"}]}"#,
            r#"{"tags":["new","urgent"]}"#,
            "an element satisfies it: $some looks into arrays",
        ),
        (
            TriggerDev,
            r#"{"tags":["urgent"]}"#,
            r#"{"tags":["new","urgent"]}"#,
            "an element equals it: $includes looks into arrays",
        ),
        (Native, r#"["done"]"#, r#"["done"]"#, "an element equals it: $includes looks into arrays"),
    ] {
        assert_eq!(hint(dialect, filter, event).as_deref(), Some(expected), "{filter} on {event}");
    }
    for (dialect, filter, event) in [
        (Native, r#"{"a":1}"#, r#"{"b":1}"#),
        (Native, r#"{"a":1}"#, r#"{"a":[2]}"#),
        (Native, r#"{"a":1}"#, r#"{"a":2,"A":1}"#),
        (Native, r#"{"a":{"b":1}}"#, r#"{"a":{}}"#),
        (Native, r#"{"a":{"$isNull":true}}"#, r#"{"a":[1]}"#),
        (EventBridge, r#"{"tags":["urgent"]}"#, r#"{"tags":["new"]}"#),
        (TriggerDev, r#"{"n":[{"$gt":1},{"$lt":5}]}"#, r#"{"n":[0,9]}"#),
        (Native, r#"{"a.b":1}"#, r#"{"a":{}}"#),
    ] {
        assert_eq!(hint(dialect, filter, event), None, "{filter} on {event}");
    }
}

#[test]
fn event_bridge_speaks_of_scalars_in_objects_and_arrays() {
    let options = FilterOptions::new().dialect(Dialect::EventBridge);
    let filter = options
        .parse(r#"{"a": [{"exists": false}], "b": [{"exists": true}], "c": [{"exists": true}]}"#)
        .unwrap();
    insta::assert_snapshot!(filter.explain(&json!({"a": {"x": 1}, "b": [{}]})), @r#"
    no match: 2 of 3 conditions fail
      ✗ b  is [{}]      expected a scalar
      ✗ c  is missing   expected present
      ✓ a  is {"x": 1}  expected no scalar
    "#);
}

#[test]
fn numbers_of_the_filter_are_shown_as_it_has_them() {
    let filter = r#"{"a": [1.50, 1e3, -0.0, {"$gt": 2.0, "$lt": 3.00}], "b": {"$between": [1E1, 20.50]},
        "c": {"$anythingBut": [4.0]}, "d": {"$includes": 18446744073709551617}, "e": {"$size": 2.0}}"#;
    let explanation = Filter::parse(filter).unwrap().explain_slice(br#"{"a": 9.990, "c": 4}"#).unwrap();
    let mut expected: Vec<&str> = explanation.checks().map(filter::Check::expected).collect();
    expected.sort_unstable();
    assert_eq!(
        expected,
        [
            "1.50, 1e3, -0.0 or > 2.0 and < 3.00",
            "an array of length 2.0",
            "an array that includes 18446744073709551617",
            "anything but 4.0",
            "between 1E1 and 20.50",
        ]
    );
}

/// An event takes its own bytes; what is allocated beside them is counted.
#[test]
fn an_explanation_takes_at_most_three_times_the_memory_of_the_event() {
    let ones = format!("[{}1]", "1,".repeat(10_000));
    let objects = format!("[{}{{}}]", r#"{"x":1,"y":[{"z":2}]},"#.repeat(1000));
    let wide = format!("{{{}\"z\":1}}", (0..2000).map(|n| format!(r#""k{n}":[],"#)).collect::<String>());
    let escaped = format!(r#""{}""#, r"\u00e9\n".repeat(2500));
    let nested = format!("{}{}", "[".repeat(120), "]".repeat(120));
    let filters = [
        (Dialect::Native, r#"{"a": {"x": 2, "y": {"z": {"$gt": {"$ref": "/b"}}}}, "A": "é", "a.b": 1}"#),
        (Dialect::Native, r#"{"a": [{"$some": {"x": 2}}, {"$size": 3}, "x", {"$ignoreCaseEquals": "x"}]}"#),
        (
            Dialect::Native,
            r#"{"$nor": [{"a": {"$every": [1, {"$exists": true}]}}], "$or": [{"b": 1}, {"a": {"k7": 1}}]}"#,
        ),
        (Dialect::Native, r#"{"$some": {"a": 1}}"#),
        (Dialect::EventBridge, r#"{"a": {"x": [2], "y": {"z": [{"exists": false}]}}, "A": ["x"]}"#),
        (Dialect::TriggerDev, r#"{"a": [{"$includes": 2}], "b": {"c": ["x"]}}"#),
    ];
    for (dialect, filter) in filters {
        let filter = FilterOptions::new().dialect(dialect).parse(filter).unwrap();
        for value in [&ones, &objects, &wide, &escaped, &nested] {
            for event in [format!(r#"{{"a":{value},"b":1}}"#), value.clone()] {
                let mut explanation = None;
                let counted = allocation_counter::measure(|| {
                    explanation = Some(filter.explain_slice(event.as_bytes()).unwrap());
                });
                // Explanations, caches of the thread and the like take no more for a large event than for a small one.
                let most = 2 * event.len() as u64 + (8 << 10);
                assert!(
                    counted.bytes_max < most,
                    "{} bytes beside {}: {filter}",
                    counted.bytes_max,
                    event.len()
                );
                assert!(explanation.is_some_and(|explanation| explanation.to_string().len() < 10_000));
            }
        }
    }
}

/// An error at the end of an event is found without a tree of what is before it.
#[test]
fn an_error_takes_no_memory_in_proportion_to_the_event() {
    let filter = Filter::parse(r#"{"a": "x"}"#).unwrap();
    for part in ["1,", r#"{"x":1,"y":[{"z":2}]},"#, "[[[],[0]]],", r#"{"longer than others":"text"},"#] {
        let event = format!(r#"{{"a":[{}1]"#, part.repeat(10_000));
        let mut error = None;
        let counted = allocation_counter::measure(|| error = filter.matches_slice(event.as_bytes()).err());
        assert!(counted.bytes_max < 8 << 10, "{} bytes beside {}: {part}", counted.bytes_max, event.len());
        assert!(error.is_some_and(|error| error.to_string().contains("`,` or `}`")));
    }
}

#[test]
fn references_show_both_values() {
    let filter =
        Filter::parse(r#"{"ready": {"$gte": {"$ref": "/spec/replicas"}}, "a": {"$eq": {"$ref": "/b"}}}"#)
            .unwrap();
    insta::assert_snapshot!(filter.explain_slice(br#"{"ready": 2.0, "spec": {"replicas": 3.0}, "a": 1}"#).unwrap(), @"
    no match: 2 of 2 conditions fail
      ✗ ready  is 2.0  expected >= 3.0, the value of /spec/replicas
      ✗ a      is 1    expected the value of /b, which is missing
    ");
}
