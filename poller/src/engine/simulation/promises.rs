//! What the engine promises, checked on the simulated world from outside.
//!
//! No request begins at or after its poll's deadline, before its time, beside another of the same poll, after the outcome,
//! while a hint holds it, or once a shutdown began; requests announced for the grid are on it; caps are kept; a request
//! that is due and may be sent is sent; a poll ends at its deadline, or at the first chance after; an outcome is stored
//! before it is told and never changes after; and at the end every acknowledged poll has exactly one.

use std::sync::Arc;

use super::{LAG, World, key};
use crate::engine::core::Core;
use crate::engine::effect::StartRequest;
use crate::event::Event;
use crate::outcome::{FailureReason, NextReason, Outcome, OutcomeKind};
use crate::schedule::Grid;

impl World {
    /// A request of this poll begins now.
    pub(super) fn check_request(&self, poll: usize, request: &StartRequest) {
        let StartRequest { spec, cut, .. } = request;
        let now = self.time();
        let stored = &self.store[&key(poll)];
        let deadline = stored.created_at + spec.timeout();
        let known = &self.known[poll];
        assert!(known.in_flight.is_none(), "two requests of one poll at once");
        assert!(known.told.is_none() && stored.outcome.is_none(), "a request after the outcome");
        assert!(now < deadline && *cut <= deadline, "a request at or after the deadline");
        assert!(now >= known.held_until, "a request while a hint holds the poll back");
        assert!(!self.shutting_down, "a request once a shutdown began");
        match known.next {
            // The first of this life of the process: at the start, or where an earlier one had begun the poll, at its
            // next tick.
            None => {
                let grid = Grid::new(stored.created_at, spec.interval(), spec.timeout());
                let first = match self.came_up.last() {
                    Some(&came_up) if came_up > stored.created_at => {
                        let young = came_up.since(stored.created_at) < spec.interval();
                        if young { came_up } else { grid.first_after(came_up).unwrap_or(came_up) }
                    }
                    _ => stored.created_at,
                };
                assert!(now >= first, "the first request before its time");
            }
            Some(None) => panic!("a request that was not announced"),
            Some(Some(next)) => {
                assert!(now >= next.at, "a request before its time");
                let off_grid = next.at.since(stored.created_at).as_micros() % spec.interval().as_micros();
                assert!(next.why != NextReason::Grid || off_grid == 0, "off the grid by {off_grid} µs");
            }
        }
    }

    /// After every step: no more requests are in flight than may be.
    pub(super) fn check_caps(&self) {
        let in_flight: Vec<usize> =
            (0..self.specs.len()).filter(|poll| self.known[*poll].in_flight.is_some()).collect();
        assert!(in_flight.len() <= self.limits.in_flight, "the cap on all requests is kept");
        for poll in &in_flight {
            let origin = self.specs[*poll].origin();
            let beside = in_flight.iter().filter(|other| self.specs[**other].origin() == origin).count();
            assert!(beside <= self.limits.per_origin, "the cap of the origin is kept");
        }
    }

    /// Before time goes on: nothing that is due and may be sent waits.
    pub(super) fn check_promptness(&self) {
        let now = self.time();
        if self.core.is_none() || self.shutting_down {
            return;
        }
        let in_flight = |origin: Option<&str>| {
            let polls = (0..self.specs.len()).filter(|poll| self.known[*poll].in_flight.is_some());
            polls.filter(|poll| origin.is_none_or(|origin| self.specs[*poll].origin() == origin)).count()
        };
        for (poll, known) in self.known.iter().enumerate() {
            let first = (known.next.is_none()).then_some(known.started).flatten();
            let Some(at) = known.next.flatten().map(|next| next.at).or(first) else { continue };
            let spec = &self.specs[poll];
            let deadline = self.store[&key(poll)].created_at + spec.timeout();
            let due = at <= now && now < deadline && now >= known.held_until && !self.is_held(poll);
            let waits = due && known.in_flight.is_none() && !known.ending && known.told.is_none();
            let room = in_flight(None) < self.limits.in_flight
                && in_flight(Some(spec.origin())) < self.limits.per_origin;
            assert!(!waits || !room, "poll {poll} is due since {at} and not asked though it may be");
        }
    }

    /// Whether a hint holds a poll that was not there when the hint came.
    fn is_held(&self, poll: usize) -> bool {
        let held = |event: &Event| matches!(event, Event::HeldBack { until, .. } if *until > self.time());
        let core = self.core.as_ref();
        core.is_some_and(|core| core.find(&key(poll)).is_some_and(|id| core.missed(id).iter().any(held)))
    }

    /// Somebody hears of an outcome.
    pub(super) fn told(&mut self, poll: usize, outcome: Arc<Outcome>) {
        let stored = self.store[&key(poll)].outcome.as_ref();
        assert_eq!(stored, Some(&outcome), "told before it was stored, or another than what was");
        let known = &mut self.known[poll];
        assert!(known.told.is_none() || known.told.as_ref() == Some(&outcome), "an outcome changed");
        assert!(known.in_flight.is_none(), "a request in flight after the outcome");
        let deadline = outcome.started_at + self.specs[poll].timeout();
        let ended = outcome.ended_at;
        // After its deadline a poll ends only where nobody ran it then or it was not stored yet, and at the first chance.
        assert!(
            ended <= deadline + LAG || self.came_up.contains(&ended) || known.begun.contains(&ended),
            "ended at {ended}, after the deadline {deadline}, though somebody ran it"
        );
        let decided_by_response = match &outcome.kind {
            OutcomeKind::Matched { .. } => true,
            OutcomeKind::Failed { reason, .. } => *reason == FailureReason::FailureFilter,
            _ => false,
        };
        assert!(!decided_by_response || ended < deadline, "a response that came too late counted");
        assert!(outcome.history.len() <= self.limits.history);
        known.told = Some(outcome);
    }

    /// Nothing is left to happen.
    pub(super) fn check_the_end(&self) {
        let open = self.core.as_ref().map(Core::open);
        assert_eq!(open, Some(0), "polls are open though nothing is left to happen");
        for (poll, known) in self.known.iter().enumerate() {
            if known.acknowledged {
                let stored = self.store.get(&key(poll)).expect("an acknowledged poll was lost");
                assert!(stored.outcome.is_some(), "poll {poll} has no outcome");
            }
        }
    }
}
