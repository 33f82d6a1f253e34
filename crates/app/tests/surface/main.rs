//! The HTTP surface from outside, over real connections, with toy routes: what every route can rely on.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::future_not_send,
    reason = "helpers of tests fail like tests; handlers run on one thread"
)]

mod boundary;
mod docs;
mod hostile;
mod limits;
mod probes;
mod process;
mod support;
