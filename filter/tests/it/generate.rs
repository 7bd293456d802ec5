//! Generators of filters and events with few names and values, so that many pairs match.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Cases per property: few while developing, many in CI.
pub(crate) fn config() -> ProptestConfig {
    config_of(1)
}

/// Fewer cases, for a property whose cases take `work` times as long.
pub(crate) fn config_of(work: u32) -> ProptestConfig {
    let cases: u32 = std::env::var("FILTER_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(500);
    ProptestConfig {
        cases: cases.div_ceil(work),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just("a"), 5 => Just("b"), 2 => Just("c"), 1 => Just("$ref"), 1 => Just(""), 1 => Just("$or"),
        1 => Just("prefix"),
    ]
    .prop_map(str::to_owned)
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    const TEXTS: [&str; 24] = [
        "",
        "a",
        "A",
        "ab",
        "AB",
        "abc",
        "b",
        "bc",
        "aXb",
        "*",
        "a*",
        "é",
        "e\u{301}",
        "É",
        "ß",
        "ss",
        "ﬁ",
        "fi",
        "σ",
        "ς",
        "10.1.2.3",
        "::ffff:10.1.2.3",
        "2001:db8::1",
        "a\u{0}",
    ];
    prop_oneof![2 => time(), 9 => proptest::sample::select(&TEXTS[..]).prop_map(str::to_owned), 1 => "[abAB*]{0,4}"]
}

/// A time, or nearly one.
pub(crate) fn time() -> impl Strategy<Value = String> {
    const TIMES: [&str; 14] = [
        "2024-02-29T00:00:00Z",
        "2024-02-29t01:00:00.0+01:00",
        "2024-02-28T23:59:59.9999999999Z",
        "2024-02-28T23:59:60-00:00",
        "2024-02-29T00:00:00.000000001Z",
        "2024-03-01T00:00:00+24:00",
        "2024-03-01T00:00:00-23:59",
        "2023-02-29T00:00:00Z",
        "2023-12-31T23:59:59.5z",
        "0000-01-01T00:00:00Z",
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59Z",
        "2024-02-29 00:00:00Z",
        "2024-02-29",
    ];
    proptest::sample::select(&TIMES[..]).prop_map(str::to_owned)
}

pub(crate) fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => (-1..5_i64).prop_map(Value::from),
        2 => (-2..6_i64).prop_map(|n| Value::from(n as f64 / 2.0)),
        1 => proptest::sample::select(vec![
            json!(-0.0), json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992_f64), json!(u64::MAX),
            json!(18_446_744_073_709_551_616_f64), json!(i64::MIN), json!(1e300), json!(5e-324), json!(0.1),
        ]),
    ]
}

fn scalar() -> BoxedStrategy<Value> {
    prop_oneof![
        5 => text().prop_map(Value::from),
        5 => number(),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
    .boxed()
}

pub(crate) fn event() -> impl Strategy<Value = Value> {
    let value = scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            3 => vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => vec((name(), inner), 0..4).prop_map(object),
        ]
    });
    prop_oneof![
        12 => vec((name(), value.clone()), 0..5).prop_map(object),
        1 => value,
    ]
}

fn object(members: Vec<(String, Value)>) -> Value {
    Value::Object(members.into_iter().collect::<Map<_, _>>())
}

fn one(operator: &'static str, argument: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    argument.prop_map(move |argument| json!({ operator: argument })).boxed()
}

fn many(strategy: impl Strategy<Value = Value> + 'static, from: usize, to: usize) -> BoxedStrategy<Value> {
    vec(strategy, from..to).prop_map(Value::from).boxed()
}

fn string() -> BoxedStrategy<Value> {
    text().prop_map(Value::from).boxed()
}

fn pick(values: &'static [&'static str]) -> BoxedStrategy<Value> {
    proptest::sample::select(values).prop_map(Value::from).boxed()
}

const WILDCARDS: [&str; 9] = ["*", "a*", "*b", "a*b", "*a*b*", "ab", r"a\*", r"\\*", ""];
const BLOCKS: [&str; 7] =
    ["10.0.0.0/8", "10.1.2.0/24", "0.0.0.0/0", "::/0", "2001:db8::/32", "::ffff:0:0/96", "10.1.2.3/30"];

pub(crate) mod native {
    use super::*;

    fn wildcard() -> BoxedStrategy<Value> {
        prop_oneof![9 => pick(&WILDCARDS), 1 => Just(json!("a**b"))].boxed()
    }

    fn between() -> BoxedStrategy<Value> {
        (-2..5_i64, 0..4_i64).prop_map(|(low, span)| json!([low, low + span])).boxed()
    }

    /// An operator with its argument, without nested filters.
    fn plain() -> BoxedStrategy<(&'static str, Value)> {
        let boolean = || any::<bool>().prop_map(Value::from);
        let but = prop_oneof![2 => scalar(), 2 => many(scalar(), 1, 4), 1 => many(scalar(), 9, 20)];
        prop_oneof![
            string().prop_map(|v| ("$startsWith", v)),
            string().prop_map(|v| ("$endsWith", v)),
            string().prop_map(|v| ("$contains", v)),
            string().prop_map(|v| ("$ignoreCaseEquals", v)),
            pick(&["^a", "b$", "a.b", "(?i)ab", "", "[a-b]+$"]).prop_map(|v| ("$regex", v)),
            wildcard().prop_map(|v| ("$wildcard", v)),
            prop_oneof![pick(&BLOCKS), pick(&["10.1.2.3", "2001:db8::1"])].prop_map(|v| ("$cidr", v)),
            bound().prop_map(|v| ("$gt", v)),
            bound().prop_map(|v| ("$gte", v)),
            bound().prop_map(|v| ("$lt", v)),
            bound().prop_map(|v| ("$lte", v)),
            prop_oneof![scalar(), reference()].prop_map(|v| ("$eq", v)),
            reference().prop_map(|v| ("$eq", v)),
            moment().prop_map(|v| ("$before", v)),
            moment().prop_map(|v| ("$after", v)),
            vec(text_operator(), 1..3).prop_map(matcher).prop_map(|v| ("$ignoreCase", v)),
            between().prop_map(|v| ("$between", v)),
            scalar().prop_map(|v| ("$includes", v)),
            (0..4_i64).prop_map(|n| ("$size", json!(n))),
            number_matcher().prop_map(|v| ("$size", v)),
            boolean().prop_map(|v| ("$exists", v)),
            boolean().prop_map(|v| ("$isNull", v)),
            but.prop_map(|v| ("$anythingBut", v)),
            scalar().prop_map(|v| ("$not", v)),
        ]
        .boxed()
    }

    /// A time; half of those above are none.
    fn moment() -> BoxedStrategy<Value> {
        let is_moment = |text: &String| {
            serde_json::json!(text).as_str().is_some_and(|text| {
                !text.contains("+24")
                    && !text.starts_with("2023-02-29")
                    && text.len() > 10
                    && !text.contains(' ')
            })
        };
        time().prop_filter("no time", is_moment).prop_map(Value::from).boxed()
    }

    /// A reference to a field of the event, or to a field of a field.
    fn reference() -> BoxedStrategy<Value> {
        let step = || name().prop_map(|name| name.replace('~', "~0").replace('/', "~1"));
        prop_oneof![
            6 => step().prop_map(|name| format!("/{name}")),
            2 => (step(), step()).prop_map(|(a, b)| format!("/{a}/{b}")),
            1 => Just(String::new()),
        ]
        .prop_map(|pointer| json!({ "$ref": pointer }))
        .boxed()
    }

    fn bound() -> BoxedStrategy<Value> {
        prop_oneof![3 => number(), 1 => reference()].boxed()
    }

    fn text_operator() -> BoxedStrategy<(&'static str, Value)> {
        prop_oneof![
            string().prop_map(|v| ("$eq", v)),
            string().prop_map(|v| ("$startsWith", v)),
            string().prop_map(|v| ("$endsWith", v)),
            string().prop_map(|v| ("$contains", v)),
            wildcard().prop_map(|v| ("$wildcard", v)),
            pick(&["^a", "b$", "a.b", "é", "[a-b]+$", "σ"]).prop_map(|v| ("$regex", v)),
        ]
        .boxed()
    }

    fn number_matcher() -> BoxedStrategy<Value> {
        let test = prop_oneof![
            bound().prop_map(|v| ("$gt", v)),
            bound().prop_map(|v| ("$lte", v)),
            bound().prop_map(|v| ("$eq", v)),
            between().prop_map(|v| ("$between", v)),
            number().prop_map(|v| ("$anythingBut", v)),
            many(number(), 1, 3).prop_map(|v| ("$none", v)),
            many(number(), 1, 3).prop_map(|v| ("$all", v)),
            number().prop_map(|v| ("$not", v)),
        ];
        vec(test, 1..3).prop_map(matcher).boxed()
    }

    fn matcher(tests: Vec<(&'static str, Value)>) -> Value {
        object(tests.into_iter().map(|(operator, argument)| (operator.to_owned(), argument)).collect())
    }

    /// A name as a key: escaped where it begins with a dollar sign.
    fn key() -> impl Strategy<Value = String> {
        name().prop_map(|name| if name.starts_with('$') { format!("${name}") } else { name })
    }

    /// Any value of a field: literals, matchers and nested filters.
    fn node() -> BoxedStrategy<Value> {
        let leaf = prop_oneof![
            2 => scalar(),
            4 => vec(plain(), 1..3).prop_map(matcher),
            2 => many(prop_oneof![scalar(), vec(plain(), 1..2).prop_map(matcher)], 1, 4),
            1 => many(prop_oneof![9 => scalar(), 1 => vec(plain(), 1..2).prop_map(matcher)], 9, 20),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let filter = filter_of(inner.clone());
            let condition = inner.prop_filter_map("no condition", as_condition);
            let conditions = many(condition, 1, 3);
            let judge = prop_oneof![filter.clone(), conditions.clone(), vec(plain(), 1..3).prop_map(matcher)];
            prop_oneof![
                4 => filter,
                2 => one("$some", judge.clone()),
                2 => one("$every", judge),
                1 => one("$all", conditions.clone()),
                1 => one("$none", conditions.clone()),
                1 => one("$anythingBut", vec(plain(), 1..3).prop_map(matcher)),
                1 => conditions,
            ]
        })
        .boxed()
    }

    /// An array may contain only literals and matchers.
    fn as_condition(node: Value) -> Option<Value> {
        let operators = |map: &Map<String, Value>| {
            let operator = |key: &String| key.starts_with('$') && !key.starts_with("$$") && !is_junction(key);
            !map.is_empty() && map.keys().all(operator)
        };
        match node {
            Value::Array(mut items) => items.pop(),
            Value::Object(map) if operators(&map) => Some(Value::Object(map)),
            Value::Object(_) => None,
            literal => Some(literal),
        }
    }

    fn is_junction(key: &str) -> bool {
        ["$or", "$and", "$nor"].contains(&key)
    }

    fn filter_of(node: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
        let fields = vec((key(), node), 0..4).prop_map(object).boxed();
        let junction = prop_oneof![3 => Just("$or"), 1 => Just("$and"), 1 => Just("$nor")];
        let joined = (fields.clone(), junction, many(fields.clone(), 1, 3)).prop_map(
            |(mut fields, junction, patterns)| {
                fields[junction] = patterns;
                fields
            },
        );
        prop_oneof![3 => fields, 1 => joined].boxed()
    }

    pub(crate) fn filter() -> BoxedStrategy<Value> {
        let on_the_event = node().prop_filter_map("no condition", |node| match node {
            Value::Array(items) => Some(Value::Array(items)),
            node => as_condition(node).filter(Value::is_object),
        });
        prop_oneof![4 => filter_of(node()), 1 => on_the_event].boxed()
    }
}

pub(crate) mod trigger_dev {
    use super::*;

    fn literals() -> BoxedStrategy<Value> {
        prop_oneof![
            many(string(), 0, 4),
            many(string(), 9, 20),
            many(number(), 1, 4),
            many(any::<bool>().prop_map(Value::from), 1, 3),
        ]
        .boxed()
    }

    fn literal() -> BoxedStrategy<Value> {
        scalar().prop_filter("no null", |value| !value.is_null()).boxed()
    }

    fn matcher() -> BoxedStrategy<Value> {
        let boolean = || any::<bool>().prop_map(Value::from);
        prop_oneof![
            one("$startsWith", string()),
            one("$endsWith", string()),
            one("$ignoreCaseEquals", string()),
            one("$gt", number()),
            one("$gte", number()),
            one("$lt", number()),
            one("$lte", number()),
            one("$between", (-2..5_i64, -2..6_i64).prop_map(|(low, high)| json!([low, high]))),
            one("$includes", literal()),
            one("$exists", boolean()),
            one("$isNull", boolean()),
            one("$anythingBut", literal()),
            one("$anythingBut", literals()),
            one("$not", literal()),
        ]
        .boxed()
    }

    pub(crate) fn filter() -> BoxedStrategy<Value> {
        let leaf = prop_oneof![2 => literals(), 3 => many(matcher(), 1, 3)];
        let node = leaf.prop_recursive(3, 16, 4, |inner| vec((name(), inner), 0..4).prop_map(object));
        vec((name(), node), 0..4).prop_map(object).boxed()
    }
}

pub(crate) mod event_bridge {
    use super::*;

    fn condition() -> BoxedStrategy<Value> {
        let texts = || prop_oneof![string(), many(string(), 1, 3)];
        let some_text = || string().prop_filter("empty", |value| value != "");
        let folded = || one("equals-ignore-case", string());
        let inner = prop_oneof![
            one("prefix", prop_oneof![some_text(), many(some_text(), 1, 3)]),
            one("suffix", prop_oneof![some_text(), many(some_text(), 1, 3)]),
            one("equals-ignore-case", texts()),
            one("wildcard", prop_oneof![pick(&WILDCARDS), many(pick(&WILDCARDS), 1, 3)]),
        ];
        let operator = proptest::sample::select(vec!["=", "<", "<=", ">", ">="]);
        let range = (proptest::bool::ANY, -2..4_i64, proptest::bool::ANY, 1..4_i64).prop_map(
            |(above, low, below, span)| {
                json!([if above { ">" } else { ">=" }, low, if below { "<" } else { "<=" }, low + span])
            },
        );
        prop_oneof![
            4 => scalar(),
            1 => one("exactly", string()),
            1 => one("prefix", prop_oneof![string(), folded()]),
            1 => one("suffix", prop_oneof![string(), folded()]),
            1 => folded(),
            1 => one("wildcard", pick(&WILDCARDS)),
            1 => one("numeric", (operator, number()).prop_map(|(operator, number)| json!([operator, number]))),
            1 => one("numeric", range),
            4 => one("exists", any::<bool>().prop_map(Value::from)),
            1 => one("cidr", pick(&BLOCKS)),
            4 => one("anything-but", prop_oneof![string(), number(), many(string(), 1, 3), many(number(), 1, 3), inner]),
        ]
        .boxed()
    }

    /// A field's name except `$or`, which would look like the combinator.
    fn field_name() -> impl Strategy<Value = String> {
        name().prop_map(|name| if name == "$or" || name == "prefix" { "a".to_owned() } else { name })
    }

    fn pattern_of(node: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
        let fields = vec((field_name(), node), 1..3).prop_map(object).boxed();
        let joined = (fields.clone(), many(fields.clone(), 2, 4)).prop_map(|(mut fields, patterns)| {
            fields["$or"] = patterns;
            fields
        });
        let or_only = many(fields.clone(), 2, 4).prop_map(|patterns| json!({ "$or": patterns }));
        prop_oneof![6 => fields, 1 => joined, 1 => or_only].boxed()
    }

    pub(crate) fn pattern() -> BoxedStrategy<Value> {
        let conditions = many(condition(), 1, 6);
        let node = conditions.prop_recursive(3, 16, 3, |inner| pattern_of(inner.boxed()));
        pattern_of(node.boxed())
    }
}
