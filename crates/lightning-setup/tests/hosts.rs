//! The providers in memory keep the promises of their ports, so that what is proven against them holds for the adapters.

#![expect(clippy::expect_used, clippy::panic, reason = "test code: a failed expectation is the point")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use guiche_kernel::Clock;
use guiche_kernel::testing::ManualClock;
use guiche_lightning_setup::testing::contract::{
    NodeHostFixture, NodeWalletFixture, ReceiveGatewayFixture, StoreHostFixture, alias,
};
use guiche_lightning_setup::testing::{MemoryHosts, MemoryReceive};
use guiche_lightning_setup::{
    Holdings, Macaroon, NodeEndpoint, NodeHost, NodeState, NodeWallet, ReceiveGateway, ResourceName, SetupId,
    StoreHost, WalletPassword,
};
use uuid::Uuid;

struct Memory {
    clock: Arc<ManualClock>,
    hosts: MemoryHosts,
    receive: MemoryReceive,
    made: AtomicU32,
}

async fn memory() -> Memory {
    let clock = Arc::new(ManualClock::default());
    let hosts = MemoryHosts::new(Arc::<ManualClock>::clone(&clock));
    Memory { clock, receive: MemoryReceive::new(hosts.clone()), hosts, made: AtomicU32::new(0) }
}

impl Memory {
    fn name(&self) -> ResourceName {
        ResourceName::of(SetupId::new(Uuid::from_u128(7)), self.made.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A node that waits for its wallet.
    async fn waiting(&self) -> NodeEndpoint {
        let id = self.hosts.create_node(&self.name(), &alias()).await.expect("ordered");
        self.hosts.settle();
        let state = self.hosts.node(&id).await.expect("asked");
        let NodeState::WaitingForWallet(endpoint) = state else { panic!("{state:?}") };
        endpoint
    }
}

/// The id of the node at an endpoint.
fn id(endpoint: &NodeEndpoint) -> &str {
    endpoint.0.strip_suffix(".test").expect("an endpoint of these")
}

#[async_trait]
impl NodeHostFixture for Memory {
    fn host(&self) -> Arc<dyn NodeHost> {
        Arc::new(self.hosts.clone())
    }

    async fn settle(&self) {
        self.hosts.settle();
    }

    async fn foreign_node(&self, name: &str) -> String {
        self.hosts.add_foreign(name).0
    }
}

#[async_trait]
impl NodeWalletFixture for Memory {
    fn wallet(&self) -> Arc<dyn NodeWallet> {
        Arc::new(self.hosts.clone())
    }

    async fn node(&self) -> NodeEndpoint {
        self.waiting().await
    }

    async fn settle(&self) {
        self.hosts.settle();
    }

    async fn restart(&self, endpoint: &NodeEndpoint) {
        self.hosts.restart(id(endpoint));
    }

    async fn fund(&self, endpoint: &NodeEndpoint, holdings: Holdings) {
        self.hosts.endow(id(endpoint), holdings);
    }
}

#[async_trait]
impl StoreHostFixture for Memory {
    fn stores(&self) -> Arc<dyn StoreHost> {
        Arc::new(self.hosts.clone())
    }

    async fn foreign_store(&self, name: &str) -> String {
        self.hosts.add_foreign(name).1
    }

    async fn node(&self) -> (NodeEndpoint, Macaroon) {
        let endpoint = self.waiting().await;
        let seed = self.hosts.generate_seed(&endpoint).await.expect("a seed");
        let password = WalletPassword::from_text("a password".into());
        let admin = self.hosts.init_wallet(&endpoint, &seed, &password).await.expect("a wallet");
        self.hosts.settle();
        let receive = self.hosts.bake_receive_macaroon(&endpoint, &admin).await.expect("baked");
        (endpoint, receive)
    }

    async fn take_down(&self, endpoint: &NodeEndpoint) {
        self.hosts.vanish(id(endpoint));
    }
}

#[async_trait]
impl ReceiveGatewayFixture for Memory {
    fn gateway(&self) -> Arc<dyn ReceiveGateway> {
        Arc::new(self.receive.clone())
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::<ManualClock>::clone(&self.clock)
    }

    async fn store(&self) -> String {
        self.hosts.create_store(&self.name()).await.expect("made")
    }

    async fn pay(&self, store: &str, id: &str) {
        let invoice = self.receive.invoice(store, id).await.expect("asked").expect("issued");
        self.receive.pay(&invoice.bolt11);
    }
}

mod host {
    use super::memory;
    guiche_lightning_setup::node_host_contract!(memory);
}

mod wallet {
    use super::memory;
    guiche_lightning_setup::node_wallet_contract!(memory);
}

mod stores {
    use super::memory;
    guiche_lightning_setup::store_host_contract!(memory);
}

mod gateway {
    use super::memory;
    guiche_lightning_setup::receive_gateway_contract!(memory);
}
