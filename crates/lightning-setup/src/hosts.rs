//! What the setup needs from those who run nodes and stores. Adapters implement these traits and pass the suites in
//! `testing::contract`.
//!
//! Every call MUST end within 20 seconds, with an answer or an error, and MUST tell rightly whether it may have had its
//! effect: [`FaultKind::Refused`](crate::FaultKind::Refused) and [`Unavailable`](crate::FaultKind::Unavailable) promise
//! that it had none. An adapter may repeat a call by itself only where that changes nothing.

use async_trait::async_trait;
use guiche_kernel::Timestamp;

use crate::{
    HostError, LightningAddress, Macaroon, NodeEndpoint, ResourceName, Seed, WalletPassword, WebhookSecret,
};

/// A node as its host sees it. A state that is not known MUST be [`NodeState::Preparing`]: hosts add such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeState {
    /// Something is under way.
    Preparing,
    /// It waits for its wallet, at this address.
    WaitingForWallet(NodeEndpoint),
    /// It waits for its wallet to be unlocked.
    Locked(NodeEndpoint),
    /// It runs.
    Running(NodeEndpoint),
    /// It was stopped.
    Stopped,
    /// There is no such node, or no longer.
    Gone,
}

/// Something that exists outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The provider's id.
    pub id: String,
    /// Its name there.
    pub name: String,
}

impl Listed {
    /// The name, if it is one that we give.
    #[must_use]
    pub fn our_name(&self) -> Option<ResourceName> {
        ResourceName::parse(&self.name)
    }
}

/// What would be lost with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holdings {
    /// On chain and in channels, settled or on the way, in satoshis.
    pub balance_sats: u64,
    /// Open and pending channels.
    pub channels: u32,
    /// How much it could receive now, in satoshis.
    pub inbound_capacity_sats: u64,
}

impl Holdings {
    /// Whether anything would be lost.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.balance_sats == 0 && self.channels == 0
    }
}

/// Who runs nodes.
#[async_trait]
pub trait NodeHost: Send + Sync {
    /// Orders a node under that name and returns its id. NOT idempotent: after an unknown outcome ask
    /// [`find_nodes`](Self::find_nodes). `alias` is what others see.
    async fn create_node(&self, name: &ResourceName, alias: &LightningAddress) -> Result<String, HostError>;

    /// The ids of all nodes of exactly that name which still exist.
    async fn find_nodes(&self, name: &ResourceName) -> Result<Vec<String>, HostError>;

    /// Every node of the account, also those that are none of ours.
    async fn list_nodes(&self) -> Result<Vec<Listed>, HostError>;

    /// How a node stands.
    async fn node(&self, id: &str) -> Result<NodeState, HostError>;

    /// Deletes a node. Idempotent: `Ok` also when it is gone already. Whatever it holds is lost but for its seed.
    async fn delete_node(&self, id: &str) -> Result<(), HostError>;
}

/// A node's own interface.
#[async_trait]
pub trait NodeWallet: Send + Sync {
    /// A fresh seed. Changes nothing.
    async fn generate_seed(&self, endpoint: &NodeEndpoint) -> Result<Seed, HostError>;

    /// Makes the wallet, and returns the macaroon that may do everything. It can be asked for only once: if the answer is
    /// lost, so is the macaroon.
    async fn init_wallet(
        &self,
        endpoint: &NodeEndpoint,
        seed: &Seed,
        password: &WalletPassword,
    ) -> Result<Macaroon, HostError>;

    /// Whether the node answers calls that need a macaroon. Changes nothing.
    async fn is_serving(&self, endpoint: &NodeEndpoint) -> Result<bool, HostError>;

    /// A macaroon that may receive and see what there is, and neither spend nor open channels: addresses,
    /// invoices, and reading of info, balances and channels. Repeating it is harmless.
    async fn bake_receive_macaroon(
        &self,
        endpoint: &NodeEndpoint,
        admin: &Macaroon,
    ) -> Result<Macaroon, HostError>;

    /// What the node holds. Changes nothing.
    async fn holdings(&self, endpoint: &NodeEndpoint, admin: &Macaroon) -> Result<Holdings, HostError>;

    /// Unlocks the wallet after a restart. Idempotent.
    async fn unlock(&self, endpoint: &NodeEndpoint, password: &WalletPassword) -> Result<(), HostError>;
}

/// Who runs stores.
#[async_trait]
pub trait StoreHost: Send + Sync {
    /// Makes a store and returns its id. NOT idempotent: after an unknown outcome ask [`find_stores`](Self::find_stores).
    async fn create_store(&self, name: &ResourceName) -> Result<String, HostError>;

    /// The ids of all stores of exactly that name which still exist for us.
    async fn find_stores(&self, name: &ResourceName) -> Result<Vec<String>, HostError>;

    /// Every store of the account, also those that are none of ours.
    async fn list_stores(&self) -> Result<Vec<Listed>, HostError>;

    /// Whether the store exists for us.
    async fn store_exists(&self, store: &str) -> Result<bool, HostError>;

    /// Lets the store receive through the node. Idempotent; proves nothing about the node.
    async fn connect_node(
        &self,
        store: &str,
        endpoint: &NodeEndpoint,
        receive: &Macaroon,
    ) -> Result<(), HostError>;

    /// Whether the store reaches its node. Changes nothing.
    async fn reaches_node(&self, store: &str) -> Result<bool, HostError>;

    /// Takes the node, and with it the macaroon, from the store. Idempotent: `Ok` also when the store is gone.
    async fn disconnect_node(&self, store: &str) -> Result<(), HostError>;

    /// Has the store tell that address of its invoices, signed with the secret; returns the webhook's id. NOT
    /// idempotent: after an unknown outcome ask [`find_webhooks`](Self::find_webhooks).
    async fn register_webhook(
        &self,
        store: &str,
        url: &str,
        secret: &WebhookSecret,
    ) -> Result<String, HostError>;

    /// The ids of the store's webhooks to exactly that address; none when the store is gone.
    async fn find_webhooks(&self, store: &str, url: &str) -> Result<Vec<String>, HostError>;

    /// Deletes a webhook. Idempotent: `Ok` also when it, or its store, is gone.
    async fn delete_webhook(&self, store: &str, webhook: &str) -> Result<(), HostError>;

    /// Deletes a store. Idempotent: `Ok` also when it is gone.
    async fn delete_store(&self, store: &str) -> Result<(), HostError>;
}

/// What a payer's wallet asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAddressInvoice {
    /// How much, in millisatoshis.
    pub amount_msat: u64,
    /// The exact bytes whose SHA-256 the invoice commits to (LUD-06).
    pub metadata: String,
    /// For how long, in seconds.
    pub expiry_secs: u32,
}

/// An invoice of a store's node, as its host tells of it. Nothing here is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostInvoice {
    /// The host's id.
    pub id: String,
    /// The invoice.
    pub bolt11: String,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// What proves the payment, in lower-case hex; absent until then.
    pub preimage: Option<String>,
}

/// Issues the invoices of an address.
#[async_trait]
pub trait ReceiveGateway: Send + Sync {
    /// Issues an invoice through the store's node. NOT idempotent: an unanswered one is nobody's, and runs out.
    async fn issue(&self, store: &str, new: &NewAddressInvoice) -> Result<HostInvoice, HostError>;

    /// How much the store's node could receive now, in satoshis; `None` when it does not say. At the most: what must stay on
    /// the other side of each channel is not taken off. Changes nothing.
    async fn receivable_sats(&self, store: &str) -> Result<Option<u64>, HostError>;

    /// An invoice by its id; `None` when the store has none such.
    async fn invoice(&self, store: &str, id: &str) -> Result<Option<HostInvoice>, HostError>;
}
