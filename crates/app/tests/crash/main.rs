//! The real program through crashes and outages: killed, starved of its database, refused, shared, watched for secrets.
//!
//! Every test has a data directory (and, where it stops the server, a PostgreSQL) of its own. Moments of killing come from
//! a seed that is printed; `CRASH_SEED=<seed>` repeats them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail and report like tests"
)]

mod addresses;
mod books;
mod clients;
mod cluster;
mod first_start;
mod handing_over;
mod hosts;
mod kills;
mod live;
mod office;
mod outages;
mod process;
mod refusals;
mod reloading;
mod retries;
mod secrets;
mod setups;
mod sharing;
mod support;
mod telling;
mod unprivileged;
