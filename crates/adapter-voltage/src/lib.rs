#![doc = include_str!("../README.md")]

mod failed;
#[cfg(feature = "fake")]
pub mod fake;
mod host;
mod settings;
mod wallet;

use std::sync::Arc;

use guiche_outbound::{
    Address, AddressTemplate, CircuitState, Client, Credential, HeaderName, KeyList, KeyListError, Outside,
    Settings,
};

use secrecy::SecretString;

pub use settings::{Network, NodeOrder, NodeType, Purchase, VoltageSettings, VoltageSetupError};

/// The header that holds the account's key.
const KEY_HEADER: HeaderName = HeaderName::from_static("x-voltage-auth");

/// Nodes at Voltage, and their wallets. See the crate's front page for what it promises.
pub struct Voltage {
    /// For Voltage itself.
    client: Client,
    /// For nodes: an address is given with each call.
    nodes: Client,
    node_url: AddressTemplate,
    order: NodeOrder,
}

impl Voltage {
    /// The provider's name in errors, logs and metrics.
    pub const PROVIDER: &'static str = "voltage";

    /// Makes the client; nothing is called yet.
    ///
    /// # Errors
    /// [`VoltageSetupError`].
    pub fn try_new(settings: VoltageSettings, outside: Outside) -> Result<Arc<Self>, VoltageSetupError> {
        let VoltageSettings { url, node_url, loopback, keys, order, .. } = settings;
        let node_url = AddressTemplate::try_new(&node_url, loopback).map_err(VoltageSetupError::NodeUrl)?;
        let common = |provider, address, keys, error_code| Settings {
            provider,
            address,
            keys,
            limits: settings.limits.at_most(failed::LONGEST_CALL),
            retry: settings.retry,
            breaker: settings.breaker,
            error_code,
            extra_roots: settings.extra_roots.clone(),
            on_circuit: None,
        };
        let keys = KeyList::try_new("VOLTAGE_API_KEY", Credential::header(KEY_HEADER), keys)?;
        let nodes = node_url.example().map_err(VoltageSetupError::NodeUrl)?;
        let nodes = common("node", nodes, KeyList::none(), wallet::error_code);
        let host = common(Self::PROVIDER, Address::try_new(url, loopback)?, keys, host::error_code);
        let host = Settings { on_circuit: settings.on_circuit, ..host };
        let nodes = Client::try_new(nodes, outside.clone())?;
        Ok(Arc::new(Self { client: Client::try_new(host, outside)?, nodes, node_url, order }))
    }

    /// From now on these are the keys; calls that are under way end with those that they began with.
    ///
    /// # Errors
    /// [`KeyListError`]; then the keys are those that they were.
    pub fn replace_keys(&self, keys: Vec<SecretString>) -> Result<(), KeyListError> {
        self.client.replace_keys(keys)
    }

    /// Where the circuit to Voltage stands. Nodes have none: each is called for one setup only, which paces itself.
    #[must_use]
    pub fn circuit(&self) -> CircuitState {
        self.client.circuit().state()
    }
}

impl std::fmt::Debug for Voltage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { client, nodes: _, node_url, order } = self;
        f.debug_struct("Voltage")
            .field("client", client)
            .field("node_url", node_url)
            .field("order", order)
            .finish_non_exhaustive()
    }
}
