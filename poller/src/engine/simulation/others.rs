//! Other processes that store polls beside the runner, with clocks of their own, and the looks by which the runner finds
//! them.

use super::script::pick;
use super::{Incident, SECOND, World, index, key};
use crate::clock::Timestamp;
use crate::store::StoredPoll;
use retry::Rng;
use std::time::Duration;

/// How often the runner looks.
const LOOK: u64 = SECOND / 2;

/// The most time from the stamp of a poll to its commit for which the stamp is still believed.
const COMMIT: Duration = Duration::from_secs(5);

/// How far a clock is ahead of the true time: nothing, less than a second, or up to 100 seconds either way.
pub(super) fn random_ahead(dice: &mut Rng) -> i64 {
    let range = match pick(dice, 3) {
        0 => 0,
        1 => SECOND,
        _ => 100 * SECOND,
    };
    let ahead = dice.up_to(2 * range);
    i64::try_from(ahead).expect("two minutes") - i64::try_from(range).expect("two minutes")
}

impl World {
    /// Another process accepts a poll at the time of its own clock, and the store takes its time.
    pub(super) fn submit_beside(&mut self, poll: usize) {
        self.beside -= 1;
        let ahead = match pick(&mut self.dice, 3) {
            // The clock of the same machine, if it was not set since the runner began.
            0 => self.ahead,
            _ => random_ahead(&mut self.dice),
        };
        let stamp = Timestamp::from_micros(self.now.saturating_add_signed(ahead));
        let poll = StoredPoll::new(key(poll), self.specs[poll].clone(), stamp);
        let poll = if self.limits.spread { poll.spread() } else { poll };
        let slow = pick(&mut self.dice, 4) == 0;
        let delay = self.up_to(if slow { 4 * SECOND } else { SECOND / 10 });
        self.later(delay, Incident::CommittedBeside(poll));
    }

    pub(super) fn committed_beside(&mut self, poll: StoredPoll) {
        let number = index(&poll.key);
        if !self.store.contains_key(&poll.key) {
            self.observed[number].acknowledged = true;
            self.create(poll);
        }
        self.look_later();
    }

    /// Schedules the next look, unless no other process will store a poll that this one does not know.
    pub(super) fn look_later(&mut self) {
        let Some(core) = &self.core else { return };
        let unknown =
            self.store.values().any(|poll| poll.outcome.is_none() && core.find(&poll.key).is_none());
        let scheduled = |what: &Incident| matches!(what, Incident::Look | Incident::Looked { .. });
        if (unknown || self.beside > 0) && !self.shutting_down && !self.agenda.values().any(scheduled) {
            self.later(LOOK, Incident::Look);
        }
    }

    pub(super) fn begin_look(&mut self) {
        let now = self.time();
        self.clocks.begin_read(now);
        self.looking = Some(now);
    }

    pub(super) fn end_look(&mut self, read: bool) {
        if read {
            self.clocks.end_read();
            self.looked = self.looking;
        }
    }

    /// The store reads the polls that the runner does not have; the answer arrives later.
    pub(super) fn look(&mut self) {
        let Some(core) = self.core.as_mut().filter(|_| !self.shutting_down) else { return };
        core.begin_read();
        let mut polls: Vec<StoredPoll> = self
            .store
            .values()
            .filter(|poll| poll.outcome.is_none() && core.find(&poll.key).is_none())
            .cloned()
            .collect();
        polls.sort_by(|one, other| one.key.cmp(&other.key));
        self.begin_look();
        let (delay, fails) = self.store_reply(4);
        self.later(delay, Incident::Looked { polls, fails });
    }

    /// What the driver does with the changes by other processes.
    pub(super) fn looked(&mut self, mut polls: Vec<StoredPoll>, fails: bool) {
        let now = self.time();
        if self.shutting_down || self.core.is_none() {
            return;
        }
        if fails {
            polls.clear();
        }
        polls.iter_mut().for_each(|poll| self.believe(poll));
        self.end_look(!fails);
        self.adopt_found(polls, now);
        if let Some(core) = &mut self.core {
            core.end_read();
        }
        self.look_later();
    }

    fn adopt_found(&mut self, polls: Vec<StoredPoll>, now: Timestamp) {
        let Some(core) = &mut self.core else { return };
        let known: Vec<bool> = polls.iter().map(|poll| core.find(&poll.key).is_some()).collect();
        let doubtful = core.adopt(polls.clone(), now);
        for (poll, known) in polls.into_iter().zip(known) {
            let number = index(&poll.key);
            if known {
                self.observed[number].found = Some(poll.clone());
            }
            let Some(id) = core.find(&poll.key).filter(|_| !known) else { continue };
            self.ids.insert(id, number);
            self.observed[number].adopt(&poll, now);
        }
        for key in doubtful {
            assert!(self.store[&key].outcome.is_some(), "only a poll that has ended is in doubt");
        }
    }

    /// What the driver makes of the stamp of a poll that it did not know.
    pub(super) fn believe(&mut self, poll: &mut StoredPoll) {
        if poll.restarts == 0 && poll.outcome.is_none() {
            let stamp = poll.created_at;
            self.clocks.place(poll, self.time());
            self.check_start(stamp, poll.created_at);
        }
    }

    /// Checks the start that the runner gives to a poll that another process stamped.
    fn check_start(&mut self, stamp: Timestamp, start: Timestamp) {
        let now = self.time();
        let before = self.looked.expect("a look preceded");
        assert!(start <= now, "a poll starts later than it was found");
        assert!(start >= before.before(COMMIT), "a poll starts before the look that did not find it");
        if stamp > now {
            self.counts.ahead += 1;
        } else if stamp < before.before(COMMIT) {
            self.counts.stale += 1;
        } else {
            assert_eq!(start, stamp, "a clock that may be right is not believed");
        }
    }
}
