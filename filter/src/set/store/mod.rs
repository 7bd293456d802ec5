//! Containers whose clones share all data that does not change.
//!
//! A set of a million filters is cloned each time it changes while others read it, so a clone has to be cheap, and a change has
//! to copy little. These containers are lists of chunks with reference counts; a change copies only the chunks that it
//! modifies and that a clone still uses.

mod arena;
mod chunk;
mod chunked;
mod deferred;
mod list;
mod prefetch;
mod region;
mod sorted;
mod table;
mod text;

pub(super) use arena::Arena;
pub(super) use deferred::DeferredTable;
pub(super) use list::List;
pub(super) use prefetch::{prefetch, prefetch_event};
pub(super) use sorted::Sorted;
pub(super) use table::Table;
pub(super) use text::Text;
