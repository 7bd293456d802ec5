//! Whether the certificate of a server is accepted: of an HTTP server, a proxy or a database.
//!
//! webpki decides, and a [`Verifier`] accepts one thing more:
//! - for HTTP, a certificate that was added as trusted, from a server that presents exactly these bytes. `openssl req -x509`
//!   makes certificates of an authority (`CA:TRUE`), people put them on servers, and webpki refuses an authority's certificate
//!   there. A user who adds the very certificate trusts the holder of its key, so only its name and its dates remain to be
//!   checked;
//! - for databases, any name, if `sslmode` asks for the authority alone.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// The verifier of webpki, and what is accepted that it refuses.
#[derive(Debug)]
pub(crate) struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    exception: Exception,
}

#[derive(Debug)]
enum Exception {
    /// These certificates, byte for byte, although they are those of authorities.
    #[cfg(feature = "http")]
    Exact(Vec<CertificateDer<'static>>),
    #[cfg(feature = "postgres")]
    AnyName,
}

impl Verifier {
    #[cfg(feature = "http")]
    pub(crate) const fn with_exact(
        webpki: Arc<WebPkiServerVerifier>,
        exact: Vec<CertificateDer<'static>>,
    ) -> Self {
        Self { webpki, exception: Exception::Exact(exact) }
    }

    #[cfg(feature = "postgres")]
    pub(crate) const fn of_any_name(webpki: Arc<WebPkiServerVerifier>) -> Self {
        Self { webpki, exception: Exception::AnyName }
    }
}

impl Exception {
    /// The verdict on a certificate that webpki has refused.
    #[cfg_attr(
        not(feature = "http"),
        expect(unused_variables, reason = "only an exact certificate is looked at again")
    )]
    fn judge(
        &self,
        presented: &CertificateDer<'_>,
        name: &ServerName<'_>,
        refusal: Error,
    ) -> Result<ServerCertVerified, Error> {
        match (self, &refusal) {
            // webpki looks at the dates first, so they are right if it comes to this refusal.
            #[cfg(feature = "http")]
            (Self::Exact(exact), Error::InvalidCertificate(CertificateError::Other(reason)))
                if is_authority_as_server(reason) && exact.iter().any(|trusted| trusted == presented) =>
            {
                let certificate = rustls::server::ParsedCertificate::try_from(presented)?;
                rustls::client::verify_server_name(&certificate, name)?;
                Ok(ServerCertVerified::assertion())
            }
            // The name is the last thing that webpki checks.
            #[cfg(feature = "postgres")]
            (
                Self::AnyName,
                Error::InvalidCertificate(
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                ),
            ) => Ok(ServerCertVerified::assertion()),
            _ => Err(refusal),
        }
    }
}

/// Whether the reason is that the certificate of an authority is used by a server.
#[cfg(feature = "http")]
pub(crate) fn is_authority_as_server(reason: &rustls::OtherError) -> bool {
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
        let verdict = self.webpki.verify_server_cert(presented, intermediates, name, ocsp, now);
        verdict.or_else(|refusal| self.exception.judge(presented, name, refusal))
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
pub(crate) struct Blind {
    pub(crate) accepts: bool,
    pub(crate) provider: Arc<CryptoProvider>,
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
