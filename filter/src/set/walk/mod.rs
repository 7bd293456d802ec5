//! An event walked once, by the fields that filters name, and judged object by object, from the inside out.

mod bytes;
mod tree;

pub(super) use bytes::{finish as finish_bytes, walk as walk_bytes};
pub(super) use tree::walk as walk_tree;

use super::index::Scratch;

/// The patterns found for the elements of an array, each of which counts once.
struct Union {
    from: usize,
    /// When to leave out what is there more than once.
    limit: usize,
}

/// How many patterns may be there more than once before they are looked through.
const LEAST: usize = 64;

impl Union {
    fn new(scratch: &Scratch) -> Self {
        let from = scratch.matched.len();
        Self { from, limit: from + LEAST }
    }

    /// Keeps what has been found from growing with the number of elements.
    fn thin_out(&mut self, scratch: &mut Scratch) {
        if scratch.matched.len() > self.limit {
            scratch.sort_matched(self.from);
            self.limit = self.from + LEAST + 2 * (scratch.matched.len() - self.from);
        }
    }
}
