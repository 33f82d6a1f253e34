//! The memory store and the fake gateway keep the promises of their ports.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_kernel::{Caller, Clock, Ids, Sats, UserId};
use guiche_tickets::testing::contract::{CatalogueFixture, GatewayFixture, StoreFixture};
use guiche_tickets::testing::{FakeGateway, MemoryCatalogue, MemoryStore, license_operation};
use guiche_tickets::{
    CatalogueEditor, GatewayError, InvoiceGateway, InvoiceId, Network, NewInvoice, OperationCatalogue,
    TicketId, TicketStore,
};
use uuid::Uuid;

struct Memory {
    store: MemoryStore,
    ids: Ids,
}

async fn memory_store() -> Memory {
    let ids = Ids::new(Arc::new(ManualClock::default()), Arc::new(SeededRandomness::new(9)));
    Memory { store: MemoryStore::new(), ids }
}

#[async_trait]
impl StoreFixture for Memory {
    fn store(&self) -> Arc<dyn TicketStore> {
        Arc::new(self.store.clone())
    }
    async fn caller(&self) -> Caller {
        self.store.add_account(UserId::new(self.ids.uuid()))
    }
    async fn revoke(&self, caller: Caller) {
        self.store.revoke(caller.user_id);
    }
    async fn events(&self, ticket: TicketId) -> Vec<Uuid> {
        self.store.events().iter().filter(|event| event.ticket_id == ticket).map(|event| event.id).collect()
    }
}

mod store {
    guiche_tickets::ticket_store_contract!(super::memory_store);
}

async fn memory_catalogue() -> Catalogue {
    Catalogue(Arc::new(MemoryCatalogue::of(vec![license_operation()])))
}

struct Catalogue(Arc<MemoryCatalogue>);

impl CatalogueFixture for Catalogue {
    fn editor(&self) -> Arc<dyn CatalogueEditor> {
        self.0.clone()
    }
    fn catalogue(&self) -> Arc<dyn OperationCatalogue> {
        self.0.clone()
    }
}

mod catalogue {
    guiche_tickets::catalogue_editor_contract!(super::memory_catalogue);
}

struct Fake {
    gateway: Arc<FakeGateway>,
    clock: Arc<ManualClock>,
}

async fn fake_gateway() -> Fake {
    Fake { gateway: Arc::new(FakeGateway::on(Network::Regtest)), clock: Arc::new(ManualClock::default()) }
}

#[async_trait]
impl GatewayFixture for Fake {
    fn gateway(&self) -> Arc<dyn InvoiceGateway> {
        self.gateway.clone()
    }
    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }
    async fn pay(&self, id: &InvoiceId) {
        self.gateway.pay_id(id, Some(self.clock.now()));
    }
}

mod gateway {
    guiche_tickets::invoice_gateway_contract!(super::fake_gateway);
}

/// A test that asks twice under one key for two things must notice.
#[tokio::test]
async fn the_fake_gateway_refuses_another_request_under_a_known_key() {
    let (gateway, clock) = (FakeGateway::on(Network::Regtest), ManualClock::default());
    let request = NewInvoice {
        key: Uuid::from_u128(1),
        amount: Sats::try_new(50_000).expect("in range"),
        description: "once".to_owned(),
        requested_at: clock.now(),
        lifetime: Duration::from_secs(900),
    };
    let first = gateway.issue(request.clone()).await.expect("issued");
    let later = NewInvoice { requested_at: clock.now() + Duration::from_secs(1), ..request.clone() };
    let longer = NewInvoice { lifetime: Duration::from_secs(901), ..request.clone() };
    for other in [later, longer, NewInvoice { description: "twice".to_owned(), ..request.clone() }] {
        let refused = gateway.issue(other).await;
        assert!(matches!(refused, Err(GatewayError::Rejected(_))), "{refused:?}");
    }
    assert_eq!(gateway.issue(request).await.expect("the same again"), first);
}
