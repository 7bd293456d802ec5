//! Statistics of a set: by what its rules are found, and which are judged one by one.

use filter::{Filter, FilterSet};
use serde_json::json;

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
    let conditions: [fn(usize) -> String; 20] = [
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
        |i| format!(r#"{{"$every": {{"k": "t{i}"}}}}"#),
        |i| format!(r#"{{"$every": ["t{i}"]}}"#),
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
    let every = |id| format!(r#"{{"a": {{"$every": [{{"$regex": "^[a-z]{{{id}}}$"}}]}}}}"#);
    let lists = set_of(&every);
    assert!(matches!(&lists[..], [(path, "any array", 50..)] if path == "/a"), "{lists:?}");
    // Alternatives are not found together with a condition that many share.
    let beside = |id| format!(r#"{{"s": "x", "a": [{{"$some": {{"k": {id}}}}}, {{"$gt": {id}}}]}}"#);
    assert_eq!(set_of(&beside), [("/s".to_owned(), "exact value", 100)]);
    let collated = |id| format!(r#"{{"a": {{"$ignoreCaseEquals": "text {id}"}}}}"#);
    assert_eq!(set_of(&collated), [("/a".to_owned(), "text beyond ASCII", 100)]);
    assert_eq!(set_of(&|id| format!(r#"{{"a": {{"b": {id}}}}}"#)), []);
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
