//! A fresh invoice for an expired ticket, at the ticket's own price.

use guiche_kernel::{Caller, StoreError, finish};
use serde::Serialize;

use super::Tickets;
use super::attempt::{Attempt, Turn};
use super::opening::{Opened, description, repeated_hash};
use crate::{
    IdempotencyKey, InvalidState, Invoice, PaymentHash, Route, Ticket, TicketError, TicketId, TicketStatus,
    TicketTx,
};

/// The invoice that can be paid now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FreshInvoice {
    /// It was issued for this request (or for an earlier one with the same key).
    Issued(Opened),
    /// There was an open one; nothing was issued.
    StillOpen(Opened),
}

#[derive(Serialize)]
struct Asked {
    ticket_id: TicketId,
}

impl Tickets {
    /// Gives an expired ticket a fresh invoice; a pending one keeps the invoice that it has.
    ///
    /// # Errors
    /// [`TicketError::NotFound`], [`TicketError::InvalidState`] unless the ticket is pending or expired, and as
    /// [`open`](Self::open).
    pub async fn fresh_invoice(
        &self,
        caller: Caller,
        id: TicketId,
        key: Option<&IdempotencyKey>,
    ) -> Result<FreshInvoice, TicketError> {
        // Whose ticket it is comes before anything is claimed for it.
        self.get(caller, id).await?;
        let asked = Asked { ticket_id: id };
        let attempt = match self.turn(caller, Route::IssueInvoice(id), key, &asked).await? {
            Turn::Work(attempt) => attempt,
            Turn::Done(_, hash) => return self.issued_before(caller, id, &hash).await,
        };
        let outcome = self.reissue(caller, id, &attempt).await;
        if let Some((_, hash)) =
            self.done_by_another(caller, attempt.claim.as_ref(), &asked, &outcome).await?
        {
            return self.issued_before(caller, id, &hash).await;
        }
        let outcome = self.conclude(caller, attempt.claim.as_ref(), outcome.map_err(repeated_hash)).await;
        match outcome {
            // Another request without our key was faster; its invoice is the open one.
            Err(TicketError::Store(StoreError::Conflict)) => {
                let ticket = self.get(caller, id).await?;
                still_open(&ticket).ok_or_else(|| refusal(ticket.status()))
            }
            Ok(found @ FreshInvoice::StillOpen(_)) => {
                self.forget(caller, attempt.claim.as_ref()).await;
                Ok(found)
            }
            other => other,
        }
    }

    async fn reissue(
        &self,
        caller: Caller,
        id: TicketId,
        attempt: &Attempt,
    ) -> Result<FreshInvoice, TicketError> {
        let ticket = self.close_run_out(caller, id).await?;
        if let Some(open) = still_open(&ticket) {
            return Ok(open);
        }
        if ticket.status() != TicketStatus::Expired {
            return Err(refusal(ticket.status()));
        }
        let record = ticket.record();
        let invoice = self.issue(attempt, record.amount, &description(&record.operation_name, id)).await?;
        let opened = Opened::of(id, &invoice);
        let mut tx = self.ports.store.begin(caller.into()).await?;
        let outcome = self.reissue_in(&mut *tx, id, invoice, attempt).await;
        finish(tx, outcome).await?;
        Ok(FreshInvoice::Issued(opened))
    }

    async fn reissue_in(
        &self,
        tx: &mut dyn TicketTx,
        id: TicketId,
        invoice: Invoice,
        attempt: &Attempt,
    ) -> Result<(), TicketError> {
        let hash = invoice.payment_hash;
        let mut ticket = tx.tickets().lock(id).await?.ok_or(TicketError::NotFound(id))?;
        if ticket.open_invoice().is_some() {
            return Err(StoreError::Conflict.into());
        }
        ticket.reissue(invoice, self.ports.clock.now())?;
        self.persist(tx, &mut ticket).await?;
        if let Some(claim) = &attempt.claim {
            tx.claims().complete(claim, id, &hash).await?;
        }
        Ok(())
    }

    async fn issued_before(
        &self,
        caller: Caller,
        id: TicketId,
        hash: &PaymentHash,
    ) -> Result<FreshInvoice, TicketError> {
        let ticket = self.get(caller, id).await?;
        let invoice =
            ticket.invoice(hash).ok_or_else(|| StoreError::corrupt("a claim names an unknown invoice"))?;
        Ok(FreshInvoice::Issued(Opened::of(id, invoice)))
    }
}

fn still_open(ticket: &Ticket) -> Option<FreshInvoice> {
    let open = ticket.open_invoice()?;
    Some(FreshInvoice::StillOpen(Opened::of(ticket.id(), open)))
}

fn refusal(current: TicketStatus) -> TicketError {
    InvalidState { attempted: "issue a fresh invoice for", current }.into()
}
