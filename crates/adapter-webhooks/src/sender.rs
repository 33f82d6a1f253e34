//! The sender.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guiche_webhooks::{
    Answer, EndpointUrl, EventSender, ID_HEADER, OutgoingRequest, SIGNATURE_HEADER, SendError,
    TIMESTAMP_HEADER, UrlRefused,
};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use url::Host;

use crate::AllowPrivate;
use crate::resolver::{JudgingResolver, Lookup, NoAddress, SystemLookup};

/// What may differ between installations.
pub struct SenderSettings {
    /// Which private addresses are called.
    pub allow_private: AllowPrivate,
    /// Whether plain `http` goes to this very machine, where its addresses are allowed: for development.
    pub plain_loopback: bool,
    /// For the connection, TLS included.
    pub connect_timeout: Duration,
    /// From the look-up of the name to the last header of the answer.
    pub timeout: Duration,
    /// Certificate authorities to be trusted besides the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Looks names up.
    pub lookup: Arc<dyn Lookup>,
}

impl Default for SenderSettings {
    /// Public addresses, encrypted; 5 s and 15 s.
    fn default() -> Self {
        Self {
            allow_private: AllowPrivate::Nothing,
            plain_loopback: false,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(15),
            extra_roots: Vec::new(),
            lookup: Arc::new(SystemLookup),
        }
    }
}

/// The HTTP client cannot be made; with fixed settings that is a defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client for webhooks cannot be made")]
pub struct SetupError;

/// Sends events over HTTP.
pub struct HttpSender {
    client: reqwest::Client,
    allow: Arc<AllowPrivate>,
    plain_loopback: bool,
}

impl HttpSender {
    /// Makes a sender. Reads the system's certificate authorities; without any it warns, and reaches nobody.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn try_new(settings: SenderSettings) -> Result<Self, SetupError> {
        let allow = Arc::new(settings.allow_private);
        let resolver = JudgingResolver { lookup: settings.lookup, allow: Arc::clone(&allow) };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(settings.extra_roots)?)
            .user_agent(concat!("guiche/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .dns_resolver(resolver)
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(|_| SetupError)?;
        Ok(Self { client, allow, plain_loopback: settings.plain_loopback })
    }
}

/// The provider of cryptography is named here, so it does not matter what the process installed.
fn tls(extra_roots: Vec<CertificateDer<'static>>) -> Result<ClientConfig, SetupError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots.add_parsable_certificates(extra_roots);
    if roots.is_empty() {
        tracing::warn!(
            "no certificate authorities were found, so no webhook can be delivered; install ca-certificates, or name a \
             file in SSL_CERT_FILE"
        );
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|_| SetupError)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[async_trait]
impl EventSender for HttpSender {
    fn admit(&self, url: &EndpointUrl) -> Result<(), UrlRefused> {
        let (literal, is_loopback) = match url.url().host() {
            Some(Host::Ipv4(address)) => (Some(IpAddr::V4(address)), address.is_loopback()),
            Some(Host::Ipv6(address)) => (Some(IpAddr::V6(address)), address.is_loopback()),
            Some(Host::Domain(name)) => (None, name == "localhost"),
            None => (None, false),
        };
        if url.url().scheme() != "https" && !(self.plain_loopback && is_loopback) {
            return Err(UrlRefused::NotHttps);
        }
        // The resolver is not asked about addresses.
        if literal.is_some_and(|address| !self.allow.admits(address)) {
            return Err(UrlRefused::Private);
        }
        Ok(())
    }

    async fn send(&self, request: OutgoingRequest) -> Result<Answer, SendError> {
        self.admit(&request.url).map_err(|_| SendError::AddressRefused)?;
        let sent = self
            .client
            .post(request.url.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ID_HEADER, request.headers.id)
            .header(TIMESTAMP_HEADER, request.headers.timestamp)
            .header(SIGNATURE_HEADER, request.headers.signature)
            .body(request.body)
            .send()
            .await;
        // The body stays unread; dropping the answer closes the connection if there is one.
        let answer = sent.map_err(|refusal| reason(&refusal))?;
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|header| header.to_str().ok());
        Ok(Answer { status: answer.status().as_u16(), retry_after: retry_after.map(str::to_owned) })
    }
}

fn reason(refusal: &reqwest::Error) -> SendError {
    let first: Option<&(dyn Error + 'static)> = refusal.source();
    let mut causes = std::iter::successors(first, |cause| (*cause).source());
    match causes.find_map(|cause| cause.downcast_ref::<NoAddress>()) {
        Some(NoAddress::Refused) => SendError::AddressRefused,
        Some(NoAddress::Unknown) => SendError::NameUnknown,
        None if refusal.is_timeout() => SendError::TimedOut,
        None if refusal.is_connect() => SendError::Unreachable,
        None => SendError::Broken,
    }
}
