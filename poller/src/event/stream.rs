//! The events of one poll as a stream: kept attempts first, then live events, then the outcome.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::{Event, Feed};
use crate::clock::BoxFuture;
use crate::error::Error;
use crate::outcome::Outcome;

/// The events of one poll, as a [`Stream`]; made by [`PollHandle::events`](crate::PollHandle::events). Dropping it cancels nothing.
///
/// # What it gives
/// The kept attempts, the request in flight and the hold-back in force; then live events; last [`Event::Outcome`]. A
/// finished poll gives its history and its outcome. If the poller shuts down first, the stream ends without an outcome.
///
/// # A slow watcher
/// At most 128 events wait. Beyond that the oldest are dropped and replaced by [`Event::Lagged`] with their number, so that
/// no watcher slows a poll down or grows the process. `Outcome` is never dropped. Several streams of one poll are
/// independent.
///
/// ```
/// use poller::{Event, PollSpec, Poller};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let poller = Poller::builder().build().await?;
/// let poll = poller.submit("export-42", PollSpec::parse(r#"{"url": "https://export.invalid"}"#)?).await?;
/// let mut events = poll.events();
/// poll.cancel().await?;
/// let mut last = None;
/// while let Some(event) = events.next().await {
///     last = Some(event);
/// }
/// assert!(matches!(last, Some(Event::Outcome(outcome)) if outcome.name() == "cancelled"));
/// # Ok(())
/// # }
/// ```
#[must_use = "a stream does nothing unless polled"]
pub struct Events {
    /// Events to give before the next one of the engine.
    ready: VecDeque<Event>,
    live: Option<Feed>,
    /// Reads the outcome from the store, if the engine no longer has the poll.
    fallback: Option<BoxFuture<'static, Result<Arc<Outcome>, Error>>>,
}

impl Events {
    /// The events of a finished poll.
    pub(crate) fn of_finished(outcome: &Arc<Outcome>) -> Self {
        Self { ready: replay(outcome), live: None, fallback: None }
    }

    /// The events that the engine sends; if it sends none, the history and the result of `outcome`.
    pub(crate) fn of_open(feed: Feed, outcome: BoxFuture<'static, Result<Arc<Outcome>, Error>>) -> Self {
        Self { ready: VecDeque::new(), live: Some(feed), fallback: Some(outcome) }
    }

    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

fn replay(outcome: &Arc<Outcome>) -> VecDeque<Event> {
    let attempts = outcome.history.iter().flat_map(|attempt| {
        let following = Event::following(attempt);
        std::iter::once(Event::Attempted(attempt.clone())).chain(following)
    });
    attempts.chain([Event::Outcome(Arc::clone(outcome))]).collect()
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let this = self.get_mut();
        loop {
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(event));
            }
            if let Some(live) = &this.live {
                match ready!(live.poll_next(context)) {
                    Some(event) => {
                        this.fallback = None;
                        if let Event::Attempted(attempt) = &event {
                            this.ready.extend(Event::following(attempt));
                        }
                        return Poll::Ready(Some(event));
                    }
                    None => this.live = None,
                }
            }
            // The engine sent nothing: the poll finished before it was watched, or the engine has stopped.
            let Some(fallback) = &mut this.fallback else { return Poll::Ready(None) };
            let outcome = ready!(fallback.as_mut().poll(context));
            this.fallback = None;
            if let Ok(outcome) = outcome {
                this.ready = replay(&outcome);
            }
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
