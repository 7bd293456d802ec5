//! Secrets at rest: inline secret text is sealed with ChaCha20-Poly1305 (RFC 8439) before a durable store keeps it.
//!
//! A sealed secret is `v1.<key id>.<base64 of nonce and ciphertext>`. The id of the key is the start of its hash and reveals
//! nothing about it. Nonces are random; by NIST SP 800-38D's bound, 96 bits are safe for 2^32 secrets of one key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret, SecretString};

use crate::secret::SecretError;

/// The environment variable that holds the key for the command line and for [`SealKey::from_env`].
pub const SEAL_KEY_VARIABLE: &str = "POLL_SEAL_KEY";

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
}

/// The associated data: the purpose of the ciphertext.
const PURPOSE: &[u8] = b"poll inline secret v1";

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

    /// The key in the environment variable [`SEAL_KEY_VARIABLE`]; `None` if it is not set.
    ///
    /// # Errors
    /// If its value is not a key.
    pub fn from_env() -> Result<Option<Self>, SecretError> {
        match std::env::var(SEAL_KEY_VARIABLE) {
            Ok(text) => Self::parse(&text).map(Some),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(SecretError::new(format!("{SEAL_KEY_VARIABLE} is not UTF-8")))
            }
        }
    }

    /// `None` unless there are 32 bytes.
    fn new(bytes: &[u8]) -> Option<Self> {
        let cipher = std::sync::Arc::new(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, bytes).ok()?));
        let hash = digest(&SHA256, &[b"poll seal key id", bytes].concat());
        let id = hash.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Some(Self { id, cipher })
    }

    /// The first eight digits of a hash of the key: distinguishes keys and reveals nothing about them.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn seal(&self, secret: &SecretString) -> Result<String, SecretError> {
        let failed = |_| SecretError::new("the secret cannot be sealed: the system gives no random numbers");
        let mut bytes = [0; NONCE_LEN].to_vec();
        SystemRandom::new().fill(&mut bytes).map_err(failed)?;
        let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(failed)?;
        let mut sealed = secret.expose_secret().as_bytes().to_vec();
        self.cipher.seal_in_place_append_tag(nonce, Aad::from(PURPOSE), &mut sealed).map_err(failed)?;
        bytes.extend(sealed);
        Ok(format!("v1.{}.{}", self.id, BASE64.encode(bytes)))
    }

    /// Checks that a key fits all sealed secrets in the text of a spec. Does not notice damage.
    pub(crate) fn check(key: Option<&Self>, spec: &str) -> Result<(), SecretError> {
        const BEFORE: &str = r#""$sealed":""#;
        for (at, _) in spec.match_indices(BEFORE) {
            let mut parts = spec[at + BEFORE.len()..].splitn(3, '.');
            let (version, id) = (parts.next(), parts.next().unwrap_or_default());
            if version != Some("v1") {
                return Err(newer());
            }
            match key {
                Some(key) if key.id == id => {}
                Some(key) => return Err(other_key(id, &key.id)),
                None => {
                    return Err(SecretError::new(format!(
                        "the secret was sealed with the key {id}, and no key was given; set {SEAL_KEY_VARIABLE}"
                    )));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn open(&self, sealed: &str) -> Result<SecretString, SecretError> {
        let broken = || SecretError::new("the sealed secret is damaged");
        let mut parts = sealed.splitn(3, '.');
        let (Some("v1"), Some(id), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(newer());
        };
        if id != self.id {
            return Err(other_key(id, &self.id));
        }
        let bytes = BASE64.decode(text).map_err(|_| broken())?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN).ok_or_else(broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let mut sealed = sealed.to_vec();
        let opened =
            self.cipher.open_in_place(nonce, Aad::from(PURPOSE), &mut sealed).map_err(|_| broken())?;
        std::str::from_utf8(opened).map(SecretString::from).map_err(|_| broken())
    }
}

fn newer() -> SecretError {
    SecretError::new("the secret was sealed by a newer version")
}

fn other_key(sealed_with: &str, given: &str) -> SecretError {
    SecretError::new(format!("the secret was sealed with the key {sealed_with}, the key given is {given}"))
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

    #[test]
    fn only_its_key_opens_a_sealed_secret() {
        let secret = SecretString::from("Bearer hunter2");
        let sealed = key(1).seal(&secret).unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_eq!(key(1).open(&sealed).unwrap().expose_secret(), "Bearer hunter2");
        assert!(key(2).open(&sealed).unwrap_err().to_string().contains("sealed with the key"));
        assert_ne!(key(1).seal(&secret).unwrap(), sealed, "nonces differ");
    }

    #[test]
    fn damage_is_noticed() {
        let sealed = key(1).seal(&SecretString::from("x")).unwrap();
        let id = key(1).id;
        for broken in
            ["", "v2.a.b", &format!("v1.{id}."), &format!("v1.{id}.AAAA"), &sealed[..sealed.len() - 4]]
        {
            assert!(key(1).open(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_key_is_checked_without_opening() {
        let text = format!(
            r#"{{"headers":{{"a":{{"$sealed":"{}"}}}},"body":"{{\"$sealed\":\"v9\"}}"}}"#,
            key(1).seal(&SecretString::from("x")).unwrap()
        );
        assert!(SealKey::check(Some(&key(1)), &text).is_ok());
        assert!(SealKey::check(Some(&key(2)), &text).unwrap_err().to_string().contains("the key given is"));
        assert!(SealKey::check(None, &text).unwrap_err().to_string().contains(SEAL_KEY_VARIABLE));
        assert!(SealKey::check(None, r#"{"body":"plain"}"#).is_ok());
        assert!(SealKey::check(Some(&key(1)), &text.replace("v1.", "v2.")).is_err());
    }

    #[test]
    fn both_spellings_are_the_same_key() {
        let hex = "01".repeat(32);
        assert_eq!(SealKey::parse(&hex).unwrap().id(), SealKey::parse(&BASE64.encode([1; 32])).unwrap().id());
        assert!(SealKey::parse(&"zz".repeat(32)).is_err());
    }
}
