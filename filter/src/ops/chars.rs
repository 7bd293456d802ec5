//! The text of a value, as operators see it.

use std::borrow::Cow;

/// A text: a `str`, or the bytes between two quotes of a document.
///
/// Most operators compare bytes, and the validating walk checks UTF-8 on its own. So bytes are converted to `str` only for
/// operators that need it; invalid UTF-8 in a document that was wrongly declared valid is replaced.
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
                // Never for valid JSON; the lossy conversion is much slower.
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

/// Whether a text is all printable ASCII.
pub(crate) fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b' '..=b'~'))
}
