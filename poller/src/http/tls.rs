//! Trusted certificates and the TLS configuration.
//!
//! Each configuration names its crypto provider (ring). A library must not install the process-wide default: that choice
//! belongs to the program.
//!
//! The roots are those of the system, read once per client, and those that the user adds. Containers often have none and
//! still poll http, so missing roots are no error here; [`Trust::has_roots`] lets the client refuse https with a helpful
//! message instead of a handshake that fails with "unknown issuer". Like most programs that are not browsers, this does not
//! check revocation.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// A TLS configuration with its trusted roots.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    pub(super) config: ClientConfig,
    pub(super) has_roots: bool,
}

/// Why a PEM text is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum PemProblem {
    #[error("expected certificates as PEM (-----BEGIN CERTIFICATE-----), found none")]
    Empty,
    #[error("certificate {number} of the PEM text is broken: {source}")]
    Broken { number: usize, source: rustls::pki_types::pem::Error },
    #[error("certificate {number} of the PEM text cannot be trusted as a root: {source}")]
    Unusable { number: usize, source: rustls::Error },
}

/// Adds every certificate of a PEM text to `roots`. Other sections, such as keys, are skipped.
pub(super) fn add_pem(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), PemProblem> {
    let mut number = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        number += 1;
        let certificate = certificate.map_err(|source| PemProblem::Broken { number, source })?;
        roots.add(certificate).map_err(|source| PemProblem::Unusable { number, source })?;
    }
    if number == 0 { Err(PemProblem::Empty) } else { Ok(()) }
}

/// The configuration that trusts `extra` and, if asked to, the system's roots.
pub(super) fn trust(extra: RootCertStore, system: bool) -> Result<Trust, rustls::Error> {
    let mut roots = extra;
    if system {
        // Unreadable certificates are skipped; without any root, https requests report it.
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
    }
    let has_roots = !roots.is_empty();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Trust { config, has_roots })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_texts_are_judged_whole() {
        let mut roots = RootCertStore::empty();
        let (first, second) = (test_support::Authority::new(), test_support::Authority::new());
        add_pem(&mut roots, format!("# two of them\n{}{}", first.pem(), second.pem()).as_bytes()).unwrap();
        assert_eq!(roots.len(), 2);

        for (pem, expected) in [
            ("", "expected certificates as PEM"),
            ("not a certificate", "expected certificates as PEM"),
            (
                "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n",
                "certificate 1 of the PEM text is broken",
            ),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be trusted as a root"),
        ] {
            let error = add_pem(&mut roots, pem.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{pem:?}: {error}");
        }
    }

    #[test]
    fn no_roots_is_no_error() {
        let trust = trust(RootCertStore::empty(), false).unwrap();
        assert!(!trust.has_roots);
        assert!(rustls::crypto::CryptoProvider::get_default().is_none());
    }
}
