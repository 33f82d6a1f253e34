//! The ticket: one citizen's request for one operation, with every invoice that was issued for it.
//!
//! Commands change facts; [`settlement`](crate::settlement) derives the statuses from them. Commands are idempotent and
//! say whether they did anything; queries cannot fail. What changed since the ticket was read is remembered, so that
//! storage writes just that ([`Ticket::changes`]) and events cannot be forgotten ([`Ticket::take_events`]).

use guiche_kernel::{Ids, StoreError, Timestamp, UserId, truncate_to_micros};

use crate::settlement::{self, Service};
use crate::{
    FormData, Invoice, InvoiceStatus, Operation, Payment, PaymentFact, PaymentHash, TicketChanges,
    TicketEvent, TicketEventKind, TicketRecord, TicketStatus,
};

guiche_kernel::id! {
    /// Identifies a ticket.
    pub struct TicketId;
}

/// Whether a command did anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Applied {
    /// The ticket changed and must be saved.
    Changed,
    /// It was so already.
    AlreadySo,
}

/// The ticket stands where the command is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot {attempted} a ticket that is {current}")]
pub struct InvalidState {
    /// What was attempted, as a verb.
    pub attempted: &'static str,
    /// Where the ticket stands.
    pub current: TicketStatus,
}

/// A citizen's request for one operation of the office. Two are equal when their facts are, stored or not.
#[derive(Debug, Clone)]
pub struct Ticket {
    record: TicketRecord,
    invoices: Vec<Invoice>,
    /// As read from storage; empty and 0 for a ticket that was never stored.
    stored_invoices: Vec<Invoice>,
    stored_version: i64,
    events: Vec<(TicketEventKind, Option<PaymentHash>)>,
}

impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        self.record == other.record && self.invoices == other.invoices
    }
}

impl Ticket {
    /// Opens a ticket with its first invoice; the price and the name are copied from the operation.
    #[must_use]
    pub fn open(
        id: TicketId,
        owner: UserId,
        operation: &Operation,
        form: FormData,
        invoice: Invoice,
        now: Timestamp,
    ) -> Self {
        let record = TicketRecord {
            id,
            owner,
            operation_id: operation.id,
            operation_name: operation.name.clone(),
            amount: invoice.amount,
            form,
            status: TicketStatus::Pending,
            version: 1,
            created_at: now,
            updated_at: now,
            cancelled_at: None,
            processing_at: None,
            completed_at: None,
        };
        let events = vec![(TicketEventKind::Opened, Some(invoice.payment_hash))];
        Self { record, invoices: vec![invoice], stored_invoices: Vec::new(), stored_version: 0, events }
    }

    /// Puts a ticket together from storage, invoices in the order of their issue.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the stored statuses are not those that the stored facts lead to.
    pub fn restore(record: TicketRecord, invoices: Vec<Invoice>) -> Result<Self, StoreError> {
        let mut derived = invoices.clone();
        let status = settlement::settle(&mut derived, record.cancelled_at, service_of(&record));
        if status != record.status || derived != invoices {
            return Err(StoreError::corrupt(format!(
                "ticket {}: status does not follow from its facts",
                record.id
            )));
        }
        let stored_version = record.version;
        Ok(Self { record, stored_invoices: invoices.clone(), invoices, stored_version, events: Vec::new() })
    }

    /// The ticket's own row.
    #[must_use]
    pub const fn record(&self) -> &TicketRecord {
        &self.record
    }

    /// Identifies it.
    #[must_use]
    pub const fn id(&self) -> TicketId {
        self.record.id
    }

    /// Where it stands.
    #[must_use]
    pub const fn status(&self) -> TicketStatus {
        self.record.status
    }

    /// Every invoice, in the order of issue.
    #[must_use]
    pub fn invoices(&self) -> &[Invoice] {
        &self.invoices
    }

    /// The invoice with the given payment hash, if it is one of this ticket's.
    #[must_use]
    pub fn invoice(&self, hash: &PaymentHash) -> Option<&Invoice> {
        self.invoices.iter().find(|invoice| invoice.payment_hash == *hash)
    }

    /// The invoice that can be paid now.
    #[must_use]
    pub fn open_invoice(&self) -> Option<&Invoice> {
        self.invoices.iter().find(|invoice| invoice.status == InvoiceStatus::Open)
    }

    /// The invoice to show: the one that paid the ticket, else the open one, else the newest.
    #[must_use]
    pub fn current_invoice(&self) -> Option<&Invoice> {
        let paid = self.invoices.iter().find(|invoice| invoice.status == InvoiceStatus::Paid);
        paid.or_else(|| self.open_invoice()).or_else(|| self.invoices.last())
    }

    /// When the payment that counts was made.
    #[must_use]
    pub fn paid_at(&self) -> Option<Timestamp> {
        let paid = self.invoices.iter().find(|invoice| invoice.status == InvoiceStatus::Paid)?;
        paid.payment.map(|payment| payment.paid_at)
    }

    /// When the current invoice runs out.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.current_invoice().map(|invoice| invoice.expires_at)
    }

    /// Takes in one piece of evidence of a payment and settles. A payment counts once, at the earliest moment that any
    /// evidence gives, cut to whole microseconds; a moment before the invoice was issued is nonsense and counts as the
    /// moment of issue, one in the future as now.
    ///
    /// A hash that is not one of this ticket's changes nothing.
    pub fn record_payment(&mut self, fact: PaymentFact, now: Timestamp) -> Applied {
        let Some(invoice) =
            self.invoices.iter_mut().find(|invoice| invoice.payment_hash == fact.payment_hash)
        else {
            return Applied::AlreadySo;
        };
        // Storage keeps microseconds: what is decided here must follow from what will be read.
        let paid_at = truncate_to_micros(fact.paid_at).min(now).max(invoice.issued_at);
        let known = invoice.payment;
        let payment = Payment {
            paid_at: known.map_or(paid_at, |known| known.paid_at.min(paid_at)),
            preimage: known.and_then(|known| known.preimage).or(fact.preimage),
            refunded_at: known.and_then(|known| known.refunded_at),
        };
        if known == Some(payment) {
            return Applied::AlreadySo;
        }
        invoice.payment = Some(payment);
        self.resettle(now);
        Applied::Changed
    }

    /// Closes an invoice that ran out unpaid. `asked_at` is the moment before the provider was asked and said that it
    /// is unpaid; unless the invoice had run out by then, it may have been paid since, and nothing changes.
    pub fn expire(&mut self, hash: &PaymentHash, asked_at: Timestamp, now: Timestamp) -> Applied {
        let due = |invoice: &&mut Invoice| {
            invoice.payment_hash == *hash
                && invoice.status == InvoiceStatus::Open
                && invoice.has_run_out(asked_at)
        };
        let Some(invoice) = self.invoices.iter_mut().find(due) else {
            return Applied::AlreadySo;
        };
        invoice.status = InvoiceStatus::Expired;
        let before = self.record.status;
        self.resettle(now);
        if before == TicketStatus::Pending {
            self.events.push((TicketEventKind::Expired, Some(*hash)));
        }
        Applied::Changed
    }

    /// Withdraws the ticket. The provider MUST have been asked first.
    ///
    /// # Errors
    /// [`InvalidState`] unless it is pending (or cancelled already). A ticket whose invoice has run out counts as
    /// expired, whether or not anybody has noticed yet.
    pub fn cancel(&mut self, now: Timestamp) -> Result<Applied, InvalidState> {
        let run_out = self.open_invoice().is_none_or(|invoice| invoice.has_run_out(now));
        match self.record.status {
            TicketStatus::Cancelled => return Ok(Applied::AlreadySo),
            TicketStatus::Pending if !run_out => {}
            TicketStatus::Pending => {
                return Err(InvalidState { attempted: "cancel", current: TicketStatus::Expired });
            }
            current @ (TicketStatus::Paid
            | TicketStatus::Processing
            | TicketStatus::Completed
            | TicketStatus::Expired
            | TicketStatus::RefundDue
            | TicketStatus::Refunded) => return Err(InvalidState { attempted: "cancel", current }),
        }
        for invoice in self.invoices.iter_mut().filter(|invoice| invoice.status == InvoiceStatus::Open) {
            invoice.status = InvoiceStatus::Withdrawn;
        }
        self.record.cancelled_at = Some(now);
        self.resettle(now);
        self.events.push((TicketEventKind::Cancelled, None));
        Ok(Applied::Changed)
    }

    /// Makes an expired ticket payable again by a fresh invoice, at the ticket's price.
    ///
    /// # Errors
    /// [`InvalidState`] unless the ticket is expired.
    pub fn reissue(&mut self, invoice: Invoice, now: Timestamp) -> Result<(), InvalidState> {
        if self.record.status != TicketStatus::Expired {
            return Err(InvalidState { attempted: "issue a fresh invoice for", current: self.record.status });
        }
        self.events.push((TicketEventKind::InvoiceIssued, Some(invoice.payment_hash)));
        self.invoices.push(invoice);
        self.resettle(now);
        Ok(())
    }

    /// The office takes the ticket up.
    ///
    /// # Errors
    /// [`InvalidState`] unless it is paid (or being served already).
    pub fn begin_service(&mut self, now: Timestamp) -> Result<Applied, InvalidState> {
        match self.record.status {
            TicketStatus::Processing => return Ok(Applied::AlreadySo),
            TicketStatus::Paid => {}
            current @ (TicketStatus::Pending
            | TicketStatus::Completed
            | TicketStatus::Expired
            | TicketStatus::Cancelled
            | TicketStatus::RefundDue
            | TicketStatus::Refunded) => return Err(InvalidState { attempted: "serve", current }),
        }
        self.record.processing_at = Some(now);
        self.resettle(now);
        self.events.push((TicketEventKind::Processing, None));
        Ok(Applied::Changed)
    }

    /// The office has served the ticket.
    ///
    /// # Errors
    /// [`InvalidState`] unless it is being served (or served already).
    pub fn complete(&mut self, now: Timestamp) -> Result<Applied, InvalidState> {
        match self.record.status {
            TicketStatus::Completed => return Ok(Applied::AlreadySo),
            TicketStatus::Processing => {}
            current @ (TicketStatus::Pending
            | TicketStatus::Paid
            | TicketStatus::Expired
            | TicketStatus::Cancelled
            | TicketStatus::RefundDue
            | TicketStatus::Refunded) => return Err(InvalidState { attempted: "complete", current }),
        }
        self.record.completed_at = Some(now);
        self.resettle(now);
        self.events.push((TicketEventKind::Completed, None));
        Ok(Applied::Changed)
    }

    /// Notes that the money of an invoice whose refund was due went back.
    ///
    /// # Errors
    /// [`InvalidState`] when no refund is due on that invoice.
    pub fn mark_refunded(&mut self, hash: &PaymentHash, now: Timestamp) -> Result<Applied, InvalidState> {
        let current = self.record.status;
        let refused = InvalidState { attempted: "refund", current };
        let invoice =
            self.invoices.iter_mut().find(|invoice| invoice.payment_hash == *hash).ok_or(refused)?;
        let due = invoice.status.has_money() && invoice.status != InvoiceStatus::Paid;
        let payment = invoice.payment.as_mut().filter(|_| due).ok_or(refused)?;
        if payment.refunded_at.is_some() {
            return Ok(Applied::AlreadySo);
        }
        payment.refunded_at = Some(now);
        self.resettle(now);
        self.events.push((TicketEventKind::Refunded, Some(*hash)));
        Ok(Applied::Changed)
    }

    /// What storage has to write.
    #[must_use]
    pub fn changes(&self) -> TicketChanges<'_> {
        let (old, new) = self.invoices.split_at(self.stored_invoices.len().min(self.invoices.len()));
        let changed = self.stored_invoices.iter().zip(old).filter(|(stored, present)| stored != present);
        TicketChanges {
            expected_version: self.stored_version,
            new_invoices: new.iter().collect(),
            changed_invoices: changed.map(|(stored, present)| (stored.status, present)).collect(),
        }
    }

    /// Takes out the events of the changes since the ticket was read; they belong into the same commit.
    pub fn take_events(&mut self, ids: &Ids) -> Vec<TicketEvent> {
        let record = &self.record;
        std::mem::take(&mut self.events)
            .into_iter()
            .map(|(kind, payment_hash)| TicketEvent {
                id: ids.uuid(),
                kind,
                at: record.updated_at,
                ticket_id: record.id,
                owner: record.owner,
                operation_id: record.operation_id,
                status: record.status,
                version: record.version,
                amount: record.amount,
                payment_hash,
            })
            .collect()
    }

    /// Derives every status anew and notes the events that follow from what changed about money.
    fn resettle(&mut self, now: Timestamp) {
        let was_paid = self.record.status.is_paid();
        let before: Vec<InvoiceStatus> = self.invoices.iter().map(|invoice| invoice.status).collect();
        let service = service_of(&self.record);
        self.record.status = settlement::settle(&mut self.invoices, self.record.cancelled_at, service);
        self.record.version = self.stored_version.saturating_add(1);
        self.record.updated_at = now;
        for (before, invoice) in before.into_iter().zip(&self.invoices) {
            let paid_now = invoice.status == InvoiceStatus::Paid;
            if paid_now && !was_paid {
                self.events.push((TicketEventKind::Paid, Some(invoice.payment_hash)));
            }
            let refund_was_due = before.has_money() && before != InvoiceStatus::Paid;
            if invoice.status.has_money() && !paid_now && !refund_was_due {
                self.events.push((TicketEventKind::RefundDue, Some(invoice.payment_hash)));
            }
        }
    }
}

const fn service_of(record: &TicketRecord) -> Service {
    if record.completed_at.is_some() {
        Service::Completed
    } else if record.processing_at.is_some() {
        Service::Processing
    } else {
        Service::Waiting
    }
}

#[cfg(test)]
mod tests;
