#![doc = include_str!("../README.md")]

mod address;
mod resolver;
mod sender;

pub use address::{AllowPrivate, is_public};
pub use resolver::{Lookup, SystemLookup};
pub use rustls_pki_types::CertificateDer;
pub use sender::{HttpSender, SenderSettings, SetupError};
