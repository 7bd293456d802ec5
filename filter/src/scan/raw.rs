//! One value of a document, as its bytes: a [`Subject`] that engines can ask.
//!
//! It is only made of what a cursor has passed, so it is read without checks; what it answers for bytes that are no
//! JSON is unspecified. Asking an object for a field reads the object, so an engine that needs many fields of one object
//! has them told as it passes them, and asks only for the few that it does not know beforehand.

use std::borrow::Cow;

use super::cursor::{Cursor, Key, Kind};
use super::scalar::hex4;
use super::{Invalid, Scan};
use crate::limits::Limits;
use crate::matcher::{Shape, Subject};
use crate::ops::{Chars, Num, View};

/// The bytes of one value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'d> {
    bytes: &'d [u8],
    kind: Kind,
    /// A string that is known to have no backslash.
    plain: bool,
}

impl<'d> Raw<'d> {
    /// `plain`: whether it is a string that is known to have no backslash.
    pub(crate) fn new(kind: Kind, bytes: &'d [u8], plain: bool) -> Self {
        Self { bytes, kind, plain }
    }

    /// Passes the value that a cursor stands before.
    pub(crate) fn pass<const CHECKED: bool>(cursor: &mut Cursor<'d, CHECKED>) -> Scan<Self> {
        let kind = cursor.kind()?;
        let start = cursor.at;
        let plain = match kind {
            Kind::String => !cursor.string()?.escaped,
            other => {
                cursor.skip(other)?;
                false
            }
        };
        Ok(Self { bytes: cursor.bytes.get(start..cursor.at).ok_or(Invalid)?, kind, plain })
    }

    fn cursor(self) -> Cursor<'d, false> {
        Cursor { bytes: self.bytes, at: 0, room: Limits::MAX_DEPTH }
    }

    /// The text of a string.
    pub(crate) fn text(self) -> Cow<'d, str> {
        let raw = self.bytes.get(1..self.bytes.len().saturating_sub(1)).unwrap_or_default();
        unescape(Key { raw, escaped: !self.plain && memchr::memchr(b'\\', raw).is_some() })
    }

    /// Its bytes, where it stands in the document as it is.
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

/// The text that a key or string stands for.
pub(crate) fn unescape(key: Key<'_>) -> Cow<'_, str> {
    if !key.escaped {
        return lossy(Cow::Borrowed(key.raw));
    }
    let mut text = Vec::with_capacity(key.raw.len());
    let mut rest = key.raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..at]);
        let (character, length) = escape(&rest[at..]);
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = rest.get(at + length..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
    lossy(Cow::Owned(text))
}

/// Bytes as text, which they are in any document that is JSON: the lossy conversion is much slower, and only for others.
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

/// The character that an escape stands for, and its length.
fn escape(bytes: &[u8]) -> (char, usize) {
    let character = match bytes.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode_escape(bytes),
        Some(&other) => char::from(other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (character, 2)
}

fn unicode_escape(bytes: &[u8]) -> (char, usize) {
    let (code, length) = match (hex4(bytes, 2), hex4(bytes, 8)) {
        (Some(high @ 0xD800..=0xDBFF), Some(low @ 0xDC00..=0xDFFF)) => {
            (0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00), 12)
        }
        (Some(code), _) => (code, 6),
        (None, _) => (0xD800, 2),
    };
    (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), length)
}

impl<'d> Subject for Raw<'d> {
    type Elements = Elements<'d>;

    #[inline]
    fn shape(self) -> Shape<Self> {
        match self.kind {
            Kind::Array => Shape::Array(Elements::of(self)),
            Kind::Object => Shape::Object,
            Kind::Null => Shape::Null,
            Kind::Bool | Kind::Number | Kind::String => Shape::Scalar,
        }
    }

    fn with_view<R>(self, see: impl FnOnce(View<'_>) -> R) -> R {
        match self.kind {
            Kind::Null => see(View::Null),
            Kind::Bool => see(View::Bool(self.bytes.first() == Some(&b't'))),
            Kind::Number => see(self.number().map_or(View::Unrepresentable, View::Number)),
            Kind::String => match self.plain_text() {
                Some(bytes) => see(View::String(Chars::Bytes(bytes))),
                None => see(View::String(Chars::Str(&self.text()))),
            },
            Kind::Object | Kind::Array => see(View::Object),
        }
    }

    fn field(self, name: &str) -> Option<Self> {
        let mut cursor = self.cursor();
        let mut found = None;
        if self.kind != Kind::Object || cursor.open(b'}') != Ok(true) {
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
    /// Whether it is this name.
    #[inline]
    pub(crate) fn is(self, name: &str) -> bool {
        if self.escaped { unescape(self) == name } else { self.raw == name.as_bytes() }
    }
}

/// The elements of an array.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'d> {
    cursor: Cursor<'d, false>,
    more: bool,
}

impl<'d> Elements<'d> {
    fn of(array: Raw<'d>) -> Self {
        let mut cursor = array.cursor();
        let more = cursor.open(b']') == Ok(true);
        Self { cursor, more }
    }
}

impl<'d> Iterator for Elements<'d> {
    type Item = Raw<'d>;

    fn next(&mut self) -> Option<Raw<'d>> {
        if !self.more {
            return None;
        }
        let element = Raw::pass(&mut self.cursor).ok();
        self.more = element.is_some() && self.cursor.more(b']') == Ok(true);
        element
    }
}
