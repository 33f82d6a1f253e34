//! Where the server is, and how it is to be treated.

use std::time::Duration;

use guiche_outbound::{
    AddressError, BreakerSettings, CertificateDer, CircuitListener, KeyListError, Limits, Loopback,
    RetryPolicy, SetupError, TemplateError,
};
use secrecy::SecretString;
use url::Url;

/// Where the server is, and how it is to be treated.
pub struct BtcPaySettings {
    /// Its address, up to and without `/api`.
    pub url: Url,
    /// Where the server finds a node's own interface; `{host}` stands for the node's endpoint.
    pub node_url: String,
    /// Whether both may be called without TLS on this machine; never in production.
    pub loopback: Loopback,
    /// The keys: each may `btcpay.store.canmodifystoresettings`, not limited to a store. The first is used, and the next
    /// when it is refused.
    pub keys: Vec<SecretString>,
    /// Bounds of time and size; a call never takes more than 18 seconds in all.
    pub limits: Limits,
    /// How calls that change nothing, or nothing twice, are repeated.
    pub retry: RetryPolicy,
    /// When the server is left alone.
    pub breaker: BreakerSettings,
    /// Certificate authorities that are trusted besides the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Who is told what becomes of the circuit.
    pub on_circuit: Option<CircuitListener>,
}

impl BtcPaySettings {
    /// Where nodes at Voltage are.
    pub const NODE_URL: &str = "https://{host}:8080";

    /// The usual bounds. One attempt may take long: the server itself waits five seconds for a node.
    #[must_use]
    pub fn new(url: Url, loopback: Loopback, keys: Vec<SecretString>) -> Self {
        let [attempt, total] = [15, 18].map(Duration::from_secs);
        Self {
            url,
            node_url: Self::NODE_URL.to_owned(),
            loopback,
            keys,
            limits: Limits { attempt, total, ..Limits::default() },
            retry: RetryPolicy::default(),
            breaker: BreakerSettings::default(),
            extra_roots: Vec::new(),
            on_circuit: None,
        }
    }
}

/// Why there is no client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BtcPaySetupError {
    /// The address of the server.
    #[error("BTCPAY_URL: {0}")]
    Address(#[from] AddressError),
    /// The addresses of nodes.
    #[error("VOLTAGE_LND_URL: {0}")]
    NodeUrl(#[source] TemplateError),
    /// The keys.
    #[error("BTCPAY_API_KEY: {0}")]
    Keys(#[from] KeyListError),
    /// The rest.
    #[error(transparent)]
    Client(#[from] SetupError),
}
