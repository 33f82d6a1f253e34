//! The stub keeps the promises of the port, like every other gateway. The view that counts looks is no full gateway
//! (its third look pays); that it answers like one otherwise is shown in `stub/looks.rs`.

#![allow(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;

use async_trait::async_trait;
use guiche_adapter_spark::{PayMoment, SparkStub, StubSettings};
use guiche_kernel::Clock;
use guiche_kernel::testing::ManualClock;
use guiche_tickets::testing::contract::GatewayFixture;
use guiche_tickets::{InvoiceGateway, InvoiceId};
use secrecy::SecretBox;
use tempfile::TempDir;

struct Stub {
    stub: Arc<SparkStub>,
    clock: Arc<ManualClock>,
    _place: TempDir,
}

#[async_trait]
impl GatewayFixture for Stub {
    fn gateway(&self) -> Arc<dyn InvoiceGateway> {
        self.stub.provider_view()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    async fn pay(&self, id: &InvoiceId) {
        self.stub.force_pay(id, PayMoment::Now).await.expect("paid");
    }
}

async fn stub() -> Stub {
    let place = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ManualClock::default());
    let settings =
        StubSettings { secret: SecretBox::new(Box::new([7; 32])), ledger: place.path().join("payments") };
    let stub = SparkStub::open(settings, clock.clone()).expect("opened");
    Stub { stub, clock, _place: place }
}

guiche_tickets::invoice_gateway_contract!(stub);
