//! The forms of a header value or body: plain text, a reference to a secret, Trigger.dev's redacted string, and the
//! sealed secret of a durable store.

use filter::decode::{Field, Place, field, known_members};
use filter::json::{self, Kind};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::read::{Reader, Sealed};
use super::schema::object;
use crate::secret::{Reference, SecretRef, Text};

impl Reader<'_> {
    /// Reads any of the forms; a plain string is a secret if `secret` says so. Errors never show a value that may be secret.
    pub(super) fn text(&mut self, place: Place<'_>, expected: &str, secret: bool) -> Option<Text> {
        match &place.node.kind {
            Kind::String(text) if secret => Some(Text::Secret(SecretString::from(text.as_str()))),
            Kind::String(text) => Some(Text::Plain(text.clone())),
            Kind::Object(_) if place.node.get("__redactedString").is_some() => self.redacted_string(place),
            Kind::Object(_) => match (place.node.get("$sealed"), &self.options.sealed) {
                (None, _) | (_, Sealed::Refused) => self.secret_reference(place),
                (Some(sealed), options) => match open(sealed, options) {
                    Ok(secret) => Some(Text::Secret(secret)),
                    Err(message) => self.refuse(place, message),
                },
            },
            _ => self.refuse(place, format!("found {}, expected {expected}", place.node.type_name())),
        }
    }

    fn secret_reference(&mut self, place: Place<'_>) -> Option<Text> {
        let expected = "\"env:NAME\" or \"file:PATH\"";
        let known = ["$secret", "prefix", "suffix"];
        let fields = known_members(place, "a secret", &known, &mut self.problems)?;
        let Some(given) = field(&fields, "$secret") else {
            let message = format!("found an object without \"$secret\", expected {{\"$secret\":{expected}}}");
            return self.refuse(place, message);
        };
        let Some(Ok(secret)) = given.place().text().map(str::parse::<SecretRef>) else {
            // The value is not shown: it may be the secret itself.
            let message = format!("found {}, expected {expected}", given.node.type_name());
            return self.refuse_with_help(given.place(), message, "name where the secret is, not the secret");
        };
        let mut around = |name: &str| match field(&fields, name) {
            None => Some(String::new()),
            Some(given) => given.place().text().map(str::to_owned).or_else(|| {
                // This may be the secret as well.
                self.refuse(given.place(), format!("found {}, expected a string", given.node.type_name()))
            }),
        };
        let (prefix, suffix) = (around("prefix"), around("suffix"));
        Some(Text::Reference(Reference { prefix: prefix?, suffix: suffix?, ..secret.into() }))
    }

    /// Trigger.dev's `redactString`: the texts between the interpolated values, and the values.
    fn redacted_string(&mut self, place: Place<'_>) -> Option<Text> {
        let known = ["__redactedString", "strings", "interpolations"];
        let fields = known_members(place, "a redacted string", &known, &mut self.problems)?;
        let marker = field(&fields, "__redactedString").map(|given| &given.node.kind);
        if !matches!(marker, Some(Kind::Bool(true))) {
            return self.refuse(place, "\"__redactedString\" is not true");
        }
        let mut list = |name: &str| {
            let wrong = || self.refuse(place, format!("expected {name:?} to be an array of strings"));
            strings(&fields, name).or_else(wrong)
        };
        let (strings, interpolations) = (list("strings")?, list("interpolations")?);
        if strings.len() != interpolations.len() + 1 {
            let (texts, values) = (strings.len(), interpolations.len());
            return self.refuse(
                place,
                format!(
                    "found {texts} strings around {values} interpolations, expected one more string than interpolations"
                ),
            );
        }
        let values = interpolations.into_iter().chain([""]);
        let whole: String = strings.into_iter().zip(values).flat_map(|(text, value)| [text, value]).collect();
        Some(Text::Secret(SecretString::from(whole)))
    }
}

/// The secret that a store has sealed: the number of a secret of the poll, or the text of the first version.
fn open(sealed: &json::Node, options: &Sealed) -> Result<SecretString, String> {
    let number = match &sealed.kind {
        Kind::Number(number) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
        _ => None,
    };
    let secret = match options {
        // Its text is of no use, and it must not be empty.
        Sealed::Kept => Some(SecretString::from("sealed")),
        Sealed::Opened(secrets) => number.and_then(|number| secrets.get(number)).cloned(),
        Sealed::Unbound(key) => match Place::root(sealed).text() {
            Some(text) => Some(key.open_unbound(text).map_err(|error| error.to_string())?),
            None => None,
        },
        Sealed::Refused => None,
    };
    secret.ok_or_else(|| "the sealed secret is not in the store".to_owned())
}

/// The member of that name, if it is an array of strings.
fn strings<'a>(fields: &[Field<'a>], name: &str) -> Option<Vec<&'a str>> {
    let Kind::Array(elements) = &field(fields, name)?.node.kind else { return None };
    elements.iter().map(|node| Place::root(node).text()).collect()
}

/// The schema of the place of a secret.
fn place_schema() -> Value {
    json!({
        "description": "where the secret is: env:NAME or file:PATH",
        "type": "string", "pattern": "^(env:[^=\\u0000]+|file:[^\\u0000]+)$",
    })
}

/// The schema of a reference without text around it.
pub(super) fn bare_reference_schema() -> Value {
    object(json!({"$secret": place_schema()}), &["$secret"])
}

pub(super) fn schema() -> Value {
    let strings = json!({"type": "array", "items": {"type": "string"}});
    json!({"anyOf": [
        {"type": "string", "pattern": "^[^\\u0000-\\u0008\\u000a-\\u001f\\u007f]*$"},
        object(
            json!({
                "$secret": place_schema(),
                "prefix": {"description": "text before it, such as \"Bearer \"", "type": "string", "default": ""},
                "suffix": {"description": "text after it", "type": "string", "default": ""},
            }),
            &["$secret"],
        ),
        object(
            json!({"__redactedString": {"const": true}, "strings": strings, "interpolations": strings}),
            &["__redactedString", "strings", "interpolations"],
        ),
    ]})
}
