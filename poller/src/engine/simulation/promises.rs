//! The promises of the engine, checked from outside of the core.
//!
//! - No request begins at or after the deadline of its poll, before its time, beside another of the same poll, after the
//!   outcome, during a hold, or after a shutdown began. Requests announced for the grid are on it. Caps are kept.
//! - A due request that may be sent is sent.
//! - A poll ends at its deadline, or at the first opportunity after it. An outcome is stored before it is reported and never
//!   changes. At the end every acknowledged poll has exactly one.

use std::sync::Arc;

use super::{LAG, World, key};
use crate::engine::core::Core;
use crate::engine::effect::StartRequest;
use crate::event::Event;
use crate::outcome::{FailureReason, NextReason, Outcome, OutcomeKind};
use crate::schedule::Grid;

impl World {
    /// Checks a request that begins now.
    pub(super) fn check_request(&self, poll: usize, request: &StartRequest) {
        let StartRequest { spec, cut, .. } = request;
        let now = self.time();
        let stored = &self.store[&key(poll)];
        let deadline = stored.created_at + spec.timeout();
        let observed = &self.observed[poll];
        assert!(observed.in_flight.is_none(), "two requests of one poll at once");
        assert!(observed.reported.is_none() && stored.outcome.is_none(), "a request after the outcome");
        assert!(now < deadline && *cut <= deadline, "a request at or after the deadline");
        assert!(now >= observed.held_until, "a request while a hint holds the poll back");
        assert!(!self.shutting_down, "a request once a shutdown began");
        match observed.next {
            // The first request of this life: at the start of the poll or, if an earlier process ran it, at its next tick.
            None => {
                let grid = Grid::new(stored.created_at, spec.interval(), spec.timeout());
                let first = match self.starts.last() {
                    Some(&starts) if starts > stored.created_at => {
                        let young = starts.since(stored.created_at) < spec.interval();
                        if young { starts } else { grid.first_after(starts).unwrap_or(starts) }
                    }
                    _ => stored.created_at,
                };
                assert!(now >= first, "the first request before its time");
            }
            Some(None) => panic!("an unannounced request"),
            Some(Some(next)) => {
                assert!(now >= next.at, "a request before its time");
                let off_grid = next.at.since(stored.created_at).as_micros() % spec.interval().as_micros();
                assert!(next.why != NextReason::Grid || off_grid == 0, "off the grid by {off_grid} µs");
            }
        }
    }

    /// After every step: the caps are kept.
    pub(super) fn check_caps(&self) {
        let in_flight: Vec<usize> =
            (0..self.specs.len()).filter(|poll| self.observed[*poll].in_flight.is_some()).collect();
        assert!(in_flight.len() <= self.limits.in_flight, "the cap on all requests is kept");
        for poll in &in_flight {
            let origin = self.specs[*poll].origin();
            let beside = in_flight.iter().filter(|other| self.specs[**other].origin() == origin).count();
            assert!(beside <= self.limits.per_origin, "the cap of the origin is kept");
        }
    }

    /// Before time advances: no due request that may be sent waits.
    pub(super) fn check_promptness(&self) {
        let now = self.time();
        if self.core.is_none() || self.shutting_down {
            return;
        }
        let in_flight = |origin: Option<&str>| {
            let polls = (0..self.specs.len()).filter(|poll| self.observed[*poll].in_flight.is_some());
            polls.filter(|poll| origin.is_none_or(|origin| self.specs[*poll].origin() == origin)).count()
        };
        for (poll, observed) in self.observed.iter().enumerate() {
            let first = (observed.next.is_none()).then_some(observed.started).flatten();
            let Some(at) = observed.next.flatten().map(|next| next.at).or(first) else { continue };
            let spec = &self.specs[poll];
            let deadline = self.store[&key(poll)].created_at + spec.timeout();
            let due = at <= now && now < deadline && now >= observed.held_until && !self.is_held(poll);
            let waits =
                due && observed.in_flight.is_none() && !observed.ending && observed.reported.is_none();
            let room = in_flight(None) < self.limits.in_flight
                && in_flight(Some(spec.origin())) < self.limits.per_origin;
            assert!(!waits || !room, "poll {poll} is due since {at}, may send and does not");
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
        let deadline = outcome.started_at + self.specs[poll].timeout();
        let ended = outcome.ended_at;
        // A poll ends after its deadline only if no process ran it then or it was not stored yet, and at the first
        // opportunity.
        assert!(
            ended <= deadline + LAG || self.starts.contains(&ended) || observed.begun.contains(&ended),
            "ended at {ended}, after the deadline {deadline}, though a process ran it"
        );
        let decided_by_response = match &outcome.kind {
            OutcomeKind::Matched { .. } => true,
            OutcomeKind::Failed { reason, .. } => *reason == FailureReason::FailureFilter,
            _ => false,
        };
        assert!(
            !decided_by_response || ended < deadline,
            "a response after the deadline decided the outcome"
        );
        assert!(outcome.history.len() <= self.limits.history);
        observed.reported = Some(outcome);
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
