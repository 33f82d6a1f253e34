//! The promises of the ports, kept against the fake.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use guiche_kernel::Clock;
use guiche_lightning_setup::testing::contract::{ReceiveGatewayFixture, StoreHostFixture};
use guiche_lightning_setup::{Macaroon, NodeEndpoint, ReceiveGateway, StoreHost};

use crate::support::{World, node, world};

struct Stores {
    world: World,
    made: AtomicU32,
}

async fn stores() -> Stores {
    Stores { world: world().await, made: AtomicU32::new(0) }
}

#[async_trait]
impl StoreHostFixture for Stores {
    fn stores(&self) -> Arc<dyn StoreHost> {
        self.world.btcpay.clone()
    }

    async fn foreign_store(&self, name: &str) -> String {
        self.world.fake.play().create(name).unwrap()
    }

    async fn node(&self) -> (NodeEndpoint, Macaroon) {
        node(1)
    }

    async fn take_down(&self, endpoint: &NodeEndpoint) {
        let play = self.world.fake.play();
        for store in play.stores() {
            if store.connection.is_some_and(|connection| connection.server.contains(&endpoint.0)) {
                play.let_reach(&store.id, Some(false)).unwrap();
            }
        }
    }
}

#[async_trait]
impl ReceiveGatewayFixture for Stores {
    fn gateway(&self) -> Arc<dyn ReceiveGateway> {
        self.world.btcpay.clone()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.world.clock.clone()
    }

    async fn store(&self) -> String {
        self.world.connected(self.made.fetch_add(1, Ordering::Relaxed) + 1).await
    }

    async fn pay(&self, _store: &str, id: &str) {
        self.world.fake.play().pay(id, None).unwrap();
    }
}

mod store_host {
    use super::stores;
    guiche_lightning_setup::store_host_contract!(stores);
}

mod gateway {
    use super::stores;
    guiche_lightning_setup::receive_gateway_contract!(stores);
}
