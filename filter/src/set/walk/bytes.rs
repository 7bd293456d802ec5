//! The walk over bytes: one pass, no tree. What no filter names is passed without being looked at, but for what makes it
//! JSON.

use super::Union;
use crate::scan::{Cursor, Key, Kind, Member, Raw, Scan, unescape};
use crate::set::index::{Expect, Held, Index, Judge, Level, ROOT, Scope, Scratch};

/// Leaves the rules that match in `scratch.matched`, or `AT_ONCE` is false and this is the first half of it, after which what is
/// needed has to be [fetched](Index::fetch_found) and [`finish`] called: objects are put off then, but for those in arrays.
///
/// Of a document that is not `CHECKED`, only as much is read as it takes to know the answer.
pub(in crate::set) fn walk<const CHECKED: bool, const AT_ONCE: bool>(
    index: &Index,
    bytes: &[u8],
    depth: usize,
    scratch: &mut Scratch,
    expect: Expect<'_>,
) -> Scan<()> {
    scratch.prepare(index.slots());
    let cursor = Cursor::new(bytes, depth)?;
    let mut walk = Walk::<CHECKED, AT_ONCE> { index, bytes, cursor, scratch, expect, arrays: 0 };
    match walk.cursor.kind()? {
        Kind::Object => {
            walk.object(ROOT, false)?;
        }
        kind => {
            walk.cursor.skip(kind)?;
            walk.scratch.matched.extend(index.without_fields(kind == Kind::Null));
        }
    }
    if CHECKED { walk.cursor.end() } else { Ok(()) }
}

/// The second half: leaves the rules that match in `scratch.matched`.
pub(in crate::set) fn finish(index: &Index, bytes: &[u8], scratch: &mut Scratch, expect: Expect<'_>) {
    let mut rules = 0;
    for at in 0..scratch.pending.len() {
        let object = scratch.pending[at];
        rules = scratch.matched.len();
        let scope = Fields { bytes, stamp: object.stamp };
        Judge { index, scratch, scope, expect, buried: false }.put_off(object);
    }
    scratch.matched.drain(..rules);
}

/// A walk that judges objects `AT_ONCE` when it has walked them, or puts them off.
struct Walk<'a, const CHECKED: bool, const AT_ONCE: bool> {
    index: &'a Index,
    bytes: &'a [u8],
    cursor: Cursor<'a, CHECKED>,
    scratch: &'a mut Scratch,
    expect: Expect<'a>,
    /// How many arrays it is in that have objects of a level: of those there may be many, each of which takes the place of the
    /// one before, so that they cannot be put off.
    arrays: u32,
}

/// How many objects the cursor still stands inside of which nothing more needs to be known.
type Inside = u32;

impl<const CHECKED: bool, const AT_ONCE: bool> Walk<'_, CHECKED, AT_ONCE> {
    /// Walks the object that the cursor stands before, and appends the patterns of its level that hold.
    fn object(&mut self, level: u32, buried: bool) -> Scan<Inside> {
        let began = self.scratch.mark();
        let stamp = self.scratch.stamp();
        let here = self.index.level(level);
        let mut missing = here.children();
        let mut inside = 0;
        if self.cursor.open(b'}')? {
            loop {
                let (new, open) = match self.cursor.short_member() {
                    Some(member) => match self.index.child_at(here, level, member.key.raw) {
                        Some(slot) => self.field(slot, stamp, member)?,
                        None => self.pass(member)?,
                    },
                    None => self.any_member(here, level, stamp)?,
                };
                missing -= u32::from(new);
                if !CHECKED && missing == 0 {
                    inside = open + 1;
                    break;
                }
                self.leave(open)?;
                if !self.cursor.more(b'}')? {
                    break;
                }
            }
        }
        if self.puts_off() {
            self.scratch.put_off(level, began, stamp);
            return Ok(inside);
        }
        let inner = self.scratch.matched.len();
        let scope = Fields { bytes: self.bytes, stamp };
        Judge { index: self.index, scratch: self.scratch, scope, expect: self.expect, buried }
            .object(level, began);
        if inner > began.matched {
            self.scratch.matched.drain(began.matched..inner);
        }
        Ok(inside)
    }

    #[inline(always)]
    fn puts_off(&self) -> bool {
        !AT_ONCE && self.arrays == 0
    }

    fn leave(&mut self, inside: Inside) -> Scan<()> {
        for _ in 0..inside {
            self.cursor.leave(b'}')?;
        }
        Ok(())
    }

    /// Passes a member that no filter names.
    #[inline(always)]
    fn pass(&mut self, member: Member<'_>) -> Scan<(bool, Inside)> {
        if !member.passed {
            self.cursor.skip(member.kind)?;
        }
        Ok((false, 0))
    }

    /// A member that is not [short](Cursor::short_member).
    #[inline(never)]
    fn any_member(&mut self, here: &Level, level: u32, stamp: u64) -> Scan<(bool, Inside)> {
        let member = self.cursor.any_member()?;
        let child = match member.key {
            Key { escaped: true, .. } => self.index.child_at(here, level, unescape(member.key).as_bytes()),
            Key { raw, escaped: false } => self.index.child_at(here, level, raw),
        };
        match child {
            Some(slot) => self.field(slot, stamp, member),
            None => self.pass(member),
        }
    }

    /// Walks the value of a field; whether the object has not had it before.
    fn field(&mut self, slot: u32, stamp: u64, member: Member<'_>) -> Scan<(bool, Inside)> {
        let Member { kind, start, passed, .. } = member;
        let from = self.scratch.matched.len();
        let (mut inside, mut plain) = (0, passed);
        match (kind, self.index.inner(slot)) {
            _ if passed => {}
            (Kind::Object, Some(level)) => {
                inside = self.object(level, false)?;
                if self.puts_off() {
                    self.scratch.put_off_value_of(slot, start);
                }
                // What is asked of the object as a whole needs all of it.
                if !self.index.only_inner(slot) {
                    self.leave(std::mem::take(&mut inside))?;
                }
            }
            (Kind::Array, Some(level)) => self.array(level)?,
            (Kind::String, _) => plain = !self.cursor.string()?.escaped,
            _ => self.cursor.skip(kind)?,
        }
        let list = (from, self.scratch.matched.len());
        let end = self.cursor.at();
        let mut sought = None;
        if kind == Kind::String && plain {
            let text = self.bytes.get(start + 1..end - 1).unwrap_or_default();
            sought = self.index.anticipate(slot, text, self.scratch);
        }
        let held = Held { stamp, kind, plain, start, end, sought, list };
        Ok((self.scratch.hold(slot, held), inside))
    }

    /// Walks the array that the cursor stands before, and appends the patterns of a level that hold for some element.
    fn array(&mut self, level: u32) -> Scan<()> {
        let mut union = Union::new(self.scratch);
        if !AT_ONCE {
            self.arrays += 1;
        }
        if self.elements(level, false, &mut union)? {
            self.scratch.matched.extend(self.index.on_empty(level));
        }
        if !AT_ONCE {
            self.arrays -= 1;
        }
        self.scratch.sort_matched(union.from);
        Ok(())
    }

    /// Whether some element is judged as an object without fields. The recursion is bounded by the limit of depth.
    fn elements(&mut self, level: u32, buried: bool, union: &mut Union) -> Scan<bool> {
        let mut without_fields = false;
        if !self.cursor.open(b']')? {
            return Ok(false);
        }
        loop {
            match self.cursor.kind()? {
                Kind::Object => {
                    let inside = self.object(level, buried)?;
                    self.leave(inside)?;
                    union.thin_out(self.scratch);
                }
                Kind::Array => {
                    self.elements(level, true, union)?;
                    without_fields = true;
                }
                kind => {
                    self.cursor.skip(kind)?;
                    without_fields |= kind != Kind::Null;
                }
            }
            if !self.cursor.more(b']')? {
                return Ok(without_fields);
            }
        }
    }
}

/// The fields of an object in a document.
#[derive(Clone, Copy)]
struct Fields<'d> {
    bytes: &'d [u8],
    stamp: u64,
}

impl<'d> Scope for Fields<'d> {
    type Value = Raw<'d>;

    #[inline]
    fn stamp(&self) -> u64 {
        self.stamp
    }

    #[inline]
    fn value(&self, _: &Index, scratch: &Scratch, slot: u32) -> Option<Raw<'d>> {
        let held = scratch.held(slot, self.stamp)?;
        Some(Raw::new(held.kind, self.bytes.get(held.start..held.end)?, held.plain))
    }
}
