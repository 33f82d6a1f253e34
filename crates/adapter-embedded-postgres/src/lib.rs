#![doc = include_str!("../README.md")]
//!
//! # Reading order
//!
//! `share` (the public face), `server` (looks at what there is and brings it to where it should be), `locks`,
//! `postmaster` (is it alive?), `watcher.sh`, and at leisure `place`, `account`, `bootstrap`. Where the binaries come from:
//! `binaries` (what is there), `acquire` (what may be done when nothing is), `machine` (where all that looks).

mod account;
mod acquire;
mod advice;
mod binaries;
mod bootstrap;
mod error;
mod inspect;
mod locks;
mod machine;
mod options;
mod place;
mod postmaster;
mod server;
mod share;

pub use self::{
    acquire::{Acquire, Archive, Install},
    error::EmbeddedError,
    inspect::Inspection,
    options::Options,
    share::EmbeddedPostgres,
};
