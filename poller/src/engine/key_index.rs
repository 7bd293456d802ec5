//! Which open poll has which name.
//!
//! The names stand in the polls themselves, and only the ids are kept here: a map from names to ids would keep each name
//! of a million a second time. Therefore every method is handed the polls.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use slotmap::SlotMap;

use super::entry::{Entry, PollId};
use crate::key::PollKey;

/// The ids of all open polls, found by the names that the polls have.
#[derive(Debug, Default)]
pub(super) struct KeyIndex {
    ids: HashTable<PollId>,
    /// Keyed at random: names come from outside.
    hasher: RandomState,
}

/// Where a name is looked for, and put where it is not there yet.
#[derive(Clone, Copy)]
pub(super) struct Place(u64);

impl KeyIndex {
    pub(super) fn place(&self, key: &PollKey) -> Place {
        Place(self.hasher.hash_one(key))
    }

    /// The open poll of that name.
    pub(super) fn find(&self, key: &PollKey, place: Place, polls: &SlotMap<PollId, Entry>) -> Option<PollId> {
        let named = |id: &PollId| polls.get(*id).is_some_and(|entry| entry.key == *key);
        self.ids.find(place.0, named).copied()
    }

    /// Takes in a poll of `polls` whose name no other has.
    pub(super) fn insert(&mut self, id: PollId, place: Place, polls: &SlotMap<PollId, Entry>) {
        let Self { ids, hasher } = self;
        let hash_of = |id: &PollId| polls.get(*id).map_or(0, |entry| hasher.hash_one(&entry.key));
        ids.insert_unique(place.0, id, hash_of);
    }

    /// Makes room for so many more than `polls`. To grow is to look at every poll and its name again.
    pub(super) fn reserve(&mut self, more: usize, polls: &SlotMap<PollId, Entry>) {
        let Self { ids, hasher } = self;
        ids.reserve(more, |id| polls.get(*id).map_or(0, |entry| hasher.hash_one(&entry.key)));
    }

    /// The poll `id`, which had this name, is gone.
    pub(super) fn remove(&mut self, id: PollId, key: &PollKey) {
        if let Ok(named) = self.ids.find_entry(self.hasher.hash_one(key), |present| *present == id) {
            named.remove();
        }
    }
}
