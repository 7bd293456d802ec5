//! [`BreakerPermit`] and [`BreakerOpen`]: the results of [`Breaker::try_acquire`].

use std::fmt;
use std::time::Duration;

use super::{Breaker, Verdict};
use crate::humanize::Humanized;

/// The breaker is open, or half-open with all its probes running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerOpen {
    pub(super) retry_in: Duration,
}

impl BreakerOpen {
    pub(crate) const fn new(retry_in: Duration) -> Self {
        Self { retry_in }
    }

    /// The time until the breaker admits a try; zero if that depends on running probes, [`Duration::MAX`] if the breaker is
    /// held open.
    #[must_use]
    pub const fn retry_in(&self) -> Duration {
        self.retry_in
    }
}

impl fmt::Display for BreakerOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.retry_in == Duration::MAX {
            return f.write_str("the circuit breaker is held open");
        }
        if self.retry_in.is_zero() {
            return f.write_str("the circuit breaker waits for its probes");
        }
        write!(f, "the circuit breaker is open for another {}", Humanized(self.retry_in))
    }
}

impl std::error::Error for BreakerOpen {}

/// A permit for one try, which reports the result. A permit dropped without a result does not count.
#[derive(Debug)]
#[must_use = "report the result"]
pub struct BreakerPermit<'a> {
    pub(super) breaker: &'a Breaker,
    pub(super) period: u64,
    pub(super) reported: bool,
}

impl BreakerPermit<'_> {
    /// Reports a success.
    pub fn succeeded(self, now: Duration) {
        self.end(Some(Verdict::Succeeded), now);
    }

    /// Reports a failed request that a working service has answered, such as a 404. It counts as a success of the service.
    pub fn answered(self, now: Duration) {
        self.end(Some(Verdict::Answered), now);
    }

    /// Reports a failure of the service. Do not report failures of the request, such as malformed input.
    pub fn failed(self, now: Duration) {
        self.end(Some(Verdict::Failed), now);
    }

    /// Reports the result of a try.
    pub(crate) fn report(self, failure: Option<&crate::Failure>, now: Duration) {
        self.end(Verdict::of(failure), now);
    }

    fn end(mut self, verdict: Option<Verdict>, now: Duration) {
        if let Some(verdict) = verdict {
            self.reported = true;
            self.breaker.report(self.period, verdict, now);
        }
    }

    #[cfg(feature = "tower")]
    pub(crate) fn into_owned(mut self, breaker: std::sync::Arc<Breaker>) -> OwnedPermit {
        self.reported = true;
        OwnedPermit { breaker, period: Some(self.period) }
    }
}

impl Drop for BreakerPermit<'_> {
    fn drop(&mut self) {
        if !self.reported {
            self.breaker.abandon(self.period);
        }
    }
}

/// A permit that owns its breaker, for futures that outlive the call.
#[cfg(feature = "tower")]
pub(crate) struct OwnedPermit {
    breaker: std::sync::Arc<Breaker>,
    /// `None` once it was borrowed.
    period: Option<u64>,
}

#[cfg(feature = "tower")]
impl OwnedPermit {
    /// The permit as a borrowed one, which reports the result or frees its place.
    pub(crate) fn borrowed(&mut self) -> Option<BreakerPermit<'_>> {
        self.period.take().map(|period| self.breaker.permit(period))
    }
}

#[cfg(feature = "tower")]
impl Drop for OwnedPermit {
    fn drop(&mut self) {
        drop(self.borrowed());
    }
}
