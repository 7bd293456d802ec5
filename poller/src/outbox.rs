//! The port to the deliveries of webhooks: [`Outbox`].
//!
//! A store writes a delivery in the transaction that stores the outcome, so that there is no outcome without its webhook,
//! whatever crashes. The delivery stays until its poll is removed, with its last attempts; a poll whose delivery is pending is
//! not removed by retention.

use std::sync::Arc;
use std::time::Duration;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::clock::Timestamp;
use crate::key::PollKey;
use crate::store::error::StoreFuture;

/// The webhook of one outcome, and how far it has come.
///
/// ```
/// use poller::outbox::{Delivery, DeliveryState};
/// use poller::{PollKey, Timestamp};
///
/// let delivery = Delivery::new(PollKey::new("", "export-42"), Timestamp::default(), Timestamp::default(), "https://a.test");
/// assert_eq!(delivery.state, DeliveryState::Pending);
/// assert!(delivery.id().starts_with("msg_"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The poll.
    pub key: PollKey,
    /// When the poll was accepted.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The origin of the receiver.
    pub receiver: Box<str>,
    /// Whether the receiver has it.
    pub state: DeliveryState,
    /// When the next attempt is due; `None` unless the delivery is pending.
    pub due: Option<Timestamp>,
    /// The attempts of this round; sending it again begins a round.
    pub tries: u32,
    /// The last attempts, at most [`ATTEMPTS`](Self::ATTEMPTS), oldest first.
    pub attempts: Vec<DeliveryAttempt>,
    /// The store's own number of the delivery.
    pub place: i64,
}

impl Delivery {
    /// The number of attempts that are kept.
    pub const ATTEMPTS: usize = 16;

    /// A delivery that is due when the poll ends; for stores, which fill in the rest.
    #[must_use]
    pub fn new(
        key: PollKey,
        created_at: Timestamp,
        ended_at: Timestamp,
        receiver: impl Into<Box<str>>,
    ) -> Self {
        Self {
            key,
            created_at,
            ended_at,
            receiver: receiver.into(),
            state: DeliveryState::Pending,
            due: Some(ended_at),
            tries: 0,
            attempts: Vec::new(),
            place: 0,
        }
    }

    /// The `webhook-id`: the same for all attempts, and different for every outcome. A digest of the poll's name and times, so
    /// that stores need not keep it.
    #[must_use]
    pub fn id(&self) -> String {
        let mut digest = Context::new(&SHA256);
        for text in [self.key.scope(), self.key.key()] {
            digest.update(&(text.len() as u64).to_le_bytes());
            digest.update(text.as_bytes());
        }
        for time in [self.created_at, self.ended_at] {
            digest.update(&time.as_micros().to_le_bytes());
        }
        let digest = digest.finish();
        let digits = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}"));
        format!("msg_{}", digits.collect::<String>())
    }

    /// Whether its receiver lacks it after an attempt of this round: it is dead, or pending and will be tried again.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        match self.state {
            DeliveryState::Pending => self.tries > 0,
            DeliveryState::Delivered => false,
            DeliveryState::Dead => true,
        }
    }

    /// Begins another round: due at `now`, whatever came of it before.
    pub fn send_again(&mut self, now: Timestamp) {
        self.state = DeliveryState::Pending;
        self.due = Some(now);
        self.tries = 0;
    }

    /// Adds an attempt, after which the delivery is in `state`, or is due again.
    pub(crate) fn attempted(&mut self, attempt: DeliveryAttempt, next: Result<DeliveryState, Timestamp>) {
        if self.attempts.len() >= Self::ATTEMPTS {
            self.attempts.drain(..=self.attempts.len() - Self::ATTEMPTS);
        }
        self.attempts.push(attempt);
        self.tries = self.tries.saturating_add(1);
        (self.state, self.due) = match next {
            Ok(state) => (state, None),
            Err(due) => (DeliveryState::Pending, Some(due)),
        };
    }
}

/// Whether the receiver has a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DeliveryState {
    /// Not yet; it is tried again.
    Pending,
    /// It has answered with 2xx.
    Delivered,
    /// It has refused the webhook for good, or all attempts have failed.
    Dead,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    /// The state as written in JSON and stores: `pending`, `delivered`, `dead`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// The state of a stored delivery. What another version has written, or a damaged row, is delivered if it is due.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn stored(name: &str, due: Option<Timestamp>) -> Self {
        Self::named(name).unwrap_or(if due.is_some() { Self::Pending } else { Self::Dead })
    }

    /// The state of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// One attempt to deliver a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DeliveryAttempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The status that the receiver answered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it failed; without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Deliveries to attempt now, from [`Outbox::due`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DueDeliveries {
    /// The pending ones that are due, the longest due first.
    pub deliveries: Vec<Delivery>,
    /// When a further one is due, if any.
    pub next: Option<Timestamp>,
}

impl DueDeliveries {
    /// These deliveries, and the time of the next one after them.
    #[must_use]
    pub const fn new(deliveries: Vec<Delivery>, next: Option<Timestamp>) -> Self {
        Self { deliveries, next }
    }
}

/// Which deliveries to list.
///
/// ```
/// use poller::outbox::{DeliverySelection, DeliveryState};
///
/// let dead = DeliverySelection::new("", 100).with_state(DeliveryState::Dead);
/// assert_eq!(dead.limit, 100);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeliverySelection {
    /// Polls of this scope and of those beneath it; the empty one is above all.
    pub under: String,
    /// Only those in this state.
    pub state: Option<DeliveryState>,
    /// Only those that are [failing](Delivery::is_failing).
    pub failing: bool,
    /// Only those whose [place](Delivery::place) is less: the last place of the page before.
    pub before: Option<i64>,
    /// The number of deliveries at most.
    pub limit: usize,
}

impl DeliverySelection {
    /// The newest deliveries of this scope and of those beneath it.
    #[must_use]
    pub fn new(under: impl Into<String>, limit: usize) -> Self {
        Self { under: under.into(), state: None, failing: false, before: None, limit }
    }

    /// Only those in this state.
    #[must_use]
    pub const fn with_state(mut self, state: DeliveryState) -> Self {
        self.state = Some(state);
        self
    }

    /// Only those that are [failing](Delivery::is_failing).
    #[must_use]
    pub const fn failing(mut self) -> Self {
        self.failing = true;
        self
    }

    /// Those behind the one with this place.
    #[must_use]
    pub const fn after(mut self, place: i64) -> Self {
        self.before = Some(place);
        self
    }
}

/// The deliveries of a store.
pub trait Outbox: Send + Sync + 'static {
    /// The pending deliveries that are due at `now`, at most `most`, those to `busy` receivers left out; with several
    /// processes, those of this one.
    fn due(&self, now: Timestamp, busy: Vec<Box<str>>, most: usize) -> StoreFuture<'_, DueDeliveries>;

    /// Stores state, due time, tries and attempts of a delivery. Returns whether it is still there.
    fn note(&self, delivery: Delivery) -> StoreFuture<'_, bool>;

    /// The delivery of a poll, if it has ended and has one.
    fn delivery(&self, key: PollKey) -> StoreFuture<'_, Option<Delivery>>;

    /// Some deliveries, newest first.
    fn deliveries(&self, which: DeliverySelection) -> StoreFuture<'_, Vec<Delivery>>;

    /// Told when this process has stored a delivery that may be due.
    fn added(&self) -> Arc<Notify>;

    /// How often to look for deliveries that other processes have stored; `None`, the default, if there are none.
    fn look_every(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery() -> Delivery {
        let [created_at, ended_at] = [1, 2].map(Timestamp::from_micros);
        Delivery::new(PollKey::new("s", "a"), created_at, ended_at, "https://a.test")
    }

    fn attempt(at: u64, status: u16) -> DeliveryAttempt {
        DeliveryAttempt { at: Timestamp::from_micros(at), duration_ms: 1, status: Some(status), error: None }
    }

    #[test]
    fn an_id_is_of_one_outcome() {
        let one = delivery();
        let mut other = delivery();
        other.tries = 7;
        assert_eq!(one.id(), other.id());
        other.created_at = Timestamp::from_micros(9);
        assert_ne!(one.id(), other.id());
        other = delivery();
        other.key = PollKey::new("", "sa");
        assert_ne!(one.id(), other.id(), "the border of scope and key counts");
    }

    #[test]
    fn a_delivery_fails_from_its_first_attempt_until_it_is_delivered_or_sent_again() {
        let mut delivery = delivery();
        assert!(!delivery.is_failing());
        delivery.attempted(attempt(0, 500), Err(Timestamp::from_micros(9)));
        assert!(delivery.is_failing());
        delivery.attempted(attempt(0, 410), Ok(DeliveryState::Dead));
        assert!(delivery.is_failing());
        delivery.send_again(Timestamp::from_micros(9));
        assert!(!delivery.is_failing());
        delivery.attempted(attempt(0, 204), Ok(DeliveryState::Delivered));
        assert!(!delivery.is_failing());
    }

    #[test]
    fn the_last_attempts_are_kept() {
        let mut delivery = delivery();
        for number in 0..40 {
            delivery.attempted(attempt(number, 500), Err(Timestamp::from_micros(number + 1)));
        }
        assert_eq!((delivery.attempts.len(), delivery.tries), (Delivery::ATTEMPTS, 40));
        assert_eq!(delivery.attempts.last().unwrap().at, Timestamp::from_micros(39));
    }
}
