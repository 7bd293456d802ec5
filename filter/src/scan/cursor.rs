//! A place in a document, and the steps from there.

use super::{Invalid, Scan, brackets, container, scalar};

/// What a value is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

/// A key or a string, as it stands between its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'d> {
    pub(crate) raw: &'d [u8],
    /// Whether it has a backslash.
    pub(crate) escaped: bool,
}

/// A place in a document.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'d, const CHECKED: bool> {
    pub(super) bytes: &'d [u8],
    pub(super) at: usize,
    /// How many more arrays and objects may be opened inside each other.
    pub(super) room: usize,
}

impl<'d, const CHECKED: bool> Cursor<'d, CHECKED> {
    /// Before the one value of a document.
    pub(crate) fn new(bytes: &'d [u8], depth: usize) -> Scan<Self> {
        Ok(Self { bytes, at: 0, room: depth })
    }

    /// What the next value is. Whitespace before it is passed, the value is not.
    #[inline]
    pub(crate) fn kind(&mut self) -> Scan<Kind> {
        self.skip_whitespace();
        match self.peek() {
            Some(b'"') => Ok(Kind::String),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            _ => Err(Invalid),
        }
    }

    /// Where the cursor stands.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Passes the value that [`kind`](Self::kind) has seen, of whatever kind.
    #[inline]
    pub(crate) fn skip(&mut self, kind: Kind) -> Scan<()> {
        match kind {
            Kind::String => self.string().map(drop),
            Kind::Number => self.number(),
            Kind::Null => self.word(b"null"),
            Kind::Bool if self.peek() == Some(b't') => self.word(b"true"),
            Kind::Bool => self.word(b"false"),
            Kind::Array | Kind::Object => self.skip_container(),
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

    /// Steps into the object or array that [`kind`](Self::kind) has seen; whether it has anything in it. If not, it is
    /// passed.
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

    /// After a value: passes a comma, or the end of the array or object; whether it was a comma.
    #[inline]
    pub(crate) fn more(&mut self, close: u8) -> Scan<bool> {
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

    /// From behind a value in an object or array, passes all that is left of that, and its end.
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

    /// Passes what is left after the value of the document, which is whitespace.
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
        // Most documents have none, or little.
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
