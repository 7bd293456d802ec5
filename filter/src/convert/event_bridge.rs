//! From event-bridge to native, for events without arrays in arrays, or without arrays.
//!
//! An event-bridge condition applies to the scalars of a field, a native one to the value. So each condition becomes
//! two: one for the value, one for the elements of an array, unless there are no arrays. A nested pattern that fails for an object without fields
//! means the same in both dialects. A nested pattern that holds for such an object holds
//!
//! - where the native pattern holds and one of its paths leads to a scalar, and
//! - where none of its paths leads to a scalar, neither in the object nor in any element.
//!
//! ```text
//!   {"a": {"b": [{"exists": false}]}}   ⇒   {"$or": [{"a": {"$and": [b is absent, b is there]}}, {"$nor": [{"a": b is there}]}]}
//! ```

use serde_json::{Map, Value, json};

use super::{key, leaf, object};
use crate::ast::{
    Condition, Conditions, Junction, Member, MemberKind, Node, Pattern, TestKind, hold_if_missing,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::error::FilterError;
use crate::json::Pointer;
use crate::ops::Leaf;
use crate::ops::text::Quoted;

/// The error for a pattern whose events may contain arrays in arrays: it names every field.
pub(super) fn refusal(tree: &Pattern<'_>) -> FilterError {
    let mut diagnostics = Vec::new();
    refuse(tree, &mut Pointer::default(), &mut diagnostics);
    FilterError::new(diagnostics)
}

fn refuse<'n>(tree: &Pattern<'n>, pointer: &mut Pointer<'n>, diagnostics: &mut Vec<Diagnostic>) {
    for member in &tree.members {
        pointer.key(member.key);
        match &member.kind {
            MemberKind::Field { node: Node::Nested { pattern, .. }, .. } => {
                refuse(pattern, pointer, diagnostics);
            }
            MemberKind::Field { name, .. } => {
                let message = format!(
                    "{} is looked for in arrays inside arrays too, which the native dialect cannot say",
                    Quoted(name)
                );
                let help = "if no event has an array as an element of an array, convert assuming flat arrays";
                diagnostics.push(
                    Diagnostic::error(message)
                        .with_code(Code::NotConvertible)
                        .with_pointer(pointer.to_string())
                        .with_help(help),
                );
            }
            MemberKind::Junction { patterns, .. } => {
                for (index, pattern) in patterns.iter().enumerate() {
                    pointer.index(index);
                    refuse(pattern, pointer, diagnostics);
                    pointer.back();
                }
            }
        }
        pointer.back();
    }
}

/// What the events of a conversion are assumed to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Events {
    /// No array is an element of an array.
    FlatArrays,
    /// There are no arrays.
    NoArrays,
}

pub(super) fn convert(tree: &Pattern<'_>, events: Events) -> Value {
    let mut fields = Map::new();
    let mut clauses = Vec::new();
    for member in &tree.members {
        match &member.kind {
            MemberKind::Field { name, node: Node::Conditions(all) } => {
                fields.insert(key(name), conditions(all, events));
            }
            MemberKind::Field { name, node: Node::Nested { pattern: inner, .. } } => {
                let converted = convert(inner, events);
                if inner.holds_without_fields && events == Events::NoArrays {
                    // A scalar is read as an object without fields in both dialects.
                    let absent = json!([null, {"$exists": false}]);
                    clauses.push(json!({"$or": [object(key(name), converted), object(key(name), absent)]}));
                } else if inner.holds_without_fields {
                    let there = Value::from(vec![some_scalar(inner)]);
                    let both = json!({"$and": [converted, {"$or": there}]});
                    let none = json!({"$nor": [object(key(name), json!({ "$or": there }))]});
                    clauses.push(json!({"$or": [object(key(name), both), none]}));
                } else {
                    fields.insert(key(name), converted);
                }
            }
            MemberKind::Junction { patterns, kind } => {
                let name = match kind {
                    Junction::Or => "$or",
                    Junction::And => "$and",
                    Junction::Nor => "$nor",
                };
                clauses.push(object(name, patterns.iter().map(|inner| convert(inner, events)).collect()));
            }
        }
    }
    match clauses.as_mut_slice() {
        [] => {}
        // A single clause is merged into the fields.
        [Value::Object(only)] => fields.append(only),
        _ => {
            fields.insert("$and".to_owned(), Value::Array(clauses));
        }
    }
    Value::Object(fields)
}

/// A filter for objects that have a scalar at one of the pattern's paths.
fn some_scalar(tree: &Pattern<'_>) -> Value {
    let mut paths = Vec::new();
    collect_paths(&tree.members, &mut paths);
    match paths.as_mut_slice() {
        [only] => only.take(),
        _ => object("$or", Value::Array(paths)),
    }
}

fn collect_paths(members: &[Member<'_>], paths: &mut Vec<Value>) {
    for member in members {
        match &member.kind {
            MemberKind::Field { name, node: Node::Conditions(_) } => {
                paths.push(object(key(name), Value::Array(with_elements(any_scalar(Events::FlatArrays)))));
            }
            MemberKind::Field { name, node: Node::Nested { pattern, .. } } => {
                paths.push(object(key(name), some_scalar(pattern)));
            }
            MemberKind::Junction { patterns, .. } => {
                patterns.iter().for_each(|pattern| collect_paths(&pattern.members, paths));
            }
        }
    }
}

fn conditions(conditions: &Conditions<'_>, events: Events) -> Value {
    let with_elements = |scalars| if events == Events::NoArrays { scalars } else { with_elements(scalars) };
    let scalars: Vec<Value> =
        conditions.items.iter().flat_map(|condition| on_scalar(condition, events)).collect();
    let mut any = if scalars.is_empty() { Vec::new() } else { with_elements(scalars) };
    if hold_if_missing(&conditions.items) {
        any.push(object("$none", Value::Array(with_elements(any_scalar(events)))));
    }
    Value::Array(any)
}

/// Conditions for a scalar, extended to the scalars of an array.
fn with_elements(mut conditions: Vec<Value>) -> Vec<Value> {
    let elements = match conditions.as_slice() {
        [literal] if !literal.is_object() => object("$includes", literal.clone()),
        [matcher] => object("$some", matcher.clone()),
        several => object("$some", Value::from(several)),
    };
    conditions.push(elements);
    conditions
}

/// Native conditions of which one holds exactly for the scalars that satisfy the event-bridge condition.
fn on_scalar(condition: &Condition<'_>, events: Events) -> Vec<Value> {
    let mut all = Vec::new();
    for test in &condition.tests {
        match &test.kind {
            TestKind::Leaf(Leaf::Exists(false)) => {}
            TestKind::Leaf(Leaf::Exists(true)) => all.extend(any_scalar(events)),
            TestKind::Leaf(Leaf::AnythingBut(literals)) => {
                let excluded: Vec<Value> = literals.iter().map(leaf::literal).collect();
                let mut other = scalar_but_null(events);
                other.insert("$anythingBut".to_owned(), excluded.into());
                all.extend([Value::Null, Value::Object(other)]);
            }
            TestKind::NoneOf(leaves) => {
                let mut other = scalar_but_null(events);
                let none = other.entry("$none").or_insert_with(|| json!([]));
                if let Value::Array(none) = none {
                    none.extend(leaves.iter().map(leaf::condition));
                }
                all.extend([Value::Null, Value::Object(other)]);
            }
            TestKind::Leaf(leaf) => all.push(leaf::condition(leaf)),
            // The dialect has no other tests.
            _ => {}
        }
    }
    all
}

fn any_scalar(events: Events) -> Vec<Value> {
    vec![Value::Null, Value::Object(scalar_but_null(events))]
}

/// `$not` holds for strings, numbers, booleans and arrays; every array has a length.
fn scalar_but_null(events: Events) -> Map<String, Value> {
    let mut matcher = Map::from_iter([("$not".to_owned(), Value::Null)]);
    if events == Events::FlatArrays {
        matcher.insert("$none".to_owned(), json!([{"$size": {"$gte": 0}}]));
    }
    matcher
}
