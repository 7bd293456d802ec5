//! Replies of the store to the calls of the driver.
//!
//! The driver counts the calls under way, so every call must end in exactly one reply, even if the store panics.

use std::iter::repeat_with;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt as _;

use super::entry::PollId;
use crate::key::PollKey;
use crate::observe::Operation;
use crate::outcome::Outcome;
use crate::store::{Changes, Creation, OpenPolls, StoreError, StoredPoll};

/// A reply of the store.
pub(crate) enum StoreReply {
    /// A batch of the polls that were open at the start.
    Loaded(Result<OpenPolls, StoreError>),
    /// Changes by other processes.
    Changed(Result<Changes, StoreError>),
    /// The present state of one poll.
    Reread(PollKey, Result<Option<StoredPoll>, StoreError>),
    /// Another process was asked to cancel a poll.
    CancelRequested(Result<bool, StoreError>),
    /// The number of ended polls that were removed.
    Purged(Result<usize, StoreError>),
    /// The last attempts of open polls were written.
    Noted(Result<(), StoreError>),
    /// New polls were stored, each with its own result.
    Created(Vec<(PollId, Result<Creation, StoreError>)>),
    /// The URL that a poll follows was stored.
    LinkSaved(PollId, Result<(), StoreError>),
    /// An outcome was stored; the result is the outcome in the store, which may be an earlier one.
    OutcomeSaved(PollId, Result<Arc<Outcome>, StoreError>),
}

/// The result of a call; a panic of the store becomes an error.
pub(super) async fn catch_panic<T>(
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    // The future that panicked is not polled again. The store is used again, like by its other owners.
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| Err(panicked()))
}

/// The same for a synchronous call, whose panic would end the driver.
pub(super) fn catch_panic_now<T>(call: impl FnOnce() -> T) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| panicked())
}

fn panicked() -> StoreError {
    StoreError::new("the store panicked; its reason is on the standard error of the process")
}

impl StoreReply {
    /// The reply for new polls: one result for each, even if the store returned fewer.
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

    /// The call that this replies to, and the error of the store, or the first of several.
    pub(super) fn call(&self) -> (Operation, Option<&StoreError>) {
        match self {
            Self::Loaded(result) => (Operation::LoadOpen, result.as_ref().err()),
            Self::Changed(result) => (Operation::Changes, result.as_ref().err()),
            Self::Reread(_, result) => (Operation::Get, result.as_ref().err()),
            Self::CancelRequested(result) => (Operation::Cancel, result.as_ref().err()),
            Self::Purged(result) => (Operation::Purge, result.as_ref().err()),
            Self::Noted(result) => (Operation::NoteAttempts, result.as_ref().err()),
            Self::Created(results) => {
                (Operation::Create, results.iter().find_map(|(_, result)| result.as_ref().err()))
            }
            Self::LinkSaved(_, result) => (Operation::Follow, result.as_ref().err()),
            Self::OutcomeSaved(_, result) => (Operation::Finish, result.as_ref().err()),
        }
    }
}
