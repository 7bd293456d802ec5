//! Events for watchers: those of one poll, and those of all polls of a poller.
//!
//! ```text
//!  engine ─┬─► feed (bounded, per watcher) ─► Events (a Stream): replay, live, and events derived from attempts
//!          └─► poller_events ───────────────► PollerEvents (a Stream): all polls, and store trouble
//! ```
//!
//! The engine sends its decisions: a request begins, a request ended, another poll's hint holds this one back, the poll has
//! its outcome. A scheduled retry and the poll's own hint are part of the attempt; [`Events`] derives their events from it,
//! for live and replayed attempts alike, so that the engine does not send them.

mod feed;
mod poller_events;
mod stream;

use std::sync::Arc;

pub(crate) use self::feed::{Feed, Feeder, feed};
pub(crate) use self::poller_events::{CAPACITY, Subscriber, subscription};
pub use self::poller_events::{PollerEvent, PollerEvents, StoreOperation};
pub use self::stream::Events;
use crate::clock::Timestamp;
use crate::key::PollKey;
use crate::outcome::{Attempt, Next, NextReason, Outcome};

/// One step in the life of a poll. [`Outcome`](Event::Outcome) is always the last.
///
/// ```text
///  Requesting ─► Attempted ─┬───────────────────────────┬─► Requesting ─► …
///                           ├─► RetryScheduled ─────────┤
///                           ├─► HeldBack (own, or a     ┘
///                           │            neighbour's)
///                           └─► Outcome
/// ```
///
/// ```
/// use poller::http::{Guard, HttpClient};
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
///         Event::Lagged { missed } => format!("{missed} events were dropped"),
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
    /// A request ended, with its result, its unmet conditions and the next due time.
    Attempted(Attempt),
    /// A retry rule, or the retry of request timeouts, repeats the attempt.
    RetryScheduled {
        /// The due time of the next request.
        at: Timestamp,
        /// The number of that request within its retry sequence; the first counts as 1.
        r#try: u32,
        /// The maximum number of tries of the sequence.
        limit: u32,
    },
    /// The next request waits, because a server asked for a delay.
    HeldBack {
        /// No request begins before this.
        until: Timestamp,
        /// The poll whose response asked for it.
        by: HoldSource,
    },
    /// This many events are missing here, because the watcher was too slow. The attempts that follow and the history of the
    /// outcome make up for them. See [`Events`] for the rule.
    Lagged {
        /// The number of dropped events.
        missed: u64,
    },
    /// The outcome, decided and stored.
    Outcome(Arc<Outcome>),
}

/// The poll whose response holds a poll back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HoldSource {
    /// The poll itself.
    Own,
    /// Another poll with the same origin and credentials, which got a 429 or, in the same scope, a 503. Its key may belong
    /// to another scope: do not show it to users of this one.
    Neighbour(PollKey),
}

impl Event {
    /// The event derived from the next due time of an attempt; `None` if that is the next tick.
    fn following(attempt: &Attempt) -> Option<Self> {
        let Next { at, why } = attempt.next?;
        match why {
            NextReason::Grid => None,
            NextReason::Retry { r#try, limit } => Some(Self::RetryScheduled { at, r#try, limit }),
            NextReason::Hint => Some(Self::HeldBack { until: at, by: HoldSource::Own }),
        }
    }
}
