//! The calls that are a transaction by themselves: one round trip each.

use async_trait::async_trait;
use diesel::prelude::*;
use guiche_kernel::{Actor, Caller, Limit, StoreError, Timestamp, Tx};
use guiche_tickets::{
    Claim, ClaimOutcome, ClaimRequest, DueLook, Fingerprint, IdempotencyKey, InvoiceStatus, NextLook,
    PaymentHash, Push, PushNoted, RefundDue, Release, Route, Ticket, TicketEvent, TicketId, TicketPage,
    TicketQuery, TicketStore, TicketTx,
};
use uuid::Uuid;

use super::calls::{ClaimKey, FindDone, PruneClaims, ReleaseKey, TicketOf};
use super::looks::{self, After};
use super::opening::Opening;
use super::reads::{Finding, Listing};
use super::rows;
use crate::pool::PgPool;
use crate::query::{PRUNED_AT_ONCE, in_batches, one};
use crate::schema::{invoices, ticket_readings};
use crate::together::{Question as _, Together};
use crate::tx::PgTx;

/// What citizens ask at the same moment and is asked of the database together. Clones are the same.
#[derive(Clone)]
pub(crate) struct TicketsTogether {
    openings: Together<Opening>,
    finds: Together<Finding>,
    pages: Together<Listing>,
}

impl TicketsTogether {
    pub(crate) fn new(app: &PgPool) -> Self {
        Self {
            openings: Together::new(app.clone()),
            finds: Together::new(app.clone()),
            pages: Together::new(app.clone()),
        }
    }
}

/// Tickets on PostgreSQL.
#[derive(Clone)]
pub(crate) struct PgTicketStore {
    app: PgPool,
    worker: PgPool,
    together: TicketsTogether,
}

impl PgTicketStore {
    pub(crate) const fn new(app: PgPool, worker: PgPool, together: TicketsTogether) -> Self {
        Self { app, worker, together }
    }

    /// The general way to store a new ticket, for one that is not as [`Ticket::open`] makes it.
    async fn open_in_steps(
        &self,
        caller: Caller,
        ticket: &Ticket,
        events: &[TicketEvent],
        claim: Option<&Claim>,
    ) -> Result<(), StoreError> {
        let mut tx = PgTx::begin(&self.app, &self.worker, caller.into()).await?;
        tx.tickets().insert(ticket).await?;
        tx.outbox().push(events).await?;
        if let (Some(claim), Some(invoice)) = (claim, ticket.invoices().first()) {
            tx.claims().complete(claim, ticket.id(), &invoice.payment_hash).await?;
        }
        Box::new(tx).commit().await
    }
}

#[async_trait]
impl TicketStore for PgTicketStore {
    async fn begin(&self, actor: Actor) -> Result<Box<dyn TicketTx>, StoreError> {
        Ok(Box::new(PgTx::begin(&self.app, &self.worker, actor).await?))
    }

    async fn open(
        &self,
        caller: Caller,
        ticket: &Ticket,
        events: &[TicketEvent],
        claim: Option<&Claim>,
    ) -> Result<(), StoreError> {
        match Opening::of(caller, ticket, events, claim) {
            Some(opening) => self.together.openings.ask_in_batch(opening).await,
            None => self.open_in_steps(caller, ticket, events, claim).await,
        }
    }

    async fn claim(&self, caller: Caller, request: &ClaimRequest) -> Result<ClaimOutcome, StoreError> {
        let call = ClaimKey {
            user: caller.user_id.as_uuid(),
            epoch: caller.epoch.get(),
            route: request.route.to_string(),
            key: request.key.as_str(),
            fingerprint: request.fingerprint.as_bytes(),
            subject: request.subject,
            now: request.now,
            claimed_until: request.claimed_until,
            renew_before: request.renew_before,
        };
        type Moment = Option<Timestamp>;
        type Row = (String, Option<Uuid>, Moment, Moment, Option<Uuid>, Option<Vec<u8>>);
        let (outcome, subject, requested_at, until, ticket, hash): Row = one(self.app.rows(call).await?)?;
        match (outcome.as_str(), (subject, requested_at, until), (ticket, hash)) {
            ("mine", (Some(subject), Some(requested_at), Some(claimed_until)), _) => {
                Ok(ClaimOutcome::Mine(Claim {
                    route: request.route,
                    key: request.key.clone(),
                    subject,
                    requested_at,
                    claimed_until,
                }))
            }
            ("done", _, (Some(ticket), Some(hash))) => {
                Ok(ClaimOutcome::Done { ticket_id: TicketId::new(ticket), payment_hash: rows::hash(&hash)? })
            }
            ("busy", ..) => Ok(ClaimOutcome::Busy),
            ("mismatch", ..) => Ok(ClaimOutcome::Mismatch),
            _ => Err(StoreError::corrupt("an unknown outcome of a claim")),
        }
    }

    async fn find_done(
        &self,
        caller: Caller,
        route: Route,
        key: &IdempotencyKey,
        fingerprint: &Fingerprint,
    ) -> Result<Option<(TicketId, PaymentHash)>, StoreError> {
        let call = FindDone {
            user: caller.user_id.as_uuid(),
            epoch: caller.epoch.get(),
            route: route.to_string(),
            key: key.as_str(),
            fingerprint: fingerprint.as_bytes(),
        };
        let done: Option<(Uuid, Vec<u8>)> = self.app.rows(call).await?.pop();
        done.map(|(ticket, hash)| Ok((TicketId::new(ticket), rows::hash(&hash)?))).transpose()
    }

    async fn release(&self, caller: Caller, claim: &Claim, how: Release) -> Result<(), StoreError> {
        let call = ReleaseKey {
            user: caller.user_id.as_uuid(),
            epoch: caller.epoch.get(),
            route: claim.route.to_string(),
            key: claim.key.as_str(),
            subject: claim.subject,
            claimed_until: claim.claimed_until,
            forget: how == Release::Forget,
        };
        self.app.run(call).await.map(drop)
    }

    async fn find(&self, actor: Actor, id: TicketId) -> Result<Option<Ticket>, StoreError> {
        match actor {
            Actor::User(caller) => self.together.finds.ask(Finding { caller, ticket: id }).await,
            Actor::Worker => {
                let query = ticket_readings::table
                    .filter(ticket_readings::id.eq(id.as_uuid()))
                    .order(ticket_readings::ordinal);
                rows::ticket(self.worker.rows(query).await?)
            }
        }
    }

    async fn ticket_of(&self, actor: Actor, hash: &PaymentHash) -> Result<Option<TicketId>, StoreError> {
        let mut found: Vec<(Uuid,)> = match actor {
            Actor::User(caller) => {
                let (user, epoch) = (caller.user_id.as_uuid(), caller.epoch.get());
                self.app.rows(TicketOf { user, epoch, hash: hash.as_bytes() }).await?
            }
            Actor::Worker => {
                let query = invoices::table
                    .select((invoices::ticket_id,))
                    .filter(invoices::payment_hash.eq(hash.as_bytes().to_vec()));
                self.worker.rows(query).await?
            }
        };
        Ok(found.pop().map(|(id,)| TicketId::new(id)))
    }

    async fn list(&self, caller: Caller, query: &TicketQuery) -> Result<TicketPage, StoreError> {
        let listing = Listing { caller, query: query.clone() };
        if listing.has_company() {
            self.together.pages.ask(listing).await
        } else {
            listing.alone(&self.app).await
        }
    }

    async fn claim_looks(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        most: u16,
    ) -> Result<Vec<DueLook>, StoreError> {
        looks::claim(&self.worker, now, leased_until, most).await
    }

    async fn reschedule(&self, leased_until: Timestamp, next: &[NextLook]) -> Result<(), StoreError> {
        looks::reschedule(&self.worker, leased_until, next).await
    }

    async fn note_push(&self, push: &Push) -> Result<PushNoted, StoreError> {
        looks::note_push(&self.worker, push).await
    }

    async fn list_unpaid(
        &self,
        since: Timestamp,
        after: After,
        limit: Limit,
    ) -> Result<Vec<DueLook>, StoreError> {
        looks::list_unpaid(&self.worker, since, after, limit).await
    }

    async fn count_unpaid(&self, since: Timestamp) -> Result<u64, StoreError> {
        looks::count_unpaid(&self.worker, since).await
    }

    async fn list_refunds(&self, after: After, limit: Limit) -> Result<Vec<RefundDue>, StoreError> {
        looks::list_refunds(&self.worker, after, limit).await
    }

    async fn count_refunds(&self) -> Result<Vec<(InvoiceStatus, u64)>, StoreError> {
        looks::count_refunds(&self.worker).await
    }

    async fn prune_claims(&self, before: Timestamp) -> Result<u64, StoreError> {
        in_batches(|| self.worker.rows(PruneClaims { before, limit: PRUNED_AT_ONCE })).await
    }

    async fn prune_pushes(&self, before: Timestamp) -> Result<u64, StoreError> {
        looks::prune_pushes(&self.worker, before).await
    }
}
