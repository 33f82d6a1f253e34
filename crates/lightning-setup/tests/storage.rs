//! What is in memory keeps the promises of its ports.

use std::sync::Arc;

use async_trait::async_trait;
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_kernel::{Caller, Ids, UserId};
use guiche_lightning_setup::testing::MemorySetupStore;
use guiche_lightning_setup::testing::contract::SetupFixture;
use guiche_lightning_setup::{AddressBook, AuditTrail, SetupStore};

struct Memory {
    store: MemorySetupStore,
    ids: Ids,
}

async fn memory() -> Memory {
    let ids = Ids::new(Arc::new(ManualClock::default()), Arc::new(SeededRandomness::new(9)));
    Memory { store: MemorySetupStore::new(), ids }
}

#[async_trait]
impl SetupFixture for Memory {
    fn store(&self) -> Arc<dyn SetupStore> {
        Arc::new(self.store.clone())
    }
    fn book(&self) -> Arc<dyn AddressBook> {
        Arc::new(self.store.clone())
    }
    fn trail(&self) -> Arc<dyn AuditTrail> {
        Arc::new(self.store.clone())
    }
    async fn caller(&self) -> Caller {
        self.store.add_account(UserId::new(self.ids.uuid()))
    }
    async fn revoke(&self, caller: Caller) {
        self.store.revoke(caller.user_id);
    }
}

mod storage {
    guiche_lightning_setup::setup_store_contract!(super::memory);
    guiche_lightning_setup::address_book_contract!(super::memory);
    guiche_lightning_setup::audit_trail_contract!(super::memory);
}
