#![doc = include_str!("../README.md")]

mod failed;
#[cfg(feature = "fake")]
pub mod fake;
mod gateway;
mod settings;
mod stores;
pub mod webhook;

use std::sync::Arc;

use guiche_kernel::Clock;
use guiche_lightning_setup::{FaultKind, HostError, Provider};
use guiche_outbound::{
    Address, AddressTemplate, Answer, Call, CircuitState, Client, Credential, Fault, KeyList, KeyListError,
    Outside, ProviderError, Settings,
};
use secrecy::SecretString;
use serde::Deserialize;

pub use settings::{BtcPaySettings, BtcPaySetupError};

use failed::failed;

/// The code of "you may not", and of "there is no such store", which the server does not tell apart.
const MISSING_PERMISSION: &str = "missing-permission";
/// What the key must be allowed for every store; it includes all that is needed here.
const MODIFY_STORES: [&str; 2] = ["btcpay.store.canmodifystoresettings", "unrestricted"];

/// Stores at a BTCPay Server, and their invoices. See the crate's front page for what it promises.
pub struct BtcPay {
    client: Client,
    node_url: AddressTemplate,
    clock: Arc<dyn Clock>,
}

impl BtcPay {
    /// The provider's name in errors, logs and metrics.
    pub const PROVIDER: &'static str = "btcpay";

    /// Makes the client; nothing is called yet.
    ///
    /// # Errors
    /// [`BtcPaySetupError`].
    pub fn try_new(settings: BtcPaySettings, outside: Outside) -> Result<Arc<Self>, BtcPaySetupError> {
        let node_url = AddressTemplate::try_new(&settings.node_url, settings.loopback)
            .map_err(BtcPaySetupError::NodeUrl)?;
        let keys = KeyList::try_new("BTCPAY_API_KEY", Credential::authorization("token "), settings.keys)?;
        let settings = Settings {
            provider: Self::PROVIDER,
            address: Address::try_new(settings.url, settings.loopback)?,
            keys,
            limits: settings.limits.at_most(failed::LONGEST_CALL),
            retry: settings.retry,
            breaker: settings.breaker,
            error_code: |document| document.get("code")?.as_str(),
            extra_roots: settings.extra_roots,
            on_circuit: settings.on_circuit,
        };
        let clock = Arc::clone(&outside.clock);
        Ok(Arc::new(Self { client: Client::try_new(settings, outside)?, node_url, clock }))
    }

    /// From now on these are the keys; calls that are under way end with those that they began with.
    ///
    /// # Errors
    /// [`KeyListError`]; then the keys are those that they were.
    pub fn replace_keys(&self, keys: Vec<SecretString>) -> Result<(), KeyListError> {
        self.client.replace_keys(keys)
    }

    /// Where the circuit to the server stands.
    #[must_use]
    pub fn circuit(&self) -> CircuitState {
        self.client.circuit().state()
    }

    async fn send(&self, call: &Call<'_>) -> Result<Answer, ProviderError> {
        self.client.send(call).await
    }

    async fn call(&self, call: Call<'_>) -> Result<Answer, HostError> {
        self.send(&call).await.map_err(|error| store_failed(&error))
    }

    /// What "you may not" means for a store: with a key that may change every store of its account, that there is none
    /// such. Otherwise it is our key that is wrong, and nothing is known of the store.
    async fn gone(&self, operation: &'static str, error: &ProviderError) -> Result<(), HostError> {
        #[derive(Deserialize)]
        struct Key {
            permissions: Vec<String>,
        }
        if !has_code(error, 403, MISSING_PERMISSION) {
            return Err(store_failed(error));
        }
        let answer = self.call(Call::get(operation, &["api", "v1", "api-keys", "current"])).await?;
        let Key { permissions } = answer.json().map_err(|error| store_failed(&error))?;
        // One that is limited to a store has the store's id behind a colon.
        let may_all = permissions.iter().any(|permission| MODIFY_STORES.contains(&permission.as_str()));
        if may_all { Ok(()) } else { Err(store_failed(error)) }
    }
}

fn store_failed(error: &ProviderError) -> HostError {
    failed(Provider::StoreHost, error)
}

fn garbled(answer: &Answer) -> HostError {
    store_failed(&answer.unreadable())
}

fn unfit(operation: &'static str) -> HostError {
    HostError::new(Provider::Ours, operation, FaultKind::Internal)
}

fn has_code(error: &ProviderError, status: u16, word: &str) -> bool {
    matches!(error.fault(), Fault::Refused { status: found, code: Some(code) } if *found == status && code.as_str() == word)
}

/// An id that can be kept and asked for again.
fn is_id(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=128).contains(&text.len()) && text.bytes().all(fine)
}

impl std::fmt::Debug for BtcPay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { client, node_url, clock: _ } = self;
        f.debug_struct("BtcPay").field("client", client).field("node_url", node_url).finish_non_exhaustive()
    }
}
