//! A policy's serialised form: [`Form`] has the members, and reading goes through the builder's checks.
//!
//! Every choice is tagged by name. Untagged and flattened forms would report only that no variant matched.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::builder::DEFAULT_MAX_HINT;
use super::{Attempts, FirstRetry, Hints, Policy, PolicyBuilder};
use crate::scalar::{self, Millis, Scalar};
use crate::{Backoff, Jitter, PolicyError};

#[derive(Serialize, Deserialize)]
#[serde(rename = "Policy", rename_all = "camelCase", deny_unknown_fields)]
#[serde(expecting = "a policy, an object with the member backoff")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Form {
    backoff: Backoff,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_hint_in_ms: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_backoff: Option<Backoff>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    throttled_backoff: Option<Backoff>,
}

impl From<Policy> for Form {
    fn from(policy: Policy) -> Self {
        Self {
            backoff: policy.backoff,
            jitter: Some(policy.jitter),
            max_attempts: Some(policy.attempts),
            max_delay_in_ms: policy.max_delay.map(Millis),
            max_elapsed_in_ms: policy.max_elapsed.map(Millis),
            first_retry: policy.first_retry,
            hints: policy.hints,
            max_hint_in_ms: Some(Millis(policy.max_hint)),
            timeout_backoff: policy.timeout_backoff,
            throttled_backoff: policy.throttled_backoff,
        }
    }
}

impl TryFrom<Form> for Policy {
    type Error = PolicyError;

    fn try_from(form: Form) -> Result<Self, PolicyError> {
        let policy = Self {
            max_delay: form.max_delay_in_ms.map(|Millis(delay)| delay),
            max_elapsed: form.max_elapsed_in_ms.map(|Millis(elapsed)| elapsed),
            first_retry: form.first_retry,
            hints: form.hints,
            max_hint: form.max_hint_in_ms.map_or(DEFAULT_MAX_HINT, |Millis(wait)| wait),
            timeout_backoff: form.timeout_backoff,
            throttled_backoff: form.throttled_backoff,
            ..Self::with_defaults(form.backoff)
        };
        let builder = PolicyBuilder { policy, jitter: form.jitter, attempts: form.max_attempts.map(Some) };
        builder.build().map_err(PolicyError::in_document)
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
        scalar::deserialize(deserializer)
    }
}

impl Scalar for Attempts {
    const EXPECTED: &'static str =
        "a number of tries, the first included, from 1 to 4294967295, or \"unlimited\"";

    fn from_whole(tries: u64) -> Option<Self> {
        u32::try_from(tries).ok().and_then(Self::at_most)
    }

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "unlimited" => Ok(Self::Unlimited),
            _ => scalar::whole_number(text).and_then(Self::from_whole).ok_or_else(String::new),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Attempts {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Attempts".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Tries of one sequence, the first included.",
            "anyOf": [
                { "type": "integer", "minimum": 1, "maximum": u32::MAX },
                { "const": "unlimited" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const FULL: &str = r#"{"backoff":{"exponential":{"initialInMs":100,"factor":2.0}},"jitter":"full","maxAttempts":5,"maxDelayInMs":20000,"maxElapsedInMs":60000,"firstRetry":"afterDelay","hints":"obey","maxHintInMs":60000}"#;

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
            r#"{"backoff":{"fixed":{"delayInMs":1}},"maxHintInMs":5,"throttledBackoff":{"fixed":{"delayInMs":9}}}"#,
            r#"{"backoff":{"fixed":{"delayInMs":1}},"timeoutBackoff":{"exponential":{"initialInMs":2,"factor":3}}}"#,
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
            (
                r#"{"backoff":{"fixed":{"delayInMs":5}},"jitter":"some"}"#,
                "\"some\", expected one of none, full, equal, plus, or an object with around as its only member",
            ),
            (
                r#"{"backoff":{"fixed":{"delayInMs":5}},"jitter":"around"}"#,
                "\"around\", expected one of none, full",
            ),
            (r#"{"backoff":"fixed"}"#, "string \"fixed\", expected an object with one of fixed, linear,"),
            (r#"{"backoff":{}}"#, "an empty object, expected an object with one of fixed, linear,"),
            (r#"{"backoff":{"fixed":3}}"#, "integer `3`, expected an object with delayInMs"),
            (r#"{"backoff":{"fixed":[]}}"#, "sequence, expected an object with delayInMs"),
            (r#"{"backoff":7}"#, "integer `7`, expected an object with one of fixed, linear,"),
            (
                r#"{"backoff":{"fixed":{"delayInMs":5},"linear":{}}}"#,
                "`linear` is a second member, expected an object with one of fixed, linear,",
            ),
            (r#"[]"#, "expected a policy, an object with the member backoff"),
            (r#"{"backoff":{"fixed":{"delayInMs":5}},"retries":1}"#, "unknown field `retries`"),
        ] {
            let err = read(text).unwrap_err();
            assert!(err.contains(part), "{text}: {err}");
        }
    }
}
