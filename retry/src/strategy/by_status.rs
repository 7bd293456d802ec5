//! [`ByStatus`]: values by status pattern; the first matching entry counts.

use super::Strategy;
use crate::status::StatusSet;

/// Values by status pattern, in order.
///
/// In serialised form an object, `{"429": …, "5xx": …}`, or a list, `[{"status": "429", "retry": …}, …]`. Both are read. The list
/// is written if two entries cover one status, so that their order decides: TOML, the crate `config` and the values of many
/// formats do not keep the order of an object's members.
///
/// ```
/// use retry::strategy::ByStatus;
///
/// let mut by_status = ByStatus::new();
/// by_status.push("429".parse()?, "wait");
/// by_status.push("400-499".parse()?, "stop");
/// by_status.push("all".parse()?, "back off");
/// assert_eq!(by_status.get(429), Some(&"wait"));
/// assert_eq!(by_status.get(404), Some(&"stop"));
/// assert_eq!(by_status.get(500), Some(&"back off"));
/// # Ok::<(), retry::status::StatusError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ByStatus<S = Strategy> {
    entries: Vec<(StatusSet, S)>,
}

impl<S> Default for ByStatus<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> ByStatus<S> {
    /// No entries.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Adds a value for `statuses`. Earlier entries take precedence.
    pub fn push(&mut self, statuses: StatusSet, value: S) {
        self.entries.push((statuses, value));
    }

    /// The value of the first entry that covers `status`. Linear in the number of entries.
    #[must_use]
    pub fn get(&self, status: u16) -> Option<&S> {
        self.applicable(status).next()
    }

    /// The values of all entries that cover `status`, in order, for values with further conditions.
    pub fn applicable(&self, status: u16) -> impl Iterator<Item = &S> {
        self.entries.iter().filter(move |(statuses, _)| statuses.matches(status)).map(|(_, value)| value)
    }

    /// The entries, in order.
    pub fn entries(&self) -> &[(StatusSet, S)] {
        &self.entries
    }
}

impl<S> FromIterator<(StatusSet, S)> for ByStatus<S> {
    fn from_iter<I: IntoIterator<Item = (StatusSet, S)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

#[cfg(feature = "serde")]
mod wire {
    //! [`ByStatus`] as an object whose keys are status patterns, or as an array.
    //!
    //! Many readers lose the order of an object's members: those of TOML, of the crate `config`, and of values such as
    //! `serde_json::Value`. So the order is written as an array where it decides, that is if two entries cover one status.

    use std::fmt;
    use std::marker::PhantomData;

    use serde::de::value::SeqAccessDeserializer;
    use serde::de::{MapAccess, SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::ByStatus;
    use crate::status::StatusSet;

    /// An element of the array.
    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    struct Entry<P, S> {
        status: P,
        retry: S,
    }

    impl<S: Serialize> Serialize for ByStatus<S> {
        fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
            let order_decides = (100..1000).any(|status| self.applicable(status).nth(1).is_some());
            let entries = self.entries.iter();
            if order_decides {
                serializer.collect_seq(entries.map(|(status, retry)| Entry { status, retry }))
            } else {
                serializer.collect_map(entries.map(|(status, retry)| (status, retry)))
            }
        }
    }

    impl<'de, S: Deserialize<'de>> Deserialize<'de> for ByStatus<S> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Entries(PhantomData))
        }
    }

    struct Entries<S>(PhantomData<S>);

    impl<'de, S: Deserialize<'de>> Visitor<'de> for Entries<S> {
        type Value = ByStatus<S>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(
                "an object whose keys are status patterns like \"429\" or \"5xx\", or a list of \
                 {\"status\": …, \"retry\": …}",
            )
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ByStatus<S>, A::Error> {
            let mut by_status = ByStatus::new();
            while let Some((statuses, value)) = map.next_entry::<StatusSet, S>()? {
                by_status.push(statuses, value);
            }
            Ok(by_status)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<ByStatus<S>, A::Error> {
            let entries = Vec::<Entry<StatusSet, S>>::deserialize(SeqAccessDeserializer::new(list))?;
            Ok(entries.into_iter().map(|Entry { status, retry }| (status, retry)).collect())
        }
    }

    #[cfg(feature = "schema")]
    impl<S: schemars::JsonSchema> schemars::JsonSchema for ByStatus<S> {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            format!("ByStatus_{}", S::schema_name()).into()
        }

        fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
            let values = generator.subschema_for::<S>();
            let entries = generator.subschema_for::<Vec<Entry<StatusSet, S>>>();
            schemars::json_schema!({
                "description": "The first entry that covers the status counts. A list keeps its order in every format.",
                "anyOf": [
                    { "type": "object", "additionalProperties": values },
                    entries,
                ],
            })
        }
    }
}
