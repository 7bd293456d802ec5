//! Filters for JSON events: compiled once, matched often, with explanations of every mismatch.
//!
//! A filter is a JSON object of conditions on the fields of an event, or conditions on the event itself. It is data: users can write it, files and databases
//! can store it, and one process can check it before another runs it. This crate compiles filters, matches them against
//! events, reports errors in filters, and explains why an event does not match. It does no I/O and needs no runtime.
//!
//! ```
//! use filter::Filter;
//! use serde_json::json;
//!
//! let filter = Filter::parse(r#"{"type": [{"$startsWith": "order."}], "amount": {"$gte": 100}}"#)?;
//!
//! assert!(filter.matches(&json!({"type": "order.paid", "amount": 120})));
//!
//! let explanation = filter.explain(&json!({"type": "order.paid", "amount": 99}));
//! assert_eq!(explanation.summary().as_deref(), Some("amount is 99, expected >= 100"));
//!
//! let error = Filter::parse(r#"{"type": {"$startWith": "order."}}"#).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     r#"/type/$startWith: unknown operator "$startWith"; did you mean "$startsWith"?"#,
//! );
//! # Ok::<(), filter::FilterError>(())
//! ```
//!
//! # The language
//!
//! `docs/filter-language.md` in the repository is the guide. In short:
//!
//! | filter | matches where |
//! | --- | --- |
//! | `{"a": 1, "b": "x"}` | every field has the given value |
//! | `{"a": [1, 2, {"$gt": 5}]}` | any of the conditions holds for the field |
//! | `{"a": {"$gt": 1, "$lt": 5}}` | all of the operators hold for it |
//! | `{"a": {"b": 1}}` | the filter inside matches the field, or an element of it |
//! | `{"$or": [{…}, {…}]}`, `$and`, `$nor` | any, all, none of the filters match |
//! | `{"a": {"$gt": {"$ref": "/b"}}}` | a field compares so with another one |
//! | `{"$some": {…}}`, `["x", {"$gt": 5}]` | the event itself, an array or scalar, satisfies the conditions |
//!
//! Operators: `$startsWith` `$endsWith` `$contains` `$ignoreCaseEquals` `$ignoreCase` `$regex` `$wildcard` `$cidr` · `$eq` `$gt` `$gte`
//! `$lt` `$lte` `$between` · `$before` `$after` · `$includes` `$size` `$some` `$every` · `$exists` `$isNull` · `$anythingBut` `$not` `$all`
//! `$none`.
//!
//! Filters of Trigger.dev and event patterns of EventBridge compile as they are, each in its [`Dialect`], and can be
//! [converted](Conversion). [`schema`] gives the JSON Schema of a dialect, for editors.
//!
//! # Many filters at once
//!
//! A [`FilterSet`] holds filters with ids and returns the ids of the matching ones. The time per event grows with the number of
//! filters that nearly match, not with the size of the set. A [`LiveSet`] can be changed while other threads match with it.
//!
//! ```
//! use filter::{Filter, FilterSet};
//!
//! let set = FilterSet::builder()
//!     .add("paid", Filter::parse(r#"{"type": "order.paid"}"#)?)
//!     .add("large", Filter::parse(r#"{"amount": {"$gte": 1000}}"#)?)
//!     .build();
//! assert_eq!(set.matches_slice(br#"{"type": "order.paid", "amount": 1200}"#)?, [&"paid", &"large"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it works
//!
//! ```text
//!  text ──► spanned JSON ──► typed tree ──► program ──┬──► evaluator: matches, explain
//!           json::Node       one for all     flat     │
//!           with spans       dialects        arrays   └──► index ◄── walk ◄── bytes or value
//!                                                          of a FilterSet, or of one filter: matches_slice
//! ```
//!
//! Filters of only fields and strings, the most frequent ones in large sets, are compiled directly from text.
//!
//! The compiler reports all errors at once, each with a code, a JSON pointer, a byte span, and help
//! ([`FilterError::diagnostics`]). A filter that compiles, but probably does not have the intended meaning, has
//! [warnings](Filter::warnings). The meaning of each operator is defined in one place that all engines share, so they cannot
//! disagree.
//!
//! Bytes are walked once, without building a tree; fields that no filter names are skipped 64 bytes at a time.
//! [`Filter::matches_valid_slice`] and its counterparts on sets, for documents that are known to be valid, check nothing and
//! stop when the answer is known.
//!
//! # Promises
//!
//! - No input, filter or event, panics, overflows the stack, or takes more time than its size times the number of
//!   conditions. [`Limits`] bound depth, text and regular expressions; exceeding a limit is an error.
//! - [`Filter::matches`] does not allocate, except for nested arrays under the event-bridge dialect. Matching bytes does not
//!   allocate after a thread's first events, except for strings with escapes.
//! - Numbers are compared exactly, integers within 64 bits and floats alike. Events are read with correctly rounded
//!   floats by [`Filter::matches_slice`], [`Filter::explain_slice`] and [`Document`]; serde_json does
//!   so only with its `float_roundtrip` feature, so a float in a `Value` that it parsed may be off by the last bit.
//! - [`serde_json::Value`], a public type here, belongs to the version of serde_json that this crate re-exports.
//! - A [`Filter`] is cheap to clone, and can be shared between threads.
//!
//! # When not to use this
//!
//! - To **compute or reshape** values rather than select them: jq or CEL.
//! - To **validate** documents and report what they lack: JSON Schema.
//! - To compare fields **with each other**, or with the time: a filter compares fields only with its own literals.
//! - For text that is **not JSON**, such as log lines: a regular expression.
//!
//! # Features
//!
//! Both are on by default.
//!
//! - `collation`: `$ignoreCaseEquals`, with Unicode's collation data. Without it a filter with the operator is
//!   an error; case-insensitive operators of the event-bridge dialect remain.
//! - `regex-unicode`: Unicode classes (`\d`, `\w`, `\p{Greek}`) and case-insensitivity in `$regex`. Without it a pattern that
//!   uses them is an error; `[0-9]` and `(?-u:\d)` work.
//!
//! `no_std` is not offered: the `regex` crate is much slower without the standard library, and a hash map, a lock for the
//! collator and IP addresses would have to come from elsewhere.

mod ast;
mod compile;
mod convert;
pub mod decode;
mod diagnostic;
mod dialect;
mod document;
mod error;
mod explain;
mod filter;
mod implication;
pub mod json;
mod limits;
mod lint;
mod matcher;
mod ops;
mod options;
mod program;
mod scan;
mod schema;
mod set;
mod source;

pub use convert::Conversion;
pub use diagnostic::{Code, Diagnostic, Severity, Span, Warning};
pub use dialect::{Dialect, UnknownDialect};
pub use document::Document;
pub use error::FilterError;
pub use explain::{Check, Explanation};
pub use filter::Filter;
pub use json::JsonError;
pub use limits::Limits;
pub use matcher::{Effort, Exhausted};
pub use options::FilterOptions;
pub use schema::schema;
pub use serde_json;
pub use set::{FilterSet, FilterSetBuilder, LiveSet, Matches, OneByOne, SetStats};

/// The examples of the README, tested with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
