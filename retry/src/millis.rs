//! A duration on the wire: a number of milliseconds, which is what the `…InMs` member names promise.
//!
//! Whole milliseconds are written as integers, anything finer with a fraction; both are read. A number that
//! is negative, or past what a [`Duration`] holds, is an error here, so no later code meets one.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Millis(pub(crate) Duration);

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let whole = u64::try_from(self.0.as_millis()).ok();
        match whole {
            Some(millis) if Duration::from_millis(millis) == self.0 => serializer.serialize_u64(millis),
            _ => serializer.serialize_f64(self.0.as_secs_f64() * 1e3),
        }
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOfMillis)
    }
}

struct NumberOfMillis;

impl Visitor<'_> for NumberOfMillis {
    type Value = Millis;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of milliseconds of at least 0, and no more than 500 million years")
    }

    fn visit_u64<E: de::Error>(self, millis: u64) -> Result<Millis, E> {
        Ok(Millis(Duration::from_millis(millis)))
    }

    fn visit_i64<E: de::Error>(self, millis: i64) -> Result<Millis, E> {
        let millis =
            u64::try_from(millis).map_err(|_| E::invalid_value(Unexpected::Signed(millis), &self))?;
        self.visit_u64(millis)
    }

    fn visit_f64<E: de::Error>(self, millis: f64) -> Result<Millis, E> {
        Duration::try_from_secs_f64(millis / 1e3)
            .map(Millis)
            .map_err(|_| E::invalid_value(Unexpected::Float(millis), &self))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Millis {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        std::borrow::Cow::Borrowed("Millis")
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "minimum": 0, "description": "Milliseconds." })
    }
}
