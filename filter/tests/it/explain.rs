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
