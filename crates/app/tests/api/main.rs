//! The API from outside: the real server on a port of its own, a database of its own for each test, the clock in the
//! test's hand. Every answer that a test receives is held against the OpenAPI document (see `contract.rs`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod accounts;
mod client;
mod contract;
mod documents;
mod expiry;
mod hostile;
mod idempotency;
mod isolation;
mod lightning;
mod limits;
mod lists;
mod live;
mod operations;
mod outages;
mod payments;
mod pushes;
mod replicas;
mod secrets;
mod sessions;
mod support;
mod tickets;
mod tokens;
mod webhooks;
mod wire;
