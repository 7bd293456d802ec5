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
//! A poll looks its lane up once, when it joins; from then on it knows its number. Every operation takes constant time.
//! Origins and credentials are kept as keyed hashes only: no secret is repeated here, and nobody outside can make two of
//! them collide. A lane goes when its last poll has left and its hold is over; an origin goes with its last lane.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::clock::Timestamp;
use crate::slab::Slab;
use crate::spec::PollSpec;

/// The polls that share an origin and credentials. Used again once they have all left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LaneId(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    origin: u64,
    credentials: u64,
}

/// For how many who wait a lane keeps room once they are gone.
const ROOM: usize = 4096;

#[derive(Debug)]
pub(crate) struct Lanes<T> {
    most: usize,
    most_per_origin: usize,
    in_flight: usize,
    lanes: Slab<Lane<T>>,
    origins: Slab<Origin>,
    lane_of: HashMap<Key, LaneId>,
    origin_of: HashMap<u64, u32>,
    ready: VecDeque<LaneId>,
    hasher: RandomState,
    /// The spec that joined last, and its lane: the next of a hundred thousand is mostly of the same.
    last: Option<(PollSpec, LaneId)>,
}

#[derive(Debug)]
struct Origin {
    in_flight: usize,
    blocked: VecDeque<LaneId>,
    lanes: usize,
}

#[derive(Debug)]
struct Lane<T> {
    key: Key,
    origin: u32,
    /// The polls of it, waiting or not.
    polls: usize,
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
            lanes: Slab::new(),
            origins: Slab::new(),
            lane_of: HashMap::new(),
            origin_of: HashMap::new(),
            ready: VecDeque::new(),
            hasher: RandomState::new(),
            last: None,
        }
    }

    /// The lane of a spec's polls, for one more of them.
    pub(crate) fn join(&mut self, spec: &PollSpec) -> LaneId {
        if let Some((last, id)) = &self.last
            && last.shares_origin_with(spec)
            && let Some(lane) = self.lanes.get_mut(id.0)
        {
            lane.polls += 1;
            return *id;
        }
        let id = self.look_up(spec);
        self.last = Some((spec.clone(), id));
        id
    }

    fn look_up(&mut self, spec: &PollSpec) -> LaneId {
        let mut credentials = self.hasher.build_hasher();
        spec.request().hash_credentials(&mut credentials);
        let origin = self.hasher.hash_one(spec.origin());
        self.join_key(Key { origin, credentials: credentials.finish() })
    }

    fn join_key(&mut self, key: Key) -> LaneId {
        let Self { lanes, origins, lane_of, origin_of, .. } = self;
        let id = *lane_of.entry(key).or_insert_with(|| {
            let origin = *origin_of.entry(key.origin).or_insert_with(|| {
                origins.insert(Origin { in_flight: 0, blocked: VecDeque::new(), lanes: 0 })
            });
            if let Some(origin) = origins.get_mut(origin) {
                origin.lanes += 1;
            }
            LaneId(lanes.insert(Lane {
                key,
                origin,
                polls: 0,
                waiting: VecDeque::new(),
                held_until: Timestamp::default(),
                listed: false,
            }))
        });
        if let Some(lane) = lanes.get_mut(id.0) {
            lane.polls += 1;
        }
        id
    }

    /// One of its polls is gone.
    pub(crate) fn leave(&mut self, id: LaneId, now: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(id.0) {
            lane.polls = lane.polls.saturating_sub(1);
            self.drop_if_idle(id, now);
        }
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether one who is due need not wait: nobody is before it, its lane is not held back, and there is room.
    pub(crate) fn admits(&self, id: LaneId, now: Timestamp) -> bool {
        self.ready.is_empty()
            && self.in_flight < self.most
            && self.lanes.get(id.0).is_some_and(|lane| {
                lane.waiting.is_empty() && lane.held_until <= now && self.has_room(lane.origin)
            })
    }

    fn has_room(&self, origin: u32) -> bool {
        self.origins.get(origin).is_some_and(|origin| origin.in_flight < self.most_per_origin)
    }

    /// Puts someone at the end of a lane.
    pub(crate) fn enqueue(&mut self, id: LaneId, who: T, now: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(id.0) {
            lane.waiting.push_back(who);
            self.list(id, now);
        }
    }

    /// Who may send now, if anyone may. The caller answers with [`begin`](Self::begin), or with
    /// [`decline`](Self::decline) where that one does not want to send any more.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<(LaneId, T)> {
        while self.in_flight < self.most {
            let id = self.ready.pop_front()?;
            let Some(lane) = self.lanes.get_mut(id.0) else { continue };
            if let Some(origin) = self.origins.get_mut(lane.origin)
                && origin.in_flight >= self.most_per_origin
            {
                origin.blocked.push_back(id);
                continue;
            }
            lane.listed = false;
            if lane.held_until <= now
                && let Some(who) = lane.waiting.pop_front()
            {
                if lane.waiting.is_empty() {
                    lane.waiting.shrink_to(ROOM);
                }
                self.list(id, now);
                return Some((id, who));
            }
            self.decline(id);
            self.drop_if_idle(id, now);
        }
        None
    }

    /// The room that was offered to this lane is not used: another lane of its origin may have it.
    pub(crate) fn decline(&mut self, id: LaneId) {
        if let Some(origin) = self.lanes.get(id.0).and_then(|lane| self.origins.get_mut(lane.origin)) {
            self.ready.extend(origin.blocked.pop_front());
        }
    }

    /// Counts a request as in flight.
    pub(crate) fn begin(&mut self, id: LaneId) {
        self.in_flight += 1;
        if let Some(origin) = self.lanes.get(id.0).and_then(|lane| self.origins.get_mut(lane.origin)) {
            origin.in_flight += 1;
        }
    }

    /// Counts a request as over.
    pub(crate) fn end(&mut self, id: LaneId) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(origin) = self.lanes.get(id.0).and_then(|lane| self.origins.get_mut(lane.origin)) {
            origin.in_flight = origin.in_flight.saturating_sub(1);
            self.ready.extend(origin.blocked.pop_front());
        }
    }

    /// Holds a lane back until then. Returns whether that is later than before, so that the caller wakes it up then.
    pub(crate) fn hold(&mut self, id: LaneId, until: Timestamp) -> bool {
        let Some(lane) = self.lanes.get_mut(id.0) else { return false };
        let later = until > lane.held_until;
        lane.held_until = lane.held_until.max(until);
        later
    }

    /// Looks at a lane whose hold may be over.
    pub(crate) fn release(&mut self, id: LaneId, now: Timestamp) {
        self.list(id, now);
        self.drop_if_idle(id, now);
    }

    fn list(&mut self, id: LaneId, now: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(id.0)
            && !lane.listed
            && !lane.waiting.is_empty()
            && lane.held_until <= now
        {
            lane.listed = true;
            self.ready.push_back(id);
        }
    }

    fn drop_if_idle(&mut self, id: LaneId, now: Timestamp) {
        let idle = self
            .lanes
            .get(id.0)
            .is_some_and(|lane| lane.polls == 0 && !lane.listed && lane.held_until <= now);
        if let Some(Lane { key, origin: number, .. }) = idle.then(|| self.lanes.remove(id.0)).flatten() {
            self.lane_of.remove(&key);
            self.last.take_if(|(_, last)| *last == id);
            if let Some(origin) = self.origins.get_mut(number) {
                origin.lanes = origin.lanes.saturating_sub(1);
                if origin.lanes == 0 {
                    self.origins.remove(number);
                    self.origin_of.remove(&key.origin);
                }
            }
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

    fn join(lanes: &mut Lanes<u32>, origin: u64, credentials: u64) -> LaneId {
        lanes.join_key(Key { origin, credentials })
    }

    /// Starts whoever may; `who` hundreds are of lane `who / 100`.
    fn start(lanes: &mut Lanes<u32>, of: &[LaneId], now: Timestamp) -> Vec<u32> {
        std::iter::from_fn(|| {
            let (lane, who) = lanes.next(now)?;
            assert_eq!(lane, of[who as usize / 100]);
            lanes.begin(lane);
            Some(who)
        })
        .collect()
    }

    #[test]
    fn origins_take_turns_and_keep_their_caps() {
        let mut lanes = lanes(3, 2);
        let of = [join(&mut lanes, 1, 1), join(&mut lanes, 2, 1)];
        for who in 0..5 {
            lanes.enqueue(of[0], who, NOW);
        }
        lanes.enqueue(of[1], 100, NOW);
        assert_eq!(
            start(&mut lanes, &of, NOW),
            [0, 100, 1],
            "two of the first origin, one of the second, three in all"
        );
        lanes.end(of[1]);
        assert_eq!(
            start(&mut lanes, &of, NOW),
            [] as [u32; 0],
            "there is room, but not for the first origin"
        );
        lanes.end(of[0]);
        assert_eq!(start(&mut lanes, &of, NOW), [2]);
    }

    #[test]
    fn a_held_lane_waits_and_its_neighbour_does_not() {
        let mut lanes = lanes(10, 10);
        let of = [join(&mut lanes, 1, 1), join(&mut lanes, 1, 2)];
        let until = Timestamp::from_micros(200);
        assert!(lanes.hold(of[0], until));
        assert!(!lanes.hold(of[0], NOW), "a shorter hold changes nothing");
        assert!(!lanes.admits(of[0], NOW) && lanes.admits(of[1], NOW) && lanes.admits(of[0], until));
        lanes.enqueue(of[0], 1, NOW);
        lanes.enqueue(of[1], 102, NOW);
        assert_eq!(start(&mut lanes, &of, NOW), [102]);
        lanes.release(of[0], until);
        assert_eq!(start(&mut lanes, &of, until), [1]);
    }

    #[test]
    fn a_hold_that_comes_while_a_lane_is_listed_counts() {
        let mut lanes = lanes(10, 10);
        let of = [join(&mut lanes, 1, 1)];
        lanes.enqueue(of[0], 1, NOW);
        let until = Timestamp::from_micros(200);
        lanes.hold(of[0], until);
        assert_eq!(start(&mut lanes, &of, NOW), [] as [u32; 0]);
        lanes.release(of[0], until);
        assert_eq!(start(&mut lanes, &of, until), [1]);
    }

    #[test]
    fn nobody_overtakes_those_who_wait() {
        let mut lanes = lanes(1, 1);
        let of = [join(&mut lanes, 1, 1), join(&mut lanes, 2, 1)];
        assert!(lanes.admits(of[0], NOW));
        lanes.begin(of[0]);
        lanes.enqueue(of[0], 1, NOW);
        assert!(lanes.next(NOW).is_none());
        lanes.end(of[0]);
        assert!(!lanes.admits(of[0], NOW) && !lanes.admits(of[1], NOW), "one was there before");
        assert_eq!(start(&mut lanes, &of, NOW), [1]);
    }

    #[test]
    fn room_that_one_lane_does_not_use_goes_to_the_next() {
        let mut lanes = lanes(10, 1);
        let of = [1, 2, 3].map(|credentials| join(&mut lanes, 1, credentials));
        lanes.begin(of[0]);
        for who in [1, 101, 201] {
            lanes.enqueue(of[who as usize / 100], who, NOW);
        }
        assert!(lanes.next(NOW).is_none(), "all three stand before a full origin");
        lanes.hold(of[1], Timestamp::from_micros(200));
        lanes.end(of[0]);
        assert_eq!(lanes.next(NOW), Some((of[0], 1)));
        lanes.decline(of[0]);
        assert_eq!(start(&mut lanes, &of, NOW), [201], "the first declined, the second is held back");
    }

    #[test]
    fn nothing_is_kept_of_what_is_over() {
        let mut lanes = lanes(1, 1);
        for round in 0..100 {
            let of = [join(&mut lanes, round, 1), join(&mut lanes, round, 2)];
            lanes.enqueue(of[0], 1, NOW);
            lanes.enqueue(of[1], 102, NOW);
            assert_eq!(start(&mut lanes, &of, NOW), [1]);
            lanes.end(of[0]);
            assert_eq!(start(&mut lanes, &of, NOW), [102]);
            lanes.end(of[1]);
            of.into_iter().for_each(|lane| lanes.leave(lane, NOW));
        }
        assert!(lanes.next(NOW).is_none());
        assert_eq!((lanes.lane_of.len(), lanes.origin_of.len()), (0, 0));
        assert!(lanes.lanes.places() <= 2 && lanes.origins.places() <= 1);
    }

    #[test]
    fn what_a_crowd_took_is_given_back() {
        let mut lanes = lanes(1, 1);
        let lane = join(&mut lanes, 1, 1);
        for _ in 0..10 * ROOM {
            lanes.enqueue(lane, 1, NOW);
        }
        while let Some((lane, _)) = lanes.next(NOW) {
            lanes.decline(lane);
        }
        assert!(lanes.lanes.get_mut(lane.0).unwrap().waiting.capacity() <= ROOM);
    }

    #[test]
    fn a_hold_outlives_the_polls_that_caused_it() {
        let mut lanes = lanes(1, 1);
        let until = Timestamp::from_micros(200);
        let first = join(&mut lanes, 1, 1);
        lanes.hold(first, until);
        lanes.leave(first, NOW);
        let next = join(&mut lanes, 1, 1);
        assert!(!lanes.admits(next, NOW));
        lanes.leave(next, NOW);
        lanes.release(next, until);
        assert_eq!(lanes.lane_of.len(), 0);
    }
}
