//! bcrypt and the JWT signer keep the promises of the ports.

use std::sync::Arc;

mod common;

mod hasher {
    use guiche_users::PasswordHasher;

    use super::*;

    async fn bcrypt() -> (Arc<dyn PasswordHasher>, ()) {
        (Arc::new(common::hasher()), ())
    }

    guiche_users::password_hasher_contract!(bcrypt);
}

mod signer {
    use guiche_kernel::testing::ManualClock;
    use guiche_users::TokenSigner;

    use super::*;

    async fn jwt(clock: Arc<ManualClock>) -> (Arc<dyn TokenSigner>, ()) {
        (Arc::new(common::signer(clock)), ())
    }

    guiche_users::token_signer_contract!(jwt);
}
