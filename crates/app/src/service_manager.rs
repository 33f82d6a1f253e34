//! What systemd (or whoever set `NOTIFY_SOCKET`) is told about the life of the process. Without one, nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::shutdown::Shutdown;
use crate::workers::Workers;

/// It serves.
pub fn ready() {
    tell(NotifyState::Ready);
}

/// It is about to end.
pub fn stopping() {
    tell(NotifyState::Stopping);
}

/// Beats the watchdog, if there is one, twice in its time. A beat says that this process still makes progress, no more:
/// whether it can serve is what `/readyz` is for, and a restart does not mend a database.
pub fn watch(workers: &mut Workers) {
    if let Some(within) = sd_notify::watchdog_enabled().filter(|within| !within.is_zero()) {
        workers.spawn(move |stop| beat(within / 2, stop));
    }
}

async fn beat(pause: Duration, stop: Shutdown) {
    loop {
        tell(NotifyState::Watchdog);
        if tokio::time::timeout(pause, stop.begun()).await.is_ok() {
            return;
        }
    }
}

/// A manager that does not listen is its own problem, not a reason to stop serving.
fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
