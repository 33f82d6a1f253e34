//! The points around the ports of the money path.

use std::sync::Arc;

use async_trait::async_trait;
use guiche_kernel::{Actor, Caller, Limit, Locked, StoreError, Timestamp, Tx};
use guiche_tickets::{
    Claim, ClaimOutcome, ClaimRepository, ClaimRequest, DueLook, Fingerprint, GatewayError, IdempotencyKey,
    InvoiceGateway, InvoiceId, InvoiceStatus, IssuedInvoice, NewInvoice, NextLook, Outbox, PaymentHash,
    ProviderStatus, Push, PushNoted, RefundDue, Release, Route, Ticket, TicketEvent, TicketId, TicketPage,
    TicketPorts, TicketQuery, TicketRepository, TicketStore, TicketTx,
};

use super::{Call, FailPoints, Plant};

pub(super) fn around(points: &Arc<FailPoints>, ports: TicketPorts) -> TicketPorts {
    let gateway = |inner| Arc::new(Gateway { inner, points: Arc::clone(points), ids: ports.ids.clone() });
    let (provider, payer) = (gateway(ports.provider), gateway(ports.payer));
    let store = Arc::new(Store { inner: ports.store, points: Arc::clone(points) });
    TicketPorts { store, provider, payer, ..ports }
}

struct Gateway {
    inner: Arc<dyn InvoiceGateway>,
    points: Arc<FailPoints>,
    ids: guiche_kernel::Ids,
}

#[async_trait]
impl InvoiceGateway for Gateway {
    async fn issue(&self, mut request: NewInvoice) -> Result<IssuedInvoice, GatewayError> {
        if self.points.has(Plant::FreshKeyAtEveryAttempt) {
            request.key = self.ids.uuid();
        }
        self.points.around(Call::Issue, self.inner.issue(request)).await
    }

    async fn status(&self, id: &InvoiceId) -> Result<Option<ProviderStatus>, GatewayError> {
        self.points.around(Call::Status, self.inner.status(id)).await
    }
}

struct Store {
    inner: Arc<dyn TicketStore>,
    points: Arc<FailPoints>,
}

#[async_trait]
impl TicketStore for Store {
    async fn begin(&self, actor: Actor) -> Result<Box<dyn TicketTx>, StoreError> {
        let inner = self.points.around(Call::Begin, self.inner.begin(actor)).await?;
        let (points, store) = (Arc::clone(&self.points), Arc::clone(&self.inner));
        Ok(Box::new(PointedTx { inner, points, store, actor, held_back: Vec::new() }))
    }

    async fn open(
        &self,
        caller: Caller,
        ticket: &Ticket,
        events: &[TicketEvent],
        claim: Option<&Claim>,
    ) -> Result<(), StoreError> {
        let (points, inner) = (Arc::clone(&self.points), Arc::clone(&self.inner));
        if !points.has(Plant::AcknowledgedBeforeStored) {
            return points.around(Call::Open, inner.open(caller, ticket, events, claim)).await;
        }
        let (ticket, events, claim) = (ticket.clone(), events.to_vec(), claim.cloned());
        tokio::spawn(async move {
            points.around(Call::Open, inner.open(caller, &ticket, &events, claim.as_ref())).await
        });
        Ok(())
    }

    async fn claim(&self, caller: Caller, request: &ClaimRequest) -> Result<ClaimOutcome, StoreError> {
        self.points.around(Call::Claim, self.inner.claim(caller, request)).await
    }

    async fn find_done(
        &self,
        caller: Caller,
        route: Route,
        key: &IdempotencyKey,
        fingerprint: &Fingerprint,
    ) -> Result<Option<(TicketId, PaymentHash)>, StoreError> {
        self.inner.find_done(caller, route, key, fingerprint).await
    }

    async fn release(&self, caller: Caller, claim: &Claim, how: Release) -> Result<(), StoreError> {
        self.inner.release(caller, claim, how).await
    }

    async fn find(&self, actor: Actor, id: TicketId) -> Result<Option<Ticket>, StoreError> {
        self.points.around(Call::Find, self.inner.find(actor, id)).await
    }

    async fn ticket_of(&self, actor: Actor, hash: &PaymentHash) -> Result<Option<TicketId>, StoreError> {
        self.inner.ticket_of(actor, hash).await
    }

    async fn list(&self, caller: Caller, query: &TicketQuery) -> Result<TicketPage, StoreError> {
        self.inner.list(caller, query).await
    }

    async fn claim_looks(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        most: u16,
    ) -> Result<Vec<DueLook>, StoreError> {
        let found = |looks: &Result<Vec<_>, _>| looks.as_ref().is_ok_and(|looks| !looks.is_empty());
        let work = self.inner.claim_looks(now, leased_until, most);
        self.points.around_where(Call::ClaimLooks, work, found).await
    }

    async fn reschedule(&self, leased_until: Timestamp, looks: &[NextLook]) -> Result<(), StoreError> {
        self.points.around(Call::Reschedule, self.inner.reschedule(leased_until, looks)).await
    }

    async fn note_push(&self, push: &Push) -> Result<PushNoted, StoreError> {
        self.inner.note_push(push).await
    }

    async fn list_unpaid(
        &self,
        since: Timestamp,
        after: Option<(Timestamp, PaymentHash)>,
        limit: Limit,
    ) -> Result<Vec<DueLook>, StoreError> {
        self.inner.list_unpaid(since, after, limit).await
    }

    async fn count_unpaid(&self, since: Timestamp) -> Result<u64, StoreError> {
        self.inner.count_unpaid(since).await
    }

    async fn list_refunds(
        &self,
        after: Option<(Timestamp, PaymentHash)>,
        limit: Limit,
    ) -> Result<Vec<RefundDue>, StoreError> {
        self.inner.list_refunds(after, limit).await
    }

    async fn count_refunds(&self) -> Result<Vec<(InvoiceStatus, u64)>, StoreError> {
        self.inner.count_refunds().await
    }

    async fn prune_claims(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.inner.prune_claims(before).await
    }

    async fn prune_pushes(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.inner.prune_pushes(before).await
    }
}

/// A transaction, which is its own repositories.
struct PointedTx {
    inner: Box<dyn TicketTx>,
    points: Arc<FailPoints>,
    store: Arc<dyn TicketStore>,
    actor: Actor,
    /// The events that a planted mistake writes too late.
    held_back: Vec<TicketEvent>,
}

#[async_trait]
impl Tx for PointedTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { inner, points, store, actor, held_back } = *self;
        points.around(Call::Commit, inner.commit()).await?;
        if held_back.is_empty() {
            return Ok(());
        }
        let mut late = store.begin(actor).await?;
        late.outbox().push(&held_back).await?;
        late.commit().await
    }

    async fn rollback(self: Box<Self>) -> Result<(), StoreError> {
        self.inner.rollback().await
    }
}

impl TicketTx for PointedTx {
    fn tickets(&mut self) -> &mut dyn TicketRepository {
        self
    }

    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }

    fn claims(&mut self) -> &mut dyn ClaimRepository {
        self.inner.claims()
    }
}

#[async_trait]
impl TicketRepository for PointedTx {
    async fn insert(&mut self, ticket: &Ticket) -> Result<(), StoreError> {
        self.inner.tickets().insert(ticket).await
    }

    async fn lock(&mut self, id: TicketId) -> Result<Option<Locked<Ticket>>, StoreError> {
        self.points.around(Call::Lock, self.inner.tickets().lock(id)).await
    }

    async fn save(&mut self, ticket: &Locked<Ticket>) -> Result<(), StoreError> {
        self.points.around(Call::Save, self.inner.tickets().save(ticket)).await
    }
}

#[async_trait]
impl Outbox for PointedTx {
    async fn push(&mut self, events: &[TicketEvent]) -> Result<(), StoreError> {
        if self.points.has(Plant::EventsAfterCommit) {
            self.held_back.extend_from_slice(events);
            return Ok(());
        }
        self.points.around(Call::Push, self.inner.outbox().push(events)).await
    }
}
