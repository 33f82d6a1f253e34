//! The words between the watcher, the operator and the store: invoices to look at, pushes, and money that must go back.

use guiche_kernel::{Sats, Timestamp, UserId};

use crate::{InvoiceId, InvoiceStatus, PaymentHash, TicketId};

/// An unpaid invoice whose provider is to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueLook {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The invoice.
    pub payment_hash: PaymentHash,
    /// The provider's name for it.
    pub invoice_id: InvoiceId,
    /// Whether it stands as open: then an answer that it is unpaid may close it.
    pub open: bool,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it runs out.
    pub expires_at: Timestamp,
    /// Since when the look is due; the moment of issue where nothing is scheduled any more.
    pub due_at: Timestamp,
}

/// When an invoice is looked at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextLook {
    /// The invoice.
    pub payment_hash: PaymentHash,
    /// The moment; `None` when the schedule is over.
    pub at: Option<Timestamp>,
}

/// A provider's word that something about an invoice has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The id of the message: the same when it is sent again.
    pub id: String,
    /// The provider's name for the invoice.
    pub invoice_id: InvoiceId,
    /// When it came.
    pub received_at: Timestamp,
}

/// What a push turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushNoted {
    /// About an invoice of ours; it will be looked at.
    Known,
    /// About an invoice that we do not have (yet): kept for the operator.
    Unknown,
    /// It came before.
    Duplicate,
}

/// Money that must go back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundDue {
    /// The ticket.
    pub ticket_id: TicketId,
    /// Whose it is.
    pub owner: UserId,
    /// The invoice that was paid.
    pub payment_hash: PaymentHash,
    /// Why it must go back: the invoice's status.
    pub reason: InvoiceStatus,
    /// How much.
    pub amount: Sats,
    /// When it came in.
    pub paid_at: Timestamp,
}
