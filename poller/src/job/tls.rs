//! `requestInit.tls`: the client's certificate and the authorities to trust, by reference.
//!
//! Only references are read. A key in a spec would be sealed with every poll and shown to everyone who edits the spec, and a bare
//! path would not say who may read it: a reference is resolved where the resolver allows it, as for every other secret.

use filter::decode::{Place, field, known_members};
use serde_json::{Map, Value, json};

use super::read::Reader;
use super::schema::object;
use crate::secret::{Reference, Text, redact};

/// The `tls` of a `requestInit`: references to PEM texts.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TlsInit {
    /// The client's certificate with its chain; with its key, if `key` is absent.
    pub cert: Option<Text>,
    /// The key of the certificate.
    pub key: Option<Text>,
    /// Certificates to trust beside those of the client, as authorities or as the server's own.
    pub cacert: Option<Text>,
}

const EXPECTED: &str = "a reference to a PEM file, such as {\"$secret\":\"file:/etc/poll/client.pem\"}";

impl TlsInit {
    pub(super) fn parts(&self) -> impl Iterator<Item = (&'static str, &Text)> {
        let parts = [("cert", &self.cert), ("key", &self.key), ("cacert", &self.cacert)];
        parts.into_iter().filter_map(|(name, part)| Some((name, part.as_ref()?)))
    }

    pub(super) fn to_value(&self) -> Value {
        // References have no secret text to show.
        let parts = self.parts().map(|(name, part)| (name.to_owned(), part.to_value(&redact)));
        Value::Object(Map::from_iter(parts))
    }
}

impl Reader<'_> {
    pub(super) fn tls(&mut self, place: Place<'_>) -> Option<TlsInit> {
        let known = ["cert", "key", "cacert"];
        let fields = known_members(place, "an object of cert, key, cacert", &known, &mut self.problems)?;
        let mut tls = TlsInit::default();
        for (name, part) in [("cert", &mut tls.cert), ("key", &mut tls.key), ("cacert", &mut tls.cacert)] {
            if let Some(given) = field(&fields, name) {
                *part = self.pem_reference(given.place());
            }
        }
        let problem = match field(&fields, "key") {
            Some(_) if field(&fields, "cert").is_none() => "found \"key\" without \"cert\"",
            None if fields.is_empty() => "found an empty object",
            _ => return Some(tls),
        };
        let message =
            format!("{problem}, expected \"cert\" (with \"key\", or one file with both), \"cacert\" or both");
        self.refuse(place, message)
    }

    fn pem_reference(&mut self, place: Place<'_>) -> Option<Text> {
        if place.node.get("$secret").is_none() {
            // The value is not shown: it may be the key itself.
            return self.refuse(place, format!("found {}, expected {EXPECTED}", place.node.type_name()));
        }
        match self.text(place, EXPECTED, true)? {
            Text::Reference(Reference { prefix, suffix, secret })
                if prefix.is_empty() && suffix.is_empty() =>
            {
                Some(Text::Reference(secret.into()))
            }
            _ => {
                let message = "a certificate or key is a whole file, expected no \"prefix\" or \"suffix\"";
                self.refuse(place, message)
            }
        }
    }
}

pub(super) fn schema() -> Value {
    let reference = json!({"$ref": "#/$defs/reference"});
    let mut schema = object(json!({"cert": reference, "key": reference, "cacert": reference}), &[]);
    schema["description"] =
        "the client's certificate and key, and certificates to trust: PEM files, by reference".into();
    schema["minProperties"] = 1.into();
    schema["dependentRequired"] = json!({"key": ["cert"]});
    schema
}
