//! The canonical form of a spec, and what follows from it: serialization, digest, equality, differences.

use std::collections::BTreeSet;

use filter::decode::child;
use ring::digest::{SHA256, digest};
use secrecy::ExposeSecret as _;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::members::{MEMBERS, Member, Members};
use super::{PollSpec, retry};
use crate::secret::{ShowSecret, redact};

impl PollSpec {
    /// The canonical form: defaults filled in, aliases resolved, the cache key left out; secret text replaced by
    /// `{"__redactedString":true}`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.written().to_members())
    }

    fn written(&self) -> Written<'_> {
        Written { members: self.members(), show: &redact, choose: &|_| true, url: Some(self.url_text()) }
    }

    /// SHA-256 of the canonical form, in hex. Specs that differ only in a secret share it, so it may be shown and stored.
    #[must_use]
    pub fn digest(&self) -> String {
        // Of the members, which are sorted, the URL is the last: what precedes it is written once for all specs that share it.
        let members = self.members();
        let head = members.digested.get_or_init(|| {
            let written = Written { members, show: &redact, choose: &|_| true, url: None };
            let text = canonical(&Value::Object(written.to_members())).to_string();
            text.strip_suffix('}').unwrap_or(&text).into()
        });
        let url = Value::from(self.url_text());
        hex(format!("{head},\"url\":{url}}}").as_bytes())
    }

    /// The JSON pointers of the members in which two specs differ, without their values. Empty when the specs are the
    /// same; the cache key and the order of members do not count.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut pointers = Vec::new();
        if self.url != other.url {
            pointers.push("/url".to_owned());
        }
        // Equal texts are compared without reading them; different ones may still mean the same.
        let is_text = self.is_folded() || other.is_folded();
        if self.shares_with(other) || is_text && self.settings.has_text_of(&other.settings) {
            return pointers;
        }
        // The same values need not be written to be compared: whoever submits again mostly submits the same.
        let (one, two) = (self.members(), other.members());
        if MEMBERS.iter().all(|member| (member.same)(one, two)) {
            return pointers;
        }
        // Secrets are compared by their digests. In an array, because differences are looked for inside objects.
        let fingerprint: &ShowSecret<'_> = &|secret| json!([hex(secret.expose_secret().as_bytes())]);
        for member in MEMBERS {
            let write = |spec: &Self| (member.write)(spec.members(), fingerprint).unwrap_or(Value::Null);
            let pointer = child("", member.name);
            differing(&canonical(&write(self)), &canonical(&write(other)), &pointer, &mut pointers);
        }
        // The order of retry rules has a meaning, which a JSON object does not have.
        let order = |spec: &Self| spec.retry().iter().map(|rule| rule.name()).collect::<Vec<_>>();
        if pointers.is_empty() && order(self) != order(other) {
            pointers.push("/retry".to_owned());
        }
        pointers.sort();
        pointers
    }
}

/// Equal in everything but the cache key; warnings follow from the rest.
impl PartialEq for PollSpec {
    fn eq(&self, other: &Self) -> bool {
        self.differences(other).is_empty()
    }
}

/// The canonical form, secrets left out: see [`PollSpec::to_value`].
impl Serialize for PollSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written().serialize(serializer)
    }
}

/// Serializes a spec with `show` for its secrets, and retry rules in their order, which a `Value` need not keep.
pub(super) struct Written<'a> {
    pub(super) members: &'a Members,
    pub(super) show: &'a ShowSecret<'a>,
    /// Whether a member is written.
    pub(super) choose: &'a dyn Fn(&Member) -> bool,
    /// Its URL, if it is written too.
    pub(super) url: Option<&'a str>,
}

impl Written<'_> {
    fn to_members(&self) -> Map<String, Value> {
        let chosen = MEMBERS.iter().filter(|member| (self.choose)(member));
        let members = chosen
            .filter_map(|member| Some((member.name.to_owned(), (member.write)(self.members, self.show)?)));
        members.chain(self.url.map(|url| ("url".to_owned(), url.into()))).collect()
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.to_members() {
            match name.as_str() {
                "retry" => map.serialize_entry(name, &retry::InOrder(&self.members.retry))?,
                _ => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

fn hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same value with sorted members and whole numbers as integers, whatever map serde_json was built with.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut pairs: Vec<_> = members.iter().collect();
            pairs.sort_by_key(|(name, _)| *name);
            Value::Object(pairs.into_iter().map(|(name, value)| (name.clone(), canonical(value))).collect())
        }
        Value::Array(elements) => Value::Array(elements.iter().map(canonical).collect()),
        Value::Number(number) => match number.as_f64() {
            // Up to 2^53 every integer is a double of its own, so different numbers stay different.
            Some(float)
                if number.is_f64() && float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0 =>
            {
                json!(float as i64)
            }
            _ => value.clone(),
        },
        scalar => scalar.clone(),
    }
}

/// Collects the pointers at which two values differ, descending through objects only.
fn differing(a: &Value, b: &Value, pointer: &str, pointers: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let (a, b) = (a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null));
                differing(a, b, &child(pointer, name), pointers);
            }
        }
        (a, b) if a == b => {}
        _ => pointers.push(pointer.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::SpecOptions;
    use crate::limits::Limits;

    /// Stored keys are digests: they may not change.
    #[test]
    fn a_digest_is_that_of_the_whole_canonical_form() {
        assert!(MEMBERS.iter().all(|member| member.name < "url"), "the URL is the last member");
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/specs/good");
        let options = SpecOptions::new().limits(Limits::unbounded());
        for file in std::fs::read_dir(folder).unwrap() {
            let spec = options.parse(&std::fs::read_to_string(file.unwrap().path()).unwrap()).unwrap();
            for spec in [spec.with_url("https://a.test/?q=%22\\\"é").unwrap(), spec] {
                assert_eq!(spec.digest(), hex(canonical(&spec.to_value()).to_string().as_bytes()));
            }
        }
    }
}
