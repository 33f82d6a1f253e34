#![doc = include_str!("../README.md")]

mod address;
pub mod audit;
mod document;
pub mod drift;
mod error;
mod fault;
mod hosts;
mod kept;
pub mod lnurl;
mod operators;
mod ports;
mod saga;
mod secrets;
mod service;
mod setup;
mod step;

#[cfg(feature = "testing")]
pub mod testing;

pub use address::{AddressDomain, AddressError, AddressName, LightningAddress};
pub use audit::{AuditEntry, AuditRow};
pub use document::InvalidDocument;
pub use error::SetupError;
pub use fault::{FaultKind, HostError, Provider, SetupFault, VendorCode};
pub use hosts::{
    Holdings, HostInvoice, Listed, NewAddressInvoice, NodeHost, NodeState, NodeWallet, ReceiveGateway,
    StoreHost,
};
pub use kept::{KeptWallet, WalletSecrets};
pub use lnurl::AddressInvoice;
pub use operators::{DriftError, Repair};
pub use ports::{AddressBook, Amendment, AuditTrail, Begin, Begun, Lease, ServedAddress, SetupStore};
pub use saga::{Driven, Policy};
pub use secrets::{
    InvalidMacaroon, InvalidSeed, Macaroon, NodeConfig, NodeEndpoint, SERVICE, Seed, StoreConfig,
    WalletPassword, WebhookSecret, journal_place, node_place, store_place,
};
pub use service::{SetupPlace, SetupPorts, Setups};
pub use setup::{Goal, Services, Setup, SetupId, SetupStatus};
pub use step::{ResourceName, Step, StepRecord, StepState, UnknownWord};
