//! Where people ask for a setup: it is begun at once, and whoever likes may wait for its end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use guiche_kernel::Caller;
use guiche_lightning_setup::{Holdings, LightningAddress, Setup, SetupError, Setups};
use tokio::sync::Notify;

use super::Installer;
use crate::workers::Wake;

/// How often somebody who waits looks: for setups that end in another process. Of this one's they are told.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// For how long a node may be asked while somebody looks at their setup.
const NODE_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// The use cases with the means to wait.
pub struct Desk {
    setups: Setups,
    installer: Wake,
    ended: Arc<Notify>,
}

impl Desk {
    /// A desk whose setups that installer makes.
    #[must_use]
    pub fn new(setups: Setups, installer: &Installer) -> Self {
        Self { setups, installer: installer.wake(), ended: installer.ended() }
    }

    /// The use cases.
    #[must_use]
    pub const fn setups(&self) -> &Setups {
        &self.setups
    }

    /// Begins a setup, and waits that long for its end; how it stands then.
    ///
    /// # Errors
    /// As [`Setups::begin`].
    pub async fn begin(
        &self,
        caller: Caller,
        wanted: Option<LightningAddress>,
        wait: Duration,
    ) -> Result<Setup, SetupError> {
        let begun = self.setups.begin(caller, wanted).await?;
        Ok(self.wait(caller, begun, wait).await)
    }

    /// Another attempt, likewise.
    ///
    /// # Errors
    /// As [`Setups::retry`].
    pub async fn retry(&self, caller: Caller, wait: Duration) -> Result<Setup, SetupError> {
        let begun = self.setups.retry(caller).await?;
        Ok(self.wait(caller, begun, wait).await)
    }

    /// Begins a teardown.
    ///
    /// # Errors
    /// As [`Setups::remove`].
    pub async fn remove(&self, caller: Caller) -> Result<Setup, SetupError> {
        let removed = self.setups.remove(caller).await?;
        self.installer.wake();
        Ok(removed)
    }

    /// What the node of a complete setup holds and could receive, if it says so soon.
    pub async fn holdings(&self, setup: &Setup) -> Option<Holdings> {
        tokio::time::timeout(NODE_ANSWERS_WITHIN, self.setups.holdings(setup)).await.ok().flatten()
    }

    /// How the setup stands at its end, or when the time is over. It has begun, whatever becomes of the waiting.
    async fn wait(&self, caller: Caller, begun: Setup, wait: Duration) -> Setup {
        self.installer.wake();
        let until = tokio::time::Instant::now() + wait;
        let mut known = begun;
        loop {
            // Before the look, or an end between the two would be missed.
            let mut ended = pin!(self.ended.notified());
            ended.as_mut().enable();
            if let Ok(Some(setup)) = self.setups.find(caller).await {
                known = setup;
            }
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            if !known.status.is_running() || left.is_zero() {
                return known;
            }
            let _ = tokio::time::timeout(left.min(LOOK_EVERY), ended).await;
        }
    }
}
