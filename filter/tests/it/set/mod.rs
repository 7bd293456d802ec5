//! Sets give the same results as their filters evaluated one by one.

mod changing;
mod large;
mod stats;

use filter::{Dialect, Filter, FilterOptions, FilterSet, Matches};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::generate;

fn any_filter() -> BoxedStrategy<Filter> {
    let compile = |dialect: Dialect| {
        move |filter: Value| FilterOptions::new().dialect(dialect).parse(&filter.to_string()).unwrap()
    };
    prop_oneof![
        3 => generate::native::filter().prop_map(compile(Dialect::Native)),
        1 => generate::trigger_dev::filter().prop_map(compile(Dialect::TriggerDev)),
        3 => generate::event_bridge::pattern().prop_map(compile(Dialect::EventBridge)),
    ]
    .boxed()
}

/// The result of a set, which must be the same through all of its methods.
fn answer(set: &FilterSet<usize>, event: &Value) -> Vec<usize> {
    let text = event.to_string();
    let of_value: Vec<usize> = set.matches(event).into_iter().copied().collect();
    let of_bytes: Vec<usize> = set.matches_slice(text.as_bytes()).unwrap().into_iter().copied().collect();
    let of_valid: Vec<usize> = set.matches_valid_slice(text.as_bytes()).into_iter().copied().collect();
    assert_eq!(of_bytes, of_value, "bytes: {text}");
    assert_eq!(of_valid, of_value, "known to be valid: {text}");
    // In a batch, the other events must not affect the result.
    let events = ["{}", &text, "[]", "{", r#"{"a":"x","b":[{"c":1}]}"#].map(str::as_bytes);
    let alone = |event: &[u8]| set.matches_slice(event).ok().map(|ids| ids.into_iter().copied().collect());
    let mut of_many: Vec<Option<Vec<usize>>> = Vec::new();
    set.matches_slices(events, |found| {
        of_many.push(found.ok().map(|matches| matches.ids(set).copied().collect()));
    });
    assert_eq!(of_many, events.map(alone), "in a batch: {text}");
    let valid = [&text, "[]", &text].map(str::as_bytes);
    let mut of_many: Vec<Option<Vec<usize>>> = Vec::new();
    set.matches_valid_slices(valid, |matches| of_many.push(Some(matches.ids(set).copied().collect())));
    assert_eq!(of_many, valid.map(alone), "known to be valid, in a batch: {text}");
    of_value
}

fn expected(filters: &[(usize, Filter)], event: &Value) -> Vec<usize> {
    filters.iter().filter(|(_, filter)| filter.matches(event)).map(|&(id, _)| id).collect()
}

proptest! {
    // A case evaluates some thirty filters in several ways.
    #![proptest_config(generate::config_of(8))]

    #[test]
    fn a_set_matches_as_its_filters_do(
        filters in vec(any_filter(), 0..40),
        events in vec(generate::event(), 1..6),
    ) {
        let filters: Vec<(usize, Filter)> = filters.into_iter().enumerate().collect();
        let mut builder = FilterSet::builder();
        builder.extend(filters.iter().cloned());
        let set = builder.build();
        for event in &events {
            prop_assert_eq!(answer(&set, event), expected(&filters, event), "{}", event);
        }
    }

    #[test]
    fn a_changed_set_matches_as_a_new_one(
        steps in vec((0..30_usize, any_filter(), any::<bool>()), 0..60),
        events in vec(generate::event(), 1..4),
    ) {
        let mut set = FilterSet::new();
        let mut filters: Vec<(usize, Filter)> = Vec::new();
        let mut before = None;
        for (id, filter, insert) in steps {
            let place = filters.iter().position(|(other, _)| *other == id);
            match (insert, place) {
                (true, Some(place)) => {
                    prop_assert!(!set.insert(id, filter.clone()));
                    filters[place].1 = filter;
                }
                (true, None) => {
                    prop_assert!(set.insert(id, filter.clone()));
                    filters.push((id, filter));
                }
                (false, place) => {
                    prop_assert_eq!(set.remove(&id), place.is_some());
                    place.map(|place| filters.remove(place));
                }
            }
            if before.is_none() && filters.len() == 8 {
                before = Some((set.clone(), filters.clone()));
            }
        }
        prop_assert_eq!(set.len(), filters.len());
        prop_assert!(set.ids().eq(filters.iter().map(|(id, _)| id)));
        for event in &events {
            prop_assert_eq!(answer(&set, event), expected(&filters, event), "{}", event);
            if let Some((set, filters)) = &before {
                prop_assert_eq!(answer(set, event), expected(filters, event), "the copy: {}", event);
            }
        }
        // An empty set keeps nothing of removed filters.
        for (id, _) in &filters {
            prop_assert!(set.remove(id));
        }
        let stats = set.stats();
        prop_assert_eq!((stats.filters, stats.unindexed, stats.fields), (0, 0, 0));
        prop_assert!(stats.indexes.is_empty(), "{:?}", stats.indexes);
    }
}

#[test]
fn the_last_of_duplicate_keys_counts() {
    let mut set = FilterSet::new();
    set.insert(1, Filter::parse(r#"{"a": 1}"#).unwrap());
    set.insert(2, Filter::parse(r#"{"a": {"b": 1}}"#).unwrap());
    set.insert(3, Filter::parse(r#"{"a": {"b": 2}}"#).unwrap());
    let mut matches = Matches::new();
    for (event, expected) in [
        (r#"{"a":1,"a":{"b":1}}"#, vec![2]),
        (r#"{"a":{"b":1},"a":1}"#, vec![1]),
        (r#"{"a":{"b":1},"a":{"b":1,"b":2}}"#, vec![3]),
        (r#"{"a":[{"b":1}],"a":[{"b":2},{"b":1}]}"#, vec![2, 3]),
        (r#"{"a":{"b":1},"a":[{"b":2}]}"#, vec![3]),
        (r#"{"a":[{"b":1}],"a":{"b":2}}"#, vec![3]),
        (r#"{"a":{"b":1},"a":{"c":1}}"#, vec![]),
        (r#"{"\u0061":{"\u0062":1}}"#, vec![2]),
    ] {
        set.matches_slice_into(event.as_bytes(), &mut matches).unwrap();
        assert!(matches.ids(&set).eq(&expected), "{event}");
        set.matches_slices([event.as_bytes()], |found| {
            assert!(found.unwrap().ids(&set).eq(&expected), "{event}, in a batch");
        });
    }
}

#[test]
fn hostile_events_neither_overflow_the_stack_nor_take_long() {
    let mut set = FilterSet::new();
    set.insert(1, Filter::parse(r#"{"a": {"b": {"c": 1}}, "d": {"$contains": "aaaa"}}"#).unwrap());
    let deep = FilterOptions::new().dialect(Dialect::EventBridge);
    set.insert(2, deep.parse(r#"{"a": {"b": ["x"], "c": [{"anything-but": "y"}]}}"#).unwrap());
    for id in 3..40 {
        set.insert(id, deep.parse(&format!(r#"{{"a": {{"b": ["v{id}", "same"]}}}}"#)).unwrap());
    }
    let nested = |open: &str, close: &str, depth: usize| {
        format!(r#"{{"a":{}1{}}}"#, open.repeat(depth), close.repeat(depth))
    };
    for depth in [120, 126, 127, 1000, 200_000] {
        for (open, close) in [("[", "]"), (r#"{"b":"#, "}"), (r#"[{"b":"#, "}]")] {
            let event = nested(open, close, depth);
            let checked = set.matches_slice(event.as_bytes());
            assert_eq!(checked.is_ok(), serde_json::from_str::<Value>(&event).is_ok(), "{open} {depth}");
            let _ = set.matches_valid_slice(event.as_bytes());
            let _ = set.matches_valid_slice(&event.as_bytes()[..event.len() / 2]);
        }
    }
    // Repeated values are evaluated once.
    let same = vec![json!({"b": "same", "c": "z"}); 20_000];
    let scalars = vec![json!("same"); 20_000];
    let event = json!({"a": same, "d": "a".repeat(100_000), "b": scalars});
    assert_eq!(set.matches(&event).len(), 37);
    assert_eq!(set.matches_slice(event.to_string().as_bytes()).unwrap().len(), 37);
    assert_eq!(set.matches(&json!({"a": {"b": vec![json!("same"); 20_000]}})).len(), 37);
}
