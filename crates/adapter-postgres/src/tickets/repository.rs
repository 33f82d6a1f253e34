//! What hangs on a transaction. An expected refusal is an answer of the function and not an error of the database, which
//! would poison the transaction.

use async_trait::async_trait;
use guiche_kernel::{Locked, StoreError, Timestamp};
use guiche_tickets::{
    Claim, ClaimRepository, InvoiceStatus, Outbox, PaymentHash, Ticket, TicketEvent, TicketId,
    TicketRepository,
};
use serde_json::Value;

use super::calls::{CompleteKey, InsertTicket, LockTicket, PushEvents, SaveTicket};
use super::rows::{self, EventColumns, InvoiceColumns};
use crate::query::one;
use crate::tx::PgTx;

/// What the writing functions answer.
pub(super) fn written(outcome: &str) -> Result<(), StoreError> {
    match outcome {
        "done" => Ok(()),
        "duplicate" => Err(StoreError::Duplicate),
        "conflict" => Err(StoreError::Conflict),
        _ => Err(StoreError::corrupt("an unknown outcome of a write")),
    }
}

/// When the invoice to show runs out; lists show it.
pub(super) fn expires_at(ticket: &Ticket) -> Result<Timestamp, StoreError> {
    ticket.expires_at().ok_or_else(|| StoreError::corrupt("a ticket without an invoice"))
}

#[async_trait]
impl TicketRepository for PgTx {
    async fn insert(&mut self, ticket: &Ticket) -> Result<(), StoreError> {
        let record = ticket.record();
        let invoices: InvoiceColumns<'_> = ticket.invoices().iter().collect();
        let call = InsertTicket {
            ticket: record.id.as_uuid(),
            owner: record.owner.as_uuid(),
            operation: record.operation_id.get(),
            operation_name: &record.operation_name,
            amount: record.amount.into(),
            form: Value::Object(record.form.expose().clone()),
            status: record.status.as_str(),
            version: record.version,
            created_at: record.created_at,
            updated_at: record.updated_at,
            cancelled_at: record.cancelled_at,
            processing_at: record.processing_at,
            completed_at: record.completed_at,
            expires_at: expires_at(ticket)?,
            paid_at: ticket.paid_at(),
            hashes: invoices.hashes,
            provider_ids: invoices.provider_ids,
            bolt11s: invoices.bolt11s,
            issued: invoices.issued,
            expires: invoices.expires,
            statuses: invoices.statuses,
            paid: invoices.paid,
            preimages: invoices.preimages,
            refunded: invoices.refunded,
        };
        let (outcome,): (String,) = one(self.lease.rows(call).await?)?;
        written(&outcome)
    }

    async fn lock(&mut self, id: TicketId) -> Result<Option<Locked<Ticket>>, StoreError> {
        let readings = self.lease.rows(LockTicket { ticket: id.as_uuid() }).await?;
        Ok(rows::ticket(readings)?.map(Locked::after_row_lock))
    }

    async fn save(&mut self, ticket: &Locked<Ticket>) -> Result<(), StoreError> {
        let record = ticket.record();
        let changes = ticket.changes();
        let old_statuses: Vec<InvoiceStatus> = changes.changed_invoices.iter().map(|(old, _)| *old).collect();
        let changed: InvoiceColumns<'_> =
            changes.changed_invoices.iter().map(|(_, invoice)| *invoice).collect();
        let stored = ticket.invoices().len().saturating_sub(changes.new_invoices.len());
        let first_ordinal = i32::try_from(stored.saturating_add(1))
            .map_err(|_| StoreError::corrupt("more invoices than can be counted"))?;
        let new: InvoiceColumns<'_> = changes.new_invoices.into_iter().collect();
        let call = SaveTicket {
            ticket: record.id.as_uuid(),
            expected_version: changes.expected_version,
            version: record.version,
            status: record.status.as_str(),
            updated_at: record.updated_at,
            cancelled_at: record.cancelled_at,
            processing_at: record.processing_at,
            completed_at: record.completed_at,
            expires_at: expires_at(ticket)?,
            paid_at: ticket.paid_at(),
            changed_hashes: changed.hashes,
            old_statuses: old_statuses.into_iter().map(InvoiceStatus::as_str).collect(),
            changed_statuses: changed.statuses,
            changed_paid: changed.paid,
            changed_preimages: changed.preimages,
            changed_refunded: changed.refunded,
            first_ordinal,
            hashes: new.hashes,
            provider_ids: new.provider_ids,
            bolt11s: new.bolt11s,
            issued: new.issued,
            expires: new.expires,
            statuses: new.statuses,
            paid: new.paid,
            preimages: new.preimages,
            refunded: new.refunded,
        };
        let (outcome,): (String,) = one(self.lease.rows(call).await?)?;
        written(&outcome)
    }
}

#[async_trait]
impl Outbox for PgTx {
    async fn push(&mut self, events: &[TicketEvent]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let columns: EventColumns<'_> = events.iter().collect();
        let call = PushEvents {
            ids: columns.ids,
            kinds: columns.kinds,
            moments: columns.moments,
            tickets: columns.tickets,
            users: columns.users,
            amounts: columns.amounts,
            operations: columns.operations,
            statuses: columns.statuses,
            versions: columns.versions,
            hashes: columns.hashes,
        };
        self.lease.run(call).await.map(drop)
    }
}

#[async_trait]
impl ClaimRepository for PgTx {
    async fn complete(
        &mut self,
        claim: &Claim,
        ticket: TicketId,
        invoice: &PaymentHash,
    ) -> Result<(), StoreError> {
        let call = CompleteKey {
            route: claim.route.to_string(),
            key: claim.key.as_str(),
            subject: claim.subject,
            ticket: ticket.as_uuid(),
            hash: invoice.as_bytes(),
        };
        let (completed,): (bool,) = one(self.lease.rows(call).await?)?;
        if completed { Ok(()) } else { Err(StoreError::Conflict) }
    }
}
