//! The supervisor with real servers. Every test owns its directory; they pass as root and as an ordinary user.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

mod crashes;
mod placement;
mod sharing;
mod support;
mod watching;
