//! From trigger-dev to native: arrays of matchers, which are all-of, become one matcher. Every filter can be converted.

use serde_json::{Map, Value, json};

use super::{key, leaf, object};
use crate::ast::{Condition, MemberKind, Node, Pattern, Quantifier, TestKind};
use crate::ops::Leaf;

pub(super) fn convert(tree: Pattern<'_>) -> Value {
    let mut members = Map::new();
    for member in tree.members {
        if let MemberKind::Field { name, node } = member.kind {
            let node = match node {
                Node::Nested { pattern, .. } => convert(pattern),
                Node::Conditions(all) => match all.quantifier {
                    Quantifier::Any => all.items.iter().flat_map(leaves).map(leaf::condition).collect(),
                    Quantifier::All => all_of(&all.items),
                },
            };
            members.insert(key(name), node);
        }
    }
    Value::Object(members)
}

fn leaves<'c>(condition: &'c Condition<'_>) -> impl Iterator<Item = &'c Leaf> {
    condition.tests.iter().filter_map(|test| match &test.kind {
        TestKind::Leaf(leaf) => Some(leaf),
        _ => None,
    })
}

/// One matcher if all operators differ, otherwise `$all`; for an empty array a condition that always holds. The member
/// must stay even then: without members the nested filter would hold in cases in which `[]` does not.
fn all_of(conditions: &[Condition<'_>]) -> Value {
    let nothing = |leaf: &&Leaf| matches!(leaf, Leaf::AnythingBut(literals) if literals.is_empty());
    let matchers: Vec<Value> =
        conditions.iter().flat_map(leaves).filter(|leaf| !nothing(leaf)).map(as_matcher).collect();
    if matchers.is_empty() {
        return json!([{"$exists": true}, {"$exists": false}]);
    }
    let mut merged = Map::new();
    for matcher in &matchers {
        for (operator, argument) in matcher.as_object().into_iter().flatten() {
            if merged.insert(operator.clone(), argument.clone()).is_some() {
                return object("$all", Value::Array(matchers));
            }
        }
    }
    Value::Object(merged)
}

/// `$between` with equal bounds is written as the number, a literal.
fn as_matcher(leaf: &Leaf) -> Value {
    match leaf::condition(leaf) {
        Value::Object(matcher) => Value::Object(matcher),
        literal => json!({"$between": [literal, literal]}),
    }
}
