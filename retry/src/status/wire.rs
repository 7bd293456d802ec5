//! Patterns and sets in serialised form: text, or a bare number for one status.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{StatusPattern, StatusSet};
use crate::scalar::{self, Scalar};

impl Scalar for StatusPattern {
    const EXPECTED: &'static str = "a status pattern like 429, \"500-599\", \"5xx\", \"50x\" or \"all\"";

    fn from_whole(status: u64) -> Option<Self> {
        Self::exact(u16::try_from(status).ok()?).ok()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse::<Self>().map_err(|error| error.to_string())
    }
}

impl Scalar for StatusSet {
    const EXPECTED: &'static str = "a comma list of status patterns like \"408,429,5xx\"";

    fn from_whole(status: u64) -> Option<Self> {
        StatusPattern::from_whole(status).map(Self::from)
    }

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse::<Self>().map_err(|error| error.to_string())
    }
}

/// Writes a type as text, and reads it as a [`Scalar`]. The schema has the grammar as a regular expression, so that editors can
/// point at a misspelt key.
macro_rules! written_as_text {
    ($type:ident, $pattern:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                scalar::deserialize(deserializer)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "anyOf": [
                        { "type": "string", "pattern": $pattern },
                        { "type": "integer", "minimum": 100, "maximum": 999 },
                    ],
                })
            }
        }
    };
}

written_as_text!(
    StatusPattern,
    r"^\s*([aA][lL][lL]|[1-9]([xX]{2}|[0-9][xX0-9])|[1-9][0-9]{2}\s*-\s*[1-9][0-9]{2})\s*$"
);
written_as_text!(StatusSet, r"^\s*[0-9a-zA-Z-]+(\s*[,-]\s*[0-9a-zA-Z-]+)*\s*$");

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
