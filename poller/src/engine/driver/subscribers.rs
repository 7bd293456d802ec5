//! The streams of [`Poller::events`](crate::Poller::events). Without one, no event is built.

use std::sync::Arc;

use crate::event::{Event, PollerEvent, Subscriber};
use crate::key::PollKey;
use crate::outcome::Outcome;

/// All subscribers whose streams were not dropped.
pub(super) struct Subscribers(Vec<Subscriber>);

impl Subscribers {
    /// The one subscriber that exists before the first poll is loaded; `open` polls will be.
    pub(super) fn new(first: Option<Subscriber>, open: usize) -> Self {
        let mut subscribers = Self(Vec::from_iter(first));
        subscribers.send(|| PollerEvent::Started { open });
        subscribers
    }

    /// Adds a subscriber, which first receives the polls that are open.
    pub(super) fn add(
        &mut self,
        mut subscriber: Subscriber,
        open: usize,
        mut opened: impl Iterator<Item = PollerEvent>,
    ) {
        subscriber.send(PollerEvent::Started { open });
        if opened.all(|event| subscriber.send(event)) {
            self.0.push(subscriber);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a subscriber wants requests and attempts.
    pub(super) fn want_details(&self) -> bool {
        self.0.iter().any(Subscriber::wants_details)
    }

    pub(super) fn send(&mut self, event: impl Fn() -> PollerEvent) {
        self.0.retain_mut(|subscriber| subscriber.send(event()));
    }

    pub(super) fn outcome(&mut self, key: &PollKey, outcome: &Arc<Outcome>) {
        self.send(|| PollerEvent::Poll { key: key.clone(), event: Event::Outcome(Arc::clone(outcome)) });
    }
}
