//! Single operators in the native dialect.

use serde_json::{Value, json};

use super::object;
use crate::ops::number::Range;
use crate::ops::{Leaf, Literal, Num};

pub(super) fn literal(literal: &Literal) -> Value {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(bool) => Value::Bool(*bool),
        Literal::Number(number) => num(*number),
        Literal::String(text) => Value::from(&**text),
    }
}

fn num(number: Num) -> Value {
    number.to_number().map_or(Value::Null, Value::Number)
}

/// A literal, or a matcher that holds for exactly the same values.
pub(super) fn condition(leaf: &Leaf) -> Value {
    let text = |operator: &str, text: &str| object(operator, Value::from(text));
    let in_any_case = |matcher| object("$ignoreCase", matcher);
    match leaf {
        Leaf::Equals(value) => literal(value),
        // Not the negation of one of them.
        Leaf::OneOf(literals) => {
            let literals: Vec<Value> = literals.iter().map(literal).collect();
            json!({"$anythingBut": {"$anythingBut": literals}})
        }
        Leaf::StartsWith(prefix) => text("$startsWith", prefix),
        Leaf::EndsWith(suffix) => text("$endsWith", suffix),
        Leaf::Contains(part) => text("$contains", part.text()),
        Leaf::IgnoreCase(other) => text("$ignoreCaseEquals", other.text()),
        Leaf::Regex(pattern) => text("$regex", pattern.source()),
        Leaf::Wildcard(pattern) => text("$wildcard", pattern.source()),
        Leaf::Cidr(block) => text("$cidr", &block.to_string()),
        Leaf::Number(numbers) => range(numbers),
        Leaf::Includes(value) => object("$includes", literal(value)),
        Leaf::Exists(expected) => object("$exists", Value::from(*expected)),
        Leaf::IsNull(expected) => object("$isNull", Value::from(*expected)),
        Leaf::AnythingBut(literals) => {
            let mut literals: Vec<Value> = literals.iter().map(literal).collect();
            let only = if literals.len() == 1 { literals.pop() } else { None };
            object("$anythingBut", only.unwrap_or(Value::Array(literals)))
        }
        Leaf::Not(value) => object("$not", literal(value)),
        Leaf::FoldedEquals(other) => in_any_case(text("$eq", other.source())),
        Leaf::FoldedPrefix(prefix) => in_any_case(text("$startsWith", prefix.source())),
        Leaf::FoldedSuffix(suffix) => in_any_case(text("$endsWith", suffix.source())),
        Leaf::FoldedSearch(search) => {
            let operator = if search.searched().is_ok() { "$contains" } else { "$wildcard" };
            in_any_case(text(operator, search.source()))
        }
        Leaf::Time(bound) => text(if bound.after { "$after" } else { "$before" }, bound.source()),
    }
}

fn range(range: &Range) -> Value {
    match (range.low, range.high) {
        (Some(low), Some(high)) if low.inclusive && high.inclusive && low.at == high.at => num(low.at),
        (Some(low), Some(high)) if low.inclusive && high.inclusive && !range.is_empty() => {
            json!({"$between": [num(low.at), num(high.at)]})
        }
        (low, high) => {
            let mut tests = serde_json::Map::new();
            if let Some(low) = low {
                tests.insert(if low.inclusive { "$gte" } else { "$gt" }.to_owned(), num(low.at));
            }
            if let Some(high) = high {
                tests.insert(if high.inclusive { "$lte" } else { "$lt" }.to_owned(), num(high.at));
            }
            Value::Object(tests)
        }
    }
}
