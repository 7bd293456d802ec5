//! Patterns and sets as strings on the wire; a bare number is accepted for one status.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{StatusPattern, StatusSet};

impl Serialize for StatusPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for StatusSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StatusPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PatternText)
    }
}

impl<'de> Deserialize<'de> for StatusSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SetText)
    }
}

struct PatternText;

impl Visitor<'_> for PatternText {
    type Value = StatusPattern;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status pattern like 429, \"500-599\", \"5xx\", \"50x\" or \"all\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusPattern, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, status: u64) -> Result<StatusPattern, E> {
        StatusPattern::exact(u16::try_from(status).unwrap_or(u16::MAX)).map_err(E::custom)
    }
}

struct SetText;

impl Visitor<'_> for SetText {
    type Value = StatusSet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a comma list of status patterns like \"408,429,5xx\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusSet, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, status: u64) -> Result<StatusSet, E> {
        PatternText.visit_u64(status).map(StatusSet::from)
    }
}

#[cfg(feature = "schema")]
mod schema {
    //! A pattern's grammar as a regular expression, so that editors can point at a misspelt key.

    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{StatusPattern, StatusSet};

    const PATTERN: &str =
        r"^\s*([aA][lL][lL]|[1-9]([xX]{2}|[0-9][xX0-9])|[1-9][0-9]{2}\s*-\s*[1-9][0-9]{2})\s*$";
    const SET: &str = r"^\s*[0-9a-zA-Z-]+(\s*[,-]\s*[0-9a-zA-Z-]+)*\s*$";

    fn text_or_number(pattern: &str) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "pattern": pattern },
                { "type": "integer", "minimum": 100, "maximum": 999 },
            ],
        })
    }

    impl JsonSchema for StatusPattern {
        fn schema_name() -> Cow<'static, str> {
            Cow::Borrowed("StatusPattern")
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            text_or_number(PATTERN)
        }
    }

    impl JsonSchema for StatusSet {
        fn schema_name() -> Cow<'static, str> {
            Cow::Borrowed("StatusSet")
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            text_or_number(SET)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_or_a_number() {
        let set: StatusSet = serde_json::from_str("\"429,5xx\"").unwrap();
        assert_eq!(serde_json::to_string(&set).unwrap(), "\"429,5xx\"");
        assert!(serde_json::from_str::<StatusPattern>("429").unwrap().matches(429));
        assert!(serde_json::from_str::<StatusSet>("429").unwrap().matches(429));
    }

    #[test]
    fn anything_else_is_an_error_that_says_what_to_write() {
        for text in ["70000", "-1", "42", "true", "\"5oo\"", "[]"] {
            let err = serde_json::from_str::<StatusPattern>(text).unwrap_err().to_string();
            assert!(err.contains("expected"), "{text}: {err}");
        }
    }
}
