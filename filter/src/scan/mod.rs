//! JSON as bytes, read in one pass without a tree: what a document holds is told as it is passed.
//!
//! A [`Cursor`] stands before a value and either steps into it, member by member, or over it. It comes in two kinds.
//! `Cursor<true>` checks everything it passes and accepts what `serde_json::from_slice::<Value>` accepts, no more and
//! no less. `Cursor<false>` trusts the document: it finds the ends of values by their brackets and quotes, and what it
//! says of a document that is not JSON is unspecified, though never unsafe, a panic or more than linear time.
//!
//! ```text
//!  cursor ── steps ──► scalar      strings, numbers, words, in chunks of 16 bytes
//!         └─ skips ──► container   checked:  the whole grammar ─┐
//!                   └► brackets    trusted:  brackets, quotes  ─┴─ in blocks of 64 bytes, as words of bits (lanes, machine)
//! ```
//!
//! An error has no text: whoever needs one reads the document again with [`crate::json`], whose business words are.

mod brackets;
mod container;
mod cursor;
mod lanes;
mod machine;
mod raw;
mod scalar;
mod strings;
#[cfg(test)]
mod tests;

pub(crate) use cursor::{Cursor, Key, Kind, Member};
pub(crate) use raw::{Raw, unescape};

/// The document is not JSON, or nests too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// What reading gives.
pub(crate) type Scan<T> = Result<T, Invalid>;
