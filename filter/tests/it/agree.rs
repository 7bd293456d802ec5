//! Every engine against the oracle, in every dialect.

use filter::{Dialect, Document, Filter, FilterOptions};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use crate::{generate, oracle};

fn compile(dialect: Dialect, filter: &Value) -> Filter {
    let text = filter.to_string();
    FilterOptions::new().dialect(dialect).parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Whether all conditions of an explanation hold. Their results are combined by the explanation, not by the evaluator.
fn entries_hold(explanation: &filter::Explanation) -> bool {
    let shown = serde_json::to_value(explanation).unwrap();
    shown["conditions"].as_array().unwrap().iter().all(|entry| entry["held"] == true)
}

/// The answer of every engine; they must be equal.
fn answer(filter: &Filter, event: &Value) -> bool {
    let matched = filter.matches(event);
    let text = event.to_string();
    assert_eq!(filter.matches_slice(text.as_bytes()), Ok(matched), "bytes: {filter} on {text}");
    assert_eq!(filter.matches_valid_slice(text.as_bytes()), matched, "valid bytes: {filter} on {text}");
    if let Some(members) = event.as_object() {
        // Members with many bytes behind them are read another way.
        let comma = if members.is_empty() { "" } else { "," };
        let long = format!(r#"{}{comma}"no filter's":"{}"}}"#, &text[..text.len() - 1], "x".repeat(64));
        assert_eq!(filter.matches_slice(long.as_bytes()), Ok(matched), "bytes: {filter} on {long}");
        assert_eq!(filter.matches_valid_slice(long.as_bytes()), matched, "valid bytes: {filter} on {long}");
    }
    let explanation = filter.explain(event);
    assert_eq!(explanation.matched(), matched, "explain: {filter} on {text}");
    assert_eq!(explanation.summary().is_none(), matched, "summary: {filter} on {text}\n{explanation}");
    assert_eq!(entries_hold(&explanation), matched, "entries: {filter} on {text}\n{explanation}");
    let document = Document::from_slice(text.as_bytes()).unwrap();
    assert_eq!(filter.matches_document(&document), matched, "document: {filter} on {text}");
    let explanation = filter.explain_document(&document);
    assert_eq!(explanation.matched(), matched, "explain document: {filter} on {text}");
    assert_eq!(
        entries_hold(&explanation),
        matched,
        "entries of a document: {filter} on {text}\n{explanation}"
    );
    assert_eq!(document.value(), event);
    matched
}

proptest! {
    #![proptest_config(generate::config())]

    #[test]
    fn native(filter in generate::native::filter(), event in generate::event()) {
        let compiled = compile(Dialect::Native, &filter);
        prop_assert_eq!(answer(&compiled, &event), oracle::native::filter(&filter, &event), "{}", compiled);
    }

    #[test]
    fn trigger_dev(filter in generate::trigger_dev::filter(), event in generate::event()) {
        let compiled = compile(Dialect::TriggerDev, &filter);
        prop_assert_eq!(answer(&compiled, &event), oracle::trigger_dev::filter(&filter, &event), "{}", compiled);
    }

    #[test]
    fn event_bridge(pattern in generate::event_bridge::pattern(), event in generate::event()) {
        let compiled = compile(Dialect::EventBridge, &pattern);
        prop_assert_eq!(answer(&compiled, &event), oracle::event_bridge::pattern(&pattern, &event), "{}", compiled);
    }

    #[test]
    fn displayed_filters_parse_to_equal_filters(filter in generate::native::filter()) {
        let compiled = compile(Dialect::Native, &filter);
        prop_assert_eq!(&compiled.to_value(), &filter);
        prop_assert_eq!(&Filter::try_from(&compiled.to_value()).unwrap(), &compiled);
        prop_assert_eq!(&compiled.to_string().parse::<Filter>().unwrap(), &compiled);
    }
}

/// The properties prove little for pairs that never match.
#[test]
fn many_generated_pairs_match() {
    let mut runner = TestRunner::deterministic();
    let mut share = |dialect: Dialect, filters: BoxedStrategy<Value>| {
        let pairs = 500;
        let matched = (0..pairs).filter(|_| {
            let filter = filters.new_tree(&mut runner).unwrap().current();
            let event = generate::event().new_tree(&mut runner).unwrap().current();
            compile(dialect, &filter).matches(&event)
        });
        matched.count() * 100 / pairs
    };
    for (dialect, filters) in [
        (Dialect::Native, generate::native::filter()),
        (Dialect::TriggerDev, generate::trigger_dev::filter()),
        (Dialect::EventBridge, generate::event_bridge::pattern()),
    ] {
        let percent = share(dialect, filters);
        assert!((10..=90).contains(&percent), "{dialect}: {percent} % match");
    }
}
