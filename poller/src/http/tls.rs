//! Trusted certificates, the client's own certificate, and the TLS configurations made of them.
//!
//! Each configuration names its crypto provider (ring). A library must not install the process-wide default: that choice
//! belongs to the program.
//!
//! The roots are the system's, read once per client, and the user's additions. Containers often have none and
//! still poll http, so missing roots are no error here; [`Tls::has_roots`] lets the client refuse https with a helpful
//! message instead of a handshake that fails with "unknown issuer". Like most programs that are not browsers, this does not
//! check revocation.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::certificates::Verifier;

/// The TLS of a client.
#[derive(Clone)]
pub(super) struct Tls {
    /// Offers HTTP/2 and HTTP/1.1.
    pub(super) any: TlsConnector,
    /// Offers HTTP/1.1 only.
    pub(super) http1: TlsConnector,
    /// For proxies: offers HTTP/1.1 only, and shows no certificate of the client.
    pub(super) to_proxy: TlsConnector,
    /// Whether any certificate of a server can be accepted.
    pub(super) has_roots: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("has_roots", &self.has_roots).finish_non_exhaustive()
    }
}

/// Why a PEM text is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum PemProblem {
    #[error("expected certificates as PEM (-----BEGIN CERTIFICATE-----), found none")]
    Empty,
    #[error(
        "expected certificates as PEM, found a certificate in DER; openssl x509 -in FILE -out FILE.pem converts it"
    )]
    Der,
    #[error("certificate {number} of the PEM text is broken: {}", words(source))]
    Broken { number: usize, source: pem::Error },
    #[error(
        "certificate {number} of the PEM text cannot be trusted as a root: it is not a certificate of X.509 version 3"
    )]
    Unusable { number: usize, source: rustls::Error },
    #[error("expected a private key as PEM (-----BEGIN PRIVATE KEY-----), found none")]
    NoKey,
    #[error("the private key is encrypted; openssl pkey -in FILE -out FILE.plain decrypts it")]
    EncryptedKey,
    #[error("the private key is broken: {}", words(.0))]
    BrokenKey(pem::Error),
    #[error(
        "the private key is of a kind that cannot be used here: use an RSA, ECDSA (P-256, P-384) or Ed25519 key"
    )]
    UnusableKey(rustls::Error),
    #[error("the private key does not belong to the certificate")]
    OtherKey,
}

/// The errors of PEM in words; the library's quote bytes.
fn words(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its end line (-----END …) is missing",
        pem::Error::IllegalSectionStart { .. } => "its begin line (-----BEGIN …) is malformed",
        pem::Error::Base64Decode(_) => "its text is not base64",
        _ => "it cannot be read",
    }
}

/// Which certificates of servers are accepted, and which one is shown to them.
#[derive(Clone, Debug)]
pub(super) struct TlsOptions {
    roots: RootCertStore,
    /// The added certificates, byte for byte.
    exact: Vec<CertificateDer<'static>>,
    pub(super) system_roots: bool,
    pub(super) accepts_all: bool,
    identity: Option<Arc<ClientIdentity>>,
}

/// The certificate of a client with its chain, and its key.
struct ClientIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

impl TlsOptions {
    pub(super) const fn new() -> Self {
        Self {
            roots: RootCertStore { roots: Vec::new() },
            exact: Vec::new(),
            system_roots: true,
            accepts_all: false,
            identity: None,
        }
    }

    /// Reads the certificates of the system from disk, if they are trusted, so that copies of these options need not.
    pub(super) fn read_system_roots(&mut self) {
        if std::mem::take(&mut self.system_roots) && !self.accepts_all {
            // Unreadable certificates are skipped; without any root, https requests report it.
            let found = rustls_native_certs::load_native_certs();
            self.roots.add_parsable_certificates(found.certs);
        }
    }

    /// The same options without the client's certificate; `None` if there is none.
    pub(super) fn without_identity(&self) -> Option<Self> {
        self.identity.is_some().then(|| Self { identity: None, ..self.clone() })
    }

    /// Trusts every certificate of a PEM text. Other sections, such as keys, are skipped.
    pub(super) fn add_roots(&mut self, pem: &[u8]) -> Result<(), PemProblem> {
        for (index, certificate) in certificates(pem)?.into_iter().enumerate() {
            let added = self.roots.add(certificate.clone());
            added.map_err(|source| PemProblem::Unusable { number: index + 1, source })?;
            self.exact.push(certificate);
        }
        Ok(())
    }

    /// Shows this certificate to servers that ask for one.
    pub(super) fn set_identity(&mut self, certificate: &[u8], key: &[u8]) -> Result<(), PemProblem> {
        let chain = certificates(certificate)?;
        let key = match PrivateKeyDer::from_pem_slice(key) {
            Ok(key) if !is_encrypted(key.secret_der()) => key,
            Ok(_) => return Err(PemProblem::EncryptedKey),
            Err(_) if names_encrypted_key(key) => return Err(PemProblem::EncryptedKey),
            Err(pem::Error::NoItemsFound) => return Err(PemProblem::NoKey),
            Err(error) => return Err(PemProblem::BrokenKey(error)),
        };
        let provider = rustls::crypto::ring::default_provider();
        let pair = rustls::sign::CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider);
        pair.map_err(|error| match error {
            rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch) => PemProblem::OtherKey,
            error => PemProblem::UnusableKey(error),
        })?;
        self.identity = Some(Arc::new(ClientIdentity { chain, key }));
        Ok(())
    }

    /// The configurations. Those of the system count only once they were [read](Self::read_system_roots).
    pub(super) fn build(&self) -> Result<Tls, rustls::Error> {
        let roots = self.roots.clone();
        let has_roots = self.accepts_all || !roots.is_empty();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = if self.accepts_all || roots.is_empty() {
            // webpki does without neither roots nor checks.
            Arc::new(Verifier::blind(self.accepts_all, &provider))
        } else {
            let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            let webpki = webpki.build().map_err(|error| rustls::Error::General(error.to_string()))?;
            Arc::new(Verifier::with_exact(webpki, self.exact.clone(), &provider))
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let anonymous = config.clone().with_no_client_auth();
        let config = match &self.identity {
            Some(identity) => {
                config.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?
            }
            None => anonymous.clone(),
        };
        let offering = |config: &ClientConfig, protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            TlsConnector::from(Arc::new(config))
        };
        Ok(Tls {
            any: offering(&config, &[b"h2", b"http/1.1"]),
            http1: offering(&config, &[b"http/1.1"]),
            to_proxy: offering(&anonymous, &[b"http/1.1"]),
            has_roots,
        })
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemProblem> {
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let number = certificates.len() + 1;
        certificates.push(certificate.map_err(|source| PemProblem::Broken { number, source })?);
    }
    match certificates.is_empty() {
        false => Ok(certificates),
        // A sequence with a length of two bytes.
        true if pem.starts_with(&[0x30, 0x82]) => Err(PemProblem::Der),
        true => Err(PemProblem::Empty),
    }
}

/// Whether a PEM text has an encrypted key: in a section of its own (PKCS #8), or marked by a header (the older formats).
fn names_encrypted_key(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

/// Whether what stands in the section of a key is not the DER of one: the older formats encrypt it in place.
fn is_encrypted(der: &[u8]) -> bool {
    der.first() != Some(&0x30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_texts_are_judged_whole() {
        let mut options = TlsOptions::new();
        let (first, second) = (test_support::Authority::new(), test_support::Authority::new());
        options.add_roots(format!("# two of them\n{}{}", first.pem(), second.pem()).as_bytes()).unwrap();
        assert_eq!(options.roots.len(), 2);

        for (pem, expected) in [
            (&b""[..], "expected certificates as PEM"),
            (b"not a certificate", "expected certificates as PEM"),
            (b"\x30\x82\x01\x00", "in DER"),
            (
                b"-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n",
                "certificate 1 of the PEM text is broken: its text is not base64",
            ),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "its end line (-----END …) is missing"),
            (
                b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "cannot be trusted as a root",
            ),
        ] {
            let error = options.add_roots(pem).unwrap_err().to_string();
            assert!(error.contains(expected), "{pem:?}: {error}");
        }
    }

    #[test]
    fn keys_are_judged_with_their_certificate() {
        let authority = test_support::Authority::new();
        let (one, other) = (authority.issue_client("one"), authority.issue_client("other"));
        let mut options = TlsOptions::new();
        let mut set = |certificate: &str, key: &str| {
            options.set_identity(certificate.as_bytes(), key.as_bytes()).map_err(|error| error.to_string())
        };
        assert_eq!(set(one.certificate(), one.key()), Ok(()));
        let both = format!("{}{}", one.key(), one.certificate());
        assert_eq!(set(&both, &both), Ok(()), "one file may hold both");
        for (key, expected) in [
            (other.key(), "the private key does not belong to the certificate"),
            ("", "expected a private key as PEM (-----BEGIN PRIVATE KEY-----), found none"),
            (one.certificate(), "expected a private key as PEM (-----BEGIN PRIVATE KEY-----), found none"),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "the private key is encrypted; openssl pkey -in FILE -out FILE.plain decrypts it",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
                "the private key is encrypted; openssl pkey -in FILE -out FILE.plain decrypts it",
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----\n",
                "the private key is of a kind that cannot be used here: use an RSA, ECDSA (P-256, P-384) or Ed25519 key",
            ),
        ] {
            assert_eq!(set(one.certificate(), key), Err(expected.to_owned()), "{key}");
        }
    }

    #[test]
    fn no_roots_is_no_error() {
        let options = TlsOptions { system_roots: false, ..TlsOptions::new() };
        assert!(!options.build().unwrap().has_roots);
        assert!(TlsOptions { accepts_all: true, ..options }.build().unwrap().has_roots);
        assert!(rustls::crypto::CryptoProvider::get_default().is_none());
    }
}
