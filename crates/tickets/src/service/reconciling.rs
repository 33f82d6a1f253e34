//! What the operator asks for by hand: the provider's word on unpaid invoices of any age.

use guiche_kernel::{Limit, Timestamp};

use super::Tickets;
use super::watching::Looked;
use crate::{DueLook, Invoice, InvoiceStatus, PaymentHash, TicketError, TicketId};

/// What came of asking about an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconciled {
    /// It was paid, and that counts.
    Paid,
    /// It was paid, and the money must go back.
    RefundDue,
    /// It was closed unpaid.
    Expired,
    /// It stays as it is: unpaid so far, or with money on its way.
    Unpaid,
    /// Its ticket is gone since: its owner was deleted.
    Gone,
    /// The provider did not answer.
    Unanswered,
}

impl Tickets {
    /// The unpaid invoices of a ticket, whatever their age.
    ///
    /// # Errors
    /// [`TicketError::NotFound`], [`TicketError::Store`].
    pub async fn unpaid_of(&self, id: TicketId) -> Result<Vec<DueLook>, TicketError> {
        let ticket = self.of_anybody(id).await?;
        let look = |invoice: &Invoice| DueLook {
            ticket_id: id,
            payment_hash: invoice.payment_hash,
            invoice_id: invoice.id.clone(),
            open: invoice.status == InvoiceStatus::Open,
            issued_at: invoice.issued_at,
            expires_at: invoice.expires_at,
            due_at: invoice.issued_at,
        };
        Ok(ticket.invoices().iter().filter(|invoice| invoice.is_unpaid()).map(look).collect())
    }

    /// How many unpaid invoices were issued since then.
    ///
    /// # Errors
    /// [`TicketError::Store`].
    pub async fn count_unpaid(&self, since: Timestamp) -> Result<u64, TicketError> {
        Ok(self.ports.store.count_unpaid(since).await?)
    }

    /// Unpaid invoices issued since then, oldest first; the next page comes after the last one's moment and hash.
    ///
    /// # Errors
    /// [`TicketError::Store`].
    pub async fn unpaid(
        &self,
        since: Timestamp,
        after: Option<(Timestamp, PaymentHash)>,
        limit: Limit,
    ) -> Result<Vec<DueLook>, TicketError> {
        Ok(self.ports.store.list_unpaid(since, after, limit).await?)
    }

    /// Asks the provider about an invoice, whatever its age, and applies the answer. Idempotent, and no matter to a watcher
    /// that asks about the same one meanwhile; when it looks next is not touched.
    ///
    /// # Errors
    /// [`TicketError::Store`].
    pub async fn reconcile_invoice(&self, look: &DueLook) -> Result<Reconciled, TicketError> {
        let status = match self.look_into(look).await? {
            Looked::Unanswered => return Ok(Reconciled::Unanswered),
            Looked::Unpaid | Looked::InFlight => return Ok(Reconciled::Unpaid),
            Looked::Applied { status, .. } => status,
        };
        Ok(match status {
            None => Reconciled::Gone,
            Some(InvoiceStatus::Paid) => Reconciled::Paid,
            Some(InvoiceStatus::PaidLate | InvoiceStatus::PaidAfterCancel | InvoiceStatus::PaidSurplus) => {
                Reconciled::RefundDue
            }
            Some(InvoiceStatus::Expired) => Reconciled::Expired,
            Some(InvoiceStatus::Open | InvoiceStatus::Withdrawn) => Reconciled::Unpaid,
        })
    }
}
