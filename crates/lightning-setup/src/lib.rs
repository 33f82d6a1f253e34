#![doc = include_str!("../README.md")]

mod address;
pub mod audit;
mod fault;
mod hosts;
mod lnurl_invoice;
mod ports;
mod secrets;
mod setup;
mod step;

#[cfg(feature = "testing")]
pub mod testing;

pub use address::{AddressDomain, AddressError, AddressName, LightningAddress};
pub use audit::{AuditEntry, AuditRow};
pub use fault::{FaultKind, HostError, Provider, SetupFault, VendorCode};
pub use hosts::{
    Holdings, HostInvoice, Listed, NewAddressInvoice, NodeHost, NodeState, NodeWallet, ReceiveGateway,
    StoreHost,
};
pub use lnurl_invoice::AddressInvoice;
pub use ports::{AddressBook, Amendment, AuditTrail, Begin, Begun, Lease, ServedAddress, SetupStore};
pub use secrets::{
    InvalidDocument, InvalidMacaroon, InvalidSeed, Macaroon, NodeConfig, NodeEndpoint, SERVICE, Seed,
    StoreConfig, WalletPassword, WebhookSecret, journal_place, node_place, store_place,
};
pub use setup::{Goal, Services, Setup, SetupId, SetupStatus};
pub use step::{ResourceName, Step, StepRecord, StepState, UnknownWord};
