//! Everything that looks for money. However a payment is noticed, it ends in [`Tickets::settle`]: one transaction that
//! takes the fact in under the ticket's lock, settles, and writes the events.
//!
//! No provider is asked inside a transaction. Between the asking and the lock the ticket may have changed, so what is
//! done under the lock depends on what is found there, and on the moment *before* the provider was asked.

use guiche_kernel::{Actor, Caller, Limit, Locked, Timestamp, finish};

use super::Tickets;
use crate::{
    Applied, GatewayError, InvalidState, Invoice, InvoiceGateway, PaymentFact, PaymentHash, Preimage,
    ProviderStatus, Ticket, TicketError, TicketId, TicketStatus, TicketTx,
};

/// How many unpaid invoices of one ticket are asked about at once, newest first.
const MOST_LOOKS: usize = 5;

/// What the provider said of one invoice.
struct Finding {
    payment_hash: PaymentHash,
    /// The moment before the provider was asked: whatever ran out after it may have been paid meanwhile.
    asked_at: Timestamp,
    status: ProviderStatus,
}

/// What one sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Invoices that had run out.
    pub due: u32,
    /// Of these, closed unpaid.
    pub expired: u32,
    /// Of these, found paid.
    pub settled: u32,
    /// Of these, left alone: the provider gave no answer, or money is on its way.
    pub left: u32,
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
    /// is paid already.
    ///
    /// # Errors
    /// [`TicketError::NotFound`]; [`TicketError::Gateway`] when the provider had to be asked and could not; [`TicketError::Store`].
    pub async fn confirm(&self, caller: Caller, id: TicketId) -> Result<Ticket, TicketError> {
        let ticket = self.get(caller, id).await?;
        match ticket.status() {
            TicketStatus::Pending | TicketStatus::Expired | TicketStatus::Cancelled => {
                self.look(&*self.ports.payer, caller.into(), ticket, None).await
            }
            TicketStatus::Paid
            | TicketStatus::Processing
            | TicketStatus::Completed
            | TicketStatus::RefundDue
            | TicketStatus::Refunded => Ok(ticket),
        }
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
                vec![self.ask(&*self.ports.provider, invoice).await?]
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

    /// One step of the sweeper: takes the invoices that ran out, asks the provider about each, and closes those that
    /// are unpaid. Without an answer nothing changes; the lease runs out and somebody asks again.
    ///
    /// # Errors
    /// [`TicketError::Store`].
    pub async fn sweep_once(&self, limit: Limit) -> Result<SweepReport, TicketError> {
        let now = self.ports.clock.now();
        let due = self.ports.store.claim_due(now, now + self.settings.sweep_lease, limit).await?;
        let mut report = SweepReport::default();
        for invoice in due {
            report.due += 1;
            let Some(ticket) = self.ports.store.find(Actor::Worker, invoice.ticket_id).await? else {
                continue;
            };
            let looked =
                self.look(&*self.ports.provider, Actor::Worker, ticket, Some(&invoice.payment_hash)).await;
            match looked {
                Ok(ticket) => match ticket.invoice(&invoice.payment_hash) {
                    Some(invoice) if !invoice.is_unpaid() => report.settled += 1,
                    Some(invoice) if invoice.status == crate::InvoiceStatus::Open => report.left += 1,
                    Some(_) | None => report.expired += 1,
                },
                Err(TicketError::Gateway(_)) => report.left += 1,
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(report)
    }

    /// Forgets idempotency claims older than `keep`.
    ///
    /// # Errors
    /// [`TicketError::Store`].
    pub async fn prune_claims(&self, keep: std::time::Duration) -> Result<u64, TicketError> {
        Ok(self.ports.store.prune_claims(self.ports.clock.now() - keep).await?)
    }

    /// Closes the open invoice of a ticket when it has run out, so that nobody has to wait for the sweeper.
    pub(super) async fn close_run_out(&self, caller: Caller, id: TicketId) -> Result<Ticket, TicketError> {
        let ticket = self.get(caller, id).await?;
        let now = self.ports.clock.now();
        match ticket
            .open_invoice()
            .filter(|invoice| invoice.has_run_out(now))
            .map(|invoice| invoice.payment_hash)
        {
            Some(hash) => self.look(&*self.ports.provider, caller.into(), ticket, Some(&hash)).await,
            None => Ok(ticket),
        }
    }

    /// Asks about the unpaid invoices (or the one named) and applies what was found. What was found is kept even if a
    /// later question stays without an answer; only a ticket that is still unpaid then reports the failure.
    async fn look(
        &self,
        gateway: &dyn InvoiceGateway,
        actor: Actor,
        ticket: Ticket,
        only: Option<&PaymentHash>,
    ) -> Result<Ticket, TicketError> {
        let wanted =
            |invoice: &&Invoice| invoice.is_unpaid() && only.is_none_or(|hash| invoice.payment_hash == *hash);
        let mut findings = Vec::new();
        let mut unanswered = None;
        for invoice in ticket.invoices().iter().rev().filter(wanted).take(MOST_LOOKS) {
            match self.ask(gateway, invoice).await {
                Ok(finding) => findings.push(finding),
                Err(refusal) => unanswered = Some(refusal),
            }
        }
        let ticket = self.apply_to(actor, ticket, &findings).await?;
        match unanswered {
            Some(refusal) if !ticket.status().is_paid() => Err(refusal.into()),
            Some(_) | None => Ok(ticket),
        }
    }

    async fn ask(&self, gateway: &dyn InvoiceGateway, invoice: &Invoice) -> Result<Finding, GatewayError> {
        let asked_at = self.ports.clock.now();
        // An invoice that the provider does not know was never paid.
        let answer = gateway.status(&invoice.id).await.map_err(|refusal| match refusal {
            GatewayError::Unavailable(_) => refusal,
            // A refusal or nonsense is no answer to this question either.
            GatewayError::Rejected(_) | GatewayError::Nonsense(_) => {
                GatewayError::Unavailable(refusal.into())
            }
        })?;
        let status = answer.unwrap_or(ProviderStatus::Unpaid);
        Ok(Finding { payment_hash: invoice.payment_hash, asked_at, status })
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

    async fn apply(&self, actor: Actor, id: TicketId, findings: &[Finding]) -> Result<Ticket, TicketError> {
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
    let Finding { payment_hash, asked_at, status } = *finding;
    match status {
        ProviderStatus::Paid { paid_at } => {
            let paid_at = paid_at.unwrap_or(now);
            ticket.record_payment(PaymentFact { payment_hash, paid_at, preimage: None }, now)
        }
        ProviderStatus::Unpaid => ticket.expire(&payment_hash, asked_at, now),
        ProviderStatus::InFlight => Applied::AlreadySo,
    }
}
