//! The saga as a whole, on virtual time, with everything outside in memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "test code: a failed expectation is the point"
)]

mod drift;
mod handing_over;
mod matrix;
mod simulation;
mod world;
mod writing;
