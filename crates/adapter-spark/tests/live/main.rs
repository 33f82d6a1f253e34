//! The live client against the gateway that is played, and against the real one where its Node process can run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do"
)]

mod contract;
mod fake_process;
mod faults;
mod node;
mod secrets;
mod support;
mod tls;
mod trouble;
