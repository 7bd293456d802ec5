//! Signatures of Standard Webhooks, version 1: HMAC-SHA256 over id, time and body.
//!
//! The specification: <https://github.com/standard-webhooks/standard-webhooks>. The Rust library of its authors brings an HMAC
//! and a clock of its own for these few lines, so `ring` signs here; their Python library verifies in `.ci/service`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;

/// The prefix of keys in text.
const PREFIX: &str = "whsec_";

/// The lengths of keys in bytes that the specification allows.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that signs webhooks.
pub(crate) struct SigningKey(hmac::Key);

/// Why a text is no key. Says nothing of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidKey(String);

impl SigningKey {
    /// Reads `whsec_` and base64.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidKey> {
        let example = "openssl rand -base64 32 makes one, to be written behind whsec_";
        let Some(digits) = text.strip_prefix(PREFIX) else {
            return Err(InvalidKey(format!("found a key that does not begin with {PREFIX}; {example}")));
        };
        let bytes = BASE64
            .decode(digits)
            .map_err(|_| InvalidKey(format!("found a key that is no base64 behind {PREFIX}; {example}")))?;
        if !LENGTHS.contains(&bytes.len()) {
            let (found, least, most) = (bytes.len(), LENGTHS.start(), LENGTHS.end());
            let problem = format!("found a key of {found} bytes, expected {least} to {most}; {example}");
            return Err(InvalidKey(problem));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The signature of a message that is sent at `seconds` since 1970.
    pub(crate) fn sign(&self, id: &str, seconds: u64, body: &[u8]) -> String {
        let mut signing = hmac::Context::with_key(&self.0);
        signing.update(format!("{id}.{seconds}.").as_bytes());
        signing.update(body);
        format!("v1,{}", BASE64.encode(signing.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's libraries.
    #[test]
    fn the_published_example_is_signed_alike() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        for (text, why) in [
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not begin with whsec_"),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa!", "no base64"),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2L", "no base64"),
            ("whsec_MfKQ", "3 bytes, expected 24 to 64"),
            ("whsec_", "0 bytes"),
            (&format!("whsec_{}", "AAAA".repeat(22)), "66 bytes"),
        ] {
            let Err(error) = SigningKey::parse(text) else { panic!("{text} is taken") };
            assert!(error.to_string().contains(why) && !error.to_string().contains("MfKQ"), "{error}");
        }
    }
}
