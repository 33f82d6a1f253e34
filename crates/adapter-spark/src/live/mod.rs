//! The client of our Spark gateway (`deploy/spark-gateway`), which holds the wallet; this side never sees its seed.
//!
//! Nothing of an answer is believed: here it is bounded and parsed, and the BOLT11 guard of the money path checks the
//! invoice before anything is stored. How calls are bounded, repeated and given up is `guiche-outbound`'s part.

mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use guiche_kernel::Clock;
use guiche_outbound::{
    Address, AddressError, Answer, BreakerSettings, Call, CertificateDer, CircuitListener, CircuitState,
    Client, Credential, Fault, KeyList, KeyListError, Limits, Loopback, Outside, ProviderError, RetryPolicy,
    Settings, SetupError, StatusCode,
};
use guiche_tickets::{GatewayError, InvoiceGateway, InvoiceId, IssuedInvoice, NewInvoice, ProviderStatus};
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

/// The code of an invoice that the gateway has never seen. A 404 without it is from somebody else, or another address.
const INVOICE_NOT_FOUND: &str = "invoice_not_found";
/// The code of a second document under one key.
const KEY_REUSED: &str = "idempotency_key_reused";
/// The code for an answer of Spark that the gateway could not believe.
const SPARK_BAD_ANSWER: &str = "spark_bad_answer";

/// Where the gateway is, and how it is to be treated.
pub struct LiveSettings {
    /// Its address, up to and without `/v1`.
    pub url: Url,
    /// Whether it may be called without TLS on this machine; never in production.
    pub loopback: Loopback,
    /// The keys for it. The first is used, and the next when it is refused.
    pub keys: Vec<SecretString>,
    /// Bounds of time and size.
    pub limits: Limits,
    /// How calls are repeated.
    pub retry: RetryPolicy,
    /// When the gateway is left alone.
    pub breaker: BreakerSettings,
    /// Certificate authorities that are trusted besides the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Who is told what becomes of the circuit.
    pub on_circuit: Option<CircuitListener>,
}

impl LiveSettings {
    /// The usual bounds.
    #[must_use]
    pub fn new(url: Url, loopback: Loopback, keys: Vec<SecretString>) -> Self {
        Self {
            url,
            loopback,
            keys,
            limits: Limits::default(),
            retry: RetryPolicy::default(),
            breaker: BreakerSettings::default(),
            extra_roots: Vec::new(),
            on_circuit: None,
        }
    }
}

/// Why there is no client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LiveSetupError {
    /// The address.
    #[error("SPARK_API_URL: {0}")]
    Address(#[from] AddressError),
    /// The keys.
    #[error("SPARK_API_KEY: {0}")]
    Keys(#[from] KeyListError),
    /// The rest.
    #[error(transparent)]
    Client(#[from] SetupError),
}

/// Invoices of a real Spark wallet, through our gateway. See the crate's front page for what it promises.
pub struct SparkLive {
    client: Client,
    clock: Arc<dyn Clock>,
}

impl SparkLive {
    /// The provider's name in errors, logs and metrics.
    pub const PROVIDER: &'static str = "spark";

    /// Makes the client; nothing is called yet.
    ///
    /// # Errors
    /// [`LiveSetupError`].
    pub fn try_new(settings: LiveSettings, outside: Outside) -> Result<Arc<Self>, LiveSetupError> {
        let LiveSettings { url, loopback, keys, limits, retry, breaker, extra_roots, on_circuit } = settings;
        let settings = Settings {
            provider: Self::PROVIDER,
            address: Address::try_new(url, loopback)?,
            keys: KeyList::try_new("SPARK_API_KEY", Credential::bearer(), keys)?,
            limits,
            retry,
            breaker,
            error_code: |document| document.pointer("/error/code")?.as_str(),
            extra_roots,
            on_circuit,
        };
        let clock = Arc::clone(&outside.clock);
        Ok(Arc::new(Self { client: Client::try_new(settings, outside)?, clock }))
    }

    /// From now on these are the keys; calls that are under way end with those that they began with.
    ///
    /// # Errors
    /// [`KeyListError`]; then the keys are those that they were.
    pub fn replace_keys(&self, keys: Vec<SecretString>) -> Result<(), KeyListError> {
        self.client.replace_keys(keys)
    }

    /// Where the circuit to the gateway stands.
    #[must_use]
    pub fn circuit(&self) -> CircuitState {
        self.client.circuit().state()
    }
}

impl SparkLive {
    async fn post(&self, request: &NewInvoice, body: Value) -> Result<Answer, ProviderError> {
        let call = Call::post("issue", &["v1", "invoices"])
            .idempotency_key(&request.key)
            .json(body)
            .refused_by(StatusCode::BAD_GATEWAY);
        self.client.send(&call).await
    }
}

#[async_trait]
impl InvoiceGateway for SparkLive {
    async fn issue(&self, request: NewInvoice) -> Result<IssuedInvoice, GatewayError> {
        let rejected = |refusal: wire::Unfit| GatewayError::Rejected(refusal.into());
        let body = wire::request(&request, self.clock.now()).map_err(rejected)?;
        let as_at_first = wire::request(&request, request.requested_at).map_err(rejected)?;
        let is_late = body != as_at_first;
        let answer = match self.post(&request, body).await {
            // An earlier attempt came through after all, and under one key the gateway knows one document only.
            Err(error) if is_late && has_code(&error, 422, KEY_REUSED) => {
                self.post(&request, as_at_first).await
            }
            first => first,
        };
        answer.and_then(|answer| wire::issued(&answer)).map_err(failed)
    }

    async fn status(&self, id: &InvoiceId) -> Result<Option<ProviderStatus>, GatewayError> {
        let call = Call::get("status", &["v1", "invoices", id.as_str()]).refused_by(StatusCode::BAD_GATEWAY);
        match self.client.send(&call).await {
            Ok(answer) => wire::status(&answer, self.clock.now()).map(Some).map_err(failed),
            Err(error) if is_unknown(&error) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

/// An invoice that was never issued: the gateway says so, or no path can hold its id, which was refused at the issuing.
fn is_unknown(error: &ProviderError) -> bool {
    *error.fault() == Fault::Unsendable || has_code(error, 404, INVOICE_NOT_FOUND)
}

fn has_code(error: &ProviderError, status: u16, word: &str) -> bool {
    matches!(error.fault(), Fault::Refused { status: found, code: Some(code) } if *found == status && code.as_str() == word)
}

/// What a failed call means to the money path. A refusal is one only with the gateway's own code: without, it may be of
/// whoever stands between, and then it is nonsense, or (500 and above) says nothing about what was done.
fn failed(error: ProviderError) -> GatewayError {
    match error.fault() {
        Fault::CircuitOpen { .. }
        | Fault::Unreachable
        | Fault::Untrusted
        | Fault::NoAnswer
        | Fault::Failing { .. }
        | Fault::KeysRefused => GatewayError::Unavailable(error.into()),
        Fault::Refused { status: 400 | 409 | 413 | 415 | 422 | 502, code: Some(code) }
            if code.as_str() != SPARK_BAD_ANSWER =>
        {
            GatewayError::Rejected(error.into())
        }
        Fault::Refused { .. } | Fault::Unreadable { .. } | Fault::Unsendable => {
            GatewayError::Nonsense(error.into())
        }
    }
}

impl std::fmt::Debug for SparkLive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SparkLive").field("client", &self.client).finish_non_exhaustive()
    }
}
