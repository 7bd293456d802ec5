//! Building and changing sets: the order of ids, readers during a change, counts of hits, filters that are kept.

use filter::{Filter, FilterSet, LiveSet};
use serde_json::json;

use super::answer;

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
