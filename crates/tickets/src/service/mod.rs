//! The use cases of the window. [`Tickets`] is what an application holds; each file beside this one is one concern:
//! opening (with idempotency), fresh invoices, everything that looks for money, the watcher, a look at everything by
//! hand, and what the office does about money that must go back.

mod attempt;
mod invoicing;
mod money;
mod opening;
mod reconciling;
mod refunding;
mod watching;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use guiche_kernel::{Actor, Caller, Clock, Ids, Timer};

use crate::{
    Invoice, InvoiceGateway, Network, Operation, OperationCatalogue, OperationId, PaymentHash, Ticket,
    TicketError, TicketId, TicketPage, TicketQuery, TicketStore,
};

pub use invoicing::FreshInvoice;
pub use opening::{OpenTicket, Opened};
pub use reconciling::Reconciled;
pub use watching::WatchReport;

/// What the use cases need from outside.
#[derive(Clone)]
pub struct TicketPorts {
    /// Where tickets are kept.
    pub store: Arc<dyn TicketStore>,
    /// What can be bought.
    pub catalogue: Arc<dyn OperationCatalogue>,
    /// The Lightning provider, for everything that the office does by itself.
    pub provider: Arc<dyn InvoiceGateway>,
    /// The Lightning provider as asked on a payer's behalf (`confirm`). The same one, except for a development stub
    /// that plays the payer's wallet.
    pub payer: Arc<dyn InvoiceGateway>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Waiting, on the same clock.
    pub timer: Arc<dyn Timer>,
    /// New identifiers.
    pub ids: Ids,
}

/// What may differ between installations.
#[derive(Debug, Clone, Copy)]
pub struct TicketSettings {
    /// The network whose invoices are accepted.
    pub network: Network,
    /// How long an invoice can be paid.
    pub invoice_lifetime: Duration,
    /// How long one request may hold an idempotency key before another takes it over: longer than any request may take
    /// (the service cuts them off after 30 s), and no longer, since it is how long a client waits whose server died.
    pub claim_lease: Duration,
    /// How long the others wait for the first one's answer.
    pub claim_wait: Duration,
    /// How long one watcher holds an invoice that it looks at before another takes it over.
    pub watch_lease: Duration,
    /// How many invoices one step of the watcher asks about at once: all of them are looked at whenever one answers, so
    /// rather take more steps side by side.
    pub looks_at_once: u16,
}

impl TicketSettings {
    /// The usual settings, on the given network: invoices live 15 minutes.
    #[must_use]
    pub const fn on(network: Network) -> Self {
        Self {
            network,
            invoice_lifetime: Duration::from_secs(15 * 60),
            claim_lease: Duration::from_secs(35),
            claim_wait: Duration::from_secs(10),
            watch_lease: Duration::from_secs(60),
            looks_at_once: 16,
        }
    }
}

/// The window: everything that can be done with operations and tickets.
#[derive(Clone)]
pub struct Tickets {
    ports: TicketPorts,
    settings: TicketSettings,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Tickets {
    /// The use cases over the given ports.
    #[must_use]
    pub const fn new(ports: TicketPorts, settings: TicketSettings) -> Self {
        Self { ports, settings }
    }

    /// Every operation on offer.
    ///
    /// # Errors
    /// [`TicketError::Store`].
    pub async fn operations(&self) -> Result<Vec<Operation>, TicketError> {
        Ok(self.ports.catalogue.list().await?)
    }

    /// An operation on offer.
    ///
    /// # Errors
    /// [`TicketError::OperationNotFound`], [`TicketError::Store`].
    pub async fn operation(&self, id: OperationId) -> Result<Operation, TicketError> {
        self.ports.catalogue.find(id).await?.ok_or(TicketError::OperationNotFound(id))
    }

    /// An operation on offer, by its machine name.
    ///
    /// # Errors
    /// [`TicketError::OperationNameNotFound`], [`TicketError::Store`].
    pub async fn operation_by_name(&self, name: &str) -> Result<Operation, TicketError> {
        self.ports.catalogue.find_by_name(name).await?.ok_or(TicketError::OperationNameNotFound)
    }

    /// One of the caller's tickets.
    ///
    /// # Errors
    /// [`TicketError::NotFound`], also for somebody else's; [`TicketError::Store`].
    pub async fn get(&self, caller: Caller, id: TicketId) -> Result<Ticket, TicketError> {
        self.get_as(caller.into(), id).await
    }

    /// A page of the caller's tickets, newest first.
    ///
    /// # Errors
    /// [`TicketError::Store`].
    pub async fn list(&self, caller: Caller, query: &TicketQuery) -> Result<TicketPage, TicketError> {
        Ok(self.ports.store.list(caller, query).await?)
    }

    /// An invoice that the actor may see.
    ///
    /// # Errors
    /// [`TicketError::Store`].
    pub async fn invoice(&self, actor: Actor, hash: &PaymentHash) -> Result<Option<Invoice>, TicketError> {
        let Some(id) = self.ports.store.ticket_of(actor, hash).await? else { return Ok(None) };
        let ticket = self.ports.store.find(actor, id).await?;
        Ok(ticket.and_then(|ticket| ticket.invoice(hash).cloned()))
    }

    async fn get_as(&self, actor: Actor, id: TicketId) -> Result<Ticket, TicketError> {
        self.ports.store.find(actor, id).await?.ok_or(TicketError::NotFound(id))
    }
}
