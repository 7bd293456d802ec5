//! Tests of one value that all hold, and what follows from them.

use smallvec::SmallVec;

use super::disjoint::are_disjoint;
use super::{Prover, may_hold, must_hold};
use crate::ops::types::{ARRAY, EVERYTHING, MISSING, NULL, NUMBER, SCALARS, STRING, Types};
use crate::ops::{Comparison, Leaf, Literal, Num, Range, View};
use crate::program::{Condition, Judge, Program, Run, Test};

/// Tests of one value, those of `$all` in place of it, and the types that the value can have for other reasons.
#[derive(Clone)]
pub(super) struct Tests<'p> {
    pub(super) program: &'p Program,
    tests: SmallVec<[&'p Test; 8]>,
    types: Types,
}

impl<'p> Tests<'p> {
    pub(super) fn none(program: &'p Program, types: Types) -> Self {
        Self { program, tests: SmallVec::new(), types }
    }

    pub(super) fn of(program: &'p Program, condition: &Condition, types: Types) -> Self {
        Self::of_run(program, condition.tests, types)
    }

    pub(super) fn of_all(program: &'p Program, run: Run<Condition>, types: Types) -> Self {
        let mut tests = Self::none(program, types);
        tests.add_all(run);
        tests
    }

    fn of_run(program: &'p Program, run: Run<Test>, types: Types) -> Self {
        let mut tests = Self::none(program, types);
        tests.add_run(run);
        tests
    }

    pub(super) fn add(&mut self, condition: &Condition) {
        self.add_run(condition.tests);
    }

    fn add_run(&mut self, run: Run<Test>) {
        for test in &self.program.tests[run] {
            match *test {
                Test::All(run) => self.add_all(run),
                _ => self.tests.push(test),
            }
        }
        self.types = self.tests.iter().fold(self.types, |all, test| all & possible_types(self.program, test));
    }

    pub(super) fn add_all(&mut self, run: Run<Condition>) {
        self.program.conditions[run].iter().for_each(|condition| self.add(condition));
    }

    pub(super) fn restrict(&mut self, types: Types) {
        self.types &= types;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'p Test> {
        self.tests.iter().copied()
    }

    pub(super) fn leaves(&self) -> impl Iterator<Item = &'p Leaf> {
        let program = self.program;
        self.iter().filter_map(move |test| program.leaf(test))
    }

    /// A superset of the types of the values that pass.
    pub(super) fn types(&self) -> Types {
        self.types
    }

    /// The numbers that pass are in this range.
    pub(super) fn range(&self) -> Range {
        self.leaves().fold(Range { low: None, high: None }, |all, leaf| match leaf {
            Leaf::Number(range) => all.intersection(range),
            Leaf::Equals(Literal::Number(number)) => all.intersection(&Range::closed(*number, *number)),
            _ => all,
        })
    }

    /// Whether `holds` for each value that passes; `None` if those are not a list of literals.
    pub(super) fn all_values(&self, mut holds: impl FnMut(View<'_>) -> bool) -> Option<bool> {
        let mut all = |literal: View<'_>| !self.may_hold(literal) || holds(literal);
        if let Some(literal) = self.leaves().find_map(|leaf| match leaf {
            Leaf::Equals(literal) => Some(literal),
            _ => None,
        }) {
            return Some(all(literal.view()));
        }
        if let Some(literals) = self.leaves().find_map(|leaf| match leaf {
            Leaf::OneOf(literals) => Some(literals),
            _ => None,
        }) {
            return Some(literals.iter().all(|literal| all(literal.view())));
        }
        match self.types {
            NULL => return Some(all(View::Null)),
            MISSING => return Some(all(View::Missing)),
            _ => {}
        }
        let Range { low: Some(low), high: Some(high) } = self.range() else { return None };
        (low.at == high.at).then(|| all(View::Number(low.at)))
    }

    /// Whether a scalar may pass.
    pub(super) fn may_hold(&self, value: View<'_>) -> bool {
        self.iter().all(|test| may_hold(self.program, test, value))
    }
}

/// A superset of the types for which a test can hold.
fn possible_types(program: &Program, test: &Test) -> Types {
    let certain_types = |run| program.only_leaf(run).map_or(0, Leaf::certain_types);
    match *test {
        Test::Leaf(leaf) => program.leaves[leaf].possible_types(),
        Test::Reference(_) => SCALARS & !MISSING,
        Test::Size(_) | Test::Some(_) | Test::Every(_) => ARRAY,
        Test::None(run) => {
            !program.conditions[run].iter().fold(0, |types, condition| types | certain_types(condition.tests))
        }
        Test::But(run) => !certain_types(run),
        Test::NoneOf(_) => SCALARS & !MISSING,
        Test::All(_) => EVERYTHING,
    }
}

impl<'p> Prover<'p> {
    /// Whether tests imply one of several conditions.
    pub(super) fn any(self, tests: &Tests<'p>, right: Run<Condition>) -> bool {
        let conditions = &self.right.conditions[right];
        if conditions.iter().any(|condition| self.step() && self.run(tests, condition.tests)) {
            return true;
        }
        // Each of several literals may satisfy another one.
        let each = tests.all_values(|value| {
            self.step()
                && conditions.iter().any(|condition| {
                    self.step()
                        && self.right.tests[condition.tests]
                            .iter()
                            .all(|test| must_hold(self.right, test, value))
                })
        });
        each == Some(true)
    }

    pub(super) fn all(self, tests: &Tests<'p>, right: Run<Condition>) -> bool {
        self.right.conditions[right].iter().all(|condition| self.run(tests, condition.tests))
    }

    fn run(self, tests: &Tests<'p>, right: Run<Test>) -> bool {
        self.right.tests[right].iter().all(|test| self.test(tests, test))
    }

    /// Whether no value passes tests of the left side, which is the right one too.
    pub(super) fn exclude_all(self, tests: &Tests<'p>) -> bool {
        tests.types == 0
            || tests.all_values(|_| false) == Some(true)
            || (2..=COMPARED).contains(&tests.tests.len())
                && (disjoint(tests, tests) || self.negated(tests, tests))
    }

    /// Whether tests imply one test.
    fn test(self, tests: &Tests<'p>, right: &Test) -> bool {
        if !self.count_steps(1 + tests.tests.len()) {
            return false;
        }
        if tests.all_values(|value| self.step() && must_hold(self.right, right, value)) == Some(true) {
            return true;
        }
        match *right {
            Test::Leaf(leaf) => self.implies_leaf(tests, &self.right.leaves[leaf]),
            Test::Reference(id) => {
                let right = &self.right.references[id];
                tests.iter().any(|test| match *test {
                    Test::Reference(left) => {
                        let left = &self.left.references[left];
                        let wider = matches!(
                            (left.comparison, right.comparison),
                            (Comparison::Greater, Comparison::GreaterOrEqual)
                                | (Comparison::Less, Comparison::LessOrEqual)
                        );
                        left.names == right.names && (left.comparison == right.comparison || wider)
                    }
                    _ => false,
                })
            }
            Test::Size(run) => tests.iter().any(|test| match *test {
                Test::Size(left) => self.run(&length(self.left, left), run),
                _ => false,
            }),
            Test::Some(ref judge) => tests.iter().any(|test| match *test {
                Test::Some(ref left) => self.judge(left, judge),
                Test::Leaf(leaf) => match &self.left.leaves[leaf] {
                    Leaf::Includes(literal) => self.satisfies(literal, judge),
                    _ => false,
                },
                _ => false,
            }),
            Test::Every(ref judge) => tests.iter().any(|test| match *test {
                Test::Every(ref left) => self.judge(left, judge),
                // Every element of an empty array satisfies anything.
                Test::Size(left) => {
                    let empty = |value: View<'_>| value == View::Number(Num::Int(0));
                    length(self.left, left).all_values(empty) == Some(true)
                }
                _ => false,
            }),
            Test::All(run) => self.all(tests, run),
            Test::None(run) => self.right.conditions[run]
                .iter()
                .all(|condition| self.contradict(tests, &Tests::of(self.right, condition, EVERYTHING))),
            Test::But(run) => self.contradict(tests, &Tests::of_run(self.right, run, EVERYTHING)),
            Test::NoneOf(leaves) => {
                tests.types() & !(SCALARS & !MISSING) == 0
                    && self.right.leaves[leaves].iter().all(|right| self.contradict_leaf(tests, right))
            }
        }
    }

    /// Whether a literal, as an element of an array, satisfies the condition on it.
    fn satisfies(self, literal: &Literal, judge: &Judge) -> bool {
        match *judge {
            Judge::Pattern(pattern) => {
                let pattern = &self.right.patterns[pattern];
                pattern.members.is_empty() || *literal != Literal::Null && self.right.on_empty(pattern)
            }
            Judge::Any(run) => self.right.conditions[run].iter().any(|condition| {
                let mut tests = self.right.tests[condition.tests].iter();
                tests.all(|test| must_hold(self.right, test, literal.view()))
            }),
        }
    }

    /// Whether no value passes tests of both sides.
    pub(super) fn contradict(self, left: &Tests<'p>, right: &Tests<'p>) -> bool {
        self.step()
            && (left.types() & right.types() == 0
                || left.all_values(|value| !right.may_hold(value)) == Some(true)
                || right.all_values(|value| !left.may_hold(value)) == Some(true)
                || self.negated(left, right)
                || self.swapped().negated(right, left)
                || disjoint(left, right))
    }

    /// Whether the left tests exclude what the right ones require.
    fn negated(self, left: &Tests<'p>, right: &Tests<'p>) -> bool {
        let other = self.swapped();
        left.iter().any(|test| match *test {
            Test::None(run) => {
                self.left.conditions[run].iter().any(|condition| other.run(right, condition.tests))
            }
            Test::But(run) => other.run(right, run),
            Test::NoneOf(leaves) => {
                self.left.leaves[leaves].iter().any(|leaf| other.implies_leaf(right, leaf))
            }
            _ => false,
        })
    }
}

/// Tests of the length of an array.
fn length(program: &Program, run: Run<Test>) -> Tests<'_> {
    Tests::of_run(program, run, NUMBER)
}

/// The most tests of which each is compared with each other.
const COMPARED: usize = 32;

/// Whether numbers or texts that pass one side never pass the other.
fn disjoint(left: &Tests<'_>, right: &Tests<'_>) -> bool {
    let numbers =
        left.types() & right.types() & NUMBER == 0 || left.range().intersection(&right.range()).is_empty();
    let texts = left.types() & right.types() & STRING == 0
        || left.leaves().take(COMPARED).any(|a| right.leaves().take(COMPARED).any(|b| are_disjoint(a, b)));
    numbers && texts && left.types() & right.types() & !(NUMBER | STRING) == 0
}
