//! What can go wrong besides a poll itself: a spec, a store, a poller that is shutting down.

use std::fmt;
use std::sync::Arc;

use crate::fetch::FetchError;
use crate::outcome::Outcome;
use crate::spec::SpecError;
use crate::store::{PollKey, StoreError};

/// Why a poller could not do what was asked.
///
/// That a poll failed, timed out or was cancelled is an outcome, not an error; only
/// [`background_poll`](crate::Poller::background_poll), which promises a body, turns it into one.
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
#[derive(Clone, Debug)]
pub struct Error {
    kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Spec(SpecError),
    Key { message: String },
    Url(FetchError),
    Conflict { key: PollKey, fields: Vec<String> },
    Store(StoreError),
    Full { limit: usize },
    Shutdown,
    NotFound { key: PollKey },
    NotMatched { key: PollKey, outcome: Arc<Outcome> },
    Decode { key: PollKey, outcome: Arc<Outcome>, source: Arc<serde_json::Error> },
    Configuration { message: String },
}

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The spec, or the key given for it, is not valid, or its URL leads where the poller must not go.
    Spec,
    /// A poll of that key with another spec is there.
    Conflict,
    /// The store failed.
    Store,
    /// As many polls are open as the limits allow.
    Full,
    /// The poller is shutting down.
    Shutdown,
    /// There is no poll of that key.
    NotFound,
    /// The poll ended in another way than a match.
    NotMatched,
    /// The body that matched does not fit the type asked for; the stored outcome stays matched.
    Decode,
    /// The poller cannot be built like this.
    Configuration,
}

impl Error {
    /// What kind of error this is.
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

    /// The outcome, where the poll has one all the same.
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

    /// A poller that cannot be built like this, and why.
    #[must_use]
    pub fn configuration(message: impl Into<String>) -> Self {
        Kind::Configuration { message: message.into() }.into()
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self { kind }
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Spec(error) => error.fmt(f),
            Kind::Key { message } | Kind::Configuration { message } => f.write_str(message),
            Kind::Conflict { key, fields } => write!(
                f,
                "a poll with the key {key} exists with another spec; they differ in {}; use another key, or forget \
                 the poll that is there",
                fields.join(", ")
            ),
            Kind::Url(error) => write!(f, "the URL cannot be asked: {error}"),
            Kind::Store(error) => write!(f, "the store failed: {error}"),
            Kind::Full { limit } => {
                write!(f, "{limit} polls are open, which is the limit; wait for one to end, or raise it")
            }
            Kind::Shutdown => f.write_str("the poller is shutting down"),
            Kind::NotFound { key } => write!(f, "there is no poll with the key {key}"),
            Kind::NotMatched { key, outcome } => {
                write!(f, "the poll {key} ended {} after {} attempts", ended(outcome), outcome.attempts)?;
                match outcome.explanation() {
                    Some(explanation) => write!(f, ": {explanation}"),
                    None => Ok(()),
                }
            }
            Kind::Decode { key, source, .. } => {
                write!(f, "the poll {key} matched, but its body does not fit the type asked for: {source}")
            }
        }
    }
}

fn ended(outcome: &Outcome) -> &'static str {
    match outcome.name() {
        "failed" => "as failed",
        name => name,
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            Kind::Spec(error) => Some(error),
            Kind::Url(error) => Some(error),
            Kind::Store(error) => Some(error),
            Kind::Decode { source, .. } => Some(&**source),
            _ => None,
        }
    }
}
