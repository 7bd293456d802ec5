//! One test per row of docs/filter-language.md's table of operators, and per rule of its sections on grammar and values.

use filter::{Dialect, Filter, FilterOptions};
use serde_json::{Value, json};

/// The field `a` under a condition, with values and missing: each method states the expected result.
struct Row {
    dialect: Dialect,
    node: Value,
}

fn native(node: Value) -> Row {
    Row { dialect: Dialect::Native, node }
}

fn trigger_dev(node: Value) -> Row {
    Row { dialect: Dialect::TriggerDev, node }
}

impl Row {
    fn filter(&self) -> Filter {
        let filter = json!({"a": self.node});
        FilterOptions::new()
            .dialect(self.dialect)
            .from_value(&filter)
            .unwrap_or_else(|e| panic!("{filter}: {e}"))
    }

    fn holds_for(self, values: &[Value]) -> Self {
        for value in values {
            assert!(self.filter().matches(&json!({"a": value})), "{} should hold for {value}", self.node);
        }
        self
    }

    fn fails_for(self, values: &[Value]) -> Self {
        for value in values {
            assert!(
                !self.filter().matches(&json!({"a": value})),
                "{} should not hold for {value}",
                self.node
            );
        }
        self
    }

    fn when_missing(self, expected: bool) -> Self {
        assert_eq!(self.filter().matches(&json!({})), expected, "{} on a missing field", self.node);
        self
    }
}

fn matches(filter: Value, event: Value) -> bool {
    Filter::try_from(&filter).unwrap_or_else(|e| panic!("{filter}: {e}")).matches(&event)
}

/// Values for which no operator on strings holds.
fn no_strings() -> [Value; 7] {
    [json!(null), json!(true), json!(5), json!([]), json!(["abc"]), json!({}), json!({"abc": "abc"})]
}

/// Values for which no operator on numbers holds.
fn no_numbers() -> [Value; 7] {
    [json!(null), json!(true), json!("5"), json!([]), json!([5]), json!({}), json!({"a": 5})]
}

#[test]
fn starts_with_ends_with_contains() {
    for make in [native, |node| trigger_dev(json!([node]))] {
        let row = make(json!({"$startsWith": "ab"})).holds_for(&[json!("ab"), json!("abc")]);
        row.fails_for(&[json!("b"), json!("xab"), json!("AB")]).fails_for(&no_strings()).when_missing(false);
        let row = make(json!({"$endsWith": "bc"})).holds_for(&[json!("bc"), json!("abc")]);
        row.fails_for(&[json!("c"), json!("bcx")]).fails_for(&no_strings()).when_missing(false);
    }
    let row = native(json!({"$contains": "b"})).holds_for(&[json!("b"), json!("abc")]);
    row.fails_for(&[json!("B"), json!("")]).fails_for(&no_strings()).when_missing(false);
    native(json!({"$contains": ""})).holds_for(&[json!("")]);
}

#[test]
fn ignore_case_equals() {
    let same = ["a", "A", "ａ"].map(Value::from);
    native(json!({"$ignoreCaseEquals": "a"})).holds_for(&same).fails_for(&[json!("á"), json!("")]);
    native(json!({"$ignoreCaseEquals": "σ"})).holds_for(&[json!("ς"), json!("Σ")]);
    native(json!({"$ignoreCaseEquals": "é"})).holds_for(&[json!("e\u{301}")]);
    native(json!({"$ignoreCaseEquals": "ﬁ"})).holds_for(&[json!("fi"), json!("FI")]);
    native(json!({"$ignoreCaseEquals": "ß"})).fails_for(&[json!("ss")]);
    native(json!({"$ignoreCaseEquals": "ab"})).holds_for(&[json!("a\u{0}b"), json!("a\u{ad}B")]);
    trigger_dev(json!([{"$ignoreCaseEquals": "abc"}])).fails_for(&no_strings()).when_missing(false);
}

#[test]
fn regex() {
    let row = native(json!({"$regex": "b+c"})).holds_for(&[json!("abbcd"), json!("bc")]);
    row.fails_for(&[json!("ab")]).fails_for(&no_strings()).when_missing(false);
    native(json!({"$regex": "^b"})).fails_for(&[json!("ab")]);
}

#[test]
fn wildcard() {
    let row = native(json!({"$wildcard": "a*c"})).holds_for(&[json!("ac"), json!("abc"), json!("acc")]);
    row.fails_for(&[json!("abcd"), json!("a")]).fails_for(&no_strings()).when_missing(false);
    native(json!({"$wildcard": "a**c"})).holds_for(&[json!("abc")]);
    native(json!({"$wildcard": r"a\*c\\"})).holds_for(&[json!(r"a*c\")]).fails_for(&[json!(r"abc\")]);
}

#[test]
fn cidr() {
    let row = native(json!({"$cidr": "10.0.0.0/8"}));
    let row = row.holds_for(&[json!("10.1.2.3"), json!("::ffff:10.1.2.3")]).fails_for(&no_strings());
    row.fails_for(&[json!("11.0.0.0"), json!("010.1.2.3"), json!("::a01:203")]).when_missing(false);
    native(json!({"$cidr": "::/0"})).holds_for(&[json!("::1")]).fails_for(&[json!("1.2.3.4")]);
    native(json!({"$cidr": "10.1.2.3"})).holds_for(&[json!("10.1.2.3")]).fails_for(&[json!("10.1.2.4")]);
    let warned = native(json!({"$cidr": "10.1.2.3/8"})).holds_for(&[json!("10.9.9.9")]);
    assert_eq!(warned.filter().warnings().len(), 1);
}

#[test]
fn comparisons() {
    for make in [native, |node| trigger_dev(json!([node]))] {
        let (below, at, above) = ([json!(4), json!(4.9)], [json!(5), json!(5.0)], [json!(6), json!(5.1)]);
        let row = make(json!({"$gt": 5})).holds_for(&above).fails_for(&below).fails_for(&at);
        row.fails_for(&no_numbers()).when_missing(false);
        let row = make(json!({"$gte": 5})).holds_for(&above).holds_for(&at).fails_for(&below);
        row.fails_for(&no_numbers()).when_missing(false);
        let row = make(json!({"$lt": 5})).holds_for(&below).fails_for(&above).fails_for(&at);
        row.fails_for(&no_numbers()).when_missing(false);
        let row = make(json!({"$lte": 5})).holds_for(&below).holds_for(&at).fails_for(&above);
        row.fails_for(&no_numbers()).when_missing(false);
        let row = make(json!({"$between": [5, 6]})).holds_for(&at).holds_for(&above).fails_for(&below);
        row.fails_for(&no_numbers()).when_missing(false);
    }
    trigger_dev(json!([{"$between": [6, 5]}])).fails_for(&[json!(5), json!(5.5), json!(6)]);
}

#[test]
fn includes() {
    for make in [native, |node| trigger_dev(json!([node]))] {
        let row = make(json!({"$includes": "x"})).holds_for(&[json!(["x"]), json!([1, "x", null])]);
        row.fails_for(&[json!("x"), json!([]), json!([["x"]]), json!({"x": "x"}), json!(null)])
            .when_missing(false);
    }
    native(json!({"$includes": null})).holds_for(&[json!([null])]).fails_for(&[json!(null), json!([1])]);
    native(json!({"$includes": 1})).holds_for(&[json!([1.0])]);
}

#[test]
fn size() {
    let row = native(json!({"$size": 2})).holds_for(&[json!([1, 2])]);
    row.fails_for(&[json!([1]), json!("ab"), json!({"a": 1, "b": 2}), json!(2), json!(null)])
        .when_missing(false);
    native(json!({"$size": {"$gt": 1, "$lte": 3}})).holds_for(&[json!([1, 2])]).fails_for(&[json!([1])]);
    native(json!({"$size": {"$anythingBut": [0, 1]}})).holds_for(&[json!([1, 2])]).fails_for(&[json!([])]);
}

#[test]
fn some_every() {
    native(json!({"$some": {"$gt": 5}})).holds_for(&[json!([1, 6])]).fails_for(&[
        json!([1]),
        json!([]),
        json!(6),
    ]);
    native(json!({"$some": ["x", {"$gt": 5}]}))
        .holds_for(&[json!(["x"]), json!([6])])
        .fails_for(&[json!(["y"])]);
    let row = native(json!({"$some": {"b": 1}})).holds_for(&[json!([{"b": 1}, {"b": 2}])]);
    row.fails_for(&[json!([{"b": 2}]), json!({"b": 1}), json!([[{"b": 1}]])]).when_missing(false);
    let row = native(json!({"$every": {"$gt": 5}})).holds_for(&[json!([]), json!([6, 7])]);
    row.fails_for(&[json!([6, 1]), json!(6), json!(null)]).when_missing(false);
    // A filter applies to an element as to an event.
    native(json!({"$some": {}})).holds_for(&[json!([null]), json!([1])]).fails_for(&[json!([])]);
    native(json!({"$every": {"b": {"$exists": false}}}))
        .holds_for(&[json!([1, []])])
        .fails_for(&[json!([null])]);
}

#[test]
fn exists() {
    for make in [native, |node| trigger_dev(json!([node]))] {
        let anything = [json!(null), json!(0), json!([]), json!({})];
        make(json!({"$exists": true})).holds_for(&anything).when_missing(false);
        make(json!({"$exists": false})).fails_for(&anything).when_missing(true);
    }
}

#[test]
fn is_null() {
    for make in [native, |node| trigger_dev(json!([node]))] {
        let other = [json!(0), json!(""), json!([null]), json!({})];
        make(json!({"$isNull": true})).holds_for(&[json!(null)]).fails_for(&other).when_missing(false);
        make(json!({"$isNull": false})).holds_for(&other).fails_for(&[json!(null)]).when_missing(true);
    }
}

#[test]
fn anything_but() {
    for make in [native, |node| trigger_dev(json!([node]))] {
        let row = make(json!({"$anythingBut": "x"})).fails_for(&[json!("x")]).when_missing(true);
        row.holds_for(&[json!("y"), json!(1), json!(null), json!(["x"]), json!({})]);
        let row = make(json!({"$anythingBut": ["x", "y"]})).fails_for(&[json!("x"), json!("y")]);
        row.holds_for(&[json!("z"), json!(["x"])]).when_missing(true);
    }
    let row = native(json!({"$anythingBut": {"$startsWith": "x"}})).fails_for(&[json!("xy")]);
    row.holds_for(&[json!("y"), json!(1), json!(["xy"])]).when_missing(true);
    native(json!({"$anythingBut": {"$gt": 1, "$lt": 5}})).fails_for(&[json!(2)]).holds_for(&[json!(5)]);
    trigger_dev(json!([{"$anythingBut": []}])).holds_for(&[json!("x"), json!(null)]).when_missing(true);
}

#[test]
fn not() {
    for make in [native, |node| trigger_dev(json!([node]))] {
        let row = make(json!({"$not": "x"})).holds_for(&[
            json!("y"),
            json!(1),
            json!(true),
            json!([]),
            json!(["y"]),
        ]);
        row.fails_for(&[json!("x"), json!(["y", "x"]), json!(null), json!({})]).when_missing(false);
    }
    native(json!({"$not": null})).holds_for(&[json!(1), json!([1])]).fails_for(&[json!(null), json!([null])]);
}

#[test]
fn all_none() {
    let row = native(json!({"$all": [{"$gt": 1}, {"$gt": 2}]})).holds_for(&[json!(3)]);
    row.fails_for(&[json!(2)]).when_missing(false);
    native(json!({"$all": [{"$exists": false}]})).when_missing(true);
    native(json!({"$none": ["x", {"$gt": 1}]}))
        .holds_for(&[json!("y"), json!(["x"])])
        .fails_for(&[json!("x"), json!(2)]);
    native(json!({"$none": ["x"]})).when_missing(true);
}

#[test]
fn arrays_are_any_of_and_matchers_all_of() {
    native(json!(["x", 1, null, {"$startsWith": "y"}]))
        .holds_for(&[json!("x"), json!(1), json!(null), json!("yy")])
        .fails_for(&[json!("z"), json!(true), json!(["x"])])
        .when_missing(false);
    native(json!([{"$gt": 20}, {"$lt": 40}]))
        .holds_for(&[json!(5), json!(30), json!(50)])
        .fails_for(&[json!("x")]);
    native(json!({"$gt": 20, "$lt": 40})).holds_for(&[json!(30)]).fails_for(&[json!(5), json!(50)]);
}

#[test]
fn shorthands() {
    native(json!("x")).holds_for(&[json!("x")]).fails_for(&[json!(["x"])]);
    native(json!(null)).holds_for(&[json!(null)]).when_missing(false);
    native(json!({"$gt": 1})).holds_for(&[json!(2)]);
}

#[test]
fn the_event_itself() {
    for event in [json!(null), json!(1), json!([]), json!({})] {
        assert!(matches(json!({}), event));
    }
    assert!(!matches(json!({"a": {"$exists": false}}), json!(null)));
    for event in [json!(1), json!("a"), json!([{"a": 1}]), json!({})] {
        assert!(matches(json!({"a": {"$exists": false}}), event));
    }
    assert!(!matches(json!({"a": 1}), json!([{"a": 1}])));
}

#[test]
fn nested_filters() {
    native(json!({}))
        .holds_for(&[json!(null), json!(1), json!({}), json!([1])])
        .fails_for(&[json!([])])
        .when_missing(true);
    let row = native(json!({"b": {"$exists": false}}));
    let row = row.holds_for(&[json!({}), json!(1), json!("x"), json!([1]), json!([[]])]).when_missing(false);
    row.fails_for(&[json!(null), json!([]), json!([null]), json!({"b": 1})]);
    // All members are judged on the same element.
    native(json!({"b": 1, "c": 2}))
        .holds_for(&[json!([{"b": 1, "c": 2}])])
        .fails_for(&[json!([{"b": 1}, {"c": 2}])]);
    native(json!({"b": 1, "$or": [{"c": 2}]})).fails_for(&[json!([{"b": 1}, {"c": 2}])]);
}

#[test]
fn junctions() {
    let event = || json!({"a": 1, "b": 2});
    assert!(matches(json!({"$or": [{"a": 5}, {"b": 2}]}), event()));
    assert!(!matches(json!({"$or": [{"a": 5}, {"b": 5}]}), event()));
    assert!(matches(json!({"$and": [{"a": 1}, {"b": 2}]}), event()));
    assert!(!matches(json!({"$and": [{"a": 1}, {"b": 5}]}), event()));
    assert!(matches(json!({"$nor": [{"a": 5}, {"b": 5}]}), event()));
    assert!(!matches(json!({"$nor": [{"a": 1}, {"b": 5}]}), event()));
    assert!(!matches(json!({"$nor": [{"a": 1}]}), json!(null)));
}

#[test]
fn dollar_fields_are_escaped() {
    assert!(matches(json!({"$$ref": "x"}), json!({"$ref": "x"})));
    assert!(matches(json!({"$$or": 1, "$$$x": 2, "$$": 3}), json!({"$or": 1, "$$x": 2, "$": 3})));
    assert!(matches(json!({"a": {"$$gt": 1}}), json!({"a": {"$gt": 1}})));
}

#[test]
fn numbers_are_compared_by_value() {
    native(json!(1)).holds_for(&[json!(1.0)]);
    native(json!(0)).holds_for(&[json!(-0.0)]);
    native(json!(9_007_199_254_740_993_i64)).fails_for(&[json!(9_007_199_254_740_992.0)]);
    native(json!({"$gt": 9_007_199_254_740_992.0})).holds_for(&[json!(9_007_199_254_740_993_i64)]);
    native(json!(u64::MAX)).holds_for(&[json!(u64::MAX)]).fails_for(&[json!(18_446_744_073_709_551_616.0)]);
}

#[test]
fn strings_are_not_normalised() {
    native(json!("é")).fails_for(&[json!("e\u{301}")]);
}

#[test]
fn the_last_of_duplicate_keys_counts_in_events() {
    let filter = Filter::parse(r#"{"a": 2}"#).unwrap();
    assert_eq!(filter.matches_slice(br#"{"a": 1, "a": 2}"#), Ok(true));
    assert_eq!(filter.matches_slice(br#"{"a": 2, "a": 1}"#), Ok(false));
    assert_eq!(filter.matches_slice(br#"{"a": 1, "\u0061": 2}"#), Ok(true));
}

#[test]
fn trigger_dev_arrays_of_matchers_are_all_of_and_empty_arrays_are_no_constraint() {
    trigger_dev(json!([{"$gt": 20}, {"$lt": 40}])).holds_for(&[json!(30)]).fails_for(&[json!(5), json!(50)]);
    trigger_dev(json!(["x", "y"]))
        .holds_for(&[json!("x"), json!("y")])
        .fails_for(&[json!("z"), json!(["x"])]);
    trigger_dev(json!([])).holds_for(&[json!(null), json!([]), json!({})]).when_missing(true);
    trigger_dev(json!({"b": []}))
        .holds_for(&[json!({}), json!(1)])
        .fails_for(&[json!(null)])
        .when_missing(false);
    let dollar = FilterOptions::new().dialect(Dialect::TriggerDev).parse(r#"{"$ref": ["x"]}"#).unwrap();
    assert!(dollar.matches(&json!({"$ref": "x"})));
}
