//! What the engine works with: its views of the world, and what it needs to know to use them.
//!
//! Shared by the driver, its workers and whoever holds a handle; nothing here changes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::coalesce::Coalescer;
use crate::clock::Clock;
use crate::fetch::Fetch;
use crate::observe::Observer;
use crate::secret::SecretResolver;
use crate::store::Store;

/// What the engine works with.
pub(crate) struct Deps {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) fetch: Arc<dyn Fetch>,
    /// Where polls may share requests.
    pub(crate) coalescer: Option<Coalescer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) secrets: Arc<dyn SecretResolver>,
    pub(crate) observer: Observer,
    pub(crate) max_body: u64,
    pub(crate) grace: Duration,
}

impl fmt::Debug for Deps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deps").finish_non_exhaustive()
    }
}
