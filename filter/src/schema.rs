//! JSON Schemas of filters, with which editors complete and check them.
//!
//! Code generates them from the operators, and the results are committed under `schema/`; tests check that they are
//! complete and up to date. A schema is laxer than the compiler where it must be: it cannot parse a regular expression,
//! compare two bounds, or detect a duplicate key.

use serde_json::{Map, Value, json};

use crate::dialect::native::TEXT_OPERATORS;
use crate::dialect::operators::{Argument, OPERATORS, Operator};
use crate::dialect::{Dialect, trigger_dev};

/// The JSON Schema (draft 2020-12) of filters in a dialect.
///
/// It has its own `$id`, so it can be embedded in a larger schema.
///
/// ```
/// let schema = filter::schema(filter::Dialect::Native);
/// assert_eq!(schema["$id"], "urn:filter:native");
/// ```
pub fn schema(dialect: Dialect) -> Value {
    let (title, root, definitions) = match dialect {
        Dialect::Native => ("A filter", "root", native()),
        Dialect::TriggerDev => ("A filter in Trigger.dev's dialect", "filter", trigger_dev()),
        Dialect::EventBridge => ("An event pattern in EventBridge's dialect", "pattern", event_bridge()),
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:filter:{dialect}"),
        "title": title,
        "$ref": format!("#/$defs/{root}"),
        "$defs": definitions,
    })
}

fn reference(definition: &str) -> Value {
    json!({"$ref": format!("#/$defs/{definition}")})
}

/// A schema with a description, which editors show in completions.
fn about(description: &str, mut schema: Value) -> Value {
    schema["description"] = description.into();
    schema
}

fn list_of(items: Value, at_least: u32) -> Value {
    json!({"type": "array", "items": items, "minItems": at_least})
}

fn any_of(schemas: impl IntoIterator<Item = Value>) -> Value {
    json!({"anyOf": schemas.into_iter().collect::<Vec<_>>()})
}

fn of_type(name: &str) -> Value {
    json!({"type": name})
}

/// An object with only these members, at least one.
fn members(properties: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let properties: Map<String, Value> =
        properties.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({"type": "object", "properties": properties, "additionalProperties": false, "minProperties": 1})
}

fn wildcard_text() -> Value {
    json!({"type": "string", "pattern": r"^([^\\]|\\[*\\])*$"})
}

/// An IPv4 block, or a text that may be an IPv6 block; the suffixes are the prefix lengths with their slash.
fn block(suffix_v4: &str, suffix_v6: &str) -> Value {
    let octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    json!({"type": "string", "pattern": format!(
        r"^({octet}(\.{octet}){{3}}{suffix_v4}|[0-9a-fA-F:]*:[0-9a-fA-F:]*(:{octet}(\.{octet}){{3}})?{suffix_v6})$"
    )})
}

/// The form of an RFC 3339 time; months of 31 days are not told from others.
const TIME: &str = concat!(
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)",
    r"(\.[0-9]+)?([Zz]|[+\-]([01][0-9]|2[0-3]):[0-5][0-9])$"
);

fn two_numbers() -> Value {
    json!({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2})
}

/// The schema of an operator's argument; trigger-dev's differs only in the literals of `$anythingBut`.
fn argument(operator: &Operator, dialect: Dialect) -> Value {
    match operator.argument {
        Argument::Text(_) | Argument::IgnoreCase | Argument::Regex => of_type("string"),
        Argument::Wildcard => wildcard_text(),
        Argument::Cidr => {
            let bits = |greatest: &str| format!("(/{greatest})?");
            block(&bits("(3[0-2]|[12]?[0-9])"), &bits("(12[0-8]|1[01][0-9]|[1-9]?[0-9])"))
        }
        Argument::Number(..) if dialect == Dialect::Native => number_or_reference(),
        Argument::Number(..) => of_type("number"),
        Argument::Equal => any_of([reference("literal"), reference("reference")]),
        Argument::AnyCase => reference("textMatcher"),
        Argument::Time(_) => json!({"type": "string", "pattern": TIME}),
        Argument::Bounds => two_numbers(),
        Argument::Literal(_) => reference("literal"),
        Argument::Boolean(_) => of_type("boolean"),
        Argument::Length => number_or_matcher(),
        Argument::Some | Argument::Every => {
            any_of([reference("conditions"), reference("matcher"), reference("filter")])
        }
        Argument::Excluded if dialect == Dialect::TriggerDev => {
            any_of([reference("literal")].into_iter().chain(literals()))
        }
        Argument::Excluded => {
            any_of([reference("literal"), list_of(reference("literal"), 1), reference("matcher")])
        }
        Argument::All | Argument::None => reference("conditions"),
    }
}

/// The same for an operator on a number.
fn number_argument(operator: &Operator) -> Value {
    match operator.argument {
        Argument::Excluded => {
            any_of([of_type("number"), list_of(of_type("number"), 1), reference("numberMatcher")])
        }
        Argument::All | Argument::None => list_of(number_or_matcher(), 1),
        Argument::Bounds => two_numbers(),
        Argument::Number(..) | Argument::Equal => number_or_reference(),
        _ => of_type("number"),
    }
}

fn number_or_reference() -> Value {
    any_of([of_type("number"), reference("reference")])
}

fn number_or_matcher() -> Value {
    any_of([of_type("number"), reference("numberMatcher")])
}

/// Arrays of one type of literal.
fn literals() -> impl Iterator<Item = Value> {
    ["string", "number", "boolean"].into_iter().map(|name| list_of(of_type(name), 0))
}

fn described(operator: &Operator, dialect: Dialect) -> (&'static str, Value) {
    (operator.name, about(operator.about, argument(operator, dialect)))
}

fn native() -> Value {
    let operators = OPERATORS.iter().map(|operator| described(operator, Dialect::Native));
    let on_numbers = OPERATORS.iter().filter(|operator| operator.on_numbers);
    let number_operators = on_numbers.map(|operator| (operator.name, number_argument(operator)));
    let filters = || list_of(reference("filter"), 1);
    let in_any_case = OPERATORS
        .iter()
        .filter(|operator| operator.name != "$eq" && TEXT_OPERATORS.contains(&operator.name))
        .map(|operator| described(operator, Dialect::Native))
        .chain([("$eq", about("a string equal to this", of_type("string")))]);
    json!({
        "root": about(
            "a filter, or conditions on the event itself",
            any_of([reference("filter"), reference("matcher"), reference("conditions")]),
        ),
        "filter": {
            "description": "fields, all of which must match; a name that begins with $ is written with $$",
            "type": "object",
            "properties": {
                "$or": about("any of these filters matches", filters()),
                "$and": about("all of these filters match", filters()),
                "$nor": about("none of these filters matches", filters()),
            },
            "patternProperties": {r"^(\$\$|[^$]|$)": reference("node")},
            "additionalProperties": false,
        },
        "node": about(
            "a literal, a matcher, an array of both of which any must hold, or a filter for what is inside",
            any_of([reference("literal"), reference("conditions"), reference("matcher"), reference("filter")]),
        ),
        "conditions": list_of(any_of([reference("literal"), reference("matcher")]), 1),
        "literal": {"type": ["string", "number", "boolean", "null"]},
        "matcher": about("operators, all of which must hold", members(operators)),
        "reference": about("the value at a JSON pointer into the event", json!({
            "type": "object",
            "properties": {"$ref": {"type": "string", "pattern": "^(/([^/~]|~[01])*)*$"}},
            "required": ["$ref"],
            "additionalProperties": false,
        })),
        "textMatcher": about("operators on text, all of which must hold", members(in_any_case)),
        "numberMatcher": about("operators on numbers, all of which must hold", members(number_operators)),
    })
}

fn trigger_dev() -> Value {
    let known = OPERATORS.iter().filter(|operator| trigger_dev::OPERATORS.contains(&operator.name));
    let operators = known.map(|operator| described(operator, Dialect::TriggerDev));
    let mut matcher = members(operators);
    matcher["maxProperties"] = 1.into();
    let arrays = literals().chain([list_of(reference("matcher"), 0)]);
    json!({
        "filter": {
            "description": "fields, all of which must match",
            "type": "object",
            "additionalProperties": reference("node"),
        },
        "node": about(
            "an array of literals, any of which must equal the value; one of matchers, all of which must hold; or a filter for what is inside",
            any_of(arrays.chain([reference("filter")])),
        ),
        "literal": {"type": ["string", "number", "boolean"]},
        "matcher": about("exactly one operator", matcher),
    })
}

fn event_bridge() -> Value {
    let string = || of_type("string");
    let ignore_case = || members([("equals-ignore-case", string())]);
    let one_or_more = |text: Value| any_of([text.clone(), list_of(text, 1)]);
    let some_text = || json!({"type": "string", "minLength": 1});
    let wildcard = || json!({"type": "string", "pattern": r"^([^\\*]|\\[*\\]|\*(?!\*))*$"});
    let comparison = |operators: &[&str]| json!({"enum": operators});
    let pairs = |items: Vec<Value>| {
        let count = items.len();
        json!({"type": "array", "prefixItems": items, "items": false, "minItems": count})
    };
    let number = || of_type("number");
    let mut excluded = members([
        ("prefix", one_or_more(some_text())),
        ("suffix", one_or_more(some_text())),
        ("equals-ignore-case", one_or_more(string())),
        ("wildcard", one_or_more(wildcard())),
    ]);
    excluded["maxProperties"] = 1.into();
    let operators = [
        ("exactly", about("this string", string())),
        ("prefix", about("a string that starts with this", any_of([string(), ignore_case()]))),
        ("suffix", about("a string that ends with this", any_of([string(), ignore_case()]))),
        ("equals-ignore-case", about("a string equal to this but for case", string())),
        ("wildcard", about("a string like this, * being any run of characters", wildcard())),
        (
            "numeric",
            about(
                "a number that compares so: [\"<\", 5], or [\">\", 0, \"<=\", 5]",
                any_of([
                    pairs(vec![comparison(&["=", "<", "<=", ">", ">="]), number()]),
                    pairs(vec![comparison(&[">", ">="]), number(), comparison(&["<", "<="]), number()]),
                ]),
            ),
        ),
        ("exists", about("whether there is a scalar, null counting as one", of_type("boolean"))),
        (
            "cidr",
            about(
                "a string holding an IP address inside this block",
                block("/(3[01]|[12]?[0-9])", "/(12[0-7]|1[01][0-9]|[1-9]?[0-9])"),
            ),
        ),
        (
            "anything-but",
            about(
                "a scalar that is not this",
                any_of([string(), number(), list_of(string(), 1), list_of(number(), 1), excluded]),
            ),
        ),
    ];
    let names: Vec<&str> = operators.iter().map(|(name, _)| *name).collect();
    let mut matcher = members(operators);
    matcher["maxProperties"] = 1.into();
    let alternative = json!({"$ref": "#/$defs/pattern", "propertyNames": {"not": {"enum": names}}});
    json!({
        "pattern": {
            "description": "fields, all of which must match",
            "type": "object",
            "properties": {
                "$or": about("any of two or more patterns matches", any_of([list_of(alternative, 2), reference("node")])),
            },
            "additionalProperties": reference("node"),
            "minProperties": 1,
        },
        "node": about(
            "an array of conditions, any of which must hold, or a pattern for what is inside",
            any_of([reference("conditions"), reference("pattern")]),
        ),
        "conditions": list_of(any_of([
            json!({"type": ["string", "number", "boolean", "null"]}),
            reference("matcher"),
        ]), 1),
        "matcher": about("exactly one operator", matcher),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::schema;
    use crate::dialect::{self, Dialect};

    #[test]
    fn knows_every_operator() {
        for (dialect, operators) in [
            (Dialect::Native, dialect::operators::OPERATORS.map(|operator| operator.name).to_vec()),
            (Dialect::TriggerDev, dialect::trigger_dev::OPERATORS.to_vec()),
            (Dialect::EventBridge, dialect::event_bridge::OPERATORS.to_vec()),
        ] {
            let schema = schema(dialect);
            let properties = schema["$defs"]["matcher"]["properties"].as_object().unwrap();
            let described: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
            assert_eq!(described, operators.into_iter().collect(), "{dialect}");
        }
    }
}
