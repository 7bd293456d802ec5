//! [`HintError`]: a malformed hint header.

use std::fmt;

/// A hint header could not be read.
///
/// ```
/// use retry::hint::ResetFormat;
/// use std::time::SystemTime;
///
/// let err = ResetFormat::UnixTimestamp.parse("soon", SystemTime::UNIX_EPOCH).unwrap_err();
/// assert_eq!(err.found(), "soon");
/// assert_eq!(err.to_string(), "\"soon\" is not a valid reset time, expected seconds since 1970 like 1767225600");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HintError {
    what: &'static str,
    found: String,
    expected: &'static str,
}

/// The kept part of the text: long enough to recognise it, short enough for a log line.
const KEPT: usize = 80;

impl HintError {
    pub(crate) fn new(what: &'static str, found: &str, expected: &'static str) -> Self {
        let found = match found.char_indices().nth(KEPT) {
            Some((end, _)) => format!("{}…", &found[..end]),
            None => found.to_owned(),
        };
        Self { what, found, expected }
    }

    /// The value being read: a header's name, or "reset time".
    #[must_use]
    pub const fn what(&self) -> &'static str {
        self.what
    }

    /// The text found, cut after 80 characters.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }

    /// The accepted form, as a fragment that fits after "expected".
    #[must_use]
    pub fn expected(&self) -> &str {
        self.expected
    }
}

impl fmt::Display for HintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a valid {}, expected {}", self.found, self.what, self.expected)
    }
}

impl std::error::Error for HintError {}
