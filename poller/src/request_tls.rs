//! The certificates of one request: what the references of `requestInit.tls` stood for when it was sent.

use std::fmt;
use std::hash::{Hash, Hasher};

use ring::digest::{Context, SHA256};
use secrecy::{ExposeSecret as _, SecretString};

/// The client certificate of a request, and the authorities that it trusts beside those of the client. All texts are PEM.
///
/// Equal texts make equal values, so that a client can keep connections for them. `Debug` shows which parts there are.
///
/// ```
/// use poller::fetch::RequestTls;
///
/// let tls = RequestTls::new(Some("certificate and key".into()), None, None);
/// assert!(tls.certificate().is_some() && tls.authorities().is_none());
/// assert!(!format!("{tls:?}").contains("certificate and key"));
/// ```
#[derive(Clone)]
pub struct RequestTls {
    certificate: Option<SecretString>,
    key: Option<SecretString>,
    authorities: Option<SecretString>,
    /// SHA-256 of all parts.
    digest: [u8; 32],
}

impl RequestTls {
    /// Certificates of these texts. Without a `key`, the text of the certificate contains it.
    #[must_use]
    pub fn new(
        certificate: Option<SecretString>,
        key: Option<SecretString>,
        authorities: Option<SecretString>,
    ) -> Self {
        let mut context = Context::new(&SHA256);
        for part in [&certificate, &key, &authorities] {
            let text = part.as_ref().map(|part| part.expose_secret());
            // With its length, so that no text can be divided in two ways.
            context.update(&text.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
            context.update(text.unwrap_or_default().as_bytes());
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Self { certificate, key, authorities, digest }
    }

    /// The digest of all texts.
    #[cfg(feature = "http")]
    pub(crate) const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The client's certificate with its chain, and perhaps its key.
    #[must_use]
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_ref().map(|text| text.expose_secret())
    }

    /// The key of the certificate, if it has a text of its own.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_ref().map(|text| text.expose_secret())
    }

    /// The certificates that are trusted beside those of the client.
    #[must_use]
    pub fn authorities(&self) -> Option<&str> {
        self.authorities.as_ref().map(|text| text.expose_secret())
    }
}

impl PartialEq for RequestTls {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for RequestTls {}

impl Hash for RequestTls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl fmt::Debug for RequestTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestTls")
            .field("certificate", &self.certificate.is_some())
            .field("key", &self.key.is_some())
            .field("authorities", &self.authorities.is_some())
            .finish_non_exhaustive()
    }
}
