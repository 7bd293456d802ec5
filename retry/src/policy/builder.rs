//! [`PolicyBuilder`]: the settings of a [`Policy`], and every check of them. Reading JSON goes through the same checks.

use std::time::Duration;

use super::{Attempts, FirstRetry, Hints, Policy};
use crate::humanize::Humanized;
use crate::members::setters;
use crate::{Backoff, Jitter, PolicyError, nanos};

/// The settings of a [`Policy`]; [`build`](Self::build) checks them.
///
/// | | default |
/// | --- | --- |
/// | jitter | [`Jitter::Full`]; for decorrelated jitter and lists [`Jitter::None`] |
/// | attempts | 5; for a list, one more than it has delays |
/// | maximum delay | 60 s; none if all backoffs are fixed or lists |
/// | maximum elapsed time | none |
/// | first retry | [`FirstRetry::AfterDelay`] |
/// | hints | [`Hints::Obey`], up to 60 s |
/// | backoffs after timeouts and throttled tries | none: the same backoff |
///
/// ```
/// use retry::{Jitter, Policy};
/// use std::time::Duration;
///
/// let err = Policy::decorrelated(Duration::from_secs(1)).jitter(Jitter::Full).build().unwrap_err();
/// assert_eq!(err.field(), "jitter");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct PolicyBuilder {
    /// The settings as given, but for `jitter` and `attempts`: those below count, and [`build`](Self::build) puts them in.
    pub(super) policy: Policy,
    pub(super) jitter: Option<Jitter>,
    /// The inner `None` is zero attempts, which [`build`](Self::build) refuses.
    pub(super) attempts: Option<Option<Attempts>>,
}

/// The default of [`RetryOptions`](crate::RetryOptions) too.
const DEFAULT_ATTEMPTS: u32 = 5;

/// The default for backoffs that grow.
const DEFAULT_MAX_DELAY: Duration = Duration::from_secs(60);

/// The longest wait for a hint.
pub(super) const DEFAULT_MAX_HINT: Duration = Duration::from_secs(60);

impl PolicyBuilder {
    setters! {
        /// How each delay is spread.
        pub const fn jitter(jitter: Jitter) => jitter = Some(jitter);
        /// The limit of tries, the first included.
        pub const fn max_attempts(tries: u32) => attempts = Some(Attempts::at_most(tries));
        /// Removes the limit of tries.
        pub const fn unlimited_attempts() => attempts = Some(Some(Attempts::Unlimited));
        /// The longest delay, jitter included.
        pub const fn max_delay(delay: Duration) => policy.max_delay = Some(delay);
        /// Every try begins sooner than this after the first.
        pub const fn max_elapsed(elapsed: Duration) => policy.max_elapsed = Some(elapsed);
        /// When the first retry comes.
        pub const fn first_retry(first: FirstRetry) => policy.first_retry = first;
        /// How to use server hints.
        pub const fn hints(hints: Hints) => policy.hints = hints;
        /// The longest wait that a server hint can ask for. Independent of [`max_delay`](Self::max_delay), which bounds the
        /// policy's own delays.
        pub const fn max_hint(wait: Duration) => policy.max_hint = wait;
    }

    /// A separate backoff after tries that took too long. The other settings apply to it too.
    pub fn timeout_backoff(mut self, backoff: Backoff) -> Self {
        self.policy.timeout_backoff = Some(backoff);
        self
    }

    /// A separate backoff after throttled tries. The other settings apply to it too.
    pub fn throttled_backoff(mut self, backoff: Backoff) -> Self {
        self.policy.throttled_backoff = Some(backoff);
        self
    }

    /// Checks the settings and builds the policy.
    ///
    /// # Errors
    /// - A backoff that starts from zero: it would never grow, and the client would retry without pause. A list may contain
    ///   zeros; for a first retry without delay use [`FirstRetry::AtOnce`].
    /// - A factor below 1 or not finite; a jitter ratio outside 0 to 1; jitter on top of decorrelated jitter.
    /// - An empty list; zero attempts (the first try counts); a maximum elapsed time of zero.
    /// - A maximum delay, given or by default, below the first delay of a backoff.
    pub fn build(self) -> Result<Policy, PolicyError> {
        self.backoffs().try_for_each(|(setting, backoff)| {
            check_backoff(backoff).map_err(|error| error.within(setting))
        })?;
        let jitter = self.checked_jitter()?;
        let attempts = self.checked_attempts()?;
        if self.policy.max_elapsed.is_some_and(|elapsed| elapsed.is_zero()) {
            return Err(PolicyError::new("maxElapsedInMs", 0, "more than 0"));
        }
        let max_delay = self.checked_max_delay()?;
        Ok(Policy { jitter, attempts, max_delay, ..self.policy })
    }

    /// All backoffs, those of a kind of failure with the name of their member.
    fn backoffs(&self) -> impl Iterator<Item = (Option<&'static str>, &Backoff)> {
        let timeout = self.policy.timeout_backoff.iter().map(|backoff| (Some("timeoutBackoff"), backoff));
        let throttled =
            self.policy.throttled_backoff.iter().map(|backoff| (Some("throttledBackoff"), backoff));
        std::iter::once((None, &self.policy.backoff)).chain(timeout).chain(throttled)
    }

    fn checked_jitter(&self) -> Result<Jitter, PolicyError> {
        let spreads_itself = matches!(self.policy.backoff, Backoff::Decorrelated { .. });
        let as_written = matches!(self.policy.backoff, Backoff::List { .. });
        let default = if spreads_itself || as_written { Jitter::None } else { Jitter::default() };
        let jitter = self.jitter.unwrap_or(default);
        if spreads_itself && jitter != Jitter::None {
            let found = match jitter {
                Jitter::Around { .. } => "around".to_owned(),
                other => format!("{other:?}").to_lowercase(),
            };
            let expected = "none, since decorrelated backoff is jitter already";
            return Err(PolicyError::new("jitter", found, expected));
        }
        match jitter {
            Jitter::Around { ratio } if !(0.0..=1.0).contains(&ratio) => {
                Err(PolicyError::new("ratio", ratio, "a number from 0 to 1"))
            }
            _ => Ok(jitter),
        }
    }

    fn checked_attempts(&self) -> Result<Attempts, PolicyError> {
        let default = match &self.policy.backoff {
            Backoff::List { delays } => u32::try_from(delays.len()).unwrap_or(u32::MAX).saturating_add(1),
            _ => DEFAULT_ATTEMPTS,
        };
        self.attempts
            .unwrap_or(Attempts::at_most(default))
            .ok_or_else(|| PolicyError::new("maxAttempts", 0, "at least 1, since the first try counts"))
    }

    fn checked_max_delay(&self) -> Result<Option<Duration>, PolicyError> {
        let grows = self
            .backoffs()
            .any(|(_, backoff)| !matches!(backoff, Backoff::Fixed { .. } | Backoff::List { .. }));
        let max_delay = self.policy.max_delay.or(grows.then_some(DEFAULT_MAX_DELAY));
        let least = |(setting, backoff)| (Backoff::least(backoff), setting);
        let (least, setting) = self.backoffs().map(least).max_by_key(|(least, _)| *least).unwrap_or_default();
        let Some(max) = max_delay.filter(|max| nanos::of(*max) < least) else { return Ok(max_delay) };
        let least = Duration::from_nanos(least);
        let expected = |of: Option<String>, least: &dyn std::fmt::Display| match of {
            None => format!("at least the first delay, {least}"),
            Some(of) => format!("at least the first delay of {of}, {least}"),
        };
        let millis = |delay: Duration| delay.as_secs_f64() * 1e3;
        let in_document = expected(setting.map(str::to_owned), &millis(least));
        let in_rust = expected(setting.map(crate::error::setter), &Humanized(least));
        let error = PolicyError::new("maxDelayInMs", millis(max), in_document);
        Err(error.in_rust(Humanized(max), in_rust).default_value(self.policy.max_delay.is_none()))
    }
}

fn check_backoff(backoff: &Backoff) -> Result<(), PolicyError> {
    match backoff {
        Backoff::Fixed { delay } => positive("delayInMs", *delay),
        Backoff::Linear { initial, .. } => positive("initialInMs", *initial),
        Backoff::Exponential { initial, factor } => positive("initialInMs", *initial).and(growing(*factor)),
        Backoff::Fibonacci { unit } => positive("unitInMs", *unit),
        Backoff::Decorrelated { base, factor } => positive("baseInMs", *base).and(growing(*factor)),
        Backoff::List { delays } if delays.is_empty() => {
            Err(PolicyError::new("delaysInMs", "empty", "at least one delay"))
        }
        Backoff::List { .. } => Ok(()),
    }
}

fn positive(field: &'static str, delay: Duration) -> Result<(), PolicyError> {
    if delay.is_zero() {
        let expected = "more than 0; for a first retry without delay";
        let error = PolicyError::new(field, 0, format!("{expected} set firstRetry to atOnce"));
        return Err(error.in_rust(0, format!("{expected} use FirstRetry::AtOnce")));
    }
    Ok(())
}

fn growing(factor: f64) -> Result<(), PolicyError> {
    if factor.is_finite() && factor >= 1.0 {
        return Ok(());
    }
    Err(PolicyError::new("factor", factor, "a finite number of at least 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn defaults() {
        let policy = Policy::exponential(SECOND, 2.0).build().unwrap();
        assert_eq!((policy.jitter(), policy.max_delay()), (Jitter::Full, Some(DEFAULT_MAX_DELAY)));
        assert_eq!(policy.attempts(), Attempts::at_most(5).unwrap());
        let list = Policy::list([SECOND, SECOND * 100]).build().unwrap();
        assert_eq!((list.jitter(), list.max_delay()), (Jitter::None, None));
        assert_eq!(list.attempts(), Attempts::at_most(3).unwrap());
        assert_eq!(Policy::fixed(SECOND * 600).build().unwrap().max_delay(), None);
        assert_eq!(Policy::decorrelated(SECOND).build().unwrap().jitter(), Jitter::None);
    }

    #[test]
    fn the_last_setting_of_attempts_counts() {
        let builder = Policy::fixed(SECOND).max_attempts(0);
        assert_eq!(builder.clone().unlimited_attempts().build().unwrap().attempts(), Attempts::Unlimited);
        assert_eq!(builder.unlimited_attempts().max_attempts(0).build().unwrap_err().field(), "maxAttempts");
    }

    #[test]
    fn errors_name_the_field() {
        let zero = Duration::ZERO;
        let around = |ratio| Policy::fixed(SECOND).jitter(Jitter::Around { ratio });
        for (builder, field) in [
            (Policy::fixed(zero), "delayInMs"),
            (Policy::linear(zero, SECOND), "initialInMs"),
            (Policy::exponential(zero, 2.0), "initialInMs"),
            (Policy::fibonacci(zero), "unitInMs"),
            (Policy::decorrelated(zero), "baseInMs"),
            (Policy::list([]), "delaysInMs"),
            (Policy::exponential(SECOND, 0.99), "factor"),
            (Policy::exponential(SECOND, f64::NAN), "factor"),
            (Policy::exponential(SECOND, f64::INFINITY), "factor"),
            (Policy::builder(Backoff::Decorrelated { base: SECOND, factor: 0.5 }), "factor"),
            (Policy::decorrelated(SECOND).jitter(Jitter::Plus), "jitter"),
            (around(-0.1), "ratio"),
            (around(1.1), "ratio"),
            (around(f64::NAN), "ratio"),
            (Policy::fixed(SECOND).max_attempts(0), "maxAttempts"),
            (Policy::fixed(SECOND).max_elapsed(zero), "maxElapsedInMs"),
            (Policy::exponential(SECOND * 61, 2.0), "maxDelayInMs"),
            (Policy::fixed(SECOND).max_delay(SECOND / 2), "maxDelayInMs"),
            (Policy::list([SECOND, SECOND * 2]).max_delay(SECOND / 2), "maxDelayInMs"),
        ] {
            let err = builder.build().unwrap_err();
            assert_eq!(err.field(), field, "{err}");
        }
    }

    #[test]
    fn errors_use_the_names_of_the_setters() {
        for (builder, message) in [
            (
                Policy::fixed(SECOND).max_attempts(0),
                "`max_attempts` is 0, expected at least 1, since the first try counts",
            ),
            (
                Policy::exponential(SECOND * 90, 2.0),
                "`max_delay` is 1 min (the default), expected at least the first delay, 1 min 30 s",
            ),
            (
                Policy::fixed(SECOND).max_delay(SECOND / 2),
                "`max_delay` is 500 ms, expected at least the first delay, 1 s",
            ),
            (Policy::fixed(SECOND).max_elapsed(Duration::ZERO), "`max_elapsed` is 0, expected more than 0"),
            (
                Policy::fixed(SECOND).throttled_backoff(Backoff::Fibonacci { unit: SECOND * 100 }),
                "`max_delay` is 1 min (the default), expected at least the first delay of throttled_backoff, 1 min 40 s",
            ),
            (
                Policy::fixed(SECOND).timeout_backoff(Backoff::Exponential { initial: SECOND, factor: 0.5 }),
                "`factor` of `timeout_backoff` is 0.5, expected a finite number of at least 1",
            ),
            (
                Policy::decorrelated(SECOND).jitter(Jitter::Around { ratio: 0.5 }),
                "`jitter` is around, expected none, since decorrelated backoff is jitter already",
            ),
        ] {
            assert_eq!(builder.build().unwrap_err().to_string(), message);
        }
    }
}
