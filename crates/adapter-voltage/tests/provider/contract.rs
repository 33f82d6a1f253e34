//! The promises of the ports, kept against the fake.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use guiche_adapter_voltage::fake::{Change, Channel, Purse};
use guiche_lightning_setup::testing::contract::{NodeHostFixture, NodeWalletFixture};
use guiche_lightning_setup::{Holdings, NodeEndpoint, NodeHost, NodeWallet};

use crate::support::{SLOWNESS, World, world};

/// Of what is on the other side it must keep so much.
const RESERVE: u64 = 1000;

struct Nodes {
    world: World,
    made: AtomicU32,
}

async fn nodes() -> Nodes {
    Nodes { world: world().await, made: AtomicU32::new(0) }
}

#[async_trait]
impl NodeHostFixture for Nodes {
    fn host(&self) -> Arc<dyn NodeHost> {
        self.world.voltage.clone()
    }

    async fn settle(&self) {
        self.world.clock.advance(SLOWNESS);
    }

    async fn foreign_node(&self, name: &str) -> String {
        self.world.fake.play().order(name).unwrap()
    }
}

#[async_trait]
impl NodeWalletFixture for Nodes {
    fn wallet(&self) -> Arc<dyn NodeWallet> {
        self.world.voltage.clone()
    }

    async fn node(&self) -> NodeEndpoint {
        self.world.waiting(self.made.fetch_add(1, Ordering::Relaxed) + 1).await
    }

    async fn settle(&self) {
        self.world.clock.advance(SLOWNESS);
    }

    async fn restart(&self, endpoint: &NodeEndpoint) {
        let change = Change { locked: Some(true), ..Change::default() };
        self.world.fake.play().change(&endpoint.0, change).unwrap();
    }

    async fn fund(&self, endpoint: &NodeEndpoint, holdings: Holdings) {
        let Holdings { balance_sats, channels, inbound_capacity_sats } = holdings;
        let empty = (1..channels).map(|_| Channel::default());
        let receiving = Channel { local_sats: 1, remote_sats: inbound_capacity_sats + RESERVE };
        let channels = std::iter::once(receiving).chain(empty).collect();
        let purse = Some(Purse { on_chain_sats: balance_sats - 1, channels, ..Purse::default() });
        self.world.fake.play().change(&endpoint.0, Change { purse, ..Change::default() }).unwrap();
    }
}

mod host {
    use super::nodes;
    guiche_lightning_setup::node_host_contract!(nodes);
}

mod wallet {
    use super::nodes;
    guiche_lightning_setup::node_wallet_contract!(nodes);
}
