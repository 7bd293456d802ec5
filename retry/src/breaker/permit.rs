//! [`BreakerPermit`] and [`BreakerOpen`]: the two answers of a breaker that is asked.

use std::fmt;
use std::time::Duration;

use super::Breaker;
use crate::words::InWords;

/// The breaker is open, or half-open with all its probes under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerOpen {
    pub(super) retry_in: Duration,
}

impl BreakerOpen {
    /// How long until a try may be let through; zero if that depends on the probes under way.
    #[must_use]
    pub const fn retry_in(&self) -> Duration {
        self.retry_in
    }
}

impl fmt::Display for BreakerOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.retry_in.is_zero() {
            return f.write_str("the circuit breaker waits for its probes");
        }
        write!(f, "the circuit breaker is open for another {}", InWords(self.retry_in))
    }
}

impl std::error::Error for BreakerOpen {}

/// Leave for one try; say how it went. Dropped without that, it counts as never asked for.
#[derive(Debug)]
#[must_use = "report how the try went"]
pub struct BreakerPermit<'a> {
    pub(super) breaker: &'a Breaker,
    pub(super) period: u64,
    pub(super) answered: bool,
}

impl BreakerPermit<'_> {
    /// The try worked.
    pub fn succeeded(mut self, now: Duration) {
        self.answered = true;
        self.breaker.report(self.period, true, now);
    }

    /// The service failed. A failure that says nothing about the service (a malformed request) is better not
    /// reported.
    pub fn failed(mut self, now: Duration) {
        self.answered = true;
        self.breaker.report(self.period, false, now);
    }
}

impl Drop for BreakerPermit<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.breaker.abandon(self.period);
        }
    }
}
