//! The transaction of the store in memory: what it wrote is seen by nobody else before the commit, and its row locks
//! go with it.

use std::collections::BTreeMap;

use async_lock::MutexGuardArc;
use async_trait::async_trait;
use guiche_kernel::{Actor, Locked, StoreError, Tx};

use super::MemoryStore;
use crate::{
    Claim, ClaimRepository, Outbox, PaymentHash, Ticket, TicketEvent, TicketId, TicketRepository, TicketTx,
};

pub(super) struct MemoryTx {
    store: MemoryStore,
    actor: Actor,
    locks: BTreeMap<TicketId, MutexGuardArc<()>>,
    /// What this transaction wrote; it sees its own writes.
    written: BTreeMap<TicketId, Ticket>,
    events: Vec<TicketEvent>,
    completed: Vec<(Claim, TicketId, PaymentHash)>,
}

impl MemoryTx {
    pub(super) const fn new(store: MemoryStore, actor: Actor) -> Self {
        Self {
            store,
            actor,
            locks: BTreeMap::new(),
            written: BTreeMap::new(),
            events: Vec::new(),
            completed: Vec::new(),
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
        if let Actor::User(caller) = self.actor {
            for (claim, ticket, hash) in &self.completed {
                state.complete(caller.user_id, claim, (*ticket, *hash))?;
            }
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
        let state = self.store.lock();
        if state.tickets.contains_key(&ticket.id()) || self.written.contains_key(&ticket.id()) {
            return Err(StoreError::Duplicate);
        }
        state.check_unique(ticket)?;
        drop(state);
        self.written.insert(ticket.id(), ticket.clone());
        Ok(())
    }

    async fn lock(&mut self, id: TicketId) -> Result<Option<Locked<Ticket>>, StoreError> {
        if !self.locks.contains_key(&id) {
            let guard = self.store.row_lock(id).lock_arc().await;
            self.locks.insert(id, guard);
        }
        if let Some(own) = self.written.get(&id) {
            let read = Ticket::restore(own.record().clone(), own.invoices().to_vec())?;
            return Ok(Some(Locked::after_row_lock(read)));
        }
        let row = self.store.lock().visible(self.actor, id).cloned();
        row.map(|(record, invoices)| Ticket::restore(record, invoices).map(Locked::after_row_lock))
            .transpose()
    }

    async fn save(&mut self, ticket: &Locked<Ticket>) -> Result<(), StoreError> {
        let state = self.store.lock();
        let own = self.written.get(&ticket.id()).map(|own| own.record().version);
        let stored = own.or_else(|| state.visible(self.actor, ticket.id()).map(|(record, _)| record.version));
        if stored != Some(ticket.changes().expected_version) {
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
        if let Actor::User(caller) = self.actor {
            self.store.lock().check_held(caller.user_id, claim)?;
        }
        self.completed.push((claim.clone(), ticket, *invoice));
        Ok(())
    }
}
