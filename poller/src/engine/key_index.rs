//! The index of open polls by key.
//!
//! It stores ids only and compares keys in the polls themselves: a map from keys to ids would store a million keys twice.
//! Every method therefore takes the polls.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use slotmap::SlotMap;

use super::entry::{Entry, PollId};
use crate::key::PollKey;

/// The ids of all open polls, by the hash of their key.
#[derive(Debug, Default)]
pub(super) struct KeyIndex {
    ids: HashTable<PollId>,
    /// Randomly keyed, because keys come from outside.
    hasher: RandomState,
}

/// The hash of a key in this index.
#[derive(Clone, Copy)]
pub(super) struct KeyHash(u64);

impl KeyIndex {
    pub(super) fn hash(&self, key: &PollKey) -> KeyHash {
        KeyHash(self.hasher.hash_one(key))
    }

    /// The open poll with this key.
    pub(super) fn find(
        &self,
        key: &PollKey,
        hash: KeyHash,
        polls: &SlotMap<PollId, Entry>,
    ) -> Option<PollId> {
        let has_key = |id: &PollId| polls.get(*id).is_some_and(|entry| entry.key == *key);
        self.ids.find(hash.0, has_key).copied()
    }

    /// Adds a poll of `polls` whose key no other one has.
    pub(super) fn insert(&mut self, id: PollId, hash: KeyHash, polls: &SlotMap<PollId, Entry>) {
        let Self { ids, hasher } = self;
        let rehash = |id: &PollId| polls.get(*id).map_or(0, |entry| hasher.hash_one(&entry.key));
        ids.insert_unique(hash.0, id, rehash);
    }

    /// Reserves memory for `more` additional polls. Growing hashes every key again.
    pub(super) fn reserve(&mut self, more: usize, polls: &SlotMap<PollId, Entry>) {
        let Self { ids, hasher } = self;
        ids.reserve(more, |id| polls.get(*id).map_or(0, |entry| hasher.hash_one(&entry.key)));
    }

    /// Removes the poll `id`, which had this key.
    pub(super) fn remove(&mut self, id: PollId, key: &PollKey) {
        if let Ok(entry) = self.ids.find_entry(self.hasher.hash_one(key), |present| *present == id) {
            entry.remove();
        }
    }
}
