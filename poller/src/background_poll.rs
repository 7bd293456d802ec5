//! `background_poll`: one call from a spec to the typed body of the response that matched.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::error::{Error, Kind};
use crate::job::PollSpec;
use crate::judge::BodyText;
use crate::key::PollKey;
use crate::outcome::{Outcome, OutcomeKind};
use crate::poller::Poller;
use crate::scope::Scope;

impl Poller {
    /// Runs a poll of the default scope to its end and returns the body that matched, as `T`.
    ///
    /// Dropping the returned future does not cancel the poll.
    ///
    /// # Errors
    /// As [`submit`](Self::submit); and if the poll ended without a match, or its body does not fit `T`. Both errors carry
    /// the [outcome](Error::outcome).
    pub async fn background_poll<T: DeserializeOwned>(
        &self,
        key: impl Into<String>,
        spec: PollSpec,
    ) -> Result<Matched<T>, Error> {
        self.default_scope().background_poll(key, spec).await
    }
}

impl Scope {
    /// Runs a poll to its end and returns the body that matched, as `T`; see [`Poller::background_poll`].
    ///
    /// # Errors
    /// As [`submit`](Self::submit); and if the poll ended without a match, or its body does not fit `T`. Both errors carry
    /// the [outcome](Error::outcome).
    pub async fn background_poll<T: DeserializeOwned>(
        &self,
        key: impl Into<String>,
        spec: PollSpec,
    ) -> Result<Matched<T>, Error> {
        let poll = self.submit(key, spec).await?;
        let outcome = poll.outcome().await?;
        Matched::from_outcome(poll.poll_key(), &outcome)
    }
}

/// The result of a poll that matched, its body as `T`; from [`Poller::background_poll`].
///
/// ```
/// use poller::{Matched, PollSpec, Poller};
///
/// #[derive(serde::Deserialize)]
/// struct Export {
///     download_url: String,
/// }
///
/// async fn url_of(poller: &Poller, spec: PollSpec) -> Result<String, poller::Error> {
///     let done: Matched<Export> = poller.background_poll("export-42", spec).await?;
///     println!("{} after {} attempts in {:?}", done.status, done.attempts, done.elapsed);
///     Ok(done.value.download_url)
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Matched<T> {
    /// The body.
    pub value: T,
    /// The body as received.
    pub body: Bytes,
    /// The status of the response.
    pub status: u16,
    /// The number of requests made.
    pub attempts: u32,
    /// The time from acceptance to outcome.
    pub elapsed: Duration,
}

impl<T: DeserializeOwned> Matched<T> {
    fn from_outcome(key: &PollKey, outcome: &Arc<Outcome>) -> Result<Self, Error> {
        let OutcomeKind::Matched { response } = &outcome.kind else {
            return Err(Kind::NotMatched { key: key.clone(), outcome: Arc::clone(outcome) }.into());
        };
        // As it was judged: without a byte order mark, and with U+FFFD for what is not UTF-8.
        let body = BodyText::new(response.body());
        let value = serde_json::from_str(body.json()).map_err(|source| Kind::Decode {
            key: key.clone(),
            outcome: Arc::clone(outcome),
            source: Arc::new(source),
        })?;
        Ok(Self {
            value,
            body: response.body().clone(),
            status: response.status(),
            attempts: outcome.attempts,
            elapsed: outcome.elapsed(),
        })
    }
}
