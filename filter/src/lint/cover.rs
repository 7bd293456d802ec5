//! Approximations of the values for which a condition can hold, and for which it must.
//!
//! Both are safe: [`Upper`] includes every value that satisfies the condition, [`Lower`] excludes every value that does
//! not. So warnings based on them are true, though incomplete.

use std::cmp::Ordering;

use crate::ast::{Condition, Test, TestKind};
use crate::ops::number::Bound;
use crate::ops::types::{ARRAY, EVERYTHING, MISSING, NUMBER, SCALARS, STRING, Types};
use crate::ops::{Comparison, Leaf, Literal, Num, Range};

/// The most literals that are compared with each other. Longer lists are hardly mistakes, and comparing them would take
/// quadratic time.
const COMPARED: usize = 32;

/// How many more levels of operators in operators are looked into. What is below them counts as unknown: each level is looked at
/// by the warnings of those above it, so without a bound a deep filter would take quadratic time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Levels(u8);

impl Levels {
    pub(super) const ALL: Self = Self(6);

    fn below(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }
}

/// A superset of the values that satisfy a condition.
#[derive(Clone, Debug)]
pub(super) struct Upper<'t> {
    types: Types,
    numbers: Range,
    /// The only possible string.
    string: Option<&'t str>,
}

impl<'t> Upper<'t> {
    fn of_types(types: Types) -> Self {
        Self { types, numbers: Range { low: None, high: None }, string: None }
    }

    pub(super) fn everything() -> Self {
        Self::of_types(EVERYTHING)
    }

    fn of_numbers(numbers: Range) -> Self {
        let types = if numbers.is_empty() { 0 } else { NUMBER };
        Self { types, numbers, string: None }
    }

    fn of_literal(literal: &'t Literal) -> Self {
        match literal {
            Literal::Number(number) => Self::of_numbers(Range::closed(*number, *number)),
            Literal::String(text) => Self { string: Some(text), ..Self::of_types(STRING) },
            other => Self::of_types(other.of_type()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.types == 0
    }

    pub(super) fn and(mut self, other: &Self) -> Self {
        self.types &= other.types;
        self.numbers = self.numbers.intersection(&other.numbers);
        if self.numbers.is_empty() {
            self.types &= !NUMBER;
        }
        match (self.string, other.string) {
            (Some(a), Some(b)) if a != b => self.types &= !STRING,
            (a, b) => self.string = a.or(b),
        }
        self
    }

    fn or(self, other: &Self) -> Self {
        if self.is_empty() {
            return other.clone();
        }
        if other.is_empty() {
            return self;
        }
        // Ranges and strings are not united: leaving them open is safe.
        Self::of_types(self.types | other.types)
    }

    pub(super) fn of_tests(tests: &'t [Test<'_>], levels: Levels) -> Self {
        tests.iter().fold(Self::everything(), |all, test| all.and(&Self::of_test(test, levels)))
    }

    pub(super) fn of_all(conditions: &'t [Condition<'_>], levels: Levels) -> Self {
        conditions.iter().fold(Self::everything(), |all, c| all.and(&Self::of_tests(&c.tests, levels)))
    }

    fn of_any(conditions: &'t [Condition<'_>], levels: Levels) -> Self {
        conditions.iter().fold(Self::of_types(0), |any, c| any.or(&Self::of_tests(&c.tests, levels)))
    }

    pub(super) fn of_test(test: &'t Test<'_>, levels: Levels) -> Self {
        let Some(levels) = levels.below() else { return Self::everything() };
        match &test.kind {
            TestKind::Leaf(leaf) => Self::of_leaf(leaf),
            TestKind::Reference(reference) => Self::of_types(match reference.comparison {
                Comparison::Equal => SCALARS & !MISSING,
                _ => NUMBER | STRING,
            }),
            TestKind::IgnoreCase(tests) => Self::of_tests(tests, levels),
            TestKind::Size(tests) => {
                let lengths = Self::of_numbers(Range::above(Num::Int(0), true));
                let possible = lengths.and(&Self::of_tests(tests, levels));
                Self::of_types(if possible.is_empty() || !holds_an_integer(tests) { 0 } else { ARRAY })
            }
            TestKind::Some(_) | TestKind::Every(_) => Self::of_types(ARRAY),
            TestKind::All(conditions) => Self::of_all(conditions, levels),
            TestKind::None(conditions) => Self::of_types(!Lower::of_any(conditions, levels).types),
            TestKind::But(tests) => Self::of_types(!Lower::of_tests(tests, levels).types),
            TestKind::NoneOf(_) => Self::of_types(SCALARS & !MISSING),
        }
    }

    fn of_leaf(leaf: &'t Leaf) -> Self {
        match leaf {
            Leaf::Equals(literal) => Self::of_literal(literal),
            Leaf::Number(range) => Self::of_numbers(**range),
            other => Self::of_types(other.possible_types()),
        }
    }
}

/// Whether an integer may satisfy tests of a length; detects only equality with a fraction.
fn holds_an_integer(tests: &[Test<'_>]) -> bool {
    !tests.iter().any(|test| {
        matches!(&test.kind, TestKind::Leaf(Leaf::Equals(Literal::Number(Num::Float(number)))) if number.fract() != 0.0)
    })
}

/// A subset of the values that satisfy a condition: whole types, and all values except some literals.
#[derive(Clone, Debug, Default)]
pub(super) struct Lower<'t> {
    pub(super) types: Types,
    ranges: Vec<Range>,
    equal: Vec<&'t Literal>,
    /// All values except these; `None` if the set has another form.
    all_but: Option<Vec<&'t Literal>>,
    /// Whether several ranges together cover all numbers, though no single one does.
    pub(super) ranges_meet: bool,
}

impl<'t> Lower<'t> {
    fn of_types(types: Types) -> Self {
        Self { types, ..Self::default() }
    }

    /// The intersection of all tests; for several tests only the types that all of them cover.
    fn of_tests(tests: &'t [Test<'_>], levels: Levels) -> Self {
        match tests {
            [only] => Self::of_test(only, levels),
            many => {
                let types = many.iter().map(|test| Self::of_test(test, levels).types);
                Self::of_types(types.fold(EVERYTHING, |all, types| all & types))
            }
        }
    }

    pub(super) fn of_any(conditions: &'t [Condition<'_>], levels: Levels) -> Self {
        let mut any = Self::default();
        for condition in conditions {
            let one = Self::of_tests(&condition.tests, levels);
            any.types |= one.types;
            any.ranges.extend(one.ranges);
            if any.equal.len() < COMPARED {
                any.equal.extend(one.equal);
            }
            any.all_but = match (any.all_but.take(), one.all_but) {
                (Some(a), Some(b)) => Some(a.into_iter().filter(|literal| b.contains(literal)).collect()),
                (a, b) => a.or(b),
            };
        }
        if cover_all_numbers(&mut any.ranges) {
            any.ranges_meet = any.types & NUMBER == 0;
            any.types |= NUMBER;
        }
        if any.all_but.as_ref().is_some_and(|left| {
            left.iter().all(|literal| any.types & literal.of_type() != 0 || any.equal.contains(literal))
        }) {
            any.types = EVERYTHING;
        }
        any
    }

    fn of_test(test: &'t Test<'_>, levels: Levels) -> Self {
        let Some(levels) = levels.below() else { return Self::default() };
        match &test.kind {
            TestKind::Leaf(leaf) => Self::of_leaf(leaf),
            TestKind::IgnoreCase(tests) => Self::of_tests(tests, levels),
            TestKind::Reference(_)
            | TestKind::Size(_)
            | TestKind::Some(_)
            | TestKind::Every(_)
            | TestKind::NoneOf(_) => Self::default(),
            TestKind::All(conditions) => Self::of_types(
                conditions.iter().fold(EVERYTHING, |all, c| all & Self::of_tests(&c.tests, levels).types),
            ),
            TestKind::None(conditions) => Self::of_types(!Upper::of_any(conditions, levels).types),
            TestKind::But(tests) => Self::of_types(!Upper::of_tests(tests, levels).types),
        }
    }

    fn of_leaf(leaf: &'t Leaf) -> Self {
        let types = leaf.certain_types();
        match leaf {
            Leaf::Equals(literal) => Self { types, equal: vec![literal], ..Self::default() },
            Leaf::Number(range) => Self { ranges: vec![**range], ..Self::default() },
            Leaf::AnythingBut(literals) => Self {
                types,
                all_but: (literals.iter().len() <= COMPARED).then(|| literals.iter().collect()),
                ..Self::default()
            },
            _ => Self::of_types(types),
        }
    }
}

/// Whether the ranges cover every number: sorted by lower bound, each must begin before a gap opens.
fn cover_all_numbers(ranges: &mut [Range]) -> bool {
    ranges.sort_by(|a, b| match (a.low, b.low) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(a), Some(b)) => a.at.compare(b.at).then(b.inclusive.cmp(&a.inclusive)),
    });
    let mut ranges = ranges.iter().filter(|range| !range.is_empty());
    let Some(first) = ranges.next() else { return false };
    if first.low.is_some() {
        return false;
    }
    let mut covered = first.high;
    for range in ranges {
        // Without an upper bound, all is covered.
        let Some(end) = covered else { return true };
        let meets = range.low.is_none_or(|start| match start.at.compare(end.at) {
            Ordering::Less => true,
            Ordering::Equal => start.inclusive || end.inclusive,
            Ordering::Greater => false,
        });
        if !meets {
            return false;
        }
        covered = furthest(covered, range.high);
    }
    covered.is_none()
}

/// The greater upper bound; `None` is unbounded.
fn furthest(a: Option<Bound>, b: Option<Bound>) -> Option<Bound> {
    let (a, b) = (a?, b?);
    Some(match a.at.compare(b.at) {
        Ordering::Less => b,
        Ordering::Greater => a,
        Ordering::Equal => Bound { at: a.at, inclusive: a.inclusive || b.inclusive },
    })
}
