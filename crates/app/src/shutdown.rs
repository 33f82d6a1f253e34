//! The end of the process, known to everybody who must end first: streams, workers, the readiness probe.

use tokio_util::sync::CancellationToken;

/// Tells and asks whether the process is ending. Clones share one truth.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// Begins it; more than once is once.
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// Whether it has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Returns when it begins.
    pub async fn begun(&self) {
        self.0.cancelled().await;
    }
}
