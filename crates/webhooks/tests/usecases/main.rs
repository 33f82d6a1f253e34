//! The use cases on the memory stores, with a scripted sender and a clock under control.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "tests"
)]

mod answers;
mod operating;
mod patience;
mod world;
