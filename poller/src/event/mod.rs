//! What happens to a poll, as told to whoever watches it.
//!
//! ```text
//!  engine ─► feed (bounded, per watcher) ─► Events (a Stream): replay, live, and what follows from an attempt
//! ```
//!
//! The engine tells what it decides: a request begins, it ended, somebody else's hint holds the poll back, the poll has
//! ended. That a retry is scheduled or the poll's own hint is heeded stands in the attempt itself; [`Events`] spells it
//! out, for live and replayed attempts alike, so that the engine does not have to send it.

mod feed;
mod poller_events;
mod stream;

use std::sync::Arc;

pub(crate) use self::feed::{Feed, Feeder, feed};
pub use self::poller_events::{PollerEvent, PollerEvents, StoreOperation};
pub(crate) use self::poller_events::{Subscriber, subscription};
pub use self::stream::Events;
use crate::clock::Timestamp;
use crate::outcome::{Attempt, Next, NextReason, Outcome};
use crate::store::PollKey;

/// One step in the life of a poll. [`Finished`](Event::Outcome) is the last, always.
///
/// ```text
///  Requesting ─► Attempted ─┬───────────────────────────┬─► Requesting ─► …
///                           ├─► RetryScheduled ─────────┤
///                           ├─► HeldBack (own, or a     ┘
///                           │            neighbour's)
///                           └─► Finished
/// ```
///
/// ```
/// use poller::fetch::{Guard, HttpClient};
/// use poller::{Event, Limits, PollSpec, Poller, SpecOptions};
/// # use test_support::{Reply, Script, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::start(Script::new().on("/job", [
/// #     Reply::new(500), Reply::json(r#"{"status":"SUCCESS"}"#)])).await;
/// # let url = server.url("/job");
/// // A server that answers 500 once and then says that the job is done.
/// let poller = Poller::builder().guard(Guard::local()).limits(Limits::unbounded()).build().await?;
/// let spec = SpecOptions::new().limits(Limits::unbounded()).parse(&format!(
///     r#"{{"url": "{url}", "interval": 10, "timeout": 60, "responseFilter": {{"body": {{"status": ["SUCCESS"]}}}},
///          "retry": {{"500-599": {{"strategy": "backoff", "minTimeoutInMs": 10, "randomize": false}}}}}}"#
/// ))?;
/// let mut events = poller.submit("export-42", spec).await?.events();
/// let mut story = Vec::new();
/// while let Some(event) = events.next().await {
///     story.push(match event {
///         Event::Requesting { attempt, .. } => format!("request {attempt} begins"),
///         Event::Attempted(attempt) => format!("it brought {}", attempt.result),
///         Event::RetryScheduled { r#try, limit, .. } => format!("try {try} of {limit} follows"),
///         Event::HeldBack { until, by } => format!("held back until {until} by {by:?}"),
///         Event::Lagged { missed } => format!("{missed} events were too fast for me"),
///         Event::Outcome(outcome) => outcome.name().to_owned(),
///         _ => continue,
///     });
/// }
/// assert_eq!(
///     story,
///     ["request 1 begins", "it brought 500", "try 2 of 5 follows", "request 2 begins", "it brought 200", "matched"]
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A request begins.
    Requesting {
        /// Its number, from 1.
        attempt: u32,
        /// When.
        at: Timestamp,
    },
    /// A request ended; says what came, what it lacked and what is next.
    Attempted(Attempt),
    /// A retry rule, or the retry of request timeouts, repeats the attempt that has just ended.
    RetryScheduled {
        /// When the next request is due.
        at: Timestamp,
        /// Which try of its sequence that is; the first request counts as 1.
        r#try: u32,
        /// How many tries the sequence may have.
        limit: u32,
    },
    /// A server asked for patience, and the next request waits for it.
    HeldBack {
        /// No request begins before this.
        until: Timestamp,
        /// Whose response asked.
        by: HoldSource,
    },
    /// The watcher was too slow: so many events are missing here. What they said is in the numbers of the attempts that
    /// follow and in the outcome's history. See [`Events`] for the rule.
    Lagged {
        /// How many.
        missed: u64,
    },
    /// The outcome is decided and stored.
    Outcome(Arc<Outcome>),
}

/// Whose response holds a poll back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HoldSource {
    /// The poll's own.
    Own,
    /// That of another poll of the same origin and credentials, which got a 429 or 503. Its key may name another scope:
    /// whoever shows events to strangers leaves it out.
    Neighbour(PollKey),
}

impl Event {
    /// What an attempt says about the next one, as an event of its own; `None` if the next tick is simply the next.
    fn following(attempt: &Attempt) -> Option<Self> {
        let Next { at, why } = attempt.next?;
        match why {
            NextReason::Grid => None,
            NextReason::Retry { r#try, limit } => Some(Self::RetryScheduled { at, r#try, limit }),
            NextReason::Hint => Some(Self::HeldBack { until: at, by: HoldSource::Own }),
        }
    }
}
