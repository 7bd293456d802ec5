//! The text of a value, as operators see it.

use std::borrow::Cow;

/// A text: either known to be one, or the bytes between two quotes of a document.
///
/// Most operators compare bytes, and whoever walks a document has other ways to know that it is UTF-8, or need not know. So
/// the bytes become a `str` only where an operator asks for one; of a document that was trusted wrongly it may not be the whole
/// text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Chars<'a> {
    Str(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> Chars<'a> {
    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Str(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    pub(crate) fn text(self) -> Cow<'a, str> {
        match self {
            Self::Str(text) => Cow::Borrowed(text),
            Self::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Cow::Borrowed(text),
                // Never of a document that is JSON; the lossy conversion is much slower.
                Err(_) => String::from_utf8_lossy(bytes),
            },
        }
    }
}

impl PartialEq for Chars<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl<'a> From<&'a str> for Chars<'a> {
    fn from(text: &'a str) -> Self {
        Self::Str(text)
    }
}
