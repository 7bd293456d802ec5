//! Hostile input: nothing panics, overflows the stack, or takes long.

use filter::json::Node;
use filter::{Dialect, Filter, FilterOptions, Limits};
use serde_json::{Value, json};

const DEEP: usize = 100_000;

fn nested_array(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

fn nested_object(depth: usize) -> String {
    format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth))
}

/// A value deeper than any parser would build. The `json!` macro would copy its parts by recursion.
fn deep_value(depth: usize, wrap: impl Fn(usize, Value) -> Value) -> Value {
    (0..depth).fold(json!(1), |inner, level| wrap(level, inner))
}

fn in_array(inner: Value) -> Value {
    Value::Array(vec![inner])
}

fn in_object(inner: Value) -> Value {
    Value::Object([("a".to_owned(), inner)].into_iter().collect())
}

/// Drops such a value without overflowing the stack, which serde_json's own drop would do.
fn drop_deep(value: Value) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(map) => open.extend(map.into_iter().map(|(_, value)| value)),
            _ => {}
        }
    }
}

fn with_deep_value(test: impl FnOnce(&Value)) {
    let value =
        deep_value(DEEP, |level, inner| if level % 2 == 0 { in_array(inner) } else { in_object(inner) });
    test(&value);
    drop_deep(value);
}

fn every_dialect() -> impl Iterator<Item = FilterOptions> {
    Dialect::ALL.into_iter().map(|dialect| FilterOptions::new().dialect(dialect))
}

#[test]
fn deep_filters_are_refused() {
    for options in every_dialect() {
        for text in [nested_array(DEEP), nested_object(DEEP), "[".repeat(DEEP), "{\"a\":".repeat(DEEP)] {
            let error = options.parse(&text).unwrap_err();
            assert!(error.diagnostics()[0].message().contains("127 levels"), "{error}");
        }
    }
    with_deep_value(|value| {
        assert!(Filter::try_from(value).is_err());
        // A value as from a deserializer without a recursion limit.
        let error = serde::Deserialize::deserialize(value).map(|_: Filter| ()).unwrap_err();
        let error: serde_json::Error = error;
        assert!(error.to_string().contains("levels deep"), "{error}");
    });
}

#[test]
fn the_greatest_depth_fits_a_small_stack() {
    let deepest = std::thread::Builder::new().stack_size(1 << 20).spawn(|| {
        let limits = Limits::new().with_depth(usize::MAX);
        assert_eq!(limits.depth(), Limits::MAX_DEPTH);
        for options in every_dialect() {
            let options = options.limits(limits.clone());
            let inner = "{\"a\":".repeat(Limits::MAX_DEPTH - 1);
            let text = format!("{inner}[1]{}", "}".repeat(Limits::MAX_DEPTH - 1));
            let filter = options.parse(&text).unwrap();
            let event = text.replace("[1]", "1");
            assert_eq!(filter.matches_slice(event.as_bytes()), Ok(true));
            let event = filter.to_value();
            assert!(!filter.explain(&event).to_string().is_empty());
            drop((filter.clone(), Node::from(&event)));
        }
        let some = format!("{{\"a\":{}1]{}", "{\"$all\":[".repeat(127), "}]".repeat(126) + "}}");
        let filter = FilterOptions::new().limits(limits).parse(&some).unwrap();
        assert!(filter.matches(&json!({"a": 1})));
        assert!(!filter.explain(&json!({"a": 2})).to_string().is_empty());
    });
    deepest.unwrap().join().unwrap();
}

#[test]
fn deep_events_are_refused_as_bytes_and_harmless_as_values() {
    let filters = [
        FilterOptions::new()
            .parse(r#"{"a": {"a": [{"$some": {"$size": 1}}, {"$not": 1}, {"$anythingBut": 1}]}}"#),
        FilterOptions::new().dialect(Dialect::TriggerDev).parse(r#"{"a": {"a": [{"$includes": 1}]}}"#),
        FilterOptions::new().dialect(Dialect::EventBridge).parse(r#"{"a": {"a": [1, {"exists": true}]}}"#),
    ];
    for filter in filters {
        let filter = filter.unwrap();
        for text in [nested_array(DEEP), nested_object(DEEP), "[".repeat(DEEP)] {
            assert!(filter.matches_slice(text.as_bytes()).is_err());
        }
        with_deep_value(|value| {
            let matched = filter.matches(value);
            assert_eq!(filter.explain(value).matched(), matched);
            assert!(filter.explain(value).to_string().len() < 10_000);
        });
    }
}

#[test]
fn arrays_nested_in_arrays_are_walked_without_recursion() {
    let filter = FilterOptions::new().dialect(Dialect::EventBridge).parse(r#"{"a": [1]}"#).unwrap();
    let event = in_object(deep_value(DEEP, |_, inner| in_array(inner)));
    assert!(filter.matches(&event));
    drop_deep(event);
}

#[test]
fn large_strings() {
    let large = "x".repeat(10 << 20);
    let error = Filter::parse(&format!("{{\"a\": \"{large}\"}}")).unwrap_err();
    assert!(error.to_string().contains("expected at most 1048576"), "{error}");
    assert!(error.to_string().len() < 1000);
    assert!(Filter::try_from(&json!({"a": large})).is_err());
    let raised = FilterOptions::new().limits(Limits::new().with_text_bytes(usize::MAX));
    let filter = raised.parse(&format!("{{\"a\": \"{large}\"}}")).unwrap();
    let event = json!({ "a": large });
    assert!(filter.matches(&event));
    for node in [
        json!({"$contains": "xy"}),
        json!({"$wildcard": "*x*x*x*x*y"}),
        json!({"$regex": "(x+x+)+y"}),
        json!({"$ignoreCaseEquals": "X"}),
        json!({"$cidr": "10.0.0.0/8"}),
        json!({"$endsWith": "y"}),
    ] {
        let filter = Filter::try_from(&json!({ "a": node })).unwrap();
        assert!(!filter.matches(&event), "{node}");
        let explanation = filter.explain(&event).to_string();
        assert!(explanation.len() < 1000, "{explanation}");
    }
}

#[test]
fn messages_shorten_long_names_and_keys() {
    let long = "k".repeat(100_000);
    for text in [
        format!("{{\"${long}\": 1}}"),
        format!("{{\"a\": {{\"${long}\": 1}}}}"),
        format!("{{\"a\": {long}}}"),
        format!("{{\"a\": [{{\"{long}\": 1}}]}}"),
        format!("{{\"a\": {{\"$gt\": \"{long}\"}}}}"),
    ] {
        let error = Filter::parse(&text).unwrap_err();
        let diagnostic = &error.diagnostics()[0];
        assert!(diagnostic.message().len() + diagnostic.help().map_or(0, str::len) < 1000, "{diagnostic}");
    }
}

#[test]
fn huge_numbers() {
    for number in ["1e400", "-1e400", "1e99999999999", &"9".repeat(400)] {
        assert!(Filter::parse(&format!("{{\"a\": {number}}}")).is_err(), "{number}");
        let any = Filter::parse("{}").unwrap();
        assert!(any.matches_slice(number.as_bytes()).is_err(), "{number}");
    }
    let long = format!("0.{}1", "0".repeat(100_000));
    assert!(Filter::parse(&format!("{{\"a\": {long}}}")).unwrap().matches(&json!({"a": 0})));
}

#[test]
fn surrogates_nul_and_control_characters() {
    assert!(Filter::parse(r#"{"a": "\ud800"}"#).is_err());
    assert!(Filter::parse(r#"{"\udfff": 1}"#).is_err());
    let filter = Filter::parse(r#"{"a\u0000b": "\u0000"}"#).unwrap();
    assert!(filter.matches(&json!({"a\0b": "\0"})));
    assert!(!filter.matches(&json!({"a\0b": ""})));
    let text = filter.explain(&json!({"a\0b": "\u{202e}\u{7}"})).to_string();
    assert!(!text.contains(['\0', '\u{7}', '\u{202e}']), "{text:?}");
}

#[test]
fn many_errors_and_many_duplicates_take_linear_time() {
    let literals = vec!["\"x\""; 100_000].join(",");
    let filter = Filter::parse(&format!("{{\"a\": [{literals}]}}")).unwrap();
    assert_eq!(filter.warnings().len(), 101);
    assert_eq!(filter.warnings()[100].message(), "99899 more warnings like these, not listed");
    let bad = vec!["[]"; 100_000].join(",");
    let error = Filter::parse(&format!("{{\"a\": [{bad}]}}")).unwrap_err();
    assert_eq!(error.diagnostics().len(), 101);
    assert_eq!(error.diagnostics()[99].pointer(), "/a/99");
    assert_eq!(error.diagnostics()[100].message(), "99900 more errors like these, not listed");
    assert_eq!(error.diagnostics()[100].code(), filter::Code::More);
    let keys: Vec<String> = (0..50_000).map(|_| "\"k\": 1".to_owned()).collect();
    assert!(Filter::parse(&format!("{{{}}}", keys.join(","))).is_err());
}

#[test]
fn many_regexes_share_one_budget() {
    let regexes: Vec<String> = (0..20_000).map(|n| format!("{{\"$regex\": \"\\\\w{{20}}{n}\"}}")).collect();
    let error = Filter::parse(&format!("{{\"a\": [{}]}}", regexes.join(","))).unwrap_err();
    assert!(error.to_string().contains("memory"), "{}", error.diagnostics()[0]);
    assert_eq!(error.diagnostics().len(), 1);
}

#[test]
fn regexes_beyond_the_budget_are_only_checked_for_syntax() {
    let mut regexes = vec![r#"{"$regex": "\\w{1000}{1000}"}"#; 1000];
    regexes.push(r#"{"$regex": "("}"#);
    let error = Filter::parse(&format!("{{\"a\": [{}]}}", regexes.join(","))).unwrap_err();
    let messages: Vec<&str> = error.diagnostics().iter().map(filter::Diagnostic::message).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("memory") && messages[1].contains("unclosed group"), "{messages:?}");
}

#[test]
fn wide_arrays_of_objects_take_linear_time() {
    let elements: Vec<Value> = (0..20_000).map(|n| json!({"x": n, "y": {"z": [n, {"w": n}]}})).collect();
    let event = json!({ "a": elements });
    let patterns = [
        (Dialect::Native, r#"{"a": {"x": -1, "y": {"z": {"w": -1}}}}"#),
        (Dialect::EventBridge, r#"{"a": {"x": [-1], "y": {"z": {"w": [-1]}}}}"#),
    ];
    for (dialect, text) in patterns {
        let filter = FilterOptions::new().dialect(dialect).parse(text).unwrap();
        assert!(!filter.matches(&event));
        assert!(filter.explain(&event).to_string().len() < 2000);
    }
}

#[test]
fn runs_of_combining_marks_take_linear_time() {
    // A letter that begins contractions, followed by marks that collation searches.
    let hostile = format!("\u{fb2}{}", "\u{f71}\u{301}\u{327}\u{323}".repeat(25_000));
    let filter = Filter::try_from(&json!({"a": {"$ignoreCaseEquals": hostile}})).unwrap();
    assert!(filter.matches(&json!({ "a": hostile })));
    assert!(!filter.matches(&json!({"a": format!("{hostile}x")})));
    let short = format!("\u{fb2}{}", "\u{f71}\u{301}\u{327}\u{323}".repeat(30));
    let many = short.repeat(100);
    let filter = Filter::try_from(&json!({"a": {"$ignoreCaseEquals": many}})).unwrap();
    assert!(!filter.matches(&json!({"a": format!("{many}x")})));
}
