//! [`StoreFuture`]: the result of a call of a store, and [`StoreError`]: its failure.

use std::sync::Arc;

use crate::clock::BoxFuture;
use crate::key::PollKey;

/// The result of a call of a store, once it is there.
///
/// ```
/// use poller::store::StoreFuture;
///
/// fn none_open<'a>() -> StoreFuture<'a, usize> {
///     Box::pin(std::future::ready(Ok(0)))
/// }
/// ```
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// The failure of a store.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    message: String,
    unusable: bool,
    not_found: bool,
    #[source]
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// An error whose message says what was tried, what happened and what to do.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), unusable: false, not_found: false, source: None }
    }

    /// The same, with its cause.
    #[must_use]
    pub fn with_source(
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { source: Some(Arc::from(source.into())), ..Self::new(message) }
    }

    /// An error after which no call of this store can succeed: the file was removed, or another process runs its polls. The
    /// engine stops.
    #[must_use]
    pub fn unusable(message: impl Into<String>) -> Self {
        Self::new(message).into_unusable()
    }

    /// The same error, as one after which no call can succeed.
    #[must_use]
    pub fn into_unusable(self) -> Self {
        Self { unusable: true, ..self }
    }

    /// Whether no later call of the store can succeed.
    #[must_use]
    pub const fn is_unusable(&self) -> bool {
        self.unusable
    }

    pub(crate) fn not_found(key: &PollKey) -> Self {
        Self { not_found: true, ..Self::new(format!("the poll {key} is not in the store")) }
    }

    /// Whether the store has no such poll: it is not the store that fails.
    pub(crate) const fn is_not_found(&self) -> bool {
        self.not_found
    }
}
