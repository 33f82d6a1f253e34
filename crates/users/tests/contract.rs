//! The memory store and the fakes keep the promises of the ports, like every other implementation.

use std::sync::Arc;

use guiche_users::UserStore;
use guiche_users::testing::MemoryUserStore;

mod store {
    use super::*;

    async fn memory() -> (Arc<dyn UserStore>, ()) {
        (Arc::new(MemoryUserStore::new()), ())
    }

    guiche_users::user_store_contract!(memory);
}

mod hasher {
    use guiche_users::PasswordHasher;
    use guiche_users::testing::FakeHasher;

    use super::*;

    async fn fake() -> (Arc<dyn PasswordHasher>, ()) {
        (Arc::new(FakeHasher::default()), ())
    }

    guiche_users::password_hasher_contract!(fake);
}

mod signer {
    use guiche_kernel::testing::ManualClock;
    use guiche_users::TokenSigner;
    use guiche_users::testing::FakeSigner;

    use super::*;

    async fn fake(clock: Arc<ManualClock>) -> (Arc<dyn TokenSigner>, ()) {
        (Arc::new(FakeSigner::new(clock)), ())
    }

    guiche_users::token_signer_contract!(fake);
}
