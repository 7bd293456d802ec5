//! The walk that makes an explanation, over the program and the event side by side.
//!
//! Conditions are judged by the evaluator. What holds for an object or a junction follows from its entries: judging it again at
//! each level would take time in proportion to the depth. Where fields are in bytes is remembered, so an object is read once.

use std::cell::{Cell, RefCell};

use super::describe::Words;
use super::elide::{Path, Shown, actual, elided};
use super::{Check, Entry, Explanation, Group, Nearness, Rule, distance};
use crate::ast::Junction;
use crate::dialect::Dialect;
use crate::matcher::evaluate::Leaves;
use crate::matcher::{Scope, Shape};
use crate::ops::{Leaf, Literal, Reference, Spellings, View};
use crate::program::{Condition, Id, Judge, Member, Node, Pattern, Program, Run, Test};

impl Program {
    /// Explains the result. Linear in the size of the event and the number of conditions, and for an array in the product of its
    /// size and the number of conditions on it. `numbers` are those of the filter, as it has them.
    pub(crate) fn explain<V: Shown>(&self, event: V, dialect: Dialect, numbers: Spellings) -> Explanation {
        match self.long(event).and_then(|raw| self.field_cache(None, raw)) {
            Some((cache, root)) => self.explain_here(cache.root(root), dialect, numbers),
            None => self.explain_here(event, dialect, numbers),
        }
    }

    pub(crate) fn explain_here<V: Shown>(
        &self,
        event: V,
        dialect: Dialect,
        numbers: Spellings,
    ) -> Explanation {
        self.with_scope(event, |scope| {
            let find = |to: &Reference| match event.value_at(&to.names).map(|value| (value, value.shape())) {
                None => Err("missing"),
                Some((_, Shape::Array(_))) => Err("an array"),
                Some((_, Shape::Object)) => Err("an object"),
                Some((scalar, _)) => Ok(actual(Some(scalar))),
            };
            let found = self.references.iter().map(find).collect();
            let words = Words { program: self, found, numbers };
            let (hints, shown) = (Cell::new(HINTS), RefCell::default());
            let walk = Walk { program: self, dialect, scope, words, hints, shown };
            let matched = self.matches_here(event);
            let entries = match self.root {
                Judge::Pattern(root) => walk.pattern(root, event, &Path::default()),
                Judge::Any(conditions) => {
                    vec![walk.conditions(&Node::Any(conditions), conditions, Some(event), &Path::default())]
                }
            };
            Explanation { matched, entries }
        })
    }
}

/// A program and what is the same for all of its parts.
pub(super) struct Walk<'p, V> {
    pub(super) program: &'p Program,
    pub(super) dialect: Dialect,
    pub(super) scope: Scope<'p, V>,
    words: Words<'p>,
    /// How many more missing fields get a hint.
    hints: Cell<usize>,
    /// The texts of some arrays and objects, by address: many conditions may be about the same one.
    shown: RefCell<Vec<(usize, String)>>,
}

/// The most missing fields for which an explanation looks for a hint, which takes time linear in their object.
const HINTS: usize = 32;

/// The most texts of arrays and objects that are kept.
const KEPT: usize = 8;

impl<V: Shown> Walk<'_, V> {
    /// Explains a pattern on a present value.
    fn pattern(&self, id: Id<Pattern>, value: V, path: &Path) -> Vec<Entry> {
        match value.shape() {
            Shape::Null => self.no_object(id, Some(value), path),
            _ => self.members(&self.program.patterns[id], Some(value), path),
        }
    }

    /// A missing value or null: the pattern's members, if there are any, are not applied.
    fn no_object(&self, pattern: Id<Pattern>, value: Option<V>, path: &Path) -> Vec<Entry> {
        if self.program.patterns[pattern].members.is_empty() {
            return Vec::new();
        }
        let nearness = if value.is_some() { Nearness::Null } else { Nearness::Missing };
        vec![self.check(&Node::Nested(pattern), value, path, nearness)]
    }

    /// A condition without a hint.
    fn check(&self, node: &Node, value: Option<V>, path: &Path, nearness: Nearness) -> Entry {
        Entry::Check(Check {
            path: path.shown(),
            expected: elided(|out| self.words.describe_node(out, node)),
            actual: self.actual(value),
            held: nearness == Nearness::Held,
            nearness,
            hint: None,
        })
    }

    /// Explains the members of a pattern on a value, which has fields only if it is an object.
    fn members(&self, pattern: &Pattern, owner: Option<V>, path: &Path) -> Vec<Entry> {
        let object = owner.filter(|owner| matches!(owner.shape(), Shape::Object));
        let mut entries = Vec::new();
        for member in &self.program.members[pattern.members] {
            match member {
                Member::Field { name, node } => {
                    let name = self.program.name(*name);
                    let value = object.and_then(|object| object.field(name));
                    let mut of_field = self.node(node, value, &path.field(name));
                    if value.is_none()
                        && let Some(check) = first_failed(&mut of_field)
                    {
                        check.hint = match object {
                            Some(object) => self.hint_of_field(name, node, object, path),
                            None => owner.map(|owner| self.hint_of_no_object(owner, path)),
                        };
                    }
                    entries.append(&mut of_field);
                }
                Member::Junction { kind, patterns } => {
                    let alternatives = self.program.patterns[*patterns]
                        .iter()
                        .map(|pattern| all_of(self.members(pattern, owner, path)))
                        .collect();
                    let mut alternatives = ordered(alternatives);
                    let held = kind.holds(alternatives.iter().map(Entry::held));
                    let rule = match kind {
                        Junction::Or => Rule::Any,
                        Junction::And => Rule::All,
                        Junction::Nor => {
                            // The entries that must not hold but do, first.
                            alternatives.sort_by_key(|entry| !entry.held());
                            Rule::None
                        }
                    };
                    entries.push(Entry::Group(Group { rule, held, entries: alternatives }));
                }
            }
        }
        ordered(entries)
    }

    fn node(&self, node: &Node, value: Option<V>, path: &Path) -> Vec<Entry> {
        match *node {
            Node::Nested(pattern) => match value.map(|value| (value, value.shape())) {
                None | Some((_, Shape::Null)) => self.no_object(pattern, value, path),
                Some((array, Shape::Array(items))) => {
                    vec![self.elements(node, pattern, items, array, path)]
                }
                Some((value, _)) => self.pattern(pattern, value, path),
            },
            Node::NestedScalars { pattern, .. } => {
                let owner = match value.map(|value| (value, value.shape())) {
                    Some((array, Shape::Array(_))) => {
                        return vec![self.elements(node, pattern, Leaves::of(value), array, path)];
                    }
                    None | Some((_, Shape::Null)) => None,
                    Some((value, Shape::Object | Shape::Scalar)) => Some(value),
                };
                self.members(&self.program.patterns[pattern], owner, path)
            }
            Node::Any(conditions) | Node::All(conditions) | Node::Scalars { conditions, .. } => {
                vec![self.conditions(node, conditions, value, path)]
            }
        }
    }

    fn conditions(&self, node: &Node, conditions: Run<Condition>, value: Option<V>, path: &Path) -> Entry {
        let held = self.program.node(node, value, &self.scope);
        let of_scalars = matches!(node, Node::Scalars { .. });
        let container = value.is_some_and(|value| matches!(value.shape(), Shape::Array(_) | Shape::Object));
        Entry::Check(Check {
            path: path.shown(),
            expected: elided(|out| match of_scalars && container {
                true => self.words.describe_scalars(out, conditions),
                false => self.words.describe_node(out, node),
            }),
            actual: self.actual(value),
            held,
            nearness: if held { Nearness::Held } else { self.nearness(conditions, value) },
            hint: if held || of_scalars { None } else { self.hint_of_array(node, conditions, value) },
        })
    }

    /// A value, or "missing".
    fn actual(&self, value: Option<V>) -> String {
        let container = value.filter(|value| matches!(value.shape(), Shape::Array(_) | Shape::Object));
        let Some(container) = container else { return actual(value) };
        let mut shown = self.shown.borrow_mut();
        let address = container.address();
        if let Some((_, text)) = shown.iter().find(|(other, _)| *other == address) {
            return text.clone();
        }
        let text = actual(value);
        if shown.len() == KEPT {
            shown.remove(0);
        }
        shown.push((address, text.clone()));
        text
    }

    /// The hint for a missing field, for the first few of them.
    fn hint_of_field(&self, name: &str, node: &Node, object: V, path: &Path) -> Option<String> {
        self.hints.set(self.hints.get().checked_sub(1)?);
        self.hint_of_missing(name, node, object, path)
    }

    /// Explains a nested pattern on an array by the element that matches, or the one nearest to a match.
    fn elements(
        &self,
        node: &Node,
        pattern: Id<Pattern>,
        elements: impl Iterator<Item = V>,
        array: V,
        path: &Path,
    ) -> Entry {
        // With nested arrays an index would not identify the element.
        let flat = match array.shape() {
            Shape::Array(mut items) => !items.any(is_array),
            _ => false,
        };
        let mut nearest: Option<(usize, Vec<Entry>)> = None;
        let mut count = 0;
        for (index, element) in elements.enumerate() {
            count += 1;
            let entries = self.pattern(pattern, element, &path.element(flat.then_some(index)));
            if nearest.as_ref().is_none_or(|(_, best)| distance(&entries) < distance(best)) {
                nearest = Some((index, entries));
            }
        }
        let held = match node {
            // Which elements count depends on the others.
            Node::NestedScalars { .. } => self.program.node(node, Some(array), &self.scope),
            _ => nearest.as_ref().is_some_and(|(_, entries)| entries.iter().all(Entry::held)),
        };
        match nearest {
            Some((index, entries)) if entries.iter().all(Entry::held) == held => Entry::Group(Group {
                rule: Rule::Element { path: path.element(flat.then_some(index)).shown(), count },
                held,
                entries,
            }),
            // No element decides: the array is empty, or no element has a field of the pattern.
            _ => {
                let nearness = if held { Nearness::Held } else { Nearness::OtherType };
                self.check(node, Some(array), path, nearness)
            }
        }
    }

    fn nearness(&self, conditions: Run<Condition>, value: Option<V>) -> Nearness {
        match value {
            None => Nearness::Missing,
            Some(value) if matches!(value.shape(), Shape::Null) => Nearness::Null,
            Some(value) if self.program.conditions[conditions].iter().any(|c| self.wants(c, value)) => {
                Nearness::OtherValue
            }
            Some(_) => Nearness::OtherType,
        }
    }

    /// Whether a condition can hold for values of this type.
    fn wants(&self, condition: &Condition, value: V) -> bool {
        let array = is_array(value);
        self.program.tests[condition.tests].iter().all(|test| match *test {
            Test::Leaf(leaf) => match &self.program.leaves[leaf] {
                Leaf::Equals(literal) => same_type(literal, value),
                Leaf::OneOf(literals) => literals.iter().any(|literal| same_type(literal, value)),
                Leaf::Includes(_) => array,
                Leaf::Number(_) => value.with_view(|view| matches!(view, View::Number(_))),
                Leaf::Exists(_) | Leaf::IsNull(_) | Leaf::AnythingBut(_) | Leaf::Not(_) => true,
                _ => value.with_view(|view| matches!(view, View::String(_))),
            },
            Test::Reference(id) => {
                let reference = &self.program.references[id];
                let other = self.scope.scalar(id, &reference.names);
                other.is_some_and(|other| other.with_view(|a| value.with_view(|b| is_of_same_type(a, b))))
            }
            Test::Size(_) | Test::Some(_) | Test::Every(_) => array,
            Test::All(_) | Test::None(_) | Test::But(_) | Test::NoneOf(_) => true,
        })
    }
}

/// The first failed condition.
fn first_failed(entries: &mut [Entry]) -> Option<&mut Check> {
    entries.iter_mut().find_map(|entry| match entry {
        Entry::Check(check) if !check.held => Some(check),
        _ => None,
    })
}

fn is_array<V: Shown>(value: V) -> bool {
    matches!(value.shape(), Shape::Array(_))
}

fn same_type<V: Shown>(literal: &Literal, value: V) -> bool {
    value.with_view(|view| is_of_same_type(literal.view(), view))
}

/// Whether two values are scalars of one type.
fn is_of_same_type(a: View<'_>, b: View<'_>) -> bool {
    let is_scalar = !matches!(a, View::Missing | View::Object | View::Unrepresentable);
    is_scalar && std::mem::discriminant(&a) == std::mem::discriminant(&b)
}

/// A single entry for conditions that must all hold.
fn all_of(mut entries: Vec<Entry>) -> Entry {
    match entries.pop() {
        Some(only) if entries.is_empty() => only,
        last => {
            entries.extend(last);
            Entry::Group(Group { rule: Rule::All, held: entries.iter().all(Entry::held), entries })
        }
    }
}

/// Sorts failed entries first, the nearest miss before others; otherwise in the filter's order.
fn ordered(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by_key(|entry| (entry.held(), std::cmp::Reverse(entry.nearness())));
    entries
}
