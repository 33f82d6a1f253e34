//! A hasher and a signer for tests.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use guiche_adapter_crypto::{
    BcryptCost, BcryptHasher, BcryptSettings, JwtKey, JwtSettings, JwtSigner, TokenAlgorithm,
};
use guiche_kernel::testing::{ManualClock, SeededRandomness};

pub(crate) fn hasher() -> BcryptHasher {
    let settings = BcryptSettings { cost: BcryptCost::MIN, ..BcryptSettings::default() };
    BcryptHasher::new(settings, Arc::new(SeededRandomness::new(7)))
}

pub(crate) const SECRET: &str = "a secret of the tests that has at least sixty-four bytes, for HS512";
pub(crate) const OLD_SECRET: &str = "the secret before it, which has also at least sixty-four bytes, yes";

pub(crate) fn settings(algorithm: TokenAlgorithm) -> JwtSettings {
    JwtSettings { issuer: "https://guiche.test".into(), audience: "guiche-api".into(), algorithm }
}

pub(crate) fn key(id: &str, secret: &str) -> JwtKey {
    JwtKey { id: id.into(), secret: secret.into() }
}

pub(crate) fn signer(clock: Arc<ManualClock>) -> JwtSigner {
    let keys = [key("2026-01", SECRET), key("2025-07", OLD_SECRET)];
    JwtSigner::try_new(settings(TokenAlgorithm::Hs256), &keys, clock).expect("valid keys")
}
