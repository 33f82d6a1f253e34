//! Providers and a store in memory, and the contract suites that every adapter must pass.

pub mod contract;
mod hosts;
mod receive;
mod store;

pub use hosts::{MemoryHosts, Trouble};
pub use receive::{MemoryReceive, Mistake};
pub use store::MemorySetupStore;
