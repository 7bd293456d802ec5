//! Whether a server's certificate is accepted.
//!
//! webpki decides, with one addition: a certificate that was added as trusted is accepted from a server that presents exactly
//! these bytes. `openssl req -x509` makes certificates of an authority (`CA:TRUE`), people put them on servers, and webpki
//! refuses an authority's certificate there. A user who adds the very certificate trusts the holder of its key, so only its name
//! and its dates remain to be checked.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// The verifier of webpki, and the certificates that are trusted byte for byte.
#[derive(Debug)]
pub(super) struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    exact: Vec<CertificateDer<'static>>,
}

impl Verifier {
    pub(super) const fn new(webpki: Arc<WebPkiServerVerifier>, exact: Vec<CertificateDer<'static>>) -> Self {
        Self { webpki, exact }
    }

    /// Whether webpki has refused an authority's certificate for being one, and this certificate was added.
    ///
    /// webpki looks at the dates first, so they are right if it comes to this refusal.
    fn is_exact(&self, presented: &CertificateDer<'_>, refusal: &Error) -> bool {
        let Error::InvalidCertificate(CertificateError::Other(reason)) = refusal else { return false };
        is_authority_as_server(reason) && self.exact.iter().any(|trusted| trusted == presented)
    }
}

/// Whether the reason is that the certificate of an authority is used by a server.
pub(super) fn is_authority_as_server(reason: &rustls::OtherError) -> bool {
    matches!(reason.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.webpki.verify_server_cert(presented, intermediates, name, ocsp, now) {
            Err(refusal) if self.is_exact(presented, &refusal) => {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(presented)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Accepts every certificate, or none. The server must still hold the key of the one it presents.
#[derive(Debug)]
pub(super) struct Blind {
    pub(super) accepts: bool,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Blind {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.accepts {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
