//! Conversions from and to other types: strings, values, serde.

use std::error::Error as _;

use filter::{Dialect, Filter, FilterError, FilterOptions, JsonError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const TEXT: &str = r#"{"b": {"$gt": 1}, "a": ["x", null]}"#;

fn is_shareable<T: Send + Sync + Clone + 'static>(_: &T) {}

#[test]
fn all_conversions_give_the_same_filter() {
    let parsed = Filter::parse(TEXT).unwrap();
    let value: Value = serde_json::from_str(TEXT).unwrap();
    assert_eq!(TEXT.parse::<Filter>().unwrap(), parsed);
    assert_eq!(Filter::try_from(&value).unwrap(), parsed);
    assert_eq!(serde_json::from_str::<Filter>(TEXT).unwrap(), parsed);
    assert_eq!(serde_json::from_value::<Filter>(value).unwrap(), parsed);
    assert_ne!(Filter::parse(r#"{"b": {"$gt": 1}}"#).unwrap(), parsed);
    let other_dialect = FilterOptions::new().dialect(Dialect::TriggerDev);
    let same_text = r#"{"a": ["x"]}"#;
    assert_ne!(other_dialect.parse(same_text).unwrap(), Filter::parse(same_text).unwrap());
    is_shareable(&parsed);
}

#[test]
fn all_outputs_give_the_source() {
    let filter = Filter::parse(TEXT).unwrap();
    let value: Value = serde_json::from_str(TEXT).unwrap();
    assert_eq!(filter.to_value(), value);
    assert_eq!(serde_json::to_value(&filter).unwrap(), value);
    assert_eq!(
        filter.to_string(),
        r#"{"b":{"$gt":1},"a":["x",null]}"#,
        "in the order in which it was written"
    );
    assert!(format!("{filter:?}").contains("Native"));
}

#[test]
fn a_filter_may_be_part_of_a_configuration() {
    #[derive(Deserialize, Serialize)]
    struct Route {
        to: String,
        when: Filter,
    }
    let text = r#"{"to":"billing","when":{"type":"invoice"}}"#;
    let route: Route = serde_json::from_str(text).unwrap();
    assert!(route.when.matches(&json!({"type": "invoice"})));
    assert_eq!(serde_json::to_string(&route).unwrap(), text);
    let error = serde_json::from_str::<Route>(r#"{"to":"x","when":{"a":[],"b":{"$gt":"1"}}}"#).err().unwrap();
    let message = error.to_string();
    assert!(message.contains("/a: an empty array") && message.contains("/b/$gt: "), "{message}");
    // serde reports a duplicate key as well.
    assert!(serde_json::from_str::<Filter>(r#"{"a": 1, "a": 2}"#).is_err());
    assert!(serde_json::from_str::<Filter>(r#"{"a": 1e999}"#).is_err());
}

#[test]
fn errors_have_sources() {
    let not_json = Filter::parse("{").unwrap_err();
    assert!(not_json.source().unwrap().downcast_ref::<JsonError>().is_some());
    let no_filter: FilterError = Filter::parse(r#"{"a": []}"#).unwrap_err();
    assert!(no_filter.source().is_none());
    is_shareable(&no_filter);
}

#[test]
fn diagnostics_are_data() {
    let error = Filter::parse(r#"{"a": {"$gtt": 1}}"#).unwrap_err();
    assert_eq!(
        serde_json::to_value(error.diagnostics()).unwrap(),
        json!([{
            "severity": "error",
            "code": "unknown-operator",
            "pointer": "/a/$gtt",
            "span": {"start": 7, "end": 13},
            "message": "unknown operator \"$gtt\"",
            "help": "did you mean \"$gt\"?",
        }])
    );
    let warned = Filter::parse(r#"{"a": ["x", "x"]}"#).unwrap();
    let warning = serde_json::to_value(warned.warnings()).unwrap();
    assert_eq!(warning[0]["code"], "duplicate-condition");
    assert_eq!(warning[0]["pointer"], "/a/1");
}

#[test]
fn diagnostics_of_an_embedded_filter_have_the_documents_pointers() {
    let text = r#"{"response": {"body": {"status": []}}}"#;
    let document = filter::json::parse(text, &filter::Limits::new()).unwrap();
    let body = document.get("response").unwrap().get("body").unwrap();
    let error = FilterOptions::new().compile_at(body, "/response/body").unwrap_err();
    let diagnostic = &error.diagnostics()[0];
    assert_eq!(diagnostic.pointer(), "/response/body/status");
    assert_eq!(&text[std::ops::Range::from(diagnostic.span().unwrap())], "[]");
}

#[test]
fn large_lists_of_literals_are_explained_in_short() {
    let names: Vec<String> = (0..10_000).map(|n| format!("name-{n}")).collect();
    let filter = Filter::try_from(&json!({ "a": names })).unwrap();
    assert!(filter.matches(&json!({"a": "name-9999"})));
    assert!(!filter.matches(&json!({"a": "name-10000"})));
    assert!(filter.explain(&json!({"a": "x"})).to_string().len() < 400);
}
