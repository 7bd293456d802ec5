//! A value as its bytes in a document, for evaluating conditions on it.
//!
//! The bytes have been passed by a cursor, so they are read without checks; for bytes that are not JSON, results are
//! unspecified. Every access to a field reads the object, so a matcher that needs many fields of one object collects them while
//! it passes the object.

use std::borrow::Cow;

use super::cursor::{Cursor, Key, ValueKind};
use super::{Invalid, Scan};
use crate::json::lex;
use crate::limits::Limits;
use crate::matcher::{Shape, Subject};
use crate::ops::{Chars, Num, View};

/// The bytes of one value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'d> {
    bytes: &'d [u8],
    kind: ValueKind,
    /// Whether it is a string that is known to have no backslash. Of another kind it is never set: a look at it replaces one at
    /// the kind.
    plain: bool,
}

impl<'d> Raw<'d> {
    /// `plain`: whether it is a string that is known to have no backslash.
    pub(crate) fn new(kind: ValueKind, bytes: &'d [u8], plain: bool) -> Self {
        debug_assert!(!plain || kind == ValueKind::String, "only a string is plain");
        Self { bytes, kind, plain }
    }

    /// The value `null`.
    pub(crate) const NULL: Self = Self { bytes: b"null", kind: ValueKind::Null, plain: false };

    /// The value as it was written.
    pub(crate) fn source(self) -> &'d [u8] {
        self.bytes
    }

    /// Whether it is a string.
    pub(crate) fn is_string(self) -> bool {
        self.kind == ValueKind::String
    }

    /// Passes each member of an object until `see` returns false. Of members with the same key, all are passed.
    pub(crate) fn members(self, mut see: impl FnMut(&str, Self) -> bool) {
        let mut cursor = self.cursor();
        if self.kind != ValueKind::Object || cursor.open(b'}') != Ok(true) {
            return;
        }
        while let Ok(key) = cursor.key()
            && let Ok(value) = Self::pass(&mut cursor)
            && see(&unescape(key), value)
            && cursor.more(b'}') == Ok(true)
        {}
    }

    /// The value of a whole document that has been walked before. Its end is not checked.
    pub(crate) fn of_document(bytes: &'d [u8]) -> Scan<Self> {
        Self::pass(&mut Cursor::<false>::new(bytes, Limits::MAX_DEPTH)?)
    }

    /// Passes the value at a cursor.
    pub(crate) fn pass<const CHECKED: bool>(cursor: &mut Cursor<'d, CHECKED>) -> Scan<Self> {
        let kind = cursor.kind()?;
        let start = cursor.at;
        let plain = match kind {
            ValueKind::String => !cursor.string()?.escaped,
            other => {
                cursor.skip(other)?;
                false
            }
        };
        Ok(Self { bytes: cursor.bytes.get(start..cursor.at).ok_or(Invalid)?, kind, plain })
    }

    /// A value of which the bytes begin with it, and which a cursor has passed.
    pub(super) fn of_checked(bytes: &'d [u8]) -> Option<Self> {
        let kind = Cursor::<false>::new(bytes, Limits::MAX_DEPTH).ok()?.kind().ok()?;
        Some(Self { bytes, kind, plain: false })
    }

    /// Whether it is an object.
    pub(super) fn is_object(self) -> bool {
        self.kind == ValueKind::Object
    }

    pub(super) fn cursor(self) -> Cursor<'d, false> {
        Cursor { bytes: self.bytes, at: 0, room: Limits::MAX_DEPTH }
    }

    /// The text of a string.
    pub(crate) fn text(self) -> Cow<'d, str> {
        let raw = self.bytes.get(1..self.bytes.len().saturating_sub(1)).unwrap_or_default();
        unescape(Key { raw, escaped: !self.plain && memchr::memchr(b'\\', raw).is_some() })
    }

    /// As [`with_view`](Subject::with_view), for a value other than a plain text.
    fn with_other_view<R>(self, see: impl FnOnce(View<'_>) -> R) -> R {
        let view = match self.kind {
            ValueKind::Null => View::Null,
            ValueKind::Bool => View::Bool(self.bytes.first() == Some(&b't')),
            ValueKind::Number => self.number().map_or(View::Unrepresentable, View::Number),
            ValueKind::String => return self.with_escaped_text(see),
            ValueKind::Object | ValueKind::Array => View::Object,
        };
        see(view)
    }

    #[inline(never)]
    fn with_escaped_text<R>(self, see: impl FnOnce(View<'_>) -> R) -> R {
        see(View::String(Chars::Str(&self.text())))
    }

    /// The text of a string that is known to have no backslash.
    #[inline]
    fn plain_text(self) -> Option<&'d [u8]> {
        match self.bytes {
            [_, text @ .., _] if self.plain => Some(text),
            _ => None,
        }
    }

    /// The value of a number.
    pub(crate) fn number(self) -> Option<Num> {
        Num::parse(self.bytes)
    }
}

/// The text of a key or string, with its escapes replaced.
pub(crate) fn unescape(key: Key<'_>) -> Cow<'_, str> {
    if !key.escaped {
        return lossy(Cow::Borrowed(key.raw));
    }
    let mut text = Vec::with_capacity(key.raw.len());
    let mut rest = key.raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..at]);
        let (character, length) = lex::escape(&rest[at..]).unwrap_or((char::REPLACEMENT_CHARACTER, 2));
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = rest.get(at + length..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
    lossy(Cow::Owned(text))
}

/// Converts bytes to text. The bytes of valid JSON are UTF-8, so the lossy conversion, which is much slower, comes second.
fn lossy(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(bytes),
        },
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Cow::Owned(text),
            Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        },
    }
}

impl<'d> Subject for Raw<'d> {
    type Elements = Elements<'d>;

    const FINDS_FIELDS_FAST: bool = false;

    #[inline]
    fn shape(self) -> Shape<Self> {
        match self.kind {
            ValueKind::Array => Shape::Array(Elements::of(self)),
            ValueKind::Object => Shape::Object,
            ValueKind::Null => Shape::Null,
            ValueKind::Bool | ValueKind::Number | ValueKind::String => Shape::Scalar,
        }
    }

    #[inline(always)]
    fn with_view<R>(self, see: impl FnOnce(View<'_>) -> R) -> R {
        // Most values are such texts. Where `see` is inlined, it does not look at the kind again.
        match self.plain_text() {
            Some(bytes) => see(View::String(Chars::Bytes(bytes))),
            None => self.with_other_view(see),
        }
    }

    fn raw<'a>(self) -> Option<Raw<'a>>
    where
        Self: 'a,
    {
        Some(self)
    }

    fn size(self) -> usize {
        self.bytes.len()
    }

    fn field(self, name: &str) -> Option<Self> {
        let mut cursor = self.cursor();
        let mut found = None;
        if self.kind != ValueKind::Object || cursor.open(b'}') != Ok(true) {
            return None;
        }
        loop {
            let key = cursor.key().ok()?;
            let value = Self::pass(&mut cursor).ok()?;
            if key.is(name) {
                found = Some(value);
            }
            if cursor.more(b'}') != Ok(true) {
                return found;
            }
        }
    }
}

impl Key<'_> {
    /// Whether the key is this name.
    #[inline]
    pub(crate) fn is(self, name: &str) -> bool {
        if self.escaped { unescape(self) == name } else { self.raw == name.as_bytes() }
    }
}

/// The elements of an array. Small, since one for each level of an array is kept while nested arrays are flattened.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'d> {
    /// The bytes from the next element on.
    rest: &'d [u8],
    more: bool,
}

impl<'d> Elements<'d> {
    fn of(array: Raw<'d>) -> Self {
        let mut cursor = array.cursor();
        let more = cursor.open(b']') == Ok(true);
        Self { rest: array.bytes.get(cursor.at..).unwrap_or_default(), more }
    }
}

impl<'d> Iterator for Elements<'d> {
    type Item = Raw<'d>;

    #[inline]
    fn next(&mut self) -> Option<Raw<'d>> {
        if !self.more {
            return None;
        }
        let mut cursor = Cursor::<false> { bytes: self.rest, at: 0, room: Limits::MAX_DEPTH };
        let element = Raw::pass(&mut cursor).ok();
        self.more = element.is_some() && cursor.more(b']') == Ok(true);
        self.rest = self.rest.get(cursor.at..).unwrap_or_default();
        element
    }
}
