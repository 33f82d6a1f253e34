#![doc = include_str!("../README.md")]
//!
//! # Reading order
//!
//! `share` (the public face), `server` (looks at what there is and brings it to where it should be), `locks`,
//! `postmaster` (is it alive?), `watcher.sh`, and at leisure `place`, `account`, `binaries`, `bootstrap`.

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
