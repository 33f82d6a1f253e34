//! Money that must go back: what there is of it, and that it went.

use guiche_kernel::{Actor, Limit, Timestamp, finish};

use super::Tickets;
use crate::{Applied, InvoiceStatus, PaymentHash, RefundDue, Ticket, TicketError, TicketId, TicketTx};

impl Tickets {
    /// Any ticket, as the office sees it.
    ///
    /// # Errors
    /// [`TicketError::NotFound`], [`TicketError::Store`].
    pub async fn of_anybody(&self, id: TicketId) -> Result<Ticket, TicketError> {
        self.get_as(Actor::Worker, id).await
    }

    /// Money that must go back, oldest first; the next page comes after the last one's moment and hash.
    ///
    /// # Errors
    /// [`TicketError::Store`].
    pub async fn refunds_due(
        &self,
        after: Option<(Timestamp, PaymentHash)>,
        limit: Limit,
    ) -> Result<Vec<RefundDue>, TicketError> {
        Ok(self.ports.store.list_refunds(after, limit).await?)
    }

    /// How many payments must go back, for each reason that there is one for.
    ///
    /// # Errors
    /// [`TicketError::Store`].
    pub async fn count_refunds_due(&self) -> Result<Vec<(InvoiceStatus, u64)>, TicketError> {
        Ok(self.ports.store.count_refunds().await?)
    }

    /// The office has given the money of an invoice back.
    ///
    /// # Errors
    /// [`TicketError::NotFound`]; [`TicketError::InvalidState`] when no refund is due on that invoice;
    /// [`TicketError::Store`].
    pub async fn mark_refunded(&self, id: TicketId, hash: &PaymentHash) -> Result<Ticket, TicketError> {
        let mut tx = self.ports.store.begin(Actor::Worker).await?;
        let outcome = self.mark_refunded_in(&mut *tx, id, hash).await;
        finish(tx, outcome).await
    }

    async fn mark_refunded_in(
        &self,
        tx: &mut dyn TicketTx,
        id: TicketId,
        hash: &PaymentHash,
    ) -> Result<Ticket, TicketError> {
        let mut ticket = tx.tickets().lock(id).await?.ok_or(TicketError::NotFound(id))?;
        if ticket.mark_refunded(hash, self.ports.clock.now())? == Applied::Changed {
            self.persist(tx, &mut ticket).await?;
        }
        Ok(ticket.into_inner())
    }
}
