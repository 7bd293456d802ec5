//! The keys of a service: who may do what, in which scopes, and how much.
//!
//! A file of keys (TOML) has the SHA-256 of each key, never the key: who reads the file cannot call. The digest of what a
//! caller presents is looked up, so the time of the comparison tells nothing about keys.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use poller::http::IpNet;
use poller::secret::SecretRule;
use poller::store::covers;
use ring::digest::{SHA256, digest};
use serde::Deserialize;

/// What a key may do. `admin` may do everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Right {
    /// Create polls, and run finished ones again.
    Create,
    /// See polls.
    Read,
    /// Cancel polls, and remove finished ones.
    Cancel,
    /// Everything, metrics too.
    Admin,
}

/// The keys of a service, read from a file.
///
/// ```
/// let keys = service::Keys::parse(
///     r#"
///     [[key]]
///     name = "ci"
///     sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"   # printf %s foo | sha256sum
///     scope = "ci"
///     rights = ["create", "read"]
///     open-polls = 1000
///     creates-per-second = 10
///     "#,
/// )?;
/// assert_eq!(keys.len(), 1);
/// # Ok::<(), service::KeysError>(())
/// ```
#[derive(Clone, Default)]
pub struct Keys {
    by_digest: HashMap<[u8; 32], Arc<Entry>>,
}

/// One key.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its position, by which its quotas are counted.
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) scope: String,
    pub(crate) rights: HashSet<Right>,
    pub(crate) open_polls: Option<usize>,
    pub(crate) creates_per_second: Option<u32>,
    pub(crate) secrets: Vec<SecretRule>,
    pub(crate) networks: Vec<IpNet>,
}

/// Why keys cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct KeysError(String);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    key: Vec<Raw>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Raw {
    name: String,
    sha256: String,
    /// All scopes if absent.
    #[serde(default)]
    scope: String,
    rights: HashSet<Right>,
    open_polls: Option<usize>,
    creates_per_second: Option<u32>,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    networks: Vec<String>,
}

impl Keys {
    /// Reads the text of a file of keys.
    ///
    /// # Errors
    /// If the text is not TOML, has unknown members, or a key is given twice; says where.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        // The message quotes the line, which has a digest and no key.
        let file: File = toml::from_str(text).map_err(|error| KeysError(error.to_string()))?;
        let mut by_digest = HashMap::new();
        let mut names = HashSet::new();
        for (number, raw) in file.key.into_iter().enumerate() {
            let name = raw.name;
            let wrong = |what: &str| KeysError(format!("the key {name:?}: {what}"));
            let Some(digest) = hex(&raw.sha256) else {
                return Err(wrong(
                    "sha256 is not 64 hexadecimal digits; make it by printf %s KEY | sha256sum",
                ));
            };
            if raw.rights.is_empty() {
                return Err(wrong("rights is empty; expected some of create, read, cancel, admin"));
            }
            if raw.creates_per_second == Some(0) {
                return Err(wrong("creates-per-second is 0; leave the right create out instead"));
            }
            if !names.insert(name.clone()) {
                return Err(wrong("the name is given twice"));
            }
            let secrets = raw.secrets.iter().map(|rule| rule.parse::<SecretRule>());
            let secrets = secrets.collect::<Result<_, _>>().map_err(|error| wrong(&error.to_string()))?;
            let network = |text: &String| text.parse::<IpNet>().map_err(|_| text.clone());
            let networks = raw.networks.iter().map(network).collect::<Result<_, _>>().map_err(|text| {
                wrong(&format!(
                    "networks has {text:?}, expected an address with a prefix, such as 10.0.0.0/8"
                ))
            })?;
            let entry = Entry {
                number,
                name: name.clone(),
                scope: raw.scope,
                rights: raw.rights,
                open_polls: raw.open_polls,
                creates_per_second: raw.creates_per_second,
                secrets,
                networks,
            };
            if by_digest.insert(digest, Arc::new(entry)).is_some() {
                return Err(wrong("the sha256 is that of another key too"));
            }
        }
        Ok(Self { by_digest })
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_digest.len()
    }

    /// Whether there is no key, so that every call is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_digest.is_empty()
    }

    /// The entry of a key.
    pub(crate) fn find(&self, key: &[u8]) -> Option<&Arc<Entry>> {
        let digest = digest(&SHA256, key);
        self.by_digest.get(<&[u8; 32]>::try_from(digest.as_ref()).ok()?)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.by_digest.values()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.by_digest.values().map(|entry| entry.name.as_str()).collect();
        names.sort_unstable();
        f.debug_tuple("Keys").field(&names).finish()
    }
}

impl Entry {
    pub(crate) fn may(&self, right: Right) -> bool {
        self.rights.contains(&right) || self.rights.contains(&Right::Admin)
    }

    /// Whether the key may see a scope.
    pub(crate) fn sees(&self, scope: &str) -> bool {
        covers(&self.scope, scope)
    }
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOO: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

    #[test]
    fn a_key_is_found_by_its_digest_only() {
        let text = format!("[[key]]\nname = 'a'\nsha256 = '{FOO}'\nscope = 'x'\nrights = ['read']");
        let keys = Keys::parse(&text).unwrap();
        let entry = keys.find(b"foo").unwrap();
        assert!(
            entry.may(Right::Read) && !entry.may(Right::Create) && entry.sees("x/1") && !entry.sees("xy")
        );
        assert!(keys.find(b"fo").is_none() && keys.find(FOO.as_bytes()).is_none());
        assert!(!format!("{keys:?}").contains("2c26"), "{keys:?}");
    }

    #[test]
    fn mistakes_are_told() {
        for (text, expected) in [
            ("[[key]]\nname = 'a'\nsha256 = 'xy'\nrights = ['read']", "64 hexadecimal digits"),
            (&format!("[[key]]\nname = 'a'\nsha256 = '{FOO}'\nrights = []"), "rights is empty"),
            (&format!("[[key]]\nname = 'a'\nsha256 = '{FOO}'\nrights = ['write']"), "write"),
            (&format!("[[key]]\nname = 'a'\nsha256 = '{FOO}'\nrights = ['read']\nscop = 'a'"), "scop"),
            ("[[keys]]", "keys"),
        ] {
            let error = Keys::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let twice = format!("[[key]]\nname = 'a'\nsha256 = '{FOO}'\nrights = ['read']\n").repeat(2);
        assert!(Keys::parse(&twice).is_err());
    }
}
