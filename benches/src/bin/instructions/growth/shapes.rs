//! Ways in which filters, and what they are matched against, can be large.

use filter::Dialect;

use super::operators::Operator;

/// A way in which filters can be large.
pub(super) struct Shape {
    pub(super) name: &'static str,
    /// Whether conditions of this operator fit into it.
    pub(super) fits: fn(&Operator) -> bool,
    pub(super) rules: fn(&Operator, usize) -> Vec<String>,
    pub(super) event: fn(&Operator, usize) -> String,
    /// Whether the event has the same length at every size, so that matching it takes as long where as many rules match.
    pub(super) same_event: bool,
    /// The smaller size; the larger one is four times as large.
    pub(super) size: usize,
}

/// Enough to find conditions by their keys.
const FEW: usize = 24;

/// Enough to find rules with a condition that many share by another one too: most of them have to be beyond the first few.
const MANY: usize = 96;

/// A member that makes an event so long that its fields are remembered.
const LONG_MEMBER: &str = concat!(
    r#""long":"................................................................................................"#,
    r#"................................................................................................"#,
    r#"................................................................................................""#
);

/// A condition as the value of a field.
pub(super) fn field(operator: &Operator, number: usize) -> String {
    let condition = (operator.condition)(number);
    match operator.dialect {
        Dialect::Native => condition,
        _ => format!("[{condition}]"),
    }
}

/// As many conditions.
fn list(operator: &Operator, count: usize) -> String {
    joined(count, &*operator.condition)
}

fn joined(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(",")
}

/// Something inside of objects that stand inside each other.
fn deep(levels: usize, inner: &str) -> String {
    format!("{}{inner}{}", r#"{"o":"#.repeat(levels), "}".repeat(levels))
}

fn is_typical(operator: &Operator) -> bool {
    operator.is_typical
}

/// The operators of trigger-dev are those of the native dialect, in lists of their own kind.
fn is_quick_and_distinct(operator: &Operator) -> bool {
    !operator.is_slow && operator.dialect != Dialect::TriggerDev
}

fn is_quick_and_native(operator: &Operator) -> bool {
    !operator.is_slow && operator.dialect == Dialect::Native
}

/// Whether an index finds it in another way than most.
fn is_of_its_own_kind(operator: &Operator) -> bool {
    ["$contains", "$between", "$startsWith in any case", "$some of a filter", "bridge: wildcard"]
        .iter()
        .any(|name| operator.name.ends_with(name))
}

fn is_typical_and_native(operator: &Operator) -> bool {
    is_typical(operator) && operator.dialect == Dialect::Native
}

/// A rule on the field `a` for each number.
fn rules(count: usize, rule: impl Fn(usize) -> String) -> Vec<String> {
    (0..count).map(rule).collect()
}

pub(super) const SHAPES: &[Shape] = &[
    Shape {
        name: "n rules",
        fits: is_quick_and_distinct,
        rules: |operator, n| rules(n, |i| format!(r#"{{"a":{}}}"#, field(operator, i))),
        event: |operator, _| format!(r#"{{"a":{}}}"#, (operator.value)(7)),
        same_event: true,
        size: FEW,
    },
    Shape {
        name: "n rules, beside a frequent condition",
        fits: is_of_its_own_kind,
        rules: |operator, n| rules(n, |i| format!(r#"{{"s":["x"],"a":{}}}"#, field(operator, i))),
        event: |operator, _| format!(r#"{{"s":"x","a":{}}}"#, (operator.value)(7)),
        same_event: true,
        size: MANY,
    },
    Shape {
        name: "n rules, beside a condition that fails",
        fits: is_of_its_own_kind,
        rules: |operator, n| rules(n, |i| format!(r#"{{"s":["x"],"a":{}}}"#, field(operator, i))),
        event: |operator, _| format!(r#"{{"s":"y","a":{}}}"#, (operator.value)(9_999)),
        same_event: true,
        size: MANY,
    },
    Shape {
        name: "n rules with the same condition",
        fits: is_of_its_own_kind,
        rules: |operator, n| rules(n, |i| format!(r#"{{"s":["x{i}"],"a":{}}}"#, field(operator, 7))),
        event: |operator, _| format!(r#"{{"s":"x3","a":{}}}"#, (operator.value)(7)),
        same_event: true,
        size: MANY,
    },
    Shape {
        name: "the same rule n times",
        fits: is_of_its_own_kind,
        rules: |operator, n| vec![format!(r#"{{"s":["x"],"a":{}}}"#, field(operator, 7)); n],
        event: |operator, _| format!(r#"{{"s":"y","a":{}}}"#, (operator.value)(7)),
        same_event: true,
        size: MANY,
    },
    Shape {
        name: "n rules, inside an object",
        fits: is_of_its_own_kind,
        rules: |operator, n| rules(n, |i| format!(r#"{{"o":{{"s":["x"],"a":{}}}}}"#, field(operator, i))),
        event: |operator, _| format!(r#"{{"o":[{{"s":"x","a":{}}}]}}"#, (operator.value)(7)),
        same_event: true,
        size: MANY,
    },
    Shape {
        name: "n rules on the event itself",
        fits: is_quick_and_native,
        rules: |operator, n| rules(n, |i| format!("[{}]", (operator.condition)(i))),
        event: |operator, _| (operator.value)(7),
        same_event: true,
        size: FEW,
    },
    Shape {
        name: "n rules on the elements of the event",
        fits: is_typical_and_native,
        rules: |operator, n| rules(n, |i| format!(r#"{{"$some":{{"a":{}}}}}"#, field(operator, i))),
        event: |operator, _| format!(r#"[{{"a":{}}}]"#, (operator.value)(7)),
        same_event: true,
        size: FEW,
    },
    Shape {
        name: "n rules on n fields",
        fits: is_typical,
        rules: |operator, n| rules(n, |i| format!(r#"{{"f{i}":{}}}"#, field(operator, i))),
        event: |operator, _| format!(r#"{{"f7":{}}}"#, (operator.value)(7)),
        same_event: true,
        size: FEW,
    },
    Shape {
        name: "a list of n",
        fits: |_| true,
        rules: |operator, n| vec![format!(r#"{{"a":[{}]}}"#, list(operator, n))],
        event: |operator, n| format!(r#"{{"a":{}}}"#, (operator.value)(n - 1)),
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "a list of n, an array",
        fits: is_typical,
        rules: |operator, n| vec![format!(r#"{{"s":["x"],"a":[{}]}}"#, list(operator, n))],
        // The product of both sizes is allowed: that many pairs may have to be compared.
        event: |operator, _| format!(r#"{{"s":"x","a":[{}]}}"#, joined(16, operator.value)),
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "an array of n",
        fits: is_quick_and_distinct,
        rules: |operator, _| vec![format!(r#"{{"s":["x"],"a":{}}}"#, field(operator, 7))],
        event: |operator, n| format!(r#"{{"s":"x","a":[{}]}}"#, joined(n, operator.value)),
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "an array of n objects",
        fits: is_typical,
        rules: |operator, _| vec![format!(r#"{{"s":["x"],"a":{{"b":{}}}}}"#, field(operator, 9_999))],
        event: |operator, n| {
            format!(r#"{{"s":"x","a":[{}]}}"#, joined(n, |i| format!(r#"{{"b":{}}}"#, (operator.value)(i))))
        },
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "$some of n",
        fits: is_quick_and_native,
        rules: |operator, n| vec![format!(r#"{{"a":{{"$some":[{}]}}}}"#, list(operator, n))],
        event: |operator, n| format!(r#"{{"a":["y",{}]}}"#, (operator.value)(n - 1)),
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "$every of n",
        fits: is_quick_and_native,
        rules: |operator, n| vec![format!(r#"{{"a":{{"$every":[{}]}}}}"#, list(operator, n))],
        event: |operator, n| format!(r#"{{"a":[{},{}]}}"#, (operator.value)(0), (operator.value)(n - 1)),
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "$all of n",
        fits: is_quick_and_native,
        rules: |operator, n| vec![format!(r#"{{"a":{{"$all":[{}]}}}}"#, list(operator, n))],
        event: |operator, _| format!(r#"{{"a":{}}}"#, (operator.value)(0)),
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "$none of n",
        fits: is_quick_and_native,
        rules: |operator, n| vec![format!(r#"{{"a":{{"$none":[{}]}}}}"#, list(operator, n))],
        event: |operator, n| format!(r#"{{"a":{}}}"#, (operator.value)(n)),
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "n excluded",
        fits: |operator| operator.name.ends_with(": a string") || operator.name.contains(" anything-but"),
        rules: |operator, n| {
            let list = list(operator, n);
            let excluded = match (operator.dialect, excluded_operator(operator, n)) {
                (Dialect::Native, _) => format!(r#"{{"$anythingBut":[{list}]}}"#),
                (Dialect::TriggerDev, _) => format!(r#"[{{"$anythingBut":[{list}]}}]"#),
                (_, Some(excluded)) => format!(r#"[{{"anything-but":{excluded}}}]"#),
                (_, None) => format!(r#"[{{"anything-but":[{}]}}]"#, joined(n, operator.value)),
            };
            vec![format!(r#"{{"a":{excluded}}}"#)]
        },
        event: |operator, n| format!(r#"{{"a":{}}}"#, (operator.value)(n)),
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "n fields",
        fits: is_typical,
        rules: |operator, n| {
            vec![format!("{{{}}}", joined(n, |i| format!(r#""f{i}":{}"#, field(operator, i))))]
        },
        event: |operator, n| {
            let fields = joined(n, |i| format!(r#""f{i}":{}"#, (operator.value)(i)));
            format!("{{{fields},{LONG_MEMBER}}}")
        },
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "n missing fields",
        fits: |operator| is_typical(operator) && !operator.name.contains("$some"),
        rules: |operator, n| {
            vec![format!("{{{}}}", joined(n, |i| format!(r#""f{i}":{}"#, field(operator, i))))]
        },
        event: |operator, n| {
            let fields = joined(n, |i| format!(r#""g{i}":{}"#, (operator.value)(i)));
            format!("{{{fields},{LONG_MEMBER}}}")
        },
        same_event: false,
        // Names that are alike are looked for among the first fields only, and all of few fields are found without a table.
        size: 2 * MANY,
    },
    Shape {
        name: "n alternatives",
        fits: is_typical,
        rules: |operator, n| {
            let all = joined(n, |i| format!(r#"{{"a":{},"f{i}":["x"]}}"#, field(operator, i)));
            vec![format!(r#"{{"$or":[{all}]}}"#)]
        },
        event: |operator, n| {
            let fields = joined(n, |i| format!(r#""f{i}":"y""#));
            format!(r#"{{"a":{},{fields}}}"#, (operator.value)(n - 1))
        },
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "n alternatives on one large value",
        fits: is_typical_and_native,
        rules: |operator, n| {
            let all = joined(n, |i| format!(r#"{{"a":{{"x":{}}}}}"#, field(operator, i)));
            vec![format!(r#"{{"$or":[{all}]}}"#)]
        },
        event: |operator, n| {
            let fields = joined(n, |i| format!(r#""f{i}":"y""#));
            format!(r#"{{"a":{{{fields},"x":{}}},{LONG_MEMBER}}}"#, (operator.value)(n - 1))
        },
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "$and of n",
        fits: is_typical_and_native,
        rules: |operator, n| {
            vec![format!(
                r#"{{"$and":[{}]}}"#,
                joined(n, |i| format!(r#"{{"f{i}":{}}}"#, field(operator, i)))
            )]
        },
        event: |operator, n| {
            let fields = joined(n, |i| format!(r#""f{i}":{}"#, (operator.value)(i)));
            format!("{{{fields},{LONG_MEMBER}}}")
        },
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "$nor of n",
        fits: |operator| is_typical_and_native(operator) && is_of_its_own_kind(operator),
        rules: |operator, n| {
            vec![format!(r#"{{"$nor":[{}]}}"#, joined(n, |i| format!(r#"{{"a":{}}}"#, field(operator, i))))]
        },
        event: |operator, n| format!(r#"{{"a":{}}}"#, (operator.value)(n)),
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "n fields of every element",
        fits: is_typical_and_native,
        rules: |operator, n| {
            let fields = joined(n, |i| format!(r#""f{i}":{}"#, field(operator, i)));
            vec![format!(r#"{{"a":{{"$every":{{{fields}}}}}}}"#)]
        },
        event: |operator, n| {
            let fields = joined(n, |i| format!(r#""f{i}":{}"#, (operator.value)(i)));
            format!(r#"{{"a":[{{{fields}}}]}}"#)
        },
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "a text of 64 n bytes",
        fits: is_quick_and_distinct,
        rules: |operator, _| vec![format!(r#"{{"a":{}}}"#, field(operator, 7))],
        event: |_, n| format!(r#"{{"a":"{}"}}"#, "word 00000 en d ".repeat(4 * n)),
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "an event of n other fields",
        fits: is_typical,
        rules: |operator, _| vec![format!(r#"{{"a":{},"b":{{"c":["x"]}}}}"#, field(operator, 7))],
        event: |operator, n| {
            let fields = joined(n, |i| format!(r#""f{i}":{}"#, (operator.value)(i)));
            format!(r#"{{{fields},"a":{},"b":{{{fields},"c":"x"}}}}"#, (operator.value)(7))
        },
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "n/16 operators deep",
        fits: is_typical_and_native,
        rules: |operator, n| {
            let levels = (n / 16).max(1);
            let (before, after) = (r#"{"$none":["#.repeat(levels), "]}".repeat(levels));
            vec![format!(r#"{{"a":{before}{}{after}}}"#, (operator.condition)(7))]
        },
        event: |operator, _| format!(r#"{{"a":{}}}"#, (operator.value)(7)),
        same_event: false,
        size: FEW,
    },
    Shape {
        name: "n/2 objects deep",
        fits: is_typical,
        rules: |operator, n| vec![deep(n / 2, &format!(r#"{{"a":{}}}"#, field(operator, 7)))],
        event: |operator, n| {
            let inner = deep(n / 2, &format!(r#"{{"a":{}}}"#, (operator.value)(7)));
            format!(r#"{{{LONG_MEMBER},{}"#, &inner[1..])
        },
        same_event: false,
        size: FEW,
    },
];

/// The argument of `anything-but` with one operator and a list of texts.
fn excluded_operator(operator: &Operator, count: usize) -> Option<String> {
    let of = |i| {
        let condition: serde_json::Value = serde_json::from_str(&(operator.condition)(i)).ok()?;
        let (name, text) = condition.get("anything-but")?.as_object()?.iter().next()?;
        Some((name.clone(), text.to_string()))
    };
    let all: Vec<(String, String)> = (0..count).map(of).collect::<Option<_>>()?;
    let (name, _) = all.first()?;
    Some(format!(r#"{{"{name}":[{}]}}"#, joined(count, |i| all[i].1.clone())))
}
