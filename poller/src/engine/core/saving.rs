//! Saving again what the store failed to save: outcomes, and URLs to follow.
//!
//! They wait in a queue. Each second, one of them is tried again: a store that is away gets little to do for a million of them, and
//! it is asked soon after it is back. When the store has saved anything, all that waits is tried again, except what it
//! refused within the last half second: it may be that one alone that cannot be saved. What the store does not know any more, as
//! after a fail-over to a standby that was behind, is tried once a minute.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use retry::Rng;

use super::super::effect::Effect;
use super::super::entry::{Phase, PollId};
use super::Core;
use crate::clock::Timestamp;
use crate::store::StoreError;

/// The least time between two tries of the same.
const REST: Duration = Duration::from_millis(500);

/// The least time between two tries for a poll that the store does not have.
const LONG_REST: Duration = Duration::from_secs(60);

/// At random up to this is added before the next try while the store saves nothing.
const JITTER: Duration = Duration::from_millis(500);

/// What the store failed to save.
#[derive(Debug, Default)]
pub(super) struct FailedSaves {
    /// With the times from which they may be tried again. Polls may be gone, or have another phase.
    queue: BTreeSet<(Timestamp, PollId)>,
    /// When the first one is tried again, even if the store saves nothing until then.
    next: Option<Timestamp>,
}

impl FailedSaves {
    /// When the first one is tried again, even if the store saves nothing until then.
    pub(super) const fn next(&self) -> Option<Timestamp> {
        self.next
    }

    fn add(&mut self, id: PollId, error: &StoreError, now: Timestamp, rng: &mut Rng) {
        let rest = if error.is_not_found() { LONG_REST } else { REST };
        self.queue.insert((now + rest, id));
        self.plan(now + rest, rng);
    }

    /// Takes out the first one, if it may be tried.
    fn take(&mut self, now: Timestamp) -> Option<PollId> {
        if self.queue.first()?.0 > now {
            return None;
        }
        let (_, id) = self.queue.pop_first()?;
        Some(id)
    }

    /// Has one tried at this time or soon after it, unless one is tried earlier.
    fn plan(&mut self, earliest: Timestamp, rng: &mut Rng) {
        let jitter = u64::try_from(JITTER.as_micros()).unwrap_or(u64::MAX);
        let at = earliest + Duration::from_micros(rng.up_to(jitter));
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

impl Core {
    /// Handles that the store failed to save the outcome of a poll.
    pub(super) fn outcome_failed(&mut self, id: PollId, error: &StoreError, now: Timestamp) {
        if let Some(Phase::Saving(unsaved)) = self.polls.get_mut(id).map(|entry| &mut entry.phase) {
            unsaved.failed = true;
            self.failed_saves.add(id, error, now, &mut self.rng);
        }
    }

    /// The same for the URL that a poll is to follow. The poll may have ended meanwhile.
    pub(super) fn link_failed(&mut self, id: PollId, error: &StoreError, now: Timestamp) {
        if let Some(Phase::Linking(unsaved)) = self.polls.get_mut(id).map(|entry| &mut entry.phase) {
            unsaved.failed = true;
            self.failed_saves.add(id, error, now, &mut self.rng);
        }
    }

    /// Tries the first one again if it is time.
    pub(super) fn retry_first(&mut self, now: Timestamp) {
        if self.failed_saves.next.take_if(|at| *at <= now).is_none() {
            return;
        }
        let mut earliest = now;
        while let Some(id) = self.failed_saves.take(now) {
            if self.save_again(id) {
                earliest = now + REST;
                break;
            }
        }
        if let Some((from, _)) = self.failed_saves.queue.first() {
            self.failed_saves.plan(earliest.max(*from), &mut self.rng);
        }
    }

    /// Handles that the store has saved something.
    pub(super) fn store_works(&mut self, now: Timestamp) {
        while let Some(id) = self.failed_saves.take(now) {
            self.save_again(id);
        }
    }

    /// Tries all again now.
    pub(super) fn retry_all(&mut self) {
        self.failed_saves.next = None;
        for (_, id) in std::mem::take(&mut self.failed_saves.queue) {
            self.save_again(id);
        }
    }

    /// Has the outcome or the link of a poll saved again; returns false if it does not wait for that any more.
    fn save_again(&mut self, id: PollId) -> bool {
        let Some(entry) = self.polls.get_mut(id) else { return false };
        let key = entry.key.clone();
        let effect = match &mut entry.phase {
            Phase::Saving(unsaved) if unsaved.failed => {
                unsaved.failed = false;
                Effect::SaveOutcome { id, key, outcome: Arc::clone(&unsaved.what) }
            }
            // In a shutdown nothing is asked any more, whatever the URL.
            Phase::Linking(unsaved) if unsaved.failed && !self.shutting_down => {
                unsaved.failed = false;
                Effect::SaveLink { id, key, url: Arc::clone(&unsaved.what) }
            }
            _ => return false,
        };
        self.effects.push(effect);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::Response;
    use crate::job::PollSpec;
    use crate::judge::Judgement;
    use crate::key::PollKey;
    use crate::limits::Limits;
    use crate::store::Creation;

    const START: Timestamp = Timestamp::from_micros(1_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    /// A core, and a store that may be away.
    struct World {
        core: Core,
        now: Timestamp,
        /// When the store was asked to save an outcome, and which.
        tries: Vec<(Timestamp, PollId)>,
        saved: usize,
    }

    impl World {
        /// All these polls have got their answers.
        fn matched(polls: usize) -> Self {
            let limits = Limits::unbounded();
            let mut core = Core::new(limits, Rng::seeded(1));
            for number in 0..polls {
                let spec = PollSpec::parse(r#"{"url": "https://example.com"}"#).unwrap();
                core.submit(
                    crate::engine::entry::Ticket(number),
                    PollKey::new("", number.to_string()),
                    spec,
                    START,
                );
            }
            let mut world = Self { core, now: START, tries: Vec::new(), saved: 0 };
            for effect in world.effects() {
                if let Effect::Create { id, .. } = effect {
                    world.core.created(id, Ok(Creation::Created), false, START);
                }
            }
            let mut saves = Vec::new();
            loop {
                let effects = world.effects();
                if effects.is_empty() {
                    break;
                }
                for effect in effects {
                    match effect {
                        Effect::StartRequest(request) => {
                            let response = Response::new(200, http::HeaderMap::new(), "").into();
                            world.core.attempted(request.id, Judgement::Matched { response }, START, START);
                        }
                        Effect::SaveOutcome { .. } => saves.push(effect),
                        _ => {}
                    }
                }
            }
            world.core.effects = saves;
            world
        }

        fn effects(&mut self) -> Vec<Effect> {
            let mut effects = Vec::new();
            self.core.take_effects(&mut effects);
            effects
        }

        /// Lets time pass, with a store that saves these.
        fn pass(&mut self, time: Duration, mut saves: impl FnMut(PollId) -> bool) {
            self.pass_with(time, |id| if saves(id) { Ok(()) } else { Err(StoreError::new("it is away")) });
        }

        fn pass_with(&mut self, time: Duration, mut store: impl FnMut(PollId) -> Result<(), StoreError>) {
            let end = self.now + time;
            loop {
                for effect in self.effects() {
                    if let Effect::SaveOutcome { id, outcome, .. } = effect {
                        self.tries.push((self.now, id));
                        let result = store(id).map(|()| outcome);
                        self.saved += usize::from(result.is_ok());
                        self.core.outcome_saved(id, result, self.now);
                    }
                }
                if !self.core.effects.is_empty() {
                    continue;
                }
                match self.core.next_wake().filter(|wake| *wake <= end) {
                    Some(wake) => self.now = wake,
                    None => break,
                }
                self.core.tick(self.now);
            }
            self.now = end;
        }
    }

    #[test]
    fn a_store_that_was_away_for_long_has_all_outcomes_within_a_second() {
        let mut world = World::matched(1000);
        world.pass(10 * MINUTE, |_| false);
        let (first, again) = (1000, world.tries.len() - 1000);
        assert!((600..=1200).contains(&again), "{first} tries at first, {again} in ten minutes");
        world.pass(Duration::from_secs(1), |_| true);
        assert_eq!((world.saved, world.core.open()), (1000, 0));
    }

    #[test]
    fn an_outcome_that_alone_cannot_be_saved_is_tried_seldom_and_delays_no_other() {
        let mut world = World::matched(1000);
        let mut refused = None;
        let mut number = 0;
        // It is the first that is tried again, and the second one tells that the store works.
        world.pass(Duration::from_secs(2), |id| {
            number += 1;
            *refused.get_or_insert(id) != id && number > 500
        });
        let refused = refused.unwrap();
        assert_eq!((world.saved, world.core.open()), (999, 1));
        // Others are saved meanwhile, all the time.
        let before = world.tries.len();
        for _ in 0..6000 {
            world.pass(Duration::from_millis(10), |id| id != refused);
            world.core.store_works(world.now);
        }
        let tries = world.tries.len() - before;
        assert!((60..=180).contains(&tries), "{tries} tries in a minute");
    }

    #[test]
    fn a_poll_that_the_store_does_not_have_is_tried_once_a_minute() {
        let mut world = World::matched(2);
        let key = PollKey::new("", "0");
        let gone = world.core.find(&key).unwrap();
        world.pass_with(10 * MINUTE, |id| match id == gone {
            true => Err(StoreError::not_found(&key)),
            false => Ok(()),
        });
        assert_eq!((world.saved, world.tries.len()), (1, 11));
    }

    #[test]
    fn all_is_tried_again_as_a_shutdown_begins_and_further_on() {
        let mut world = World::matched(10);
        world.pass(Duration::ZERO, |_| false);
        world.core.shut_down();
        world.pass(Duration::ZERO, |_| false);
        assert_eq!((world.tries.len(), world.saved), (20, 0));
        world.pass(Duration::from_secs(1), |_| true);
        assert_eq!((world.saved, world.core.open()), (10, 0));
    }
}
