//! Everything that looks for money. However a payment is noticed, it ends in [`Tickets::settle`]: one transaction that
//! takes the fact in under the ticket's lock, settles, and writes the events.
//!
//! No provider is asked inside a transaction. Between the asking and the lock the ticket may have changed, so what is
//! done under the lock depends on what is found there, and on the moment *before* the provider was asked.

use guiche_kernel::{Actor, Caller, Locked, Timestamp, finish};

use super::Tickets;
use crate::{
    Applied, GatewayError, InvalidState, Invoice, InvoiceGateway, InvoiceId, PaymentFact, PaymentHash,
    Preimage, ProviderStatus, Ticket, TicketError, TicketId, TicketStatus, TicketTx,
};

/// How many unpaid invoices of one ticket are asked about at once, newest first.
const MOST_LOOKS: usize = 5;

/// What the provider said of one invoice.
pub(super) struct Finding {
    payment_hash: PaymentHash,
    /// The moment before the provider was asked: whatever ran out after it may have been paid meanwhile.
    pub(super) asked_at: Timestamp,
    /// The moment of the answer: the first sight of a payment whose own moment the provider does not tell.
    pub(super) seen_at: Timestamp,
    pub(super) status: ProviderStatus,
}

impl Tickets {
    /// Takes in one piece of evidence that an invoice was paid. Idempotent: a payment counts once.
    ///
    /// # Errors
    /// [`TicketError::Store`]. An invoice that is nobody's, or not the actor's, is `Ok(None)`.
    pub async fn settle(&self, actor: Actor, fact: PaymentFact) -> Result<Option<Ticket>, TicketError> {
        let Some(id) = self.ports.store.ticket_of(actor, &fact.payment_hash).await? else {
            return Ok(None);
        };
        let mut tx = self.ports.store.begin(actor).await?;
        let outcome = self.settle_in(&mut *tx, id, fact).await;
        finish(tx, outcome).await.map(Some)
    }

    /// As [`settle`](Self::settle), inside a larger transaction.
    ///
    /// # Errors
    /// [`TicketError::NotFound`], [`TicketError::Store`].
    pub async fn settle_in(
        &self,
        tx: &mut dyn TicketTx,
        id: TicketId,
        fact: PaymentFact,
    ) -> Result<Ticket, TicketError> {
        let mut ticket = tx.tickets().lock(id).await?.ok_or(TicketError::NotFound(id))?;
        if ticket.record_payment(fact, self.ports.clock.now()) == Applied::Changed {
            self.persist(tx, &mut ticket).await?;
        }
        Ok(ticket.into_inner())
    }

    /// The payer asks whether the payment has arrived. Asks the provider about every unpaid invoice unless the ticket
    /// is paid already. A ticket whose refund is due is asked about as long as it has an open invoice: a payment in
    /// time would pay it after all.
    ///
    /// # Errors
    /// [`TicketError::NotFound`]; [`TicketError::Gateway`] when the provider had to be asked and could not; [`TicketError::Store`].
    pub async fn confirm(&self, caller: Caller, id: TicketId) -> Result<Ticket, TicketError> {
        let ticket = self.get(caller, id).await?;
        let may_be_paid = match ticket.status() {
            TicketStatus::Pending | TicketStatus::Expired | TicketStatus::Cancelled => true,
            TicketStatus::RefundDue | TicketStatus::Refunded => ticket.open_invoice().is_some(),
            TicketStatus::Paid | TicketStatus::Processing | TicketStatus::Completed => false,
        };
        if !may_be_paid {
            return Ok(ticket);
        }
        self.look(&*self.ports.payer, caller, ticket, None).await
    }

    /// Somebody shows the preimage: its SHA-256 is the payment hash, so the invoice was paid, provider or not. The
    /// payment counts at the arrival of the proof; where that is too late, the provider is asked for the true moment.
    ///
    /// # Errors
    /// [`TicketError::NotFound`], [`TicketError::WrongPreimage`], [`TicketError::Store`].
    pub async fn prove(
        &self,
        caller: Caller,
        id: TicketId,
        preimage: Preimage,
    ) -> Result<Ticket, TicketError> {
        let ticket = self.get(caller, id).await?;
        let proven = |invoice: &&Invoice| preimage.proves(&invoice.payment_hash);
        let invoice = ticket.invoices().iter().find(proven).ok_or(TicketError::WrongPreimage)?;
        let arrived = self.ports.clock.now();
        let too_late = invoice.has_run_out(arrived) || ticket.record().cancelled_at.is_some();
        let mut paid_at = invoice.payment.map_or(arrived, |payment| payment.paid_at);
        if too_late
            && invoice.is_unpaid()
            && let Ok(Some(ProviderStatus::Paid { paid_at: Some(told) })) =
                self.ports.provider.status(&invoice.id).await
        {
            paid_at = told;
        }
        let fact = PaymentFact { payment_hash: invoice.payment_hash, paid_at, preimage: Some(preimage) };
        let mut tx = self.ports.store.begin(caller.into()).await?;
        let outcome = self.settle_in(&mut *tx, id, fact).await;
        finish(tx, outcome).await
    }

    /// The citizen withdraws the ticket. The provider is asked first: money that has come in, or is on its way, forbids it.
    ///
    /// # Errors
    /// [`TicketError::NotFound`], [`TicketError::InvalidState`], [`TicketError::Gateway`] when the provider could not
    /// be asked, [`TicketError::Store`].
    pub async fn cancel(&self, caller: Caller, id: TicketId) -> Result<Ticket, TicketError> {
        let ticket = self.get(caller, id).await?;
        let findings = match ticket.open_invoice() {
            Some(invoice) if ticket.status() == TicketStatus::Pending => {
                vec![self.ask(&*self.ports.provider, &invoice.id, invoice.payment_hash).await?]
            }
            Some(_) | None => Vec::new(),
        };
        let in_flight = findings.iter().any(|finding| finding.status == ProviderStatus::InFlight);
        if in_flight {
            return Err(InvalidState { attempted: "cancel", current: TicketStatus::Pending }.into());
        }
        self.apply_to(caller.into(), ticket, &findings).await?;
        let mut tx = self.ports.store.begin(caller.into()).await?;
        let outcome = self.cancel_in(&mut *tx, id).await;
        finish(tx, outcome).await
    }

    async fn cancel_in(&self, tx: &mut dyn TicketTx, id: TicketId) -> Result<Ticket, TicketError> {
        let mut ticket = tx.tickets().lock(id).await?.ok_or(TicketError::NotFound(id))?;
        if ticket.cancel(self.ports.clock.now())? == Applied::Changed {
            self.persist(tx, &mut ticket).await?;
        }
        Ok(ticket.into_inner())
    }

    /// Closes the open invoice of a ticket when it has run out, so that nobody has to wait for the watcher.
    pub(super) async fn close_run_out(&self, caller: Caller, id: TicketId) -> Result<Ticket, TicketError> {
        let ticket = self.get(caller, id).await?;
        let now = self.ports.clock.now();
        match ticket
            .open_invoice()
            .filter(|invoice| invoice.has_run_out(now))
            .map(|invoice| invoice.payment_hash)
        {
            Some(hash) => self.look(&*self.ports.provider, caller, ticket, Some(&hash)).await,
            None => Ok(ticket),
        }
    }

    /// Asks about the unpaid invoices (or the one named) and applies what was found. What was found is kept even if a
    /// later question stays without an answer; only a ticket that is still unpaid then reports the failure.
    async fn look(
        &self,
        gateway: &dyn InvoiceGateway,
        caller: Caller,
        ticket: Ticket,
        only: Option<&PaymentHash>,
    ) -> Result<Ticket, TicketError> {
        let wanted =
            |invoice: &&Invoice| invoice.is_unpaid() && only.is_none_or(|hash| invoice.payment_hash == *hash);
        let mut findings = Vec::new();
        let mut unanswered = None;
        for invoice in ticket.invoices().iter().rev().filter(wanted).take(MOST_LOOKS) {
            match self.ask(gateway, &invoice.id, invoice.payment_hash).await {
                Ok(finding) => findings.push(finding),
                Err(refusal) => unanswered = Some(refusal),
            }
        }
        let ticket = self.apply_to(caller.into(), ticket, &findings).await?;
        match unanswered {
            Some(refusal) if !ticket.status().is_paid() => Err(refusal.into()),
            Some(_) | None => Ok(ticket),
        }
    }

    pub(super) async fn ask(
        &self,
        gateway: &dyn InvoiceGateway,
        id: &InvoiceId,
        payment_hash: PaymentHash,
    ) -> Result<Finding, GatewayError> {
        let asked_at = self.ports.clock.now();
        // An invoice that the provider does not know was never paid.
        let answer = gateway.status(id).await.map_err(|refusal| match refusal {
            GatewayError::Unavailable(_) => refusal,
            // A refusal or nonsense is no answer to this question either.
            GatewayError::Rejected(_) | GatewayError::Nonsense(_) => {
                GatewayError::Unavailable(refusal.into())
            }
        })?;
        let status = answer.unwrap_or(ProviderStatus::Unpaid);
        let seen_at = self.ports.clock.now();
        Ok(Finding { payment_hash, asked_at, seen_at, status })
    }

    async fn apply_to(
        &self,
        actor: Actor,
        ticket: Ticket,
        findings: &[Finding],
    ) -> Result<Ticket, TicketError> {
        let mut preview = ticket.clone();
        let now = self.ports.clock.now();
        let changes =
            findings.iter().any(|finding| apply_finding(&mut preview, finding, now) == Applied::Changed);
        if changes { self.apply(actor, ticket.id(), findings).await } else { Ok(ticket) }
    }

    pub(super) async fn apply(
        &self,
        actor: Actor,
        id: TicketId,
        findings: &[Finding],
    ) -> Result<Ticket, TicketError> {
        let mut tx = self.ports.store.begin(actor).await?;
        let outcome = self.apply_in(&mut *tx, id, findings).await;
        finish(tx, outcome).await
    }

    async fn apply_in(
        &self,
        tx: &mut dyn TicketTx,
        id: TicketId,
        findings: &[Finding],
    ) -> Result<Ticket, TicketError> {
        let mut ticket = tx.tickets().lock(id).await?.ok_or(TicketError::NotFound(id))?;
        let now = self.ports.clock.now();
        let mut changed = false;
        for finding in findings {
            changed |= apply_finding(&mut ticket, finding, now) == Applied::Changed;
        }
        if changed {
            self.persist(tx, &mut ticket).await?;
        }
        Ok(ticket.into_inner())
    }

    /// Saves the ticket and pushes its events into the same commit.
    pub(super) async fn persist(
        &self,
        tx: &mut dyn TicketTx,
        ticket: &mut Locked<Ticket>,
    ) -> Result<(), TicketError> {
        let events = ticket.take_events(&self.ports.ids);
        tx.tickets().save(ticket).await?;
        tx.outbox().push(&events).await?;
        Ok(())
    }
}

fn apply_finding(ticket: &mut Ticket, finding: &Finding, now: Timestamp) -> Applied {
    let Finding { payment_hash, asked_at, seen_at, status } = *finding;
    match status {
        ProviderStatus::Paid { paid_at } => {
            let paid_at = paid_at.unwrap_or(seen_at);
            ticket.record_payment(PaymentFact { payment_hash, paid_at, preimage: None }, now)
        }
        ProviderStatus::Unpaid => ticket.expire(&payment_hash, asked_at, now),
        ProviderStatus::InFlight => Applied::AlreadySo,
    }
}
