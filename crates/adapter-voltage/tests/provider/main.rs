//! The client against the fake: real sockets, real HTTP, time and chance under control.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failed expectation is the point"
)]

mod contract;
mod fake_process;
mod faults;
mod nodes;
mod support;
mod trouble;
mod wallets;
