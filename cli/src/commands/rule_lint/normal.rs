//! A form of filters that is the same for those that are written differently and mean the same.

use filter::Dialect;
use serde_json::{Map, Value};

/// A filter in a form that is the same for filters that differ only in the order of fields and conditions, in repeated
/// conditions, or in the brackets of a single condition.
pub(super) fn of(filter: Value, dialect: Dialect) -> Value {
    let Value::Object(members) = filter else { return filter };
    if is_matcher(&members, dialect) {
        // Conditions on the event itself. The order of their arguments may count.
        return Value::Object(members);
    }
    let member = |(key, node): (String, Value)| {
        let node = match node {
            Value::Array(filters) if is_junction(&key, dialect) => {
                sorted(filters.into_iter().map(|filter| of(filter, dialect)).collect())
            }
            Value::Array(conditions) => sorted(conditions),
            Value::Object(ref members) if is_matcher(members, dialect) => Value::Array(vec![node]),
            Value::Object(_) => of(node, dialect),
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
