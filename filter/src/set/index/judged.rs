//! What a set judges one by one: the conditions and filters that no index tells apart.
//!
//! Each entry is a list that matching goes through when a value, an object or a condition leads to it. Short lists cost little,
//! so they are left out.

use std::collections::BTreeMap;

use super::predicate::{Tag, number_bytes};
use super::requirement::{Dependent, Posting};
use super::{FieldNode, Index, ROOT};
use crate::ops::Num;
use crate::set::stats::OneByOne;

/// Lists up to this length are left out.
const SHORT: usize = 32;

impl Index {
    /// The long lists, longest first; `rough`: whether a rule is judged by its filter once the index has found it. Takes time
    /// linear in the size of the index, except for sorting.
    pub(super) fn one_by_one(&self, rough: &dyn Fn(u32) -> bool) -> Vec<OneByOne> {
        let mut all = Vec::new();
        let checked = |postings: &[Posting]| checked(postings, rough);
        for (field, kind, count) in self.overlaps(rough) {
            self.push(&mut all, &self.path_of(field), kind.name(), count);
        }
        for predicate in self.predicates.iter() {
            let postings = predicate.postings.as_slice();
            if postings.len() <= SHORT {
                continue;
            }
            let tag = predicate.test.key().map(|(tag, _)| tag);
            let led = postings.iter().filter(|posting| posting.dependent().0 == Dependent::Predicate).count();
            let when = tag.map_or("a condition", Tag::name);
            // `$every` is found by an empty array too, and holds for it.
            let is_empty = predicate.test.key() == Some((Tag::NUMBER.length(), &number_bytes(Num::Int(0))));
            self.push(&mut all, &self.path_of(predicate.field), when, if is_empty { 0 } else { led });
            self.push(&mut all, &self.path_of(predicate.field), when, checked(postings));
        }
        for pattern in self.patterns.iter() {
            let path = || self.path_of(self.objects.at(pattern.object).field);
            if pattern.object != ROOT && pattern.postings.as_slice().len() > SHORT {
                self.push(&mut all, &path(), "a condition", checked(pattern.postings.as_slice()));
            }
        }
        for (number, object) in (0..).zip(self.objects.iter()) {
            let path = if number == ROOT { String::new() } else { self.path_of(object.field) };
            self.push(&mut all, &path, "any object", object.unindexed.as_slice().len());
        }
        all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.path, a.when).cmp(&(&b.path, b.when))));
        all
    }

    /// For each field with ranges, the most of them that one value is in and whose dependents have other requirements too.
    fn overlaps(&self, rough: &dyn Fn(u32) -> bool) -> Vec<(u32, Tag, usize)> {
        // Where a range begins, one more applies; behind its end, one less.
        let mut ends: BTreeMap<(u32, Tag), Vec<(u64, i64)>> = BTreeMap::new();
        for predicate in self.predicates.iter() {
            // In a scope, the range is found once another requirement holds.
            let known = if self.fields.at(predicate.field).scope > 0 { 2 } else { 1 };
            let more = |posting: &&Posting| self.requirements_of(**posting) > known;
            let all = predicate.postings.as_slice();
            let checked = match known {
                1 => checked(all, rough),
                _ => all.iter().filter(more).count(),
            };
            if checked == 0 {
                continue;
            }
            for (tag, low, high) in self.ranges_of(predicate) {
                let count = checked as i64;
                let ends = ends.entry((predicate.field, tag)).or_default();
                ends.push((low, count));
                ends.extend(high.checked_add(1).map(|end| (end, -count)));
            }
        }
        let most = ends.into_iter().map(|((field, tag), mut ends)| {
            ends.sort_unstable();
            let mut now = 0;
            let most = ends.iter().map(|(_, change)| {
                now += change;
                now
            });
            (field, tag, most.max().map_or(0, |most| most as usize))
        });
        most.collect()
    }

    /// The number of requirements of a rule or pattern.
    fn requirements_of(&self, posting: Posting) -> usize {
        match posting.dependent() {
            (Dependent::Pattern, number) => self.patterns.at(number).requirements.iter().count(),
            (Dependent::Rule, number) => self.rules.at(number).requirements.iter().count(),
            _ => 0,
        }
    }

    fn push(&self, all: &mut Vec<OneByOne>, path: &str, when: &'static str, count: usize) {
        if count > SHORT {
            all.push(OneByOne { path: path.to_owned(), when, count });
        }
    }

    /// The names of the fields that lead to a field, as JSON pointers have them.
    fn path_of(&self, field: u32) -> String {
        let mut names = Vec::new();
        let mut at = self.fields.at(field);
        // Each field is in an object that is nearer to the root.
        loop {
            let FieldNode { base, scope, .. } = *at;
            if scope > 0 {
                at = self.fields.at(base);
                continue;
            }
            names.push(String::from_utf8_lossy(at.name.as_bytes()).replace('~', "~0").replace('/', "~1"));
            if at.object == ROOT {
                break;
            }
            at = self.fields.at(self.objects.at(at.object).field);
        }
        names.iter().rev().map(|name| format!("/{name}")).collect()
    }
}

/// The number of dependents of which more than one requirement is checked.
fn checked(postings: &[Posting], rough: &dyn Fn(u32) -> bool) -> usize {
    let checked = postings.iter().filter(|posting| match posting.dependent() {
        (Dependent::Predicate, _) => false,
        (Dependent::SingleRule, rule) => rough(rule),
        _ => posting.other().is_some(),
    });
    checked.count()
}
