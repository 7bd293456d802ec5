//! Postings: for each predicate and pattern, the dependents to check when it holds.
//!
//! A predicate without postings is not looked up; it is evaluated only when a dependent found elsewhere requires it too.
//! A field evaluates its predicates with postings one by one while they are few, which is faster than any lookup.

use std::sync::Arc;

use super::predicate::Tag;
use super::prefilter::Candidate;
use super::requirement::{Dependent, Pattern, Posting, Postings, Requirement, RequirementKind};
use super::{Index, ROOT};

/// A field with more predicates than this finds them by their keys.
const MAX_CANDIDATES: u32 = 16;

impl Index {
    /// Posts a dependent at its access, or, if it has none, for every object at a node.
    pub(super) fn add_posting(&mut self, access: Option<Requirement>, object: u32, posting: Posting) {
        let Some(access) = access else { return self.objects.at_mut(object).unindexed.push(posting) };
        match access.kind() {
            RequirementKind::Predicate => self.add_predicate_posting(access.index(), posting),
            RequirementKind::Pattern => self.patterns.at_mut(access.index()).postings.push(posting),
            RequirementKind::Junction => self.add_junction_posting(access.index(), posting),
        }
    }

    /// The postings of an access, or those for every object at a node.
    fn postings(&mut self, access: Option<Requirement>, object: u32) -> &mut Postings {
        let Some(access) = access else { return &mut self.objects.at_mut(object).unindexed };
        match access.kind() {
            RequirementKind::Predicate => &mut self.predicates.at_mut(access.index()).postings,
            RequirementKind::Pattern => &mut self.patterns.at_mut(access.index()).postings,
            RequirementKind::Junction => &mut self.junctions.at_mut(access.index()).postings,
        }
    }

    /// Removes the posting of a rule.
    pub(super) fn remove_rule_posting(&mut self, access: Option<Requirement>, posting: Posting, place: u32) {
        let postings = self.postings(access, ROOT);
        // The last posting of its access.
        if access.is_some() && postings.as_slice().len() <= 1 {
            return self.remove_posting(access, ROOT, posting);
        }
        let place = postings.remove_near(place as usize, |other| other.has_dependent_of(posting));
        let moved = place.and_then(|place| Some((place, postings.as_slice().get(place)?.dependent())));
        if let Some((place, (Dependent::Rule | Dependent::SingleRule, rule))) = moved {
            self.rules.at_mut(rule).place = u32::try_from(place).unwrap_or(u32::MAX);
        }
    }

    /// The place of the posting that was added last.
    pub(super) fn last_place(&mut self, access: Option<Requirement>, object: u32) -> u32 {
        let count = self.postings(access, object).as_slice().len();
        u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX)
    }

    pub(super) fn remove_posting(&mut self, access: Option<Requirement>, object: u32, posting: Posting) {
        let same = |other: Posting| other.has_dependent_of(posting);
        let Some(access) = access else { return self.objects.at_mut(object).unindexed.remove(same) };
        match access.kind() {
            RequirementKind::Predicate => self.remove_predicate_posting(access.index(), posting),
            RequirementKind::Pattern => self.patterns.at_mut(access.index()).postings.remove(same),
            RequirementKind::Junction => self.remove_junction_posting(access.index(), posting),
        }
    }

    /// Posts a dependent at a junction. The first one posts the junction at each of its patterns.
    fn add_junction_posting(&mut self, number: u32, posting: Posting) {
        let junction = self.junctions.at_mut(number);
        let first = junction.postings.is_empty();
        junction.postings.push(posting);
        if first {
            for &pattern in &*Arc::clone(&junction.patterns) {
                let posting = Posting::new(Dependent::Junction, number, None);
                self.patterns.at_mut(pattern).postings.push(posting);
                self.add_requirement_use(pattern);
            }
        }
    }

    fn remove_junction_posting(&mut self, number: u32, posting: Posting) {
        let junction = self.junctions.at_mut(number);
        junction.postings.remove(|other| other.has_dependent_of(posting));
        if junction.postings.is_empty() {
            for &pattern in &*Arc::clone(&junction.patterns) {
                let posting = Posting::new(Dependent::Junction, number, None);
                self.patterns.at_mut(pattern).postings.remove(|other| other.has_dependent_of(posting));
                self.remove_requirement_use(pattern);
            }
        }
    }

    /// Counts one more requirement that refers to a pattern. The first one posts the pattern.
    pub(super) fn add_requirement_use(&mut self, number: u32) {
        let pattern = self.patterns.at_mut(number);
        pattern.requirement_uses += 1;
        if pattern.requirement_uses == 1 {
            let Pattern { ref requirements, access, object, .. } = *pattern;
            let requirements = requirements.clone();
            let posting = Posting::new(Dependent::Pattern, number, self.other(&requirements, access));
            match self.scoped(&requirements, access) {
                Some(scoped) => {
                    self.patterns.at_mut(number).scoped = scoped + 1;
                    self.add_predicate_posting(scoped, posting);
                }
                None => self.add_posting(access.map(|access| requirements.get(access)), object, posting),
            }
        }
    }

    pub(super) fn remove_requirement_use(&mut self, number: u32) {
        let pattern = self.patterns.at_mut(number);
        pattern.requirement_uses -= 1;
        if pattern.requirement_uses == 0 {
            let (access, object) = (pattern.access.map(|a| pattern.requirements.get(a)), pattern.object);
            let posting = Posting::new(Dependent::Pattern, number, None);
            match std::mem::take(&mut pattern.scoped).checked_sub(1) {
                Some(scoped) => {
                    self.remove_predicate_posting(scoped, posting);
                    self.release_predicate(scoped);
                }
                None => self.remove_posting(access, object, posting),
            }
        }
    }

    pub(super) fn add_predicate_posting(&mut self, number: u32, posting: Posting) {
        let predicate = self.predicates.at_mut(number);
        let first = predicate.postings.is_empty();
        predicate.postings.push(posting);
        if first {
            self.activate(number);
        }
    }

    pub(super) fn remove_predicate_posting(&mut self, number: u32, posting: Posting) {
        let predicate = self.predicates.at_mut(number);
        predicate.postings.remove(|other| other.has_dependent_of(posting));
        if predicate.postings.is_empty() {
            self.deactivate(number);
        }
    }

    /// Makes the field's values find a predicate.
    fn activate(&mut self, number: u32) {
        let predicate = self.predicates.at(number);
        let field = self.fields.at_mut(predicate.field);
        field.active += 1;
        field.deep += u32::from(predicate.deep);
        if field.keyed {
            self.add_leads(number);
        } else {
            field.candidates.push(Candidate::new(number, predicate));
            if field.active > MAX_CANDIDATES {
                field.keyed = true;
                let all = std::mem::take(&mut field.candidates);
                all.iter().for_each(|candidate| self.add_leads(candidate.predicate));
            }
        }
    }

    fn deactivate(&mut self, number: u32) {
        let predicate = self.predicates.at(number);
        let at = predicate.field;
        let field = self.fields.at_mut(at);
        field.active -= 1;
        field.deep -= u32::from(predicate.deep);
        if field.keyed {
            self.remove_leads(number);
            let field = self.fields.at_mut(at);
            field.keyed = field.active > 0;
        } else {
            field.candidates.retain(|candidate| candidate.predicate != number);
        }
    }
}

/// The length of the part of a value that has to be looked up.
pub(super) fn probe_length(tag: Tag, payload: &[u8]) -> u32 {
    let length = match tag.kind() {
        Tag::CIDR_V4 | Tag::CIDR_V6 => usize::from(payload.first().copied().unwrap_or_default()),
        Tag::PREFIX
        | Tag::SUFFIX
        | Tag::GRAM
        | Tag::FOLDED_PREFIX
        | Tag::FOLDED_SUFFIX
        | Tag::FOLDED_GRAM => payload.len(),
        _ => 0,
    };
    u32::try_from(length).unwrap_or(u32::MAX)
}
