//! Leads: what a predicate is found by, in a field with too many predicates to evaluate them one by one.
//!
//! ```text
//!  value ──► its keys ──► predicate that is a key ─ postings ──► predicate to evaluate ─ postings ──► …
//!        └─► ranges around a number ─────────────────────────────►  ┘
//! ```
//!
//! A predicate that is a key leads itself. Each other predicate is posted at the keys of its [plan](super::plan), which depends on
//! the predicates that were there before. So the leads are stored, for the time when it is removed.

use std::sync::Arc;

use super::Index;
use super::plan::{self, Plan};
use super::postings::probe_length;
use super::predicate::{Key, LeadsOf, Predicate, Tag};
use super::ranges::Bounds;
use super::requirement::{Dependent, Posting};

/// One way to find a predicate.
#[derive(Clone, Copy, Debug)]
enum Lead {
    /// The predicate that is the key.
    Key(u32),
    Range(Tag, Bounds),
}

/// All leads of a predicate.
#[derive(Clone, Debug, Default)]
pub(in crate::set) struct Leads {
    all: Arc<[Lead]>,
}

impl Leads {
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.all) + 2 * size_of::<usize>()
    }
}

impl Index {
    /// Makes a predicate with postings be found by its keys.
    pub(super) fn add_leads(&mut self, number: u32) {
        let predicate = self.predicates.at(number);
        let field = predicate.field;
        if let Some(probe) = probe_of(predicate) {
            return self.fields.at_mut(field).add_probe(probe);
        }
        let exact = plan::is_exact(predicate);
        let plan = plan::plan(predicate, &|key| self.dependents(field, key));
        let keys = plan.map(|Plan { keys, .. }| keys).unwrap_or_default();
        let all: Arc<[Lead]> = keys
            .into_iter()
            .map(|key| match Bounds::from_bytes(&key.payload) {
                Some(bounds) if key.tag.is_range() => {
                    self.add_range(field, key.tag, bounds, number);
                    self.fields.at_mut(field).add_probe((key.tag, u32::from(bounds.bit())));
                    Lead::Range(key.tag, bounds)
                }
                _ => {
                    let lead = self.key(field, key.tag, &key.payload);
                    self.add_predicate_posting(lead, Posting::new(Dependent::Predicate, number, None));
                    Lead::Key(lead)
                }
            })
            .collect();
        self.predicates.at_mut(number).leads = LeadsOf::new(self.leads.add(Leads { all }), exact);
    }

    /// The ranges by which a predicate is found, from the first to the last key.
    pub(super) fn ranges_of(&self, predicate: &Predicate) -> impl Iterator<Item = (Tag, u64, u64)> {
        let leads = predicate.leads.number().map(|leads| &*self.leads.at(leads).all);
        leads.unwrap_or_default().iter().filter_map(|lead| match *lead {
            Lead::Range(tag, bounds) => Some((tag, bounds.low, bounds.high)),
            Lead::Key(_) => None,
        })
    }

    /// The inverse of [`add_leads`](Self::add_leads).
    pub(super) fn remove_leads(&mut self, number: u32) {
        let predicate = self.predicates.at_mut(number);
        let field = predicate.field;
        if let Some(probe) = probe_of(predicate) {
            return self.fields.at_mut(field).remove_probe(probe);
        }
        let Some(leads) = std::mem::take(&mut predicate.leads).number() else { return };
        let Leads { all } = self.leads.take(leads);
        for lead in &*all {
            match *lead {
                Lead::Key(lead) => {
                    self.remove_predicate_posting(lead, Posting::new(Dependent::Predicate, number, None));
                    self.release_predicate(lead);
                }
                Lead::Range(tag, bounds) => {
                    self.remove_range(field, tag, bounds, number);
                    self.fields.at_mut(field).remove_probe((tag, u32::from(bounds.bit())));
                }
            }
        }
    }

    /// The number of dependents that a key has already.
    fn dependents(&self, field: u32, key: &Key) -> usize {
        if key.tag.is_range() {
            return 0;
        }
        let hash = self.key_hash(field, key.tag, &key.payload);
        let found = self.find_key(hash, field, key.tag, &key.payload);
        found.map_or(0, |number| self.predicates.at(number).postings.as_slice().len())
    }
}

/// The probe that finds a predicate that is a key.
fn probe_of(predicate: &Predicate) -> Option<(Tag, u32)> {
    predicate.test.key().map(|(tag, payload)| (tag, probe_length(tag, payload)))
}
