#![doc = include_str!("../README.md")]

#[cfg(feature = "fake")]
pub mod fake;
mod live;
mod stub;

pub use live::{LiveSettings, LiveSetupError, SparkLive};
pub use stub::{
    InvalidRequest, LedgerError, OpenError, PayError, PayMoment, SparkStub, StubSettings, WalletPayment,
};
