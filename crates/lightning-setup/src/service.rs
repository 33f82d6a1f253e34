//! The use cases.

use std::num::NonZeroU16;
use std::sync::Arc;

use guiche_kernel::{Caller, Clock, Ids, Limit, Randomness, SecretVault, Timestamp, truncate_to_micros};

use crate::document::Document;
use crate::{
    AddressDomain, AddressName, AuditRow, Begin, Begun, Driven, Holdings, Lease, LightningAddress,
    NodeConfig, NodeHost, NodeWallet, Policy, Setup, SetupError, SetupId, SetupStatus, SetupStore,
    StoreConfig, StoreHost, WebhookSecret, node_place, store_place,
};

/// How often a generated name may turn out to be taken.
const NAMES: usize = 5;

/// Everything from outside.
#[derive(Clone)]
pub struct SetupPorts {
    /// Where setups are kept.
    pub store: Arc<dyn SetupStore>,
    /// Who runs nodes.
    pub nodes: Arc<dyn NodeHost>,
    /// The nodes themselves.
    pub wallets: Arc<dyn NodeWallet>,
    /// Who runs stores.
    pub stores: Arc<dyn StoreHost>,
    /// What seals.
    pub vault: Arc<dyn SecretVault>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub randomness: Arc<dyn Randomness>,
}

/// Where addresses are, and where stores tell us of invoices.
#[derive(Debug, Clone)]
pub struct SetupPlace {
    /// Our domains; the first is the default.
    pub domains: Vec<AddressDomain>,
    /// The service's own address as the world sees it, without a slash at the end.
    pub public_url: String,
}

/// The setup of Lightning addresses.
#[derive(Clone)]
pub struct Setups {
    pub(crate) ports: SetupPorts,
    pub(crate) policy: Policy,
    place: SetupPlace,
    ids: Ids,
}

impl Setups {
    /// The use cases over these ports.
    #[must_use]
    pub fn new(ports: SetupPorts, policy: Policy, place: SetupPlace) -> Self {
        let ids = Ids::new(Arc::clone(&ports.clock), Arc::clone(&ports.randomness));
        Self { ports, policy, place, ids }
    }

    pub(crate) fn now(&self) -> Timestamp {
        truncate_to_micros(self.ports.clock.now())
    }

    /// Where a store tells us of its invoices.
    pub(crate) fn webhook_url(&self, id: SetupId) -> String {
        format!("{}/webhooks/btcpay/{id}", self.place.public_url)
    }

    /// The domains of addresses; the first is the default.
    #[must_use]
    pub fn domains(&self) -> &[AddressDomain] {
        &self.place.domains
    }

    /// Reads what a person asks for, before anything is changed.
    ///
    /// # Errors
    /// [`SetupError::Address`].
    pub fn parse(&self, wanted: &str) -> Result<LightningAddress, SetupError> {
        Ok(LightningAddress::parse(wanted, &self.place.domains)?)
    }

    /// Begins a setup: reserves the name, or one by chance, and has the runner make the steps. Nothing outside has
    /// happened when this returns.
    ///
    /// # Errors
    /// [`SetupError::Address`] also when there is no domain to give a name at; [`SetupError::Taken`],
    /// [`SetupError::InProgress`], [`SetupError::AlreadyComplete`], [`SetupError::Store`].
    pub async fn begin(&self, caller: Caller, wanted: Option<LightningAddress>) -> Result<Setup, SetupError> {
        let Some(address) = wanted else {
            let domain = self.place.domains.first().ok_or(crate::AddressError::ForeignDomain)?;
            for _ in 0..NAMES {
                let name = AddressName::generate(&*self.ports.randomness);
                match self.begin_with(caller, LightningAddress { name, domain: domain.clone() }).await {
                    Err(SetupError::Taken) => {}
                    begun => return begun,
                }
            }
            return Err(SetupError::Taken);
        };
        self.begin_with(caller, address).await
    }

    async fn begin_with(&self, caller: Caller, address: LightningAddress) -> Result<Setup, SetupError> {
        let now = self.now();
        let begin = Begin {
            id: SetupId::new(self.ids.uuid()),
            address,
            now,
            reserved_since: now - self.policy.reservation,
        };
        match self.ports.store.begin(caller, &begin).await? {
            Begun::Started(setup) => Ok(*setup),
            Begun::Running(_) => Err(SetupError::InProgress),
            Begun::Complete(_) => Err(SetupError::AlreadyComplete),
            Begun::Taken => Err(SetupError::Taken),
        }
    }

    /// Another attempt with the same address.
    ///
    /// # Errors
    /// [`SetupError::NotFound`], [`SetupError::InProgress`], [`SetupError::AlreadyComplete`],
    /// [`SetupError::NothingToRetry`] after a removal, [`SetupError::Taken`] when the reservation ran out and somebody
    /// else was faster, [`SetupError::Store`].
    pub async fn retry(&self, caller: Caller) -> Result<Setup, SetupError> {
        let setup = self.find(caller).await?.ok_or(SetupError::NotFound)?;
        match setup.status {
            SetupStatus::Failed | SetupStatus::NeedsAttention => self.begin_with(caller, setup.address).await,
            SetupStatus::InProgress | SetupStatus::RollingBack => Err(SetupError::InProgress),
            SetupStatus::FullyConfigured => Err(SetupError::AlreadyComplete),
            SetupStatus::Removed => Err(SetupError::NothingToRetry),
        }
    }

    /// The person's present setup.
    ///
    /// # Errors
    /// [`SetupError::Store`].
    pub async fn find(&self, caller: Caller) -> Result<Option<Setup>, SetupError> {
        Ok(self.ports.store.find(caller).await?)
    }

    /// Tears down what the person's setup built. The runner does the work; a node that holds something is left alone.
    ///
    /// # Errors
    /// [`SetupError::NotFound`] also after a removal; [`SetupError::InProgress`], [`SetupError::NodeHasFunds`],
    /// [`SetupError::Store`].
    pub async fn remove(&self, caller: Caller) -> Result<Setup, SetupError> {
        let setup = self.find(caller).await?.ok_or(SetupError::NotFound)?;
        let status = setup.status;
        match status {
            SetupStatus::Removed => return Err(SetupError::NotFound),
            SetupStatus::InProgress | SetupStatus::RollingBack => return Err(SetupError::InProgress),
            SetupStatus::FullyConfigured => {
                if !self.nothing_to_lose(&setup).await {
                    return Err(SetupError::NodeHasFunds);
                }
            }
            SetupStatus::Failed | SetupStatus::NeedsAttention => {}
        }
        self.ports
            .store
            .tear_down(caller, setup.id, &[status], self.now())
            .await?
            .ok_or(SetupError::InProgress)
    }

    /// Whether the node says that it holds nothing, or its host that there is none any more.
    async fn nothing_to_lose(&self, setup: &Setup) -> bool {
        if let Some(holdings) = self.holdings(setup).await {
            return holdings.is_empty();
        }
        let Some(services) = &setup.services else { return false };
        matches!(self.ports.nodes.node(&services.node_id).await, Ok(crate::NodeState::Gone))
    }

    /// What the node of a complete setup holds and could receive; `None` when there is none, or it does not say.
    pub async fn holdings(&self, setup: &Setup) -> Option<Holdings> {
        let sealed = setup.services.as_ref()?.node_config.as_ref()?;
        let bytes = self.ports.vault.open(node_place(setup.user_id), sealed).ok()?;
        let node = NodeConfig::from_bytes(&bytes).ok()?;
        self.ports.wallets.holdings(&node.endpoint, &node.admin).await.ok()
    }

    /// What the store of an active address signs its messages with; `None` when there is no such address, or its secret does
    /// not open.
    ///
    /// # Errors
    /// [`SetupError::Store`].
    pub async fn webhook_secret(&self, id: SetupId) -> Result<Option<WebhookSecret>, SetupError> {
        let setup = self.ports.store.get(id).await?;
        let active = setup.filter(|setup| setup.status == SetupStatus::FullyConfigured);
        Ok(active.and_then(|setup| self.store_config(&setup)).map(|config| config.webhook_secret))
    }

    fn store_config(&self, setup: &Setup) -> Option<StoreConfig> {
        let sealed = setup.services.as_ref()?.store_config.as_ref()?;
        let bytes = self.ports.vault.open(store_place(setup.user_id), sealed).ok()?;
        StoreConfig::from_bytes(&bytes).ok()
    }

    /// The person's audit trail, newest first, before the given row.
    ///
    /// # Errors
    /// [`SetupError::Store`].
    pub async fn log(
        &self,
        caller: Caller,
        before: Option<i64>,
        limit: Limit,
    ) -> Result<Vec<AuditRow>, SetupError> {
        Ok(self.ports.store.log(caller, before, limit).await?)
    }

    /// Takes setups that are due, each to be worked on by [`drive`](Self::drive), all at the same time.
    ///
    /// # Errors
    /// [`SetupError::Store`].
    pub async fn claim(&self, most: NonZeroU16) -> Result<Vec<(Lease, Setup)>, SetupError> {
        let now = self.now();
        Ok(self.ports.store.claim(now, now + self.policy.lease, most).await?)
    }

    /// Works on one setup, due or not; `None` when somebody else does, or nothing is to be done.
    ///
    /// # Errors
    /// [`SetupError::Store`].
    pub async fn run_one(&self, id: SetupId) -> Result<Option<Driven>, SetupError> {
        let now = self.now();
        match self.ports.store.claim_one(id, now, now + self.policy.lease).await? {
            Some((lease, setup)) => Ok(Some(self.drive(lease, setup).await?)),
            None => Ok(None),
        }
    }
}
