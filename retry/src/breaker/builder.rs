//! [`BreakerBuilder`]: the settings of a [`Breaker`], and their checks.

use std::sync::Arc;
use std::time::Duration;

use super::{Breaker, BreakerChange, Hook, Rules, Trip};
use crate::humanize::Humanized;
use crate::members::setters;
use crate::{PolicyError, nanos};

/// The settings of a [`Breaker`]; [`build`](Self::build) checks them.
///
/// ```
/// use retry::breaker::Breaker;
/// use std::time::Duration;
///
/// let breaker = Breaker::builder()
///     .failure_rate(0.5, 20, Duration::from_secs(10)) // half of at least 20 answers in 10 s
///     .open_for(Duration::from_secs(5))
///     .probes(3)
///     .build()?;
/// # Ok::<(), retry::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct BreakerBuilder {
    trip: Trip,
    open_for: Duration,
    open_for_at_most: Option<Duration>,
    probes: u32,
    on_change: Option<Hook>,
}

impl Default for BreakerBuilder {
    fn default() -> Self {
        Self {
            trip: Trip::Consecutive(5),
            open_for: Duration::from_secs(30),
            open_for_at_most: None,
            probes: 1,
            on_change: None,
        }
    }
}

impl BreakerBuilder {
    setters! {
        /// Opens after this many failures with no success between them. For services with little traffic.
        pub const fn consecutive_failures(failures: u32) => trip = Trip::Consecutive(failures);
        /// Opens when at least this share of the results within `window` are failures, once there are `at_least` results.
        pub const fn failure_rate(ratio: f64, at_least: u32, window: Duration) =>
            trip = Trip::Rate { ratio, at_least, window: nanos::of(window) };
        /// How long the breaker stays open before it admits probes.
        pub const fn open_for(time: Duration) => open_for = time;
        /// Doubles the open time with each reopening, up to `most`, until the breaker closes. By default it does not grow.
        pub const fn open_for_at_most(most: Duration) => open_for_at_most = Some(most);
        /// The number of probes; the breaker closes when all of them succeed.
        pub const fn probes(probes: u32) => probes = probes;
    }

    /// Calls `hook` after each change of state, on the thread that caused it: for logs and metrics. Hooks of changes that
    /// follow each other closely on several threads may run in another order.
    pub fn on_change(mut self, hook: impl Fn(&BreakerChange) + Send + Sync + 'static) -> Self {
        self.on_change = Some(Hook(Arc::new(hook)));
        self
    }

    /// Checks the settings and builds the breaker.
    ///
    /// # Errors
    /// If a count or a time is zero, or the ratio is not above 0 and at most 1.
    pub fn build(self) -> Result<Breaker, PolicyError> {
        match self.trip {
            Trip::Consecutive(0) => return Err(PolicyError::new("consecutiveFailures", 0, "at least 1")),
            Trip::Rate { ratio, .. } if !(ratio > 0.0 && ratio <= 1.0) => {
                return Err(PolicyError::new("failureRate", ratio, "a number above 0 and at most 1"));
            }
            Trip::Rate { at_least: 0, .. } => return Err(PolicyError::new("atLeast", 0, "at least 1")),
            Trip::Rate { window: 0, .. } => return Err(PolicyError::new("window", 0, "more than 0")),
            Trip::Consecutive(_) | Trip::Rate { .. } => {}
        }
        if self.open_for.is_zero() {
            return Err(PolicyError::new("openFor", 0, "more than 0"));
        }
        if self.probes == 0 {
            return Err(PolicyError::new("probes", 0, "at least 1, or it would never close again"));
        }
        let open_at_most = self.open_for_at_most.unwrap_or(self.open_for);
        if open_at_most < self.open_for {
            return Err(PolicyError::new("openForAtMost", Humanized(open_at_most), "at least open_for"));
        }
        Ok(Breaker::new(Rules {
            trip: self.trip,
            open_for: nanos::of(self.open_for),
            open_at_most: nanos::of(open_at_most),
            probes: self.probes,
            on_change: self.on_change,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_field() {
        let second = Duration::from_secs(1);
        for (builder, field) in [
            (Breaker::builder().consecutive_failures(0), "consecutiveFailures"),
            (Breaker::builder().failure_rate(0.0, 1, second), "failureRate"),
            (Breaker::builder().failure_rate(f64::NAN, 1, second), "failureRate"),
            (Breaker::builder().failure_rate(0.5, 0, second), "atLeast"),
            (Breaker::builder().failure_rate(0.5, 1, Duration::ZERO), "window"),
            (Breaker::builder().open_for(Duration::ZERO), "openFor"),
            (Breaker::builder().open_for_at_most(second), "openForAtMost"),
            (Breaker::builder().probes(0), "probes"),
        ] {
            assert_eq!(builder.build().unwrap_err().field(), field);
        }
    }
}
