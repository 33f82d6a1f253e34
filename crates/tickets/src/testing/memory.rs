//! The store in memory: the same promises as the one on PostgreSQL, row locks and isolation of users included.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use guiche_kernel::{Actor, Caller, Epoch, Limit, StoreError, Timestamp, UserId};

use super::memory_claims::Claims;
use super::memory_looks::Looks;
use super::memory_tx::MemoryTx;
use crate::{
    Claim, ClaimOutcome, ClaimRequest, Cursor, DueLook, Fingerprint, IdempotencyKey, Invoice, InvoiceStatus,
    NextLook, PageStart, PaymentHash, Push, PushNoted, RefundDue, Release, Route, Ticket, TicketEvent,
    TicketId, TicketPage, TicketQuery, TicketRecord, TicketStore, TicketSummary, TicketTx,
};

/// A store in memory. Clones share their rows.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    row_locks: Arc<Mutex<HashMap<TicketId, Arc<async_lock::Mutex<()>>>>>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) tickets: BTreeMap<TicketId, (TicketRecord, Vec<Invoice>)>,
    pub(super) events: Vec<TicketEvent>,
    pub(super) claims: Claims,
    pub(super) looks: Looks,
    epochs: HashMap<UserId, Epoch>,
    /// How many more transactions of workers are refused, and with what.
    refused: Option<(u32, fn() -> StoreError)>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an account known, so that its owner can call.
    #[must_use]
    pub fn add_account(&self, user_id: UserId) -> Caller {
        self.lock().epochs.insert(user_id, Epoch::FIRST);
        Caller { user_id, epoch: Epoch::FIRST }
    }

    /// Ends every session of an account, as a password change does.
    pub fn revoke(&self, user_id: UserId) {
        self.lock().epochs.entry(user_id).and_modify(|epoch| *epoch = epoch.next());
    }

    /// Refuses the next so many transactions of workers, as a store does that is damaged or away.
    pub fn refuse_workers(&self, transactions: u32, refusal: fn() -> StoreError) {
        self.lock().refused = Some((transactions, refusal));
    }

    /// Every event that was committed, in order.
    #[must_use]
    pub fn events(&self) -> Vec<TicketEvent> {
        self.lock().events.clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn row_lock(&self, id: TicketId) -> Arc<async_lock::Mutex<()>> {
        let mut locks = self.row_locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(id).or_default())
    }
}

impl State {
    fn admit(&self, actor: Actor) -> Result<(), StoreError> {
        match actor {
            Actor::User(caller) if self.epochs.get(&caller.user_id) != Some(&caller.epoch) => {
                Err(StoreError::Revoked)
            }
            Actor::User(_) | Actor::Worker => Ok(()),
        }
    }

    pub(super) fn visible(&self, actor: Actor, id: TicketId) -> Option<&(TicketRecord, Vec<Invoice>)> {
        self.tickets.get(&id).filter(|(record, _)| match actor {
            Actor::User(caller) => record.owner == caller.user_id,
            Actor::Worker => true,
        })
    }

    /// The unique indexes: payment hash, provider's id, one open invoice per ticket.
    pub(super) fn check_unique(&self, ticket: &Ticket) -> Result<(), StoreError> {
        let mine = |id: &TicketId| *id == ticket.id();
        let others = self.tickets.iter().filter(|(id, _)| !mine(id)).flat_map(|(_, (_, invoices))| invoices);
        let mut rows = others.chain(ticket.invoices());
        let (mut hashes, mut ids) = (HashSet::new(), HashSet::new());
        let clashes = rows.any(|row| !hashes.insert(row.payment_hash) || !ids.insert(&row.id));
        let open = ticket.invoices().iter().filter(|invoice| invoice.status == InvoiceStatus::Open).count();
        if clashes || open > 1 { Err(StoreError::Duplicate) } else { Ok(()) }
    }

    pub(super) fn put(&mut self, ticket: &Ticket) {
        let before = self.tickets.insert(ticket.id(), (ticket.record().clone(), ticket.invoices().to_vec()));
        self.looks.stored(&before.map(|(_, invoices)| invoices).unwrap_or_default(), ticket.invoices());
    }
}

#[async_trait]
impl TicketStore for MemoryStore {
    async fn begin(&self, actor: Actor) -> Result<Box<dyn TicketTx>, StoreError> {
        let mut state = self.lock();
        state.admit(actor)?;
        if actor == Actor::Worker
            && let Some((left @ 1.., refusal)) = &mut state.refused
        {
            *left -= 1;
            return Err(refusal());
        }
        drop(state);
        Ok(Box::new(MemoryTx::new(self.clone(), actor)))
    }

    async fn open(
        &self,
        caller: Caller,
        ticket: &Ticket,
        events: &[TicketEvent],
        claim: Option<&Claim>,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.admit(caller.into())?;
        check_owner(caller.into(), ticket)?;
        if state.tickets.contains_key(&ticket.id()) {
            return Err(StoreError::Duplicate);
        }
        state.check_unique(ticket)?;
        if let (Some(claim), Some(invoice)) = (claim, ticket.invoices().first()) {
            state.claims.complete(caller.user_id, claim, (ticket.id(), invoice.payment_hash))?;
        }
        state.put(ticket);
        state.events.extend_from_slice(events);
        Ok(())
    }

    async fn claim(&self, caller: Caller, request: &ClaimRequest) -> Result<ClaimOutcome, StoreError> {
        let mut state = self.lock();
        state.admit(caller.into())?;
        Ok(state.claims.claim(caller.user_id, request))
    }

    async fn find_done(
        &self,
        caller: Caller,
        route: Route,
        key: &IdempotencyKey,
        fingerprint: &Fingerprint,
    ) -> Result<Option<(TicketId, PaymentHash)>, StoreError> {
        let state = self.lock();
        state.admit(caller.into())?;
        Ok(state.claims.find_done(&(caller.user_id, route, key.clone()), fingerprint))
    }

    async fn release(&self, caller: Caller, claim: &Claim, how: Release) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.admit(caller.into())?;
        state.claims.release(caller.user_id, claim, how);
        Ok(())
    }

    async fn find(&self, actor: Actor, id: TicketId) -> Result<Option<Ticket>, StoreError> {
        let state = self.lock();
        state.admit(actor)?;
        state
            .visible(actor, id)
            .cloned()
            .map(|(record, invoices)| Ticket::restore(record, invoices))
            .transpose()
    }

    async fn ticket_of(&self, actor: Actor, hash: &PaymentHash) -> Result<Option<TicketId>, StoreError> {
        let state = self.lock();
        state.admit(actor)?;
        let has = |invoices: &[Invoice]| invoices.iter().any(|invoice| invoice.payment_hash == *hash);
        let found = state.tickets.iter().find(|(_, (_, invoices))| has(invoices)).map(|(id, _)| *id);
        Ok(found.filter(|id| state.visible(actor, *id).is_some()))
    }

    async fn list(&self, caller: Caller, query: &TicketQuery) -> Result<TicketPage, StoreError> {
        let state = self.lock();
        state.admit(caller.into())?;
        let own = state.tickets.values().filter(|(record, _)| {
            record.owner == caller.user_id && query.status.is_none_or(|status| status == record.status)
        });
        let mut own: Vec<TicketSummary> = own.map(summary).collect::<Result<_, _>>()?;
        own.sort_by_key(|ticket| std::cmp::Reverse((ticket.created_at, ticket.id)));
        let total = u32::try_from(own.len()).ok().filter(|total| *total <= TicketPage::COUNTED_UP_TO);
        let skip = match query.start {
            PageStart::Newest => 0,
            PageStart::Offset(rows) => usize::try_from(rows).unwrap_or(usize::MAX),
            PageStart::After(cursor) => own
                .iter()
                .filter(|ticket| (ticket.created_at, ticket.id) >= (cursor.created_at, cursor.id))
                .count(),
        };
        let limit = usize::from(query.limit.get());
        let more = own.len() > skip.saturating_add(limit);
        let tickets: Vec<TicketSummary> = own.into_iter().skip(skip).take(limit).collect();
        let next =
            tickets.last().filter(|_| more).map(|last| Cursor { created_at: last.created_at, id: last.id });
        Ok(TicketPage { tickets, total, next })
    }

    async fn claim_looks(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        most: u16,
    ) -> Result<Vec<DueLook>, StoreError> {
        Ok(self.lock().claim_looks(now, leased_until, most))
    }

    async fn reschedule(&self, leased_until: Timestamp, looks: &[NextLook]) -> Result<(), StoreError> {
        self.lock().reschedule(leased_until, looks);
        Ok(())
    }

    async fn note_push(&self, push: &Push) -> Result<PushNoted, StoreError> {
        Ok(self.lock().note_push(push))
    }

    async fn list_unpaid(
        &self,
        since: Timestamp,
        after: Option<(Timestamp, PaymentHash)>,
        limit: Limit,
    ) -> Result<Vec<DueLook>, StoreError> {
        Ok(self.lock().list_unpaid(since, after, limit))
    }

    async fn count_unpaid(&self, since: Timestamp) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.lock().count_unpaid(since)).unwrap_or(u64::MAX))
    }

    async fn list_refunds(
        &self,
        after: Option<(Timestamp, PaymentHash)>,
        limit: Limit,
    ) -> Result<Vec<RefundDue>, StoreError> {
        Ok(self.lock().list_refunds(after, limit))
    }

    async fn count_refunds(&self) -> Result<Vec<(InvoiceStatus, u64)>, StoreError> {
        Ok(self.lock().count_refunds())
    }

    async fn prune_claims(&self, before: Timestamp) -> Result<u64, StoreError> {
        Ok(self.lock().claims.prune(before))
    }

    async fn prune_pushes(&self, before: Timestamp) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.lock().looks.prune_pushes(before)).unwrap_or(u64::MAX))
    }
}

/// What row-level security refuses: a row in somebody else's name.
pub(super) fn check_owner(actor: Actor, ticket: &Ticket) -> Result<(), StoreError> {
    match actor {
        Actor::User(caller) if caller.user_id != ticket.record().owner => {
            Err(StoreError::corrupt("a ticket in somebody else's name"))
        }
        Actor::User(_) | Actor::Worker => Ok(()),
    }
}

fn summary((record, invoices): &(TicketRecord, Vec<Invoice>)) -> Result<TicketSummary, StoreError> {
    let ticket = Ticket::restore(record.clone(), invoices.clone())?;
    Ok(TicketSummary {
        id: record.id,
        operation_id: record.operation_id,
        operation_name: record.operation_name.clone(),
        status: record.status,
        amount: record.amount,
        created_at: record.created_at,
        expires_at: ticket.expires_at().ok_or_else(|| StoreError::corrupt("a ticket without an invoice"))?,
        paid_at: ticket.paid_at(),
    })
}
