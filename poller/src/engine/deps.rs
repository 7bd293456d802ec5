//! Immutable dependencies shared by the driver, the workers and all handles.

use std::sync::Arc;
use std::time::Duration;

use super::coalesce::Coalescer;
use super::judging::Judging;
use crate::clock::Clock;
use crate::fetch::Fetch;
use crate::observe::Observer;
use crate::secret::SecretResolver;
use crate::store::Store;
use crate::threads::Threads;

/// Implementations of the traits that the engine uses, and two limits.
pub(crate) struct Deps {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) fetch: Arc<dyn Fetch>,
    /// Set if polls may share requests.
    pub(crate) coalescer: Option<Coalescer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) secrets: Arc<dyn SecretResolver>,
    /// Where secrets are resolved.
    pub(crate) secret_threads: Threads,
    pub(crate) observer: Observer,
    pub(crate) judging: Judging,
    pub(crate) max_body: u64,
    pub(crate) grace: Duration,
}
