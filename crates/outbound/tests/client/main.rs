//! The client against a server that does what the test says, byte by byte.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

mod answers;
mod circuit;
mod elsewhere;
mod keys;
mod repeating;
mod server;
mod support;
