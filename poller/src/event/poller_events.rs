//! The events of all polls of a poller, for programs that watch a whole store: dashboards, runners, the command line.
//!
//! ```text
//!  driver ─► Subscriber ──unbounded channel──► PollerEvents (a Stream)
//!               └─ details beyond CAPACITY are dropped and counted
//! ```
//!
//! What always holds: beginnings, outcomes and store trouble are never dropped, because a consumer acts on them; requests
//! and attempts ("details") are, when more than [`CAPACITY`] of them wait, so a consumer that only sleeps on the stream
//! keeps at most one entry per poll. Sending takes constant time and never waits. Without a subscriber nothing is built.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::mpsc;

use super::Event;
use crate::clock::Timestamp;
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::observe::Operation;
use crate::store::StoreError;

/// How many requests and attempts wait for a subscriber at most.
pub(crate) const CAPACITY: usize = 1024;

/// Something that happened in a poller; from [`PollerEvents`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PollerEvent {
    /// The first event of every stream.
    Started {
        /// The number of open polls: those that the store had when the poller was built, or those that the poller has when
        /// the subscription begins. [`Opened`](Self::Opened) follows for each of them as it is loaded.
        open: usize,
    },
    /// A poll is open and this poller runs it: it was submitted here, was open in the store, or was created by another
    /// process.
    Opened {
        /// Its name.
        key: PollKey,
        /// What it asks for.
        spec: PollSpec,
        /// When it was accepted.
        started_at: Timestamp,
        /// When it ends at the latest.
        deadline: Timestamp,
        /// How often a process continued it after another had run it.
        restarts: u32,
    },
    /// Another process of the fleet runs the poll from now on; this is its last event here. Only a store for several
    /// processes has these.
    Released {
        /// Its name.
        key: PollKey,
    },
    /// Something happened to one poll. [`Event::Outcome`] is its last event; a poll that could not be read back from the
    /// store has only that one.
    Poll {
        /// Its name.
        key: PollKey,
        /// What happened.
        event: Event,
    },
    /// A server asked to wait: no request begins before `until` that goes to the origin of the poll `by` with the same
    /// credentials. With at most 1,024 open polls, each poll that waits for it also gets an [`Event::HeldBack`].
    OriginHeldBack {
        /// The end of the hold.
        until: Timestamp,
        /// The poll whose response asked for it.
        by: PollKey,
    },
    /// An open poll of the store is not run, because its secrets are sealed with a key that the store was not given. It stays
    /// open for a runner that has the key.
    Sealed {
        /// Its name.
        key: PollKey,
        /// The [id](crate::SealKey::id) of the key.
        seal_key: Box<str>,
    },
    /// As many [requests are in flight](crate::Limits::in_flight) as may be, in all or to sites that do not answer, and due polls
    /// wait: servers are slow or silent, or the limit is too low. Sent at most once a minute.
    AllInFlight {
        /// The requests in flight.
        in_flight: usize,
        /// The polls that are due and wait, for this or another cap.
        waiting: usize,
    },
    /// A call to the store failed. The poller repeats it; outcomes wait until it succeeds.
    StoreFailed {
        /// The call.
        operation: StoreOperation,
        /// The reason.
        error: StoreError,
    },
    /// A call to the store succeeded that had failed before.
    StoreRecovered {
        /// The call.
        operation: StoreOperation,
    },
    /// The clock of the system was set. Running polls follow the monotonic clock, so nothing changes for them; what the
    /// next process reads from the store is judged by the new time.
    ClockSet {
        /// Whether it was set forward.
        forward: bool,
        /// By how much.
        duration: Duration,
    },
    /// The clock of the store's database was set, or another server with another clock took over. The time of polls runs on
    /// evenly all the same: no poll waits for it or times out by it.
    StoreClockSet {
        /// Whether it was set forward.
        forward: bool,
        /// By how much.
        duration: Duration,
    },
    /// The machine slept, and no request could be made.
    Slept {
        /// For how long.
        duration: Duration,
    },
    /// This many requests and attempts are missing here, because the consumer was too slow.
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// A call of the engine to its store; see [`Store`](crate::store::Store).
pub type StoreOperation = Operation;

impl PollerEvent {
    /// Whether the event may be dropped for a slow consumer.
    const fn is_detail(&self) -> bool {
        match self {
            Self::Poll { event, .. } => !matches!(event, Event::Outcome(_)),
            Self::OriginHeldBack { .. } => true,
            _ => false,
        }
    }
}

/// The events of all polls of a poller, as a [`Stream`]; made by [`Poller::events`](crate::Poller::events) or
/// [`PollerBuilder::build_with_events`](crate::PollerBuilder::build_with_events). It ends when the poller has stopped.
///
/// Beginnings, outcomes and store trouble are never dropped. At most 1,024 requests and attempts wait; of further ones only
/// the number is kept, as [`PollerEvent::Lagged`]. Dropping the stream cancels nothing.
///
/// ```
/// use poller::{Event, PollSpec, Poller, PollerEvent};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (poller, mut events) = Poller::builder().build_with_events().await?;
/// assert!(matches!(events.next().await, Some(PollerEvent::Started { open: 0 })));
///
/// let poll = poller.submit("export-42", PollSpec::parse(r#"{"url": "https://export.invalid"}"#)?).await?;
/// poll.cancel().await?;
/// let outcome = loop {
///     match events.next().await {
///         Some(PollerEvent::Opened { key, .. }) => assert_eq!(key.key(), "export-42"),
///         Some(PollerEvent::Poll { event: Event::Outcome(outcome), .. }) => break outcome,
///         Some(_) => {}
///         None => unreachable!("the poller runs"),
///     }
/// };
/// assert_eq!(outcome.name(), "cancelled");
/// # Ok(())
/// # }
/// ```
#[must_use = "a stream does nothing unless polled"]
pub struct PollerEvents {
    receiver: mpsc::UnboundedReceiver<PollerEvent>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Details in the channel.
    waiting: AtomicUsize,
    wants_details: AtomicBool,
}

/// The engine's end of a [`PollerEvents`].
pub(crate) struct Subscriber {
    sender: mpsc::UnboundedSender<PollerEvent>,
    shared: Arc<Shared>,
    /// Details dropped since the last that was sent.
    missed: u64,
}

/// A stream and the engine's end of it.
pub(crate) fn subscription() -> (Subscriber, PollerEvents) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared { waiting: AtomicUsize::new(0), wants_details: AtomicBool::new(true) });
    (Subscriber { sender, shared: Arc::clone(&shared), missed: 0 }, PollerEvents { receiver, shared })
}

impl Subscriber {
    /// Whether requests and attempts are wanted.
    pub(crate) fn wants_details(&self) -> bool {
        self.shared.wants_details.load(Ordering::Relaxed)
    }

    /// Sends an event, unless it is a detail that is not wanted or has no room. Returns false once the stream is dropped.
    pub(crate) fn send(&mut self, event: PollerEvent) -> bool {
        if event.is_detail() {
            if !self.wants_details() {
                return !self.sender.is_closed();
            }
            if self.shared.waiting.load(Ordering::Relaxed) >= CAPACITY {
                self.missed += 1;
                return !self.sender.is_closed();
            }
            self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        }
        if self.missed > 0 {
            let missed = std::mem::take(&mut self.missed);
            // The next send reports a dropped stream.
            let _ = self.sender.send(PollerEvent::Lagged { missed });
        }
        self.sender.send(event).is_ok()
    }
}

impl PollerEvents {
    /// The next event; `None` once the poller has stopped.
    pub async fn next(&mut self) -> Option<PollerEvent> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The next event if there is one now.
    pub fn try_next(&mut self) -> Option<PollerEvent> {
        let event = self.receiver.try_recv().ok()?;
        self.taken(&event);
        Some(event)
    }

    /// Whether requests, attempts and hold-backs are wanted from now on; they are, unless this says otherwise. Those
    /// that wait already are still given.
    pub fn set_details(&self, wanted: bool) {
        self.shared.wants_details.store(wanted, Ordering::Relaxed);
    }

    fn taken(&self, event: &PollerEvent) {
        if event.is_detail() {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Stream for PollerEvents {
    type Item = PollerEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<PollerEvent>> {
        self.receiver.poll_recv(context).map(|event| event.inspect(|event| self.taken(event)))
    }
}

impl fmt::Debug for PollerEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollerEvents").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(attempt: usize) -> PollerEvent {
        let attempt = u32::try_from(attempt).unwrap();
        PollerEvent::Poll {
            key: PollKey::new("", "a"),
            event: Event::Requesting { attempt, at: Timestamp::default() },
        }
    }

    #[test]
    fn a_slow_consumer_loses_details_and_nothing_else() {
        let (mut subscriber, mut events) = subscription();
        for attempt in 0..CAPACITY + 10 {
            assert!(subscriber.send(detail(attempt)));
        }
        assert!(subscriber.send(PollerEvent::Started { open: 7 }));
        for _ in 0..CAPACITY {
            assert!(matches!(events.try_next(), Some(PollerEvent::Poll { .. })));
        }
        assert!(matches!(events.try_next(), Some(PollerEvent::Lagged { missed: 10 })));
        assert!(matches!(events.try_next(), Some(PollerEvent::Started { open: 7 })));
        assert!(events.try_next().is_none());
        subscriber.send(detail(0));
        assert!(matches!(events.try_next(), Some(PollerEvent::Poll { .. })), "there is room again");
    }

    #[test]
    fn details_can_be_turned_off() {
        let (mut subscriber, mut events) = subscription();
        events.set_details(false);
        assert!(subscriber.send(detail(1)));
        assert!(subscriber.send(PollerEvent::Started { open: 0 }));
        assert!(matches!(events.try_next(), Some(PollerEvent::Started { .. })));
        drop(events);
        assert!(!subscriber.send(detail(2)));
    }
}
