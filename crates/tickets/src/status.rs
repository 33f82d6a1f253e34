//! The words for where a ticket and an invoice stand, as storage and the API spell them.

use std::fmt;
use std::str::FromStr;

/// The word is not a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a known status")]
pub struct UnknownStatus;

/// Declares a status enum whose words are written once.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every status there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word that storage and the API use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownStatus;
            fn from_str(word: &str) -> Result<Self, UnknownStatus> {
                match word { $($word => Ok(Self::$variant),)+ _ => Err(UnknownStatus) }
            }
        }
    };
}

words! {
    /// Where a ticket stands.
    TicketStatus {
        /// Waiting for its open invoice to be paid.
        Pending = "pending",
        /// Paid in time; the office can serve it.
        Paid = "paid",
        /// Paid, and the office is serving it.
        Processing = "processing",
        /// Paid and served.
        Completed = "completed",
        /// Its invoice ran out unpaid; a fresh invoice makes it pending again.
        Expired = "expired",
        /// Withdrawn by the citizen before any payment.
        Cancelled = "cancelled",
        /// Money came that must go back: too late, or after the cancellation.
        RefundDue = "refund_due",
        /// The money that had to go back went back.
        Refunded = "refunded",
    }
}

words! {
    /// Where an invoice stands.
    InvoiceStatus {
        /// Payable.
        Open = "open",
        /// Ran out unpaid.
        Expired = "expired",
        /// Withdrawn unpaid: its ticket was cancelled, or paid by another invoice. A payer may still pay it.
        Withdrawn = "withdrawn",
        /// This is the payment of the ticket.
        Paid = "paid",
        /// Paid after it had run out: the refund is due.
        PaidLate = "paid_late",
        /// Paid after its ticket was cancelled: the refund is due.
        PaidAfterCancel = "paid_after_cancel",
        /// Paid although another invoice pays the ticket: the refund is due.
        PaidSurplus = "paid_surplus",
    }
}

impl TicketStatus {
    /// Whether a payment counts for this ticket, whatever the office has done since.
    #[must_use]
    pub const fn is_paid(self) -> bool {
        matches!(self, Self::Paid | Self::Processing | Self::Completed)
    }
}

impl InvoiceStatus {
    /// Whether money came in on this invoice.
    #[must_use]
    pub const fn has_money(self) -> bool {
        matches!(self, Self::Paid | Self::PaidLate | Self::PaidAfterCancel | Self::PaidSurplus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for status in TicketStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        for status in InvoiceStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        assert_eq!("PAID".parse::<TicketStatus>(), Err(UnknownStatus));
    }
}
