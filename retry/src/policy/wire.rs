//! A policy as JSON. Its own types, so that the format can stay put while the code moves, and so that reading
//! goes through the builder's checks.
//!
//! Everything is tagged by name; nothing is untagged or flattened, because the errors of those say only that
//! no variant matched.

use std::fmt;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Attempts, FirstRetry, Hints, Policy};
use crate::millis::Millis;
use crate::{Backoff, Jitter, PolicyError};

#[derive(Serialize, Deserialize)]
#[serde(rename = "Policy", rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Form {
    backoff: BackoffForm,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jitter: Option<Jitter>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_attempts: Option<Attempts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_delay_in_ms: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_elapsed_in_ms: Option<Millis>,
    #[serde(default)]
    first_retry: FirstRetry,
    #[serde(default)]
    hints: Hints,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Backoff", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
enum BackoffForm {
    Fixed {
        delay_in_ms: Millis,
    },
    Linear {
        initial_in_ms: Millis,
        step_in_ms: Millis,
    },
    Exponential {
        initial_in_ms: Millis,
        #[cfg_attr(feature = "schema", schemars(range(min = 1.0)))]
        factor: f64,
    },
    Fibonacci {
        unit_in_ms: Millis,
    },
    Decorrelated {
        base_in_ms: Millis,
        #[cfg_attr(feature = "schema", schemars(range(min = 1.0)))]
        factor: f64,
    },
    List {
        #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
        delays_in_ms: Vec<Millis>,
    },
}

impl From<Policy> for Form {
    fn from(policy: Policy) -> Self {
        Self {
            backoff: match policy.backoff {
                Backoff::Fixed { delay } => BackoffForm::Fixed { delay_in_ms: Millis(delay) },
                Backoff::Linear { initial, step } => {
                    BackoffForm::Linear { initial_in_ms: Millis(initial), step_in_ms: Millis(step) }
                }
                Backoff::Exponential { initial, factor } => {
                    BackoffForm::Exponential { initial_in_ms: Millis(initial), factor }
                }
                Backoff::Fibonacci { unit } => BackoffForm::Fibonacci { unit_in_ms: Millis(unit) },
                Backoff::Decorrelated { base, factor } => {
                    BackoffForm::Decorrelated { base_in_ms: Millis(base), factor }
                }
                Backoff::List { delays } => {
                    BackoffForm::List { delays_in_ms: delays.iter().copied().map(Millis).collect() }
                }
            },
            jitter: Some(policy.jitter),
            max_attempts: Some(policy.attempts),
            max_delay_in_ms: policy.max_delay.map(Millis),
            max_elapsed_in_ms: policy.max_elapsed.map(Millis),
            first_retry: policy.first_retry,
            hints: policy.hints,
        }
    }
}

impl TryFrom<Form> for Policy {
    type Error = PolicyError;

    fn try_from(form: Form) -> Result<Self, PolicyError> {
        let mut builder = Self::builder(match form.backoff {
            BackoffForm::Fixed { delay_in_ms } => Backoff::Fixed { delay: delay_in_ms.0 },
            BackoffForm::Linear { initial_in_ms, step_in_ms } => {
                Backoff::Linear { initial: initial_in_ms.0, step: step_in_ms.0 }
            }
            BackoffForm::Exponential { initial_in_ms, factor } => {
                Backoff::Exponential { initial: initial_in_ms.0, factor }
            }
            BackoffForm::Fibonacci { unit_in_ms } => Backoff::Fibonacci { unit: unit_in_ms.0 },
            BackoffForm::Decorrelated { base_in_ms, factor } => {
                Backoff::Decorrelated { base: base_in_ms.0, factor }
            }
            BackoffForm::List { delays_in_ms } => {
                Backoff::List { delays: delays_in_ms.into_iter().map(|Millis(delay)| delay).collect() }
            }
        });
        if let Some(jitter) = form.jitter {
            builder = builder.jitter(jitter);
        }
        builder = match form.max_attempts {
            Some(Attempts::AtMost(tries)) => builder.max_attempts(tries.get()),
            Some(Attempts::Unlimited) => builder.unlimited_attempts(),
            None => builder,
        };
        if let Some(Millis(delay)) = form.max_delay_in_ms {
            builder = builder.max_delay(delay);
        }
        if let Some(Millis(elapsed)) = form.max_elapsed_in_ms {
            builder = builder.max_elapsed(elapsed);
        }
        builder.first_retry(form.first_retry).hints(form.hints).build()
    }
}

impl Serialize for Attempts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::AtMost(tries) => serializer.serialize_u32(tries.get()),
            Self::Unlimited => serializer.serialize_str("unlimited"),
        }
    }
}

impl<'de> Deserialize<'de> for Attempts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrUnlimited)
    }
}

struct NumberOrUnlimited;

impl Visitor<'_> for NumberOrUnlimited {
    type Value = Attempts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of tries, the first included, from 1 to 4294967295, or \"unlimited\"")
    }

    fn visit_u64<E: de::Error>(self, tries: u64) -> Result<Attempts, E> {
        u32::try_from(tries)
            .ok()
            .and_then(Attempts::at_most)
            .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(tries), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Attempts, E> {
        match text {
            "unlimited" => Ok(Attempts::Unlimited),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }
}

#[cfg(feature = "schema")]
mod schema {
    //! The parts of the schema that no derive can know.

    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Attempts, Form, Policy};

    impl JsonSchema for Policy {
        fn schema_name() -> Cow<'static, str> {
            Cow::Borrowed("Policy")
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            Form::json_schema(generator)
        }
    }

    impl JsonSchema for Attempts {
        fn schema_name() -> Cow<'static, str> {
            Cow::Borrowed("Attempts")
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "Tries of one sequence, the first included.",
                "anyOf": [
                    { "type": "integer", "minimum": 1, "maximum": u32::MAX },
                    { "const": "unlimited" },
                ],
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const FULL: &str = r#"{"backoff":{"exponential":{"initialInMs":100,"factor":2.0}},"jitter":"full","maxAttempts":5,"maxDelayInMs":20000,"maxElapsedInMs":60000,"firstRetry":"afterDelay","hints":"obey"}"#;

    fn read(text: &str) -> Result<Policy, String> {
        serde_json::from_str(text).map_err(|err| err.to_string())
    }

    #[test]
    fn the_form_in_the_docs_round_trips() {
        let policy = read(FULL).unwrap();
        assert_eq!(policy.max_elapsed(), Some(Duration::from_secs(60)));
        assert_eq!(serde_json::to_string(&policy).unwrap(), FULL);
    }

    #[test]
    fn every_kind_round_trips() {
        for text in [
            r#"{"backoff":{"fixed":{"delayInMs":1}},"jitter":"none","maxAttempts":"unlimited"}"#,
            r#"{"backoff":{"linear":{"initialInMs":1,"stepInMs":0}},"jitter":"equal"}"#,
            r#"{"backoff":{"fibonacci":{"unitInMs":0.5}},"jitter":"plus","firstRetry":"atOnce"}"#,
            r#"{"backoff":{"decorrelated":{"baseInMs":1,"factor":3}},"hints":"cap"}"#,
            r#"{"backoff":{"list":{"delaysInMs":[0,1,2.5]}},"jitter":{"around":{"ratio":0.2}},"hints":"ignore"}"#,
        ] {
            let policy = read(text).unwrap();
            assert_eq!(read(&serde_json::to_string(&policy).unwrap()), Ok(policy), "{text}");
        }
        assert_eq!(read(&serde_json::to_string(&Policy::default()).unwrap()), Ok(Policy::default()));
    }

    #[test]
    fn errors_say_what_to_write() {
        for (text, part) in [
            (r#"{}"#, "missing field `backoff`"),
            (r#"{"backoff":{"expo":{}}}"#, "unknown variant `expo`"),
            (r#"{"backoff":{"fixed":{"delay":5}}}"#, "unknown field `delay`, expected `delayInMs`"),
            (r#"{"backoff":{"fixed":{"delayInMs":0}}}"#, "`delayInMs` is 0, expected more than 0"),
            (r#"{"backoff":{"fixed":{"delayInMs":5}},"maxAttempts":0}"#, "expected a number of tries"),
            (r#"{"backoff":{"fixed":{"delayInMs":5}},"maxAttempts":"none"}"#, "or \"unlimited\""),
            (r#"{"backoff":{"fixed":{"delayInMs":5}},"jitter":"some"}"#, "unknown variant `some`"),
            (r#"{"backoff":{"fixed":{"delayInMs":5}},"retries":1}"#, "unknown field `retries`"),
        ] {
            let err = read(text).unwrap_err();
            assert!(err.contains(part), "{text}: {err}");
        }
    }
}
