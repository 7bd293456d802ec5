//! [`RetryOptions`]: the five numbers that Trigger.dev calls by that name.
//!
//! They are the part of a retry policy that people write by hand into a poll or a fetch, so they have their
//! own type with their own spelling; the [`Policy`](crate::Policy) made from them behaves the same. What
//! always holds: an existing value is valid, so nothing that takes one has to check it again, and no delay it
//! gives exceeds `max_timeout`.

use std::time::Duration;

use crate::{Jitter, PolicyError, Rng, nanos};

/// Exponential backoff with "plus" jitter: how often to try, and how long to wait in between.
///
/// | member | default | meaning |
/// | --- | --- | --- |
/// | `limit` | 5 | tries of one sequence, the first included |
/// | `factor` | 1.8 | growth from one delay to the next |
/// | `minTimeoutInMs` | 1000 | the first delay, before jitter |
/// | `maxTimeoutInMs` | 60000 | no delay is longer, jitter included |
/// | `randomize` | true | multiply each delay by a random number from 1 to 2 |
///
/// The delay before try k + 1, for k from 1, is `min · factor^(k−1)`, times 1 to 2 if `randomize`, then
/// capped at the maximum. The formula and the defaults are Trigger.dev's (`calculateRetryAt`), without its
/// rounding to whole milliseconds.
///
/// With the `serde` feature it is read from and written as a JSON object with the member names of the table;
/// any may be left out, none may be unknown.
///
/// ```
/// use retry::{RetryOptions, Rng};
/// use std::time::Duration;
///
/// let options = RetryOptions::builder().limit(3).randomize(false).build()?;
/// let mut rng = Rng::seeded(1);
/// assert_eq!(options.delay(1, &mut rng), Duration::from_millis(1000));
/// assert_eq!(options.delay(2, &mut rng), Duration::from_millis(1800));
/// assert!(options.allows_another(2));
/// assert!(!options.allows_another(3));
/// # Ok::<(), retry::PolicyError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "wire::Options", into = "wire::Options"))]
pub struct RetryOptions {
    limit: u32,
    factor: f64,
    min_timeout: Duration,
    max_timeout: Duration,
    randomize: bool,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            limit: 5,
            factor: 1.8,
            min_timeout: Duration::from_secs(1),
            max_timeout: Duration::from_secs(60),
            randomize: true,
        }
    }
}

impl RetryOptions {
    /// Starts from the defaults.
    pub fn builder() -> RetryOptionsBuilder {
        RetryOptionsBuilder { options: Self::default() }
    }

    /// How many tries one sequence has, the first included. At least 1.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// By how much each delay grows over the one before. Finite, at least 1.
    #[must_use]
    pub const fn factor(&self) -> f64 {
        self.factor
    }

    /// The first delay, before jitter. It may exceed [`max_timeout`](Self::max_timeout), which then wins.
    #[must_use]
    pub const fn min_timeout(&self) -> Duration {
        self.min_timeout
    }

    /// The longest delay, jitter included.
    #[must_use]
    pub const fn max_timeout(&self) -> Duration {
        self.max_timeout
    }

    /// Whether each delay is multiplied by a random number from 1 to 2.
    #[must_use]
    pub const fn randomize(&self) -> bool {
        self.randomize
    }

    /// The delay after try number `k` has failed, counted from 1; 0 is taken as 1.
    ///
    /// It does not ask whether there may be another try: that is [`allows_another`](Self::allows_another).
    /// Time logarithmic in `k`, no allocation, no panic for any `k`. Delays past 584 years saturate.
    pub fn delay(&self, k: u32, rng: &mut Rng) -> Duration {
        let cap = nanos::of(self.max_timeout);
        let grown = nanos::grow(nanos::of(self.min_timeout), self.factor, k.saturating_sub(1));
        let jitter = if self.randomize { Jitter::Plus } else { Jitter::None };
        Duration::from_nanos(jitter.apply(grown.min(cap), cap, rng))
    }

    /// Whether another try is allowed after `tries_made`, the first included.
    #[must_use]
    pub const fn allows_another(&self, tries_made: u32) -> bool {
        tries_made < self.limit
    }
}

/// Sets the members of [`RetryOptions`] one by one; [`build`](Self::build) checks them.
///
/// ```
/// use retry::RetryOptions;
/// use std::time::Duration;
///
/// let options = RetryOptions::builder()
///     .limit(10)
///     .factor(2.0)
///     .min_timeout(Duration::from_millis(250))
///     .max_timeout(Duration::from_secs(30))
///     .randomize(false)
///     .build()?;
/// assert_eq!(options.limit(), 10);
/// # Ok::<(), retry::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct RetryOptionsBuilder {
    options: RetryOptions,
}

impl RetryOptionsBuilder {
    /// How many tries one sequence has, the first included.
    pub const fn limit(mut self, tries: u32) -> Self {
        self.options.limit = tries;
        self
    }

    /// By how much each delay grows over the one before.
    pub const fn factor(mut self, factor: f64) -> Self {
        self.options.factor = factor;
        self
    }

    /// The first delay, before jitter.
    pub const fn min_timeout(mut self, delay: Duration) -> Self {
        self.options.min_timeout = delay;
        self
    }

    /// The longest delay, jitter included.
    pub const fn max_timeout(mut self, delay: Duration) -> Self {
        self.options.max_timeout = delay;
        self
    }

    /// Whether each delay is multiplied by a random number from 1 to 2.
    pub const fn randomize(mut self, randomize: bool) -> Self {
        self.options.randomize = randomize;
        self
    }

    /// The options, if they make sense.
    ///
    /// # Errors
    /// If `limit` is 0 (the first try counts), or `factor` is below 1 or not finite (delays would shrink, or
    /// mean nothing). A first delay above the maximum is accepted: the maximum wins.
    pub fn build(self) -> Result<RetryOptions, PolicyError> {
        let RetryOptions { limit, factor, .. } = self.options;
        if limit == 0 {
            return Err(PolicyError::new("limit", limit, "at least 1, since the first try counts"));
        }
        if !(factor.is_finite() && factor >= 1.0) {
            return Err(PolicyError::new("factor", factor, "a finite number of at least 1"));
        }
        Ok(self.options)
    }
}

#[cfg(feature = "serde")]
mod wire {
    //! The JSON form. Kept apart from the type so that reading goes through the same checks as building.

    use super::RetryOptions;
    use crate::PolicyError;
    use crate::millis::Millis;

    #[derive(serde::Serialize, serde::Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(rename = "RetryOptions", rename_all = "camelCase", deny_unknown_fields, default)]
    pub(super) struct Options {
        #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
        limit: u32,
        #[cfg_attr(feature = "schema", schemars(range(min = 1.0)))]
        factor: f64,
        min_timeout_in_ms: Millis,
        max_timeout_in_ms: Millis,
        randomize: bool,
    }

    impl Default for Options {
        fn default() -> Self {
            RetryOptions::default().into()
        }
    }

    impl From<RetryOptions> for Options {
        fn from(o: RetryOptions) -> Self {
            Self {
                limit: o.limit,
                factor: o.factor,
                min_timeout_in_ms: Millis(o.min_timeout),
                max_timeout_in_ms: Millis(o.max_timeout),
                randomize: o.randomize,
            }
        }
    }

    #[cfg(feature = "schema")]
    impl schemars::JsonSchema for RetryOptions {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            Options::schema_name()
        }

        fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
            Options::json_schema(generator)
        }
    }

    impl TryFrom<Options> for RetryOptions {
        type Error = PolicyError;

        fn try_from(o: Options) -> Result<Self, PolicyError> {
            Self::builder()
                .limit(o.limit)
                .factor(o.factor)
                .min_timeout(o.min_timeout_in_ms.0)
                .max_timeout(o.max_timeout_in_ms.0)
                .randomize(o.randomize)
                .build()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> RetryOptionsBuilder {
        RetryOptions::builder().randomize(false)
    }

    #[test]
    fn delays_grow_by_the_factor_and_stop_at_the_maximum() {
        let options = plain().build().unwrap();
        let mut rng = Rng::seeded(0);
        let millis: Vec<u128> = (1..=9).map(|k| options.delay(k, &mut rng).as_millis()).collect();
        assert_eq!(millis, [1000, 1800, 3240, 5832, 10_497, 18_895, 34_012, 60_000, 60_000]);
        assert_eq!(options.delay(0, &mut rng), options.delay(1, &mut rng));
        assert_eq!(options.delay(u32::MAX, &mut rng), Duration::from_secs(60));
    }

    #[test]
    fn jitter_is_between_one_and_two_times_and_never_past_the_maximum() {
        let options = RetryOptions::default();
        let mut rng = Rng::seeded(9);
        for _ in 0..1000 {
            let first = options.delay(1, &mut rng);
            assert!(first >= Duration::from_secs(1) && first <= Duration::from_secs(2), "{first:?}");
            assert!(options.delay(7, &mut rng) <= Duration::from_secs(60));
        }
    }

    #[test]
    fn the_maximum_wins_over_the_minimum() {
        let options = plain().max_timeout(Duration::from_millis(10)).build().unwrap();
        assert_eq!(options.delay(1, &mut Rng::seeded(0)), Duration::from_millis(10));
    }

    #[test]
    fn limit_counts_the_first_try() {
        let once = plain().limit(1).build().unwrap();
        assert!(once.allows_another(0));
        assert!(!once.allows_another(1));
        assert!(!once.allows_another(u32::MAX));
    }

    #[test]
    fn nonsense_is_refused() {
        for factor in [0.999, 0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(plain().factor(factor).build().unwrap_err().field(), "factor");
        }
        assert_eq!(plain().limit(0).build().unwrap_err().field(), "limit");
    }

    #[cfg(feature = "serde")]
    #[test]
    fn json_is_trigger_devs() {
        let text =
            r#"{"limit":5,"factor":1.8,"minTimeoutInMs":1000,"maxTimeoutInMs":60000,"randomize":true}"#;
        let options: RetryOptions = serde_json::from_str(text).unwrap();
        assert_eq!(options, RetryOptions::default());
        assert_eq!(serde_json::to_string(&options).unwrap(), text);
        assert_eq!(serde_json::from_str::<RetryOptions>("{}").unwrap(), RetryOptions::default());

        let half: RetryOptions = serde_json::from_str(r#"{"minTimeoutInMs":0.5}"#).unwrap();
        assert_eq!(half.min_timeout(), Duration::from_micros(500));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn json_errors_say_what_to_write() {
        for (text, part) in [
            (r#"{"limit":0}"#, "`limit` is 0, expected at least 1"),
            (r#"{"factor":0.1}"#, "`factor` is 0.1, expected a finite number of at least 1"),
            (r#"{"minTimeoutInMs":-1}"#, "expected a number of milliseconds of at least 0"),
            (r#"{"minTimeoutInMs":"1s"}"#, "expected a number of milliseconds"),
            (r#"{"maxTimeoutInMs":1e300}"#, "expected a number of milliseconds"),
            (r#"{"retries":3}"#, "unknown field `retries`"),
        ] {
            let err = serde_json::from_str::<RetryOptions>(text).unwrap_err().to_string();
            assert!(err.contains(part), "{text}: {err}");
        }
    }
}
