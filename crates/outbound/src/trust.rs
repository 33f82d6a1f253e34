//! Whom we believe to be the provider: the system's certificate authorities, or those of `SSL_CERT_FILE` and
//! `SSL_CERT_DIR`, and what the caller adds.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;

use crate::client::SetupError;

/// The TLS side of a client. The provider of cryptography is named here, so it does not matter what the process installed.
pub(crate) fn encrypted(extra_roots: &[CertificateDer<'static>]) -> Result<ClientConfig, SetupError> {
    let mut roots = RootCertStore::empty();
    // A file of authorities that cannot be read, or one that is none, leaves fewer to trust, never more.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots.add_parsable_certificates(extra_roots.iter().cloned());
    if roots.is_empty() {
        return Err(SetupError::NoAuthorities);
    }
    config(roots)
}

/// For an address without encryption: a client that trusts nobody, should it ever be led to one with.
pub(crate) fn nobody() -> Result<ClientConfig, SetupError> {
    config(RootCertStore::empty())
}

fn config(roots: RootCertStore) -> Result<ClientConfig, SetupError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|_| SetupError::Client)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
