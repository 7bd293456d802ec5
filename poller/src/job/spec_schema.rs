//! The JSON Schema of poll specs, so that editors complete and check them.
//!
//! The table of members has the schema of each; here they are put together, with their defaults. The result is committed
//! under `schema/`; tests compare it with this code and with the corpus. The bounds are values of [`Limits`], known only at
//! run time, so a derive cannot write them. It is laxer than the reader where it has to be: it cannot see a key twice,
//! compare the two ends of a range, or tell that two header names differ only in case.

use filter::Dialect;
use serde_json::{Map, Value, json};

use super::members::{MEMBERS, Member, Members};
use super::read::SpecOptions;
use super::schema::object;
use super::{filters, identity, retry, text};
use crate::limits::Limits;
use crate::secret::redact;

/// The JSON Schema (draft 2020-12) of specs that keep these limits.
///
/// ```
/// use poller::Limits;
///
/// let schema = poller::spec_schema(&Limits::default());
/// assert_eq!(schema["properties"]["interval"]["minimum"], 10.0);
/// ```
#[must_use]
pub fn spec_schema(limits: &Limits) -> Value {
    let filters: Map<String, Value> =
        Dialect::ALL.into_iter().map(|dialect| (dialect.to_string(), filter::schema(dialect))).collect();
    let mut definitions = Map::from_iter([
        ("filters".to_owned(), json!({"$defs": filters})),
        ("text".to_owned(), text::schema()),
        ("reference".to_owned(), text::bare_reference_schema()),
        ("retryOptions".to_owned(), object(retry::options_schema(limits), &[])),
    ]);
    for dialect in Dialect::ALL {
        definitions.insert(format!("{dialect}-response"), filters::schema(dialect));
        definitions.insert(format!("{dialect}-retry"), retry::rules_schema(dialect, limits));
    }
    let defaults = Members::new(&SpecOptions::new().limits(limits.clone()));
    let properties = MEMBERS.iter().map(|member| {
        let mut schema = match differs(member, limits) {
            true => json!({"type": "object"}),
            false => (member.schema)(limits, Dialect::Native),
        };
        schema["description"] = member.about.into();
        if let Some(default) = (member.write)(&defaults, &redact) {
            schema["default"] = default;
        }
        (member.name, schema)
    });
    let properties: Map<String, Value> = identity::schemas(limits)
        .into_iter()
        .chain(properties)
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:poll:spec",
        "title": "A poll",
        "type": "object",
        "required": ["url"],
        "additionalProperties": false,
        "properties": properties,
        "allOf": Dialect::ALL.map(|dialect| in_dialect(dialect, limits)),
        "$defs": definitions,
    })
}

/// Whether the form of a member depends on the dialect.
fn differs(member: &Member, limits: &Limits) -> bool {
    let native = (member.schema)(limits, Dialect::Native);
    Dialect::ALL.into_iter().any(|dialect| (member.schema)(limits, dialect) != native)
}

/// The members that differ between dialects, for specs of this one.
fn in_dialect(dialect: Dialect, limits: &Limits) -> Value {
    let named = json!({"properties": {"dialect": {"const": dialect.name()}}, "required": ["dialect"]});
    let condition = match dialect {
        Dialect::Native => json!({"anyOf": [named, {"not": {"required": ["dialect"]}}]}),
        _ => named,
    };
    let properties: Map<String, Value> = MEMBERS
        .iter()
        .filter(|member| differs(member, limits))
        .map(|member| (member.name.to_owned(), (member.schema)(limits, dialect)))
        .collect();
    json!({"if": condition, "then": {"properties": properties}})
}
