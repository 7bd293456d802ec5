//! Sets that are large enough for what only large ones do: prefetching, scopes, finding lists by their keys.

use filter::{Dialect, Filter, FilterOptions, FilterSet};
use serde_json::{Value, json};

use super::{answer, expected};

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
