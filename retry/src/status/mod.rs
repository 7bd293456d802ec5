//! HTTP status patterns.
//!
//! ```text
//!   text ──► StatusPattern   429 · 500-599 · 5xx · 50x · all
//!        └─► StatusSet       comma list of patterns; a key of a strategy map
//! ```
//!
//! Every pattern matches at least one status from 100 to 999, so a misspelt key is an error and not a strategy that never
//! applies. Statuses are plain `u16`s; this crate depends on no HTTP client.

mod error;
mod pattern;
mod set;
#[cfg(feature = "serde")]
mod wire;

pub use error::StatusError;
pub use pattern::StatusPattern;
pub use set::StatusSet;
