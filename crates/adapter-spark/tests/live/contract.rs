//! Stub and live keep the same promises; here live, against the fake.

use std::sync::Arc;

use async_trait::async_trait;
use guiche_kernel::Clock;
use guiche_tickets::testing::contract::GatewayFixture;
use guiche_tickets::{InvoiceGateway, InvoiceId};

use crate::support::{World, world};

#[async_trait]
impl GatewayFixture for World {
    fn gateway(&self) -> Arc<dyn InvoiceGateway> {
        self.live.clone()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    async fn pay(&self, id: &InvoiceId) {
        self.fake.pay(id.as_str(), None).expect("paid");
    }
}

guiche_tickets::invoice_gateway_contract!(world);
