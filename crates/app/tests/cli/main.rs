//! The real program's commands, from outside: what they print, what they change, and how they end.
//!
//! Every test has a directory of its own, and a database of its own where it needs one.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail like tests")]

mod asking;
mod audit;
mod completions;
mod database;
mod demo;
mod doctor;
mod healthcheck;
mod keys;
mod lightning;
mod operations;
mod proxy;
mod refunds;
mod service_manager;
mod sick;
mod terminal;
mod users;
mod watching;
mod world;
