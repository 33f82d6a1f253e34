//! Whether a citizen's tickets let the citizen be forgotten. They do not while money may still move or a service is owed:
//! whoever were forgotten then would lose it without anybody knowing whose it was.

use std::fmt;
use std::time::Duration;

use guiche_kernel::{Sats, Timestamp};

use crate::{Invoice, InvoiceStatus, PaymentHash, Ticket, TicketId, TicketStatus};

/// Until so long after its invoice ran out, money may still arrive: the payer's wallet retries, and a provider may be asked
/// late.
pub const LATE_MONEY: Duration = Duration::from_secs(7 * 24 * 3600);

/// Why a ticket holds its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It can be paid at any moment.
    MayBePaid,
    /// It is paid, and the office has not served it yet.
    ServiceOwed,
    /// Its money goes back, and has not gone yet.
    RefundDue,
    /// One of its invoices ran out a short while ago.
    LateMoney {
        /// From then on it holds nobody.
        until: Timestamp,
    },
}

impl Hold {
    /// A stable word for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MayBePaid => "may_be_paid",
            Self::ServiceOwed => "service_owed",
            Self::RefundDue => "refund_due",
            Self::LateMoney { .. } => "late_money",
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MayBePaid => f.write_str("it can still be paid"),
            Self::ServiceOwed => f.write_str("it is paid, and the service is owed"),
            Self::RefundDue => f.write_str("a refund is due"),
            Self::LateMoney { until } => {
                write!(f, "an invoice ran out lately, and its money could still arrive until {until}")
            }
        }
    }
}

/// Why this ticket holds its owner; `None` when it does not.
#[must_use]
pub fn hold(ticket: &Ticket, now: Timestamp) -> Option<Hold> {
    let refund_due = |invoice: &Invoice| match invoice.status {
        InvoiceStatus::PaidLate | InvoiceStatus::PaidAfterCancel | InvoiceStatus::PaidSurplus => {
            invoice.payment.as_ref().is_none_or(|payment| payment.refunded_at.is_none())
        }
        InvoiceStatus::Open | InvoiceStatus::Expired | InvoiceStatus::Withdrawn | InvoiceStatus::Paid => {
            false
        }
    };
    if ticket.invoices().iter().any(refund_due) {
        return Some(Hold::RefundDue);
    }
    match ticket.status() {
        TicketStatus::Pending => return Some(Hold::MayBePaid),
        TicketStatus::Paid | TicketStatus::Processing => return Some(Hold::ServiceOwed),
        TicketStatus::RefundDue => return Some(Hold::RefundDue),
        TicketStatus::Completed
        | TicketStatus::Expired
        | TicketStatus::Cancelled
        | TicketStatus::Refunded => {}
    }
    let last = ticket.invoices().iter().map(|invoice| invoice.expires_at + LATE_MONEY).max();
    last.filter(|until| now < *until).map(|until| Hold::LateMoney { until })
}

/// A payment, for the office's books: what must be kept of a ticket when its owner is forgotten. Nothing in it says who it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoneyRecord {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The payment.
    pub payment_hash: PaymentHash,
    /// How much.
    pub amount: Sats,
    /// When it was made.
    pub paid_at: Timestamp,
    /// When it went back, if it did.
    pub refunded_at: Option<Timestamp>,
}

/// Every payment of the ticket.
#[must_use]
pub fn money_records(ticket: &Ticket) -> Vec<MoneyRecord> {
    let record = |invoice: &Invoice| {
        let payment = invoice.payment.as_ref()?;
        Some(MoneyRecord {
            ticket_id: ticket.id(),
            payment_hash: invoice.payment_hash,
            amount: invoice.amount,
            paid_at: payment.paid_at,
            refunded_at: payment.refunded_at,
        })
    };
    ticket.invoices().iter().filter_map(record).collect()
}
