//! Whether every event of one filter matches another, as far as their conditions show it.

use filter::{Dialect, FilterOptions};
use serde_json::{Map, Value};

/// A filter in a form that is the same for filters that differ only in the order of fields and conditions, in repeated
/// conditions, or in the brackets of a single condition.
pub(super) fn normal(filter: Value, dialect: Dialect) -> Value {
    let Value::Object(members) = filter else { return filter };
    if is_matcher(&members, dialect) {
        // Conditions on the event itself. The order of their arguments may count.
        return Value::Object(members);
    }
    let member = |(key, node): (String, Value)| {
        let node = match node {
            Value::Array(filters) if is_junction(&key, dialect) => {
                sorted(filters.into_iter().map(|filter| normal(filter, dialect)).collect())
            }
            Value::Array(conditions) => sorted(conditions),
            Value::Object(ref members) if is_matcher(members, dialect) => Value::Array(vec![node]),
            Value::Object(_) => normal(node, dialect),
            literal => Value::Array(vec![literal]),
        };
        (key, node)
    };
    Value::Object(members.into_iter().map(member).collect())
}

fn is_junction(key: &str, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Native => matches!(key, "$or" | "$and" | "$nor"),
        // Elsewhere `$or` may be a field; conditions have no order either.
        _ => key == "$or",
    }
}

fn is_matcher(members: &Map<String, Value>, dialect: Dialect) -> bool {
    let is_operator =
        |key: &String| key.starts_with('$') && !key.starts_with("$$") && !is_junction(key, Dialect::Native);
    dialect == Dialect::Native && !members.is_empty() && members.keys().all(is_operator)
}

fn sorted(mut items: Vec<Value>) -> Value {
    items.sort_by_cached_key(Value::to_string);
    items.dedup();
    Value::Array(items)
}

/// Whether `a` implies `b`; both in normal form. False also if it is not known.
pub(super) fn implies(a: &Value, b: &Value, dialect: Dialect) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else { return a == b };
    if is_matcher(a, dialect) || is_matcher(b, dialect) {
        return a == b;
    }
    b.iter().all(|(key, right)| {
        let left = a.get(key);
        if left == Some(right) {
            return true;
        }
        match (left, right) {
            // A pattern with an absence is judged on an array by the fields that it names, and `b` names others.
            (Some(Value::Object(_)), Value::Object(_)) if dialect == Dialect::EventBridge => left
                .is_some_and(|left| {
                    !has_absence(left) && !has_absence(right) && implies(left, right, dialect)
                }),
            (Some(left @ Value::Object(_)), Value::Object(_)) => implies(left, right, dialect),
            (Some(Value::Array(left)), Value::Array(right)) if !is_junction(key, dialect) => {
                implies_conditions(left, right, dialect)
            }
            _ => false,
        }
    })
}

fn has_absence(pattern: &Value) -> bool {
    match pattern {
        Value::Object(members) => {
            members.get("exists") == Some(&Value::Bool(false)) || members.values().any(has_absence)
        }
        Value::Array(items) => items.iter().any(has_absence),
        _ => false,
    }
}

fn implies_conditions(a: &[Value], b: &[Value], dialect: Dialect) -> bool {
    /// Longer lists are compared for equality of their items only.
    const COMPARED: usize = 32;
    if a.is_empty() || b.is_empty() {
        return false;
    }
    let known = |one: &Value, other: &Value| one == other || implies_condition(one, other, dialect);
    let is_long = a.len() > COMPARED || b.len() > COMPARED;
    let contains = |list: &[Value], item: &Value| {
        // Sorted by their text, so a long list is searched in logarithmic time.
        list.binary_search_by_key(&item.to_string(), Value::to_string).is_ok()
    };
    // In trigger-dev, an array of matchers is all-of.
    let all_of = |list: &[Value]| dialect == Dialect::TriggerDev && list.iter().all(Value::is_object);
    match (all_of(a), all_of(b)) {
        (_, true) if a.len() == 1 || all_of(a) => b
            .iter()
            .all(|right| if is_long { contains(a, right) } else { a.iter().any(|left| known(left, right)) }),
        (false, false) => a
            .iter()
            .all(|left| if is_long { contains(b, left) } else { b.iter().any(|right| known(left, right)) }),
        _ => false,
    }
}

/// Whether each value of the condition `a` satisfies the condition `b`.
fn implies_condition(a: &Value, b: &Value, dialect: Dialect) -> bool {
    let Value::Object(matcher) = a else { return literal_satisfies(a, b, dialect) };
    let Value::Object(other) = b else { return false };
    other.iter().all(|(operator, argument)| {
        matcher.get(operator) == Some(argument)
            || match (operator.as_str(), argument) {
                ("$startsWith" | "prefix", Value::String(text)) => {
                    let of_wildcard = || text_of(matcher, wildcard_of(operator)).map(before_special);
                    let longer = text_of(matcher, operator).or_else(of_wildcard);
                    longer.is_some_and(|longer| longer.starts_with(text.as_str()))
                }
                // Later than a moment that is later than the other one.
                ("$after" | "$before", Value::String(_)) => matcher
                    .get(operator)
                    .is_some_and(|moment| literal_satisfies(moment, b, dialect) && other.len() == 1),
                ("$cidr" | "cidr", Value::String(block)) => {
                    text_of(matcher, operator).is_some_and(|inner| is_inside(inner, block))
                }
                ("$endsWith" | "suffix", Value::String(text)) => {
                    text_of(matcher, operator).is_some_and(|longer| longer.ends_with(text.as_str()))
                }
                ("$contains", Value::String(text)) => ["$startsWith", "$endsWith", "$contains"]
                    .iter()
                    .filter_map(|operator| text_of(matcher, operator))
                    .any(|longer| longer.contains(text.as_str())),
                ("$exists", Value::Bool(true)) => matcher.keys().any(|operator| {
                    matches!(
                        operator.as_str(),
                        "$startsWith"
                            | "$endsWith"
                            | "$contains"
                            | "$gt"
                            | "$gte"
                            | "$lt"
                            | "$lte"
                            | "$between"
                            | "$includes"
                            | "$regex"
                            | "$wildcard"
                            | "$cidr"
                            | "$after"
                            | "$before"
                            | "$size"
                    )
                }),
                ("$gt" | "$gte" | "$lt" | "$lte" | "$between", _) => is_within(matcher, operator, argument),
                _ => false,
            }
    })
}

fn wildcard_of(prefix: &str) -> &'static str {
    if prefix == "prefix" { "wildcard" } else { "$wildcard" }
}

/// The beginning of a wildcard that all of its texts have.
fn before_special(wildcard: &str) -> &str {
    wildcard.split(['*', '\\']).next().unwrap_or_default()
}

/// Whether all addresses of one IPv4 block are in another one. Of IPv6 blocks it is not known, since some addresses count as
/// IPv4 too.
fn is_inside(inner: &str, outer: &str) -> bool {
    let parts = |block: &str| {
        let (address, length) = block.split_once('/').unwrap_or((block, "32"));
        let address = address.parse::<std::net::Ipv4Addr>().ok()?;
        Some((u32::from(address), length.parse::<u32>().ok().filter(|length| *length <= 32)?))
    };
    let (Some((inner, longer)), Some((outer, length))) = (parts(inner), parts(outer)) else { return false };
    let differ = (inner ^ outer).checked_shr(32 - length).unwrap_or(0);
    longer >= length && differ == 0
}

fn text_of<'m>(matcher: &'m Map<String, Value>, operator: &str) -> Option<&'m str> {
    matcher.get(operator).and_then(Value::as_str)
}

/// The filter crate itself judges literals: a condition on one field, and an event with this field.
fn literal_satisfies(literal: &Value, condition: &Value, dialect: Dialect) -> bool {
    let one_field = |value: Value| Value::Object(Map::from_iter([("x".to_owned(), value)]));
    let filter = one_field(Value::Array(vec![condition.clone()]));
    let filter = FilterOptions::new().dialect(dialect).from_value(&filter);
    // In event-bridge an array satisfies a literal too, and then the condition, by the same element. In native, a literal
    // is the value.
    filter.is_ok_and(|filter| filter.matches(&one_field(literal.clone())))
}

/// Whether the numbers of the matcher satisfy one comparison.
fn is_within(matcher: &Map<String, Value>, operator: &str, argument: &Value) -> bool {
    let bound = |names: [&str; 2], end: usize| {
        let direct =
            names.iter().find_map(|name| Some((matcher.get(*name)?.as_f64()?, !name.ends_with('e'))));
        direct.or_else(|| Some((matcher.get("$between")?.get(end)?.as_f64()?, false)))
    };
    // Numbers that a float does not hold exactly may compare equal here, so those are left out.
    let exact = |value: f64| (value.abs() < 9e15).then_some(value);
    let above = |limit: f64, open: bool| {
        let low = bound(["$gt", "$gte"], 0).and_then(|(low, is_open)| Some((exact(low)?, is_open)));
        low.is_some_and(|(low, is_open)| low > limit || (low == limit && (is_open || !open)))
    };
    let below = |limit: f64, open: bool| {
        let high = bound(["$lt", "$lte"], 1).and_then(|(high, is_open)| Some((exact(high)?, is_open)));
        high.is_some_and(|(high, is_open)| high < limit || (high == limit && (is_open || !open)))
    };
    let at = |value: &Value| value.as_f64().and_then(exact);
    match operator {
        "$gt" => at(argument).is_some_and(|limit| above(limit, true)),
        "$gte" => at(argument).is_some_and(|limit| above(limit, false)),
        "$lt" => at(argument).is_some_and(|limit| below(limit, true)),
        "$lte" => at(argument).is_some_and(|limit| below(limit, false)),
        _ => match argument.as_array().map(Vec::as_slice) {
            Some([low, high]) => {
                at(low).is_some_and(|low| above(low, false))
                    && at(high).is_some_and(|high| below(high, false))
            }
            _ => false,
        },
    }
}
