//! Certificates made on the spot: an authority of its own for each test, and what it signs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

static MADE: AtomicU32 = AtomicU32::new(0);

/// A certificate authority that no client trusts until its certificate is added.
///
/// ```
/// let authority = test_support::Authority::new();
/// let identity = authority.issue(["localhost", "127.0.0.1"]);
/// assert!(authority.pem().starts_with("-----BEGIN CERTIFICATE-----"));
/// # drop(identity);
/// ```
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// A new authority.
    ///
    /// # Panics
    /// Never with the algorithms built in.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each one is a different authority")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        // Clients look authorities up by name, so two of the same name would be taken for each other.
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("test authority {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let pem = params.self_signed(&key).expect("a certificate can be signed").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate, which a client must trust.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A server certificate for these names or addresses.
    ///
    /// # Panics
    /// If one of them is neither.
    #[must_use]
    pub fn issue<const N: usize>(&self, names: [&str; N]) -> Identity {
        self.sign(params(&names))
    }

    /// A server certificate that ended in 2001.
    ///
    /// # Panics
    /// If a name is neither a host name nor an address.
    #[must_use]
    pub fn issue_expired<const N: usize>(&self, names: [&str; N]) -> Identity {
        let mut params = params(&names);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate can be signed");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports the default versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("the key belongs to the certificate");
        Identity(Arc::new(config))
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    CertificateParams::new(names).expect("the names are host names or addresses")
}

/// What a TLS server shows: a certificate and its key.
#[derive(Clone, Debug)]
pub struct Identity(Arc<ServerConfig>);

impl Identity {
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0))
    }

    /// An acceptor that insists on HTTP/2.
    pub(crate) fn http2_acceptor(&self) -> TlsAcceptor {
        let mut config = ServerConfig::clone(&self.0);
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}
