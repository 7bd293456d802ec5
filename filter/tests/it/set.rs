//! Sets give the same results as their filters evaluated one by one.

use filter::{Dialect, Filter, FilterOptions, FilterSet, LiveSet, Matches};
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
fn readers_keep_the_set_that_they_loaded() {
    let live = LiveSet::from(FilterSet::new());
    let event = json!({"a": 1});
    let loaded = live.load();
    std::thread::scope(|scope| {
        for id in 0..4 {
            let live = &live;
            scope.spawn(move || {
                for _ in 0..50 {
                    live.update(|set| set.insert(id, Filter::parse(r#"{"a": 1}"#).unwrap()));
                    assert!(live.load().matches(&json!({"a": 1})).contains(&&id));
                    live.update(|set| set.remove(&id));
                    live.update(|set| set.insert(id, Filter::parse(r#"{"a": 1}"#).unwrap()));
                }
            });
        }
    });
    assert!(loaded.matches(&event).is_empty());
    assert_eq!(live.load().matches(&event).len(), 4);
}

#[test]
fn a_change_that_panics_changes_nothing() {
    let live = LiveSet::from(FilterSet::new());
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        live.update(|set| {
            set.insert(1, Filter::parse("{}").unwrap());
            panic!("on purpose");
        })
    }));
    assert!(result.is_err());
    assert!(live.load().is_empty());
    assert!(live.update(|set| set.insert(2, Filter::parse("{}").unwrap())));
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
fn a_filter_is_unindexed_if_no_condition_requires_a_field() {
    let indexed = [
        r#"{"a": 1}"#,
        r#"{"a": [{"$startsWith": "x"}, {"$endsWith": "y"}]}"#,
        r#"{"a": {"$anythingBut": ["x"]}, "b": {"$gt": 1}}"#,
        r#"{"a": {"b": {"$exists": false}}}"#,
        r#"{"$or": [{"a": 1}, {"b": {"$regex": "x"}}]}"#,
        r#"{"a": {"$includes": 1}}"#,
        r#"{"a": {"$cidr": "10.0.0.0/8"}}"#,
        r#"{"a": {"$ignoreCaseEquals": "x"}}"#,
        r#"{"a": {"$size": 2}}"#,
    ];
    let unindexed = [
        "{}",
        r#"{"a": {"$exists": false}}"#,
        r#"{"a": {"$anythingBut": ["x"]}}"#,
        r#"{"$nor": [{"a": 1}]}"#,
        r#"{"$or": [{"a": 1}, {"b": {"$exists": false}}]}"#,
    ];
    let mut set = FilterSet::new();
    for text in indexed.into_iter().chain(unindexed) {
        set.insert(text, Filter::parse(text).unwrap());
    }
    assert!(set.unindexed().copied().eq(unindexed));
    let stats = set.stats();
    assert_eq!((stats.filters, stats.unindexed), (indexed.len() + unindexed.len(), unindexed.len()));
    assert!(stats.bytes > 0 && stats.fields >= 3, "{stats}");
}

#[test]
fn filters_are_indexed_by_their_rarest_condition() {
    // All filters share the type. An index on the type would check all of them for every event.
    let mut set = FilterSet::new();
    for id in 0..2000_u32 {
        let text = format!(r#"{{"type": "order", "customer": {{"id": {id}}}, "total": {{"$gte": {id}}}}}"#);
        set.insert(id, Filter::parse(&text).unwrap());
    }
    let event = json!({"type": "order", "customer": {"id": 77}, "total": 1000});
    assert_eq!(set.matches(&event), [&77]);
    let exact = set.stats().indexes.into_iter().find(|(kind, _)| *kind == "exact value");
    assert_eq!(exact.map(|(_, entries)| entries), Some(2000));
}

/// The set is large enough for prefetching, and removals make its hints out of date.
#[test]
fn a_large_set_matches_as_its_filters_do() {
    const RULES: usize = 30_000;
    let filter = |number: usize| {
        let (lot, street) = (number / 2, number % 7);
        let text = match number % 3 {
            0 => format!(r#"{{"at": {{"lot": ["lot {lot}"], "street": ["s{street}"]}}}}"#),
            1 => format!(r#"{{"at": {{"lot": [{{"$startsWith": "lot {lot}"}}], "odd": [true]}}}}"#),
            _ => format!(r#"{{"at": {{"lot": [{{"$endsWith": "t {lot}"}}]}}, "kind": ["k{street}"]}}"#),
        };
        Filter::parse(&text).unwrap()
    };
    let mut filters: Vec<(usize, Filter)> = (0..RULES).map(|number| (number, filter(number))).collect();
    let mut set = FilterSet::new();
    for (id, filter) in &filters {
        set.insert(*id, filter.clone());
    }
    let event = |number: usize| {
        let (lot, street) = (number * 37 % (RULES / 2), number % 7);
        let object =
            json!({"lot": format!("lot {lot}"), "street": format!("s{street}"), "odd": number % 2 == 1});
        json!({"kind": format!("k{}", number % 5), "at": [object, {"lot": "lot 1"}]})
    };
    let agrees = |set: &FilterSet<usize>, filters: &[(usize, Filter)]| -> usize {
        let of = |number| {
            let answer = answer(set, &event(number));
            assert_eq!(answer, expected(filters, &event(number)), "event {number}");
            answer.len()
        };
        (0..8).map(of).sum()
    };
    let before = agrees(&set, &filters);
    assert!(before > 8, "{before}");
    for id in (0..RULES).filter(|id| id % 5 < 3) {
        set.remove(&id);
    }
    filters.retain(|(id, _)| id % 5 >= 3);
    let after = agrees(&set, &filters);
    assert!(after > 2, "{after}");
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

/// A builder delays insertions, which must not change the result.
#[test]
fn a_builder_inserts_filters_in_order() {
    let filter = |n: usize| Filter::parse(&format!(r#"{{"n":["{}"],"k":["{}"]}}"#, n % 3, n % 2)).unwrap();
    let event = json!({"n": "1", "k": "1"});
    for count in 0..40 {
        let (mut set, mut builder) = (FilterSet::new(), FilterSet::builder());
        for n in 0..count {
            set.insert(n * 7 % 11, filter(n));
            builder = builder.add(n * 7 % 11, filter(n));
        }
        let built = builder.build();
        assert_eq!(built.len(), set.len());
        assert_eq!(answer(&built, &event), answer(&set, &event));
        assert!(built.ids().eq(set.ids()));
    }
}

/// The text of an item of a list by its index.
type ListItem = fn(usize) -> String;

#[test]
fn filters_with_long_lists_are_indexed_in_linear_time() {
    // At this size, quadratic time takes minutes.
    const LENGTH: usize = 30_000;
    let items: [(ListItem, Value); 5] = [
        (|n| n.to_string(), json!(LENGTH - 1)),
        (|n| format!(r#"{{"$startsWith": "p{n}-"}}"#), json!("p7-x")),
        (|n| format!(r#"{{"$between": [{n}, {n}.5]}}"#), json!(7.25)),
        (|n| format!(r#"{{"$cidr": "10.{}.{}.0/24"}}"#, n / 256, n % 256), json!("10.1.2.3")),
        (|n| format!(r#"{{"$some": [{n}]}}"#), json!([1, 7])),
    ];
    for (item, value) in items {
        let list: Vec<String> = (0..LENGTH).map(item).collect();
        let filter = Filter::parse(&format!(r#"{{"a": [{}]}}"#, list.join(","))).unwrap();
        let event = json!({"a": value});
        let mut set = FilterSet::new();
        set.insert(0, filter.clone());
        // Enough filters on the field to find them by their keys.
        for id in 1..40 {
            set.insert(id, Filter::parse(&format!(r#"{{"a": "other {id}"}}"#)).unwrap());
        }
        assert_eq!(set.matches(&event), [&0], "{event}");
        assert!(filter.matches_slice(event.to_string().as_bytes()).unwrap(), "{event}");
        assert!(set.remove(&0));
        assert!(set.matches(&event).is_empty(), "{event}");
    }
}
