//! The forms of a header value or body: plain text, a reference to a secret, Trigger.dev's redacted string, and the
//! sealed secret of a durable store.

use filter::decode::{Field, Place, field, known_members};
use filter::json::Kind;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::read::{Reader, Sealed};
use super::schema::object;
use crate::seal::SEAL_KEY_VARIABLE;
use crate::secret::{SecretRef, Text};

impl Reader<'_> {
    /// Reads any of the forms; a plain string is a secret if `secret` says so. Errors never show a value that may be secret.
    pub(super) fn text(&mut self, place: Place<'_>, expected: &str, secret: bool) -> Option<Text> {
        match &place.node.kind {
            Kind::String(text) if secret => Some(Text::Secret(SecretString::from(text.as_str()))),
            Kind::String(text) => Some(Text::Plain(text.clone())),
            Kind::Object(_) if place.node.get("__redactedString").is_some() => self.redacted_string(place),
            Kind::Object(_) => match (place.node.get("$sealed"), &self.options.sealed) {
                (None, _) | (_, Sealed::Refused) => self.secret_reference(place),
                (Some(sealed), options) => match open(Place { node: sealed, ..place }.text(), options) {
                    Ok(secret) => Some(Text::Secret(secret)),
                    Err(message) => self.refuse(place, message),
                },
            },
            _ => self.refuse(place, format!("found {}, expected {expected}", place.node.type_name())),
        }
    }

    fn refuse<T>(&mut self, place: Place<'_>, message: impl Into<String>) -> Option<T> {
        self.problems.error(place, message);
        None
    }

    fn secret_reference(&mut self, place: Place<'_>) -> Option<Text> {
        let expected = "\"env:NAME\" or \"file:PATH\"";
        let fields = known_members(place, "a secret", &["$secret"], &mut self.problems)?;
        let Some(given) = field(&fields, "$secret") else {
            let message = format!("found an object without \"$secret\", expected {{\"$secret\":{expected}}}");
            return self.refuse(place, message);
        };
        if let Some(Ok(reference)) = given.place().text().map(str::parse::<SecretRef>) {
            return Some(Text::Reference(reference));
        }
        // The value is not shown: it may be the secret itself.
        let message = format!("found {}, expected {expected}", given.node.type_name());
        let help = "name where the secret is, not the secret";
        self.problems.error_with_help(given.place(), message, help);
        None
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
            let texts = strings(&fields, name);
            if texts.is_none() {
                self.problems.error(place, format!("expected {name:?} to be an array of strings"));
            }
            texts
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

fn open(sealed: Option<&str>, options: &Sealed) -> Result<SecretString, String> {
    match (sealed, options) {
        (None, _) => Err("the sealed secret is not a string".to_owned()),
        (Some(sealed), Sealed::Opened(Some(key))) => key.open(sealed).map_err(|error| error.to_string()),
        (Some(sealed), Sealed::Kept) => Ok(SecretString::from(sealed)),
        (Some(_), _) => Err(format!("the secret is sealed, and no key was given; set {SEAL_KEY_VARIABLE}")),
    }
}

/// The member of that name, if it is an array of strings.
fn strings<'a>(fields: &[Field<'a>], name: &str) -> Option<Vec<&'a str>> {
    let Kind::Array(elements) = &field(fields, name)?.node.kind else { return None };
    elements.iter().map(|node| Place::root(node).text()).collect()
}

pub(super) fn schema() -> Value {
    let strings = json!({"type": "array", "items": {"type": "string"}});
    json!({"anyOf": [
        {"type": "string", "pattern": "^[^\\u0000-\\u0008\\u000a-\\u001f\\u007f]*$"},
        object(json!({"$secret": {"type": "string", "pattern": "^(env:[^=\\u0000]+|file:[^\\u0000]+)$"}}), &["$secret"]),
        object(
            json!({"__redactedString": {"const": true}, "strings": strings, "interpolations": strings}),
            &["__redactedString", "strings", "interpolations"],
        ),
    ]})
}
