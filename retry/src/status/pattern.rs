//! [`StatusPattern`]: one status, or a range of them.
//!
//! Every form is a closed interval, so matching is two comparisons. The form is kept only to write the pattern back as it
//! was (`5xx`, not `500-599`).

use std::fmt;
use std::str::FromStr;

use super::StatusError;
use super::error::Kind;

/// Which HTTP statuses something applies to.
///
/// | text | matches |
/// | --- | --- |
/// | `429` | that status |
/// | `500-599` | the range, both ends included |
/// | `5xx` | 500 to 599 |
/// | `50x` | 500 to 509 |
/// | `all` | every status |
///
/// Letters may be of either case; spaces around the text and around the dash are ignored. `429`, ranges and
/// `5xx` are Trigger.dev's; `50x` and `all` are not.
///
/// ```
/// use retry::status::StatusPattern;
///
/// let server_errors: StatusPattern = "5xx".parse()?;
/// assert!(server_errors.matches(503));
/// assert!(!server_errors.matches(429));
/// assert_eq!(server_errors.to_string(), "5xx");
/// # Ok::<(), retry::status::StatusError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StatusPattern {
    first: u16,
    last: u16,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    One,
    Range,
    Hundred,
    Ten,
    All,
}

/// Statuses have three digits, the first not zero (RFC 9110, section 15). Statuses from 600 are undefined, but some servers
/// send them, and patterns must be able to match them.
const LOWEST: u16 = 100;
const HIGHEST: u16 = 999;

impl StatusPattern {
    /// Matches every status.
    pub const ALL: Self = Self { first: 0, last: u16::MAX, form: Form::All };

    /// Matches one status.
    ///
    /// # Errors
    /// If it is below 100 or above 999.
    pub fn exact(status: u16) -> Result<Self, StatusError> {
        Self::between(status, status, Form::One, &status.to_string())
    }

    /// Matches the statuses from `first` to `last`, both included.
    ///
    /// # Errors
    /// If either is below 100 or above 999, or `first` is above `last`.
    pub fn range(first: u16, last: u16) -> Result<Self, StatusError> {
        Self::between(first, last, Form::Range, &format!("{first}-{last}"))
    }

    fn between(first: u16, last: u16, form: Form, text: &str) -> Result<Self, StatusError> {
        if first < LOWEST || last > HIGHEST {
            Err(StatusError::new(text, Kind::OutOfRange))
        } else if first > last {
            Err(StatusError::new(text, Kind::Reversed))
        } else {
            Ok(Self { first, last, form })
        }
    }

    /// Whether the pattern covers `status`.
    #[must_use]
    pub const fn matches(&self, status: u16) -> bool {
        self.first <= status && status <= self.last
    }

    /// Whether this is the pattern `all`. A range that covers every status is not: `all` means "any status", a range names
    /// statuses.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        matches!(self.form, Form::All)
    }
}

impl FromStr for StatusPattern {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(StatusError::new(trimmed, Kind::Empty));
        }
        if trimmed.eq_ignore_ascii_case("all") {
            return Ok(Self::ALL);
        }
        if let Some((first, last)) = trimmed.split_once('-') {
            return match (number(first.trim()), number(last.trim())) {
                (Some(first), Some(last)) => Self::between(first, last, Form::Range, trimmed),
                _ => Err(StatusError::new(trimmed, Kind::Form)),
            };
        }
        let digits = trimmed.trim_end_matches(['x', 'X']);
        let Some(stem) = number(digits) else { return Err(StatusError::new(trimmed, Kind::Form)) };
        match (digits.len(), trimmed.len()) {
            (_, length) if length == digits.len() => Self::between(stem, stem, Form::One, trimmed),
            (1, 3) => Self::between(stem * 100, stem * 100 + 99, Form::Hundred, trimmed),
            (2, 3) => Self::between(stem * 10, stem * 10 + 9, Form::Ten, trimmed),
            _ => Err(StatusError::new(trimmed, Kind::Form)),
        }
    }
}

/// Digits only: `u16::from_str` also accepts a sign. A number past a `u16` becomes the maximum, which the range check
/// refuses.
fn number(text: &str) -> Option<u16> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u16::MAX))
}

impl fmt::Display for StatusPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, form } = self;
        match form {
            Form::One => write!(f, "{first}"),
            Form::Range => write!(f, "{first}-{last}"),
            Form::Hundred => write!(f, "{}xx", first / 100),
            Form::Ten => write!(f, "{}x", first / 10),
            Form::All => f.write_str("all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_their_statuses() {
        for (text, inside, outside) in [
            ("429", &[429][..], &[428, 430][..]),
            ("500-599", &[500, 550, 599], &[499, 600]),
            (" 500 - 502 ", &[500, 502], &[503]),
            ("5xx", &[500, 599], &[499, 600]),
            ("5XX", &[500, 599], &[499, 600]),
            ("50x", &[500, 509], &[499, 510]),
            ("all", &[0, 200, u16::MAX], &[]),
            ("999", &[999], &[998]),
        ] {
            let pattern: StatusPattern = text.parse().unwrap();
            assert!(inside.iter().all(|s| pattern.matches(*s)), "{text}");
            assert!(outside.iter().all(|s| !pattern.matches(*s)), "{text}");
        }
    }

    #[test]
    fn patterns_round_trip() {
        for text in ["429", "500-599", "5xx", "50x", "all"] {
            assert_eq!(text.parse::<StatusPattern>().unwrap().to_string(), text);
        }
        assert!("ALL".parse::<StatusPattern>().unwrap().is_all());
        assert!(!"100-999".parse::<StatusPattern>().unwrap().is_all());
    }

    #[test]
    fn invalid_patterns_are_refused() {
        for (text, reason) in [
            ("", "is empty"),
            ("  ", "is empty"),
            ("x", "is not"),
            ("xxx", "is not"),
            ("5x", "is not"),
            ("5xxx", "is not"),
            ("50xx", "is not"),
            ("+429", "is not"),
            ("4 29", "is not"),
            ("x5x", "is not"),
            ("5xx-6xx", "is not"),
            ("500-", "is not"),
            ("-500", "is not"),
            ("٤٢٩", "is not"),
            ("42", "can never match"),
            ("0xx", "can never match"),
            ("1000", "can never match"),
            ("99999999999", "can never match"),
            ("500-70000", "can never match"),
            ("599-500", "runs backwards"),
        ] {
            let err = text.parse::<StatusPattern>().unwrap_err();
            assert!(err.to_string().contains(reason), "{text}: {err}");
        }
    }
}
