//! A poll to create, whose name and row fit into an index.

use std::sync::Arc;

use super::Inner;
use super::reads::is_storable;
use crate::key::PollKey;
use crate::store::{StoreError, StoredPoll};

/// The longest scope and key together, in bytes: they stand in an index row, which PostgreSQL limits to 2704 bytes.
const LONGEST_NAME: usize = 2000;

/// The longest URL and name together that stand in one index row.
const LONGEST_ROW: usize = 2400;

/// A poll to create.
pub(super) struct NewPoll<'p> {
    /// Its position in the call.
    pub(super) position: usize,
    pub(super) shard: i32,
    pub(super) poll: &'p StoredPoll,
    pub(super) key: &'p PollKey,
    pub(super) text: Arc<str>,
    pub(super) url: &'p str,
    /// The receiver of its webhook.
    pub(super) webhook: Option<String>,
    pub(super) incarnation: i64,
}

impl NewPoll<'_> {
    /// The URL in the index row, unless it is too long.
    pub(super) fn url_in_row(&self) -> Option<&str> {
        let fits = self.url.len() + self.key.scope().len() + self.key.key().len() <= LONGEST_ROW;
        fits.then_some(self.url)
    }
}

impl Inner {
    /// Why a poll of this name cannot be stored, if so.
    fn check_name(key: &PollKey) -> Result<(), StoreError> {
        let length = key.scope().len() + key.key().len();
        if !is_storable(key) {
            return Err(StoreError::new(
                "the key or its scope has a NUL character, which PostgreSQL cannot store",
            ));
        }
        if length > LONGEST_NAME {
            return Err(StoreError::new(format!(
                "the key and its scope have {length} bytes; expected at most {LONGEST_NAME}"
            )));
        }
        Ok(())
    }

    /// A poll as it is stored.
    pub(super) fn new_poll<'p>(
        &self,
        position: usize,
        poll: &'p StoredPoll,
    ) -> Result<NewPoll<'p>, StoreError> {
        Self::check_name(&poll.key)?;
        let stored = Self::stored(&poll.key, &poll.spec)?;
        Ok(NewPoll {
            position,
            shard: self.shard_of(&poll.key),
            poll,
            key: &poll.key,
            text: stored.text,
            url: poll.spec.url_text(),
            webhook: stored.receiver,
            incarnation: self.random(),
        })
    }
}
