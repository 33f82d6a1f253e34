//! A ticket as storage sees it: its own row, and what a save has to write.

use guiche_kernel::{Sats, Timestamp, UserId};

use crate::{FormData, Invoice, InvoiceStatus, OperationId, TicketId, TicketStatus};

/// Everything that storage keeps of a ticket beside its invoices.
#[derive(Debug, Clone, PartialEq)]
pub struct TicketRecord {
    /// Identifies it; chosen before anything was written.
    pub id: TicketId,
    /// The citizen.
    pub owner: UserId,
    /// What was bought.
    pub operation_id: OperationId,
    /// The operation's name at the opening.
    pub operation_name: String,
    /// The operation's price at the opening.
    pub amount: Sats,
    /// The filled-in form.
    pub form: FormData,
    /// Where the ticket stands.
    pub status: TicketStatus,
    /// Raised by every change; the first stored version is 1.
    pub version: i64,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When the citizen withdrew it.
    pub cancelled_at: Option<Timestamp>,
    /// When the office took it up.
    pub processing_at: Option<Timestamp>,
    /// When the office had served it.
    pub completed_at: Option<Timestamp>,
}

/// What a save has to write.
#[derive(Debug)]
pub struct TicketChanges<'a> {
    /// The version that MUST still be stored; another one means that somebody was faster.
    pub expected_version: i64,
    /// Invoices that are not stored yet.
    pub new_invoices: Vec<&'a Invoice>,
    /// Invoices that changed, each with the status that MUST still be stored.
    pub changed_invoices: Vec<(InvoiceStatus, &'a Invoice)>,
}
