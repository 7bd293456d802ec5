//! Who may send next: caps on requests in flight, per origin and in all, and hold-backs.
//!
//! Polls that are due but may not send wait in a *lane*: those of one origin with the same credentials, first come,
//! first served. A lane is *ready* while it has someone waiting, is not held back and its origin has room; ready lanes
//! take turns, so that one busy origin does not starve the others.
//!
//! ```text
//!  due polls ─► lane ─┐            (origin full: the lane waits in `blocked` of its origin)
//!  due polls ─► lane ─┼─► ready ─► in flight, while there is room
//!  due polls ─► lane ─┘            (held back: the lane comes back when the hold is over)
//! ```
//!
//! Every operation takes constant time. Origins and credentials are kept as keyed hashes only: no secret is repeated
//! here, and nobody outside can make two of them collide.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::clock::Timestamp;
use crate::spec::PollSpec;

/// The polls that share an origin and credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LaneKey {
    origin: u64,
    credentials: u64,
}

#[derive(Debug)]
pub(crate) struct Lanes<T> {
    most: usize,
    most_per_origin: usize,
    in_flight: usize,
    origins: HashMap<u64, Origin>,
    lanes: HashMap<LaneKey, Lane<T>>,
    ready: VecDeque<LaneKey>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Origin {
    in_flight: usize,
    blocked: VecDeque<LaneKey>,
}

#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<T>,
    held_until: Timestamp,
    /// Whether it stands in `ready` or in `blocked` of its origin.
    listed: bool,
}

impl<T> Lanes<T> {
    pub(crate) fn new(most: usize, most_per_origin: usize) -> Self {
        Self {
            most: most.max(1),
            most_per_origin: most_per_origin.max(1),
            in_flight: 0,
            origins: HashMap::new(),
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            hasher: RandomState::new(),
        }
    }

    /// The lane of a spec's polls.
    pub(crate) fn key(&self, spec: &PollSpec) -> LaneKey {
        let mut credentials = self.hasher.build_hasher();
        spec.request().hash_credentials(&mut credentials);
        let origin = self.hasher.hash_one(spec.origin());
        LaneKey { origin, credentials: credentials.finish() }
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Puts someone at the end of a lane.
    pub(crate) fn enqueue(&mut self, key: LaneKey, who: T, now: Timestamp) {
        let lane = self.lane(key);
        lane.waiting.push_back(who);
        self.list(key, now);
    }

    /// Who may send now, if anyone may. The caller answers with [`begin`](Self::begin), or not at all where that one
    /// does not want to send any more.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<(LaneKey, T)> {
        while self.in_flight < self.most {
            let key = self.ready.pop_front()?;
            let full =
                self.origins.get(&key.origin).is_some_and(|origin| origin.in_flight >= self.most_per_origin);
            if full {
                self.origins.entry(key.origin).or_default().blocked.push_back(key);
                continue;
            }
            let Some(lane) = self.lanes.get_mut(&key) else { continue };
            lane.listed = false;
            if lane.held_until > now {
                continue;
            }
            let Some(who) = lane.waiting.pop_front() else {
                self.drop_if_idle(key, now);
                continue;
            };
            self.list(key, now);
            self.drop_if_idle(key, now);
            return Some((key, who));
        }
        None
    }

    /// Counts a request as in flight.
    pub(crate) fn begin(&mut self, key: LaneKey) {
        self.in_flight += 1;
        self.origins.entry(key.origin).or_default().in_flight += 1;
    }

    /// Counts a request as over.
    pub(crate) fn end(&mut self, key: LaneKey) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(origin) = self.origins.get_mut(&key.origin) else { return };
        origin.in_flight = origin.in_flight.saturating_sub(1);
        if let Some(unblocked) = origin.blocked.pop_front() {
            self.ready.push_back(unblocked);
        }
        if origin.in_flight == 0 && origin.blocked.is_empty() {
            self.origins.remove(&key.origin);
        }
    }

    /// Holds a lane back until then. Returns whether that is later than before, so that the caller wakes it up then.
    pub(crate) fn hold(&mut self, key: LaneKey, until: Timestamp) -> bool {
        let lane = self.lane(key);
        let later = until > lane.held_until;
        lane.held_until = lane.held_until.max(until);
        later
    }

    /// Looks at a lane whose hold may be over.
    pub(crate) fn release(&mut self, key: LaneKey, now: Timestamp) {
        self.list(key, now);
        self.drop_if_idle(key, now);
    }

    fn lane(&mut self, key: LaneKey) -> &mut Lane<T> {
        self.lanes.entry(key).or_insert_with(|| Lane {
            waiting: VecDeque::new(),
            held_until: Timestamp::default(),
            listed: false,
        })
    }

    fn list(&mut self, key: LaneKey, now: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(&key)
            && !lane.listed
            && !lane.waiting.is_empty()
            && lane.held_until <= now
        {
            lane.listed = true;
            self.ready.push_back(key);
        }
    }

    fn drop_if_idle(&mut self, key: LaneKey, now: Timestamp) {
        if let Some(lane) = self.lanes.get(&key)
            && lane.waiting.is_empty()
            && !lane.listed
            && lane.held_until <= now
        {
            self.lanes.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(100);

    fn lanes(most: usize, most_per_origin: usize) -> Lanes<u32> {
        Lanes::new(most, most_per_origin)
    }

    const fn key(origin: u64, credentials: u64) -> LaneKey {
        LaneKey { origin, credentials }
    }

    fn start(lanes: &mut Lanes<u32>, now: Timestamp) -> Vec<u32> {
        std::iter::from_fn(|| {
            let (key, who) = lanes.next(now)?;
            lanes.begin(key);
            Some(who)
        })
        .collect()
    }

    #[test]
    fn origins_take_turns_and_keep_their_caps() {
        let mut lanes = lanes(3, 2);
        for who in 0..5 {
            lanes.enqueue(key(1, 1), who, NOW);
        }
        lanes.enqueue(key(2, 1), 10, NOW);
        assert_eq!(
            start(&mut lanes, NOW),
            [0, 10, 1],
            "two of the first origin, one of the second, three in all"
        );
        lanes.end(key(2, 1));
        assert_eq!(start(&mut lanes, NOW), [] as [u32; 0], "there is room, but not for the first origin");
        lanes.end(key(1, 1));
        assert_eq!(start(&mut lanes, NOW), [2]);
    }

    #[test]
    fn a_held_lane_waits_and_its_neighbour_does_not() {
        let mut lanes = lanes(10, 10);
        let until = Timestamp::from_micros(200);
        assert!(lanes.hold(key(1, 1), until));
        assert!(!lanes.hold(key(1, 1), NOW), "a shorter hold changes nothing");
        lanes.enqueue(key(1, 1), 1, NOW);
        lanes.enqueue(key(1, 2), 2, NOW);
        assert_eq!(start(&mut lanes, NOW), [2]);
        lanes.release(key(1, 1), until);
        assert_eq!(start(&mut lanes, until), [1]);
    }

    #[test]
    fn a_hold_that_comes_while_a_lane_is_listed_counts() {
        let mut lanes = lanes(10, 10);
        lanes.enqueue(key(1, 1), 1, NOW);
        let until = Timestamp::from_micros(200);
        lanes.hold(key(1, 1), until);
        assert_eq!(start(&mut lanes, NOW), [] as [u32; 0]);
        lanes.release(key(1, 1), until);
        assert_eq!(start(&mut lanes, until), [1]);
    }

    #[test]
    fn nothing_is_kept_of_what_is_over() {
        let mut lanes = lanes(1, 1);
        for round in 0..100 {
            lanes.enqueue(key(round, 1), 1, NOW);
            lanes.enqueue(key(round, 2), 2, NOW);
            assert_eq!(start(&mut lanes, NOW), [1]);
            lanes.end(key(round, 1));
            assert_eq!(start(&mut lanes, NOW), [2]);
            lanes.end(key(round, 2));
        }
        assert!(lanes.next(NOW).is_none());
        assert_eq!((lanes.lanes.len(), lanes.origins.len()), (0, 0));
    }
}
