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

/// Statistics say what is judged one by one: nothing, for many rules of any operator that requires something of a value, alone or
/// beside a condition that all of them share.
#[test]
fn many_rules_of_an_operator_are_not_judged_one_by_one() {
    let conditions: [fn(usize) -> String; 18] = [
        |i| format!(r#""text {i}""#),
        |i| format!(r#"{{"$startsWith": "text {i}"}}"#),
        |i| format!(r#"{{"$endsWith": "{i} text"}}"#),
        |i| format!(r#"{{"$contains": "t {i} t"}}"#),
        |i| format!(r#"{{"$ignoreCase": {{"$startsWith": "text {i}"}}}}"#),
        |i| format!(r#"{{"$ignoreCase": {{"$contains": "t {i} t"}}}}"#),
        |i| format!(r#"{{"$regex": "[a-z]+ {i:04} (a|b)"}}"#),
        |i| format!(r#"{{"$regex": "^(GET|POST) /{i:04}/"}}"#),
        |i| format!(r#"{{"$wildcard": "https://*/{i:04}/*.json"}}"#),
        |i| format!(r#"{{"$cidr": "10.{}.{}.0/24"}}"#, i / 256, i % 256),
        |i| format!(r#"{{"$gt": {i}}}"#),
        |i| format!(r#"{{"$after": "2026-01-01T00:{:02}:{:02}Z"}}"#, i / 60, i % 60),
        |i| format!(r#"{{"$includes": "tag {i}"}}"#),
        |i| format!(r#"{{"$size": {i}}}"#),
        |i| format!(r#"{{"$size": {{"$lt": {i}}}}}"#),
        |i| format!(r#"{{"$some": {{"k": "t{i}"}}}}"#),
        |i| format!(r#"{{"$some": {{"$between": [{i}, {}]}}}}"#, i + 3),
        |i| format!(r#"{{"$eq": {{"$ref": "/r/{i}"}}}}"#),
    ];
    let shapes = [
        r#"{"a": ?}"#,
        r#"{"s": "x", "a": ?}"#,
        r#"{"o": {"s": "x", "a": ?}}"#,
        "[?]",
        r#"{"$some": {"a": ?}}"#,
    ];
    for condition in conditions {
        for shape in shapes {
            let mut set = FilterSet::new();
            for id in 0..500 {
                let text = shape.replace('?', &condition(id));
                set.insert(id, Filter::parse(&text).unwrap());
            }
            let stats = set.stats();
            assert_eq!(stats.one_by_one, [], "{}", shape.replace('?', &condition(7)));
            assert_eq!(
                (stats.unindexed, set.unindexed().count()),
                (0, 0),
                "{}",
                shape.replace('?', &condition(7))
            );
        }
    }
}

#[test]
fn statistics_say_what_is_judged_one_by_one() {
    let set_of = |filter: &dyn Fn(usize) -> String| {
        let filters = (0..100).map(|id| (id, Filter::parse(&filter(id)).unwrap()));
        let mut builder = FilterSet::builder();
        builder.extend(filters);
        let lists = builder.build().stats().one_by_one;
        lists.into_iter().map(|list| (list.path, list.when, list.count)).collect::<Vec<_>>()
    };
    let negative = |id| format!(r#"{{"$anythingBut": {id}}}"#);
    assert_eq!(set_of(&negative), [(String::new(), "any object", 100)]);
    let elements = |id| format!(r#"{{"$some": {{"k": {{"$regex": "^[a-z]{{{id}}}$"}}}}}}"#);
    assert_eq!(set_of(&elements), [("/k".to_owned(), "any text", 100)]);
    let absent = |id| format!(r#"{{"f{id}": {{"$exists": false}}}}"#);
    assert_eq!(set_of(&absent), [(String::new(), "any object", 100)]);
    let shared = |id| format!(r#"{{"a/b": {{"c": "x", "f{id}": {{"$exists": false}}}}}}"#);
    assert_eq!(set_of(&shared), [("/a~1b/c".to_owned(), "exact value", 100)]);
    let every = |id| format!(r#"{{"a": {{"$every": {{"k": {id}}}}}}}"#);
    assert_eq!(set_of(&every), [("/a".to_owned(), "any array", 100)]);
    // Alternatives are not found together with a condition that many share.
    let beside = |id| format!(r#"{{"s": "x", "a": [{{"$some": {{"k": {id}}}}}, {{"$gt": {id}}}]}}"#);
    assert_eq!(set_of(&beside), [("/s".to_owned(), "exact value", 100)]);
    let collated = |id| format!(r#"{{"a": {{"$ignoreCaseEquals": "text {id}"}}}}"#);
    assert_eq!(set_of(&collated), [("/a".to_owned(), "text beyond ASCII", 100)]);
    assert_eq!(set_of(&|id| format!(r#"{{"a": {{"b": {id}}}}}"#)), []);
}

/// Rules that share a frequent condition are found by it together with another one; generated sets are too small for that.
#[test]
fn rules_beside_a_shared_condition_match_as_their_filters_do() {
    const RULES: usize = 600;
    let condition = |number: usize| match number % 9 {
        0 => format!(r#"{{"$gt": {number}}}"#),
        1 => format!(r#"{{"$between": [{number}, {}]}}"#, number + 40),
        2 => format!(r#""text {number}""#),
        3 => format!(r#"{{"$contains": "t {}"}}"#, number / 10),
        4 => format!(r#"{{"$regex": "^te.t {}"}}"#, number / 10),
        5 => format!(r#"{{"$size": {}}}"#, number % 5),
        6 => format!(r#"{{"$some": {{"k": {number}, "l": {{"$lt": {number}}}}}}}"#),
        7 => format!(r#"[{{"$some": {{"$startsWith": "t{number}"}}}}, {number}, {{"$exists": false}}]"#),
        _ => format!(r#"{{"$anythingBut": {number}}}"#),
    };
    let filter = |number: usize| {
        let (one, other) = (condition(number), condition(number * 7 % RULES));
        let text = match number % 4 {
            0 => format!(r#"{{"s": "x", "a": {one}}}"#),
            1 => format!(r#"{{"s": "x", "a": {one}, "b": {other}}}"#),
            2 => format!(r#"{{"o": {{"s": "x", "a": {one}}}, "b": {other}}}"#),
            _ => format!(r#"{{"o": {{"s": "x"}}, "a": {one}, "$or": [{{"b": {other}}}, {{"b": {one}}}]}}"#),
        };
        Filter::parse(&text).unwrap()
    };
    let mut filters: Vec<(usize, Filter)> = (0..RULES).map(|number| (number, filter(number))).collect();
    let mut set = FilterSet::new();
    for (id, filter) in &filters {
        set.insert(*id, filter.clone());
    }
    let value = |number: usize| match number % 6 {
        0 => json!(number),
        1 => json!(format!("text {number}")),
        2 => json!(["t7", format!("t{number}"), number]),
        3 => json!([{"k": number, "l": 3}, {"k": 1}, null]),
        4 => json!({"k": number, "s": "x"}),
        _ => json!(null),
    };
    let event = |number: usize| {
        let (s, a, b) = (["x", "y"][number % 2], value(number), value(number * 5 % RULES));
        match number % 3 {
            0 => json!({"s": s, "a": a, "b": b}),
            1 => json!({"s": "x", "o": {"s": "x", "a": a}, "a": b, "b": a}),
            _ => json!({"s": "x", "o": [{"s": "x", "a": a}, {"s": s, "a": b}], "b": b}),
        }
    };
    let agree = |set: &FilterSet<usize>, filters: &[(usize, Filter)]| -> usize {
        let of = |number| {
            let event = event(number);
            let found = answer(set, &event);
            assert_eq!(found, expected(filters, &event), "{event}");
            found.len()
        };
        (0..RULES).step_by(7).map(of).sum()
    };
    let before = agree(&set, &filters);
    assert!(before > 1000, "{before}");
    for id in (0..RULES).filter(|id| id % 5 < 3) {
        set.remove(&id);
    }
    filters.retain(|(id, _)| id % 5 >= 3);
    agree(&set, &filters);
    for (id, _) in &filters {
        set.remove(id);
    }
    let stats = set.stats();
    assert_eq!((stats.filters, stats.unindexed, stats.fields), (0, 0, 0));
    assert!(stats.indexes.is_empty(), "{:?}", stats.indexes);
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

#[test]
fn hits_are_counted_by_every_way_of_matching_and_clones_count_together() {
    let filter = |text| Filter::parse(text).unwrap();
    let builder = FilterSet::builder().add("a", filter(r#"{"a": 1}"#));
    let mut set = builder.count_hits().add("b", filter(r#"{"a": {"$gt": 0}}"#)).build();
    let event = br#"{"a": 1}"#;
    set.matches(&json!({"a": 1}));
    set.matches_slice(event).unwrap();
    set.matches_valid_slice(event);
    set.matches_slices([&event[..], br#"{"a": 2}"#, b"{"], |_| ());
    assert!(set.matches_slice(b"{\"a\": 1").is_err());
    let hits = |set: &FilterSet<&str>| [set.hits(&"a"), set.hits(&"b"), set.hits(&"c")];
    assert_eq!(hits(&set), [Some(4), Some(5), None]);

    let before = set.clone();
    set.remove(&"a");
    set.insert("c", filter(r#"{"a": 1}"#));
    set.insert("a", filter(r#"{"b": 1}"#));
    before.matches_slice(event).unwrap();
    set.matches_slice(event).unwrap();
    assert_eq!(hits(&set), [Some(0), Some(7), Some(1)]);
    assert_eq!(hits(&before), [Some(5), Some(7), None]);

    let uncounted = FilterSet::builder().add("a", filter("{}")).build();
    uncounted.matches_slice(event).unwrap();
    assert_eq!(uncounted.hits(&"a"), None);
}

#[test]
fn a_set_that_keeps_its_filters_explains_them() {
    let filters = [r#"{"a": 1}"#, r#"{"a": {"$gt": 5}}"#, r#"{"$or": [{"a": 9}, {"b": 1}]}"#];
    let filters = filters.map(|text| Filter::parse(text).unwrap());
    let mut set = FilterSet::builder().add(9, filters[0].clone()).keep_filters().build();
    for (id, filter) in filters.iter().enumerate() {
        set.insert(id, filter.clone());
    }
    let event = json!({"a": 9});
    for (id, filter) in filters.iter().enumerate() {
        assert_eq!(set.explain(&id, &event), Some(filter.explain(&event)));
    }
    set.remove(&1);
    assert_eq!((set.explain(&1, &event), set.explain(&9, &event)), (None, None));
    assert!(FilterSet::builder().add(0, filters[0].clone()).build().filter(&0).is_none());
}

/// A set of a hundred filters.
fn hundred(text: impl Fn(usize) -> String) -> FilterSet<usize> {
    let mut set = FilterSet::new();
    for id in 0..100 {
        set.insert(id, Filter::parse(&text(id)).unwrap());
    }
    set
}

#[test]
fn two_bounds_are_one_range_and_the_narrower_range_leads() {
    for text in [
        |id: usize| format!(r#"{{"a": {{"$gte": {id}, "$lt": {}}}, "b": {{"$gt": {id}}}}}"#, id + 1),
        |id: usize| format!(r#"{{"a": {{"$gt": {id}}}, "b": {{"$between": [{id}, {}]}}}}"#, id + 1),
        |id: usize| {
            format!(r#"{{"a": {{"$all": [{{"$gte": {id}}}, {{"$lte": {id}}}]}}, "b": {{"$gt": 0}}}}"#)
        },
        |id: usize| {
            let at = |second: usize| format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60);
            format!(
                r#"{{"a": {{"$after": "{}", "$before": "{}"}}, "b": {{"$lt": {id}}}}}"#,
                at(id),
                at(id + 2)
            )
        },
    ] {
        let lists = hundred(text).stats().one_by_one;
        assert!(lists.is_empty(), "{}: {lists:?}", text(7));
    }
}

#[test]
fn stats_name_ranges_that_overlap_and_references() {
    let lists = hundred(|id| format!(r#"{{"a": {{"$gt": {id}}}, "b": {{"$lt": {id}}}}}"#)).stats().one_by_one;
    assert!(lists.iter().any(|list| (list.when, list.count) == ("number range", 100)), "{lists:?}");
    let lists = hundred(|_| r#"{"a": {"$eq": {"$ref": "/a"}}}"#.to_owned()).stats().one_by_one;
    let found: Vec<_> = lists.iter().map(|list| (list.path.as_str(), list.when, list.count)).collect();
    assert_eq!(found, [("/a", "a condition", 100)]);
    // What holds with nothing else to check costs no more than to report it.
    let lists = hundred(|id| format!(r#"{{"a": {{"$gt": {id}}}}}"#)).stats().one_by_one;
    assert!(lists.is_empty(), "{lists:?}");
}

/// Conditions whose keys are enough are not evaluated, so what has a key has to be what satisfies them.
#[test]
fn lists_found_by_their_keys_agree_with_each_filter_alone() {
    let templates = [
        (Dialect::Native, r#"{"a": ["x?", ?, {"$startsWith": "p?."}, {"$endsWith": ".s?"}]}"#),
        (Dialect::Native, r#"{"a": ["x?", {"$includes": "x?"}, {"$some": ["y?", {"$startsWith": "p?."}]}]}"#),
        (Dialect::Native, r#"{"a": {"$some": ["x?", ?, {"$endsWith": ".s?"}]}}"#),
        (Dialect::Native, r#"{"a": {"$some": [{"$includes": "x?"}, "y?"]}}"#),
        (Dialect::Native, r#"{"a": {"$includes": "x?"}}"#),
        (Dialect::Native, r#"{"a": [{"$startsWith": "p?.", "$endsWith": ".s?"}, "x?"]}"#),
        (Dialect::Native, r#"{"$or": [{"a": ["x?", "y?"]}, {"b": [?, "x?"]}]}"#),
        (Dialect::EventBridge, r#"{"a": ["x?", ?, {"prefix": "p?."}, {"suffix": ".s?"}]}"#),
        (Dialect::EventBridge, r#"{"$or": [{"a": ["x?", ?]}, {"b": ["x?", "y?"]}]}"#),
        (Dialect::TriggerDev, r#"{"a": ["x?", "y?"]}"#),
    ];
    let mut filters = Vec::new();
    for (dialect, template) in templates {
        let options = FilterOptions::new().dialect(dialect);
        filters.extend((0..40).map(|id| options.parse(&template.replace('?', &id.to_string())).unwrap()));
    }
    let mut set = FilterSet::new();
    for (id, filter) in filters.iter().enumerate() {
        set.insert(id, filter.clone());
    }
    let one = ["x7", "y8", "p7.", "p7", "z.s9", ".s9", "p3.q.s3", "x70", ""].map(|text| json!(text));
    let one = one.into_iter().chain([json!(7), json!(7.0), json!(null), json!(true), json!({"x7": 1})]);
    let mut values: Vec<Value> = one.collect();
    let arrays: Vec<Value> = values
        .iter()
        .flat_map(|value| {
            [json!([value]), json!(["z", value, value]), json!([[value]]), json!([{"a": value}, value])]
        })
        .collect();
    values.extend(arrays);
    let mut matched = 0;
    for event in values.iter().flat_map(|value| [json!({"a": value}), json!({"b": value, "a": "x1"})]) {
        let expected: Vec<usize> = (0..filters.len()).filter(|&id| filters[id].matches(&event)).collect();
        assert_eq!(answer(&set, &event), expected, "{event}");
        matched += expected.len();
    }
    assert!(matched > 500, "{matched}");
}
