//! The one settlement: where a ticket and its invoices stand is a pure function of the facts.
//!
//! The facts are when each invoice runs out, which payments came in and when, when the ticket was cancelled, what was
//! refunded, and which invoices were closed unpaid. The order in which the facts became known is not among them, so
//! no order of polls, pushes, proofs, sweeps and cancellations can lead to another result:
//!
//! | fact | ticket becomes | invoice becomes |
//! |---|---|---|
//! | paid at or before `expires_at`, and not cancelled before that moment | `paid` | `paid` |
//! | paid after `expires_at`, ticket unpaid | `refund_due` | `paid_late` |
//! | paid after the cancellation, ticket unpaid | `refund_due` | `paid_after_cancel` |
//! | another invoice pays the ticket | unchanged | `paid_surplus`: the refund is due on the invoice |
//!
//! Of several payments in time, the earliest pays the ticket.

use guiche_kernel::Timestamp;

use crate::{Invoice, InvoiceStatus, TicketStatus};

/// How far the office has served a paid ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Service {
    /// Not begun.
    #[default]
    Waiting,
    /// The office is working on it.
    Processing,
    /// Served.
    Completed,
}

/// Derives the status of every invoice from the facts, writes it into them, and returns the ticket's.
pub(crate) fn settle(
    invoices: &mut [Invoice],
    cancelled_at: Option<Timestamp>,
    service: Service,
) -> TicketStatus {
    let paying = paying_invoice(invoices, cancelled_at);
    for (index, invoice) in invoices.iter_mut().enumerate() {
        invoice.status = invoice_status(invoice, cancelled_at, paying.map(|paying| paying == index));
    }
    ticket_status(invoices, cancelled_at, service, paying.is_some())
}

/// The position of the invoice that pays the ticket: the earliest payment in time that was not given back.
fn paying_invoice(invoices: &[Invoice], cancelled_at: Option<Timestamp>) -> Option<usize> {
    invoices
        .iter()
        .enumerate()
        .filter_map(|(index, invoice)| {
            let payment = invoice.payment.filter(|payment| payment.refunded_at.is_none())?;
            let in_time = payment.paid_at <= invoice.expires_at
                && cancelled_at.is_none_or(|cancelled_at| payment.paid_at <= cancelled_at);
            in_time.then_some((payment.paid_at, invoice.issued_at, invoice.payment_hash, index))
        })
        .min()
        .map(|(_, _, _, index)| index)
}

/// `pays` is `Some(true)` for the invoice that pays the ticket, `Some(false)` for the others, `None` when none does.
fn invoice_status(invoice: &Invoice, cancelled_at: Option<Timestamp>, pays: Option<bool>) -> InvoiceStatus {
    match (invoice.payment, pays) {
        (Some(_), Some(true)) => InvoiceStatus::Paid,
        (Some(_), Some(false)) => InvoiceStatus::PaidSurplus,
        (Some(payment), None) if cancelled_at.is_some_and(|cancelled_at| payment.paid_at > cancelled_at) => {
            InvoiceStatus::PaidAfterCancel
        }
        (Some(_), None) => InvoiceStatus::PaidLate,
        (None, Some(_)) if invoice.status == InvoiceStatus::Open => InvoiceStatus::Withdrawn,
        (None, _) => invoice.status,
    }
}

fn ticket_status(
    invoices: &[Invoice],
    cancelled_at: Option<Timestamp>,
    service: Service,
    paid: bool,
) -> TicketStatus {
    let mut payments = invoices.iter().filter_map(|invoice| invoice.payment).peekable();
    match (paid, service) {
        (true, Service::Waiting) => TicketStatus::Paid,
        (true, Service::Processing) => TicketStatus::Processing,
        (true, Service::Completed) => TicketStatus::Completed,
        (false, _) if payments.peek().is_some() => {
            let all_refunded = payments.all(|payment| payment.refunded_at.is_some());
            if all_refunded { TicketStatus::Refunded } else { TicketStatus::RefundDue }
        }
        (false, _) if cancelled_at.is_some() => TicketStatus::Cancelled,
        (false, _) if invoices.iter().any(|invoice| invoice.status == InvoiceStatus::Open) => {
            TicketStatus::Pending
        }
        (false, _) => TicketStatus::Expired,
    }
}
