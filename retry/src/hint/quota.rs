//! Quotas: the IETF's `RateLimit` list ([`Quotas`]), and the older pairs of headers, one with the remaining units and one
//! with the reset ([`XQuotas`]).
//!
//! The draft (draft-ietf-httpapi-ratelimit-headers) has changed its syntax; servers send all three forms:
//!
//! ```text
//! -08 and later   RateLimit: "minute";r=0;t=12, "day";r=900;t=40000
//! -07             RateLimit: limit=100, remaining=0, reset=12
//! -06 and before  RateLimit-Limit: 100 / RateLimit-Remaining: 0 / RateLimit-Reset: 12
//! ```
//!
//! [`Quotas`] reads the two forms of the single field. Unknown parameters are skipped, as structured fields (RFC 9651)
//! intend. A member is a hint only if nothing remains of it: a quota with remaining units asks for no wait.

use super::HintSource;
use super::number::decimal;
use super::requested::NANOS_PER_SEC;

/// The content of one `RateLimit` line. Of several, the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Quotas {
    /// No member could be read.
    Unreadable,
    /// Units remain of each quota, or no exhausted quota has a reset time.
    Room,
    /// The longest reset of the exhausted quotas, in nanoseconds from now.
    Exhausted(i128),
}

impl Quotas {
    /// Reads one line. Linear in its length, no allocation.
    pub(super) fn read(line: &str) -> Self {
        let mut legacy = Quota::default();
        let mut all = Self::Unreadable;
        for member in outside_quotes(line, b',') {
            let mut parts = outside_quotes(member, b';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            if let Some((key, value)) = name.split_once('=').filter(|_| !name.starts_with('"')) {
                legacy.set(key.trim(), value.trim(), "remaining", "reset");
                continue;
            }
            let mut quota = Quota::default();
            for (key, value) in parts.filter_map(|part| part.split_once('=')) {
                quota.set(key.trim(), value.trim(), "r", "t");
            }
            all = all.max(quota.judged());
        }
        all.max(legacy.judged())
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

    fn judged(&self) -> Quotas {
        match (self.remaining, self.reset) {
            (Some(..=0), Some(reset)) => Quotas::Exhausted(reset),
            (Some(_), _) => Quotas::Room,
            (None, _) => Quotas::Unreadable,
        }
    }
}

/// A quota stated by a pair of headers.
#[derive(Clone, Copy)]
pub(super) struct XQuota<'a> {
    pub(super) source: HintSource,
    /// `requests`, `tokens` and the like; empty for the only quota.
    unit: &'a str,
    pub(super) remaining: Option<&'a str>,
    pub(super) reset: Option<&'a str>,
    pub(super) reset_after: Option<&'a str>,
}

impl XQuota<'_> {
    fn is_named(&self, source: HintSource, unit: &str) -> bool {
        self.source == source && self.unit.eq_ignore_ascii_case(unit)
    }

    pub(super) const fn remaining_name(&self) -> &'static str {
        match self.source {
            HintSource::RateLimitReset => "RateLimit-Remaining",
            _ => "X-RateLimit-Remaining",
        }
    }
}

/// The quotas of one response. A fixed number, so that reading allocates nothing; a response with more quotas is unknown.
#[derive(Clone, Copy, Default)]
pub(super) struct XQuotas<'a>([Option<XQuota<'a>>; 8]);

impl<'a> XQuotas<'a> {
    /// Adds a header if it belongs to a quota:
    ///
    /// ```text
    /// RateLimit-Remaining    RateLimit-Reset                             IETF draft up to 06
    /// X-RateLimit-Remaining  X-RateLimit-Reset, X-RateLimit-Reset-After  GitHub, Discord; also spelt X-Rate-Limit-…
    /// x-ratelimit-remaining-requests     x-ratelimit-reset-requests      OpenAI; also -tokens
    /// x-ratelimit-requests-remaining     x-ratelimit-requests-reset      RapidAPI
    /// anthropic-ratelimit-requests-remaining  anthropic-ratelimit-requests-reset  Anthropic; also -tokens, …
    /// ```
    ///
    /// A header that is repeated, or that a proxy has joined (`0, 17`), states several quotas, in the same order in each header.
    pub(super) fn add(&mut self, name: &'a str, value: &'a str) {
        let Some((source, part, unit)) = quota_header(name) else { return };
        // Only numbers are joined here: a date has a comma of its own.
        match value.split_once(',') {
            Some((first, _)) if decimal(first.trim(), 1).is_some() => {
                value.split(',').for_each(|item| self.add_value(source, part, unit, item.trim()));
            }
            _ => self.add_value(source, part, unit, value),
        }
    }

    /// Adds the value to the first quota of this name that lacks it, or to a new one. Past the last place it is ignored.
    fn add_value(&mut self, source: HintSource, part: Part, unit: &'a str, value: &'a str) {
        let place = self.0.iter_mut().find_map(|slot| {
            let quota =
                slot.get_or_insert(XQuota { source, unit, remaining: None, reset: None, reset_after: None });
            if !quota.is_named(source, unit) {
                return None;
            }
            let place = match part {
                Part::Remaining => &mut quota.remaining,
                Part::Reset => &mut quota.reset,
                Part::ResetAfter => &mut quota.reset_after,
            };
            place.is_none().then_some(place)
        });
        if let Some(place) = place {
            *place = Some(value);
        }
    }

    /// The resets of the first quota with the name of this one: one reset may be for several.
    pub(super) fn resets_like(&self, like: &XQuota<'_>) -> (Option<&'a str>, Option<&'a str>) {
        let named = self.iter().find(|quota| quota.is_named(like.source, like.unit));
        named.map_or((None, None), |quota| (quota.reset_after, quota.reset))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &XQuota<'a>> {
        self.0.iter().flatten()
    }
}

#[derive(Clone, Copy)]
enum Part {
    Remaining,
    Reset,
    ResetAfter,
}

const PARTS: [(&str, Part); 3] =
    [("remaining", Part::Remaining), ("reset-after", Part::ResetAfter), ("reset", Part::Reset)];

/// The quota and the part of it that a header states.
fn quota_header(name: &str) -> Option<(HintSource, Part, &str)> {
    let (source, rest) = if let Some(rest) = strip(name, "anthropic-") {
        (HintSource::XRateLimitReset, rest)
    } else if let Some(rest) = strip(name, "x-") {
        (HintSource::XRateLimitReset, rest)
    } else {
        (HintSource::RateLimitReset, name)
    };
    let rest = strip(rest, "ratelimit-").or_else(|| strip(rest, "rate-limit-"))?;
    PARTS.into_iter().find_map(|(known, part)| {
        let unit = match strip(rest, known) {
            Some("") => "",
            Some(unit) => unit.strip_prefix('-')?,
            None => strip_end(rest, known)?.strip_suffix('-')?,
        };
        Some((source, part, unit))
    })
}

/// `text` after `prefix`, in any case.
fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// `text` before `suffix`, in any case.
fn strip_end<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (rest, end) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    end.eq_ignore_ascii_case(suffix).then_some(rest)
}

/// Splits at `separator`, an ASCII character, except between double quotes; inside quotes a backslash escapes the next
/// character.
fn outside_quotes(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = text.bytes().position(|byte| {
            if escaped {
                escaped = false;
            } else if quoted && byte == b'\\' {
                escaped = true;
            } else if byte == b'"' {
                quoted = !quoted;
            }
            byte == separator && !quoted
        });
        // ASCII bytes are never a part of another character, so the indices are boundaries.
        let (part, after) = end.map_or((text, None), |end| (&text[..end], Some(&text[end + 1..])));
        rest = after;
        Some(part)
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
            assert_eq!(Quotas::read(line), expected, "{line}");
        }
    }
}
