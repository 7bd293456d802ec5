//! Prefetching while a set grows, and the hints that prefetching while it matches needs; see `matching::lookup`.

use super::requirement::{Requirement, RequirementKind};
use super::{Index, ROOT, only_leaf, simple, test_hash};
use crate::program::{self, Node, Program};

/// The data that a lookup of a key reads next. It is stored with the key in the predicate table, and may be out of date.
#[derive(Clone, Copy, Debug)]
pub(in crate::set) struct PrefetchHint {
    pub(in crate::set) pattern: u32,
    /// The rule that the predicate leads to; `u32::MAX` if it may lead to several.
    rule: u32,
}

impl PrefetchHint {
    /// The rule that the predicate leads to, unless it may lead to several. These may be more than fit in place.
    #[inline]
    pub(in crate::set) fn only_rule(self) -> Option<u32> {
        (self.rule != u32::MAX).then_some(self.rule)
    }
}

impl Default for PrefetchHint {
    fn default() -> Self {
        Self { pattern: u32::MAX, rule: u32::MAX }
    }
}

impl Index {
    /// Sets the hint of the key that leads to a new rule.
    pub(super) fn set_hint(&mut self, mut access: Requirement, rule: u32) {
        // A small table is in a cache, so nothing is prefetched; the few hints that a large one lacks then do not matter.
        if !self.predicate_table.is_large() {
            return;
        }
        let mut pattern = PrefetchHint::default().pattern;
        while access.kind() == RequirementKind::Pattern {
            let next = self.patterns.at(access.index());
            let Some(position) = next.access else { return };
            pattern = access.index();
            access = next.requirements.get(position);
        }
        if access.kind() == RequirementKind::Predicate {
            let predicate = self.predicates.at(access.index());
            let postings = predicate.postings.as_slice().len();
            if postings <= 2 && predicate.test.key().is_some() {
                let hash = test_hash(&self.seeds, predicate.field, &predicate.test);
                let rule = if postings > 1 { PrefetchHint::default().rule } else { rule };
                let hint = PrefetchHint { pattern, rule };
                self.predicate_table.set_hint(hash, access.index(), hint);
            }
        }
    }

    /// Prefetches the table entries of a program's keys, for an insertion that follows soon.
    pub(in crate::set) fn prefetch_insert(&self, program: &Program) {
        if self.predicate_table.is_large() {
            self.prefetch_pattern(program, &program.root_pattern(), ROOT);
        }
    }

    fn prefetch_pattern(&self, program: &Program, pattern: &program::Pattern, object: u32) {
        for member in &program.members[pattern.members] {
            let program::Member::Field { name, node } = member else { continue };
            let Some(field) = self.child(object, program.name(*name).as_bytes()) else { continue };
            match *node {
                Node::Nested(pattern) | Node::NestedScalars { pattern, .. } => {
                    if let Some(inner) = self.inner(field) {
                        self.prefetch_pattern(program, &program.patterns[pattern], inner);
                    }
                }
                _ => {
                    let deep = matches!(node, Node::Scalars { .. });
                    if let Some((tag, payload)) = only_leaf(program, node).and_then(simple) {
                        self.predicate_table.prefetch(self.key_hash(field, tag.deep(deep), &payload));
                    }
                }
            }
        }
    }
}
