//! Why the office did not do what it was asked; each variant is something a caller can act on.

use std::time::Duration;

use guiche_kernel::{ErrorKind, StoreError};

use crate::{FormRefusal, GatewayError, InvalidState, OperationId, TicketId};

/// A refusal of the ticket service.
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// There is no such ticket, or it is somebody else's.
    #[error("ticket {0} does not exist")]
    NotFound(TicketId),
    /// There is no such operation, or it is no longer offered.
    #[error("operation {0} does not exist")]
    OperationNotFound(OperationId),
    /// There is no operation of that name.
    #[error("there is no operation of that name")]
    OperationNameNotFound,
    /// The form is incomplete or wrong.
    #[error(transparent)]
    Form(#[from] FormRefusal),
    /// The ticket stands where this is not allowed.
    #[error(transparent)]
    InvalidState(#[from] InvalidState),
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The first request with this idempotency key is still at work.
    #[error("a request with this idempotency key is still at work")]
    KeyInUse {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The preimage does not belong to any invoice of the ticket.
    #[error("the preimage does not belong to any invoice of this ticket")]
    WrongPreimage,
    /// The invoice provider did not do its part.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// Storage did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TicketError {
    /// The kind of this refusal.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) | Self::OperationNotFound(_) | Self::OperationNameNotFound => {
                ErrorKind::NotFound
            }
            Self::Form(_) | Self::KeyReused | Self::WrongPreimage => ErrorKind::Invalid,
            Self::InvalidState(_) | Self::KeyInUse { .. } => ErrorKind::Conflict,
            Self::Gateway(refusal) => refusal.kind(),
            Self::Store(refusal) => refusal.kind(),
        }
    }
}
