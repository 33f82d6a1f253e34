//! TLS to the database, by libpq's words. What cannot be verified is not connected to: an unknown word, an unreadable
//! certificate file or an empty trust store is an error, never a plain connection.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::ConnectError;

/// How far a connection is encrypted and its server verified; libpq's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Plain.
    Disable,
    /// TLS when the server has it, unverified. Also what `allow` means here. libpq's default.
    Prefer,
    /// TLS or nothing. Unverified, unless root certificates are given: then as [`SslMode::VerifyCa`].
    Require,
    /// TLS, and the server's certificate is signed by a trusted authority.
    VerifyCa,
    /// And it is of the host that was asked for.
    VerifyFull,
}

impl SslMode {
    /// The mode of a word, `None` for any other word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "disable" => Some(Self::Disable),
            "allow" | "prefer" => Some(Self::Prefer),
            "require" => Some(Self::Require),
            "verify-ca" => Some(Self::VerifyCa),
            "verify-full" => Some(Self::VerifyFull),
            _ => None,
        }
    }

    /// What tokio-postgres must insist on; it knows fewer words.
    pub(crate) const fn insistence(self) -> tokio_postgres::config::SslMode {
        match self {
            Self::Disable => tokio_postgres::config::SslMode::Disable,
            Self::Prefer => tokio_postgres::config::SslMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => tokio_postgres::config::SslMode::Require,
        }
    }
}

/// Makes the TLS side of connections.
pub(crate) fn connector(
    mode: SslMode,
    root_certificates: Option<&Path>,
) -> Result<MakeRustlsConnect, ConnectError> {
    client_config(mode, root_certificates).map(MakeRustlsConnect::new)
}

fn client_config(mode: SslMode, root_certificates: Option<&Path>) -> Result<ClientConfig, ConnectError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(ConnectError::Tls)?;
    let scope = match (mode, root_certificates) {
        (SslMode::VerifyFull, roots) => Scope::HostAndAuthority(trusted(roots)?),
        (SslMode::VerifyCa, roots) => Scope::Authority(trusted(roots)?),
        (SslMode::Require, Some(file)) => Scope::Authority(trusted(Some(file))?),
        (SslMode::Disable | SslMode::Prefer | SslMode::Require, _) => Scope::Nothing,
    };
    let verifier = Verifier::try_new(scope, provider)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

/// What is verified of a server's certificate, against which roots.
enum Scope {
    Nothing,
    Authority(RootCertStore),
    HostAndAuthority(RootCertStore),
}

fn trusted(file: Option<&Path>) -> Result<RootCertStore, ConnectError> {
    let refuse = |what: String| ConnectError::RootCertificates(what);
    let mut store = RootCertStore::empty();
    match file {
        Some(file) if file != "system" => {
            let read = |refusal| refuse(format!("{} cannot be read: {refusal}", file.display()));
            for certificate in CertificateDer::pem_file_iter(file).map_err(read)? {
                let certificate = certificate.map_err(read)?;
                store.add(certificate).map_err(|refusal| refuse(format!("{}: {refusal}", file.display())))?;
            }
        }
        Some(_) | None => {
            let (added, _) = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            tracing::debug!(added, "root certificates of the system");
        }
    }
    if store.is_empty() {
        Err(refuse("there are none, so no server could be verified".to_owned()))
    } else {
        Ok(store)
    }
}

/// Verifies as far as the mode asks; the handshake's signature is verified in any case.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// And whether the host must match.
    chain: Option<(Arc<WebPkiServerVerifier>, bool)>,
}

impl Verifier {
    fn try_new(scope: Scope, provider: Arc<CryptoProvider>) -> Result<Self, ConnectError> {
        let webpki = |roots: RootCertStore| {
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|refusal| ConnectError::RootCertificates(refusal.to_string()))
        };
        let chain = match scope {
            Scope::Nothing => None,
            Scope::Authority(roots) => Some((webpki(roots)?, false)),
            Scope::HostAndAuthority(roots) => Some((webpki(roots)?, true)),
        };
        Ok(Self { provider, chain })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some((chain, host_matters)) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        // The chain is verified before the name, so a mismatch of the name means that the chain is good.
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !host_matters => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
