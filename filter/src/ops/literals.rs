//! Sets of literals, and membership of a value.
//!
//! Small sets are compared one by one, large ones by binary search: a list of ten thousand names takes fourteen
//! comparisons. A hash table would have to hash the value anew for every set.

use std::cmp::Ordering;

use super::View;
use super::compare;
use super::literal::Literal;

/// Literals in the order of the filter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LiteralSet {
    listed: Box<[Literal]>,
    /// The indices of the literals in sorted order; empty for a small set.
    sorted: Box<[u32]>,
}

impl LiteralSet {
    /// The most literals that are compared one by one.
    pub(crate) const FEW: usize = 8;

    pub(crate) fn new(listed: Vec<Literal>) -> Self {
        let mut sorted = Vec::new();
        // The count fits: a filter's text is shorter than 2³² bytes.
        if Self::is_many(listed.len())
            && let Ok(count) = u32::try_from(listed.len())
        {
            sorted.extend(0..count);
            sorted.sort_by(|&a, &b| compare(&listed[a as usize], listed[b as usize].view()));
        }
        Self { listed: listed.into(), sorted: sorted.into() }
    }

    /// Whether one of them equals the value.
    pub(crate) fn contains(&self, value: View<'_>) -> bool {
        if let [only] = &*self.listed {
            return only.equals(value);
        }
        if self.sorted.is_empty() {
            return self.listed.iter().any(|literal| literal.equals(value));
        }
        self.sorted.binary_search_by(|&place| compare(&self.listed[place as usize], value)).is_ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Literal> {
        self.listed.iter()
    }

    /// Whether a set of this size is sorted.
    pub(crate) fn is_many(count: usize) -> bool {
        count > Self::FEW
    }
}

/// A total order of scalars, consistent with equality. Values that are no scalars come last.
fn compare(literal: &Literal, value: View<'_>) -> Ordering {
    match (literal, value) {
        (Literal::Bool(a), View::Bool(b)) => a.cmp(&b),
        (Literal::Number(a), View::Number(b)) => a.compare(b),
        (Literal::String(a), View::String(b)) => compare::order(a, b.bytes()),
        (literal, value) => rank(literal.view()).cmp(&rank(value)),
    }
}

fn rank(value: View<'_>) -> u8 {
    match value {
        View::Null => 0,
        View::Bool(_) => 1,
        View::Number(_) => 2,
        View::String(_) => 3,
        View::Missing | View::Object | View::Unrepresentable => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::{LiteralSet, View};
    use crate::ops::{Literal, Num};

    fn literals(count: i64) -> Vec<Literal> {
        (0..count)
            .rev()
            .flat_map(|n| [Literal::String(format!("s{n}").into()), Literal::Number(Num::Int(n * 2))])
            .chain([Literal::Null, Literal::Bool(true)])
            .collect()
    }

    #[test]
    fn large_sets_agree_with_small_ones() {
        for count in [0, 1, 3, 4, 50] {
            let (listed, set) = (literals(count), LiteralSet::new(literals(count)));
            let odd = (0..count).map(|n| View::Number(Num::Int(n * 2 + 1)));
            let half = [View::Number(Num::Float(0.5)), View::String("s".into()), View::Bool(false)];
            let none = [View::Missing, View::Object, View::Unrepresentable];
            for absent in odd.chain(half).chain(none) {
                assert!(!set.contains(absent), "{absent:?} in {set:?}");
            }
            assert!(listed.iter().all(|literal| set.contains(literal.view())), "{set:?}");
        }
    }
}
