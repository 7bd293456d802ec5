//! The promises of the engine, checked from outside of the core.
//!
//! - No request begins at or after the deadline of its poll, except for one in the life of a process in which no process ran the
//!   poll at its deadline. None begins before its time, beside another of the same poll, after the
//!   outcome, during a hold, or after a shutdown began. Requests announced for the grid are on it. Caps are kept.
//! - A poll asks the URL that is stored: it follows a link only once that is stored, and never goes back.
//! - A due request that may be sent is sent, and after a callback one that the server has not asked to wait for.
//! - An outcome has exactly the attempts that were reported.
//! - A poll ends at its deadline, or after its last look. An outcome is stored before it is reported and never
//!   changes. At the end every acknowledged poll has exactly one.
//! - While outcomes wait that the store failed to save, it is asked again within a second, also while it saves nothing. Once it has
//!   saved anything half a second after such a failure, it is asked at once.
//! - Whatever other clocks show, a poll of another process starts between the look that found it and the look before,
//!   less the time that a store may take; a clock that agrees is taken at its word.

use std::sync::Arc;
use std::time::Duration;

use super::{LAG, World, key};
use crate::clock::Timestamp;
use crate::engine::core::Core;
use crate::engine::effect::StartRequest;
use crate::event::Event;
use crate::outcome::{Attempt, FailureReason, NextReason, Outcome, OutcomeKind};
use crate::site;

impl World {
    /// Checks a request that begins now.
    pub(super) fn check_request(&self, poll: usize, request: &StartRequest) {
        let StartRequest { spec, cut, .. } = request;
        let now = self.time();
        let stored = &self.store[&key(poll)];
        let observed = &self.observed[poll];
        let deadline = observed.start + spec.timeout();
        assert!(observed.in_flight.is_none(), "two requests of one poll at once");
        assert_eq!(request.followed, stored.followed, "the URL asked is not the one stored");
        assert!(observed.reported.is_none() && stored.outcome.is_none(), "a request after the outcome");
        if now < deadline {
            assert!(*cut <= deadline, "a request goes on after the deadline");
        } else {
            assert!(self.was_missed(poll, deadline), "a request after a deadline that was not missed");
            assert!(observed.looked != Some(self.life), "two requests after the deadline");
            assert!(*cut <= now + spec.request_timeout().duration, "a request without a time limit");
        }
        assert!(now >= observed.held_until, "a request while a hint holds the poll back");
        assert!(!self.shutting_down, "a request once a shutdown began");
        let hastened = observed.hastened().is_some_and(|from| now >= from);
        match observed.next {
            _ if hastened && now < deadline => {}
            // The first request of this life: at the start of the poll or, if an earlier process ran it, at its next tick.
            None => {
                assert!(
                    observed.first.is_some_and(|first| now >= first),
                    "the first request before its time"
                );
            }
            Some(None) => assert!(now >= deadline, "an unannounced request"),
            Some(Some(next)) => {
                assert!(now >= next.at, "a request before its time");
                let grid = observed.grid(spec);
                let off_grid = next.at.since(grid.last_at_or_before(next.at).0);
                assert!(next.why != NextReason::Grid || off_grid.is_zero(), "off the grid by {off_grid:?}");
            }
        }
    }

    /// Whether no process may have run the poll at its deadline: a process came back, or learned that it is stored, later.
    fn was_missed(&self, poll: usize, deadline: Timestamp) -> bool {
        let stops = self.stops.iter().map(|(_, to)| to);
        let mut returns = self.began.iter().chain(&self.observed[poll].begun).chain(stops);
        returns.any(|back| *back > deadline)
    }

    /// After every step: the caps are kept.
    pub(super) fn check_caps(&self) {
        assert!(self.in_flight().count() <= self.limits.in_flight, "the cap on all requests is kept");
        let (per_site, _) = self.limits.shares();
        for poll in self.in_flight() {
            let [origin, site, ..] = self.beside(poll);
            assert!(origin <= self.limits.per_origin, "the cap of the origin is kept");
            assert!(site <= per_site, "the cap of the site is kept");
            // The share of a scope is not asserted: an only one may use all, and another may have come since.
        }
    }

    fn in_flight(&self) -> impl Iterator<Item = usize> {
        (0..self.specs.len()).filter(|poll| self.observed[*poll].in_flight.is_some())
    }

    /// The requests in flight of the origin, the site and the scope of a poll, and in all.
    fn beside(&self, poll: usize) -> [usize; 4] {
        let site = |poll: usize| site::of_origin(self.specs[poll].origin());
        let mine = (self.specs[poll].origin(), site(poll), poll % 2);
        let mut counts = [0; 4];
        for other in self.in_flight() {
            counts[0] += usize::from(self.specs[other].origin() == mine.0);
            counts[1] += usize::from(site(other) == mine.1);
            counts[2] += usize::from(other % 2 == mine.2);
            counts[3] += 1;
        }
        counts
    }

    /// Whether each cap has room for a request of this poll.
    fn has_room(&self, poll: usize) -> bool {
        let [origin, site, scope, all] = self.beside(poll);
        let (per_site, per_scope) = self.limits.shares();
        let total = self.limits.in_flight;
        let reserve = |of: usize, part: usize| (of / part).min(of.saturating_sub(self.limits.per_origin));
        origin < self.limits.per_origin
            && site < per_site - if origin == 0 { 0 } else { reserve(per_site, 4) }
            && scope < per_scope
            // Which sites answer is not followed here: this site may not answer, and then has less room than a
            // site with something in flight.
            && all < total - reserve(total, 4)
    }

    /// Before time advances: no due request that may be sent waits.
    pub(super) fn check_promptness(&self) {
        let now = self.time();
        if self.core.is_none() || self.shutting_down {
            return;
        }
        for (poll, observed) in self.observed.iter().enumerate() {
            let first = (observed.next.is_none()).then_some(observed.first).flatten();
            let hastened = observed.hastened().filter(|_| !observed.linking && observed.in_flight.is_none());
            let at = observed.next.flatten().map(|next| next.at).or(first).into_iter().chain(hastened).min();
            let Some(at) = at else { continue };
            let spec = &self.specs[poll];
            let deadline = observed.start + spec.timeout();
            let due = at <= now && now < deadline && now >= observed.held_until && !self.is_held(poll);
            let waits = due
                && !observed.linking
                && observed.in_flight.is_none()
                && !observed.ending
                && observed.reported.is_none();
            assert!(!waits || !self.has_room(poll), "poll {poll} is due since {at}, may send and does not");
        }
    }

    /// Before time advances: what the store failed to save is tried again in time.
    pub(super) fn check_saving(&self) {
        let now = self.time();
        for (poll, observed) in self.observed.iter().enumerate() {
            let Some(failed) = observed.unsaved.filter(|_| observed.reported.is_none()) else { continue };
            let late = failed.max(self.asked_to_save) + Duration::from_secs(1);
            assert!(now <= late, "the outcome of poll {poll} waits since {failed}, and nothing is tried");
            let refused_alone =
                self.has_saved.is_none_or(|saved| saved < failed + Duration::from_millis(500));
            assert!(refused_alone, "the outcome of poll {poll} waits since {failed}, and the store works");
        }
    }

    /// Whether a hold from before its creation keeps the poll from sending.
    fn is_held(&self, poll: usize) -> bool {
        let held = |event: &Event| matches!(event, Event::HeldBack { until, .. } if *until > self.time());
        let core = self.core.as_ref();
        core.is_some_and(|core| core.find(&key(poll)).is_some_and(|id| core.missed(id).iter().any(held)))
    }

    /// Checks an outcome that is reported.
    pub(super) fn outcome_reported(&mut self, poll: usize, outcome: Arc<Outcome>) {
        let stored = self.store[&key(poll)].outcome.as_ref();
        assert_eq!(stored, Some(&outcome), "the outcome reported is not the one stored");
        let observed = &mut self.observed[poll];
        assert!(
            observed.reported.is_none() || observed.reported.as_ref() == Some(&outcome),
            "an outcome changed"
        );
        assert!(observed.in_flight.is_none(), "a request in flight after the outcome");
        observed.reported = Some(outcome);
    }

    /// Checks an outcome when it is decided, by the clock that decided.
    pub(super) fn check_outcome(&self, poll: usize, outcome: &Outcome) {
        let observed = &self.observed[poll];
        assert_eq!(outcome.started_at, observed.start, "the outcome has another start");
        let deadline = observed.start + self.specs[poll].timeout();
        let missed = self.was_missed(poll, deadline);
        let ended = outcome.ended_at;
        // A poll ends after its deadline only if no process ran it then or it was not stored yet.
        let cancelled = outcome.kind == OutcomeKind::Cancelled;
        // A process that was stopped for less than a second looks like a busy one.
        let lag = if missed { Duration::from_secs(1) } else { LAG };
        assert!(
            ended <= deadline + lag || observed.looked.is_some() || (cancelled && missed),
            "ended at {ended}, after the deadline {deadline}, without a last look: {:?}",
            outcome.kind
        );
        let decided_by_response = match &outcome.kind {
            OutcomeKind::Matched { .. } => true,
            OutcomeKind::Failed { reason, .. } => *reason == FailureReason::FailureFilter,
            _ => false,
        };
        assert!(
            !decided_by_response || ended < deadline || observed.looked.is_some(),
            "a response after the deadline decided the outcome"
        );
        // A callback or a last look moves the next request that was announced.
        let moved = |attempt: &Attempt| Attempt { next: None, ..attempt.clone() };
        assert!(
            outcome.history.iter().map(moved).eq(observed.attempts.iter().map(moved)),
            "the history is not what was reported: {:?}, {:?}",
            outcome.history,
            observed.attempts
        );
    }

    /// Checks the final state.
    pub(super) fn check_the_end(&self) {
        let open = self.core.as_ref().map(Core::open);
        assert_eq!(open, Some(0), "polls are open though no event is left");
        for (poll, observed) in self.observed.iter().enumerate() {
            if observed.acknowledged {
                let stored = self.store.get(&key(poll)).expect("an acknowledged poll was lost");
                assert!(stored.outcome.is_some(), "poll {poll} has no outcome");
            }
        }
    }
}
