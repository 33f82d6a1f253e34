//! What a failed call means to the setup.

use std::time::Duration;

use guiche_lightning_setup::{FaultKind, HostError, Provider, VendorCode};
use guiche_outbound::{Fault, ProviderError};

/// The promise of the ports, less a second for what lies between.
const PATIENCE: Duration = Duration::from_secs(19);

/// Whether a call that failed may have had its effect, by what is known of it.
pub(crate) fn failed(provider: Provider, error: &ProviderError) -> HostError {
    let host_error = |kind| HostError::new(provider, error.operation(), kind);
    match error.fault() {
        Fault::CircuitOpen { .. } | Fault::Unreachable | Fault::Untrusted => {
            HostError { retry_after: error.retry_after(), ..host_error(FaultKind::Unavailable) }
        }
        Fault::NoAnswer => host_error(FaultKind::Unanswered),
        Fault::Failing { status, code } | Fault::Refused { status, code } => {
            let code = code.as_ref().and_then(|code| VendorCode::new(code.as_str()));
            host_error(kind_of(*status)).answered(*status, code, error.retry_after())
        }
        Fault::KeysRefused => host_error(FaultKind::Refused).answered(401, None, None),
        Fault::Unreadable { status } => host_error(FaultKind::Garbled).answered(*status, None, None),
        // Nothing was sent, and the same will not be sent the next time either.
        Fault::Unsendable => host_error(FaultKind::Refused),
    }
}

/// What a status that is no success says of the effect.
const fn kind_of(status: u16) -> FaultKind {
    match status {
        429 | 503 => FaultKind::Unavailable,
        408 | 500.. => FaultKind::Unanswered,
        400.. => FaultKind::Refused,
        // A redirect is not followed, and nobody knows what stands at its beginning.
        _ => FaultKind::Garbled,
    }
}

/// Keeps the promise of the ports where one call of theirs takes several.
pub(crate) async fn in_time<T>(
    provider: Provider,
    operation: &'static str,
    call: impl Future<Output = Result<T, HostError>>,
) -> Result<T, HostError> {
    let late = |_| Err(HostError::new(provider, operation, FaultKind::Unanswered));
    tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(late)
}
