//! What the operator does by hand: asking about tickets of any age, and noting that money went back.

use guiche_kernel::{Actor, Limit, Timestamp, finish};

use super::Tickets;
use crate::{Applied, DueLook, PaymentHash, RefundDue, Ticket, TicketError, TicketId, TicketTx};

impl Tickets {
    /// Asks the provider about every unpaid invoice of a ticket, whatever its age.
    ///
    /// # Errors
    /// [`TicketError::NotFound`]; [`TicketError::Gateway`] when the provider could not be asked about one of them and
    /// the ticket is unpaid (what was found is kept all the same); [`TicketError::Store`].
    pub async fn reconcile(&self, id: TicketId) -> Result<Ticket, TicketError> {
        let ticket = self.get_as(Actor::Worker, id).await?;
        self.look(&*self.ports.provider, Actor::Worker, ticket, None).await
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
