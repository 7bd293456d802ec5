//! Growth: four times the size may cost at most about five times as much, whatever the operator and wherever the size is.
//!
//! ```text
//!  operators × shapes × steps ──► instructions at a size and at four times the size ──► their quotient
//! ```
//!
//! A new operator is one entry of [`operators`], a new way in which filters can be large is one of [`SHAPES`]. Counts of
//! instructions, unlike times, are the same on a busy machine, so the limits can be tight.

use std::hint::black_box;

use filter::{Dialect, Document, Filter, FilterOptions, FilterSet, Matches};
use serde_json::Value;

use super::counted;

/// The smaller and the larger size.
const SIZES: [usize; 2] = [128, 512];

/// The greatest quotient for work that is linear; growing tables is in it.
const LINEAR: f64 = 5.0;

/// The greatest quotient for changes of a set, which sort ranges; × 6.6 was counted, for a list of them.
const SORTED: f64 = 7.5;

/// The greatest quotient for an event that as many rules match at both sizes.
const CONSTANT: f64 = 1.6;

/// The number of events that one count contains; the first ones find nothing in a cache.
const EVENTS: usize = 2;

/// A condition for each number, and a value that satisfies it and few others.
struct Operator {
    name: &'static str,
    dialect: Dialect,
    condition: fn(usize) -> String,
    value: fn(usize) -> String,
}

fn operators() -> Vec<Operator> {
    fn native(name: &'static str, condition: fn(usize) -> String, value: fn(usize) -> String) -> Operator {
        Operator { name, dialect: Dialect::Native, condition, value }
    }
    fn bridge(name: &'static str, condition: fn(usize) -> String, value: fn(usize) -> String) -> Operator {
        Operator { name, dialect: Dialect::EventBridge, condition, value }
    }
    let text: fn(usize) -> String = |i| format!(r#""word {i:05} end""#);
    let number: fn(usize) -> String = |i| i.to_string();
    let address: fn(usize) -> String = |i| format!(r#""10.{}.{}.9""#, i / 256, i % 256);
    vec![
        native("string", text, text),
        native("number", number, number),
        native("$startsWith", |i| format!(r#"{{"$startsWith":"word {i:05}"}}"#), text),
        native("$endsWith", |i| format!(r#"{{"$endsWith":"{i:05} end"}}"#), text),
        native("$contains", |i| format!(r#"{{"$contains":"d {i:05} e"}}"#), text),
        native("$ignoreCaseEquals", |i| format!(r#"{{"$ignoreCaseEquals":"WORD {i:05} end"}}"#), text),
        native("$regex", |i| format!(r#"{{"$regex":"[a-z]+ {i:05} (end|more)"}}"#), text),
        native("$regex, anchored", |i| format!(r#"{{"$regex":"^word {i:05}\\b.*d$"}}"#), text),
        native("$wildcard", |i| format!(r#"{{"$wildcard":"wor*{i:05}*end"}}"#), text),
        native("$cidr", |i| format!(r#"{{"$cidr":"10.{}.{}.0/24"}}"#, i / 256, i % 256), address),
        native("$gt", |i| format!(r#"{{"$gt":{i}}}"#), |_| "3".to_owned()),
        native("$between", |i| format!(r#"{{"$between":[{i},{}]}}"#, i + 2), number),
        native("$includes", |i| format!(r#"{{"$includes":"t{i}"}}"#), |i| format!(r#"["x","t{i}"]"#)),
        native("$size", |i| format!(r#"{{"$size":{i}}}"#), |_| "[1,2,3]".to_owned()),
        native("$size of a range", |i| format!(r#"{{"$size":{{"$gt":{i}}}}}"#), |_| "[1,2,3]".to_owned()),
        native(
            "$some of a filter",
            |i| format!(r#"{{"$some":{{"k":"t{i}"}}}}"#),
            |i| format!(r#"[{{"k":"x"}},{{"k":"t{i}"}}]"#),
        ),
        native(
            "$some of a matcher",
            |i| format!(r#"{{"$some":{{"$startsWith":"t{i:05}"}}}}"#),
            |i| format!(r#"["x","t{i:05}"]"#),
        ),
        native(
            "$some of a range",
            |i| format!(r#"{{"$some":{{"$between":[{i},{}]}}}}"#, i + 1),
            |i| format!(r#"[{i}]"#),
        ),
        native("$every", |i| format!(r#"{{"$every":["t{i}"]}}"#), |i| format!(r#"["t{i}"]"#)),
        native(
            "$all",
            |i| format!(r#"{{"$all":[{{"$startsWith":"word {i:05}"}},{{"$endsWith":"d"}}]}}"#),
            text,
        ),
        native(
            "$startsWith in any case",
            |i| format!(r#"{{"$ignoreCase":{{"$startsWith":"WORD {i:05}"}}}}"#),
            text,
        ),
        native(
            "$contains in any case",
            |i| format!(r#"{{"$ignoreCase":{{"$contains":"D {i:05} e"}}}}"#),
            text,
        ),
        native(
            "$wildcard in any case",
            |i| format!(r#"{{"$ignoreCase":{{"$wildcard":"*D {i:05} e*"}}}}"#),
            text,
        ),
        native(
            "$after",
            |i| format!(r#"{{"$after":"2026-01-01T{:02}:{:02}:00Z"}}"#, i / 60, i % 60),
            |_| r#""2026-01-01T00:03:30Z""#.to_owned(),
        ),
        native("nested", |i| format!(r#"{{"k":"t{i}"}}"#), |i| format!(r#"{{"k":"t{i}"}}"#)),
        native("nested arrays", |i| format!(r#"{{"k":"t{i}"}}"#), |i| format!(r#"[{{"k":"t{i}"}}]"#)),
        bridge("event-bridge string", text, text),
        bridge("prefix", |i| format!(r#"{{"prefix":"word {i:05}"}}"#), text),
        bridge("suffix", |i| format!(r#"{{"suffix":"{i:05} end"}}"#), text),
        bridge(
            "prefix in any case",
            |i| format!(r#"{{"prefix":{{"equals-ignore-case":"WORD {i:05}"}}}}"#),
            text,
        ),
        bridge(
            "suffix in any case",
            |i| format!(r#"{{"suffix":{{"equals-ignore-case":"{i:05} END"}}}}"#),
            text,
        ),
        bridge("equals-ignore-case", |i| format!(r#"{{"equals-ignore-case":"WORD {i:05} end"}}"#), text),
        bridge("wildcard", |i| format!(r#"{{"wildcard":"wor*{i:05}*end"}}"#), text),
        bridge("cidr", |i| format!(r#"{{"cidr":"10.{}.{}.0/24"}}"#, i / 256, i % 256), address),
        bridge("numeric", |i| format!(r#"{{"numeric":[">",{i}]}}"#), |_| "3".to_owned()),
        bridge("numeric between", |i| format!(r#"{{"numeric":[">=",{i},"<",{}]}}"#, i + 2), number),
    ]
}

/// A way in which filters can be large.
struct Shape {
    name: &'static str,
    /// Whether conditions of this operator fit into it.
    fits: fn(&Operator) -> bool,
    rules: fn(&Operator, usize) -> Vec<String>,
    event: fn(&Operator, usize) -> String,
    /// The greatest quotient for an event.
    event_limit: f64,
}

/// A condition as the value of a field.
fn field(operator: &Operator, number: usize) -> String {
    let condition = (operator.condition)(number);
    match operator.dialect {
        Dialect::EventBridge => format!("[{condition}]"),
        _ => condition,
    }
}

fn is_condition(operator: &Operator) -> bool {
    !operator.name.starts_with("nested")
}

fn joined(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(",")
}

/// Something inside of objects that stand inside each other.
fn deep(levels: usize, inner: &str) -> String {
    format!("{}{inner}{}", r#"{"o":"#.repeat(levels), "}".repeat(levels))
}

const SHAPES: [Shape; 13] = [
    Shape {
        name: "n rules",
        fits: |_| true,
        rules: |operator, n| (0..n).map(|i| format!(r#"{{"a":{}}}"#, field(operator, i))).collect(),
        event: |operator, _| format!(r#"{{"a":{}}}"#, (operator.value)(7)),
        event_limit: CONSTANT,
    },
    Shape {
        name: "n rules, beside a frequent condition",
        fits: |_| true,
        rules: |operator, n| (0..n).map(|i| format!(r#"{{"s":["x"],"a":{}}}"#, field(operator, i))).collect(),
        event: |operator, _| format!(r#"{{"s":"x","a":{}}}"#, (operator.value)(7)),
        event_limit: CONSTANT,
    },
    Shape {
        name: "n rules, beside a condition that fails",
        fits: |_| true,
        rules: |operator, n| (0..n).map(|i| format!(r#"{{"s":["x"],"a":{}}}"#, field(operator, i))).collect(),
        event: |operator, n| format!(r#"{{"s":"y","a":{}}}"#, (operator.value)(n)),
        event_limit: CONSTANT,
    },
    Shape {
        name: "n rules with the same condition",
        fits: |_| true,
        rules: |operator, n| {
            (0..n).map(|i| format!(r#"{{"s":["x{i}"],"a":{}}}"#, field(operator, 7))).collect()
        },
        event: |operator, _| format!(r#"{{"s":"x3","a":{}}}"#, (operator.value)(7)),
        event_limit: CONSTANT,
    },
    Shape {
        name: "the same rule n times",
        fits: |_| true,
        rules: |operator, n| vec![format!(r#"{{"s":["x"],"a":{}}}"#, field(operator, 7)); n],
        event: |operator, _| format!(r#"{{"s":"y","a":{}}}"#, (operator.value)(7)),
        event_limit: CONSTANT,
    },
    Shape {
        name: "n rules, inside an object",
        fits: |_| true,
        rules: |operator, n| {
            (0..n).map(|i| format!(r#"{{"o":{{"s":["x"],"a":{}}}}}"#, field(operator, i))).collect()
        },
        event: |operator, _| format!(r#"{{"o":[{{"s":"x","a":{}}}]}}"#, (operator.value)(7)),
        event_limit: CONSTANT,
    },
    Shape {
        name: "a list of n",
        fits: is_condition,
        rules: |operator, n| vec![format!(r#"{{"a":[{}]}}"#, joined(n, operator.condition))],
        event: |operator, n| format!(r#"{{"a":{}}}"#, (operator.value)(n - 1)),
        event_limit: LINEAR,
    },
    Shape {
        name: "a list of n, an array",
        fits: is_condition,
        rules: |operator, n| vec![format!(r#"{{"s":["x"],"a":[{}]}}"#, joined(n, operator.condition))],
        // The product of both sizes is allowed: that many pairs may have to be compared.
        event: |operator, _| format!(r#"{{"s":"x","a":[{}]}}"#, joined(64, operator.value)),
        event_limit: LINEAR,
    },
    Shape {
        name: "n fields",
        fits: |_| true,
        rules: |operator, n| {
            vec![format!("{{{}}}", joined(n, |i| format!(r#""f{i}":{}"#, field(operator, i))))]
        },
        event: |operator, n| format!("{{{}}}", joined(n, |i| format!(r#""f{i}":{}"#, (operator.value)(i)))),
        event_limit: LINEAR,
    },
    Shape {
        name: "n alternatives",
        fits: |_| true,
        rules: |operator, n| {
            let all = joined(n, |i| format!(r#"{{"a":{},"f{i}":["x"]}}"#, field(operator, i)));
            vec![format!(r#"{{"$or":[{all}]}}"#)]
        },
        event: |operator, n| {
            let fields = joined(n, |i| format!(r#""f{i}":"y""#));
            format!(r#"{{"a":{},{fields}}}"#, (operator.value)(n - 1))
        },
        event_limit: LINEAR,
    },
    Shape {
        name: "n fields of every element",
        fits: |operator| operator.dialect == Dialect::Native,
        rules: |operator, n| {
            let fields = joined(n, |i| format!(r#""f{i}":{}"#, field(operator, i)));
            vec![format!(r#"{{"a":{{"$every":{{{fields}}}}}}}"#)]
        },
        event: |operator, n| {
            let fields = joined(n, |i| format!(r#""f{i}":{}"#, (operator.value)(i)));
            format!(r#"{{"a":[{{{fields}}}]}}"#)
        },
        event_limit: LINEAR,
    },
    Shape {
        name: "n/16 operators deep",
        fits: |operator| operator.dialect == Dialect::Native && is_condition(operator),
        rules: |operator, n| {
            let (before, after) = (r#"{"$none":["#.repeat(n / 16), "]}".repeat(n / 16));
            vec![format!(r#"{{"a":{before}{}{after}}}"#, (operator.condition)(7))]
        },
        event: |operator, _| format!(r#"{{"a":{}}}"#, (operator.value)(7)),
        event_limit: LINEAR,
    },
    Shape {
        name: "n/8 objects deep",
        fits: |_| true,
        rules: |operator, n| vec![deep(n / 8, &format!(r#"{{"a":{}}}"#, field(operator, 7)))],
        event: |operator, n| deep(n / 8, &format!(r#"{{"a":{}}}"#, (operator.value)(7))),
        event_limit: LINEAR,
    },
];

/// What is counted, with its limit.
type Step = (&'static str, fn(&Shape) -> f64);

const STEPS: [Step; 8] = [
    ("compile", |_| LINEAR),
    ("insert", |_| SORTED),
    ("match", |shape| shape.event_limit),
    ("match, validating", |shape| shape.event_limit),
    ("match, parsed", |shape| shape.event_limit),
    ("judge", |_| LINEAR),
    ("explain", |_| LINEAR),
    ("remove and insert", |_| SORTED),
];

/// The name of every shape.
pub(crate) fn shapes() -> impl Iterator<Item = &'static str> {
    SHAPES.iter().map(|shape| shape.name)
}

/// Runs all steps of a shape for all operators; each calls [`counted`] once.
pub(crate) fn run(shape: &str) -> bool {
    let Some(shape) = SHAPES.iter().find(|other| other.name == shape) else { return false };
    for operator in operators().iter().filter(|operator| (shape.fits)(operator)) {
        SIZES.iter().for_each(|&size| steps(shape, operator, size));
    }
    true
}

/// Calls [`counted`] once for each of [`STEPS`].
fn steps(shape: &Shape, operator: &Operator, size: usize) {
    let rules = (shape.rules)(operator, size);
    let event = (shape.event)(operator, size);
    let options = FilterOptions::new().dialect(operator.dialect);
    let compile = |rule: &String| options.parse(rule).unwrap_or_else(|error| panic!("{rule:.300}: {error}"));
    let mut filters: Vec<Filter> = Vec::with_capacity(rules.len());
    counted(&mut || filters = rules.iter().map(compile).collect());
    let mut set = FilterSet::new();
    counted(&mut || {
        for (id, filter) in filters.iter().enumerate() {
            set.insert(id, filter.clone());
        }
    });
    let mut matches = Matches::new();
    let bytes = event.as_bytes();
    let value: Value = serde_json::from_slice(bytes).expect("invariant: the events are JSON");
    // What is found by a count of events once, whatever the size, must not hide their growth.
    set.matches_valid_slice_into(bytes, &mut matches);
    counted(&mut || {
        for _ in 0..EVENTS {
            set.matches_valid_slice_into(black_box(bytes), &mut matches);
        }
    });
    counted(&mut || {
        for _ in 0..EVENTS {
            black_box(set.matches_slice_into(black_box(bytes), &mut matches)).expect("invariant: it is JSON");
        }
    });
    counted(&mut || {
        for _ in 0..EVENTS {
            set.matches_into(black_box(&value), &mut matches);
        }
    });
    let document = Document::from_slice(bytes).expect("invariant: it is JSON");
    counted(&mut || {
        _ = black_box(filters[0].matches_document(black_box(&document)));
    });
    counted(&mut || {
        _ = black_box(filters[0].explain_slice(bytes).map(|explanation| explanation.to_string()));
    });
    let ids = (0..filters.len()).filter(|id| id % 2 == 0);
    counted(&mut || {
        for id in ids.clone() {
            set.remove(&id);
        }
        for id in ids.clone() {
            set.insert(id, filters[id].clone());
        }
    });
}

/// Prints the quotients above their limits, or all of them, and returns whether there are none above.
pub(crate) fn judge(shape: &str, counts: &[u64], all: bool) -> Result<bool, String> {
    let shape = SHAPES.iter().find(|other| other.name == shape).ok_or("there is no such shape")?;
    let operators: Vec<Operator> =
        operators().into_iter().filter(|operator| (shape.fits)(operator)).collect();
    let expected = operators.len() * SIZES.len() * STEPS.len();
    if counts.len() != expected {
        return Err(format!("{}: {} counts instead of {expected}", shape.name, counts.len()));
    }
    let mut good = true;
    for (operator, counts) in operators.iter().zip(counts.chunks(SIZES.len() * STEPS.len())) {
        let (small, large) = counts.split_at(STEPS.len());
        for ((step, limit), (&small, &large)) in STEPS.iter().zip(small.iter().zip(large)) {
            let (quotient, limit) = (large as f64 / small.max(1) as f64, limit(shape));
            if quotient > limit || all {
                let verdict = if quotient > limit { format!("  MORE than {limit}") } else { String::new() };
                println!(
                    "{}, {}, {step}: {small} at {}, {large} at {}: × {quotient:.1}{verdict}",
                    shape.name, operator.name, SIZES[0], SIZES[1]
                );
            }
            good &= quotient <= limit;
        }
    }
    Ok(good)
}
