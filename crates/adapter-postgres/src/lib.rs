#![doc = include_str!("../README.md")]

mod administration;
mod connect;
mod error;
mod forgetting;
mod inspection;
mod lightning;
mod migrate;
mod notifications;
mod operations;
mod options;
mod pool;
mod query;
mod roles;
mod schema;
mod sealed;
mod stores;
mod tickets;
mod tls;
mod together;
mod tx;
mod users;
mod webhooks;

#[cfg(test)]
mod lease_tests;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod together_tests;

pub use administration::PgAdministration;
pub use error::{ConnectError, MigrateError, RoleError};
pub use forgetting::{Forgotten, HeldSetup, PgForgetting};
pub use inspection::{Login, ServerFacts};
pub use migrate::migrate;
pub use notifications::Notice;
pub use options::PgOptions;
pub use stores::PgStores;
pub use tls::SslMode;

/// The four roles, for a cluster; idempotent, run by a superuser. The embedded server passes it as its bootstrap.
pub const ROLES_SQL: &str = include_str!("../../../deploy/postgres/roles.sql");
