//! What others may know: events that are committed together with the change they tell of.

use guiche_kernel::{Sats, Timestamp, UserId};
use uuid::Uuid;

use crate::{OperationId, PaymentHash, TicketId, TicketStatus};

/// What happened to a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TicketEventKind {
    /// `ticket.opened`: it exists, with its first invoice.
    Opened,
    /// `ticket.invoice_issued`: a fresh invoice made it payable again.
    InvoiceIssued,
    /// `ticket.paid`: at most once in the life of a ticket.
    Paid,
    /// `ticket.expired`: its invoice ran out unpaid.
    Expired,
    /// `ticket.cancelled`: the citizen withdrew it.
    Cancelled,
    /// `ticket.refund_due`: money came in on an invoice that must go back; once per invoice.
    RefundDue,
    /// `ticket.refunded`: that money went back.
    Refunded,
    /// `ticket.processing`: the office took it up.
    Processing,
    /// `ticket.completed`: the office has served it.
    Completed,
}

impl TicketEventKind {
    /// The event's type, as subscribers see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "ticket.opened",
            Self::InvoiceIssued => "ticket.invoice_issued",
            Self::Paid => "ticket.paid",
            Self::Expired => "ticket.expired",
            Self::Cancelled => "ticket.cancelled",
            Self::RefundDue => "ticket.refund_due",
            Self::Refunded => "ticket.refunded",
            Self::Processing => "ticket.processing",
            Self::Completed => "ticket.completed",
        }
    }
}

/// One event. It carries no form data: a subscriber that may see those asks for the ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketEvent {
    /// Identifies the event; the same at every delivery.
    pub id: Uuid,
    /// What happened.
    pub kind: TicketEventKind,
    /// When.
    pub at: Timestamp,
    /// To which ticket.
    pub ticket_id: TicketId,
    /// Whose it is.
    pub owner: UserId,
    /// For what.
    pub operation_id: OperationId,
    /// Where the ticket stands after the event.
    pub status: TicketStatus,
    /// The ticket's version after the event.
    pub version: i64,
    /// The ticket's price.
    pub amount: Sats,
    /// The invoice concerned, where one is.
    pub payment_hash: Option<PaymentHash>,
}
