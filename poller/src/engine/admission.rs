//! Admission of requests: caps on requests in flight, per origin and in total, and holds that servers ask for.
//!
//! Polls that are due but must wait stand in a *queue*, one per origin and credentials, first come, first served. A queue
//! is *ready* while a poll waits in it, no hold is in force and its origin has capacity. Ready queues take turns, so one
//! busy origin does not starve the others.
//!
//! ```text
//!  due polls ─► queue ─┐            (origin at its cap: the queue waits in `blocked` of that origin)
//!  due polls ─► queue ─┼─► ready ─► in flight, up to the total cap
//!  due polls ─► queue ─┘            (held back: the queue is listed again when the hold ends)
//! ```
//!
//! A poll looks up its queue once, when it joins, and keeps the id. Operations take constant time, those of holds
//! logarithmic. Origins and credentials are stored as keyed hashes only: no secret is copied here, and an attacker cannot
//! provoke collisions. A queue is dropped when its last poll has left and its hold is over, an origin with its last queue.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};

use slab::Slab;

use crate::clock::Timestamp;
use crate::job::PollSpec;
use crate::key::PollKey;

/// A queue of the polls that share an origin and credentials. Ids are reused once all polls have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct QueueId(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    origin: u64,
    credentials: u64,
}

/// The capacity that an emptied queue keeps.
const KEPT_CAPACITY: usize = 4096;

/// Decides which of the due polls may send.
#[derive(Debug)]
pub(crate) struct AdmissionControl<T> {
    max: usize,
    max_per_origin: usize,
    in_flight: usize,
    queues: Slab<OriginQueue<T>>,
    origins: Slab<Origin>,
    queue_of: HashMap<Key, QueueId>,
    origin_of: HashMap<u64, usize>,
    ready: VecDeque<QueueId>,
    /// The queues that are held back, by the end of their hold.
    held: BTreeSet<(Timestamp, QueueId)>,
    hasher: RandomState,
    /// The spec that joined last, and its queue: in a bulk submission the next one mostly shares it.
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
    origin: usize,
    /// The number of its polls, waiting or not.
    polls: usize,
    waiting: VecDeque<T>,
    hold: Option<Hold>,
    /// Whether it is in `ready` or in `blocked` of its origin.
    listed: bool,
}

impl<T> OriginQueue<T> {
    fn is_held(&self, now: Timestamp) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.until > now)
    }
}

/// A hold on a queue: a server asked for it with a 429 or 503.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) until: Timestamp,
    /// The poll whose response asked for it.
    pub(crate) by: PollKey,
}

impl<T> AdmissionControl<T> {
    pub(crate) fn new(max: usize, max_per_origin: usize) -> Self {
        Self {
            max: max.max(1),
            max_per_origin: max_per_origin.max(1),
            in_flight: 0,
            queues: Slab::new(),
            origins: Slab::new(),
            queue_of: HashMap::new(),
            origin_of: HashMap::new(),
            ready: VecDeque::new(),
            held: BTreeSet::new(),
            hasher: RandomState::new(),
            last: None,
        }
    }

    fn queue(&self, id: QueueId) -> Option<&OriginQueue<T>> {
        self.queues.get(id.0 as usize)
    }

    fn queue_mut(&mut self, id: QueueId) -> Option<&mut OriginQueue<T>> {
        self.queues.get_mut(id.0 as usize)
    }

    fn origin_mut(&mut self, id: QueueId) -> Option<&mut Origin> {
        let origin = self.queue(id)?.origin;
        self.origins.get_mut(origin)
    }

    /// Adds a poll with this spec to its queue.
    pub(crate) fn join(&mut self, spec: &PollSpec) -> QueueId {
        if let Some((last, id)) = &self.last
            && last.shares_origin_with(spec)
            && let Some(queue) = self.queues.get_mut(id.0 as usize)
        {
            queue.polls += 1;
            return *id;
        }
        let mut credentials = self.hasher.build_hasher();
        spec.request().hash_credentials(&mut credentials);
        let origin = self.hasher.hash_one(spec.origin());
        let id = self.join_key(Key { origin, credentials: credentials.finish() });
        self.last = Some((spec.clone(), id));
        id
    }

    fn join_key(&mut self, key: Key) -> QueueId {
        let Self { queues, origins, queue_of, origin_of, .. } = self;
        let id = *queue_of.entry(key).or_insert_with(|| {
            let origin = *origin_of.entry(key.origin).or_insert_with(|| {
                origins.insert(Origin { in_flight: 0, blocked: VecDeque::new(), queues: 0 })
            });
            origins[origin].queues += 1;
            let waiting = VecDeque::new();
            let queue = OriginQueue { key, origin, polls: 0, waiting, hold: None, listed: false };
            QueueId(
                u32::try_from(queues.insert(queue)).expect("invariant: fewer than 2³² queues fit in memory"),
            )
        });
        queues[id.0 as usize].polls += 1;
        id
    }

    /// Removes one poll from a queue.
    pub(crate) fn leave(&mut self, id: QueueId, now: Timestamp) {
        if let Some(queue) = self.queue_mut(id) {
            queue.polls = queue.polls.saturating_sub(1);
            self.drop_if_idle(id, now);
        }
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether a due poll of this queue may send without waiting: no poll waits before it, no hold is in force, and both
    /// caps have capacity.
    pub(crate) fn admits(&self, id: QueueId, now: Timestamp) -> bool {
        self.ready.is_empty()
            && self.in_flight < self.max
            && self.queue(id).is_some_and(|queue| {
                let origin = self.origins.get(queue.origin);
                queue.waiting.is_empty()
                    && !queue.is_held(now)
                    && origin.is_some_and(|origin| origin.in_flight < self.max_per_origin)
            })
    }

    /// Appends a poll to a queue.
    pub(crate) fn enqueue(&mut self, id: QueueId, poll: T, now: Timestamp) {
        if let Some(queue) = self.queue_mut(id) {
            queue.waiting.push_back(poll);
            self.list(id, now);
        }
    }

    /// Takes the next poll that may send now. The caller calls [`begin`](Self::begin), or [`decline`](Self::decline) if
    /// that poll no longer wants to send.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<(QueueId, T)> {
        while self.in_flight < self.max {
            let id = self.ready.pop_front()?;
            let Some(queue) = self.queues.get_mut(id.0 as usize) else { continue };
            if let Some(origin) = self.origins.get_mut(queue.origin)
                && origin.in_flight >= self.max_per_origin
            {
                origin.blocked.push_back(id);
                continue;
            }
            queue.listed = false;
            if !queue.is_held(now)
                && let Some(poll) = queue.waiting.pop_front()
            {
                if queue.waiting.is_empty() {
                    queue.waiting.shrink_to(KEPT_CAPACITY);
                }
                self.list(id, now);
                return Some((id, poll));
            }
            self.decline(id);
            self.drop_if_idle(id, now);
        }
        None
    }

    /// Passes the capacity that was offered to this queue on to another queue of its origin.
    pub(crate) fn decline(&mut self, id: QueueId) {
        let blocked = self.origin_mut(id).and_then(|origin| origin.blocked.pop_front());
        self.ready.extend(blocked);
    }

    /// Counts a request as in flight.
    pub(crate) fn begin(&mut self, id: QueueId) {
        self.in_flight += 1;
        if let Some(origin) = self.origin_mut(id) {
            origin.in_flight += 1;
        }
    }

    /// Counts a request as ended.
    pub(crate) fn end(&mut self, id: QueueId) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(origin) = self.origin_mut(id) {
            origin.in_flight = origin.in_flight.saturating_sub(1);
            self.decline(id);
        }
    }

    /// Holds a queue back, unless a hold is in force that lasts at least as long. Returns whether it does.
    pub(crate) fn hold(&mut self, id: QueueId, hold: Hold) -> bool {
        let Some(queue) = self.queues.get_mut(id.0 as usize) else { return false };
        if queue.hold.as_ref().is_some_and(|present| present.until >= hold.until) {
            return false;
        }
        self.held.insert((hold.until, id));
        if let Some(shorter) = queue.hold.replace(hold) {
            self.held.remove(&(shorter.until, id));
        }
        true
    }

    /// The hold on a queue.
    pub(crate) fn held(&self, id: QueueId) -> Option<&Hold> {
        self.queue(id)?.hold.as_ref()
    }

    /// The number of queues that are held back.
    pub(crate) fn held_back(&self) -> usize {
        self.held.len()
    }

    /// The end of the hold that ends first.
    pub(crate) fn next_release(&self) -> Option<Timestamp> {
        self.held.first().map(|(at, _)| *at)
    }

    /// Ends the holds that are over.
    pub(crate) fn release_due(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.held.first().copied()
            && at <= now
        {
            self.held.pop_first();
            if let Some(queue) = self.queue_mut(id) {
                queue.hold = None;
            }
            self.list(id, now);
            self.drop_if_idle(id, now);
        }
    }

    fn list(&mut self, id: QueueId, now: Timestamp) {
        if let Some(queue) = self.queue_mut(id)
            && !queue.listed
            && !queue.waiting.is_empty()
            && !queue.is_held(now)
        {
            queue.listed = true;
            self.ready.push_back(id);
        }
    }

    fn drop_if_idle(&mut self, id: QueueId, now: Timestamp) {
        let idle = |queue: &OriginQueue<T>| queue.polls == 0 && !queue.listed && !queue.is_held(now);
        if !self.queue(id).is_some_and(idle) {
            return;
        }
        let OriginQueue { key, origin: number, hold, .. } = self.queues.remove(id.0 as usize);
        if let Some(hold) = hold {
            self.held.remove(&(hold.until, id));
        }
        self.queue_of.remove(&key);
        self.last.take_if(|(_, last)| *last == id);
        let origin = &mut self.origins[number];
        origin.queues -= 1;
        if origin.queues == 0 {
            self.origins.remove(number);
            self.origin_of.remove(&key.origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(100);

    fn queues(max: usize, max_per_origin: usize) -> AdmissionControl<u32> {
        AdmissionControl::new(max, max_per_origin)
    }

    fn hold(queues: &mut AdmissionControl<u32>, id: QueueId, until: Timestamp) -> bool {
        queues.hold(id, Hold { until, by: PollKey::new("", "a") })
    }

    fn join(queues: &mut AdmissionControl<u32>, origin: u64, credentials: u64) -> QueueId {
        queues.join_key(Key { origin, credentials })
    }

    /// Starts all polls that may send. Poll `n` is in queue `n / 100`.
    fn start(queues: &mut AdmissionControl<u32>, of: &[QueueId], now: Timestamp) -> Vec<u32> {
        std::iter::from_fn(|| {
            let (queue, poll) = queues.next(now)?;
            assert_eq!(queue, of[poll as usize / 100]);
            queues.begin(queue);
            Some(poll)
        })
        .collect()
    }

    #[test]
    fn origins_take_turns_and_keep_their_caps() {
        let mut queues = queues(3, 2);
        let of = [join(&mut queues, 1, 1), join(&mut queues, 2, 1)];
        for poll in 0..5 {
            queues.enqueue(of[0], poll, NOW);
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
            "there is capacity, but not for the first origin"
        );
        queues.end(of[0]);
        assert_eq!(start(&mut queues, &of, NOW), [2]);
    }

    #[test]
    fn a_held_queue_waits_and_other_credentials_do_not() {
        let mut queues = queues(10, 10);
        let of = [join(&mut queues, 1, 1), join(&mut queues, 1, 2)];
        let until = Timestamp::from_micros(200);
        assert!(hold(&mut queues, of[0], until));
        assert!(!hold(&mut queues, of[0], NOW), "a shorter hold changes nothing");
        assert!(!queues.admits(of[0], NOW) && queues.admits(of[1], NOW) && queues.admits(of[0], until));
        queues.enqueue(of[0], 1, NOW);
        queues.enqueue(of[1], 102, NOW);
        assert_eq!(start(&mut queues, &of, NOW), [102]);
        queues.release_due(until);
        assert_eq!(start(&mut queues, &of, until), [1]);
    }

    #[test]
    fn a_hold_applies_to_a_queue_that_is_listed_already() {
        let mut queues = queues(10, 10);
        let of = [join(&mut queues, 1, 1)];
        queues.enqueue(of[0], 1, NOW);
        let until = Timestamp::from_micros(200);
        hold(&mut queues, of[0], until);
        assert_eq!(start(&mut queues, &of, NOW), [] as [u32; 0]);
        queues.release_due(until);
        assert_eq!(start(&mut queues, &of, until), [1]);
    }

    #[test]
    fn a_due_poll_does_not_overtake_waiting_polls() {
        let mut queues = queues(1, 1);
        let of = [join(&mut queues, 1, 1), join(&mut queues, 2, 1)];
        assert!(queues.admits(of[0], NOW));
        queues.begin(of[0]);
        queues.enqueue(of[0], 1, NOW);
        assert!(queues.next(NOW).is_none());
        queues.end(of[0]);
        assert!(!queues.admits(of[0], NOW) && !queues.admits(of[1], NOW), "a poll waits before it");
        assert_eq!(start(&mut queues, &of, NOW), [1]);
    }

    #[test]
    fn capacity_that_one_queue_declines_goes_to_the_next() {
        let mut queues = queues(10, 1);
        let of = [1, 2, 3].map(|credentials| join(&mut queues, 1, credentials));
        queues.begin(of[0]);
        for poll in [1, 101, 201] {
            queues.enqueue(of[poll as usize / 100], poll, NOW);
        }
        assert!(queues.next(NOW).is_none(), "the origin of all three is at its cap");
        hold(&mut queues, of[1], Timestamp::from_micros(200));
        queues.end(of[0]);
        assert_eq!(queues.next(NOW), Some((of[0], 1)));
        queues.decline(of[0]);
        assert_eq!(start(&mut queues, &of, NOW), [201], "the first declined, the second is held back");
    }

    #[test]
    fn idle_queues_and_origins_are_dropped() {
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
        assert!(queues.queues.capacity() <= 4 && queues.origins.capacity() <= 4);
    }

    #[test]
    fn an_emptied_queue_gives_its_memory_back() {
        let mut queues = queues(1, 1);
        let queue = join(&mut queues, 1, 1);
        for _ in 0..10 * KEPT_CAPACITY {
            queues.enqueue(queue, 1, NOW);
        }
        while let Some((queue, _)) = queues.next(NOW) {
            queues.decline(queue);
        }
        assert!(queues.queue(queue).unwrap().waiting.capacity() <= KEPT_CAPACITY);
    }

    #[test]
    fn a_hold_outlives_the_polls_of_its_queue() {
        let mut queues = queues(1, 1);
        let until = Timestamp::from_micros(200);
        let first = join(&mut queues, 1, 1);
        hold(&mut queues, first, until);
        queues.leave(first, NOW);
        let next = join(&mut queues, 1, 1);
        assert!(!queues.admits(next, NOW));
        queues.leave(next, NOW);
        queues.release_due(until);
        assert_eq!(queues.queue_of.len(), 0);
    }
}
