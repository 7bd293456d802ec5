//! What follows from operators: one by one for those on texts, together for numbers and types.

use super::Prover;
use super::conditions::Tests;
use super::disjoint::{are_disjoint, is_inside};
use super::texts::Texts;
use crate::ops::types::{EVERYTHING, MISSING, NULL, NUMBER, SCALARS, STRING};
use crate::ops::{Chars, Leaf};
use crate::program::{Judge, Test};

impl<'p> Prover<'p> {
    /// Whether tests imply one operator.
    pub(super) fn implies_leaf(self, tests: &Tests<'p>, right: &Leaf) -> bool {
        let types = tests.types();
        // It holds for all values of these types.
        types & !right.certain_types() == 0
            || tests.leaves().any(|left| implies(left, right))
            || match right {
                Leaf::Number(range) => {
                    let left = tests.range();
                    types & !NUMBER == 0 && left.intersection(range) == left
                }
                Leaf::AnythingBut(literals) => {
                    literals.iter().all(|literal| self.step() && !tests.may_hold(literal.view()))
                }
                Leaf::Not(literal) => {
                    types & !(SCALARS & !MISSING & !NULL) == 0 && !tests.may_hold(literal.view())
                }
                Leaf::Includes(literal) => tests.iter().any(|test| match *test {
                    // Only this literal can be the element that is asked for.
                    Test::Some(Judge::Any(run)) => self.left.conditions[run].iter().all(|condition| {
                        let element = Tests::of(self.left, condition, EVERYTHING & !MISSING);
                        self.step() && element.all_values(|value| literal.equals(value)) == Some(true)
                    }),
                    _ => false,
                }),
                _ => false,
            }
    }

    /// Whether no value passes the tests for which the operator holds.
    pub(super) fn contradict_leaf(self, tests: &Tests<'p>, right: &Leaf) -> bool {
        let values = tests.all_values(|value| self.step() && !right.holds(value));
        values == Some(true)
            || tests.types() & right.possible_types() == 0
            || tests.types() & right.possible_types() == STRING
                && tests.leaves().any(|left| are_disjoint(left, right))
            || tests.iter().any(|test| match *test {
                Test::NoneOf(leaves) => self.left.leaves[leaves].iter().any(|left| implies(right, left)),
                _ => false,
            })
    }
}

/// Whether each value for which one operator holds satisfies the other.
fn implies(left: &Leaf, right: &Leaf) -> bool {
    if left == right {
        return true;
    }
    match (left, right) {
        (Leaf::Cidr(inner), Leaf::Cidr(outer)) => is_inside(inner, outer),
        (Leaf::Time(inner), Leaf::Time(outer)) => {
            inner.after == outer.after
                && if inner.after { inner.at >= outer.at } else { inner.at <= outer.at }
        }
        (Leaf::IgnoreCase(left), Leaf::IgnoreCase(right)) => right.equals(Chars::Str(left.text())),
        (Leaf::AnythingBut(more), Leaf::AnythingBut(less)) => {
            less.iter().all(|literal| more.contains(literal.view()))
        }
        _ => match (Texts::of(left), Texts::of(right)) {
            (Some(left), Some(right)) => left.is_within(&right),
            _ => false,
        },
    }
}
