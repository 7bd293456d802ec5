//! The warning about duplicate conditions.

use std::collections::HashMap;

use super::context::Context;
use crate::diagnostic::Code;
use crate::json::{Kind, Node};
use crate::ops::Num;

/// Warns about every item that equals an earlier one; linear in the size of the items, except for sorting keys.
pub(super) fn warn_of_duplicates<'n>(items: &'n [Node], context: &mut Context<'n>) {
    if items.len() < 2 {
        return;
    }
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let mut key = String::new();
        canonical(item, &mut key);
        let first = *seen.entry(key).or_insert(index);
        if first != index {
            context.within_index(index, |context| {
                let message = format!("the same condition as number {} of the array", first + 1);
                context.warn(item.span, Code::DuplicateCondition, message, "remove one of them");
            });
        }
    }
}

/// A text that is the same for equal conditions: keys sorted, numbers in their normal form.
fn canonical(node: &Node, out: &mut String) {
    match &node.kind {
        Kind::Number(number) => {
            out.push_str(&Num::new(number).map_or_else(|| number.to_string(), |number| number.to_string()));
        }
        Kind::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Kind::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|a, b| a.key.cmp(&b.key));
            out.push('{');
            for member in members {
                out.push_str(&format!("{:?}:", member.key));
                canonical(&member.value, out);
                out.push(',');
            }
            out.push('}');
        }
        Kind::String(text) => out.push_str(&format!("{text:?}")),
        Kind::Null => out.push_str("null"),
        Kind::Bool(bool) => out.push_str(&bool.to_string()),
    }
}
