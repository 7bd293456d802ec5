//! Serialised values that are a number or text: one serde visitor for durations, attempts and status patterns.
//!
//! The visitor accepts every integer type a format may deliver: JSON gives `u64`, TOML and `config` give `i64`. Errors say
//! what was expected, which an untagged enum would not.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hint;

/// A value that can be read from a number or from text.
pub(crate) trait Scalar: Sized {
    /// What an error says was expected.
    const EXPECTED: &'static str;

    fn from_whole(number: u64) -> Option<Self>;

    fn from_float(_: f64) -> Option<Self> {
        None
    }

    /// The error is a message; an empty one stands for [`EXPECTED`](Self::EXPECTED).
    fn from_text(text: &str) -> Result<Self, String>;
}

/// Digits, and nothing else: `u64::from_str` also accepts a sign.
pub(crate) fn whole_number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

pub(crate) fn deserialize<'de, T: Scalar, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(ScalarVisitor(PhantomData))
}

struct ScalarVisitor<T>(PhantomData<T>);

impl<T: Scalar> Visitor<'_> for ScalarVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        T::from_whole(number).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        T::from_float(number).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).map_err(|message| match message.as_str() {
            "" => E::invalid_value(Unexpected::Str(text), &self),
            _ => E::custom(message),
        })
    }
}

/// A duration as a number of milliseconds, as the `…InMs` member names say, or as text with units (`"30s"`, `"1m30s"`).
///
/// Whole milliseconds are written as integers, finer durations with a fraction; all forms are read. Negative numbers and numbers
/// past what a [`Duration`] holds are errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Millis(pub(crate) Duration);

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Millis {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Millis".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["number", "string"],
            "minimum": 0,
            "pattern": "^([0-9]+|([0-9.]+(d|h|m|s|ms|us|µs|ns))+)$",
            "description": "Milliseconds, or text like 1m30s.",
        })
    }
}

impl Scalar for Millis {
    const EXPECTED: &'static str =
        "a number of milliseconds of at least 0, and no more than 500 million years, or text like \"1m30s\"";

    fn from_whole(millis: u64) -> Option<Self> {
        Some(Self(Duration::from_millis(millis)))
    }

    fn from_float(millis: f64) -> Option<Self> {
        Duration::try_from_secs_f64(millis / 1e3).map(Self).ok()
    }

    /// Digits alone are milliseconds, as the number would be: environment variables and overrides of `config` are text.
    fn from_text(text: &str) -> Result<Self, String> {
        let millis = whole_number(text).and_then(Self::from_whole);
        millis.or_else(|| hint::duration(text).map(Self)).ok_or_else(String::new)
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match u64::try_from(self.0.as_millis()) {
            Ok(millis) if Duration::from_millis(millis) == self.0 => serializer.serialize_u64(millis),
            _ => serializer.serialize_f64(self.0.as_secs_f64() * 1e3),
        }
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer)
    }
}

/// [`Millis`] for fields of type [`Duration`]: `#[serde(with = "scalar::millis")]`.
pub(crate) mod millis {
    use super::{Deserialize, Deserializer, Duration, Millis, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        Millis(*duration).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Millis::deserialize(deserializer).map(|Millis(duration)| duration)
    }
}

/// [`Millis`] for lists: `#[serde(with = "scalar::millis_list")]`.
pub(crate) mod millis_list {
    use std::sync::Arc;

    use super::{Deserialize, Deserializer, Duration, Millis, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        delays: &Arc<[Duration]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(delays.iter().copied().map(Millis))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<[Duration]>, D::Error> {
        let delays = Vec::<Millis>::deserialize(deserializer)?;
        Ok(delays.into_iter().map(|Millis(delay)| delay).collect())
    }
}
