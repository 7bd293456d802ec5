//! Help lines are advice that works: each suggested filter is quoted in the help, compiles, and has the intended meaning.

use filter::{Dialect, FilterOptions};
use serde_json::{Value, json};

/// A filter with a mistake, the suggested part, the filter with the suggestion, events that it matches and does not.
type Case = (Dialect, &'static str, &'static str, &'static str, Vec<Value>, Vec<Value>);

fn cases() -> Vec<Case> {
    use Dialect::{EventBridge, Native, TriggerDev};
    vec![
        (
            EventBridge,
            r#"{"source": {"prefix": "aws"}}"#,
            r#"[{"prefix":"aws"}]"#,
            r#"{"source": [{"prefix": "aws"}]}"#,
            vec![json!({"source": "aws.ec2"})],
            vec![json!({"source": "gcp"}), json!({})],
        ),
        (
            EventBridge,
            r#"{"source": "aws"}"#,
            r#"["aws"]"#,
            r#"{"source": ["aws"]}"#,
            vec![json!({"source": "aws"})],
            vec![json!({"source": "x"})],
        ),
        (
            EventBridge,
            r#"{"n": [{"numeric": [">", 7]}, {"numeric": ["<=", 9.5]}]}"#,
            r#"{"numeric":[">",7,"<=",9.5]}"#,
            r#"{"n": [{"numeric": [">", 7, "<=", 9.5]}]}"#,
            vec![json!({"n": 9.5}), json!({"n": 8})],
            vec![json!({"n": 7}), json!({"n": 10})],
        ),
        (
            TriggerDev,
            r#"{"n": {"$gt": 1}}"#,
            r#"[{"$gt":1}]"#,
            r#"{"n": [{"$gt": 1}]}"#,
            vec![json!({"n": 2})],
            vec![json!({"n": 1})],
        ),
        (
            Native,
            r#"{"a": {"$ne": null}}"#,
            r#"{"$exists":true,"$isNull":false}"#,
            r#"{"a": {"$exists": true, "$isNull": false}}"#,
            vec![json!({"a": 1}), json!({"a": {}})],
            vec![json!({"a": null}), json!({})],
        ),
        (
            Native,
            r#"{"a": {"$nin": [null]}}"#,
            r#"{"$exists":true,"$isNull":false}"#,
            r#"{"a": {"$exists": true, "$isNull": false}}"#,
            vec![json!({"a": "x"})],
            vec![json!({"a": null}), json!({})],
        ),
        (
            Native,
            r#"{"n": [{"$gte": 3}, {"$lt": 8}]}"#,
            r#"{"$gte":3,"$lt":8}"#,
            r#"{"n": {"$gte": 3, "$lt": 8}}"#,
            vec![json!({"n": 3}), json!({"n": 7.5})],
            vec![json!({"n": 8}), json!({"n": 2})],
        ),
        (
            Native,
            r#"{"n": {"$between": [9, 4]}}"#,
            "[4,9]",
            r#"{"n": {"$between": [4, 9]}}"#,
            vec![json!({"n": 4})],
            vec![json!({"n": 3})],
        ),
        (
            Native,
            r#"{"tags": {"$some": "x"}}"#,
            r#"{"$some":["x"]}"#,
            r#"{"tags": {"$some": ["x"]}}"#,
            vec![json!({"tags": ["y", "x"]})],
            vec![json!({"tags": []})],
        ),
    ]
}

#[test]
fn suggestions_compile_and_mean_what_was_intended() {
    for (dialect, mistaken, suggested, corrected, matching, other) in cases() {
        let options = FilterOptions::new().dialect(dialect);
        let diagnostics = match options.parse(mistaken) {
            Ok(filter) => filter.warnings().to_vec(),
            Err(error) => error.diagnostics().to_vec(),
        };
        let help: String = diagnostics.iter().filter_map(filter::Diagnostic::help).collect();
        let compact = |text: &str| text.replace(' ', "");
        assert!(compact(&help).contains(suggested), "{mistaken}: {help}");
        assert!(compact(corrected).contains(suggested), "{corrected}");
        let filter = options.parse(corrected).unwrap_or_else(|error| panic!("{corrected}: {error}"));
        assert!(filter.warnings().is_empty(), "{corrected}: {:?}", filter.warnings());
        matching.iter().for_each(|event| assert!(filter.matches(event), "{corrected} on {event}"));
        other.iter().for_each(|event| assert!(!filter.matches(event), "{corrected} on {event}"));
    }
}

#[test]
fn shortened_values_are_not_suggested() {
    let long = "x".repeat(200);
    for (dialect, filter) in [
        (Dialect::EventBridge, json!({ "a": long })),
        (Dialect::TriggerDev, json!({ "a": long })),
        (Dialect::Native, json!({"a": {"$some": long}})),
    ] {
        let error = FilterOptions::new().dialect(dialect).from_value(&filter).unwrap_err();
        let help = error.diagnostics()[0].help().unwrap();
        assert!(!help.contains('…') && help.contains("in an array"), "{dialect}: {help}");
    }
}
