//! Who may send next: caps on requests in flight, per origin and in all, and hold-backs.
//!
//! Polls that are due but may not send wait in a *queue*: those of one origin with the same credentials, first come,
//! first served. A queue is *ready* while it has someone waiting, is not held back and its origin has room; ready queues
//! take turns, so that one busy origin does not starve the others.
//!
//! ```text
//!  due polls ─► queue ─┐            (origin full: the queue waits in `blocked` of its origin)
//!  due polls ─► queue ─┼─► ready ─► in flight, while there is room
//!  due polls ─► queue ─┘            (held back: the queue comes back when the hold is over)
//! ```
//!
//! A poll looks its queue up once, when it joins; from then on it knows its number. Every operation takes constant time.
//! Origins and credentials are kept as keyed hashes only: no secret is repeated here, and nobody outside can make two of
//! them collide. A queue goes when its last poll has left and its hold is over; an origin goes with its last queue.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::clock::Timestamp;
use crate::job::PollSpec;
use crate::slab::Slab;

/// The polls that share an origin and credentials. Used again once they have all left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct QueueId(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    origin: u64,
    credentials: u64,
}

/// For how many who wait a queue keeps room once they are gone.
const ROOM: usize = 4096;

#[derive(Debug)]
pub(crate) struct AdmissionControl<T> {
    most: usize,
    most_per_origin: usize,
    in_flight: usize,
    queues: Slab<OriginQueue<T>>,
    origins: Slab<Origin>,
    queue_of: HashMap<Key, QueueId>,
    origin_of: HashMap<u64, u32>,
    ready: VecDeque<QueueId>,
    hasher: RandomState,
    /// The spec that joined last, and its queue: the next of a hundred thousand is mostly of the same.
    last: Option<(PollSpec, QueueId)>,
}

#[derive(Debug)]
struct Origin {
    in_flight: usize,
    blocked: VecDeque<QueueId>,
    queues: usize,
}

#[derive(Debug)]
struct OriginQueue<T> {
    key: Key,
    origin: u32,
    /// The polls of it, waiting or not.
    polls: usize,
    waiting: VecDeque<T>,
    held_until: Timestamp,
    /// Whether it stands in `ready` or in `blocked` of its origin.
    listed: bool,
}

impl<T> AdmissionControl<T> {
    pub(crate) fn new(most: usize, most_per_origin: usize) -> Self {
        Self {
            most: most.max(1),
            most_per_origin: most_per_origin.max(1),
            in_flight: 0,
            queues: Slab::new(),
            origins: Slab::new(),
            queue_of: HashMap::new(),
            origin_of: HashMap::new(),
            ready: VecDeque::new(),
            hasher: RandomState::new(),
            last: None,
        }
    }

    /// The queue of a spec's polls, for one more of them.
    pub(crate) fn join(&mut self, spec: &PollSpec) -> QueueId {
        if let Some((last, id)) = &self.last
            && last.shares_origin_with(spec)
            && let Some(queue) = self.queues.get_mut(id.0)
        {
            queue.polls += 1;
            return *id;
        }
        let id = self.look_up(spec);
        self.last = Some((spec.clone(), id));
        id
    }

    fn look_up(&mut self, spec: &PollSpec) -> QueueId {
        let mut credentials = self.hasher.build_hasher();
        spec.request().hash_credentials(&mut credentials);
        let origin = self.hasher.hash_one(spec.origin());
        self.join_key(Key { origin, credentials: credentials.finish() })
    }

    fn join_key(&mut self, key: Key) -> QueueId {
        let Self { queues, origins, queue_of, origin_of, .. } = self;
        let id = *queue_of.entry(key).or_insert_with(|| {
            let origin = *origin_of.entry(key.origin).or_insert_with(|| {
                origins.insert(Origin { in_flight: 0, blocked: VecDeque::new(), queues: 0 })
            });
            if let Some(origin) = origins.get_mut(origin) {
                origin.queues += 1;
            }
            QueueId(queues.insert(OriginQueue {
                key,
                origin,
                polls: 0,
                waiting: VecDeque::new(),
                held_until: Timestamp::default(),
                listed: false,
            }))
        });
        if let Some(queue) = queues.get_mut(id.0) {
            queue.polls += 1;
        }
        id
    }

    /// One of its polls is gone.
    pub(crate) fn leave(&mut self, id: QueueId, now: Timestamp) {
        if let Some(queue) = self.queues.get_mut(id.0) {
            queue.polls = queue.polls.saturating_sub(1);
            self.drop_if_idle(id, now);
        }
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether one who is due need not wait: nobody is before it, its queue is not held back, and there is room.
    pub(crate) fn admits(&self, id: QueueId, now: Timestamp) -> bool {
        self.ready.is_empty()
            && self.in_flight < self.most
            && self.queues.get(id.0).is_some_and(|queue| {
                queue.waiting.is_empty() && queue.held_until <= now && self.has_room(queue.origin)
            })
    }

    fn has_room(&self, origin: u32) -> bool {
        self.origins.get(origin).is_some_and(|origin| origin.in_flight < self.most_per_origin)
    }

    /// Puts someone at the end of a queue.
    pub(crate) fn enqueue(&mut self, id: QueueId, who: T, now: Timestamp) {
        if let Some(queue) = self.queues.get_mut(id.0) {
            queue.waiting.push_back(who);
            self.list(id, now);
        }
    }

    /// Who may send now, if anyone may. The caller answers with [`begin`](Self::begin), or with
    /// [`decline`](Self::decline) where that one does not want to send any more.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<(QueueId, T)> {
        while self.in_flight < self.most {
            let id = self.ready.pop_front()?;
            let Some(queue) = self.queues.get_mut(id.0) else { continue };
            if let Some(origin) = self.origins.get_mut(queue.origin)
                && origin.in_flight >= self.most_per_origin
            {
                origin.blocked.push_back(id);
                continue;
            }
            queue.listed = false;
            if queue.held_until <= now
                && let Some(who) = queue.waiting.pop_front()
            {
                if queue.waiting.is_empty() {
                    queue.waiting.shrink_to(ROOM);
                }
                self.list(id, now);
                return Some((id, who));
            }
            self.decline(id);
            self.drop_if_idle(id, now);
        }
        None
    }

    /// The room that was offered to this queue is not used: another queue of its origin may have it.
    pub(crate) fn decline(&mut self, id: QueueId) {
        if let Some(origin) = self.queues.get(id.0).and_then(|queue| self.origins.get_mut(queue.origin)) {
            self.ready.extend(origin.blocked.pop_front());
        }
    }

    /// Counts a request as in flight.
    pub(crate) fn begin(&mut self, id: QueueId) {
        self.in_flight += 1;
        if let Some(origin) = self.queues.get(id.0).and_then(|queue| self.origins.get_mut(queue.origin)) {
            origin.in_flight += 1;
        }
    }

    /// Counts a request as over.
    pub(crate) fn end(&mut self, id: QueueId) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(origin) = self.queues.get(id.0).and_then(|queue| self.origins.get_mut(queue.origin)) {
            origin.in_flight = origin.in_flight.saturating_sub(1);
            self.ready.extend(origin.blocked.pop_front());
        }
    }

    /// Holds a queue back until then. Returns whether that is later than before, so that the caller wakes it up then.
    pub(crate) fn hold(&mut self, id: QueueId, until: Timestamp) -> bool {
        let Some(queue) = self.queues.get_mut(id.0) else { return false };
        let later = until > queue.held_until;
        queue.held_until = queue.held_until.max(until);
        later
    }

    /// Looks at a queue whose hold may be over.
    pub(crate) fn release(&mut self, id: QueueId, now: Timestamp) {
        self.list(id, now);
        self.drop_if_idle(id, now);
    }

    fn list(&mut self, id: QueueId, now: Timestamp) {
        if let Some(queue) = self.queues.get_mut(id.0)
            && !queue.listed
            && !queue.waiting.is_empty()
            && queue.held_until <= now
        {
            queue.listed = true;
            self.ready.push_back(id);
        }
    }

    fn drop_if_idle(&mut self, id: QueueId, now: Timestamp) {
        let idle = self
            .queues
            .get(id.0)
            .is_some_and(|queue| queue.polls == 0 && !queue.listed && queue.held_until <= now);
        if let Some(OriginQueue { key, origin: number, .. }) =
            idle.then(|| self.queues.remove(id.0)).flatten()
        {
            self.queue_of.remove(&key);
            self.last.take_if(|(_, last)| *last == id);
            if let Some(origin) = self.origins.get_mut(number) {
                origin.queues = origin.queues.saturating_sub(1);
                if origin.queues == 0 {
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

    fn queues(most: usize, most_per_origin: usize) -> AdmissionControl<u32> {
        AdmissionControl::new(most, most_per_origin)
    }

    fn join(queues: &mut AdmissionControl<u32>, origin: u64, credentials: u64) -> QueueId {
        queues.join_key(Key { origin, credentials })
    }

    /// Starts whoever may; `who` hundreds are of queue `who / 100`.
    fn start(queues: &mut AdmissionControl<u32>, of: &[QueueId], now: Timestamp) -> Vec<u32> {
        std::iter::from_fn(|| {
            let (queue, who) = queues.next(now)?;
            assert_eq!(queue, of[who as usize / 100]);
            queues.begin(queue);
            Some(who)
        })
        .collect()
    }

    #[test]
    fn origins_take_turns_and_keep_their_caps() {
        let mut queues = queues(3, 2);
        let of = [join(&mut queues, 1, 1), join(&mut queues, 2, 1)];
        for who in 0..5 {
            queues.enqueue(of[0], who, NOW);
        }
        queues.enqueue(of[1], 100, NOW);
        assert_eq!(
            start(&mut queues, &of, NOW),
            [0, 100, 1],
            "two of the first origin, one of the second, three in all"
        );
        queues.end(of[1]);
        assert_eq!(
            start(&mut queues, &of, NOW),
            [] as [u32; 0],
            "there is room, but not for the first origin"
        );
        queues.end(of[0]);
        assert_eq!(start(&mut queues, &of, NOW), [2]);
    }

    #[test]
    fn a_held_lane_waits_and_its_neighbour_does_not() {
        let mut queues = queues(10, 10);
        let of = [join(&mut queues, 1, 1), join(&mut queues, 1, 2)];
        let until = Timestamp::from_micros(200);
        assert!(queues.hold(of[0], until));
        assert!(!queues.hold(of[0], NOW), "a shorter hold changes nothing");
        assert!(!queues.admits(of[0], NOW) && queues.admits(of[1], NOW) && queues.admits(of[0], until));
        queues.enqueue(of[0], 1, NOW);
        queues.enqueue(of[1], 102, NOW);
        assert_eq!(start(&mut queues, &of, NOW), [102]);
        queues.release(of[0], until);
        assert_eq!(start(&mut queues, &of, until), [1]);
    }

    #[test]
    fn a_hold_that_comes_while_a_lane_is_listed_counts() {
        let mut queues = queues(10, 10);
        let of = [join(&mut queues, 1, 1)];
        queues.enqueue(of[0], 1, NOW);
        let until = Timestamp::from_micros(200);
        queues.hold(of[0], until);
        assert_eq!(start(&mut queues, &of, NOW), [] as [u32; 0]);
        queues.release(of[0], until);
        assert_eq!(start(&mut queues, &of, until), [1]);
    }

    #[test]
    fn nobody_overtakes_those_who_wait() {
        let mut queues = queues(1, 1);
        let of = [join(&mut queues, 1, 1), join(&mut queues, 2, 1)];
        assert!(queues.admits(of[0], NOW));
        queues.begin(of[0]);
        queues.enqueue(of[0], 1, NOW);
        assert!(queues.next(NOW).is_none());
        queues.end(of[0]);
        assert!(!queues.admits(of[0], NOW) && !queues.admits(of[1], NOW), "one was there before");
        assert_eq!(start(&mut queues, &of, NOW), [1]);
    }

    #[test]
    fn room_that_one_lane_does_not_use_goes_to_the_next() {
        let mut queues = queues(10, 1);
        let of = [1, 2, 3].map(|credentials| join(&mut queues, 1, credentials));
        queues.begin(of[0]);
        for who in [1, 101, 201] {
            queues.enqueue(of[who as usize / 100], who, NOW);
        }
        assert!(queues.next(NOW).is_none(), "all three stand before a full origin");
        queues.hold(of[1], Timestamp::from_micros(200));
        queues.end(of[0]);
        assert_eq!(queues.next(NOW), Some((of[0], 1)));
        queues.decline(of[0]);
        assert_eq!(start(&mut queues, &of, NOW), [201], "the first declined, the second is held back");
    }

    #[test]
    fn nothing_is_kept_of_what_is_over() {
        let mut queues = queues(1, 1);
        for round in 0..100 {
            let of = [join(&mut queues, round, 1), join(&mut queues, round, 2)];
            queues.enqueue(of[0], 1, NOW);
            queues.enqueue(of[1], 102, NOW);
            assert_eq!(start(&mut queues, &of, NOW), [1]);
            queues.end(of[0]);
            assert_eq!(start(&mut queues, &of, NOW), [102]);
            queues.end(of[1]);
            of.into_iter().for_each(|queue| queues.leave(queue, NOW));
        }
        assert!(queues.next(NOW).is_none());
        assert_eq!((queues.queue_of.len(), queues.origin_of.len()), (0, 0));
        assert!(queues.queues.places() <= 2 && queues.origins.places() <= 1);
    }

    #[test]
    fn what_a_crowd_took_is_given_back() {
        let mut queues = queues(1, 1);
        let queue = join(&mut queues, 1, 1);
        for _ in 0..10 * ROOM {
            queues.enqueue(queue, 1, NOW);
        }
        while let Some((queue, _)) = queues.next(NOW) {
            queues.decline(queue);
        }
        assert!(queues.queues.get_mut(queue.0).unwrap().waiting.capacity() <= ROOM);
    }

    #[test]
    fn a_hold_outlives_the_polls_that_caused_it() {
        let mut queues = queues(1, 1);
        let until = Timestamp::from_micros(200);
        let first = join(&mut queues, 1, 1);
        queues.hold(first, until);
        queues.leave(first, NOW);
        let next = join(&mut queues, 1, 1);
        assert!(!queues.admits(next, NOW));
        queues.leave(next, NOW);
        queues.release(next, until);
        assert_eq!(queues.queue_of.len(), 0);
    }
}
