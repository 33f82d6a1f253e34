//! Providers and a store in memory, and the contract suites that every adapter must pass.

pub mod contract;
mod hosts;

pub use hosts::{MemoryHosts, Trouble};
