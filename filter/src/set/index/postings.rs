//! Postings: for each predicate and pattern, the dependents to check when it holds.
//!
//! A predicate without postings is not looked up; it is evaluated only when a dependent found elsewhere requires it too.
//! A field evaluates its predicates with postings one by one while they are few, which is faster than any lookup.

use super::Index;
use super::plan::{self, Plan};
use super::predicate::{Key, Predicate, Tag};
use super::prefilter::Candidate;
use super::ranges::Bounds;
use super::requirement::{Dependent, Pattern, Posting, Requirement, RequirementKind};

/// A field with more predicates than this finds them by their keys.
const MAX_CANDIDATES: u32 = 16;

impl Index {
    /// Posts a dependent at its access, or, if it has none, for every object at a node.
    pub(super) fn add_posting(&mut self, access: Option<Requirement>, object: u32, posting: Posting) {
        let Some(access) = access else { return self.objects.at_mut(object).unindexed.push(posting) };
        match access.kind() {
            RequirementKind::Predicate => self.add_predicate_posting(access.index(), posting),
            RequirementKind::Pattern => self.patterns.at_mut(access.index()).postings.push(posting),
            RequirementKind::Junction => {
                for access in self.accesses(access.index()) {
                    self.add_posting(Some(access), object, posting);
                }
            }
        }
    }

    pub(super) fn remove_posting(&mut self, access: Option<Requirement>, object: u32, posting: Posting) {
        let same = |other: Posting| other.has_dependent_of(posting);
        let Some(access) = access else { return self.objects.at_mut(object).unindexed.remove(same) };
        match access.kind() {
            RequirementKind::Predicate => self.remove_predicate_posting(access.index(), posting),
            RequirementKind::Pattern => self.patterns.at_mut(access.index()).postings.remove(same),
            RequirementKind::Junction => {
                for access in self.accesses(access.index()) {
                    self.remove_posting(Some(access), object, posting);
                }
            }
        }
    }

    /// The accesses of a junction's patterns.
    fn accesses(&self, junction: u32) -> Vec<Requirement> {
        let patterns = self.junctions.at(junction).patterns.iter().map(|&pattern| self.patterns.at(pattern));
        patterns.filter_map(|p| p.access.map(|access| p.requirements.get(access))).collect()
    }

    /// Counts one more requirement that refers to a pattern. The first one posts the pattern.
    pub(super) fn add_requirement_use(&mut self, number: u32) {
        let pattern = self.patterns.at_mut(number);
        pattern.requirement_uses += 1;
        if pattern.requirement_uses == 1 {
            let Pattern { ref requirements, access, object, .. } = *pattern;
            let requirements = requirements.clone();
            let posting = Posting::new(Dependent::Pattern, number, self.other(&requirements, access));
            self.add_posting(access.map(|access| requirements.get(access)), object, posting);
        }
    }

    pub(super) fn remove_requirement_use(&mut self, number: u32) {
        let pattern = self.patterns.at_mut(number);
        pattern.requirement_uses -= 1;
        if pattern.requirement_uses == 0 {
            let (access, object) = (pattern.access.map(|a| pattern.requirements.get(a)), pattern.object);
            self.remove_posting(access, object, Posting::new(Dependent::Pattern, number, None));
        }
    }

    fn add_predicate_posting(&mut self, number: u32, posting: Posting) {
        let predicate = self.predicates.at_mut(number);
        let first = predicate.postings.is_empty();
        predicate.postings.push(posting);
        if first {
            self.activate(number);
        }
    }

    fn remove_predicate_posting(&mut self, number: u32, posting: Posting) {
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
            self.add_keys(number);
        } else {
            field.candidates.push(Candidate::new(number, predicate));
            if field.active > MAX_CANDIDATES {
                field.keyed = true;
                let all = std::mem::take(&mut field.candidates);
                all.iter().for_each(|candidate| self.add_keys(candidate.predicate));
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
            self.remove_keys(number);
            let field = self.fields.at_mut(at);
            field.keyed = field.active > 0;
        } else {
            field.candidates.retain(|candidate| candidate.predicate != number);
        }
    }

    /// Makes a predicate with postings be found by its keys. It either is a key itself, or becomes a dependent of others.
    fn add_keys(&mut self, number: u32) {
        let predicate = self.predicates.at(number);
        let field = predicate.field;
        if let Some(probe) = probe_of(predicate) {
            return self.fields.at_mut(field).add_probe(probe);
        }
        for key in self.keys_of(number) {
            if let Some(bounds) = bounds_of(&key) {
                self.add_range(field, bounds, number);
                self.fields.at_mut(field).add_probe((key.tag, u32::from(bounds.bit())));
                continue;
            }
            let lead = self.key(field, key.tag, &key.payload);
            self.add_predicate_posting(lead, Posting::new(Dependent::Predicate, number, None));
        }
    }

    fn remove_keys(&mut self, number: u32) {
        let predicate = self.predicates.at(number);
        let field = predicate.field;
        if let Some(probe) = probe_of(predicate) {
            return self.fields.at_mut(field).remove_probe(probe);
        }
        for key in self.keys_of(number) {
            if let Some(bounds) = bounds_of(&key) {
                self.remove_range(field, bounds, number);
                self.fields.at_mut(field).remove_probe((key.tag, u32::from(bounds.bit())));
                continue;
            }
            // `key` counts one use more, which is released at once.
            let lead = self.key(field, key.tag, &key.payload);
            self.release_predicate(lead);
            self.remove_predicate_posting(lead, Posting::new(Dependent::Predicate, number, None));
            self.release_predicate(lead);
        }
    }

    fn keys_of(&self, number: u32) -> Vec<Key> {
        plan::plan(self.predicates.at(number)).map(|Plan { keys, .. }| keys).unwrap_or_default()
    }
}

/// The bounds of a key for a range.
fn bounds_of(key: &Key) -> Option<Bounds> {
    (key.tag.kind() == Tag::RANGE).then(|| Bounds::from_bytes(&key.payload)).flatten()
}

/// The probe that finds a predicate that is a key.
fn probe_of(predicate: &Predicate) -> Option<(Tag, u32)> {
    predicate.test.key().map(|(tag, payload)| (tag, probe_length(tag, payload)))
}

/// The length of the part of a value that has to be looked up.
fn probe_length(tag: Tag, payload: &[u8]) -> u32 {
    let length = match tag.kind() {
        Tag::CIDR_V4 | Tag::CIDR_V6 => usize::from(payload.first().copied().unwrap_or_default()),
        Tag::PREFIX | Tag::SUFFIX | Tag::GRAM => payload.len(),
        _ => 0,
    };
    u32::try_from(length).unwrap_or(u32::MAX)
}
