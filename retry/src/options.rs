//! [`RetryOptions`]: the five retry options of Trigger.dev, with its member names, defaults and formula.
//!
//! People write them by hand into a poll or a fetch. The [`Policy`](crate::Policy) made from them behaves the same. A value
//! of the type is always valid, and none of its delays exceeds `max_timeout`.

use std::fmt;
use std::time::Duration;

use crate::members::{getters, setters};
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
#[cfg_attr(feature = "serde", serde(remote = "Self"))] // the derived `deserialize` is private; `wire` adds the checks
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", deny_unknown_fields, default))]
#[cfg_attr(feature = "serde", serde(expecting = "retry options, an object"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(description = "Exponential backoff: how often to try, and the delays in between.")
)]
pub struct RetryOptions {
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    limit: u32,
    #[cfg_attr(feature = "schema", schemars(range(min = 1.0)))]
    factor: f64,
    #[cfg_attr(feature = "serde", serde(rename = "minTimeoutInMs", with = "crate::scalar::millis"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::scalar::Millis"))]
    min_timeout: Duration,
    #[cfg_attr(feature = "serde", serde(rename = "maxTimeoutInMs", with = "crate::scalar::millis"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::scalar::Millis"))]
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

    getters! {
        /// How many tries one sequence has, the first included. At least 1.
        pub const fn limit() -> u32;
        /// By how much each delay grows over the one before. Finite, at least 1.
        pub const fn factor() -> f64;
        /// The first delay, before jitter. It may exceed [`max_timeout`](Self::max_timeout), which then wins.
        pub const fn min_timeout() -> Duration;
        /// The longest delay, jitter included.
        pub const fn max_timeout() -> Duration;
        /// Whether each delay is multiplied by a random number from 1 to 2.
        pub const fn randomize() -> bool;
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
    setters! {
        /// How many tries one sequence has, the first included.
        pub const fn limit(tries: u32) => options.limit = tries;
        /// By how much each delay grows over the one before.
        pub const fn factor(factor: f64) => options.factor = factor;
        /// The first delay, before jitter.
        pub const fn min_timeout(delay: Duration) => options.min_timeout = delay;
        /// The longest delay, jitter included.
        pub const fn max_timeout(delay: Duration) => options.max_timeout = delay;
        /// Whether each delay is multiplied by a random number from 1 to 2.
        pub const fn randomize(randomize: bool) => options.randomize = randomize;
    }

    /// The options, if they make sense.
    ///
    /// # Errors
    /// If `limit` is 0 (the first try counts), or `factor` is below 1 or not finite (delays would shrink, or
    /// mean nothing). A first delay above the maximum is accepted: the maximum wins.
    pub fn build(self) -> Result<RetryOptions, PolicyError> {
        self.options.checked()
    }
}

impl RetryOptions {
    fn checked(self) -> Result<Self, PolicyError> {
        if self.limit == 0 {
            return Err(PolicyError::new("limit", 0, "at least 1, since the first try counts"));
        }
        if !(self.factor.is_finite() && self.factor >= 1.0) {
            return Err(PolicyError::new("factor", self.factor, "a finite number of at least 1"));
        }
        Ok(self)
    }

    /// The names of the members in serialised form.
    pub const MEMBERS: [&'static str; 5] =
        ["limit", "factor", "minTimeoutInMs", "maxTimeoutInMs", "randomize"];

    /// Reads the options from the members of a document, for readers that report every error with its place. With serde,
    /// deserialise instead.
    ///
    /// ```
    /// use retry::{OptionBounds, OptionValue, RetryOptions};
    ///
    /// let members = [("limit", OptionValue::Number(0.0)), ("randomize", OptionValue::Other("\"yes\""))];
    /// let errors = RetryOptions::from_members(members, &OptionBounds::default()).unwrap_err();
    /// let fields: Vec<&str> = errors.iter().map(|error| error.field()).collect();
    /// assert_eq!(fields, ["limit", "randomize"]);
    /// assert_eq!(errors[1].expected(), "true or false");
    /// ```
    ///
    /// # Errors
    /// One per refused member, in their order: unknown, of the wrong type, or outside `bounds`.
    pub fn from_members<'a>(
        members: impl IntoIterator<Item = (&'a str, OptionValue<'a>)>,
        bounds: &OptionBounds,
    ) -> Result<Self, Vec<PolicyError>> {
        let (mut options, mut errors) = (Self::default(), Vec::new());
        for (name, value) in members {
            if let Err(expected) = options.set(name, value, bounds) {
                errors.push(PolicyError::new(name.to_owned(), value, expected).in_document());
            }
        }
        if errors.is_empty() { Ok(options) } else { Err(errors) }
    }

    /// Sets one member, or says what was expected.
    fn set(&mut self, name: &str, value: OptionValue<'_>, bounds: &OptionBounds) -> Result<(), String> {
        let number = if let OptionValue::Number(number) = value { Some(number) } else { None };
        match name {
            "limit" => {
                let most = bounds.max_tries;
                let whole =
                    number.filter(|limit| limit.fract() == 0.0 && (1.0..=f64::from(most)).contains(limit));
                self.limit = whole.ok_or_else(|| match most {
                    u32::MAX => "a whole number from 1: all tries count, the first too".to_owned(),
                    _ => format!("a whole number from 1 to {most}: all tries count, the first too"),
                })? as u32;
            }
            "factor" => {
                let factor = number.ok_or("a number of at least 1")?;
                self.factor = factor;
                self.clone().checked().map_err(|error| error.expected().to_owned())?;
            }
            "minTimeoutInMs" | "maxTimeoutInMs" => {
                let delay = number.and_then(|millis| Duration::try_from_secs_f64(millis / 1e3).ok());
                let delay = delay.ok_or("a number of milliseconds")?;
                if delay < bounds.min_delay {
                    return Err(format!("at least {} ms", bounds.min_delay.as_millis()));
                }
                *(if name == "minTimeoutInMs" { &mut self.min_timeout } else { &mut self.max_timeout }) =
                    delay;
            }
            "randomize" => {
                let OptionValue::Bool(randomize) = value else { return Err("true or false".to_owned()) };
                self.randomize = randomize;
            }
            _ => return Err(format!("one of {}", Self::MEMBERS.join(", "))),
        }
        Ok(())
    }
}

/// A member's value, for [`RetryOptions::from_members`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptionValue<'a> {
    /// A number.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A value of any other type, as the document has it.
    Other(&'a str),
}

impl fmt::Display for OptionValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Bool(value) => value.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// Bounds that a program sets for the options it accepts. None by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionBounds {
    /// The highest `limit`.
    pub max_tries: u32,
    /// The shortest delay.
    pub min_delay: Duration,
}

impl Default for OptionBounds {
    fn default() -> Self {
        Self { max_tries: u32::MAX, min_delay: Duration::ZERO }
    }
}

#[cfg(feature = "serde")]
mod wire {
    //! The derived reading and writing, and the checks after reading.

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::RetryOptions;

    impl Serialize for RetryOptions {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            Self::serialize(self, serializer)
        }
    }

    impl<'de> Deserialize<'de> for RetryOptions {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Self::deserialize(deserializer)?.checked().map_err(|error| D::Error::custom(error.in_document()))
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

    #[test]
    fn members_are_read_with_all_their_errors() {
        use OptionValue::{Bool, Number, Other};
        let bounds = OptionBounds { max_tries: 100, min_delay: Duration::from_millis(5) };
        let members = [
            ("limit", Number(3.0)),
            ("factor", Number(2.0)),
            ("minTimeoutInMs", Number(5.5)),
            ("maxTimeoutInMs", Number(9.0)),
            ("randomize", Bool(false)),
        ];
        let options = RetryOptions::from_members(members, &bounds).unwrap();
        let built = plain().limit(3).factor(2.0).min_timeout(Duration::from_micros(5500));
        assert_eq!(options, built.max_timeout(Duration::from_millis(9)).build().unwrap());
        assert_eq!(RetryOptions::from_members([], &bounds), Ok(RetryOptions::default()));

        for (name, value, expected) in [
            ("limit", Number(101.0), "a whole number from 1 to 100: all tries count, the first too"),
            ("limit", Number(1.5), "a whole number from 1 to 100: all tries count, the first too"),
            ("factor", Number(0.5), "a finite number of at least 1"),
            ("factor", Bool(true), "a number of at least 1"),
            ("minTimeoutInMs", Number(4.0), "at least 5 ms"),
            ("maxTimeoutInMs", Number(f64::NAN), "a number of milliseconds"),
            ("randomize", Other("null"), "true or false"),
            ("retries", Number(1.0), "one of limit, factor, minTimeoutInMs, maxTimeoutInMs, randomize"),
        ] {
            let errors = RetryOptions::from_members([(name, value), ("limit", Number(0.0))], &bounds);
            let errors = errors.unwrap_err();
            assert_eq!((errors[0].field(), errors[0].expected()), (name, expected));
            assert_eq!((errors.len(), errors[1].found()), (2, "0"));
        }
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

        let text: RetryOptions = serde_json::from_str(r#"{"maxTimeoutInMs":"1m30s"}"#).unwrap();
        assert_eq!(text.max_timeout(), Duration::from_secs(90));
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
            (r#"{"minTimeoutInMs":"1 second"}"#, "expected a number of milliseconds"),
            (r#"{"maxTimeoutInMs":1e300}"#, "expected a number of milliseconds"),
            (r#"{"retries":3}"#, "unknown field `retries`"),
        ] {
            let err = serde_json::from_str::<RetryOptions>(text).unwrap_err().to_string();
            assert!(err.contains(part), "{text}: {err}");
        }
    }
}
