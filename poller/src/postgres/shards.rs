//! Shards: which shard a poll belongs to, and which of them this process runs.
//!
//! The hash is part of the format of the database: FNV-1a of 64 bits over the bytes of the scope, one byte 0xFF (which
//! UTF-8 text does not contain) and the bytes of the key; then the finalizer of MurmurHash3, because the high bits of FNV
//! mix badly; then the remainder by the number of shards.
//!
//! For the polls that this process runs, their incarnations are kept: an outcome names the incarnation that it belongs to,
//! so that a process that slept cannot end a poll of the same name that was created since.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use crate::key::PollKey;

/// The shard of a poll.
pub(super) fn shard_of(key: &PollKey, shards: i32) -> i32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key.scope().bytes().chain([0xFF]).chain(key.key().bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 33;
    let shards = u64::from(shards.unsigned_abs()).max(1);
    i32::try_from(hash % shards).unwrap_or(0)
}

/// An open poll that this process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) incarnation: i64,
    /// Whether other tables may have rows of it, which its end removes.
    pub(super) has_extras: bool,
    /// Whether its end adds a webhook to the outbox.
    pub(super) has_webhook: bool,
}

/// The state of a shard in this process. A shard that is in no state belongs to others.
#[derive(Debug)]
enum State {
    Ours,
    /// The engine has been told to drop its polls, or will be by the next look; then the shard is given back.
    Leaving {
        told: bool,
    },
}

/// The shards of this process.
#[derive(Debug, Default)]
pub(super) struct Shards {
    states: BTreeMap<i32, State>,
    polls: HashMap<i32, HashMap<PollKey, Known>>,
    /// Shards whose open polls the engine has not read yet.
    unread: BTreeSet<i32>,
    /// Polls of lost shards, which the engine must drop.
    lost: Vec<PollKey>,
    /// The creations under way in each shard, of which no other worker knows.
    creating: HashMap<i32, usize>,
    /// Shards to read again, each at a time by the boot-time clock: it is not known whether a poll was created there.
    doubtful: Vec<(Duration, i32)>,
    /// How often shards were given back, and taken.
    given: u64,
    taken: u64,
    /// The number of reads under way.
    reads: usize,
    /// The incarnations that have ended since the first of them began.
    ended: HashSet<i64>,
}

impl Shards {
    pub(super) fn is_ours(&self, shard: i32) -> bool {
        matches!(self.states.get(&shard), Some(State::Ours))
    }

    /// The number of shards that the database assigns to this process.
    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    pub(super) fn ours(&self) -> Vec<i32> {
        let ours = self.states.iter().filter(|(_, state)| matches!(state, State::Ours));
        ours.map(|(shard, _)| *shard).collect()
    }

    /// The number of open polls that this process runs.
    pub(super) fn open(&self) -> usize {
        self.polls.values().map(HashMap::len).sum()
    }

    /// Shards that the database has just assigned to this process.
    pub(super) fn take(&mut self, shards: impl IntoIterator<Item = i32>) {
        for shard in shards {
            self.taken += 1;
            self.states.insert(shard, State::Ours);
            self.unread.insert(shard);
        }
    }

    /// Agrees with the database about the shards of this process, which it `assigned` when `given` shards had been given
    /// back: an assignment whose commit was not confirmed is learned of here, and one that a fail-over has undone is lost.
    pub(super) fn agree(&mut self, assigned: &[i32], given: u64) {
        if self.given != given {
            // What the database said may be older than what this process knows. The next look tells.
            return;
        }
        let assigned: HashSet<i32> = assigned.iter().copied().collect();
        let undone: Vec<i32> =
            self.states.keys().filter(|shard| !assigned.contains(shard)).copied().collect();
        for shard in undone {
            self.states.remove(&shard);
            self.unread.remove(&shard);
            self.lost.extend(self.polls.remove(&shard).into_iter().flatten().map(|(key, _)| key));
        }
        let unknown: Vec<i32> =
            assigned.into_iter().filter(|shard| !self.states.contains_key(shard)).collect();
        self.take(unknown);
    }

    /// How often shards were taken, or were to be read again.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// How many shards were given back.
    pub(super) fn given(&self) -> u64 {
        self.given
    }

    /// Has the open polls of all shards read again: the database was away, and may have lost its last commits.
    pub(super) fn read_again(&mut self) {
        let ours = self.ours();
        self.taken += 1;
        self.unread.extend(ours);
    }

    /// Begins to give back some shards, first the shards that the engine has not read.
    pub(super) fn leave(&mut self, number: usize) {
        let unread = self.unread.iter().copied();
        let read = self.states.keys().rev().copied().filter(|shard| !self.unread.contains(shard));
        let chosen: Vec<i32> = unread.chain(read).filter(|shard| self.is_ours(*shard)).take(number).collect();
        for shard in chosen {
            self.unread.remove(&shard);
            self.states.insert(shard, State::Leaving { told: false });
        }
    }

    /// The polls that the engine must drop at this look.
    pub(super) fn released(&mut self) -> Vec<PollKey> {
        let mut released = std::mem::take(&mut self.lost);
        for (shard, state) in &mut self.states {
            if let State::Leaving { told } = state {
                *told = true;
                released.extend(self.polls.remove(shard).into_iter().flatten().map(|(key, _)| key));
            }
        }
        released
    }

    /// Shards to give back: the engine has dropped their polls, because it was told at an earlier look, and no creation is
    /// under way that the next owner would not see.
    pub(super) fn vacated(&self) -> Vec<i32> {
        let vacated = self.states.iter().filter(|(shard, state)| {
            matches!(state, State::Leaving { told: true }) && !self.creating.contains_key(shard)
        });
        vacated.map(|(shard, _)| *shard).collect()
    }

    /// A creation begins in these shards; [`created`](Self::created) follows.
    pub(super) fn creating(&mut self, shards: &[i32]) {
        for shard in shards {
            *self.creating.entry(*shard).or_default() += 1;
        }
    }

    pub(super) fn created(&mut self, shards: &[i32]) {
        for shard in shards {
            if let Entry::Occupied(mut count) = self.creating.entry(*shard) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }

    /// It is not known whether polls were created in these shards: they are read again, at `at` or later.
    pub(super) fn doubt(&mut self, shards: impl IntoIterator<Item = i32>, at: Duration) {
        self.doubtful.extend(shards.into_iter().map(|shard| (at, shard)));
    }

    /// Has doubtful shards read again whose time has come.
    pub(super) fn read_doubtful(&mut self, now: Duration) {
        let (due, later) = std::mem::take(&mut self.doubtful).into_iter().partition(|(at, _)| *at <= now);
        self.doubtful = later;
        let due: Vec<(Duration, i32)> = due;
        for (_, shard) in due {
            if self.is_ours(shard) {
                self.taken += 1;
                self.unread.insert(shard);
            }
        }
    }

    /// A read of open polls begins; [`end_read`](Self::end_read) follows, once what was read is noted.
    pub(super) fn begin_read(&mut self) {
        self.reads += 1;
    }

    pub(super) fn end_read(&mut self) {
        self.reads = self.reads.saturating_sub(1);
        if self.reads == 0 {
            self.ended = HashSet::new();
        }
    }

    pub(super) fn given_back(&mut self, shards: &[i32]) {
        self.given += 1;
        for shard in shards {
            self.states.remove(shard);
            self.unread.remove(shard);
            self.polls.remove(shard);
        }
    }

    /// Others have taken all shards of this process.
    pub(super) fn lose_all(&mut self) {
        let polls = std::mem::take(&mut self.polls).into_values().flatten().map(|(key, _)| key);
        self.lost.extend(polls);
        self.states.clear();
        self.unread.clear();
    }

    /// The engine has dropped all polls by itself: it begins a run.
    pub(super) fn clear(&mut self) {
        let creating = std::mem::take(&mut self.creating);
        let ended = std::mem::take(&mut self.ended);
        let (given, taken) = (self.given + 1, self.taken + 1);
        *self = Self { creating, given, taken, reads: self.reads, ended, ..Self::default() };
    }

    /// The next shards to read together, without the shards that are being read.
    pub(super) fn next_unread(&self, most: usize, busy: &HashSet<i32>) -> Vec<i32> {
        self.unread.iter().copied().filter(|shard| !busy.contains(shard)).take(most).collect()
    }

    /// All shards to read.
    pub(super) fn unread(&self) -> &BTreeSet<i32> {
        &self.unread
    }

    /// The polls of these shards were read, from the time of `taken` on. If shards were taken or are to be read again since
    /// then, what was read may be older than that, and these shards are read once more.
    pub(super) fn read(&mut self, shards: &[i32], taken: u64) {
        for shard in shards.iter().filter(|_| self.taken == taken) {
            self.unread.remove(shard);
        }
    }

    pub(super) fn all_read(&self) -> bool {
        self.unread.is_empty()
    }

    /// Notes an open poll of this process. Polls of other shards are ignored, and polls that ended while they were read.
    /// Returns whether the engine is to run it.
    pub(super) fn add(&mut self, shard: i32, key: PollKey, known: Known) -> bool {
        let runs = self.is_ours(shard) && !self.ended.contains(&known.incarnation);
        if runs {
            self.polls.entry(shard).or_default().insert(key, known);
        }
        runs
    }

    pub(super) fn get(&self, shard: i32, key: &PollKey) -> Option<Known> {
        self.polls.get(&shard)?.get(key).copied()
    }

    pub(super) fn mark_extras(&mut self, shard: i32, key: &PollKey) {
        if let Some(known) = self.polls.get_mut(&shard).and_then(|polls| polls.get_mut(key)) {
            known.has_extras = true;
        }
    }

    pub(super) fn remove(&mut self, shard: i32, key: &PollKey) {
        let removed = self.polls.get_mut(&shard).and_then(|polls| polls.remove(key));
        if let Some(known) = removed
            && self.reads > 0
        {
            self.ended.insert(known.incarnation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known = Known { incarnation: 7, has_extras: false, has_webhook: false };

    fn key(name: &str) -> PollKey {
        PollKey::new("", name)
    }

    /// A process that has just taken these shards.
    fn taken<const N: usize>(shards: [i32; N]) -> Shards {
        let mut taken = Shards::default();
        taken.take(shards);
        taken
    }

    /// The hash is stored in databases: these numbers must never change.
    #[test]
    fn the_hash_is_fixed() {
        let shards: Vec<i32> = [("", ""), ("", "export-42"), ("run-17", "a"), ("run-1", "7a"), ("", "ü")]
            .map(|(scope, key)| shard_of(&PollKey::new(scope, key), 4096))
            .into();
        assert_eq!(shards, HASHES);
        assert_eq!(shard_of(&key("a"), 1), 0);
    }

    const HASHES: [i32; 5] = [2263, 1935, 3112, 124, 868];

    #[test]
    fn polls_spread_evenly() {
        let mut counts = [0_u32; 64];
        for number in 0..64_000 {
            let shard = shard_of(&key(&format!("export-{number}")), 64);
            counts[usize::try_from(shard).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_shard_is_given_back_only_after_the_creations_in_it() {
        let mut shards = taken([1]);
        shards.read(&[1], shards.taken());
        shards.creating(&[1, 1]);
        shards.leave(1);
        shards.released();
        assert!(shards.vacated().is_empty());
        shards.created(&[1]);
        assert!(shards.vacated().is_empty(), "one is under way");
        shards.created(&[1]);
        assert_eq!(shards.vacated(), [1]);
    }

    #[test]
    fn the_database_decides_which_shards_are_ours() {
        let mut shards = taken([1, 2]);
        shards.read(&[1, 2], shards.taken());
        shards.add(1, key("a"), KNOWN);
        let given = shards.given();
        shards.agree(&[2, 3], given);
        assert_eq!((shards.ours(), shards.next_unread(9, &HashSet::new())), (vec![2, 3], vec![3]));
        assert_eq!(shards.released(), [key("a")]);
        shards.given_back(&[3]);
        shards.agree(&[2, 3], given);
        assert_eq!(shards.ours(), [2], "an answer from before the shard was given back");
        shards.read_again();
        assert_eq!(shards.next_unread(9, &HashSet::new()), [2]);
    }

    #[test]
    fn a_shard_with_a_doubtful_creation_is_read_again() {
        let mut shards = taken([1, 2]);
        shards.read(&[1, 2], shards.taken());
        shards.doubt([1, 3], Duration::from_secs(5));
        shards.read_doubtful(Duration::from_secs(4));
        assert!(shards.all_read(), "not yet");
        shards.read_doubtful(Duration::from_secs(5));
        assert_eq!(shards.next_unread(9, &HashSet::new()), [1]);
    }

    #[test]
    fn a_poll_that_ended_while_it_was_read_is_not_noted() {
        let mut shards = taken([1]);
        shards.add(1, key("a"), KNOWN);
        shards.begin_read();
        shards.remove(1, &key("a"));
        shards.add(1, key("a"), KNOWN);
        assert_eq!(shards.open(), 0);
        shards.end_read();
        shards.add(1, key("a"), Known { incarnation: 8, ..KNOWN });
        assert_eq!(shards.open(), 1, "another of the same name");
    }

    #[test]
    fn what_ended_is_known_until_the_last_read_is_noted() {
        let mut shards = taken([1]);
        shards.add(1, key("a"), KNOWN);
        shards.begin_read();
        shards.remove(1, &key("a"));
        shards.begin_read();
        shards.end_read();
        assert!(!shards.add(1, key("a"), KNOWN), "the first read may have seen it");
        shards.clear();
        shards.take([1]);
        assert!(!shards.add(1, key("a"), KNOWN), "nor does a new run end that read");
        shards.end_read();
        assert!(shards.add(1, key("a"), KNOWN));
    }

    #[test]
    fn shards_that_are_being_read_are_not_read_by_others() {
        let mut shards = taken([1, 2, 3]);
        assert_eq!(shards.next_unread(2, &HashSet::new()), [1, 2]);
        assert_eq!(shards.next_unread(2, &HashSet::from([1, 2])), [3]);
        shards.read(&[1], shards.taken());
        assert_eq!(shards.next_unread(2, &HashSet::new()), [2, 3]);
    }

    #[test]
    fn a_shard_is_given_back_only_after_the_engine_was_told() {
        let mut shards = taken([1, 2]);
        shards.add(1, key("a"), KNOWN);
        shards.add(2, key("b"), KNOWN);
        shards.add(3, key("c"), KNOWN);
        assert_eq!((shards.open(), shards.next_unread(9, &HashSet::new())), (2, vec![1, 2]));
        shards.read(&[1, 2], shards.taken());
        shards.leave(1);
        assert!(shards.is_ours(1) && !shards.is_ours(2) && shards.len() == 2);
        assert!(shards.vacated().is_empty(), "not told yet");
        assert_eq!(shards.released(), [key("b")]);
        assert_eq!(shards.vacated(), [2]);
        shards.given_back(&[2]);
        assert_eq!((shards.len(), shards.get(1, &key("a"))), (1, Some(KNOWN)));
        shards.lose_all();
        assert_eq!(shards.len(), 0);
        assert_eq!(shards.released(), [key("a")]);
    }
}
