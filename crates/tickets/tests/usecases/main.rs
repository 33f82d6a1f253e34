//! The use cases on the memory store, with the fake gateway and a clock under control.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "tests"
)]

mod claims;
mod combinations;
mod forgetting;
mod invoicing;
mod money;
mod opening;
mod proof;
mod settlement;
mod watching;
mod world;
