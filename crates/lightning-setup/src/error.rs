//! What the use cases may refuse.

use guiche_kernel::{ErrorKind, StoreError};

use crate::AddressError;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There can be no such address here.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The name is somebody else's.
    #[error("the address is taken")]
    Taken,
    /// A setup of this person's is under way.
    #[error("a setup is under way")]
    InProgress,
    /// This person has an address.
    #[error("the setup is complete already")]
    AlreadyComplete,
    /// Nothing failed that could be tried again.
    #[error("there is nothing to try again")]
    NothingToRetry,
    /// This person has no setup.
    #[error("there is no setup")]
    NotFound,
    /// The node holds money or channels, or cannot be asked: deleting it could lose them.
    #[error("the node holds funds or channels, or cannot be asked")]
    NodeHasFunds,
    /// Storage failed.
    #[error("storage failed")]
    Store(#[from] StoreError),
}

impl SetupError {
    /// The kind of this refusal.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Address(_) => ErrorKind::Invalid,
            Self::Taken
            | Self::InProgress
            | Self::AlreadyComplete
            | Self::NothingToRetry
            | Self::NodeHasFunds => ErrorKind::Conflict,
            Self::NotFound => ErrorKind::NotFound,
            Self::Store(refusal) => refusal.kind(),
        }
    }
}
