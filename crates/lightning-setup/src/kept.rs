//! What only the journal still knows of a node: the seed that brings its money back. A seed outlives its node.

use guiche_kernel::SealError;

use crate::document::{Document as _, Wallet};
use crate::operators::DriftError;
use crate::service::Setups;
use crate::{Amendment, Seed, Setup, SetupId, Step, StepRecord, WalletPassword, journal_place};

/// The wallet of an attempt, as the journal kept it.
#[derive(Debug, Clone)]
pub struct KeptWallet {
    /// Which attempt.
    pub attempt: u32,
    /// The node's id at its host, if it was ever known.
    pub node: Option<String>,
    /// What was sealed, or why it does not open.
    pub secrets: Result<WalletSecrets, SealError>,
}

/// What a wallet is made of. It does not print.
#[derive(Debug, Clone)]
pub struct WalletSecrets {
    /// The words.
    pub seed: Seed,
    /// What unlocks it.
    pub password: WalletPassword,
}

impl Setups {
    /// The wallets of all attempts of a setup, undone ones included, in their order. For an operator who is to bring back
    /// what a node held. Where any opens the audit trail tells that it was shown, before it is.
    ///
    /// # Errors
    /// [`DriftError::UnknownSetup`], [`DriftError::Store`].
    pub async fn wallets(&self, setup: SetupId) -> Result<Vec<KeptWallet>, DriftError> {
        let found = self.ports.store.get(setup).await?.ok_or(DriftError::UnknownSetup(setup))?;
        let stored = |record: &&StepRecord| record.step == Step::SeedStored;
        let kept = found.journal.iter().filter(stored).filter_map(|record| self.kept_wallet(&found, record));
        let kept: Vec<KeptWallet> = kept.collect();
        if kept.iter().any(|wallet| wallet.secrets.is_ok()) {
            self.ports.store.amend(&Amendment::SeedShown { setup }, self.now()).await?;
        }
        Ok(kept)
    }

    fn kept_wallet(&self, setup: &Setup, record: &StepRecord) -> Option<KeptWallet> {
        let sealed = record.sealed.as_ref()?;
        let opened = self.ports.vault.open(journal_place(setup.user_id), sealed);
        let read = opened.and_then(|bytes| Wallet::from_bytes(&bytes).map_err(|_| SealError::Malformed));
        let ordered = |it: &&StepRecord| it.attempt == record.attempt && it.step == Step::NodeCreated;
        Some(KeptWallet {
            attempt: record.attempt,
            node: setup.journal.iter().find(ordered).and_then(|ordered| ordered.resource.clone()),
            secrets: read.map(|Wallet { seed, password, .. }| WalletSecrets { seed, password }),
        })
    }
}
