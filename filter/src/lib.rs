//! Filters for JSON events: compiled once, matched often, and able to say why.
//!
//! A filter is a JSON object that says what an event must look like: which fields, and what of each. It is data, so
//! that users can write it, files and databases can hold it, and one process can check what another will run. This
//! crate compiles filters, matches them against events, and tells people what is wrong with a filter or why an event
//! does not match. It does no I/O and needs no runtime.
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
//! | `{"a": 1, "b": "x"}` | every field is as it says |
//! | `{"a": [1, 2, {"$gt": 5}]}` | any of the conditions holds for the field |
//! | `{"a": {"$gt": 1, "$lt": 5}}` | all of the operators hold for it |
//! | `{"a": {"b": 1}}` | the filter inside matches the field, or an element of it |
//! | `{"$or": [{…}, {…}]}`, `$and`, `$nor` | any, all, none of the filters match |
//!
//! Operators: `$startsWith` `$endsWith` `$contains` `$ignoreCaseEquals` `$regex` `$wildcard` `$cidr` · `$gt` `$gte` `$lt`
//! `$lte` `$between` · `$includes` `$size` `$some` `$every` · `$exists` `$isNull` · `$anythingBut` `$not` `$all` `$none`.
//!
//! Filters of Trigger.dev and event patterns of EventBridge compile as they are, each in its [`Dialect`], and can be
//! [converted](Conversion). [`schema`] gives the JSON Schema of a dialect, for editors.
//!
//! # Many filters at once
//!
//! A [`FilterSet`] holds filters with ids and says which of them match, in a time that grows with those that nearly do and
//! not with all there are; a [`LiveSet`] is one that changes while others match with it.
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
//!           keeps places     dialects        arrays   └──► index ◄── walk ◄── bytes or value
//!                                                          of a FilterSet, or of one filter: matches_slice
//! ```
//!
//! Filters of nothing but fields and strings, the commonest of large sets, are read from text to program at once.
//!
//! Reading reports all errors at once, each with a JSON pointer, a byte span, and help ([`FilterError::diagnostics`]).
//! What compiles but hardly means what was meant is a [`Warning`]. What an operator means is written down in one
//! place, which all engines ask, so that they cannot disagree.
//!
//! Bytes are walked once, without a tree: what no filter names is passed 64 bytes at a time. For documents that
//! are known to be valid there are [`Filter::matches_valid_slice`] and its like on sets, which check nothing and stop when
//! the answer is known.
//!
//! # Promises
//!
//! - No input, filter or event, panics, overflows the stack, or takes more time than its size times the number of
//!   conditions. [`Limits`] bound depth, text and regular expressions; past a limit there is an error.
//! - [`Filter::matches`] allocates nothing, but for arrays in arrays under the event-bridge dialect. On bytes nothing is
//!   allocated once a thread has matched its first events, but for strings with escapes.
//! - Numbers are compared exactly, integers within 64 bits and floats alike. Events are read with correctly rounded
//!   floats by [`Filter::matches_slice`], [`Filter::explain_slice`] and [`Document`]; serde_json only does that with its
//!   `float_roundtrip` feature, so in a `Value` that it parsed a float may be off by the last bit.
//! - A [`Filter`] is cheap to clone, and can be shared between threads.
//!
//! # When not to use this
//!
//! - To **compute or reshape** values rather than select them: jq or CEL.
//! - To **validate** documents and report what they lack: JSON Schema.
//! - To compare fields **with each other**, or with the time: a filter only compares them with what it was written with.
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
pub use options::FilterOptions;
pub use schema::schema;
pub use set::{FilterSet, FilterSetBuilder, LiveSet, Matches, SetStats};

/// The examples of the README, tested with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
