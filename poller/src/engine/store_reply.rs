//! What the store has answered to one of the driver's calls.
//!
//! One type for all of them, apart from what anybody else may send: the driver counts the calls that are under way, and
//! so must know an answer of the store when it sees one. For the same reason there is one for every call, whatever the
//! store does with it.

use std::iter::repeat_with;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt as _;

use super::entry::PollId;
use crate::observe::Operation;
use crate::outcome::Outcome;
use crate::store::{Changes, Creation, OpenPolls, StoreError, StoredPoll};

/// An answer of the store.
pub(crate) enum StoreReply {
    /// Some of the polls that were open at the start.
    Loaded(Result<OpenPolls, StoreError>),
    /// What other processes did.
    Changed(Result<Changes, StoreError>),
    /// One poll, as it is now.
    Looked(Result<Option<StoredPoll>, StoreError>),
    /// How many finished polls were removed.
    Purged(Result<usize, StoreError>),
    /// The last attempts of open polls are written.
    Noted(Result<(), StoreError>),
    /// New polls are kept, each for itself.
    Created(Vec<(PollId, Result<Creation, StoreError>)>),
    /// An outcome is kept: this one, or the one that was there before.
    OutcomeSaved(PollId, Result<Arc<Outcome>, StoreError>),
}

/// What comes of a call. Where the store panics in it, it has failed; nobody else would say that it is over.
pub(super) async fn catch_panic<T>(
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    // What panicked is not asked for anything more. The store is asked again, as anybody may who shares it.
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| Err(panicked()))
}

/// What the store says of itself at once. A panic would end the driver, which asks.
pub(super) fn catch_panic_now<T>(call: impl FnOnce() -> T) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| panicked())
}

fn panicked() -> StoreError {
    StoreError::new("the store panicked; its reason is on the standard error of the process")
}

impl StoreReply {
    /// The answers for new polls: one for each, also where the store gave fewer.
    pub(super) fn created(
        ids: Vec<PollId>,
        results: Result<Vec<Result<Creation, StoreError>>, StoreError>,
    ) -> Self {
        let (results, error) = match results {
            Ok(results) => (results, StoreError::new("the store does not say whether it has kept the poll")),
            Err(error) => (Vec::new(), error),
        };
        let results = results.into_iter().chain(repeat_with(|| Err(error.clone())));
        Self::Created(ids.into_iter().zip(results).collect())
    }

    /// The call that this replies to.
    pub(super) const fn operation(&self) -> Operation {
        match self {
            Self::Loaded(_) => Operation::LoadOpen,
            Self::Changed(_) => Operation::Changes,
            Self::Looked(_) => Operation::Get,
            Self::Purged(_) => Operation::Purge,
            Self::Noted(_) => Operation::NoteAttempts,
            Self::Created(_) => Operation::Create,
            Self::OutcomeSaved(..) => Operation::Finish,
        }
    }

    /// What the store complains of.
    pub(super) fn error(&self) -> Option<&StoreError> {
        match self {
            Self::Loaded(result) => result.as_ref().err(),
            Self::Changed(result) => result.as_ref().err(),
            Self::Looked(result) => result.as_ref().err(),
            Self::Purged(result) => result.as_ref().err(),
            Self::Noted(result) => result.as_ref().err(),
            Self::Created(results) => results.iter().find_map(|(_, result)| result.as_ref().err()),
            Self::OutcomeSaved(_, result) => result.as_ref().err(),
        }
    }
}
