//! A private PostgreSQL server that Guichê's processes share and that ends with the last of them.

mod account;
mod binaries;
mod bootstrap;
mod error;
mod locks;
mod options;
mod place;
mod postmaster;
mod server;
mod share;

pub use self::{error::EmbeddedError, options::Options, share::EmbeddedPostgres};
