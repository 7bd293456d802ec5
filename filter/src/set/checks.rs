//! The filters of a set that its index finds only roughly: those with references. The index has a weakened form of each, and
//! what it finds is judged here by the filter itself.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

use super::store::{Arena, Table};
use crate::filter::Filter;
use crate::matcher::Subject;

/// Filters by the numbers of their rules. Clones share all data that does not change.
#[derive(Clone, Debug, Default)]
pub(super) struct Checks {
    seeds: RandomState,
    checks: Arena<Option<Check>>,
    /// From the hash of a rule's number to the check.
    by_rule: Table,
}

#[derive(Clone, Debug)]
struct Check {
    rule: u32,
    filter: Filter,
}

impl Checks {
    pub(super) fn is_empty(&self) -> bool {
        self.checks.live() == 0
    }

    pub(super) fn insert(&mut self, rule: u32, filter: Filter) {
        let number = self.checks.add(Some(Check { rule, filter }));
        self.by_rule.insert(self.seeds.hash_one(rule), number);
    }

    pub(super) fn remove(&mut self, rule: u32) {
        if let Some((number, _)) = self.find(rule) {
            self.by_rule.remove(self.seeds.hash_one(rule), number);
            self.checks.take(number);
        }
    }

    /// Keeps the rules without a check, and those whose filter matches the event.
    pub(super) fn retain_matching<S: Subject>(&self, event: S, rules: &mut Vec<u32>) {
        if !self.is_empty() {
            let matches = |filter: &Filter| filter.program().matches(event);
            rules.retain(|&rule| self.find(rule).is_none_or(|(_, filter)| matches(filter)));
        }
    }

    /// Whether a rule is judged here.
    pub(super) fn has(&self, rule: u32) -> bool {
        !self.is_empty() && self.find(rule).is_some()
    }

    fn find(&self, rule: u32) -> Option<(u32, &Filter)> {
        let check = |number| self.checks.get(number).and_then(Option::as_ref);
        let is_of_rule = |number| check(number).is_some_and(|check| check.rule == rule);
        let number = self.by_rule.find(self.seeds.hash_one(rule), is_of_rule)?;
        check(number).map(|check| (number, &check.filter))
    }

    /// The approximate memory of the tables, in bytes. Filters are shared with their owners.
    pub(super) fn bytes(&self) -> usize {
        self.checks.bytes() + self.by_rule.bytes()
    }
}
