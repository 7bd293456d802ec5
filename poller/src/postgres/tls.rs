//! TLS to the database: rustls with ring, and the verification that `sslmode` asks for.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::certificates::Verifier;

/// What is verified of the server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verification {
    /// Nothing: the connection is encrypted, but the server may be any.
    None,
    /// A trusted authority has issued it.
    Authority,
    /// The same, and it names the host.
    Name,
}

/// Makes TLS connections.
#[derive(Clone)]
pub(super) struct Connector(MakeRustlsConnect);

impl<S> MakeTlsConnect<S> for Connector
where
    MakeRustlsConnect: MakeTlsConnect<S>,
{
    type Stream = <MakeRustlsConnect as MakeTlsConnect<S>>::Stream;
    type TlsConnect = <MakeRustlsConnect as MakeTlsConnect<S>>::TlsConnect;
    type Error = <MakeRustlsConnect as MakeTlsConnect<S>>::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Self::TlsConnect, Self::Error> {
        // Asked also for a socket, which has no name and is not encrypted.
        self.0.make_tls_connect(if host.is_empty() { "localhost" } else { host })
    }
}

/// The connector and what it verifies.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) connector: Connector,
    verification: Verification,
}

impl Tls {
    /// Trusts the roots in this file, or those of the system.
    pub(super) fn new(verification: Verification, root: Option<&Path>) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = if verification == Verification::None {
            Arc::new(Verifier::blind(true, &provider))
        } else {
            let roots = roots(root)?;
            let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| error.to_string())?;
            match verification {
                Verification::Name => inner,
                _ => Arc::new(Verifier::of_any_name(inner, &provider)),
            }
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Self { connector: Connector(MakeRustlsConnect::new(config)), verification })
    }

    #[cfg(test)]
    pub(super) const fn verification(&self) -> Verification {
        self.verification
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("verification", &self.verification).finish_non_exhaustive()
    }
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(file) => {
            let cannot = |problem: &dyn fmt::Display| format!("sslrootcert {}: {problem}", file.display());
            let pem = std::fs::read(file).map_err(|error| cannot(&error))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|error| cannot(&error))?;
                roots.add(certificate).map_err(|error| cannot(&error))?;
            }
            if roots.is_empty() {
                return Err(cannot(&"expected certificates as PEM, found none"));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err("this system has no trusted root certificates; give a file of them as \
                            sslrootcert=FILE, or say sslmode=require to connect without verification"
                    .to_owned());
            }
        }
    }
    Ok(roots)
}
