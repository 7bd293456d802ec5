//! The walk that makes an explanation, over the program and the event side by side.

use super::elide::{Path, Shown, actual, elided};
use super::{Check, Entry, Explanation, Group, Nearness, Rule, distance};
use crate::ast::Junction;
use crate::matcher::Shape;
use crate::matcher::evaluate::Leaves;
use crate::ops::{Leaf, Literal, View};
use crate::program::{Condition, Id, Member, Node, Pattern, Program, Run, Test};

impl Program {
    /// Explains the result; linear in the size of the event times the number of conditions.
    pub(crate) fn explain<V: Shown>(&self, event: V) -> Explanation {
        let matched = self.matches(event);
        Explanation { matched, entries: self.explain_pattern(self.root, event, &Path::default()) }
    }

    /// Explains a pattern on a present value.
    fn explain_pattern<V: Shown>(&self, id: Id<Pattern>, value: V, path: &Path) -> Vec<Entry> {
        let pattern = &self.patterns[id];
        match value.shape() {
            Shape::Null if pattern.members.is_empty() => Vec::new(),
            Shape::Null => vec![self.no_object(id, Some(value), path)],
            Shape::Object => self.explain_members(pattern, Some(value), path),
            Shape::Scalar | Shape::Array(_) => self.explain_members::<V>(pattern, None, path),
        }
    }

    /// A missing value or null: the pattern's members are not applied.
    fn no_object<V: Shown>(&self, pattern: Id<Pattern>, value: Option<V>, path: &Path) -> Entry {
        Entry::Check(Check {
            path: path.shown(),
            expected: elided(|out| self.describe_node(out, &Node::Nested(pattern))),
            actual: actual(value),
            held: false,
            nearness: if value.is_some() { Nearness::Null } else { Nearness::Missing },
        })
    }

    fn explain_members<V: Shown>(&self, pattern: &Pattern, object: Option<V>, path: &Path) -> Vec<Entry> {
        let mut entries = Vec::new();
        for member in &self.members[pattern.members] {
            match member {
                Member::Field { name, node } => {
                    let name = self.name(*name);
                    let value = object.and_then(|object| object.field(name));
                    entries.extend(self.explain_node(node, value, &path.field(name)));
                }
                Member::Junction { kind, patterns } => {
                    let alternatives = self.patterns[*patterns]
                        .iter()
                        .map(|pattern| all_of(self.explain_members(pattern, object, path)))
                        .collect();
                    let mut alternatives = ordered(alternatives);
                    let rule = match kind {
                        Junction::Or => Rule::Any,
                        Junction::And => Rule::All,
                        Junction::Nor => {
                            // The entries that must not hold but do, first.
                            alternatives.sort_by_key(|entry| !entry.held());
                            Rule::None
                        }
                    };
                    let held = self.member(member, object);
                    entries.push(Entry::Group(Group { rule, held, entries: alternatives }));
                }
            }
        }
        ordered(entries)
    }

    fn explain_node<V: Shown>(&self, node: &Node, value: Option<V>, path: &Path) -> Vec<Entry> {
        let held = self.node(node, value);
        match *node {
            Node::Nested(pattern) => match value.map(|value| (value, value.shape())) {
                None | Some((_, Shape::Null)) if self.patterns[pattern].members.is_empty() => Vec::new(),
                None | Some((_, Shape::Null)) => vec![self.no_object(pattern, value, path)],
                Some((array, Shape::Array(items))) => {
                    vec![self.explain_elements(node, pattern, items, held, array, path)]
                }
                Some((value, _)) => self.explain_pattern(pattern, value, path),
            },
            Node::NestedScalars { pattern, .. } => match value.map(|value| (value, value.shape())) {
                Some((_, Shape::Object)) => self.explain_members(&self.patterns[pattern], value, path),
                Some((array, Shape::Array(_))) => {
                    vec![self.explain_elements(node, pattern, Leaves::of(value), held, array, path)]
                }
                _ => self.explain_members::<V>(&self.patterns[pattern], None, path),
            },
            Node::Any(conditions) | Node::All(conditions) | Node::Scalars { conditions, .. } => {
                vec![Entry::Check(Check {
                    path: path.shown(),
                    expected: elided(|out| self.describe_node(out, node)),
                    actual: actual(value),
                    held,
                    nearness: if held { Nearness::Held } else { self.nearness(conditions, value) },
                })]
            }
        }
    }

    /// Explains a nested pattern on an array by the element that matches, or the one nearest to a match.
    fn explain_elements<V: Shown>(
        &self,
        node: &Node,
        pattern: Id<Pattern>,
        elements: impl Iterator<Item = V>,
        held: bool,
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
            let entries = self.explain_pattern(pattern, element, &path.element(flat.then_some(index)));
            if nearest.as_ref().is_none_or(|(_, best)| distance(&entries) < distance(best)) {
                nearest = Some((index, entries));
            }
        }
        match nearest {
            Some((index, entries)) if entries.iter().all(Entry::held) == held => Entry::Group(Group {
                rule: Rule::Element { path: path.element(flat.then_some(index)).shown(), count },
                held,
                entries,
            }),
            // No element decides: the array is empty, or no element has a field of the pattern.
            _ => Entry::Check(Check {
                path: path.shown(),
                expected: elided(|out| self.describe_node(out, node)),
                actual: actual(Some(array)),
                held,
                nearness: if held { Nearness::Held } else { Nearness::OtherType },
            }),
        }
    }

    fn nearness<V: Shown>(&self, conditions: Run<Condition>, value: Option<V>) -> Nearness {
        match value {
            None => Nearness::Missing,
            Some(value) if matches!(value.shape(), Shape::Null) => Nearness::Null,
            Some(value) if self.conditions[conditions].iter().any(|c| self.wants(c, value)) => {
                Nearness::OtherValue
            }
            Some(_) => Nearness::OtherType,
        }
    }

    /// Whether a condition can hold for values of this type.
    fn wants<V: Shown>(&self, condition: &Condition, value: V) -> bool {
        let array = is_array(value);
        self.tests[condition.tests].iter().all(|test| match *test {
            Test::Leaf(leaf) => match &self.leaves[leaf] {
                Leaf::Equals(literal) => same_type(literal, value),
                Leaf::OneOf(literals) => literals.iter().any(|literal| same_type(literal, value)),
                Leaf::Includes(_) => array,
                Leaf::Number(_) => value.with_view(|view| matches!(view, View::Number(_))),
                Leaf::Exists(_) | Leaf::IsNull(_) | Leaf::AnythingBut(_) | Leaf::Not(_) => true,
                _ => value.with_view(|view| matches!(view, View::String(_))),
            },
            Test::Size(_) | Test::Some(_) | Test::Every(_) => array,
            Test::All(_) | Test::None(_) | Test::But(_) | Test::NoneOf(_) => true,
        })
    }
}

fn is_array<V: Shown>(value: V) -> bool {
    matches!(value.shape(), Shape::Array(_))
}

fn same_type<V: Shown>(literal: &Literal, value: V) -> bool {
    value.with_view(|view| {
        matches!(
            (literal, view),
            (Literal::Null, View::Null)
                | (Literal::Bool(_), View::Bool(_))
                | (Literal::Number(_), View::Number(_))
                | (Literal::String(_), View::String(_))
        )
    })
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
