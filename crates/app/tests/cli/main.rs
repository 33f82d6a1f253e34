//! The real program's commands, from outside: what they print, what they change, and how they end.
//!
//! Every test has a directory of its own, and a database of its own where it needs one.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod healthcheck;
mod service_manager;
mod world;
