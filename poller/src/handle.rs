//! The handle to one poll: its events, its outcome, and the way to cancel it.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll as Readiness, ready};

use futures_core::Stream;
use tokio::sync::{mpsc, oneshot};

use crate::clock::{BoxFuture, Timestamp};
use crate::engine::{Inbox, Message, PollId, Surroundings};
use crate::error::{Error, Kind};
use crate::event::Event;
use crate::outcome::Outcome;
use crate::store::{PollKey, StoredPoll};

/// A poll that was submitted. Dropping it cancels nothing.
#[derive(Clone)]
pub struct Poll {
    key: PollKey,
    accepted: Accepted,
    deadline: Timestamp,
    state: State,
    inbox: Inbox,
    around: Arc<Surroundings>,
}

#[derive(Clone)]
enum State {
    Open(PollId),
    Finished(Arc<Outcome>),
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

impl Poll {
    pub(crate) fn open(
        key: PollKey,
        id: PollId,
        accepted: Accepted,
        deadline: Timestamp,
        inbox: Inbox,
        around: Arc<Surroundings>,
    ) -> Self {
        Self { key, accepted, deadline, state: State::Open(id), inbox, around }
    }

    pub(crate) fn finished(
        key: PollKey,
        outcome: Arc<Outcome>,
        deadline: Timestamp,
        inbox: Inbox,
        around: Arc<Surroundings>,
    ) -> Self {
        let accepted = Accepted::AlreadyFinished;
        Self { key, accepted, deadline, state: State::Finished(outcome), inbox, around }
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

    /// What happens to it: first the attempts that are kept and the request in flight, then what comes; last,
    /// [`Event::Finished`]. The stream ends
    /// without that when the poller shuts down.
    pub fn events(&self) -> Events {
        match &self.state {
            State::Finished(outcome) => Events::of_finished(outcome),
            State::Open(id) => {
                let (sender, live) = mpsc::unbounded_channel();
                // Where the driver is gone the sender is dropped, and the stream ends.
                let _ = self.inbox.send(Message::Watch { id: *id, events: sender });
                Events {
                    stored: VecDeque::new(),
                    live: Some(live),
                    fallback: Some(self.stored_outcome()),
                    finished: false,
                }
            }
        }
    }

    /// Waits for the outcome.
    ///
    /// # Errors
    /// If the poller shuts down first, or the store fails.
    pub async fn outcome(&self) -> Result<Arc<Outcome>, Error> {
        let id = match &self.state {
            State::Finished(outcome) => return Ok(Arc::clone(outcome)),
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
        self.inbox.send(message(sender)).map_err(|_| Kind::Shutdown)?;
        Ok(answer.await.map_err(|_| Kind::Shutdown)?)
    }

    /// The outcome of a poll that the engine no longer has.
    fn stored_outcome(&self) -> BoxFuture<'static, Result<Arc<Outcome>, Error>> {
        let (around, key) = (Arc::clone(&self.around), self.key.clone());
        Box::pin(async move {
            match around.store.get(key.clone()).await? {
                Some(StoredPoll { outcome: Some(outcome), .. }) => Ok(outcome),
                // It was forgotten since, or is still open while the engine has stopped.
                Some(_) => Err(Kind::Shutdown.into()),
                None => Err(Kind::NotFound { key }.into()),
            }
        })
    }
}

impl fmt::Debug for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poll")
            .field("key", &self.key)
            .field("accepted", &self.accepted)
            .finish_non_exhaustive()
    }
}

/// The events of one poll, as a [`Stream`]; made by [`Poll::events`].
#[must_use = "a stream does nothing unless polled"]
pub struct Events {
    stored: VecDeque<Event>,
    live: Option<mpsc::UnboundedReceiver<Event>>,
    /// Where the outcome is when the engine no longer has the poll.
    fallback: Option<BoxFuture<'static, Result<Arc<Outcome>, Error>>>,
    finished: bool,
}

impl Events {
    fn of_finished(outcome: &Arc<Outcome>) -> Self {
        Self { stored: replay(outcome), live: None, fallback: None, finished: false }
    }

    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

fn replay(outcome: &Arc<Outcome>) -> VecDeque<Event> {
    let attempts = outcome.history.iter().cloned().map(Event::Attempted);
    attempts.chain([Event::Finished(Arc::clone(outcome))]).collect()
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Readiness<Option<Event>> {
        let this = self.get_mut();
        loop {
            if let Some(event) = this.stored.pop_front() {
                return Readiness::Ready(Some(event));
            }
            if let Some(live) = &mut this.live {
                match ready!(live.poll_recv(context)) {
                    Some(event) => {
                        this.finished = matches!(event, Event::Finished(_));
                        this.fallback = None;
                        return Readiness::Ready(Some(event));
                    }
                    None => this.live = None,
                }
            }
            // The channel closed without an event: the poll had ended before it was watched, or the engine has stopped.
            let Some(fallback) = &mut this.fallback else { return Readiness::Ready(None) };
            let outcome = ready!(fallback.as_mut().poll(context));
            this.fallback = None;
            if let (Ok(outcome), false) = (outcome, this.finished) {
                this.stored = replay(&outcome);
            }
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("finished", &self.finished).finish_non_exhaustive()
    }
}
