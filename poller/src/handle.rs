//! The handle of one poll: its events, its outcome, and cancelling it.

use std::fmt;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::engine::{Message, Submitted};
use crate::error::Error;
use crate::event::{self, Events};
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::runtime::Runtime;

/// A poll that was submitted. Dropping it cancels nothing.
///
/// ```
/// use poller::{Accepted, PollSpec, Poller};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let poller = Poller::builder().build().await?;
/// let spec = PollSpec::parse(r#"{"url": "https://export.invalid"}"#)?;
/// let poll = poller.submit("export-42", spec.clone()).await?;
/// assert_eq!((poll.key(), poll.accepted()), ("export-42", Accepted::Created));
///
/// // The same key and spec again is the same poll, and so is its outcome.
/// let again = poller.submit("export-42", spec).await?;
/// assert_eq!(again.accepted(), Accepted::Joined);
/// let (cancelled, outcome) = tokio::join!(poll.cancel(), again.outcome());
/// assert_eq!(cancelled?, outcome?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PollHandle {
    key: PollKey,
    submitted: Submitted,
    runtime: Arc<Runtime>,
}

/// How a submission was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Accepted {
    /// The poll is new.
    Created,
    /// The poll was running already.
    Joined,
    /// The poll had finished before; its stored outcome is the result.
    AlreadyFinished,
}

impl PollHandle {
    pub(crate) const fn new(key: PollKey, submitted: Submitted, runtime: Arc<Runtime>) -> Self {
        Self { key, submitted, runtime }
    }

    /// The key it was submitted with.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key.key()
    }

    /// Its full name.
    #[must_use]
    pub const fn poll_key(&self) -> &PollKey {
        &self.key
    }

    /// Whether the poll is new, was running, or had finished before.
    #[must_use]
    pub const fn accepted(&self) -> Accepted {
        match self.submitted {
            Submitted::Open { joined: false, .. } | Submitted::Elsewhere { joined: false, .. } => {
                Accepted::Created
            }
            Submitted::Open { .. } | Submitted::Elsewhere { .. } => Accepted::Joined,
            Submitted::Finished { .. } => Accepted::AlreadyFinished,
        }
    }

    /// The latest time at which it ends.
    #[must_use]
    pub const fn deadline(&self) -> Timestamp {
        match self.submitted {
            Submitted::Open { deadline, .. }
            | Submitted::Elsewhere { deadline, .. }
            | Submitted::Finished { deadline, .. } => deadline,
        }
    }

    /// The events of the poll, from the attempts that are kept to the outcome; see [`Events`]. If another process of a fleet
    /// runs it, they come with the outcome.
    pub fn events(&self) -> Events {
        match &self.submitted {
            Submitted::Finished { outcome, .. } => Events::of_finished(outcome),
            Submitted::Open { .. } | Submitted::Elsewhere { .. } => {
                let (feeder, feed) = event::feed();
                if let Submitted::Open { id, .. } = self.submitted {
                    // A driver that has stopped drops the feeder, and the stream ends.
                    let _ = self.runtime.driver.send(Message::Watch { id, events: feeder });
                }
                let (runtime, key) = (Arc::clone(&self.runtime), self.key.clone());
                Events::of_open(feed, Box::pin(async move { runtime.stored_outcome(key).await }))
            }
        }
    }

    /// Waits for the outcome.
    ///
    /// # Errors
    /// If the poller shuts down first, or the store fails.
    pub async fn outcome(&self) -> Result<Arc<Outcome>, Error> {
        match &self.submitted {
            Submitted::Finished { outcome, .. } => Ok(Arc::clone(outcome)),
            Submitted::Open { id, .. } => self.runtime.outcome(&self.key, *id).await,
            Submitted::Elsewhere { .. } => self.runtime.stored_outcome(self.key.clone()).await,
        }
    }

    /// Ends the poll as cancelled and returns its outcome, which is another one if that was decided first.
    ///
    /// # Errors
    /// If the poller shuts down first, or the store fails.
    pub async fn cancel(&self) -> Result<Arc<Outcome>, Error> {
        match &self.submitted {
            Submitted::Finished { outcome, .. } => Ok(Arc::clone(outcome)),
            Submitted::Open { id, .. } => self.runtime.cancel(&self.key, *id).await,
            Submitted::Elsewhere { .. } => self.runtime.cancel_elsewhere(self.key.clone()).await,
        }
    }
}

impl fmt::Debug for PollHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollHandle")
            .field("key", &self.key)
            .field("accepted", &self.accepted())
            .finish_non_exhaustive()
    }
}
