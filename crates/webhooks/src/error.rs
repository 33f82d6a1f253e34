//! What the use cases may refuse.

use guiche_kernel::{ErrorKind, SealError, StoreError};

use crate::{EndpointId, EventId, InvalidEndpoint, UrlRefused};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// There is no such endpoint.
    #[error("there is no endpoint {0}")]
    NotFound(EndpointId),
    /// There is no such event.
    #[error("there is no event {0}")]
    EventNotFound(EventId),
    /// Nothing is sent to it.
    #[error("the endpoint {0} is disabled; enable it first")]
    Disabled(EndpointId),
    /// There can be no such endpoint.
    #[error(transparent)]
    Invalid(#[from] InvalidEndpoint),
    /// There may be no such endpoint.
    #[error(transparent)]
    UrlRefused(#[from] UrlRefused),
    /// Its secret cannot be sealed or opened.
    #[error("the secret of the endpoint {0} cannot be used: {1}")]
    Secret(EndpointId, #[source] SealError),
    /// Storage failed.
    #[error("storage failed")]
    Store(#[from] StoreError),
}

impl WebhookError {
    /// The kind of this refusal.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) | Self::EventNotFound(_) => ErrorKind::NotFound,
            Self::Disabled(_) => ErrorKind::Conflict,
            Self::Invalid(_) | Self::UrlRefused(_) => ErrorKind::Invalid,
            Self::Secret(..) => ErrorKind::Internal,
            Self::Store(refusal) => refusal.kind(),
        }
    }
}
