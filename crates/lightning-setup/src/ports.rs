//! Where setups are kept.

use std::num::NonZeroU16;

use async_trait::async_trait;
use guiche_kernel::{Caller, Limit, StoreError, Timestamp};

use crate::drift::Kind;
use crate::{
    AddressInvoice, AuditEntry, AuditRow, LightningAddress, Services, Setup, SetupFault, SetupId,
    SetupStatus, StepRecord,
};

/// What begins an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// The id of the setup, if a new one is needed.
    pub id: SetupId,
    /// The address that is wanted.
    pub address: LightningAddress,
    /// Now.
    pub now: Timestamp,
    /// Reservations of failed setups older than this are void.
    pub reserved_since: Timestamp,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// An attempt has begun: a new setup, or another attempt of the person's own one with that address.
    Started(Box<Setup>),
    /// One of the person's is under way, being undone included; nothing changed.
    Running(Box<Setup>),
    /// The person has an active address; nothing changed.
    Complete(Box<Setup>),
    /// The name is somebody else's, or reserved by somebody else; nothing changed.
    Taken,
}

/// The right to work on a setup: until its time runs out, or somebody else takes it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The setup.
    pub setup: SetupId,
    /// Which claim this is: each has a number of its own.
    pub run: i64,
}

/// An address that is served: what a public route may know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedAddress {
    /// The setup.
    pub id: SetupId,
    /// The address.
    pub address: LightningAddress,
    /// The store behind it.
    pub store_id: String,
}

/// Where setups are kept, with their journal and the audit trail.
///
/// A caller sees and changes only their own: somebody else's setup does not exist for them. A caller whose epoch is not
/// the account's present one gets [`StoreError::Revoked`]. Every method is one commit, and the audit row that goes with
/// it is in that commit. Methods that take a [`Lease`] answer [`StoreError::Conflict`], and change nothing, when the
/// lease is not the setup's present one any more.
#[async_trait]
pub trait SetupStore: Send + Sync {
    /// Begins an attempt: reserves the address, raises the attempt, and makes the setup due at once.
    ///
    /// Of any number of calls at once for one person, exactly one gets [`Begun::Started`]; likewise for one name of
    /// several persons. A name that was ever active is its owner's for ever; the reservation of one that was not is void
    /// once its setup failed (or was removed) before `reserved_since`. Another setup of the person's that failed stays as
    /// it is. A new attempt has no fault and no services yet. [`StoreError::Duplicate`] when the id is another setup's.
    async fn begin(&self, caller: Caller, begin: &Begin) -> Result<Begun, StoreError>;

    /// The person's present setup: the one whose attempt began last.
    async fn find(&self, caller: Caller) -> Result<Option<Setup>, StoreError>;

    /// Begins the teardown of the person's present setup, if it stands in one of `from`: its goal becomes
    /// [`Goal::TearDown`](crate::Goal::TearDown), its status [`SetupStatus::RollingBack`], the address is served no
    /// longer, orphaned steps are undone once more, and it is due at once: whoever held it has lost it. `None` when it
    /// stands elsewhere, or is not the present one.
    async fn tear_down(
        &self,
        caller: Caller,
        id: SetupId,
        from: &[SetupStatus],
        now: Timestamp,
    ) -> Result<Option<Setup>, StoreError>;

    /// The person's audit trail, newest first, before the given row.
    async fn log(
        &self,
        caller: Caller,
        before: Option<i64>,
        limit: Limit,
    ) -> Result<Vec<AuditRow>, StoreError>;

    /// For workers: takes setups that are due, the longest due first, each under a new lease.
    async fn claim(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        most: NonZeroU16,
    ) -> Result<Vec<(Lease, Setup)>, StoreError>;

    /// For workers: as [`claim`](Self::claim), one by its id, if it is running and nobody holds it, due or not.
    async fn claim_one(
        &self,
        id: SetupId,
        now: Timestamp,
        leased_until: Timestamp,
    ) -> Result<Option<(Lease, Setup)>, StoreError>;

    /// For workers: writes records, each of another step (in the place of the one of that attempt and step), all of them
    /// or none, and extends the lease. What was sealed there stays when the new record has nothing sealed: a seed outlives
    /// its node.
    async fn record(
        &self,
        lease: &Lease,
        records: &[StepRecord],
        leased_until: Timestamp,
    ) -> Result<(), StoreError>;

    /// For workers: turns from making to undoing because of a fault; or, while undoing, tells why something had to be left.
    async fn roll_back(&self, lease: &Lease, fault: &SetupFault, now: Timestamp) -> Result<(), StoreError>;

    /// For workers: writes the last records, as [`record`](Self::record) does, and what the address is served by, makes it
    /// active, and gives the lease back; all of it or nothing. [`StoreError::Duplicate`] when the person has another active
    /// address.
    async fn complete(
        &self,
        lease: &Lease,
        last: &[StepRecord],
        services: &Services,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// For workers: ends the undoing in one of [`SetupStatus::Failed`], [`NeedsAttention`](SetupStatus::NeedsAttention),
    /// [`Removed`](SetupStatus::Removed), and gives the lease back. Of a removed one the services are forgotten; what is
    /// sealed in the journal stays, since a seed outlives its node.
    async fn close(&self, lease: &Lease, status: SetupStatus, now: Timestamp) -> Result<(), StoreError>;

    /// For workers: gives the lease back until the given moment.
    async fn rest(&self, lease: &Lease, due_at: Timestamp) -> Result<(), StoreError>;

    /// For workers: a setup, whoever it belongs to.
    async fn get(&self, id: SetupId) -> Result<Option<Setup>, StoreError>;

    /// For workers: setups in the order of their ids, after the one given.
    async fn list(&self, after: Option<SetupId>, limit: Limit) -> Result<Vec<Setup>, StoreError>;

    /// For workers: how many setups stand in each status; those that none does are left out.
    async fn count(&self) -> Result<Vec<(SetupStatus, u64)>, StoreError>;

    /// For workers: writes what an operator did or found, in the audit trail and in the journal. [`StoreError::Conflict`]
    /// when it does not fit what is stored: no such setup or orphan, an address that is not active, a step that is known.
    async fn amend(&self, amendment: &Amendment, now: Timestamp) -> Result<(), StoreError>;
}

/// What an operator changes by hand after having looked outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amendment {
    /// Nothing of this orphan exists any more. A setup whose last orphan this was has failed, or is removed.
    Resolved {
        /// The setup.
        setup: SetupId,
        /// Its attempt and step.
        record: StepRecord,
    },
    /// The services of an active setup that had none written down (rows of an older program), or wrong ones.
    Repaired {
        /// The setup.
        setup: SetupId,
        /// What serves it.
        node_id: Option<String>,
        /// What serves it.
        store_id: Option<String>,
    },
    /// Something outside that no row knew is this setup's: it is written down as an orphan, to be undone. A setup that had
    /// ended needs attention from then on.
    Adopted {
        /// The setup.
        setup: SetupId,
        /// Its attempt and step.
        record: StepRecord,
    },
    /// Something that was ordered for this setup is about to be destroyed. Nothing of the setup changes, and there need not
    /// be one: then the row is nobody's.
    Destroying {
        /// The setup.
        setup: SetupId,
        /// What it is.
        kind: Kind,
    },
    /// Somebody is about to see the seeds of this setup. Nothing of the setup changes.
    SeedShown {
        /// The setup.
        setup: SetupId,
    },
}

/// Addresses as strangers see them, and their invoices.
#[async_trait]
pub trait AddressBook: Send + Sync {
    /// An active address; `None` for every other.
    async fn served(&self, address: &LightningAddress) -> Result<Option<ServedAddress>, StoreError>;

    /// Keeps an invoice of an address. [`StoreError::Duplicate`] when its payment hash is known.
    async fn keep_invoice(&self, invoice: &AddressInvoice) -> Result<(), StoreError>;

    /// An invoice by its payment hash (32 bytes).
    async fn invoice(&self, payment_hash: &[u8; 32]) -> Result<Option<AddressInvoice>, StoreError>;

    /// Notes that an invoice was paid; the first moment stays.
    async fn settle_invoice(&self, payment_hash: &[u8; 32], paid_at: Timestamp) -> Result<(), StoreError>;

    /// Notes a store's message under its own id, and that the store was heard of; `false` when it came before.
    async fn note_delivery(&self, id: SetupId, delivery: &str, now: Timestamp) -> Result<bool, StoreError>;

    /// Forgets invoices that ran out, unpaid, and messages that came before the given moment; how many.
    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError>;
}

/// The audit trail as a whole: for the operator.
#[async_trait]
pub trait AuditTrail: Send + Sync {
    /// Rows in their order, after the given one.
    async fn rows(&self, after: Option<i64>, limit: Limit) -> Result<Vec<AuditEntry>, StoreError>;

    /// What the head of the chain says: the last row's number and hash; `None` before the first row.
    async fn head(&self) -> Result<Option<(i64, [u8; 32])>, StoreError>;
}
