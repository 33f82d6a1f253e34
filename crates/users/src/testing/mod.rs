//! What tests of this crate, of its adapters and of the app share (feature `testing`).
//!
//! - [`MemoryUserStore`]: a store that keeps every promise of [`UserStore`](crate::UserStore), in memory.
//! - [`FakeHasher`], [`FakeSigner`]: stand-ins that are fast and safe for nothing.
//! - [`MockPasswordHasher`](crate::MockPasswordHasher), [`MockTokenSigner`](crate::MockTokenSigner): for tests that count calls.
//! - [`contract`]: the suites that every implementation of the ports passes, the ones above included.

pub mod contract;
mod fakes;
mod memory;

pub use fakes::{FakeHasher, FakeSigner};
pub use memory::MemoryUserStore;
