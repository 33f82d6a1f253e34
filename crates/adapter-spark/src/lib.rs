#![doc = include_str!("../README.md")]

mod stub;

pub use stub::{
    InvalidRequest, LedgerError, OpenError, PayError, PayMoment, SparkStub, StubSettings, WalletPayment,
};
