#![doc = include_str!("../README.md")]

mod address;
mod breaker;
mod call;
mod circuit;
mod client;
mod effect;
mod error;
#[cfg(feature = "fake")]
pub mod fake;
mod keys;
mod retry;
mod transport;
mod trust;

pub use address::{Address, AddressError, AddressTemplate, Loopback, TemplateError};
pub use breaker::{Breaker, BreakerSettings, CircuitState, Outcome, Pass};
pub use call::{Answer, Call};
pub use circuit::{Circuit, CircuitListener};
pub use client::{Client, Limits, Outside, Settings, SetupError};
pub use effect::Effect;
pub use error::{Fault, ProviderError, VendorCode};
pub use keys::{Credential, KeyList, KeyListError};
pub use reqwest::header::HeaderName;
pub use reqwest::{Method, StatusCode};
pub use retry::RetryPolicy;
pub use rustls_pki_types::CertificateDer;
