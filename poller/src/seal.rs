//! Secrets at rest: inline secret text is sealed with ChaCha20-Poly1305 (RFC 8439) before a durable store keeps it.
//!
//! ```text
//!   the inline secrets of one poll, a JSON array ──► v2.<key id>.<base64 of nonce and ciphertext>
//!                                                       bound to: scope, key, URL and spec of the poll
//! ```
//!
//! A seal opens only for the poll for which it was made. Someone who can write to a store, but has no key, could otherwise move
//! a secret of another poll into a poll of his own, or change where a poll sends its secrets. Binding it to the origin alone
//! would leave him the method and the path, and with them what the secret's owner may do there.
//!
//! The id of the key is the start of its hash and reveals nothing about it. Nonces are random; by NIST SP 800-38D's bound, 96
//! bits are safe for 2^32 secrets of one key. Seals of the first version, `v1`, were for single secrets and bound to nothing;
//! they are opened only when a file of that time is [converted](crate::SqliteStore).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::key::PollKey;
use crate::secret::SecretError;

/// The environment variable that holds the key for the command line and for [`SealKey::from_env`].
pub const SEAL_KEY_VARIABLE: &str = "POLL_SEAL_KEY";

/// The environment variable that holds former keys, which only open; several are separated by spaces or commas.
pub const OLD_SEAL_KEYS_VARIABLE: &str = "POLL_SEAL_KEY_OLD";

/// The key with which a durable store seals inline secrets.
///
/// ```
/// use poller::SealKey;
///
/// let key = SealKey::parse("8f3a52c1d07b6e9f8f3a52c1d07b6e9f8f3a52c1d07b6e9f8f3a52c1d07b6e9f")?;
/// assert_eq!(key.id().len(), 8);
/// assert!(!format!("{key:?}").contains("8f3a"));
/// assert!(SealKey::parse("hunter2").is_err());
/// # Ok::<(), poller::secret::SecretError>(())
/// ```
#[derive(Clone)]
pub struct SealKey {
    id: String,
    // "Less safe" is ring's name for a key with nonces of the caller; here they are random and used once.
    cipher: std::sync::Arc<LessSafeKey>,
    /// Former keys, which open what they have sealed.
    old: Vec<Self>,
}

/// The associated data of `v1`: the purpose of the ciphertext.
const UNBOUND: &[u8] = b"poll inline secret v1";

/// The begin of the associated data: the purpose of the ciphertext.
const PURPOSE: &[u8] = b"poll inline secrets v2";

/// The beginning of a secret that the first version has sealed, in the stored text of a spec.
const UNBOUND_IN_TEXT: &str = r#""$sealed":"v1."#;

/// What a seal is bound to: the poll, and all that it sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding<'a> {
    pub(crate) poll: &'a PollKey,
    pub(crate) url: &'a str,
    /// The stored text of the spec.
    pub(crate) text: &'a str,
}

impl Binding<'_> {
    /// The associated data. Each part follows its length, so that no two polls have the same.
    fn data(&self) -> Vec<u8> {
        let Self { poll, url, text } = self;
        let parts = [poll.scope(), poll.key(), url, text];
        let length = parts.iter().map(|part| part.len() + 8).sum::<usize>() + PURPOSE.len();
        let mut data = Vec::with_capacity(length);
        data.extend_from_slice(PURPOSE);
        for part in parts {
            data.extend_from_slice(&(part.len() as u64).to_le_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        data
    }
}

impl SealKey {
    /// A key of 32 bytes, written as 64 hexadecimal digits or as standard base64; `openssl rand -hex 32` makes one.
    ///
    /// # Errors
    /// If the text has another form. The message does not repeat it.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        let bytes = if text.len() == 64 { from_hex(text) } else { BASE64.decode(text).ok() };
        bytes.and_then(|bytes| Self::new(&bytes)).ok_or_else(|| {
            SecretError::new(
                "the seal key is not 32 bytes; expected 64 hexadecimal digits or standard base64, as `openssl rand -hex \
                 32` writes them",
            )
        })
    }

    /// The key in the environment variable [`SEAL_KEY_VARIABLE`], with the former ones in [`OLD_SEAL_KEYS_VARIABLE`]; `None`
    /// if neither is set.
    ///
    /// # Errors
    /// If a value is not a key, or there are only former ones.
    pub fn from_env() -> Result<Option<Self>, SecretError> {
        let variable = |name: &str| match std::env::var(name) {
            Ok(text) => Ok(Some(SecretString::from(text))),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(SecretError::new(format!("{name} is not UTF-8"))),
        };
        let in_variable = |name: &str, text: &str| {
            Self::parse(text).map_err(|error| SecretError::new(format!("in {name}: {error}")))
        };
        let (key, old) = (variable(SEAL_KEY_VARIABLE)?, variable(OLD_SEAL_KEYS_VARIABLE)?);
        let old = old.as_ref().map_or("", |text| text.expose_secret());
        let mut old = old.split([',', ' ', '\n', '\t']).filter(|text| !text.is_empty()).peekable();
        let Some(key) = key else {
            return match old.peek() {
                None => Ok(None),
                Some(_) => Err(SecretError::new(format!(
                    "{OLD_SEAL_KEYS_VARIABLE} is set and {SEAL_KEY_VARIABLE} is not; a former key only opens, set the present \
                     one too"
                ))),
            };
        };
        let key = in_variable(SEAL_KEY_VARIABLE, key.expose_secret())?;
        old.try_fold(key, |key, text| Ok(key.with_old(in_variable(OLD_SEAL_KEYS_VARIABLE, text)?))).map(Some)
    }

    /// The same key, which also opens what `old` has sealed: for the time in which keys change. What is sealed is sealed with
    /// this one.
    #[must_use]
    pub fn with_old(mut self, old: Self) -> Self {
        self.old.push(old);
        self
    }

    /// The key with this id, among this one and the former ones.
    fn by_id(&self, id: &str) -> Option<&Self> {
        std::iter::once(self).chain(&self.old).find(|key| key.id == id)
    }

    /// Whether this key, or a former one, has this id.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.by_id(id).is_some()
    }

    /// `None` unless there are 32 bytes.
    fn new(bytes: &[u8]) -> Option<Self> {
        let cipher = std::sync::Arc::new(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, bytes).ok()?));
        let hash = digest(&SHA256, &[b"poll seal key id", bytes].concat());
        let id = hash.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Some(Self { id, cipher, old: Vec::new() })
    }

    /// The first eight digits of a hash of the key: distinguishes keys and reveals nothing about them.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals the secrets of a poll.
    pub(crate) fn seal(&self, secrets: &[SecretString], to: Binding<'_>) -> Result<String, SecretError> {
        let texts: Vec<&str> = secrets.iter().map(ExposeSecret::expose_secret).collect();
        let list = serde_json::to_vec(&texts).expect("invariant: strings are written to memory");
        let sealed = self.encrypt(list, &to.data())?;
        Ok(format!("v2.{}.{sealed}", self.id))
    }

    /// Opens the secrets of a poll.
    pub(crate) fn open(&self, sealed: &str, to: Binding<'_>) -> Result<Vec<SecretString>, SecretError> {
        let (id, text) = parts(sealed, "v2")?;
        let key = self.by_id(id).ok_or_else(|| other_key(id, Some(self)))?;
        let list = key.decrypt(text, &to.data()).ok_or_else(|| {
            SecretError::new(
                "the sealed secrets are damaged, or are those of another poll or of another spec",
            )
        })?;
        serde_json::from_slice::<Vec<String>>(&list)
            .map(|secrets| secrets.into_iter().map(SecretString::from).collect())
            .map_err(|_| SecretError::new("the sealed secrets are no list of texts"))
    }

    /// Opens a secret that the first version has sealed.
    pub(crate) fn open_unbound(&self, sealed: &str) -> Result<SecretString, SecretError> {
        let (id, text) = parts(sealed, "v1")?;
        let key = self.by_id(id).ok_or_else(|| other_key(id, Some(self)))?;
        let opened = key.decrypt(text, UNBOUND).and_then(|opened| String::from_utf8(opened.to_vec()).ok());
        opened.map(SecretString::from).ok_or_else(|| SecretError::new("the sealed secret is damaged"))
    }

    fn encrypt(&self, mut text: Vec<u8>, data: &[u8]) -> Result<String, SecretError> {
        let failed = |_| SecretError::new("the secret cannot be sealed: the system gives no random numbers");
        let mut bytes = [0; NONCE_LEN].to_vec();
        SystemRandom::new().fill(&mut bytes).map_err(failed)?;
        let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(failed)?;
        self.cipher.seal_in_place_append_tag(nonce, Aad::from(data), &mut text).map_err(failed)?;
        bytes.extend(text);
        Ok(BASE64.encode(bytes))
    }

    fn decrypt(&self, text: &str, data: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(BASE64.decode(text).ok()?);
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.cipher.open_in_place(nonce, Aad::from(data), sealed).ok()?;
        Some(Zeroizing::new(opened.to_vec()))
    }
}

/// The id of the key of a seal, and its ciphertext.
fn parts<'s>(sealed: &'s str, version: &str) -> Result<(&'s str, &'s str), SecretError> {
    let mut parts = sealed.splitn(3, '.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(found), Some(id), Some(text)) if found == version => Ok((id, text)),
        _ => Err(SecretError::new("the form of the sealed secrets is not known to this version")),
    }
}

/// The id of the key with which the secrets of a poll are sealed: in its seal, or in the text of a spec of the first version.
pub(crate) fn key_of<'s>(sealed: Option<&'s str>, text: &'s str) -> Option<&'s str> {
    match sealed {
        Some(sealed) => parts(sealed, "v2").ok().map(|(id, _)| id),
        None => {
            let (_, after) = text.split_once(UNBOUND_IN_TEXT)?;
            after.split('.').next()
        }
    }
}

/// Whether the first version has sealed secrets in the stored text of a spec.
pub(crate) fn has_unbound(text: &str) -> bool {
    text.contains(UNBOUND_IN_TEXT)
}

/// Why secrets cannot be opened that this key has sealed: another was given, or none.
pub(crate) fn other_key(sealed_with: &str, given: Option<&SealKey>) -> SecretError {
    let given = match given {
        Some(key) if key.old.is_empty() => format!("the key given is {}", key.id),
        Some(key) => {
            let ids: Vec<&str> = std::iter::once(key).chain(&key.old).map(SealKey::id).collect();
            format!("the keys given are {}", ids.join(", "))
        }
        None => "no key was given".to_owned(),
    };
    SecretError::new(format!(
        "the secrets were sealed with the key {sealed_with}, and {given}; set {SEAL_KEY_VARIABLE} to that key, or add it to \
         {OLD_SEAL_KEYS_VARIABLE}"
    ))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealKey {
        SealKey::new(&[byte; 32]).unwrap()
    }

    fn secrets(texts: &[&str]) -> Vec<SecretString> {
        texts.iter().map(|text| SecretString::from(*text)).collect()
    }

    fn shown(opened: &[SecretString]) -> Vec<&str> {
        opened.iter().map(ExposeSecret::expose_secret).collect()
    }

    #[test]
    fn only_its_key_opens_a_seal() {
        let poll = PollKey::new("run", "a");
        let to = Binding { poll: &poll, url: "https://a.test/", text: "{}" };
        let sealed = key(1).seal(&secrets(&["Bearer hunter2", "", "\u{2028}\""]), to).unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_eq!(shown(&key(1).open(&sealed, to).unwrap()), ["Bearer hunter2", "", "\u{2028}\""]);
        assert!(key(2).open(&sealed, to).unwrap_err().to_string().contains("sealed with the key"));
        assert_ne!(key(1).seal(&secrets(&["Bearer hunter2"]), to).unwrap(), sealed, "nonces differ");
        // A former key opens, and does not seal.
        let both = key(2).with_old(key(3)).with_old(key(1));
        assert_eq!(both.open(&sealed, to).unwrap().len(), 3);
        assert_eq!(key_of(Some(&both.seal(&[], to).unwrap()), ""), Some(key(2).id()));
        assert_eq!(key_of(Some(&sealed), ""), Some(key(1).id()));
        assert!(both.has(key(3).id()) && !key(2).has(key(3).id()));
    }

    #[test]
    fn a_seal_opens_only_for_its_poll_and_its_spec() {
        let (poll, other) = (PollKey::new("run", "a"), PollKey::new("ru", "na"));
        let to = Binding { poll: &poll, url: "https://a.test/", text: r#"{"timeout":60}"# };
        let sealed = key(1).seal(&secrets(&["hunter2"]), to).unwrap();
        assert!(key(1).open(&sealed, to).is_ok());
        for foreign in [
            Binding { poll: &other, ..to },
            Binding { poll: &PollKey::new("run", "b"), ..to },
            Binding { poll: &PollKey::new("", "runa"), ..to },
            Binding { url: "https://evil.test/", ..to },
            Binding { url: "https://a.test/delete", ..to },
            Binding { text: r#"{"timeout":61}"#, ..to },
            // The same bytes in a row, cut at another place.
            Binding { url: "https://a.test/{", text: r#""timeout":60}"#, ..to },
        ] {
            let error = key(1).open(&sealed, foreign).unwrap_err().to_string();
            assert!(error.contains("another poll"), "{foreign:?}: {error}");
        }
    }

    #[test]
    fn damage_is_noticed() {
        let poll = PollKey::new("", "a");
        let to = Binding { poll: &poll, url: "https://a.test/", text: "{}" };
        let sealed = key(1).seal(&secrets(&["x"]), to).unwrap();
        let id = key(1).id;
        for broken in [
            "",
            "v3.a.b",
            "v1.a.b",
            &format!("v2.{id}"),
            &format!("v2.{id}."),
            &format!("v2.{id}.AAAA"),
            &sealed[..sealed.len() - 4],
        ] {
            assert!(key(1).open(broken, to).is_err(), "{broken}");
        }
    }

    #[test]
    fn seals_of_the_first_version_are_recognised() {
        let sealed = format!("v1.{}.{}", key(1).id, key(1).encrypt(b"hunter2".to_vec(), UNBOUND).unwrap());
        assert_eq!(key(1).open_unbound(&sealed).unwrap().expose_secret(), "hunter2");
        let text = format!(r#"{{"headers":{{"a":{{"$sealed":"{sealed}"}}}}}}"#);
        assert!(has_unbound(&text));
        assert_eq!(key_of(None, &text), Some(key(1).id()));
        // A body that only talks of them.
        let text = serde_json::json!({"body": text}).to_string();
        assert!(!has_unbound(&text) && key_of(None, &text).is_none());
        // One purpose is not another.
        let poll = PollKey::new("", "a");
        let to = Binding { poll: &poll, url: "", text: "" };
        assert!(key(1).open(&sealed.replacen("v1", "v2", 1), to).is_err());
    }

    #[test]
    fn both_spellings_are_the_same_key() {
        let hex = "01".repeat(32);
        assert_eq!(SealKey::parse(&hex).unwrap().id(), SealKey::parse(&BASE64.encode([1; 32])).unwrap().id());
        assert!(SealKey::parse(&"zz".repeat(32)).is_err());
    }
}
