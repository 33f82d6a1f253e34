//! Providers and a store in memory, and the contract suites that every adapter must pass.

pub mod contract;
mod hosts;
mod store;

pub use hosts::{MemoryHosts, Trouble};
pub use store::MemorySetupStore;
