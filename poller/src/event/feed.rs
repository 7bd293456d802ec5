//! A bounded queue of events from the engine to one watcher.
//!
//! What always holds: sending takes constant time and never waits, so a slow watcher cannot hold up the engine; at most
//! [`CAPACITY`] events wait, so it cannot grow the process either. When they are too many the oldest go and are counted:
//! a watcher that comes back wants to know what is the case now. The last event, the outcome, is never dropped.
//!
//! Why not tokio's channels: a bounded `mpsc` drops what is newest, `broadcast` reserves all its places at once, and
//! there may be a million watchers, nearly all of whose queues are empty.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::Event;

/// How many events wait for a watcher at most.
pub(super) const CAPACITY: usize = 128;

/// A queue of events: the engine's end and the watcher's.
pub(crate) fn feed() -> (Feeder, Feed) {
    let shared = Arc::new(Mutex::new(Shared::default()));
    (Feeder(Arc::clone(&shared)), Feed(shared))
}

#[derive(Debug, Default)]
struct Shared {
    waiting: VecDeque<Event>,
    /// How many were dropped since the watcher was last told.
    missed: u64,
    waker: Option<Waker>,
    /// The engine sends no more.
    ended: bool,
    /// The watcher has gone.
    abandoned: bool,
}

/// Where the engine puts events.
#[derive(Debug)]
pub(crate) struct Feeder(Arc<Mutex<Shared>>);

/// Where the watcher takes them.
#[derive(Debug)]
pub(crate) struct Feed(Arc<Mutex<Shared>>);

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // Nothing here panics half-way through a change, so a poisoned lock guards a whole state.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Feeder {
    /// Queues an event; whether somebody still wants it.
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
        // Outside the lock: whoever is woken takes it at once.
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
    /// The next event; `None` when the engine sends no more. Where events were dropped, [`Event::Lagged`] stands for them.
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
        // Events hold responses; they are freed here and not while the engine might wait for the lock.
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
    fn what_a_slow_watcher_missed_is_counted_and_the_latest_are_there() {
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
        assert!(next(&feed).is_pending(), "and it is told once");
    }

    #[test]
    fn who_has_gone_is_fed_no_more() {
        let (feeder, feed) = feed();
        drop(feed);
        assert!(!feeder.send(event(1)));
    }
}
