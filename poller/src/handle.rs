//! The handle to one poll: the way to its events and its outcome, and to cancel it.

use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::clock::{BoxFuture, Timestamp};
use crate::engine::{Message, PollId};
use crate::error::{Error, Kind};
use crate::event::{self, Events};
use crate::outcome::Outcome;
use crate::poller::Shared;
use crate::store::{PollKey, StoredPoll};

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
    accepted: Accepted,
    deadline: Timestamp,
    state: State,
    shared: Arc<Shared>,
}

#[derive(Clone)]
enum State {
    Open(PollId),
    Outcome(Arc<Outcome>),
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Accepted {
    /// The poll is new.
    Created,
    /// The poll was running already.
    Joined,
    /// The poll had ended before; its stored outcome is at hand.
    AlreadyFinished,
}

impl PollHandle {
    pub(crate) fn open(
        key: PollKey,
        id: PollId,
        accepted: Accepted,
        deadline: Timestamp,
        shared: Arc<Shared>,
    ) -> Self {
        Self { key, accepted, deadline, state: State::Open(id), shared }
    }

    pub(crate) fn finished(
        key: PollKey,
        outcome: Arc<Outcome>,
        deadline: Timestamp,
        shared: Arc<Shared>,
    ) -> Self {
        let accepted = Accepted::AlreadyFinished;
        Self { key, accepted, deadline, state: State::Outcome(outcome), shared }
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

    /// Whether it is new, joined or had ended before.
    #[must_use]
    pub const fn accepted(&self) -> Accepted {
        self.accepted
    }

    /// When it ends at the latest.
    #[must_use]
    pub const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// What happens to it, from what is kept of the past to the outcome; see [`Events`].
    pub fn events(&self) -> Events {
        match &self.state {
            State::Outcome(outcome) => Events::of_finished(outcome),
            State::Open(id) => {
                let (feeder, feed) = event::feed();
                // Where the driver is gone the feeder is dropped, and the stream ends.
                let _ = self.shared.driver.send(Message::Watch { id: *id, events: feeder });
                Events::of_open(feed, self.stored_outcome())
            }
        }
    }

    /// Waits for the outcome.
    ///
    /// # Errors
    /// If the poller shuts down first, or the store fails.
    pub async fn outcome(&self) -> Result<Arc<Outcome>, Error> {
        let id = match &self.state {
            State::Outcome(outcome) => return Ok(Arc::clone(outcome)),
            State::Open(id) => *id,
        };
        match self.ask(|answer| Message::Await { id, answer }).await? {
            Some(outcome) => Ok(outcome),
            None => self.stored_outcome().await,
        }
    }

    /// Ends the poll as cancelled, and returns its outcome: another one where that was decided first.
    ///
    /// # Errors
    /// If the poller shuts down first, or the store fails.
    pub async fn cancel(&self) -> Result<Arc<Outcome>, Error> {
        if let State::Open(id) = self.state {
            self.ask(|answer| Message::Cancel { id, answer }).await?;
        }
        self.outcome().await
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, Error> {
        let (sender, answer) = oneshot::channel();
        self.shared.driver.send(message(sender)).map_err(|_| Kind::Shutdown)?;
        Ok(answer.await.map_err(|_| Kind::Shutdown)?)
    }

    /// The outcome of a poll that the engine no longer has.
    fn stored_outcome(&self) -> BoxFuture<'static, Result<Arc<Outcome>, Error>> {
        let (deps, key) = (Arc::clone(&self.shared.deps), self.key.clone());
        Box::pin(async move {
            match deps.store.get(key.clone()).await? {
                Some(StoredPoll { outcome: Some(outcome), .. }) => Ok(outcome),
                // It was forgotten since, or is still open while the engine has stopped.
                Some(_) => Err(Kind::Shutdown.into()),
                None => Err(Kind::NotFound { key }.into()),
            }
        })
    }
}

impl fmt::Debug for PollHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollHandle")
            .field("key", &self.key)
            .field("accepted", &self.accepted)
            .finish_non_exhaustive()
    }
}
