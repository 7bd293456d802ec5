//! Filters for JSON events: compiled once, matched often, and able to say why.
//!
//! ```
//! use filter::Filter;
//! use serde_json::json;
//!
//! let filter = Filter::parse(r#"{"type": [{"$startsWith": "order."}], "amount": {"$gte": 100}}"#)?;
//! assert!(filter.matches(&json!({"type": "order.paid", "amount": 120})));
//! # Ok::<(), filter::FilterError>(())
//! ```

mod ast;
mod compile;
mod convert;
mod diagnostic;
mod dialect;
mod error;
mod explain;
mod filter;
pub mod json;
mod limits;
mod lint;
mod matcher;
mod ops;
mod options;
mod program;
mod schema;
mod source;
mod warning;

pub use convert::Conversion;
pub use diagnostic::{Diagnostic, Severity, Span};
pub use dialect::{Dialect, UnknownDialect};
pub use error::FilterError;
pub use explain::{Check, Explanation};
pub use filter::Filter;
pub use json::JsonError;
pub use limits::Limits;
pub use options::FilterOptions;
pub use schema::schema;
pub use warning::{Warning, WarningKind};
