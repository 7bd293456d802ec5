//! The arrays and objects that are open while a document is checked, with one bit each.

use super::{Invalid, Scan};
use crate::limits::Limits;

/// The number of times that [`Open::top`] can be full.
pub(super) const OUTER: usize = Limits::MAX_DEPTH / 64 + 1;

/// The stack of open containers.
#[derive(Debug)]
pub(super) struct Open<'o> {
    /// The innermost 64 or fewer, the innermost in the lowest bit: one for an object, zero for an array. Ones above these.
    top: u64,
    /// The value of `top` each time it was full. Not in here, so that the rest can be in registers.
    outer: &'o mut [u64; OUTER],
    pub(super) depth: usize,
    room: usize,
}

impl<'o> Open<'o> {
    #[inline(always)]
    pub(super) fn new(room: usize, outer: &'o mut [u64; OUTER]) -> Self {
        Self { top: !0, outer, depth: 0, room: room.min(Limits::MAX_DEPTH) }
    }

    #[inline(always)]
    pub(super) fn is_object(&self) -> bool {
        self.top & 1 == 1
    }

    #[inline(always)]
    pub(super) fn push(&mut self, object: bool) -> Scan<()> {
        if self.depth >= self.room {
            return Err(Invalid);
        }
        if self.depth.is_multiple_of(64) {
            self.outer[self.depth / 64] = self.top;
        }
        self.top = self.top << 1 | u64::from(object);
        self.depth += 1;
        Ok(())
    }

    /// Opens and closes objects of one array by turns. `open` is whether one is open at the end. Changes nothing and returns false
    /// if the container around them is no array, or if the room or `outer` would matter.
    #[inline(always)]
    pub(super) fn siblings(&mut self, open: bool) -> bool {
        // Mostly an object is open at the end as at the beginning, and nothing changes. A zero is an array: above the containers that
        // `top` still has are ones.
        if open && self.top & 0b11 == 0b01 {
            return true;
        }
        let (inside, open) = (self.top & 1, u64::from(open));
        let (array, depth) = (self.top >> inside, self.depth - inside as usize);
        let level = depth % 64;
        if array & 1 == 1 || level == 0 || level == 63 || depth >= self.room {
            return false;
        }
        self.top = array << open | open;
        self.depth = depth + open as usize;
        true
    }

    /// Opens and closes these numbers of arrays, in any order. Changes nothing and returns false if an object could be the innermost
    /// container meanwhile, or if the room or `outer` would matter.
    #[inline(always)]
    pub(super) fn arrays(&mut self, opened: u32, closed: u32) -> bool {
        let (opened, closed) = (opened as usize, closed as usize);
        let level = self.depth % 64;
        if closed >= level.min(self.top.trailing_zeros() as usize)
            || level + opened >= 64
            || self.depth + opened > self.room
        {
            return false;
        }
        self.top = self.top >> closed << opened;
        self.depth = self.depth + opened - closed;
        true
    }

    /// Closes the innermost container and returns whether none is left.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> bool {
        self.depth -= 1;
        self.top = self.top >> 1 | 1 << 63;
        if self.depth.is_multiple_of(64) {
            self.top = self.outer[self.depth / 64];
            return self.depth == 0;
        }
        false
    }
}
