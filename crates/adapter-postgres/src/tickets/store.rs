//! The calls that are a transaction by themselves: one round trip each.

use async_trait::async_trait;
use diesel::prelude::*;
use guiche_kernel::{Actor, Caller, Limit, StoreError, Timestamp, Tx};
use guiche_tickets::{
    Claim, ClaimOutcome, ClaimRequest, Cursor, DueLook, Fingerprint, IdempotencyKey, InvoiceStatus, NextLook,
    OperationId, PageStart, PaymentHash, Push, PushNoted, RefundDue, Release, Route, Ticket, TicketEvent,
    TicketId, TicketPage, TicketQuery, TicketStatus, TicketStore, TicketSummary, TicketTx,
};
use uuid::Uuid;

use super::calls::{ClaimKey, FindDone, FindTicket, ListTickets, PruneClaims, ReleaseKey, TicketOf};
use super::group::OpeningGroup;
use super::looks::{self, After};
use super::opening::Opening;
use super::rows::{self, Reading};
use crate::pool::PgPool;
use crate::query::{PRUNED_AT_ONCE, in_batches, one};
use crate::schema::{invoices, ticket_readings};
use crate::tx::PgTx;

/// Tickets on PostgreSQL.
#[derive(Clone)]
pub(crate) struct PgTicketStore {
    app: PgPool,
    worker: PgPool,
    group: OpeningGroup,
}

impl PgTicketStore {
    pub(crate) const fn new(app: PgPool, worker: PgPool, group: OpeningGroup) -> Self {
        Self { app, worker, group }
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
            Some(opening) => self.group.write(opening).await,
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
        let ticket = id.as_uuid();
        let readings: Vec<Reading> = match actor {
            Actor::User(caller) => {
                let (user, epoch) = (caller.user_id.as_uuid(), caller.epoch.get());
                self.app.rows(FindTicket { user, epoch, ticket }).await?
            }
            Actor::Worker => {
                let query = ticket_readings::table
                    .filter(ticket_readings::id.eq(ticket))
                    .order(ticket_readings::ordinal);
                self.worker.rows(query).await?
            }
        };
        rows::ticket(readings)
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
        let (after, offset) = match query.start {
            PageStart::Newest => (None, 0),
            PageStart::After(cursor) => (Some(cursor), 0),
            PageStart::Offset(rows) => (None, i64::from(rows)),
        };
        let limit = usize::from(query.limit.get());
        let call = ListTickets {
            user: caller.user_id.as_uuid(),
            epoch: caller.epoch.get(),
            status: query.status.map(TicketStatus::as_str),
            after: after.map(|cursor| cursor.created_at),
            after_id: after.map(|cursor| cursor.id.as_uuid()),
            offset,
            // One more than is shown says whether there is another page.
            limit: i64::from(query.limit.get()) + 1,
        };
        let rows: Vec<ListRow> = self.app.rows(call).await?;
        let total = rows.first().ok_or_else(|| StoreError::corrupt("a list without its total"))?.total;
        let total = u32::try_from(total).ok().filter(|total| *total <= TicketPage::COUNTED_UP_TO);
        let mut tickets: Vec<TicketSummary> =
            rows.into_iter().filter_map(|row| row.summary().transpose()).collect::<Result<_, _>>()?;
        let more = tickets.len() > limit;
        tickets.truncate(limit);
        let last = tickets.last().filter(|_| more);
        let next = last.map(|last| Cursor { created_at: last.created_at, id: last.id });
        Ok(TicketPage { tickets, total, next })
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

/// A row of `list_tickets`; of an empty page there is one, with the total alone.
#[derive(Queryable)]
struct ListRow {
    total: i64,
    id: Option<Uuid>,
    operation_id: Option<i32>,
    operation_name: Option<String>,
    status: Option<String>,
    amount_sats: Option<i64>,
    created_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    paid_at: Option<Timestamp>,
}

impl ListRow {
    fn summary(self) -> Result<Option<TicketSummary>, StoreError> {
        let Some(id) = self.id else { return Ok(None) };
        let absent = || StoreError::corrupt("a listed ticket lacks a column");
        Ok(Some(TicketSummary {
            id: TicketId::new(id),
            operation_id: OperationId::new(self.operation_id.ok_or_else(absent)?),
            operation_name: self.operation_name.ok_or_else(absent)?,
            status: rows::word(&self.status.ok_or_else(absent)?)?,
            amount: rows::sats(self.amount_sats.ok_or_else(absent)?)?,
            created_at: self.created_at.ok_or_else(absent)?,
            expires_at: self.expires_at.ok_or_else(absent)?,
            paid_at: self.paid_at,
        }))
    }
}
