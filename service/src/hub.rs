//! The events of a poller for many requests at once: waits for an outcome, and event streams.
//!
//! ```text
//!  PollerEvents ─► task ─┬─► waiters, by poll: each gets the outcome once
//!                        └─► ring of the last events ◄── read by each stream at its own place
//! ```
//!
//! What always holds: memory is bounded by the ring and one entry per waiting request, however many streams there are; a slow
//! stream delays no other and learns how many events it missed; a waiting request costs nothing until its poll ends. An event
//! is serialised once for all streams, and not at all while there is none.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use poller::{Event, Outcome, PollKey, PollerEvent, PollerEvents};
use tokio::sync::{oneshot, watch};

use crate::access::Quotas;
use crate::metrics::Level;
use crate::sse;

/// The number of events that a stream may lag behind, or resume from.
const RING: usize = 4096;

/// The bytes of these events.
const RING_BYTES: usize = 8 << 20;

/// An event that was posted to all streams.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) number: u64,
    pub(crate) key: PollKey,
    pub(crate) name: &'static str,
    /// One line of JSON.
    pub(crate) data: String,
}

/// What a stream reads next.
#[derive(Debug)]
pub(crate) enum Next {
    Event(Arc<Posted>),
    /// This many events are gone; go on with the one of this number.
    Missed(u64, u64),
    /// None yet; the next will have this number.
    Wait(u64),
    /// The poller has stopped.
    Closed,
}

#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    /// Changes with every event, and closes with the hub.
    news: watch::Sender<()>,
    /// Differs between processes: numbers of events are from one only.
    pub(crate) run: String,
}

#[derive(Debug, Default)]
struct State {
    ring: VecDeque<Arc<Posted>>,
    bytes: usize,
    /// The number of the next event.
    next: u64,
    waiters: HashMap<PollKey, Vec<oneshot::Sender<Arc<Outcome>>>>,
    closed: bool,
}

impl Hub {
    /// Starts the task that reads `events` until the poller stops.
    pub(crate) fn start(mut events: PollerEvents, quotas: Arc<Quotas>) -> Arc<Self> {
        let now = poller::Clock::now(&poller::SystemClock::new());
        let run = format!("{:x}-{:x}", now.as_micros(), std::process::id());
        let hub = Arc::new(Self { state: Mutex::default(), news: watch::Sender::new(()), run });
        let this = Arc::downgrade(&hub);
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                let Some(hub) = this.upgrade() else { return };
                match &event {
                    PollerEvent::Opened { key, .. } => quotas.opened(key),
                    PollerEvent::Poll { key, event: Event::Outcome(_) } => quotas.ended(key),
                    _ => {}
                }
                hub.take(event);
            }
            if let Some(hub) = this.upgrade() {
                hub.close();
            }
        });
        hub
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No change panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, event: PollerEvent) {
        if let PollerEvent::Poll { key, event: Event::Outcome(outcome) } = &event {
            let waiters = self.state().waiters.remove(key);
            for waiter in waiters.into_iter().flatten() {
                // The request may have given up.
                let _ = waiter.send(Arc::clone(outcome));
            }
        }
        if let Some((key, name, data)) = sse::of_poller(&event) {
            self.post(key, name, data);
        }
    }

    /// Posts an event to all streams.
    pub(crate) fn post(&self, key: PollKey, name: &'static str, data: String) {
        {
            let mut state = self.state();
            let number = state.next;
            state.next += 1;
            state.bytes += data.len();
            state.ring.push_back(Arc::new(Posted { number, key, name, data }));
            while state.ring.len() > RING || state.bytes > RING_BYTES {
                let Some(oldest) = state.ring.pop_front() else { break };
                state.bytes -= oldest.data.len();
            }
        }
        self.news.send_replace(());
    }

    /// Wakes a stream when there are new events.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// The first event from `number` on that `wanted` accepts.
    pub(crate) fn read(&self, number: u64, wanted: impl Fn(&Posted) -> bool) -> Next {
        let state = self.state();
        let first = state.ring.front().map_or(state.next, |posted| posted.number);
        if number < first {
            return Next::Missed(first - number, first);
        }
        let skipped = usize::try_from(number - first).unwrap_or(usize::MAX);
        match state.ring.iter().skip(skipped).find(|posted| wanted(posted)) {
            Some(posted) => Next::Event(Arc::clone(posted)),
            None if state.closed => Next::Closed,
            None => Next::Wait(state.next.max(number)),
        }
    }

    /// The number that the next event gets.
    pub(crate) fn next_number(&self) -> u64 {
        self.state().next
    }

    /// Waits for the outcome of a poll from now on. Look into the store after this call, and wait if it has none.
    pub(crate) fn wait(self: &Arc<Self>, key: &PollKey) -> Waiting {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        // After the end, the sender is dropped here, and the waiting one learns it.
        if !state.closed {
            state.waiters.entry(key.clone()).or_default().push(sender);
        }
        drop(state);
        Waiting { hub: Arc::clone(self), key: key.clone(), receiver, _level: Level::waiting() }
    }

    /// Ends all that wait.
    pub(crate) fn close(&self) {
        let waiters = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.waiters)
        };
        drop(waiters);
        self.news.send_replace(());
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }
}

/// A request that waits for an outcome; dropping it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Waiting {
    hub: Arc<Hub>,
    key: PollKey,
    receiver: oneshot::Receiver<Arc<Outcome>>,
    /// Counted while it waits.
    _level: Level,
}

impl Waiting {
    /// The outcome; `None` if the hub is closed first.
    pub(crate) async fn outcome(&mut self) -> Option<Arc<Outcome>> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.receiver.close();
        let mut state = self.hub.state();
        if let Some(waiters) = state.waiters.get_mut(&self.key) {
            waiters.retain(|waiter| !waiter.is_closed());
            if waiters.is_empty() {
                state.waiters.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Arc<Hub> {
        Arc::new(Hub { state: Mutex::default(), news: watch::Sender::new(()), run: "1".to_owned() })
    }

    fn post(hub: &Hub, key: &str, data: &str) {
        hub.post(PollKey::new("", key), "attempted", data.to_owned());
    }

    #[test]
    fn a_stream_reads_what_it_may_see_from_its_place_on() {
        let hub = hub();
        post(&hub, "a", "1");
        post(&hub, "b", "2");
        post(&hub, "a", "3");
        let of_a = |posted: &Posted| posted.key.key() == "a";
        let Next::Event(first) = hub.read(0, of_a) else { panic!("there is one") };
        let Next::Event(second) = hub.read(first.number + 1, of_a) else { panic!("there is another") };
        assert_eq!((first.data.as_str(), second.data.as_str()), ("1", "3"));
        assert!(matches!(hub.read(second.number + 1, of_a), Next::Wait(3)));
        hub.close();
        assert!(matches!(hub.read(3, of_a), Next::Closed));
    }

    #[test]
    fn the_ring_is_bounded_in_number_and_bytes_and_counts_what_is_missed() {
        let hub = hub();
        for _ in 0..RING + 10 {
            post(&hub, "a", "x");
        }
        assert!(matches!(hub.read(3, |_| true), Next::Missed(7, 10)));
        let large = "x".repeat(RING_BYTES / 4);
        for _ in 0..9 {
            post(&hub, "a", &large);
        }
        assert!(hub.state().ring.len() <= 4 && hub.state().bytes <= RING_BYTES);
    }

    #[test]
    fn a_thousand_streams_and_waiters_share_what_is_told() {
        let hub = hub();
        let key = PollKey::new("", "a");
        let waiters: Vec<_> = (0..1000).map(|_| hub.wait(&key)).collect();
        let streams: Vec<_> = (0..1000).map(|_| hub.news()).collect();
        for _ in 0..100 {
            post(&hub, "a", "x");
        }
        let read = |number| match hub.read(number, |_| true) {
            Next::Event(posted) => posted,
            other => panic!("{other:?}"),
        };
        for number in 0..100 {
            let first = read(number);
            // Each stream that reads it has the same text, and not a copy.
            assert!(streams.iter().all(|_| Arc::ptr_eq(&first, &read(number))), "{number}");
        }
        let state = hub.state();
        assert_eq!(
            (state.ring.len(), state.bytes, state.waiters.len(), state.waiters[&key].len()),
            (100, 100, 1, 1000)
        );
        drop(state);
        drop(waiters);
        assert!(hub.state().waiters.is_empty());
    }

    #[test]
    fn a_request_that_gives_up_leaves_nothing_behind() {
        let hub = hub();
        let key = PollKey::new("", "a");
        let (first, second) = (hub.wait(&key), hub.wait(&key));
        assert_eq!(hub.state().waiters[&key].len(), 2);
        drop(first);
        assert_eq!(hub.state().waiters[&key].len(), 1);
        drop(second);
        assert!(hub.state().waiters.is_empty());
        hub.close();
        drop(hub.wait(&key));
        assert!(hub.state().waiters.is_empty(), "and none begins to wait after the end");
    }
}
