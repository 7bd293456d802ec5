//! The cursor: an offset in a document, and the steps from there.

use std::ops::ControlFlow;

use super::lanes::WIDTH;
use super::{Invalid, Scan, brackets, container, scalar};

/// The number of bytes in which a member is looked for: most members of objects are shorter.
const SHORT: usize = 2 * WIDTH;

/// The same after a first one.
const LONG: usize = 4 * WIDTH;

/// The kind of a value, which its first byte tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

/// A key or string, as written between its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'d> {
    pub(crate) raw: &'d [u8],
    /// Whether it has a backslash.
    pub(crate) escaped: bool,
}

/// What distinguishes most names: the first and the last byte, and the length. Of an empty name, both bytes are quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameEnds {
    pub(crate) first: u8,
    pub(crate) last: u8,
    pub(crate) len: usize,
}

impl NameEnds {
    #[inline]
    pub(crate) fn of(name: &[u8]) -> Self {
        let [first, last] = [name.first(), name.last()].map(|byte| byte.copied().unwrap_or(b'"'));
        Self { first, last, len: name.len() }
    }
}

/// A member of an object whose key has been passed, and perhaps its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'d> {
    pub(crate) key: Key<'d>,
    pub(crate) kind: ValueKind,
    /// The offset of the value.
    pub(crate) start: usize,
    /// Whether the value has been passed. If so and it is a string, it has no escape.
    pub(crate) passed: bool,
}

/// The kind of a value by its first byte.
const KINDS: [Option<ValueKind>; 256] = {
    let mut kinds = [None; 256];
    kinds[b'"' as usize] = Some(ValueKind::String);
    kinds[b'{' as usize] = Some(ValueKind::Object);
    kinds[b'[' as usize] = Some(ValueKind::Array);
    kinds[b'-' as usize] = Some(ValueKind::Number);
    let mut digit = b'0';
    while digit <= b'9' {
        kinds[digit as usize] = Some(ValueKind::Number);
        digit += 1;
    }
    kinds[b't' as usize] = Some(ValueKind::Bool);
    kinds[b'f' as usize] = Some(ValueKind::Bool);
    kinds[b'n' as usize] = Some(ValueKind::Null);
    kinds
};

#[derive(Clone, Debug)]
pub(crate) struct Cursor<'d, const CHECKED: bool> {
    pub(super) bytes: &'d [u8],
    pub(super) at: usize,
    /// How many levels deeper arrays and objects may be nested.
    pub(super) room: usize,
}

impl<'d, const CHECKED: bool> Cursor<'d, CHECKED> {
    /// A cursor at the beginning of a document.
    pub(crate) fn new(bytes: &'d [u8], depth: usize) -> Scan<Self> {
        Ok(Self { bytes, at: 0, room: depth })
    }

    /// The kind of the next value. Passes whitespace before it, but not the value.
    #[inline]
    pub(crate) fn kind(&mut self) -> Scan<ValueKind> {
        self.skip_whitespace();
        self.peek().and_then(|first| KINDS[usize::from(first)]).ok_or(Invalid)
    }

    /// The offset of the cursor.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Passes the value whose kind [`kind`](Self::kind) has returned.
    #[inline]
    pub(crate) fn skip(&mut self, kind: ValueKind) -> Scan<()> {
        match kind {
            ValueKind::String => self.string().map(drop),
            ValueKind::Number => self.number(),
            ValueKind::Null => self.word(b"null"),
            ValueKind::Bool if self.peek() == Some(b't') => self.word(b"true"),
            ValueKind::Bool => self.word(b"false"),
            ValueKind::Array | ValueKind::Object => self.skip_container(),
        }
    }

    /// Passes a string, from its opening quote to its closing one.
    #[inline]
    pub(crate) fn string(&mut self) -> Scan<Key<'d>> {
        let start = self.at + 1;
        let (end, escaped) = scalar::string::<CHECKED>(self.bytes, start)?;
        self.at = end + 1;
        Ok(Key { raw: self.bytes.get(start..end).ok_or(Invalid)?, escaped })
    }

    /// Passes a number.
    #[inline]
    pub(crate) fn number(&mut self) -> Scan<()> {
        self.at = scalar::number::<CHECKED>(self.bytes, self.at)?;
        Ok(())
    }

    /// Steps into an object or array. Passes it and returns false if it is empty.
    #[inline]
    pub(crate) fn open(&mut self, close: u8) -> Scan<bool> {
        self.room = self.room.checked_sub(1).ok_or(Invalid)?;
        self.at += 1;
        self.skip_whitespace();
        if self.peek() == Some(close) {
            self.at += 1;
            self.room += 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// After a value, passes a comma, or the end of the array or object. Returns whether it was a comma.
    #[inline]
    pub(crate) fn more(&mut self, close: u8) -> Scan<bool> {
        // Checked first because whitespace before a comma is rare.
        if self.peek() == Some(b',') {
            self.at += 1;
            return Ok(true);
        }
        self.skip_whitespace();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                self.room += 1;
                Ok(false)
            }
            _ => Err(Invalid),
        }
    }

    /// From after a value in an object or array, passes the rest of that object or array.
    pub(crate) fn leave(&mut self, close: u8) -> Scan<()> {
        if !CHECKED {
            let rest = self.bytes.get(self.at..).ok_or(Invalid)?;
            self.at += brackets::rest(rest, close).ok_or(Invalid)?;
            self.room += 1;
            return Ok(());
        }
        while self.more(close)? {
            if close == b'}' {
                self.key()?;
            }
            let kind = self.kind()?;
            self.skip(kind)?;
        }
        Ok(())
    }

    /// Passes a key with its colon, and the value too if it ends within [`SHORT`] bytes. Most members are that short and have no
    /// whitespace. For any other member, passes nothing: the caller continues with [`any_member`](Self::any_member).
    ///
    /// Members before it that are short texts are passed with the commas after them, unless `wants`, which is told the ends of a
    /// name, asks for them. Returns whether the member is wanted.
    #[inline(always)]
    pub(crate) fn short_member(&mut self, wants: impl Fn(NameEnds) -> bool) -> Option<(Member<'d>, bool)> {
        let mut step = self.members_in::<SHORT>(&wants)?;
        loop {
            match step {
                ControlFlow::Break(member) => return Some(member),
                // After one text there are often more.
                ControlFlow::Continue(()) if self.bytes.len() - self.at >= LONG => {
                    step = self.members_in::<LONG>(&wants)?;
                }
                ControlFlow::Continue(()) => step = self.members_in::<SHORT>(&wants)?,
            }
        }
    }

    /// As [`short_member`](Self::short_member), for the members in the next `N` bytes. Continues at a member that does not end in
    /// them; `None` if that is the first one.
    ///
    /// One pass over the bytes finds the ends of all keys and values in them. The bits tell where the next member begins before the
    /// offset of that place is computed, so that the processor works on several members at once.
    #[inline(always)]
    fn members_in<const N: usize>(
        &mut self,
        wants: &impl Fn(NameEnds) -> bool,
    ) -> Option<ControlFlow<(Member<'d>, bool)>> {
        let base = self.at;
        let chunk: &'d [u8; N] = self.bytes.get(base..)?.first_chunk()?;
        let after = |ends: u64| ends & ends.wrapping_sub(1);
        // The first one is the opening quote of a key.
        let mut ends = scalar::plain_ends::<CHECKED, N>(chunk);
        let mut from = 0;
        loop {
            let key_end = after(ends);
            let end = key_end.trailing_zeros() as usize;
            if end >= N - 2 || from >= end || chunk[from] != b'"' || chunk[end..end + 2] != *b"\":" {
                // The first member is not short. Another one is looked at again from its beginning.
                return (from > 0).then_some(ControlFlow::Continue(()));
            }
            let key = Key { raw: chunk.get(from + 1..end)?, escaped: false };
            let wanted =
                wants(NameEnds { first: chunk[from + 1], last: chunk[end - 1], len: end - from - 1 });
            let start = base + end + 2;
            if chunk[end + 2] == b'"' {
                let member = Member { key, kind: ValueKind::String, start, passed: true };
                // Without the closing quote of the key and the opening quote of the value, the next one ends the value.
                let value_end = after(after(key_end));
                let end = value_end.trailing_zeros() as usize;
                if end < N && chunk[end] == b'"' {
                    self.at = base + end + 1;
                    if !wanted && self.peek() == Some(b',') {
                        self.at += 1;
                        from = end + 2;
                        ends = after(value_end);
                        continue;
                    }
                    return Some(ControlFlow::Break((member, wanted)));
                }
                if from > 0 {
                    return Some(ControlFlow::Continue(()));
                }
                self.at = start;
                return Some(ControlFlow::Break((Member { passed: false, ..member }, wanted)));
            }
            let kind = KINDS[usize::from(chunk[end + 2])]?;
            if !CHECKED && kind == ValueKind::Number {
                let ends = scalar::number_ends(chunk) & (!0 << (end + 2));
                if ends != 0 {
                    self.at = base + ends.trailing_zeros() as usize;
                    return Some(ControlFlow::Break((Member { key, kind, start, passed: true }, wanted)));
                }
            }
            self.at = start;
            return Some(ControlFlow::Break((Member { key, kind, start, passed: false }, wanted)));
        }
    }

    /// Passes any key with its colon, and whitespace after that. Inlined, since a member that is returned in memory, byte by byte, and
    /// copied by whole words waits until it is in the cache.
    #[inline(always)]
    pub(crate) fn any_member(&mut self) -> Scan<Member<'d>> {
        let key = self.key()?;
        let kind = self.kind()?;
        Ok(Member { key, kind, start: self.at, passed: false })
    }

    /// Passes a key and its colon.
    #[inline]
    pub(crate) fn key(&mut self) -> Scan<Key<'d>> {
        self.skip_whitespace();
        if self.peek() != Some(b'"') {
            return Err(Invalid);
        }
        let key = self.string()?;
        self.skip_whitespace();
        if self.peek() != Some(b':') {
            return Err(Invalid);
        }
        self.at += 1;
        Ok(key)
    }

    /// Passes whitespace after the value of the document, up to its end.
    pub(crate) fn end(&mut self) -> Scan<()> {
        self.skip_whitespace();
        if self.at == self.bytes.len() { Ok(()) } else { Err(Invalid) }
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub(super) fn skip_whitespace(&mut self) {
        // Most documents have little or no whitespace.
        if matches!(self.peek(), Some(..=b' ')) {
            self.at = scalar::whitespace(self.bytes, self.at);
        }
    }

    fn word(&mut self, word: &[u8]) -> Scan<()> {
        self.at = scalar::word(self.bytes, self.at, word)?;
        Ok(())
    }

    /// Passes an array or object.
    fn skip_container(&mut self) -> Scan<()> {
        let rest = self.bytes.get(self.at..).ok_or(Invalid)?;
        self.at += if CHECKED {
            container::checked(rest, self.room)?
        } else {
            brackets::length(rest).ok_or(Invalid)?
        };
        Ok(())
    }
}
