//! Errors of the poller itself, as opposed to the outcomes of polls.

use std::sync::Arc;

use crate::fetch::FetchError;
use crate::job::SpecError;
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::store::StoreError;

/// Why a call of the poller failed.
///
/// A poll that failed, timed out or was cancelled has an outcome, which is no error; only
/// [`background_poll`](crate::Poller::background_poll), which promises a body, returns it as one.
///
/// ```
/// use poller::{ErrorKind, PollSpec, Poller};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let poller = Poller::builder().build().await?;
/// poller.submit("export-42", PollSpec::parse(r#"{"url": "https://export.invalid"}"#)?).await?;
/// let other = PollSpec::parse(r#"{"url": "https://export.invalid", "interval": 20}"#)?;
/// let error = poller.submit("export-42", other).await.unwrap_err();
/// assert_eq!((error.kind(), error.conflicting_fields()), (ErrorKind::Conflict, &["/interval".to_owned()][..]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error {
    #[from]
    kind: Kind,
}

#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Kind {
    #[error("{0}")]
    Spec(#[source] SpecError),
    #[error("{message}")]
    Key { message: String },
    #[error("the URL cannot be asked: {0}")]
    Url(#[source] FetchError),
    #[error(
        "a poll with the key {key} exists with another spec; they differ in {}; use another key, or forget the poll \
         that is there",
        .fields.join(", ")
    )]
    Conflict { key: PollKey, fields: Vec<String> },
    #[error("the store failed: {0}")]
    Store(#[source] StoreError),
    #[error("{limit} polls are open, which is the limit; wait for one to end, or raise it")]
    Full { limit: usize },
    #[error("the poller is shutting down")]
    Shutdown,
    #[error("there is no poll with the key {key}")]
    NotFound { key: PollKey },
    #[error("the poll {key} {}", describe(.outcome))]
    NotMatched { key: PollKey, outcome: Arc<Outcome> },
    #[error("the poll {key} matched, but its body does not fit the type asked for: {source}")]
    Decode { key: PollKey, outcome: Arc<Outcome>, source: Arc<serde_json::Error> },
    #[error("{message}")]
    Configuration { message: String },
}

fn describe(outcome: &Outcome) -> String {
    let name = if outcome.name() == "failed" { "as failed" } else { outcome.name() };
    let explanation = outcome.explanation().map(|text| format!(": {text}")).unwrap_or_default();
    format!("ended {name} after {} attempts{explanation}", outcome.attempts)
}

/// The kind of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The spec or its key is invalid, or the guard refuses its URL.
    Spec,
    /// A poll with this key and another spec exists.
    Conflict,
    /// The store failed.
    Store,
    /// As many polls are open as the limits allow.
    Full,
    /// The poller is shutting down.
    Shutdown,
    /// No poll with this key exists.
    NotFound,
    /// The poll ended without a match.
    NotMatched,
    /// The body that matched cannot be deserialized into the requested type; the stored outcome stays matched.
    Decode,
    /// The settings of the builder contradict each other.
    Configuration,
}

impl Error {
    /// The kind of the error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self.kind {
            Kind::Spec(_) | Kind::Key { .. } | Kind::Url(_) => ErrorKind::Spec,
            Kind::Conflict { .. } => ErrorKind::Conflict,
            Kind::Store(_) => ErrorKind::Store,
            Kind::Full { .. } => ErrorKind::Full,
            Kind::Shutdown => ErrorKind::Shutdown,
            Kind::NotFound { .. } => ErrorKind::NotFound,
            Kind::NotMatched { .. } => ErrorKind::NotMatched,
            Kind::Decode { .. } => ErrorKind::Decode,
            Kind::Configuration { .. } => ErrorKind::Configuration,
        }
    }

    /// The outcome of the poll, for [`NotMatched`](ErrorKind::NotMatched) and [`Decode`](ErrorKind::Decode).
    #[must_use]
    pub const fn outcome(&self) -> Option<&Arc<Outcome>> {
        match &self.kind {
            Kind::NotMatched { outcome, .. } | Kind::Decode { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// The members in which the specs of a [`Conflict`](ErrorKind::Conflict) differ, as JSON pointers.
    #[must_use]
    pub fn conflicting_fields(&self) -> &[String] {
        match &self.kind {
            Kind::Conflict { fields, .. } => fields,
            _ => &[],
        }
    }

    /// An error of kind [`Configuration`](ErrorKind::Configuration) with this message.
    #[must_use]
    pub fn configuration(message: impl Into<String>) -> Self {
        Kind::Configuration { message: message.into() }.into()
    }
}

impl From<SpecError> for Error {
    fn from(error: SpecError) -> Self {
        Kind::Spec(error).into()
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Kind::Store(error).into()
    }
}
