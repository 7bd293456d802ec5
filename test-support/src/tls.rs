//! Certificates made on the spot: an authority of its own for each test, and what it signs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
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

    /// A server certificate for any number of names.
    pub(crate) fn issue_all(&self, names: Vec<String>) -> Identity {
        self.sign(CertificateParams::new(names).expect("the names are host names or addresses"))
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

    /// A server certificate that begins in the year 4000.
    ///
    /// # Panics
    /// If a name is neither a host name nor an address.
    #[must_use]
    pub fn issue_too_early<const N: usize>(&self, names: [&str; N]) -> Identity {
        let mut params = params(&names);
        params.not_before = date_time_ymd(4000, 1, 1);
        self.sign(params)
    }

    /// A server certificate, for a server that wants certificates of its clients, signed by this authority too.
    ///
    /// # Panics
    /// If a name is neither a host name nor an address.
    #[must_use]
    pub fn issue_demanding<const N: usize>(&self, names: [&str; N]) -> Identity {
        identity(params(&names), Some(&self.issuer), Some(self))
    }

    /// The certificate of a client of this name, with its key.
    ///
    /// # Panics
    /// Never with the algorithms built in.
    #[must_use]
    pub fn issue_client(&self, name: &str) -> KeyedCertificate {
        let mut params = params(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        self.sign(params).pair
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        identity(params, Some(&self.issuer), None)
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    CertificateParams::new(names).expect("the names are host names or addresses")
}

/// What a TLS server shows: a certificate and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    config: Arc<ServerConfig>,
    pair: KeyedCertificate,
}

impl Identity {
    /// Certificate and key as PEM, for servers that read files.
    #[must_use]
    pub const fn pair(&self) -> &KeyedCertificate {
        &self.pair
    }

    pub(crate) const fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// An acceptor that insists on HTTP/2.
    pub(crate) fn http2_acceptor(&self) -> TlsAcceptor {
        let mut config = ServerConfig::clone(&self.config);
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A certificate and its key, as PEM.
///
/// ```
/// let client = test_support::Authority::new().issue_client("ci");
/// assert!(client.key().starts_with("-----BEGIN PRIVATE KEY-----"));
/// ```
#[derive(Clone, Debug)]
pub struct KeyedCertificate {
    certificate: String,
    key: String,
}

impl KeyedCertificate {
    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The private key, as PKCS #8.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// A certificate that signs itself, as `openssl req -x509` makes it: marked as an authority's, and used by a server.
///
/// ```
/// let identity = test_support::self_signed(["localhost"], true);
/// assert!(identity.pair().certificate().starts_with("-----BEGIN CERTIFICATE-----"));
/// ```
///
/// # Panics
/// If a name is neither a host name nor an address.
#[must_use]
pub fn self_signed<const N: usize>(names: [&str; N], is_authority: bool) -> Identity {
    let mut params = params(&names);
    params.distinguished_name.push(DnType::CommonName, "self");
    if is_authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    identity(params, None, None)
}

/// The certificate of these parameters, signed by the issuer or by itself; clients must show one that `clients` has signed.
fn identity(
    params: CertificateParams,
    issuer: Option<&Issuer<'static, KeyPair>>,
    clients: Option<&Authority>,
) -> Identity {
    let key = KeyPair::generate().expect("a key can be made");
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer),
        None => params.self_signed(&key),
    };
    let certificate = certificate.expect("a certificate can be signed");
    let pair = KeyedCertificate { certificate: certificate.pem(), key: key.serialize_pem() };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default versions");
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            let der = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("it was just made");
            roots.add(der).expect("it is an authority's");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            config.with_client_cert_verifier(verifier.expect("there is a root"))
        }
    };
    let config = config
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("the key belongs to the certificate");
    Identity { config: Arc::new(config), pair }
}
