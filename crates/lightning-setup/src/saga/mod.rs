//! The saga: makes the steps outside one by one, each written down before, and with the next one what came of it; and undoes
//! them in reverse.
//!
//! It can be killed between any two instructions. Whoever claims the setup next reads the journal, asks the providers what
//! became of the step that was under way, and goes on.

mod make;
mod plan;
mod policy;
mod undo;

use guiche_kernel::{SealError, SecretPlace, Timestamp};
use secrecy::SecretSlice;

use self::plan::Next;
pub use self::policy::Policy;
use crate::document::{Document, Wallet};
use crate::service::Setups;
use crate::{
    FaultKind, HostError, Lease, Macaroon, NodeConfig, Provider, ResourceName, Services, Setup, SetupError,
    SetupFault, SetupStatus, Step, StepRecord, StepState, StoreConfig, WebhookSecret, journal_place,
    node_place, store_place,
};

/// What became of a setup that was worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driven {
    /// It is due at that moment: it waits for something until then, or is handed over now.
    Resting(Timestamp),
    /// It came to an end.
    Ended(SetupStatus),
    /// Somebody else works on it now.
    Lost,
}

/// What follows from working on a step.
enum Turn {
    /// Look at the journal again.
    Go,
    /// Wait until then.
    Rest(Timestamp),
    /// Undo everything.
    Fail(SetupFault),
}

/// A step that makes something outside, which must not be made twice and can be found again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Creation {
    Node,
    Store,
    Webhook,
}

impl Creation {
    const fn step(self) -> Step {
        match self {
            Self::Node => Step::NodeCreated,
            Self::Store => Step::StoreCreated,
            Self::Webhook => Step::WebhookRegistered,
        }
    }
}

/// A setup that is being worked on: the reading, kept in step with what is written.
struct Work {
    lease: Lease,
    setup: Setup,
    /// What came of the last call, in the reading and not yet in storage: it goes there together with the intent of the
    /// next call. Before anything outside is asked, and before the setup is given back, it is written.
    unwritten: Option<StepRecord>,
}

impl Work {
    /// Puts a record into the reading, in its place.
    fn put(&mut self, record: StepRecord) {
        let journal = &mut self.setup.journal;
        let same = |it: &&mut StepRecord| it.attempt == record.attempt && it.step == record.step;
        match journal.iter_mut().find(same) {
            Some(place) => *place = record,
            None => journal.push(record),
        }
    }

    fn name(&self, attempt: u32) -> ResourceName {
        ResourceName::of(self.setup.id, attempt)
    }

    fn of(&self, attempt: u32, step: Step) -> Option<&StepRecord> {
        self.setup.journal.iter().find(|record| record.attempt == attempt && record.step == step)
    }

    /// The id of what a step made in an attempt.
    fn resource(&self, attempt: u32, step: Step) -> Result<String, SetupFault> {
        self.of(attempt, step)
            .and_then(|record| record.resource.clone())
            .ok_or_else(|| SetupFault::internal("read_journal"))
    }
}

impl Setups {
    /// Works on a claimed setup until it ends or has to wait, and gives the lease back.
    ///
    /// # Errors
    /// [`SetupError::Store`]; then the lease runs out by itself, and whoever claims next goes on.
    pub async fn drive(&self, lease: Lease, setup: Setup) -> Result<Driven, SetupError> {
        self.drive_unless(lease, setup, || false).await
    }

    /// As [`drive`](Self::drive), by a runner that may have to end: once `ends` says so, no further step is begun outside,
    /// and the setup is due at once, for somebody else. A step that is under way is finished first, since nobody could know
    /// what became of it.
    ///
    /// # Errors
    /// As [`drive`](Self::drive).
    pub async fn drive_unless(
        &self,
        lease: Lease,
        setup: Setup,
        ends: impl Fn() -> bool + Send + Sync,
    ) -> Result<Driven, SetupError> {
        let mut work = Work { lease, setup, unwritten: None };
        match self.drive_on(&mut work, &ends).await {
            // The lease was taken over, since we were too slow.
            Err(SetupError::Store(guiche_kernel::StoreError::Conflict)) => Ok(Driven::Lost),
            driven => driven,
        }
    }

    async fn drive_on(
        &self,
        work: &mut Work,
        ends: &(impl Fn() -> bool + Sync),
    ) -> Result<Driven, SetupError> {
        loop {
            let turn = match plan::next(&work.setup) {
                Next::Make(_) | Next::Undo(_) if ends() => Turn::Rest(self.now()),
                Next::Make(step) => self.make(work, step).await?,
                Next::Undo(record) => self.undo(work, record).await?,
                Next::Complete => match self.services(work) {
                    Ok(services) => {
                        let last = work.unwritten.take();
                        self.ports
                            .store
                            .complete(&work.lease, last.as_slice(), &services, self.now())
                            .await?;
                        return Ok(Driven::Ended(SetupStatus::FullyConfigured));
                    }
                    Err(fault) => Turn::Fail(fault),
                },
                Next::Close(status) => {
                    self.ports.store.close(&work.lease, status, self.now()).await?;
                    return Ok(Driven::Ended(status));
                }
                Next::Nothing => return Ok(Driven::Ended(work.setup.status)),
            };
            match turn {
                Turn::Go => {}
                Turn::Rest(until) => {
                    self.catch_up(work).await?;
                    self.ports.store.rest(&work.lease, until).await?;
                    return Ok(Driven::Resting(until));
                }
                Turn::Fail(fault) => {
                    self.catch_up(work).await?;
                    self.ports.store.roll_back(&work.lease, &fault, self.now()).await?;
                    work.setup.status = SetupStatus::RollingBack;
                    work.setup.fault = Some(fault);
                }
            }
        }
    }

    /// Writes a record, and what is not written yet, at once; and extends the lease.
    async fn write(&self, work: &mut Work, record: StepRecord) -> Result<(), SetupError> {
        let records: Vec<StepRecord> = work.unwritten.take().into_iter().chain([record]).collect();
        self.ports.store.record(&work.lease, &records, self.now() + self.policy.lease).await?;
        records.into_iter().for_each(|record| work.put(record));
        Ok(())
    }

    /// Writes what is not written yet.
    async fn catch_up(&self, work: &mut Work) -> Result<(), SetupError> {
        match work.unwritten.take() {
            Some(record) => self.write(work, record).await,
            None => Ok(()),
        }
    }

    /// The ids of what exists outside under our name for it.
    async fn look_up(&self, work: &Work, attempt: u32, what: Creation) -> Result<Vec<String>, HostError> {
        match what {
            Creation::Node => self.ports.nodes.find_nodes(&work.name(attempt)).await,
            Creation::Store => self.ports.stores.find_stores(&work.name(attempt)).await,
            Creation::Webhook => match work.resource(attempt, Step::StoreCreated) {
                Ok(store) => self.ports.stores.find_webhooks(&store, &self.webhook_url(work.setup.id)).await,
                // Without a store there is nothing on it.
                Err(_) => Ok(Vec::new()),
            },
        }
    }

    /// What the address is served by, from the journal.
    fn services(&self, work: &Work) -> Result<Services, SetupFault> {
        let attempt = work.setup.attempt;
        let wallet: Wallet = self.opened(work, Step::SeedStored)?;
        let node = NodeConfig {
            endpoint: wallet.endpoint,
            seed: wallet.seed,
            password: wallet.password,
            admin: self.opened::<Macaroon>(work, Step::WalletInitialised)?,
            receive: self.opened::<Macaroon>(work, Step::MacaroonBaked)?,
        };
        let store = StoreConfig {
            webhook_id: work.resource(attempt, Step::WebhookRegistered)?,
            webhook_secret: self.opened::<WebhookSecret>(work, Step::WebhookRegistered)?,
        };
        let seal = |place: SecretPlace, bytes: &SecretSlice<u8>| {
            self.ports.vault.seal(place, bytes).map_err(sealing)
        };
        let owner = work.setup.user_id;
        Ok(Services {
            node_id: work.resource(attempt, Step::NodeCreated)?,
            store_id: work.resource(attempt, Step::StoreCreated)?,
            node_config: Some(seal(node_place(owner), &node.to_bytes())?),
            store_config: Some(seal(store_place(owner), &store.to_bytes())?),
        })
    }

    /// What the journal keeps sealed of a step in the present attempt.
    fn opened<D: Document>(&self, work: &Work, step: Step) -> Result<D, SetupFault> {
        self.opened_of(work, work.setup.attempt, step)
    }

    fn opened_of<D: Document>(&self, work: &Work, attempt: u32, step: Step) -> Result<D, SetupFault> {
        let unreadable = || SetupFault::internal("open_journal");
        let sealed =
            work.of(attempt, step).and_then(|record| record.sealed.as_ref()).ok_or_else(unreadable)?;
        let bytes = self.ports.vault.open(journal_place(work.setup.user_id), sealed).map_err(sealing)?;
        D::from_bytes(&bytes).map_err(|_| unreadable())
    }

    /// Seals what the journal is to keep.
    fn seal_for_journal<D: Document>(
        &self,
        work: &Work,
        document: &D,
    ) -> Result<guiche_kernel::Sealed, SetupFault> {
        self.ports.vault.seal(journal_place(work.setup.user_id), &document.to_bytes()).map_err(sealing)
    }
}

/// The reason is not kept: it names keys.
fn sealing(_: SealError) -> SetupFault {
    SetupFault::internal("use_key_ring")
}

fn not_ready(provider: Provider, operation: &'static str) -> SetupFault {
    HostError::new(provider, operation, FaultKind::NotReady).fault
}

/// A record of the present moment.
fn record(attempt: u32, step: Step, state: StepState, since: Timestamp) -> StepRecord {
    StepRecord { attempt, step, state, resource: None, sealed: None, tries: 0, since }
}
