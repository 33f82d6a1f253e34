//! Opening a ticket: check the form, ask the provider for an invoice, guard it, and store all of it in one commit.

use guiche_kernel::{Caller, Sats, StoreError, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Tickets;
use super::attempt::{Attempt, Turn};
use crate::bolt11::{self, Expected};
use crate::{
    GatewayError, IdempotencyKey, Invoice, InvoiceStatus, NewInvoice, OperationId, PaymentHash, Route,
    Ticket, TicketError, TicketId,
};

/// A request to open a ticket.
#[derive(Debug)]
pub struct OpenTicket {
    /// The citizen.
    pub caller: Caller,
    /// What they want.
    pub operation: OperationId,
    /// The form as filled in.
    pub form: Map<String, Value>,
    /// The client's name for this attempt.
    pub key: Option<IdempotencyKey>,
}

/// What the citizen gets: a ticket, and an invoice to pay. The same for every repetition of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The BOLT11 string.
    pub bolt11: String,
    /// The invoice's name on the Lightning network.
    pub payment_hash: PaymentHash,
    /// The price.
    pub amount: Sats,
    /// When the invoice runs out.
    pub expires_at: Timestamp,
}

impl Opened {
    pub(super) fn of(ticket_id: TicketId, invoice: &Invoice) -> Self {
        Self {
            ticket_id,
            bolt11: invoice.bolt11.clone(),
            payment_hash: invoice.payment_hash,
            amount: invoice.amount,
            expires_at: invoice.expires_at,
        }
    }
}

/// What makes two requests the same one.
#[derive(Serialize)]
struct Asked<'a> {
    operation_id: i32,
    form_data: &'a Map<String, Value>,
}

impl Tickets {
    /// Opens a ticket. With a key, any number of repetitions gives one ticket and one invoice, and all the same answer.
    ///
    /// # Errors
    /// [`TicketError::OperationNotFound`], [`TicketError::Form`], [`TicketError::KeyReused`],
    /// [`TicketError::KeyInUse`], [`TicketError::Gateway`], [`TicketError::Store`].
    pub async fn open(&self, command: OpenTicket) -> Result<Opened, TicketError> {
        let OpenTicket { caller, operation, form, key } = command;
        let asked = Asked { operation_id: operation.get(), form_data: &form };
        let attempt = match self.turn(caller, Route::OpenTicket, key.as_ref(), &asked).await? {
            Turn::Work(attempt) => attempt,
            Turn::Done(ticket, hash) => return self.replay(caller, ticket, &hash).await,
        };
        let outcome = self.open_new(caller, operation, &form, &attempt).await;
        match self.done_by_another(caller, attempt.claim.as_ref(), &asked, &outcome).await? {
            Some((ticket, hash)) => self.replay(caller, ticket, &hash).await,
            None => self.conclude(caller, attempt.claim.as_ref(), outcome.map_err(repeated_hash)).await,
        }
    }

    async fn open_new(
        &self,
        caller: Caller,
        operation: OperationId,
        form: &Map<String, Value>,
        attempt: &Attempt,
    ) -> Result<Opened, TicketError> {
        let operation = self.operation(operation).await?;
        let form = operation.form.check(form.clone())?;
        let id = TicketId::new(attempt.subject);
        let invoice = self.issue(attempt, operation.price, &description(&operation.name, id)).await?;
        let opened = Opened::of(id, &invoice);
        let mut ticket = Ticket::open(id, caller.user_id, &operation, form, invoice, self.ports.clock.now());
        let events = ticket.take_events(&self.ports.ids);
        self.ports.store.open(caller, &ticket, &events, attempt.claim.as_ref()).await?;
        Ok(opened)
    }

    /// Asks the provider for an invoice and lets nothing past the guard.
    pub(super) async fn issue(
        &self,
        attempt: &Attempt,
        amount: Sats,
        description: &str,
    ) -> Result<Invoice, TicketError> {
        let request = NewInvoice {
            key: attempt.subject,
            amount,
            description: description.to_owned(),
            requested_at: attempt.requested_at,
            lifetime: self.settings.invoice_lifetime,
        };
        let issued = self.ports.provider.issue(request).await?;
        let expected = Expected {
            network: self.settings.network,
            amount,
            description,
            payment_hash: issued.payment_hash,
            expires_at: attempt.requested_at + self.settings.invoice_lifetime,
            now: self.ports.clock.now(),
        };
        let expires_at = bolt11::guard(&issued.bolt11, &expected)
            .map_err(|refusal| GatewayError::Nonsense(refusal.into()))?;
        Ok(Invoice {
            id: issued.id,
            payment_hash: issued.payment_hash,
            bolt11: issued.bolt11,
            amount,
            issued_at: attempt.requested_at,
            expires_at,
            status: InvoiceStatus::Open,
            payment: None,
        })
    }

    /// The answer that was given when the work was done.
    async fn replay(&self, caller: Caller, id: TicketId, hash: &PaymentHash) -> Result<Opened, TicketError> {
        let ticket = self.get(caller, id).await?;
        let invoice =
            ticket.invoice(hash).ok_or_else(|| StoreError::corrupt("a claim names an unknown invoice"))?;
        Ok(Opened::of(id, invoice))
    }
}

/// Of a new ticket (or of one that is held by its lock, and has no open invoice) only the invoice can be there already,
/// once it is known that nobody has done the same work: the provider has given one payment hash twice. Money for it
/// would pay another ticket.
pub(super) fn repeated_hash(refusal: TicketError) -> TicketError {
    if matches!(refusal, TicketError::Store(StoreError::Duplicate)) {
        return GatewayError::Nonsense("the provider repeated a payment hash".into()).into();
    }
    refusal
}

/// What the payer's wallet shows; it names the ticket and nobody.
pub(super) fn description(operation: &str, ticket: TicketId) -> String {
    format!("Guichê {operation} {ticket}")
}
