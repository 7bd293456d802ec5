//! The IETF's `RateLimit` field: a list of quotas, each with its remaining units and its reset time.
//!
//! The draft (draft-ietf-httpapi-ratelimit-headers) has changed its syntax; servers send all three forms:
//!
//! ```text
//! -08 and later   RateLimit: "minute";r=0;t=12, "day";r=900;t=40000
//! -07             RateLimit: limit=100, remaining=0, reset=12
//! -06 and before  RateLimit-Limit: 100 / RateLimit-Remaining: 0 / RateLimit-Reset: 12
//! ```
//!
//! This module reads the two forms of the single field. Unknown parameters are skipped, as structured fields (RFC 9651)
//! intend. A member is a hint only if nothing remains of it: a quota with remaining units asks for no wait.

use super::number::decimal;
use super::requested::NANOS_PER_SEC;

/// The content of one `RateLimit` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotas {
    /// No member could be read.
    Unreadable,
    /// Units remain of each quota, or no exhausted quota has a reset time.
    Room,
    /// The longest reset of the exhausted quotas, in nanoseconds from now.
    Exhausted(i128),
}

/// Reads one line. Linear in its length, no allocation.
pub(super) fn quotas(line: &str) -> Quotas {
    let mut legacy = Quota::default();
    let mut readable = false;
    let mut longest: Option<i128> = None;
    for member in outside_quotes(line, ',') {
        let mut parts = outside_quotes(member, ';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        if let Some((key, value)) = name.split_once('=').filter(|_| !name.starts_with('"')) {
            legacy.set(key.trim(), value.trim(), "remaining", "reset");
            continue;
        }
        let mut quota = Quota::default();
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            quota.set(key.trim(), value.trim(), "r", "t");
        }
        readable |= quota.remaining.is_some();
        longest = longest.max(quota.exhausted());
    }
    readable |= legacy.remaining.is_some();
    match longest.max(legacy.exhausted()) {
        Some(reset) => Quotas::Exhausted(reset),
        None if readable => Quotas::Room,
        None => Quotas::Unreadable,
    }
}

#[derive(Default)]
struct Quota {
    remaining: Option<i128>,
    reset: Option<i128>,
}

impl Quota {
    fn set(&mut self, key: &str, value: &str, remaining: &str, reset: &str) {
        if key.eq_ignore_ascii_case(remaining) {
            self.remaining = decimal(value, 1);
        } else if key.eq_ignore_ascii_case(reset) {
            self.reset = decimal(value, NANOS_PER_SEC);
        }
    }

    fn exhausted(&self) -> Option<i128> {
        self.remaining.filter(|left| *left <= 0).and(self.reset)
    }
}

/// Splits at `separator`, except between double quotes; inside quotes a backslash escapes the next character.
fn outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        }
        c == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: i128) -> Quotas {
        Quotas::Exhausted(seconds * NANOS_PER_SEC)
    }

    #[test]
    fn reads_every_spelling_of_the_draft() {
        for (line, expected) in [
            (r#""default";r=0;t=12"#, secs(12)),
            (r#""default";r=50;t=30"#, Quotas::Room),
            (r#""minute";r=0;t=12, "day";r=0;t=40000, "hour";r=3;t=99999"#, secs(40_000)),
            (r#""odd, \" name; r=9";t=5;r=0"#, secs(5)),
            (r#"default;r=0;t=7;pk=:c2VjcmV0:"#, secs(7)),
            (r#""default" ; r=0 ; t=8"#, secs(8)),
            ("limit=100, remaining=0, reset=12", secs(12)),
            ("limit=100, remaining=1, reset=12", Quotas::Room),
            (r#""default";r=0"#, Quotas::Room),
            (r#""default";t=5"#, Quotas::Unreadable),
            (r#""default";r=none;t=5"#, Quotas::Unreadable),
            ("", Quotas::Unreadable),
            ("garbage", Quotas::Unreadable),
            (r#""unterminated;r=0;t=5"#, Quotas::Unreadable),
        ] {
            assert_eq!(quotas(line), expected, "{line}");
        }
    }
}
