//! A bounded queue of events from the engine to one watcher.
//!
//! What always holds: sending takes constant time and never waits, so a slow watcher cannot delay the engine; at most
//! [`CAPACITY`] events wait, so it cannot grow the process. Beyond that the oldest events are dropped and counted, because a
//! late watcher needs the present state most. The last event, the outcome, is never dropped.
//!
//! Tokio's channels do not fit: a bounded `mpsc` drops the newest, `broadcast` allocates its whole buffer at once, and there
//! may be a million watchers, nearly all with empty queues.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::Event;
use crate::lock::lock;

/// The maximum number of events that wait for a watcher.
pub(super) const CAPACITY: usize = 128;

/// A queue of events: the engine's end and the watcher's.
pub(crate) fn feed() -> (Feeder, Feed) {
    let shared = Arc::new(Mutex::new(Shared::default()));
    (Feeder(Arc::clone(&shared)), Feed(shared))
}

#[derive(Debug, Default)]
struct Shared {
    waiting: VecDeque<Event>,
    /// The number of events dropped since the last [`Event::Lagged`].
    missed: u64,
    waker: Option<Waker>,
    /// The engine sends no more events.
    ended: bool,
    /// The watcher was dropped.
    abandoned: bool,
}

/// The engine's end.
#[derive(Debug)]
pub(crate) struct Feeder(Arc<Mutex<Shared>>);

/// The watcher's end.
#[derive(Debug)]
pub(crate) struct Feed(Arc<Mutex<Shared>>);

impl Feeder {
    /// Queues an event. Returns false once the watcher was dropped.
    pub(crate) fn send(&self, event: Event) -> bool {
        let waker = {
            let mut shared = lock(&self.0);
            if shared.abandoned {
                return false;
            }
            if shared.waiting.len() >= CAPACITY {
                shared.waiting.pop_front();
                shared.missed += 1;
            }
            shared.waiting.push_back(event);
            shared.waker.take()
        };
        // Outside the lock, because the woken task takes it at once.
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        let waker = {
            let mut shared = lock(&self.0);
            shared.ended = true;
            shared.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Feed {
    /// The next event; `None` when the engine sends no more. [`Event::Lagged`] replaces dropped events.
    pub(super) fn poll_next(&self, context: &Context<'_>) -> Poll<Option<Event>> {
        let mut shared = lock(&self.0);
        if shared.missed > 0 {
            return Poll::Ready(Some(Event::Lagged { missed: std::mem::take(&mut shared.missed) }));
        }
        if let Some(event) = shared.waiting.pop_front() {
            return Poll::Ready(Some(event));
        }
        if shared.ended {
            return Poll::Ready(None);
        }
        shared.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let waiting = {
            let mut shared = lock(&self.0);
            shared.abandoned = true;
            std::mem::take(&mut shared.waiting)
        };
        // Freed outside the lock: events hold responses, and the engine may be waiting for the lock.
        drop(waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn event(number: usize) -> Event {
        Event::Requesting { attempt: u32::try_from(number).unwrap(), at: Timestamp::default() }
    }

    fn next(feed: &Feed) -> Poll<Option<Event>> {
        feed.poll_next(&Context::from_waker(Waker::noop()))
    }

    fn number(polled: Poll<Option<Event>>) -> u32 {
        let Poll::Ready(Some(Event::Requesting { attempt, .. })) = polled else { panic!("{polled:?}") };
        attempt
    }

    #[test]
    fn a_watcher_that_keeps_up_misses_nothing() {
        let (feeder, feed) = feed();
        for round in 0..3 * CAPACITY {
            assert!(feeder.send(event(round)));
            assert_eq!(number(next(&feed)), u32::try_from(round).unwrap());
        }
        assert!(next(&feed).is_pending());
        drop(feeder);
        assert!(matches!(next(&feed), Poll::Ready(None)));
    }

    #[test]
    fn a_slow_watcher_gets_the_latest_events_and_the_count_of_dropped_events() {
        let (feeder, feed) = feed();
        for round in 0..CAPACITY + 10 {
            feeder.send(event(round));
        }
        assert!(lock(&feed.0).waiting.len() == CAPACITY, "never more than that");
        let Poll::Ready(Some(Event::Lagged { missed })) = next(&feed) else { panic!("it lagged") };
        assert_eq!(missed, 10);
        for round in 10..CAPACITY + 10 {
            assert_eq!(number(next(&feed)), u32::try_from(round).unwrap());
        }
        assert!(next(&feed).is_pending(), "and the count comes once");
    }

    #[test]
    fn sending_to_a_dropped_watcher_returns_false() {
        let (feeder, feed) = feed();
        drop(feed);
        assert!(!feeder.send(event(1)));
    }
}
