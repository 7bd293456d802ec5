//! [`Hint`]: the result of reading a response's headers.

use std::time::Duration;

use super::{HintError, Requested};

/// A server's request to retry at a certain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hint {
    /// The requested wait, unclamped; it may be in the past.
    pub raw: Requested,
    /// The delay: `raw`, with the past as zero, at most [`LONGEST`](super::LONGEST).
    pub delay: Duration,
    /// The header it came from.
    pub source: HintSource,
}

impl Hint {
    /// A hint of `raw` from `source`, clamped. For hints that no header carries, such as a field of the body.
    #[must_use]
    pub fn new(raw: Requested, source: HintSource) -> Self {
        Self { raw, delay: raw.clamped(), source }
    }
}

/// The header of a [`Hint`], the most precise first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HintSource {
    /// `retry-after-ms`: milliseconds (OpenAI, Azure).
    RetryAfterMs,
    /// `x-ms-retry-after-ms`: milliseconds (Azure).
    XMsRetryAfterMs,
    /// `x-amz-retry-after`: milliseconds (AWS SDKs of 2026).
    XAmzRetryAfter,
    /// `grpc-retry-pushback-ms`: milliseconds (gRPC proposal A6).
    GrpcRetryPushbackMs,
    /// `Retry-After` in seconds (RFC 9110, section 10.2.3).
    RetryAfterSeconds,
    /// `Retry-After` as an HTTP date.
    RetryAfterDate,
    /// `RateLimit`: an exhausted quota's reset (IETF draft, -07 and later).
    RateLimit,
    /// `RateLimit-Reset` (IETF draft, up to -06).
    RateLimitReset,
    /// `X-RateLimit-Reset`, `X-RateLimit-Reset-After` and their variants (GitHub, Discord, OpenAI, Anthropic).
    XRateLimitReset,
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
            Self::XAmzRetryAfter => "x-amz-retry-after",
            Self::GrpcRetryPushbackMs => "grpc-retry-pushback-ms",
            Self::RetryAfterSeconds | Self::RetryAfterDate => "Retry-After",
            Self::RateLimit => "RateLimit",
            Self::RateLimitReset => "RateLimit-Reset",
            Self::XRateLimitReset => "X-RateLimit-Reset",
            Self::Strategy => "strategy",
            Self::Caller => "caller",
        }
    }

    /// Whether the source states a quota, which servers also send with errors that have another cause.
    pub(crate) const fn is_quota(self) -> bool {
        matches!(self, Self::RateLimit | Self::RateLimitReset | Self::XRateLimitReset)
    }
}

/// The result of [`read`](super::read).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// The hint.
    pub hint: Option<Hint>,
    /// Whether the server says to retry at all, if it does.
    pub should_retry: Option<bool>,
    /// The hint headers, and headers that correct a hint, that were malformed.
    pub problems: Vec<HintError>,
}
