//! What a failed call means to the setup.
//!
//! The other provider's adapter says the same in the same words: adapters do not see each other, and what all of them see
//! (`guiche-outbound`) knows no domain.

use std::time::Duration;

use guiche_lightning_setup::{FaultKind, HostError, Provider, VendorCode};
use guiche_outbound::{Fault, Limits, ProviderError};

/// The promise of the ports is 20 seconds. A call that takes several has a second less, for what lies between.
const PATIENCE: Duration = Duration::from_secs(19);
/// For a single one.
const LONGEST_CALL: Duration = Duration::from_secs(18);

/// The bounds that were set, as far as the promise of the ports allows.
pub(crate) fn bounded(limits: Limits) -> Limits {
    Limits { total: limits.total.min(LONGEST_CALL), ..limits }
}

/// Whether a call that failed may have had its effect, by what is known of all its attempts.
pub(crate) fn failed(provider: Provider, error: &ProviderError) -> HostError {
    // What the last attempt did not do, one before it may have done.
    let before = error.earlier().iter().map(kind_of).find(|kind| is_unknown(*kind));
    let kind = kind_of(error.fault());
    let kind = if is_unknown(kind) { kind } else { before.unwrap_or(kind) };
    let (status, code) = match error.fault() {
        Fault::Failing { status, code } | Fault::Refused { status, code } => (Some(*status), code.as_ref()),
        Fault::Unreadable { status } => (Some(*status), None),
        Fault::KeysRefused => (Some(401), None),
        Fault::CircuitOpen { .. }
        | Fault::Unreachable
        | Fault::Untrusted
        | Fault::NoAnswer
        | Fault::Unsendable => (None, None),
    };
    let mut failed = HostError::new(provider, error.operation(), kind);
    failed.fault.status = status;
    failed.fault.code = code.and_then(|code| VendorCode::new(code.as_str()));
    failed.retry_after = error.retry_after();
    failed
}

const fn is_unknown(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Unanswered | FaultKind::Garbled)
}

/// What one attempt says of the effect.
const fn kind_of(fault: &Fault) -> FaultKind {
    match fault {
        Fault::CircuitOpen { .. } | Fault::Unreachable | Fault::Untrusted => FaultKind::Unavailable,
        Fault::NoAnswer => FaultKind::Unanswered,
        Fault::Failing { status, .. } | Fault::Refused { status, .. } => kind_of_status(*status),
        Fault::Unreadable { .. } => FaultKind::Garbled,
        // Of an unsendable one nothing was sent, and the same will not be sent the next time either.
        Fault::KeysRefused | Fault::Unsendable => FaultKind::Refused,
    }
}

const fn kind_of_status(status: u16) -> FaultKind {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_settings_let_a_call_take_longer_than_the_ports_promise() {
        let [short, long] = [5, 500].map(Duration::from_secs);
        assert_eq!(bounded(Limits { total: long, ..Limits::default() }).total, LONGEST_CALL);
        assert_eq!(bounded(Limits { total: short, ..Limits::default() }).total, short);
    }

    #[test]
    fn a_status_says_what_is_known_of_the_effect() {
        for (status, kind) in [
            (301, FaultKind::Garbled),
            (400, FaultKind::Refused),
            (407, FaultKind::Refused),
            (408, FaultKind::Unanswered),
            (409, FaultKind::Refused),
            (429, FaultKind::Unavailable),
            (499, FaultKind::Refused),
            (500, FaultKind::Unanswered),
            (502, FaultKind::Unanswered),
            (503, FaultKind::Unavailable),
            (504, FaultKind::Unanswered),
            (599, FaultKind::Unanswered),
        ] {
            assert_eq!(kind_of_status(status), kind, "{status}");
        }
    }
}
