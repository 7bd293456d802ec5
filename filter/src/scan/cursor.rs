//! A place in a document, and the steps from there.

use super::scalar::SHORT;
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

/// A member of an object, of which the key has been passed and the value perhaps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'d> {
    pub(crate) key: Key<'d>,
    /// What the value is.
    pub(crate) kind: Kind,
    /// Where the value begins.
    pub(crate) start: usize,
    /// Whether the value has been passed; if it is a string, it is one without an escape then.
    pub(crate) passed: bool,
}

/// What a value is that begins with a byte.
const KINDS: [Option<Kind>; 256] = {
    let mut kinds = [None; 256];
    kinds[b'"' as usize] = Some(Kind::String);
    kinds[b'{' as usize] = Some(Kind::Object);
    kinds[b'[' as usize] = Some(Kind::Array);
    kinds[b'-' as usize] = Some(Kind::Number);
    let mut digit = b'0';
    while digit <= b'9' {
        kinds[digit as usize] = Some(Kind::Number);
        digit += 1;
    }
    kinds[b't' as usize] = Some(Kind::Bool);
    kinds[b'f' as usize] = Some(Kind::Bool);
    kinds[b'n' as usize] = Some(Kind::Null);
    kinds
};

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
        self.peek().and_then(|first| KINDS[usize::from(first)]).ok_or(Invalid)
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
        // Before blanks are looked for: mostly there are none.
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

    /// Passes a key and its colon, and the value if its end is in the next few bytes. That is what most members are, with no
    /// whitespace in them; of others, nothing is passed, and [`any_member`](Self::any_member) has to.
    ///
    /// One look finds the ends of both: finding them one after the other takes longer, as each has to wait for the one before.
    #[inline(always)]
    pub(crate) fn short_member(&mut self) -> Option<Member<'d>> {
        let chunk: &'d [u8; SHORT] = self.bytes.get(self.at..)?.first_chunk()?;
        let ends = scalar::plain_ends::<CHECKED>(chunk);
        // The opening quote is the first of them.
        let ends = ends & ends.wrapping_sub(1);
        let end = ends.trailing_zeros() as usize;
        if end >= SHORT - 2 || chunk[0] != b'"' || chunk[end] != b'"' || chunk[end + 1] != b':' {
            return None;
        }
        let key = Key { raw: chunk.get(1..end)?, escaped: false };
        let kind = KINDS[usize::from(chunk[end + 2])]?;
        let start = self.at + end + 2;
        if kind == Kind::String {
            // Without the key's last quote and the value's first, the next is where the value ends.
            let ends = ends & ends.wrapping_sub(1);
            let ends = ends & ends.wrapping_sub(1);
            let end = ends.trailing_zeros() as usize;
            if end < SHORT && chunk[end] == b'"' {
                self.at += end + 1;
                return Some(Member { key, kind, start, passed: true });
            }
        }
        if !CHECKED && kind == Kind::Number {
            let ends = scalar::number_ends(chunk) & (!0 << (end + 2));
            if ends != 0 {
                self.at += ends.trailing_zeros() as usize;
                return Some(Member { key, kind, start, passed: true });
            }
        }
        self.at = start;
        Some(Member { key, kind, start, passed: false })
    }

    /// Passes a key and its colon, whatever they look like, and whitespace after that.
    #[inline(never)]
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
