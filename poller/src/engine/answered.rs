//! What the store has answered to one of the driver's calls.
//!
//! One type for all of them, apart from what anybody else may send: the driver counts the calls that are under way, and
//! so must know an answer of the store when it sees one.

use std::sync::Arc;

use super::entry::PollId;
use crate::outcome::Outcome;
use crate::store::{Changes, Creation, OpenPolls, StoreError, StoredPoll};

/// An answer of the store.
pub(crate) enum Answered {
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
    Finished(PollId, Result<Arc<Outcome>, StoreError>),
}

impl Answered {
    /// What the store complains of.
    pub(super) fn error(&self) -> Option<&StoreError> {
        match self {
            Self::Loaded(result) => result.as_ref().err(),
            Self::Changed(result) => result.as_ref().err(),
            Self::Looked(result) => result.as_ref().err(),
            Self::Purged(result) => result.as_ref().err(),
            Self::Noted(result) => result.as_ref().err(),
            Self::Created(results) => results.iter().find_map(|(_, result)| result.as_ref().err()),
            Self::Finished(_, result) => result.as_ref().err(),
        }
    }
}
