//! The memory stores keep the promises of their ports.

use std::sync::Arc;

use async_trait::async_trait;
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_kernel::{Ids, Timestamp};
use guiche_webhooks::testing::contract::WebhookFixture;
use guiche_webhooks::testing::{MemoryWebhooks, ticket_event};
use guiche_webhooks::{DeliveryStore, EndpointStore, EventId, EventType};

struct Memory {
    store: MemoryWebhooks,
    ids: Ids,
}

async fn memory() -> Memory {
    let ids = Ids::new(Arc::new(ManualClock::default()), Arc::new(SeededRandomness::new(9)));
    Memory { store: MemoryWebhooks::default(), ids }
}

#[async_trait]
impl WebhookFixture for Memory {
    fn endpoints(&self) -> Arc<dyn EndpointStore> {
        Arc::new(self.store.clone())
    }
    fn deliveries(&self) -> Arc<dyn DeliveryStore> {
        Arc::new(self.store.clone())
    }
    async fn event(&self, of_type: EventType, happened_at: Timestamp) -> EventId {
        let id = EventId::new(self.ids.uuid());
        self.store.push(ticket_event(id, of_type, happened_at));
        id
    }
}

guiche_webhooks::webhook_store_contract!(memory);
