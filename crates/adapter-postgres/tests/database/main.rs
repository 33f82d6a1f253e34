//! What the contracts of the ports cannot say: the rules that hold in the database itself, whoever writes to it, and how
//! the stores behave when the database does not.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod batches;
mod batches_raw;
mod calls;
mod catalogue;
mod changes;
mod constraints;
mod failures;
mod forgetting;
mod isolation;
mod lightning;
mod looks;
mod migrations;
mod notifications;
mod plans;
mod privileges;
mod races;
mod reads;
mod roles;
mod runtimes;
mod scene;
mod sealed;
mod waiting;
mod webhooks;
