//! Hints: the frequent reasons why a condition fails although the event has what the filter asks for, in another place or form.
//!
//! A hint is given only for what the event has. It is found when a condition has failed, so it costs nothing for others.

use super::elide::{Path, Shown, actual};
use super::walk::Walk;
use crate::dialect::Dialect;
use crate::matcher::Shape;
use crate::ops::text::Quoted;
use crate::ops::{Leaf, View};
use crate::program::{Condition, Member, Node, Run, Test};

impl<V: Shown> Walk<'_, V> {
    /// Why a value has no fields, although a filter names some.
    pub(super) fn hint_of_no_object(&self, value: V, path: &Path) -> String {
        let shown = path.shown();
        match value.shape() {
            Shape::Array(_) if path.is_root() && self.dialect == Dialect::Native => {
                format!("{shown} is an array: $some around the filter judges its elements")
            }
            Shape::Array(_) => format!("{shown} is an array, and has no fields"),
            _ => format!("{shown} is {}, and has no fields", actual(Some(value))),
        }
    }

    /// What an object has in place of a missing field.
    pub(super) fn hint_of_missing(&self, name: &str, node: &Node, object: V, path: &Path) -> Option<String> {
        let mut similar = None;
        let wanted = plain(name);
        object.names(&mut |other| {
            if other != name && plain(other) == wanted {
                let same = other.to_lowercase() == name.to_lowercase();
                let why = if same { ": letter case counts in names" } else { ", spelt in another way" };
                similar = Some(format!("there is {}{why}", Quoted(other)));
            }
            similar.is_none()
        });
        similar.or_else(|| nested(name, object, path)).or_else(|| self.flat(name, node, object))
    }

    /// For a nested filter on a missing field `a`: a field `a.b`.
    fn flat(&self, name: &str, node: &Node, object: V) -> Option<String> {
        let (Node::Nested(pattern) | Node::NestedScalars { pattern, .. }) = *node else { return None };
        let members = &self.program.members[self.program.patterns[pattern].members];
        members.iter().take(16).find_map(|member| match member {
            Member::Field { name: inner, .. } => {
                let joined = format!("{name}.{}", self.program.name(*inner));
                object.field(&joined)?;
                Some(format!("there is {}, one name with a dot", Quoted(&joined)))
            }
            Member::Junction { .. } => None,
        })
    }

    /// For conditions on an array that do not look into it: whether an element satisfies one.
    pub(super) fn hint_of_array(
        &self,
        node: &Node,
        conditions: Run<Condition>,
        value: Option<V>,
    ) -> Option<String> {
        let array = value?;
        let Shape::Array(mut elements) = array.shape() else { return None };
        let conditions = &self.program.conditions[conditions];
        let found = elements.find_map(|element| {
            if !self.program.node(node, Some(element), &self.scope) {
                return None;
            }
            conditions
                .iter()
                .find(|condition| self.program.condition(condition, Some(element), &self.scope))
                .filter(|condition| !self.holds_for_most(condition))
        })?;
        let literal = matches!(self.program.only_leaf(found.tests), Some(Leaf::Equals(_) | Leaf::OneOf(_)));
        match (literal, self.dialect) {
            (true, _) => Some("an element equals it: $includes looks into arrays".to_owned()),
            (false, Dialect::Native) => Some("an element satisfies it: $some looks into arrays".to_owned()),
            (false, _) => None,
        }
    }

    /// Whether a condition is one of absence or negation, which elements satisfy by accident.
    fn holds_for_most(&self, condition: &Condition) -> bool {
        self.program.tests[condition.tests].iter().all(|test| match *test {
            Test::Leaf(leaf) => self.program.leaves[leaf].holds(View::Missing),
            Test::None(_) | Test::But(_) => true,
            _ => false,
        })
    }
}

/// For a missing field with a path as its name, such as `a.b` or `/a/b`: the value at that path.
fn nested<V: Shown>(name: &str, object: V, path: &Path) -> Option<String> {
    let (separator, steps) = match name.strip_prefix('/') {
        Some(steps) => ('/', steps),
        None => ('.', name.strip_prefix("$.").unwrap_or(name)),
    };
    if !name.contains(separator) || name.len() > 200 {
        return None;
    }
    let steps: Vec<Box<str>> = steps.split(separator).map(Box::from).collect();
    object.value_at(&steps)?;
    let place = steps.iter().fold(path.clone(), |path, step| path.field(step));
    Some(format!("there is a field at the path {}: write nested objects", place.shown()))
}

/// A name without letter case, `-` and `_`.
fn plain(name: &str) -> String {
    // Long names are compared by their beginning, which only makes the hint vaguer.
    let letters = name.chars().filter(|c| !matches!(c, '-' | '_')).take(64);
    letters.flat_map(char::to_lowercase).collect()
}
