//! [`Hint`]: what reading a response comes to.

use std::time::Duration;

use super::{Asked, HintError};

/// What a server said about when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hint {
    /// How long the server asked for, unclamped; the past is possible.
    pub raw: Asked,
    /// How long to wait: `raw`, with the past as zero, and at most [`LONGEST`](super::LONGEST).
    pub delay: Duration,
    /// Where it was said.
    pub source: HintSource,
}

impl Hint {
    /// A hint of `raw` from `source`, clamped. For hints that came by another way than headers, such as
    /// gRPC's `grpc-retry-pushback-ms` trailer.
    #[must_use]
    pub fn new(raw: Asked, source: HintSource) -> Self {
        Self { raw, delay: raw.clamped(), source }
    }
}

/// The header a [`Hint`] was read from, most exact first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HintSource {
    /// `retry-after-ms`: milliseconds (OpenAI, Azure).
    RetryAfterMs,
    /// `x-ms-retry-after-ms`: milliseconds (Azure).
    XMsRetryAfterMs,
    /// `Retry-After` in seconds (RFC 9110, section 10.2.3).
    RetryAfterSeconds,
    /// `Retry-After` as an HTTP date.
    RetryAfterDate,
    /// `RateLimit`: an exhausted quota's reset (IETF draft, -07 and later).
    RateLimit,
    /// `RateLimit-Reset` (IETF draft, up to -06), in seconds; from 10^9 on it is read as a Unix time, from
    /// 10^12 on as one in milliseconds, since servers older than the draft send those.
    RateLimitReset,
    /// The reset header that a [`HeadersStrategy`](crate::strategy::HeadersStrategy) names.
    Strategy,
    /// Given by the caller, not read from a header.
    Caller,
}

impl HintSource {
    /// The header's name, in the case its specification uses; `"strategy"` and `"caller"` for the other two.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RetryAfterMs => "retry-after-ms",
            Self::XMsRetryAfterMs => "x-ms-retry-after-ms",
            Self::RetryAfterSeconds | Self::RetryAfterDate => "Retry-After",
            Self::RateLimit => "RateLimit",
            Self::RateLimitReset => "RateLimit-Reset",
            Self::Strategy => "strategy",
            Self::Caller => "caller",
        }
    }
}

/// All that [`read`](super::read) found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// The hint that counts.
    pub hint: Option<Hint>,
    /// Headers that should have been hints, or should have corrected one, and could not be read.
    pub problems: Vec<HintError>,
}
