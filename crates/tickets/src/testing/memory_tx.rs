//! The transaction of the store in memory: what it wrote is seen by nobody else before the commit, and its row locks
//! go with it.

use std::collections::{BTreeMap, BTreeSet};

use async_lock::MutexGuardArc;
use async_trait::async_trait;
use guiche_kernel::{Actor, Locked, StoreError, Tx, UserId};

use super::MemoryStore;
use super::memory::check_owner;
use crate::{
    Claim, ClaimRepository, Invoice, InvoiceStatus, Outbox, PaymentHash, Ticket, TicketEvent, TicketId,
    TicketRepository, TicketTx,
};

pub(super) struct MemoryTx {
    store: MemoryStore,
    actor: Actor,
    locks: BTreeMap<TicketId, MutexGuardArc<()>>,
    /// What this transaction wrote; it sees its own writes.
    written: BTreeMap<TicketId, Ticket>,
    /// Those of `written` that are new.
    inserted: BTreeSet<TicketId>,
    events: Vec<TicketEvent>,
    completed: Vec<(UserId, Claim, TicketId, PaymentHash)>,
}

impl MemoryTx {
    pub(super) const fn new(store: MemoryStore, actor: Actor) -> Self {
        Self {
            store,
            actor,
            locks: BTreeMap::new(),
            written: BTreeMap::new(),
            inserted: BTreeSet::new(),
            events: Vec::new(),
            completed: Vec::new(),
        }
    }

    async fn take_row_lock(&mut self, id: TicketId) {
        if !self.locks.contains_key(&id) {
            let guard = self.store.row_lock(id).lock_arc().await;
            self.locks.insert(id, guard);
        }
    }
}

#[async_trait]
impl Tx for MemoryTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let mut state = self.store.lock();
        for ticket in self.written.values() {
            state.check_unique(ticket)?;
        }
        // Two that insert one id wait for each other, unless `open` was faster, which locks nothing.
        if self.inserted.iter().any(|id| state.tickets.contains_key(id)) {
            return Err(StoreError::Duplicate);
        }
        for (owner, claim, ..) in &self.completed {
            state.claims.check_held(*owner, claim)?;
        }
        for (owner, claim, ticket, hash) in &self.completed {
            state.claims.complete(*owner, claim, (*ticket, *hash))?;
        }
        self.written.values().for_each(|ticket| state.put(ticket));
        state.events.extend(self.events);
        Ok(())
    }

    async fn rollback(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

impl TicketTx for MemoryTx {
    fn tickets(&mut self) -> &mut dyn TicketRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
    fn claims(&mut self) -> &mut dyn ClaimRepository {
        self
    }
}

#[async_trait]
impl TicketRepository for MemoryTx {
    async fn insert(&mut self, ticket: &Ticket) -> Result<(), StoreError> {
        check_owner(self.actor, ticket)?;
        // Whoever else inserts this id is waited for, as by a unique index.
        self.take_row_lock(ticket.id()).await;
        let state = self.store.lock();
        if state.tickets.contains_key(&ticket.id()) || self.written.contains_key(&ticket.id()) {
            return Err(StoreError::Duplicate);
        }
        state.check_unique(ticket)?;
        drop(state);
        self.written.insert(ticket.id(), ticket.clone());
        self.inserted.insert(ticket.id());
        Ok(())
    }

    async fn lock(&mut self, id: TicketId) -> Result<Option<Locked<Ticket>>, StoreError> {
        self.take_row_lock(id).await;
        if let Some(own) = self.written.get(&id) {
            let read = Ticket::restore(own.record().clone(), own.invoices().to_vec())?;
            return Ok(Some(Locked::after_row_lock(read)));
        }
        let row = self.store.lock().visible(self.actor, id).cloned();
        row.map(|(record, invoices)| Ticket::restore(record, invoices).map(Locked::after_row_lock))
            .transpose()
    }

    async fn save(&mut self, ticket: &Locked<Ticket>) -> Result<(), StoreError> {
        // A row that somebody else is changing is waited for.
        self.take_row_lock(ticket.id()).await;
        let state = self.store.lock();
        let own = self.written.get(&ticket.id()).map(|own| (own.record(), own.invoices()));
        let visible =
            || state.visible(self.actor, ticket.id()).map(|(record, rows)| (record, rows.as_slice()));
        let (record, invoices) = own.or_else(visible).ok_or(StoreError::Conflict)?;
        let changes = ticket.changes();
        let unchanged = |(old, present): &(InvoiceStatus, &Invoice)| {
            invoices.iter().any(|row| row.payment_hash == present.payment_hash && row.status == *old)
        };
        if record.version != changes.expected_version || !changes.changed_invoices.iter().all(unchanged) {
            return Err(StoreError::Conflict);
        }
        state.check_unique(ticket)?;
        drop(state);
        self.written.insert(ticket.id(), (**ticket).clone());
        Ok(())
    }
}

#[async_trait]
impl Outbox for MemoryTx {
    async fn push(&mut self, events: &[TicketEvent]) -> Result<(), StoreError> {
        self.events.extend_from_slice(events);
        Ok(())
    }
}

#[async_trait]
impl ClaimRepository for MemoryTx {
    async fn complete(
        &mut self,
        claim: &Claim,
        ticket: TicketId,
        invoice: &PaymentHash,
    ) -> Result<(), StoreError> {
        let state = self.store.lock();
        let stored = || state.visible(self.actor, ticket).map(|(record, _)| record.owner);
        let owner = self.written.get(&ticket).map(|own| own.record().owner).or_else(stored);
        let owner = owner.ok_or(StoreError::Conflict)?;
        state.claims.check_held(owner, claim)?;
        drop(state);
        self.completed.push((owner, claim.clone(), ticket, *invoice));
        Ok(())
    }
}
