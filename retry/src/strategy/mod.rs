//! Strategies by status, as Trigger.dev's `FetchRetryOptions` have them.
//!
//! ```text
//!   response status ──► ByStatus: first key, in document order, that matches ──► Strategy
//!                                                                       backoff ──► RetryOptions
//!                                                                       headers ──► the reset header
//!   failed try ───────► Sequence: consecutive tries for one cause ──► compared with the limit
//! ```
//!
//! The order of a JSON object's members decides, so they are kept in a list and not in a map, and can be written as a list.
//! [`ByStatus`] is generic, so
//! that a caller can wrap strategies in its own type, for example with a body filter.

mod by_status;
mod headers;
mod sequence;

use std::fmt;
use std::time::{Duration, SystemTime};

pub use by_status::ByStatus;
pub use headers::HeadersStrategy;
pub use sequence::Sequence;

use crate::hint::HintError;
use crate::{Decision, GiveUp, Policy, RetryOptions, Rng, nanos};

/// The strategy after a response with a certain status.
///
/// In JSON an object with a member `strategy`, `"backoff"` or `"headers"`, and the members of that strategy.
///
/// ```
/// # #[cfg(feature = "serde")] {
/// use retry::{Decision, Rng, strategy::Strategy};
/// use std::time::{Duration, SystemTime};
///
/// let strategy: Strategy = serde_json::from_str(r#"{
///     "strategy": "headers",
///     "limitHeader": "x-ratelimit-limit",
///     "remainingHeader": "x-ratelimit-remaining",
///     "resetHeader": "x-ratelimit-reset",
///     "resetFormat": "iso_8601_duration_openai_variant"
/// }"#).unwrap();
/// let headers = [("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "6m0s")];
/// let decision = strategy.decide(1, headers, SystemTime::UNIX_EPOCH, &mut Rng::seeded(0));
/// let Ok(Decision::RetryAfter(wait)) = decision else { panic!("{decision:?}") };
/// assert!((360.0..=396.0).contains(&wait.as_secs_f64())); // with up to a tenth of jitter
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "strategy", rename_all = "camelCase"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(description = "The strategy after a response with a certain status.")
)]
pub enum Strategy {
    /// Exponential backoff.
    Backoff(RetryOptions),
    /// Until the time that the response headers state.
    Headers(HeadersStrategy),
}

/// The shortest wait by headers.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

impl Strategy {
    /// Decides after `tries` tries of the current [`Sequence`], the failed one included.
    ///
    /// A wait by headers is at least a second, since a reset in the past would otherwise ask for retries without pause, and
    /// gets up to a tenth of jitter.
    ///
    /// # Errors
    /// If the response has the headers that the strategy reads, and they are malformed.
    pub fn decide<'a>(
        &self,
        tries: u32,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: SystemTime,
        rng: &mut Rng,
    ) -> Result<Decision, HintError> {
        match self {
            Self::Backoff(options) if options.allows_another(tries) => {
                Ok(Decision::RetryAfter(options.delay(tries, rng)))
            }
            Self::Headers(strategy) if tries < strategy.limit => Ok(match strategy.hint(headers, now)? {
                Some(hint) => {
                    let wait = hint.delay.max(SHORTEST_WAIT);
                    let spread = Duration::from_nanos(rng.up_to(nanos::of(wait / 10)));
                    Decision::RetryAfter(wait.saturating_add(spread))
                }
                None => Decision::GiveUp(GiveUp::NoHint),
            }),
            Self::Backoff(_) | Self::Headers(_) => Ok(Decision::GiveUp(GiveUp::Attempts { made: tries })),
        }
    }
}

/// Trigger.dev's `FetchRetryOptions`: strategies by status, and options for failures without a status.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", deny_unknown_fields))]
#[cfg_attr(feature = "serde", serde(expecting = "fetch retry options, an object"))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "S: serde::Deserialize<'de>")))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(
        description = "Trigger.dev's FetchRetryOptions: strategies by status, and options for failures without a status."
    )
)]
pub struct FetchRetryOptions<S = Strategy> {
    /// After a response, by its status.
    #[cfg_attr(feature = "serde", serde(default))]
    pub by_status: ByStatus<S>,
    /// After a timed-out try.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub timeout: Option<RetryOptions>,
    /// After a failed connection.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub connection_error: Option<RetryOptions>,
}

impl<S> Default for FetchRetryOptions<S> {
    fn default() -> Self {
        Self { by_status: ByStatus::new(), timeout: None, connection_error: None }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backoff(options) => Policy::from(options).fmt(f),
            Self::Headers(HeadersStrategy { remaining_header, reset_header, reset_format, .. }) => {
                if let Some(remaining) = remaining_header {
                    write!(f, "when {remaining} is 0, ")?;
                }
                write!(f, "until {reset_header} ({reset_format})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_strategy_counts_its_tries() {
        let strategy = Strategy::Backoff(RetryOptions::builder().limit(2).randomize(false).build().unwrap());
        let decide = |tries| strategy.decide(tries, [], SystemTime::UNIX_EPOCH, &mut Rng::seeded(0));
        assert_eq!(decide(1), Ok(Decision::RetryAfter(Duration::from_secs(1))));
        assert_eq!(decide(2), Ok(Decision::GiveUp(GiveUp::Attempts { made: 2 })));
    }

    #[test]
    fn a_headers_strategy_has_a_floor_a_limit_and_jitter() {
        let strategy = Strategy::Headers(HeadersStrategy { limit: 3, ..HeadersStrategy::new("x-reset") });
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let mut rng = Rng::seeded(0);
        let mut waits = std::collections::HashSet::new();
        for (reset, least, most) in [("0", 1000, 1100), ("1000", 1000, 1100), ("1020", 20_000, 22_000)] {
            for _ in 0..100 {
                let decision = strategy.decide(1, [("x-reset", reset)], now, &mut rng);
                let Ok(Decision::RetryAfter(wait)) = decision else { panic!("{decision:?}") };
                assert!((least..=most).contains(&wait.as_millis()), "{wait:?}");
                waits.insert(wait);
            }
        }
        assert!(waits.len() > 290);
        let spent = strategy.decide(3, [("x-reset", "0")], now, &mut rng);
        assert_eq!(spent, Ok(Decision::GiveUp(GiveUp::Attempts { made: 3 })));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn document_order_decides() {
        let text = r#"{"byStatus":{"500-599":{"strategy":"backoff","limit":3,"factor":1.8,"minTimeoutInMs":500,"maxTimeoutInMs":30000,"randomize":false},"429":{"strategy":"headers","limitHeader":"l","remainingHeader":"r","resetHeader":"s","resetFormat":"unix_timestamp_in_ms"},"all":{"strategy":"backoff","limit":1,"factor":1.8,"minTimeoutInMs":1000,"maxTimeoutInMs":60000,"randomize":true}},"timeout":{"limit":5,"factor":1.8,"minTimeoutInMs":1000,"maxTimeoutInMs":60000,"randomize":true}}"#;
        let options: FetchRetryOptions = serde_json::from_str(text).unwrap();
        assert!(matches!(options.by_status.get(503), Some(Strategy::Backoff(o)) if o.limit() == 3));
        assert!(matches!(options.by_status.get(429), Some(Strategy::Headers(_))));
        assert!(matches!(options.by_status.get(404), Some(Strategy::Backoff(o)) if o.limit() == 1));
        assert_eq!(options.by_status.applicable(503).count(), 2);
        let text = serde_json::to_string(&options).unwrap();
        assert!(
            text.starts_with(r#"{"byStatus":[{"status":"500-599","retry":{"strategy":"backoff","limit":3,"#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<FetchRetryOptions>(&text).unwrap(), options);
        let apart = r#"{"byStatus":{"5xx":{"strategy":"headers","resetHeader":"s","resetFormat":"seconds"},"429":{"strategy":"headers","resetHeader":"r","resetFormat":"seconds"}}}"#;
        let options: FetchRetryOptions = serde_json::from_str(apart).unwrap();
        assert_eq!(serde_json::to_string(&options).unwrap(), apart);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn misspelt_strategies_are_errors() {
        for (text, part) in [
            (r#"{"strategy":"wait"}"#, "unknown variant `wait`"),
            (r#"{"strategy":"backoff","limit":0}"#, "`limit` is 0"),
            (r#"{"strategy":"backoff","retries":2}"#, "unknown field `retries`"),
            (r#"{"strategy":"headers","limitHeader":"l"}"#, "missing field `resetHeader`"),
        ] {
            let err = serde_json::from_str::<Strategy>(text).unwrap_err().to_string();
            assert!(err.contains(part), "{text}: {err}");
        }
        for (text, part) in [
            (r#"{"5oo":{"strategy":"backoff"}}"#, "5oo"),
            (r#"[{"status":429}]"#, "missing field `retry`"),
            (r#"[{"status":429,"retry":{"strategy":"wait"}}]"#, "unknown variant `wait`"),
            (
                r#"[{"status":"429","strategy":"backoff"}]"#,
                "unknown field `strategy`, expected `status` or `retry`",
            ),
            ("429", r#"or a list of {"status": …, "retry": …}"#),
        ] {
            let err = serde_json::from_str::<ByStatus>(text).unwrap_err().to_string();
            assert!(err.contains(part), "{text}: {err}");
        }
    }
}
