//! The words, and what each of them lets through: handshakes in memory, with certificates made for the purpose.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConnection, ServerConfig, ServerConnection};
use rustls_pki_types::PrivateKeyDer;

use super::*;

const HOST: &str = "db.example.org";

/// A certificate authority and a server of ours that it vouches for.
struct Office {
    authority: PathBuf,
    server: Arc<ServerConfig>,
}

impl Office {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate().unwrap();
        let leaf =
            CertificateParams::new(vec![HOST.to_owned()]).unwrap().signed_by(&server_key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let private = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], private)
            .unwrap();
        let authority = std::env::temp_dir().join(format!("guiche-ca-{name}-{}.pem", std::process::id()));
        std::fs::write(&authority, root.pem()).unwrap();
        Self { authority, server: Arc::new(server) }
    }

    /// Whether a client in this mode, trusting the authority in the file, gets through to this server as `host`.
    fn accepts(&self, mode: SslMode, roots: Option<&Path>, host: &str) -> bool {
        let config = Arc::new(client_config(mode, roots).unwrap());
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let mut client = ClientConnection::new(config, name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(&self.server)).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            if server.process_new_packets().is_err() {
                return false;
            }
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            if client.process_new_packets().is_err() {
                return false;
            }
        }
        true
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.authority);
    }
}

#[test]
fn each_word_verifies_what_it_says() {
    let (ours, other) = (Office::new("ours"), Office::new("other"));
    let (trusted, foreign) = (Some(ours.authority.as_path()), Some(other.authority.as_path()));
    for (mode, roots, host, accepted) in [
        (SslMode::VerifyFull, trusted, HOST, true),
        (SslMode::VerifyFull, trusted, "elsewhere.example.org", false),
        (SslMode::VerifyFull, foreign, HOST, false),
        (SslMode::VerifyFull, None, HOST, false),
        (SslMode::VerifyCa, trusted, HOST, true),
        (SslMode::VerifyCa, trusted, "elsewhere.example.org", true),
        (SslMode::VerifyCa, foreign, HOST, false),
        (SslMode::VerifyCa, None, HOST, false),
        (SslMode::Require, trusted, "elsewhere.example.org", true),
        (SslMode::Require, foreign, HOST, false),
        (SslMode::Require, None, "elsewhere.example.org", true),
        (SslMode::Prefer, foreign, "elsewhere.example.org", true),
    ] {
        // Without a file the system's roots count, and a bare machine has none: then it is refused before any handshake.
        if roots.is_none() && client_config(mode, roots).is_err() {
            assert!(!accepted, "{mode:?} fails closed");
            continue;
        }
        assert_eq!(ours.accepts(mode, roots, host), accepted, "{mode:?} {roots:?} {host}");
    }
}

#[test]
fn only_libpqs_words_are_known() {
    use tokio_postgres::config::SslMode as Insistence;
    for (word, mode, insistence) in [
        ("disable", SslMode::Disable, Insistence::Disable),
        ("allow", SslMode::Prefer, Insistence::Prefer),
        ("prefer", SslMode::Prefer, Insistence::Prefer),
        ("require", SslMode::Require, Insistence::Require),
        ("verify-ca", SslMode::VerifyCa, Insistence::Require),
        ("verify-full", SslMode::VerifyFull, Insistence::Require),
    ] {
        assert_eq!(SslMode::parse(word), Some(mode));
        assert_eq!(mode.insistence(), insistence);
    }
    for word in ["", "Require", "verify_full", "true", "verify-full "] {
        assert_eq!(SslMode::parse(word), None, "{word:?}");
    }
}

#[test]
fn verifying_without_roots_fails_closed() {
    let file = std::env::temp_dir().join(format!("guiche-empty-{}.pem", std::process::id()));
    std::fs::write(&file, "").unwrap();
    let missing = Path::new("/nowhere/ca.pem");
    for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
        for roots in [missing, &file] {
            let refused = client_config(mode, Some(roots));
            assert!(matches!(refused, Err(ConnectError::RootCertificates(_))), "{mode:?}");
        }
    }
    std::fs::remove_file(file).unwrap();
}
