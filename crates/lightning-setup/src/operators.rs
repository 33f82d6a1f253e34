//! What operators do by hand: compare, adopt, destroy, repair.

use guiche_kernel::{ErrorKind, Limit, StoreError};

use crate::document::{Document as _, Wallet};
use crate::drift::{Finding, Kind, Known, compare};
use crate::service::Setups;
use crate::{
    Amendment, HostError, Macaroon, NodeState, Setup, SetupId, Step, StepRecord, StepState, journal_place,
};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum DriftError {
    /// There is nothing of that kind and id that could be adopted or destroyed: it serves somebody, belongs to a setup
    /// that is under way, is none of ours, or does not exist.
    #[error("the {0} {1} is no orphan: see `guiche lightning plan`")]
    NoOrphan(Kind, String),
    /// The database knows it already.
    #[error("the {0} {1} is known as an orphan already")]
    AlreadyKnown(Kind, String),
    /// There is no such setup, so nothing can be written down for it.
    #[error("the setup {0} is unknown")]
    UnknownSetup(SetupId),
    /// It holds something, or does not say.
    #[error(
        "the node {0} holds funds or channels, or cannot be asked; with its seed at hand, use --i-have-the-seed"
    )]
    NodeHasFunds(String),
    /// Nothing was found that could be written down.
    #[error("nothing at the providers is certainly this setup's: see `guiche lightning plan`")]
    NothingFound,
    /// A provider did not do what it was asked.
    #[error("a provider failed: {0}")]
    Host(#[from] HostError),
    /// Storage failed.
    #[error("storage failed")]
    Store(#[from] StoreError),
}

impl DriftError {
    /// The kind of this refusal.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NoOrphan(..) | Self::UnknownSetup(_) | Self::NothingFound => ErrorKind::NotFound,
            Self::AlreadyKnown(..) | Self::NodeHasFunds(_) => ErrorKind::Conflict,
            Self::Host(_) => ErrorKind::BadGateway,
            Self::Store(refusal) => refusal.kind(),
        }
    }
}

/// What a repair would write, or has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The setup.
    pub setup: SetupId,
    /// The node that serves it.
    pub node: Option<String>,
    /// The store that serves it.
    pub store: Option<String>,
}

impl Setups {
    /// Compares the database with both providers. Changes nothing.
    ///
    /// # Errors
    /// [`DriftError::Host`], [`DriftError::Store`].
    pub async fn survey(&self) -> Result<Vec<Finding>, DriftError> {
        // The providers first: what is made meanwhile has a row by then.
        let nodes = self.ports.nodes.list_nodes().await?;
        let stores = self.ports.stores.list_stores().await?;
        Ok(compare(&self.all().await?, &nodes, &stores))
    }

    async fn all(&self) -> Result<Vec<Setup>, StoreError> {
        let mut all: Vec<Setup> = Vec::new();
        loop {
            let page = self.ports.store.list(all.last().map(|setup| setup.id), Limit::default()).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// Writes an orphan that no row knew into its setup's journal, so that it is undone with the setup, and told.
    ///
    /// # Errors
    /// [`DriftError`].
    pub async fn adopt(&self, kind: Kind, id: &str) -> Result<SetupId, DriftError> {
        match self.orphan(kind, id).await? {
            (_, Known::Orphaned) => Err(DriftError::AlreadyKnown(kind, id.to_owned())),
            ((setup, _), Known::Nothing) => Err(DriftError::UnknownSetup(setup)),
            ((setup, attempt), Known::SetupOnly) => {
                let record = self.orphan_record(kind, id, attempt);
                self.ports.store.amend(&Amendment::Adopted { setup, record }, self.now()).await?;
                Ok(setup)
            }
        }
    }

    /// Destroys an orphan. That it is about to be destroyed stands in the audit trail before, whether or not there is a
    /// setup for it; that it is gone, in the journal that knew it. A node that holds something, or does not
    /// say, goes only with `i_have_the_seed`.
    ///
    /// # Errors
    /// [`DriftError`].
    pub async fn destroy(&self, kind: Kind, id: &str, i_have_the_seed: bool) -> Result<(), DriftError> {
        let ((setup, attempt), known) = self.orphan(kind, id).await?;
        match kind {
            Kind::Node => {
                if !i_have_the_seed && !self.holds_nothing(setup, attempt, id).await? {
                    return Err(DriftError::NodeHasFunds(id.to_owned()));
                }
                self.note_destruction(setup, kind).await?;
                self.ports.nodes.delete_node(id).await?;
            }
            Kind::Store => {
                self.note_destruction(setup, kind).await?;
                for webhook in self.ports.stores.find_webhooks(id, &self.webhook_url(setup)).await? {
                    self.ports.stores.delete_webhook(id, &webhook).await?;
                }
                self.ports.stores.disconnect_node(id).await?;
                self.ports.stores.delete_store(id).await?;
            }
        }
        if known == Known::Orphaned {
            let record = StepRecord { state: StepState::Undone, ..self.orphan_record(kind, id, attempt) };
            self.ports.store.amend(&Amendment::Resolved { setup, record }, self.now()).await?;
        }
        Ok(())
    }

    async fn note_destruction(&self, setup: SetupId, kind: Kind) -> Result<(), StoreError> {
        self.ports.store.amend(&Amendment::Destroying { setup, kind }, self.now()).await
    }

    /// Looks up what serves an active address of which that is not written down; with `apply`, writes it down.
    ///
    /// # Errors
    /// [`DriftError`].
    pub async fn repair(&self, setup: SetupId, apply: bool) -> Result<Repair, DriftError> {
        let unlinked = self.survey().await?.into_iter().find_map(|finding| match finding {
            Finding::Unlinked { setup: found, node, store } if found == setup => Some((node, store)),
            Finding::Unlinked { .. }
            | Finding::Orphan { .. }
            | Finding::Missing { .. }
            | Finding::Renamed { .. }
            | Finding::Foreign { .. } => None,
        });
        let (node, store) = unlinked.ok_or(DriftError::NothingFound)?;
        if node.is_none() && store.is_none() {
            return Err(DriftError::NothingFound);
        }
        let repair = Repair { setup, node, store };
        if apply {
            let amendment =
                Amendment::Repaired { setup, node_id: repair.node.clone(), store_id: repair.store.clone() };
            self.ports.store.amend(&amendment, self.now()).await?;
        }
        Ok(repair)
    }

    async fn orphan(&self, kind: Kind, id: &str) -> Result<((SetupId, u32), Known), DriftError> {
        let found = self.survey().await?.into_iter().find_map(|finding| match finding {
            Finding::Orphan { kind: its, id: found, origin, known, .. } if its == kind && found == id => {
                Some((origin, known))
            }
            Finding::Orphan { .. }
            | Finding::Missing { .. }
            | Finding::Renamed { .. }
            | Finding::Unlinked { .. }
            | Finding::Foreign { .. } => None,
        });
        found.ok_or_else(|| DriftError::NoOrphan(kind, id.to_owned()))
    }

    fn orphan_record(&self, kind: Kind, id: &str, attempt: u32) -> StepRecord {
        StepRecord {
            attempt,
            step: kind.step(),
            state: StepState::Orphaned,
            resource: Some(id.to_owned()),
            sealed: None,
            tries: 0,
            since: self.now(),
        }
    }

    /// Whether a node says that it holds nothing, or never had a wallet.
    async fn holds_nothing(&self, setup: SetupId, attempt: u32, node: &str) -> Result<bool, DriftError> {
        match self.ports.nodes.node(node).await? {
            NodeState::Gone | NodeState::Preparing | NodeState::WaitingForWallet(_) => return Ok(true),
            NodeState::Locked(_) | NodeState::Running(_) | NodeState::Stopped => {}
        }
        let Some(setup) = self.ports.store.get(setup).await? else { return Ok(false) };
        let opened = |step: Step| {
            let same = |record: &&StepRecord| record.attempt == attempt && record.step == step;
            let sealed = setup.journal.iter().find(same)?.sealed.as_ref()?;
            self.ports.vault.open(journal_place(setup.user_id), sealed).ok()
        };
        let wallet = opened(Step::SeedStored).and_then(|bytes| Wallet::from_bytes(&bytes).ok());
        let admin = opened(Step::WalletInitialised).and_then(|bytes| Macaroon::from_bytes(&bytes).ok());
        let (Some(wallet), Some(admin)) = (wallet, admin) else { return Ok(false) };
        Ok(self
            .ports
            .wallets
            .holdings(&wallet.endpoint, &admin)
            .await
            .is_ok_and(|holdings| holdings.is_empty()))
    }
}
