//! The ports as a process sees them: every call stops before and after its effect, so that the process can die at either
//! moment; and the mistakes that the simulator must find.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use guiche_kernel::{Actor, Caller, Limit, StoreError, Timer, Timestamp};
use guiche_tickets::testing::{FakeGateway, MemoryStore};
use guiche_tickets::*;

/// A mistake, made on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Events are not written into the commit of the change.
    EventsApart,
    /// An idempotency key is not completed with the ticket.
    ClaimsAreForgotten,
    /// An invoice is looked at once, and never again.
    LooksOnce,
    /// The watch ends when the invoice has run out.
    WatchEndsWithTheInvoice,
    /// The citizen hears of the ticket before it is stored.
    AnswersTooEarly,
}

impl Bug {
    pub(crate) const ALL: &[Self] = &[
        Self::EventsApart,
        Self::ClaimsAreForgotten,
        Self::LooksOnce,
        Self::WatchEndsWithTheInvoice,
        Self::AnswersTooEarly,
    ];
}

/// One pause: whoever polls may go on, or may drop everything here.
struct Pause(bool);

impl Future for Pause {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

async fn pausing<T>(work: impl Future<Output = T>) -> T {
    Pause(false).await;
    let output = work.await;
    Pause(false).await;
    output
}

/// Waiting takes as long as the simulation likes.
pub(crate) struct Patience;

#[async_trait]
impl Timer for Patience {
    async fn sleep(&self, _: Duration) {
        Pause(false).await;
    }
}

pub(crate) struct Provider {
    pub(crate) inner: Arc<FakeGateway>,
}

#[async_trait]
impl InvoiceGateway for Provider {
    async fn issue(&self, request: NewInvoice) -> Result<IssuedInvoice, GatewayError> {
        pausing(self.inner.issue(request)).await
    }
    async fn status(&self, id: &InvoiceId) -> Result<Option<ProviderStatus>, GatewayError> {
        pausing(self.inner.status(id)).await
    }
}

pub(crate) struct Store {
    pub(crate) inner: MemoryStore,
    pub(crate) bug: Option<Bug>,
}

impl Store {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }
}

#[async_trait]
impl TicketStore for Store {
    async fn begin(&self, actor: Actor) -> Result<Box<dyn TicketTx>, StoreError> {
        let inner = pausing(self.inner.begin(actor)).await?;
        Ok(Box::new(Tx { inner, bug: self.bug }))
    }
    async fn open(
        &self,
        caller: Caller,
        ticket: &Ticket,
        events: &[TicketEvent],
        claim: Option<&Claim>,
    ) -> Result<(), StoreError> {
        let claim = claim.filter(|_| !self.has(Bug::ClaimsAreForgotten));
        if self.has(Bug::AnswersTooEarly) && ticket.id().as_uuid().as_u128().is_multiple_of(7) {
            return Ok(());
        }
        let events = if self.has(Bug::EventsApart) { &[] } else { events };
        pausing(self.inner.open(caller, ticket, events, claim)).await
    }
    async fn claim(&self, caller: Caller, request: &ClaimRequest) -> Result<ClaimOutcome, StoreError> {
        pausing(self.inner.claim(caller, request)).await
    }
    async fn find_done(
        &self,
        caller: Caller,
        route: Route,
        key: &IdempotencyKey,
        fingerprint: &Fingerprint,
    ) -> Result<Option<(TicketId, PaymentHash)>, StoreError> {
        pausing(self.inner.find_done(caller, route, key, fingerprint)).await
    }
    async fn release(&self, caller: Caller, claim: &Claim, how: Release) -> Result<(), StoreError> {
        pausing(self.inner.release(caller, claim, how)).await
    }
    async fn find(&self, actor: Actor, id: TicketId) -> Result<Option<Ticket>, StoreError> {
        pausing(self.inner.find(actor, id)).await
    }
    async fn ticket_of(&self, actor: Actor, hash: &PaymentHash) -> Result<Option<TicketId>, StoreError> {
        pausing(self.inner.ticket_of(actor, hash)).await
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
        let mut looks = pausing(self.inner.claim_looks(now, leased_until, most)).await?;
        if self.has(Bug::WatchEndsWithTheInvoice) {
            looks.retain(|look| look.open);
        }
        Ok(looks)
    }
    async fn reschedule(&self, leased_until: Timestamp, looks: &[NextLook]) -> Result<(), StoreError> {
        let never = |look: &NextLook| NextLook { payment_hash: look.payment_hash, at: None };
        let once: Vec<NextLook> = looks.iter().map(never).collect();
        let looks = if self.has(Bug::LooksOnce) { &once } else { looks };
        pausing(self.inner.reschedule(leased_until, looks)).await
    }
    async fn note_push(&self, push: &Push) -> Result<PushNoted, StoreError> {
        pausing(self.inner.note_push(push)).await
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

struct Tx {
    inner: Box<dyn TicketTx>,
    bug: Option<Bug>,
}

#[async_trait]
impl guiche_kernel::Tx for Tx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        pausing(self.inner.commit()).await
    }
    async fn rollback(self: Box<Self>) -> Result<(), StoreError> {
        self.inner.rollback().await
    }
}

impl TicketTx for Tx {
    fn tickets(&mut self) -> &mut dyn TicketRepository {
        self.inner.tickets()
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
    fn claims(&mut self) -> &mut dyn ClaimRepository {
        self.inner.claims()
    }
}

#[async_trait]
impl Outbox for Tx {
    async fn push(&mut self, events: &[TicketEvent]) -> Result<(), StoreError> {
        if self.bug == Some(Bug::EventsApart) {
            return Ok(());
        }
        Pause(false).await;
        self.inner.outbox().push(events).await
    }
}
