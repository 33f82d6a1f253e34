//! What the money path needs from outside. Adapters implement these traits and pass the suites in `testing::contract`.
//!
//! To add a repository: a trait and an accessor here, the memory version, contract cases, then the Postgres version.

use std::time::Duration;

use async_trait::async_trait;
use guiche_kernel::{Actor, BoxError, Caller, ErrorKind, Limit, Locked, Sats, StoreError, Timestamp, Tx};
use uuid::Uuid;

use crate::{
    CatalogueEntry, Claim, ClaimOutcome, ClaimRequest, DueLook, Fingerprint, IdempotencyKey, InvoiceId,
    InvoiceStatus, NewOperation, NextLook, Operation, OperationId, OperationName, PaymentHash, Push,
    PushNoted, RefundDue, Release, Route, Ticket, TicketEvent, TicketId, TicketStatus,
};

/// The operations that the office offers. Everybody may read them.
#[async_trait]
pub trait OperationCatalogue: Send + Sync {
    /// Every active operation, in the order of their ids.
    async fn list(&self) -> Result<Vec<Operation>, StoreError>;
    /// An active operation; `None` when there is none, or it is no longer offered.
    async fn find(&self, id: OperationId) -> Result<Option<Operation>, StoreError>;
    /// As [`find`](Self::find), by its machine name.
    async fn find_by_name(&self, name: &str) -> Result<Option<Operation>, StoreError>;
}

/// Changes the catalogue: the office's own hand, never a request from outside. What the catalogue offers changes with the commit.
#[async_trait]
pub trait CatalogueEditor: Send + Sync {
    /// Every operation, also those that are no longer offered, in the order of their ids.
    async fn entries(&self) -> Result<Vec<CatalogueEntry>, StoreError>;
    /// Offers an operation under a number that none had before. Of any number of calls at once each gets its own.
    ///
    /// [`StoreError::Duplicate`] when the name was ever given, also to one that is no longer offered; then nothing changed.
    async fn add(&self, new: &NewOperation) -> Result<OperationId, StoreError>;
    /// Offers the operation again, or no longer; `false` when nothing has that name. Idempotent. Tickets that were opened
    /// stay what they are.
    async fn set_active(&self, name: &OperationName, active: bool) -> Result<bool, StoreError>;
}

/// Where tickets are kept. A caller sees and changes only their own rows, whatever is asked: somebody else's ticket does
/// not exist for them. A caller whose epoch is not the account's present one gets [`StoreError::Revoked`] from every method.
#[async_trait]
pub trait TicketStore: Send + Sync {
    /// Opens a transaction on behalf of the actor.
    async fn begin(&self, actor: Actor) -> Result<Box<dyn TicketTx>, StoreError>;

    /// Stores a new ticket with its first invoice and its events, and completes the claim: atomically, in one commit.
    ///
    /// [`StoreError::Duplicate`] when the ticket or an invoice with that payment hash exists; [`StoreError::Conflict`]
    /// when the claim is not (or no longer) held under its subject; [`StoreError::Corrupt`] when the ticket's owner is
    /// not the caller, which is a defect of the program. Then nothing was written.
    async fn open(
        &self,
        caller: Caller,
        ticket: &Ticket,
        events: &[TicketEvent],
        claim: Option<&Claim>,
    ) -> Result<(), StoreError>;

    /// Claims an idempotency key in a commit of its own. Of any number of simultaneous requests exactly one gets
    /// [`ClaimOutcome::Mine`]; a claim whose time ran out is taken over under the subject that was chosen first
    /// (but see [`ClaimRequest::renew_before`]).
    ///
    /// Another fingerprint is a [`ClaimOutcome::Mismatch`] while the claim is held, and once it is completed. A claim
    /// that ran out without a result binds nobody: another request takes it over with its own fingerprint, subject and
    /// moment, as if the key were new.
    async fn claim(&self, caller: Caller, request: &ClaimRequest) -> Result<ClaimOutcome, StoreError>;

    /// The ticket and the invoice that were made under a key for this very request; `None` as long as there are none,
    /// and for another fingerprint. A reading: no claim is made, taken over or touched by it.
    async fn find_done(
        &self,
        caller: Caller,
        route: Route,
        key: &IdempotencyKey,
        fingerprint: &Fingerprint,
    ) -> Result<Option<(TicketId, PaymentHash)>, StoreError>;

    /// Gives a claim back without a result. Does nothing unless it is uncompleted and stored with the same subject *and*
    /// the same [`Claim::claimed_until`]: whoever was too slow must not give away the claim of who took it over.
    async fn release(&self, caller: Caller, claim: &Claim, how: Release) -> Result<(), StoreError>;

    /// A ticket with its invoices, as one consistent reading.
    async fn find(&self, actor: Actor, id: TicketId) -> Result<Option<Ticket>, StoreError>;

    /// Which ticket an invoice belongs to.
    async fn ticket_of(&self, actor: Actor, hash: &PaymentHash) -> Result<Option<TicketId>, StoreError>;

    /// A page of the caller's tickets, newest first.
    async fn list(&self, caller: Caller, query: &TicketQuery) -> Result<TicketPage, StoreError>;

    /// For workers: unpaid invoices whose next look is due at `now`, the longest due first. Each is leased: no other
    /// call gets it before `leased_until`, so any number of processes share the work, and what a dead one held comes
    /// back by itself. Without [`reschedule`](Self::reschedule) the next look is due when the lease ends.
    ///
    /// An invoice is first due [`watch::FIRST_LOOK`](crate::watch::FIRST_LOOK) after its issue, and never again once
    /// money came in on it.
    async fn claim_looks(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        most: u16,
    ) -> Result<Vec<DueLook>, StoreError>;

    /// For workers: sets the next looks of invoices that were claimed with this `leased_until`. Whoever lost the lease
    /// meanwhile, or was paid, or was [expedited](Self::note_push), keeps what it has.
    async fn reschedule(&self, leased_until: Timestamp, looks: &[NextLook]) -> Result<(), StoreError>;

    /// For workers: notes a provider's push under its own id, and makes the next look at the invoice due at once. It is
    /// a hint: nothing else changes.
    async fn note_push(&self, push: &Push) -> Result<PushNoted, StoreError>;

    /// For workers: unpaid invoices issued at `since` or later, oldest first, after the one given: for a look at all of
    /// them, whatever their age.
    async fn list_unpaid(
        &self,
        since: Timestamp,
        after: Option<(Timestamp, PaymentHash)>,
        limit: Limit,
    ) -> Result<Vec<DueLook>, StoreError>;

    /// For workers: how many [`list_unpaid`](Self::list_unpaid) would give in all.
    async fn count_unpaid(&self, since: Timestamp) -> Result<u64, StoreError>;

    /// For workers: money that must go back and has not yet, oldest first, after the one given.
    async fn list_refunds(
        &self,
        after: Option<(Timestamp, PaymentHash)>,
        limit: Limit,
    ) -> Result<Vec<RefundDue>, StoreError>;

    /// For workers: how many [`list_refunds`](Self::list_refunds) would give in all, by their reasons; a reason that none
    /// has is left out.
    async fn count_refunds(&self) -> Result<Vec<(InvoiceStatus, u64)>, StoreError>;

    /// For workers: forgets idempotency claims last touched (claimed or taken over) before the given moment; returns how
    /// many.
    async fn prune_claims(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// For workers: forgets pushes noted before the given moment; returns how many.
    async fn prune_pushes(&self, before: Timestamp) -> Result<u64, StoreError>;
}

/// An open transaction with its repositories.
pub trait TicketTx: Tx {
    /// Tickets and their invoices.
    fn tickets(&mut self) -> &mut dyn TicketRepository;
    /// Events that become visible with the commit.
    fn outbox(&mut self) -> &mut dyn Outbox;
    /// Idempotency claims.
    fn claims(&mut self) -> &mut dyn ClaimRepository;
}

/// Tickets inside a transaction.
#[async_trait]
pub trait TicketRepository: Send {
    /// Stores a new ticket with its invoices. A [`StoreError::Duplicate`] writes nothing and MUST NOT poison the
    /// transaction. Of two transactions that insert one id at most one commits; the other gets the duplicate here or
    /// from the commit. A ticket that is somebody else's than the actor's is [`StoreError::Corrupt`], as in
    /// [`TicketStore::open`], after which the transaction can only be rolled back.
    async fn insert(&mut self, ticket: &Ticket) -> Result<(), StoreError>;
    /// Reads a ticket under its row lock, waiting for whoever holds it; `None` when there is none that the actor may see.
    async fn lock(&mut self, id: TicketId) -> Result<Option<Locked<Ticket>>, StoreError>;
    /// Writes [`Ticket::changes`]: a compare-and-set on the version and on the status of each changed invoice, all or
    /// nothing ([`StoreError::Conflict`]). [`StoreError::Duplicate`] when a new invoice's payment hash exists or the
    /// ticket would have two open invoices. Neither poisons the transaction.
    async fn save(&mut self, ticket: &Locked<Ticket>) -> Result<(), StoreError>;
}

/// Events inside a transaction: who is to know is told by others later, from what was committed.
#[async_trait]
pub trait Outbox: Send {
    /// Adds events to the commit.
    async fn push(&mut self, events: &[TicketEvent]) -> Result<(), StoreError>;
}

/// Claims inside a transaction.
#[async_trait]
pub trait ClaimRepository: Send {
    /// Completes a claim of the ticket's owner with its result, whoever the actor is; [`StoreError::Conflict`] when it is
    /// not held under its subject any more, or the actor sees no such ticket.
    async fn complete(
        &mut self,
        claim: &Claim,
        ticket: TicketId,
        invoice: &PaymentHash,
    ) -> Result<(), StoreError>;
}

/// Which tickets, and from where.
#[derive(Debug, Clone, Default)]
pub struct TicketQuery {
    /// Only tickets that stand here.
    pub status: Option<TicketStatus>,
    /// How many at most.
    pub limit: Limit,
    /// Where the page starts.
    pub start: PageStart,
}

/// Where a page starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PageStart {
    /// With the newest ticket.
    #[default]
    Newest,
    /// After the ticket at which the page before ended; exact under concurrent inserts.
    After(Cursor),
    /// After so many tickets; for old clients, its cost grows with the number.
    Offset(u32),
}

/// The place of a ticket in the list, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// When the ticket was opened.
    pub created_at: Timestamp,
    /// The ticket.
    pub id: TicketId,
}

/// A ticket as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketSummary {
    /// Identifies it.
    pub id: TicketId,
    /// What was bought.
    pub operation_id: OperationId,
    /// The operation's name at the opening.
    pub operation_name: String,
    /// Where it stands.
    pub status: TicketStatus,
    /// Its price.
    pub amount: Sats,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When its current invoice runs out (or ran out).
    pub expires_at: Timestamp,
    /// When the payment that counts was made.
    pub paid_at: Option<Timestamp>,
}

/// One page of tickets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketPage {
    /// The tickets, newest first.
    pub tickets: Vec<TicketSummary>,
    /// How many there are with that status: exact up to [`TicketPage::COUNTED_UP_TO`], `None` beyond.
    pub total: Option<u32>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<Cursor>,
}

impl TicketPage {
    /// Beyond this many tickets nobody counts.
    pub const COUNTED_UP_TO: u32 = 10_000;
}

/// A request for an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvoice {
    /// The idempotency key at the provider.
    pub key: Uuid,
    /// The exact amount.
    pub amount: Sats,
    /// At most 639 bytes of UTF-8 (BOLT11 field `d`); nothing personal, it travels in plain sight.
    pub description: String,
    /// The moment of the request; the same for every attempt under one key.
    pub requested_at: Timestamp,
    /// How long it can be paid, from `requested_at`.
    pub lifetime: Duration,
}

/// What a provider answers to a [`NewInvoice`]; nothing of it is believed before the guard has seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedInvoice {
    /// The provider's name for the invoice.
    pub id: InvoiceId,
    /// The BOLT11 string.
    pub bolt11: String,
    /// The payment hash that the provider names.
    pub payment_hash: PaymentHash,
}

/// What a provider knows of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderStatus {
    /// Not paid. Whatever the provider says about expiry, we go by the BOLT11's own.
    Unpaid,
    /// Money is on its way and not there yet; the ticket must not be expired or cancelled meanwhile.
    InFlight,
    /// Paid, at the given moment if the provider tells it.
    Paid {
        /// The provider's moment of payment.
        paid_at: Option<Timestamp>,
    },
}

/// The Lightning provider. Calls may fail after they took effect: whoever gets no answer asks again, and never guesses.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait InvoiceGateway: Send + Sync {
    /// Issues a BOLT11 invoice. Idempotent on `request.key`: the same request MUST yield the same invoice.
    async fn issue(&self, request: NewInvoice) -> Result<IssuedInvoice, GatewayError>;
    /// The authoritative status. `Ok(None)`: the provider has never seen this invoice (which is never "paid").
    async fn status(&self, id: &InvoiceId) -> Result<Option<ProviderStatus>, GatewayError>;
}

/// Why the provider did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// It answered, and refused.
    #[error("the invoice provider refused")]
    Rejected(#[source] BoxError),
    /// It could not be reached, did not answer in time, or its answer was lost: what it did is unknown.
    #[error("the invoice provider is unavailable")]
    Unavailable(#[source] BoxError),
    /// It answered nonsense, e.g. an invoice that the guard refused.
    #[error("the invoice provider answered nonsense")]
    Nonsense(#[source] BoxError),
}

impl GatewayError {
    /// The kind of this refusal.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Rejected(_) | Self::Nonsense(_) => ErrorKind::BadGateway,
            Self::Unavailable(_) => ErrorKind::Unavailable,
        }
    }
}
