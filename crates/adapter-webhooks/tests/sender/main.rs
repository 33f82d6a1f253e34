//! The sender against real sockets: what it says, where it goes, and where it does not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "tests"
)]

mod places;
mod receiver;
mod talking;
