//! Containers whose copies share what has not changed since.
//!
//! A set of a million filters is copied whenever it changes under its readers, so a copy must cost next to nothing, and
//! a change must copy little. All of these are trees of chunks behind reference counts; a change copies the chunks that
//! it touches and that another copy still uses.

mod arena;
mod chunk;
mod chunked;
mod late;
mod list;
mod prefetch;
mod region;
mod table;
mod text;

pub(super) use arena::Arena;
pub(super) use late::Late;
pub(super) use list::List;
pub(super) use prefetch::prefetch;
pub(super) use table::Table;
pub(super) use text::Text;
