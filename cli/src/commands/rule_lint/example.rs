//! An event that a filter matches, made from its conditions.
//!
//! A guess that is verified: the filter itself judges the event, so a wrong guess is no event and nothing worse.

use filter::Filter;
use serde_json::{Map, Number, Value, json};

/// An event that the filter matches, if one is found; `value` is its normal form.
pub(super) fn of(filter: &Filter, value: &Value) -> Option<Value> {
    let event = object(value.as_object()?);
    filter.matches(&event).then_some(event)
}

fn object(members: &Map<String, Value>) -> Value {
    let mut event = Map::new();
    for (key, node) in members {
        match (key.as_str(), node) {
            ("$or" | "$and", Value::Array(filters)) => {
                let needed = if key == "$or" { 1 } else { filters.len() };
                for filter in filters.iter().take(needed).filter_map(Value::as_object) {
                    merge(&mut event, object(filter));
                }
            }
            ("$nor", Value::Array(_)) => {}
            _ => {
                let name = key.strip_prefix("$$").map_or_else(|| key.clone(), |name| format!("${name}"));
                let value = match node {
                    Value::Object(nested) => Some(object(nested)),
                    Value::Array(conditions) => conditions.iter().find_map(condition),
                    _ => None,
                };
                if let Some(value) = value {
                    merge(&mut event, Value::Object(Map::from_iter([(name, value)])));
                }
            }
        }
    }
    Value::Object(event)
}

/// Adds members; members that are objects on both sides are joined.
fn merge(event: &mut Map<String, Value>, more: Value) {
    let Value::Object(more) = more else { return };
    for (key, value) in more {
        match (event.get_mut(&key), value) {
            (Some(Value::Object(old)), value @ Value::Object(_)) => merge(old, value),
            (_, value) => {
                event.insert(key, value);
            }
        }
    }
}

/// A value that satisfies a condition of any dialect; `None` also if the field has to be missing.
fn condition(condition: &Value) -> Option<Value> {
    let Value::Object(matcher) = condition else { return Some(condition.clone()) };
    let number = |name: &str| matcher.get(name).and_then(Value::as_f64);
    let (low, high) = (number("$gt").or(number("$gte")), number("$lt").or(number("$lte")));
    let between = match (low, high) {
        (Some(low), Some(high)) if low < high => Some(low + (high - low) / 2.0),
        (Some(low), None) if matcher.contains_key("$gt") => Some(low + 1.0),
        (None, Some(high)) if matcher.contains_key("$lt") => Some(high - 1.0),
        (low, high) => low.or(high),
    };
    if let Some(at) = between {
        return float(at);
    }
    let (operator, argument) = matcher.iter().next()?;
    Some(match (operator.as_str(), argument) {
        (
            "$startsWith" | "$endsWith" | "$contains" | "$ignoreCaseEquals" | "$eq" | "prefix" | "suffix"
            | "exactly" | "equals-ignore-case",
            text @ Value::String(_),
        ) => text.clone(),
        ("$eq", literal) if !literal.is_object() => literal.clone(),
        ("$wildcard" | "wildcard", Value::String(pattern)) => Value::from(pattern.replace('*', "")),
        ("$cidr" | "cidr", Value::String(block)) => Value::from(block.split('/').next()?),
        ("$between", Value::Array(bounds)) => bounds.first()?.clone(),
        ("numeric", Value::Array(pairs)) => {
            let [Value::String(operator), bound, rest @ ..] = pairs.as_slice() else { return None };
            let at = bound.as_f64()?;
            match (operator.as_str(), rest.get(1).and_then(Value::as_f64)) {
                (_, Some(end)) => float(at + (end - at) / 2.0)?,
                (">", None) => float(at + 1.0)?,
                ("<", None) => float(at - 1.0)?,
                _ => bound.clone(),
            }
        }
        // Nearly every bound lies between these.
        ("$after", _) => json!("9999-12-31T23:59:59Z"),
        ("$before", _) => json!("0001-01-01T00:00:00Z"),
        ("$includes", literal) => json!([literal]),
        ("$size", Value::Number(size)) => Value::Array(vec![Value::Null; size.as_u64()?.min(1_000) as usize]),
        ("$exists" | "exists", Value::Bool(true)) => json!(0),
        ("$isNull", Value::Bool(true)) => Value::Null,
        ("$anythingBut" | "anything-but" | "$not" | "$isNull", _) => json!("\u{1}example"),
        _ => return None,
    })
}

fn float(at: f64) -> Option<Value> {
    Number::from_f64(at).map(Value::Number)
}
