//! Reading JSON bytes in one pass, without a tree.
//!
//! A [`Cursor`] is at a value and steps either into it, member by member, or over it. There are two kinds. `Cursor<true>`
//! checks everything that it passes: it accepts exactly what `serde_json::from_slice::<Value>` accepts. `Cursor<false>` trusts
//! the document and finds the ends of values by their brackets and quotes. For a document that is not JSON, its results are
//! unspecified, but there is no panic and no undefined behaviour, and the time stays linear.
//!
//! ```text
//!  cursor ── steps ──► scalar      strings, numbers, words, in chunks of 16 bytes
//!         └─ skips ──► container   checked:  the whole grammar ─┐
//!                   └► brackets    trusted:  brackets, quotes  ─┴─ in blocks of 64 bytes, as words of bits (lanes, machine)
//! ```
//!
//! A [`Raw`] is the bytes of one value, passed before; a [`FieldCache`] finds the fields of many without reading an object twice.
//!
//! An error has no message. For a message, a caller parses the document again with [`crate::json`].

mod adjacent;
mod brackets;
mod container;
mod cursor;
mod field_cache;
mod lanes;
mod machine;
mod open;
mod raw;
mod scalar;
mod strings;
#[cfg(test)]
mod tests;

pub(crate) use cursor::{Cursor, Key, Member, NameEnds, ValueKind};
pub(crate) use field_cache::{Cached, FieldCache, NameTree};
pub(crate) use raw::{Raw, unescape};

/// The document is not JSON, or nested too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

pub(crate) type Scan<T> = Result<T, Invalid>;
