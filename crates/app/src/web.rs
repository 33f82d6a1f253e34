//! Clients of HTTP: the one place that makes them.

use reqwest::ClientBuilder;
use url::Url;

/// The beginning of a client, on the same cryptography as the rest of the program.
///
/// `reqwest` is built without a provider of its own and would end the process for want of one.
pub fn client() -> ClientBuilder {
    // Whoever was first has installed the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

/// A client for one server. For one that is spoken to in the clear it needs no certificate authorities, which a bare
/// image does not have, and no proxy, which would not reach this machine.
pub fn client_for(url: &Url) -> ClientBuilder {
    match url.scheme() {
        "http" => client().tls_certs_only(std::iter::empty()).no_proxy(),
        _ => client(),
    }
}
