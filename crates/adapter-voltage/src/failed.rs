//! What a failed call means to the setup.

use std::time::Duration;

use guiche_lightning_setup::{FaultKind, HostError, Provider, VendorCode};
use guiche_outbound::{Effect, ProviderError};

/// The promise of the ports is 20 seconds. A call that takes several has a second less, for what lies between.
const PATIENCE: Duration = Duration::from_secs(19);
/// For a single one.
pub(crate) const LONGEST_CALL: Duration = Duration::from_secs(18);

/// The failure in the words of the domain.
pub(crate) fn failed(provider: Provider, error: &ProviderError) -> HostError {
    let kind = match error.effect() {
        Effect::TurnedAway => FaultKind::Unavailable,
        Effect::Refused => FaultKind::Refused,
        Effect::Unanswered => FaultKind::Unanswered,
        Effect::Garbled => FaultKind::Garbled,
    };
    let mut failed = HostError::new(provider, error.operation(), kind);
    failed.fault.status = error.status();
    failed.fault.code = error.code().and_then(|code| VendorCode::new(code.as_str()));
    failed.retry_after = error.retry_after();
    failed
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
