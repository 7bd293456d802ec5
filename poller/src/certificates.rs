//! Whether the certificate of a server is accepted: of an HTTP server, a proxy or a database.
//!
//! webpki decides, unless every certificate is to be accepted ([`Verifier::blind`]), and a [`Verifier`] accepts one thing more:
//! - for HTTP, a certificate that was added as trusted, from a server that presents exactly these bytes. `openssl req -x509`
//!   makes certificates of an authority (`CA:TRUE`), people put them on servers, and webpki refuses an authority's certificate
//!   there. A user who adds the very certificate trusts the holder of its key, so only its name and its dates remain to be
//!   checked;
//! - for databases, any name, if `sslmode` asks for the authority alone.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// What certificates are accepted. Whatever it is, the server must hold the key of the one it presents.
#[derive(Debug)]
pub(crate) struct Verifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Trust {
    /// What webpki accepts, and these certificates, byte for byte, although they are those of authorities.
    #[cfg(feature = "http")]
    Exact(Arc<WebPkiServerVerifier>, Vec<CertificateDer<'static>>),
    /// What webpki accepts, and any name.
    #[cfg(feature = "postgres")]
    AnyName(Arc<WebPkiServerVerifier>),
    /// Every certificate, or none.
    Blind { accepts: bool },
}

impl Verifier {
    fn new(trust: Trust, provider: &CryptoProvider) -> Self {
        Self { trust, algorithms: provider.signature_verification_algorithms }
    }

    #[cfg(feature = "http")]
    pub(crate) fn with_exact(
        webpki: Arc<WebPkiServerVerifier>,
        exact: Vec<CertificateDer<'static>>,
        provider: &CryptoProvider,
    ) -> Self {
        Self::new(Trust::Exact(webpki, exact), provider)
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn of_any_name(webpki: Arc<WebPkiServerVerifier>, provider: &CryptoProvider) -> Self {
        Self::new(Trust::AnyName(webpki), provider)
    }

    /// Accepts every certificate, or none.
    pub(crate) fn blind(accepts: bool, provider: &CryptoProvider) -> Self {
        Self::new(Trust::Blind { accepts }, provider)
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
        match &self.trust {
            #[cfg(feature = "http")]
            Trust::Exact(webpki, exact) => {
                match webpki.verify_server_cert(presented, intermediates, name, ocsp, now) {
                    // webpki looks at the dates first, so they are right if it comes to this refusal.
                    Err(Error::InvalidCertificate(CertificateError::Other(reason)))
                        if is_authority_as_server(&reason)
                            && exact.iter().any(|trusted| trusted == presented) =>
                    {
                        let certificate = rustls::server::ParsedCertificate::try_from(presented)?;
                        rustls::client::verify_server_name(&certificate, name)?;
                        Ok(ServerCertVerified::assertion())
                    }
                    verdict => verdict,
                }
            }
            #[cfg(feature = "postgres")]
            Trust::AnyName(webpki) => {
                match webpki.verify_server_cert(presented, intermediates, name, ocsp, now) {
                    // The name is the last thing that webpki checks.
                    Err(Error::InvalidCertificate(
                        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                    )) => Ok(ServerCertVerified::assertion()),
                    verdict => verdict,
                }
            }
            Trust::Blind { accepts: true } => Ok(ServerCertVerified::assertion()),
            Trust::Blind { accepts: false } => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
