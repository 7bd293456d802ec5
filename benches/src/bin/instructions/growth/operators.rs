//! A few conditions of every operator, in every dialect.
//!
//! The operators are those of the language's tables, as the JSON Schemas show them. So a new operator cannot be left out: without
//! an entry in [`samples`] the run fails.

use std::rc::Rc;

use filter::{Dialect, FilterOptions};
use serde_json::Value;

/// A condition for each number, and a value for each, that satisfies it and few others.
pub(super) struct Operator {
    pub(super) name: String,
    pub(super) dialect: Dialect,
    pub(super) condition: Rc<dyn Fn(usize) -> String>,
    pub(super) value: fn(usize) -> String,
    /// Whether it stands for the operators that an index finds in the same way.
    pub(super) is_typical: bool,
    /// Whether preparing one condition takes a hundred times as long as others.
    pub(super) is_slow: bool,
}

/// Conditions, and values that satisfy them.
struct Sample {
    what: String,
    condition: Rc<dyn Fn(usize) -> String>,
    value: fn(usize) -> String,
    is_typical: bool,
}

fn sample(what: &str, condition: impl Fn(usize) -> String + 'static, value: fn(usize) -> String) -> Sample {
    Sample { what: what.to_owned(), condition: Rc::new(condition), value, is_typical: false }
}

/// A sample that stands for others.
fn typical(what: &str, condition: impl Fn(usize) -> String + 'static, value: fn(usize) -> String) -> Sample {
    Sample { is_typical: true, ..sample(what, condition, value) }
}

fn text(i: usize) -> String {
    format!(r#""word {i:05} end""#)
}

fn number(i: usize) -> String {
    i.to_string()
}

fn address(i: usize) -> String {
    format!(r#""10.{}.{}.9""#, i / 256, i % 256)
}

fn moment(i: usize) -> String {
    format!(r#""2026-01-{:02}T{:02}:{:02}:30Z""#, i / 1440 + 1, i / 60 % 24, i % 60)
}

fn array_of_text(i: usize) -> String {
    format!(r#"["x",{}]"#, text(i))
}

fn array_of_number(i: usize) -> String {
    format!("[{i}]")
}

fn array_of_object(i: usize) -> String {
    format!(r#"[{{"k":"x"}},{{"k":"t{i}"}}]"#)
}

/// The samples of all operators.
pub(super) fn all() -> Result<Vec<Operator>, String> {
    let mut operators = Vec::new();
    for dialect in Dialect::ALL {
        let schema = filter::schema(dialect);
        let names = names(&schema, "/$defs/matcher/properties")?;
        let literals = [typical("a string", text, text), typical("a number", number, number)];
        let mut samples: Vec<Sample> = literals.into();
        for name in names {
            let of_operator = match name {
                // Operators on the same value, each with another way to be found.
                "$ignoreCase" => in_any_case(&schema)?,
                "anything-but" => excluded(&schema)?,
                _ => samples_of(dialect, name),
            };
            if of_operator.is_empty() {
                return Err(format!("{dialect}: the operator {name} has no sample in growth/operators.rs"));
            }
            samples.extend(of_operator);
        }
        if dialect == Dialect::TriggerDev {
            // Its operators are a part of the native ones, and so are their arguments.
            let options = FilterOptions::new().dialect(dialect);
            samples
                .retain(|sample| options.parse(&format!(r#"{{"a":[{}]}}"#, (sample.condition)(7))).is_ok());
            samples.iter_mut().for_each(|sample| sample.is_typical = false);
        }
        operators.extend(samples.into_iter().map(|Sample { what, condition, value, is_typical }| Operator {
            name: format!("{dialect}: {what}"),
            dialect,
            is_slow: condition(0).contains("$regex"),
            condition,
            value,
            is_typical,
        }));
    }
    Ok(operators)
}

/// The names of the properties at a place of a schema.
fn names<'s>(schema: &'s Value, place: &str) -> Result<Vec<&'s str>, String> {
    let properties = schema.pointer(place).and_then(Value::as_object);
    let properties = properties.ok_or_else(|| format!("the schema has no operators at {place}"))?;
    Ok(properties.keys().map(String::as_str).collect())
}

/// Each operator on text inside of `$ignoreCase`.
fn in_any_case(schema: &Value) -> Result<Vec<Sample>, String> {
    let mut all = Vec::new();
    for name in names(schema, "/$defs/textMatcher/properties")? {
        let of_text = samples_of(Dialect::Native, name).into_iter().next();
        let Sample { condition, .. } =
            of_text.ok_or_else(|| format!("{name} has no sample in growth/operators.rs"))?;
        let folded = move |i| format!(r#"{{"$ignoreCase":{}}}"#, condition(i).replace("word", "WORD"));
        let what = format!("{name} in any case");
        all.push(if name == "$startsWith" {
            typical(&what, folded, text)
        } else {
            sample(&what, folded, text)
        });
    }
    Ok(all)
}

/// What `anything-but` can exclude.
fn excluded(schema: &Value) -> Result<Vec<Sample>, String> {
    let but = |what: &str| format!("anything-but {what}");
    let mut all = vec![
        sample(&but("a string"), |i| format!(r#"{{"anything-but":{}}}"#, text(i)), text),
        sample(&but("numbers"), |i| format!(r#"{{"anything-but":[{i},{}]}}"#, i + 1), number),
    ];
    for name in names(schema, "/$defs/matcher/properties/anything-but/anyOf/4/properties")? {
        let of_operator = samples_of(Dialect::EventBridge, name).into_iter().next();
        let Sample { condition, value, .. } =
            of_operator.ok_or_else(|| format!("{name} has no sample in growth/operators.rs"))?;
        let but_one = move |i| format!(r#"{{"anything-but":{}}}"#, condition(i));
        all.push(sample(&but(name), but_one, value));
    }
    Ok(all)
}

fn samples_of(dialect: Dialect, operator: &str) -> Vec<Sample> {
    match dialect {
        Dialect::EventBridge => samples_of_event_bridge(operator),
        _ => samples(operator),
    }
}

/// Samples of the operators whose names begin with `$`.
fn samples(operator: &str) -> Vec<Sample> {
    let name = operator.to_owned();
    let with = |argument: fn(usize) -> String| {
        let name = name.clone();
        move |i: usize| format!(r#"{{"{name}":{}}}"#, argument(i))
    };
    // Of a range with one end, only the first few numbers are inside.
    let three: fn(usize) -> String = |_| "3".to_owned();
    match operator {
        "$startsWith" => vec![typical(operator, with(|i| format!(r#""word {i:05}""#)), text)],
        "$endsWith" => vec![sample(operator, with(|i| format!(r#""{i:05} end""#)), text)],
        "$contains" => vec![typical(operator, with(|i| format!(r#""d {i:05} e""#)), text)],
        "$ignoreCaseEquals" => vec![sample(operator, with(|i| format!(r#""WORD {i:05} end""#)), text)],
        "$regex" => vec![sample(operator, with(|i| format!(r#""{i:05} (end|more)""#)), text)],
        "$wildcard" => vec![sample(operator, with(|i| format!(r#""wor*{i:05}*end""#)), text)],
        "$cidr" => {
            vec![sample(operator, with(|i| format!(r#""10.{}.{}.0/24""#, i / 256, i % 256)), address)]
        }
        "$before" => vec![sample(operator, with(|i| moment(9_999 - i)), |_| moment(9_996))],
        "$after" => vec![
            sample(operator, with(moment), |_| moment(3)),
            sample(
                "$after and $before",
                |i| format!(r#"{{"$after":{},"$before":{}}}"#, moment(i), moment(i + 2)),
                |i| moment(i + 1),
            ),
        ],
        "$eq" => vec![
            sample(operator, with(text), text),
            sample("$eq of a reference", with(|i| format!(r#"{{"$ref":"/r{i}"}}"#)), text),
        ],
        "$gt" => vec![
            typical(operator, with(number), three),
            sample("$gt of a reference", with(|i| format!(r#"{{"$ref":"/r{i}/n"}}"#)), number),
        ],
        "$gte" => vec![
            sample(operator, with(number), three),
            sample("$gte and $lt", |i| format!(r#"{{"$gte":{i},"$lt":{}}}"#, i + 2), number),
        ],
        "$lt" | "$lte" => vec![sample(operator, with(|i| number(9_999 - i)), |_| "9996".to_owned())],
        "$between" => vec![
            typical(operator, with(|i| format!("[{i},{}]", i + 2)), number),
            sample("$between, nested", with(|i| format!("[{},{}]", 100_000 - i, 100_000 + i)), |_| {
                "100000".to_owned()
            }),
        ],
        "$includes" => vec![sample(operator, with(text), array_of_text)],
        "$size" => vec![
            sample(operator, with(number), |_| "[1,2,3]".to_owned()),
            sample("$size of a range", with(|i| format!(r#"{{"$gt":{i}}}"#)), |_| "[1,2,3]".to_owned()),
        ],
        "$some" => vec![
            typical("$some of a filter", with(|i| format!(r#"{{"k":"t{i}"}}"#)), array_of_object),
            sample(
                "$some of a matcher",
                with(|i| format!(r#"{{"$startsWith":"word {i:05}"}}"#)),
                array_of_text,
            ),
            sample(
                "$some of a range",
                with(|i| format!(r#"{{"$between":[{i},{}]}}"#, i + 1)),
                array_of_number,
            ),
            sample(
                "$some of a list",
                with(|i| {
                    format!(r#"[{},{{"$startsWith":"u{i:05}"}},{{"$between":[{i},{}]}}]"#, text(i), i + 1)
                }),
                array_of_text,
            ),
        ],
        "$every" => vec![
            sample(operator, with(|i| format!("[{}]", text(i))), |i| format!("[{}]", text(i))),
            sample("$every of a filter", with(|i| format!(r#"{{"k":"t{i}"}}"#)), |i| {
                format!(r#"[{{"k":"t{i}"}}]"#)
            }),
        ],
        "$exists" => vec![sample(operator, with(|_| "true".to_owned()), text)],
        "$isNull" => vec![sample(operator, with(|_| "true".to_owned()), |_| "null".to_owned())],
        "$anythingBut" => vec![
            typical(operator, with(text), text),
            sample("$anythingBut of several", with(|i| format!(r#"[{},"v{i}"]"#, text(i))), text),
        ],
        "$not" => vec![sample(operator, with(text), text)],
        "$all" => vec![sample(
            operator,
            with(|i| format!(r#"[{{"$startsWith":"word {i:05}"}},{{"$endsWith":"d"}}]"#)),
            text,
        )],
        "$none" => vec![
            sample(operator, with(|i| format!(r#"[{},{{"$startsWith":"v{i}"}}]"#, text(i))), text),
            sample("$anythingBut of a matcher", |i| format!(r#"{{"$anythingBut":{{"$gt":{i}}}}}"#), number),
        ],
        _ => Vec::new(),
    }
}

fn samples_of_event_bridge(operator: &str) -> Vec<Sample> {
    let name = operator.to_owned();
    let with = |argument: fn(usize) -> String| {
        let name = name.clone();
        move |i: usize| format!(r#"{{"{name}":{}}}"#, argument(i))
    };
    match operator {
        "exactly" => vec![sample(operator, with(text), text)],
        "prefix" => vec![
            sample(operator, with(|i| format!(r#""word {i:05}""#)), text),
            sample(
                "prefix in any case",
                with(|i| format!(r#"{{"equals-ignore-case":"WORD {i:05}"}}"#)),
                text,
            ),
        ],
        "suffix" => vec![
            sample(operator, with(|i| format!(r#""{i:05} end""#)), text),
            sample("suffix in any case", with(|i| format!(r#"{{"equals-ignore-case":"{i:05} END"}}"#)), text),
        ],
        "equals-ignore-case" => vec![sample(operator, with(|i| format!(r#""WORD {i:05} end""#)), text)],
        "wildcard" => vec![typical(operator, with(|i| format!(r#""wor*{i:05}*end""#)), text)],
        "numeric" => vec![
            sample(operator, with(|i| format!(r#"[">",{i}]"#)), |_| "3".to_owned()),
            sample("numeric, between", with(|i| format!(r#"[">=",{i},"<",{}]"#, i + 2)), number),
        ],
        "exists" => vec![sample(operator, with(|_| "true".to_owned()), text)],
        "cidr" => {
            vec![sample(operator, with(|i| format!(r#""10.{}.{}.0/24""#, i / 256, i % 256)), address)]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use filter::Filter;

    use super::{FilterOptions, all};
    use crate::growth::shapes::field;

    #[test]
    fn every_operator_has_samples_that_hold_for_their_values() {
        let operators = all().unwrap();
        assert!(operators.iter().filter(|operator| operator.is_typical).count() >= 10);
        for operator in &operators {
            let compile = |text: &str| -> Filter {
                FilterOptions::new()
                    .dialect(operator.dialect)
                    .parse(text)
                    .unwrap_or_else(|e| panic!("{text}: {e}"))
            };
            // What excludes a value holds for another one, and a reference needs another field.
            let any = (0..5).any(|i| {
                let filter = compile(&format!(r#"{{"a":{}}}"#, field(operator, i)));
                let holds = |value: &str| {
                    filter.matches(&serde_json::from_str(&format!(r#"{{"a":{value}}}"#)).unwrap())
                };
                holds(&(operator.value)(i)) || holds("0") || filter.to_string().contains("$ref")
            });
            assert!(any, "{}", operator.name);
        }
    }
}
