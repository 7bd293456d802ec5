//! From the condition on a field to requirements.
//!
//! Most conditions are one predicate on the field. Some are more, so that what they contain is indexed too:
//!
//! ```text
//!  {"$some": filter, "$size": 2}   ─► it is an array  +  a pattern on its elements  +  a predicate for the rest
//!  {"$every": filter}              ─► a predicate  +  a junction: a pattern on its elements, or that it is empty
//!  [{"$some": filter}, "x", …]     ─► a junction: a pattern for each condition; so for any long list
//! ```
//!
//! `$some` of a filter differs from a nested filter only in that it requires an array.

use smallvec::SmallVec;

use super::predicate::{Tag, Test, number_bytes};
use super::requirement::{PatternKind, Requirement, RequirementKind};
use super::{Index, only_leaf, simple};
use crate::compile::copy::Fragment;
use crate::ops::{Leaf, Num, Range};
use crate::program::{Condition, Id, Judge, Node, Pattern, Program, Run, Test as ProgramTest};

/// A list of more conditions than this is a junction. A predicate would evaluate all of them on each value that may satisfy one.
const LONG: usize = 16;

/// The tests of a conjunction.
type Tests<'p> = SmallVec<[&'p ProgramTest; 4]>;

impl Index {
    /// Pushes the requirements of a field; none if it always holds.
    pub(super) fn push_field(&mut self, program: &Program, name: &str, node: &Node, object: u32) {
        match *node {
            Node::All(run) if run.is_empty() => {}
            Node::Nested(pattern) if !program.patterns[pattern].members.is_empty() => {
                self.push_nested(program, pattern, name, object, false);
            }
            Node::NestedScalars { pattern, absent: false } => {
                self.push_nested(program, pattern, name, object, true);
            }
            // Most conditions are one literal.
            _ if only_leaf(program, node).is_some() => self.push_predicate(program, name, node, object),
            Node::Any(run) if program.conditions[run].len() == 1 => {
                self.push_conjunction(program, name, node, run, object);
            }
            Node::All(run) => self.push_conjunction(program, name, node, run, object),
            Node::Any(run) | Node::Scalars { conditions: run, absent: false } => {
                let conditions = &program.conditions[run];
                let inner = |condition: &Condition| {
                    let mut tests = Tests::new();
                    flatten(program, condition, &mut tests);
                    tests.iter().any(|test| {
                        inner_pattern(program, test).or_else(|| every_pattern(program, test)).is_some()
                    })
                };
                if conditions.len() > LONG || conditions.iter().any(inner) {
                    self.push_alternatives(program, name, node, run, object);
                } else {
                    self.push_predicate(program, name, node, object);
                }
            }
            _ => self.push_predicate(program, name, node, object),
        }
    }

    /// Pushes a pattern on the objects in a field's value.
    fn push_nested(&mut self, program: &Program, pattern: Id<Pattern>, name: &str, object: u32, deep: bool) {
        let field = self.field_node(object, name);
        let inner = self.object_under(field);
        let requirements = self.requirements(program, &program.patterns[pattern], inner);
        let number =
            self.pattern(requirements, inner, if deep { PatternKind::Deep } else { PatternKind::Nested });
        self.add_requirement_use(number);
        self.stack.push(Requirement::new(RequirementKind::Pattern, number));
    }

    fn push_predicate(&mut self, program: &Program, name: &str, node: &Node, object: u32) {
        let field = self.field_node(object, name);
        let deep = matches!(node, Node::Scalars { .. } | Node::NestedScalars { .. });
        let predicate = match only_leaf(program, node) {
            Some(leaf) => match simple(leaf) {
                Some((tag, payload)) => self.key(field, tag.deep(deep), &payload),
                None => self.predicate(field, deep, Test::Leaf(Box::new(leaf.clone()))),
            },
            None => self.predicate(field, deep, Test::Node(Fragment::new(program, node).into())),
        };
        self.stack.push(Requirement::new(RequirementKind::Predicate, predicate));
    }

    /// Pushes the condition that a field is a number in a range.
    fn push_range(&mut self, range: Range, name: &str, object: u32) {
        let field = self.field_node(object, name);
        let predicate = self.predicate(field, false, Test::Leaf(Box::new(Leaf::Number(Box::new(range)))));
        self.stack.push(Requirement::new(RequirementKind::Predicate, predicate));
    }

    /// Pushes conditions that must all hold.
    fn push_conjunction(
        &mut self,
        program: &Program,
        name: &str,
        node: &Node,
        run: Run<Condition>,
        object: u32,
    ) {
        let mut tests = Tests::new();
        program.conditions[run].iter().for_each(|condition| flatten(program, condition, &mut tests));
        let (inner, others): (Tests<'_>, Tests<'_>) =
            tests.into_iter().partition(|test| inner_pattern(program, test).is_some());
        for pattern in others.iter().filter_map(|test| every_pattern(program, test)) {
            self.push_every(program, pattern, name, object);
        }
        if inner.is_empty() {
            return match only_range(program, &others) {
                Some(range) => self.push_range(range, name, object),
                None => self.push_predicate(program, name, node, object),
            };
        }
        for pattern in inner.iter().filter_map(|test| inner_pattern(program, test)) {
            self.push_nested(program, pattern, name, object, false);
        }
        let field = self.field_node(object, name);
        let array = self.key(field, Tag::ANY_ARRAY, &[]);
        self.stack.push(Requirement::new(RequirementKind::Predicate, array));
        if !others.is_empty() {
            let rest = Fragment::of_tests(program, &others);
            let predicate = self.predicate(field, false, Test::Node(rest.into()));
            self.stack.push(Requirement::new(RequirementKind::Predicate, predicate));
        }
    }

    /// Pushes what `$every` of a pattern requires: an element that satisfies it, or that there is none. Not inside another one, whose
    /// predicate has a copy of all of it: that would take quadratic time.
    fn push_every(&mut self, program: &Program, pattern: Id<Pattern>, name: &str, object: u32) {
        if std::mem::replace(&mut self.in_every, true) {
            return;
        }
        let start = self.stack.len();
        self.push_nested(program, pattern, name, object, false);
        let some = self.take_requirements(start);
        let field = self.field_node(object, name);
        let empty = self.key(field, Tag::NUMBER.length(), &number_bytes(Num::Int(0)));
        self.stack.push(Requirement::new(RequirementKind::Predicate, empty));
        let none = self.take_requirements(start);
        let patterns = [some, none].map(|one| self.pattern(one, object, PatternKind::Alternative));
        self.push_junction(true, patterns.into());
        self.in_every = false;
    }

    /// Pushes a junction with a pattern for each condition.
    fn push_alternatives(
        &mut self,
        program: &Program,
        name: &str,
        node: &Node,
        run: Run<Condition>,
        object: u32,
    ) {
        let mut patterns = Vec::new();
        let deep = matches!(node, Node::Scalars { .. });
        for one in run.each() {
            let start = self.stack.len();
            let node = if deep { Node::Scalars { conditions: one, absent: false } } else { Node::Any(one) };
            self.push_field(program, name, &node, object);
            let requirements = self.take_requirements(start);
            patterns.push(self.pattern(requirements, object, PatternKind::Alternative));
        }
        self.push_junction(true, patterns);
    }

    /// Pushes a junction of patterns that have been added for it.
    pub(super) fn push_junction(&mut self, any: bool, mut patterns: Vec<u32>) {
        patterns.sort_unstable();
        let junction = self.junction(any, patterns);
        self.stack.push(Requirement::new(RequirementKind::Junction, junction));
    }
}

/// The tests of a condition, with those of `$all` in place of it.
fn flatten<'p>(program: &'p Program, condition: &Condition, tests: &mut Tests<'p>) {
    // The limit of depth bounds the recursion.
    for test in &program.tests[condition.tests] {
        match test {
            ProgramTest::All(run) => {
                program.conditions[*run].iter().for_each(|condition| flatten(program, condition, tests));
            }
            other => tests.push(other),
        }
    }
}

/// The range that several bounds are, if there are no other tests.
fn only_range(program: &Program, tests: &[&ProgramTest]) -> Option<Range> {
    let ranges = tests.iter().map(|test| match program.leaf(test) {
        Some(Leaf::Number(range)) => Some(**range),
        _ => None,
    });
    ranges.reduce(|a, b| Some(a?.intersection(&b?)))?
}

/// The filter that some element must satisfy, unless that is empty.
fn inner_pattern(program: &Program, test: &ProgramTest) -> Option<Id<Pattern>> {
    let ProgramTest::Some(Judge::Pattern(pattern)) = *test else { return None };
    (!program.patterns[pattern].members.is_empty()).then_some(pattern)
}

/// The filter that every element must satisfy, unless that is empty.
fn every_pattern(program: &Program, test: &ProgramTest) -> Option<Id<Pattern>> {
    let ProgramTest::Every(Judge::Pattern(pattern)) = *test else { return None };
    (!program.patterns[pattern].members.is_empty()).then_some(pattern)
}
