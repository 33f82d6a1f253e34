//! Providers that are watched while they are used: how long each call took and what came of it, and for `/readyz` how the
//! provider is.

use std::sync::Arc;

use async_trait::async_trait;
use guiche_lightning_setup::{
    FaultKind, Holdings, HostError, HostInvoice, LightningAddress, Listed, Macaroon, NewAddressInvoice,
    NodeEndpoint, NodeHost, NodeState, NodeWallet, ReceiveGateway, ResourceName, Seed, StoreHost,
    WalletPassword, WebhookSecret,
};

use crate::observed::{Observations, Outcome};

/// A port whose calls are noted.
pub struct Watched<P: ?Sized> {
    port: Arc<P>,
    seen: Arc<Observations>,
}

impl<P: ?Sized> Watched<P> {
    /// Notes every call of the port.
    #[must_use]
    pub fn new(port: Arc<P>, seen: &Arc<Observations>) -> Arc<Self> {
        Arc::new(Self { port, seen: Arc::clone(seen) })
    }
}

/// A refusal is an answer too, and so is nonsense; only silence says that a provider is away.
impl Outcome for HostError {
    fn word(&self) -> &'static str {
        self.kind().as_str()
    }

    fn is_silence(&self) -> bool {
        matches!(self.kind(), FaultKind::Unavailable | FaultKind::Unanswered)
    }
}

/// Passes a call on, and notes it under its own name.
macro_rules! note {
    ($self:ident.$call:ident($($argument:expr),*)) => {
        $self.seen.note(stringify!($call), $self.port.$call($($argument),*)).await
    };
}

#[async_trait]
impl NodeHost for Watched<dyn NodeHost> {
    async fn create_node(&self, name: &ResourceName, alias: &LightningAddress) -> Result<String, HostError> {
        note!(self.create_node(name, alias))
    }
    async fn find_nodes(&self, name: &ResourceName) -> Result<Vec<String>, HostError> {
        note!(self.find_nodes(name))
    }
    async fn list_nodes(&self) -> Result<Vec<Listed>, HostError> {
        note!(self.list_nodes())
    }
    async fn node(&self, id: &str) -> Result<NodeState, HostError> {
        note!(self.node(id))
    }
    async fn delete_node(&self, id: &str) -> Result<(), HostError> {
        note!(self.delete_node(id))
    }
}

#[async_trait]
impl NodeWallet for Watched<dyn NodeWallet> {
    async fn generate_seed(&self, endpoint: &NodeEndpoint) -> Result<Seed, HostError> {
        note!(self.generate_seed(endpoint))
    }
    async fn init_wallet(
        &self,
        endpoint: &NodeEndpoint,
        seed: &Seed,
        password: &WalletPassword,
    ) -> Result<Macaroon, HostError> {
        note!(self.init_wallet(endpoint, seed, password))
    }
    async fn is_serving(&self, endpoint: &NodeEndpoint) -> Result<bool, HostError> {
        note!(self.is_serving(endpoint))
    }
    async fn bake_receive_macaroon(
        &self,
        endpoint: &NodeEndpoint,
        admin: &Macaroon,
    ) -> Result<Macaroon, HostError> {
        note!(self.bake_receive_macaroon(endpoint, admin))
    }
    async fn holdings(&self, endpoint: &NodeEndpoint, admin: &Macaroon) -> Result<Holdings, HostError> {
        note!(self.holdings(endpoint, admin))
    }
    async fn unlock(&self, endpoint: &NodeEndpoint, password: &WalletPassword) -> Result<(), HostError> {
        note!(self.unlock(endpoint, password))
    }
}

#[async_trait]
impl StoreHost for Watched<dyn StoreHost> {
    async fn create_store(&self, name: &ResourceName) -> Result<String, HostError> {
        note!(self.create_store(name))
    }
    async fn find_stores(&self, name: &ResourceName) -> Result<Vec<String>, HostError> {
        note!(self.find_stores(name))
    }
    async fn list_stores(&self) -> Result<Vec<Listed>, HostError> {
        note!(self.list_stores())
    }
    async fn store_exists(&self, store: &str) -> Result<bool, HostError> {
        note!(self.store_exists(store))
    }
    async fn connect_node(
        &self,
        store: &str,
        endpoint: &NodeEndpoint,
        receive: &Macaroon,
    ) -> Result<(), HostError> {
        note!(self.connect_node(store, endpoint, receive))
    }
    async fn reaches_node(&self, store: &str) -> Result<bool, HostError> {
        note!(self.reaches_node(store))
    }
    async fn disconnect_node(&self, store: &str) -> Result<(), HostError> {
        note!(self.disconnect_node(store))
    }
    async fn register_webhook(
        &self,
        store: &str,
        url: &str,
        secret: &WebhookSecret,
    ) -> Result<String, HostError> {
        note!(self.register_webhook(store, url, secret))
    }
    async fn find_webhooks(&self, store: &str, url: &str) -> Result<Vec<String>, HostError> {
        note!(self.find_webhooks(store, url))
    }
    async fn delete_webhook(&self, store: &str, webhook: &str) -> Result<(), HostError> {
        note!(self.delete_webhook(store, webhook))
    }
    async fn delete_store(&self, store: &str) -> Result<(), HostError> {
        note!(self.delete_store(store))
    }
}

#[async_trait]
impl ReceiveGateway for Watched<dyn ReceiveGateway> {
    async fn issue(&self, store: &str, new: &NewAddressInvoice) -> Result<HostInvoice, HostError> {
        note!(self.issue(store, new))
    }
    async fn receivable_sats(&self, store: &str) -> Result<Option<u64>, HostError> {
        note!(self.receivable_sats(store))
    }
    async fn invoice(&self, store: &str, id: &str) -> Result<Option<HostInvoice>, HostError> {
        note!(self.invoice(store, id))
    }
}
