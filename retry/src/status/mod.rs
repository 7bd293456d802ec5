//! HTTP status patterns, and choosing by them.
//!
//! ```text
//!   text ──► StatusPattern   429 · 500-599 · 5xx · 50x · all
//!        └─► StatusSet       comma list of those; what one key of a strategy map holds
//! ```
//!
//! What always holds: a pattern that exists can match at least one status from 100 to 999, so a misspelt key
//! is an error where it is written and not a strategy that silently never applies. Statuses are plain `u16`s;
//! this crate knows no HTTP client.

mod error;
mod pattern;
mod set;
#[cfg(feature = "serde")]
mod wire;

pub use error::StatusError;
pub use pattern::StatusPattern;
pub use set::StatusSet;
