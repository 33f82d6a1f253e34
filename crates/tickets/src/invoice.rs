//! An invoice: one request for payment of one ticket, as the Lightning provider issued it.

use std::fmt;

use guiche_kernel::{Sats, Timestamp};

use crate::{InvoiceStatus, PaymentHash, Preimage};

/// The provider's own name for an invoice, opaque to us (Spark's contain a colon).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InvoiceId(String);

/// An invoice id is between 1 and 512 visible ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an invoice id: 1 to 512 visible ASCII characters")]
pub struct InvoiceIdError;

impl InvoiceId {
    /// Accepts what a provider may call an invoice: 1 to 512 visible ASCII characters.
    ///
    /// # Errors
    /// [`InvoiceIdError`] for anything else.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvoiceIdError> {
        let text = text.into();
        let fits = (1..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text)) } else { Err(InvoiceIdError) }
    }

    /// The provider's name for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InvoiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Money that came in on an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// The earliest moment that any evidence gives.
    pub paid_at: Timestamp,
    /// The proof, once somebody has shown it.
    pub preimage: Option<Preimage>,
    /// When the money was given back, if it was.
    pub refunded_at: Option<Timestamp>,
}

/// One request for payment, with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// The provider's name for it.
    pub id: InvoiceId,
    /// Its name on the Lightning network; unique among all invoices.
    pub payment_hash: PaymentHash,
    /// The BOLT11 string, checked by [`guard`](crate::bolt11::guard) before anybody saw it.
    pub bolt11: String,
    /// The ticket's price.
    pub amount: Sats,
    /// When it was asked for.
    pub issued_at: Timestamp,
    /// The BOLT11's own expiry.
    pub expires_at: Timestamp,
    /// Where it stands; always what [`settlement`](crate::settlement) derives from the facts.
    pub status: InvoiceStatus,
    /// The money that came in, if any.
    pub payment: Option<Payment>,
}

impl Invoice {
    /// Whether the provider should still be asked about it.
    #[must_use]
    pub const fn is_unpaid(&self) -> bool {
        self.payment.is_none()
    }

    /// Whether it has run out at the given moment. A payment at `expires_at` itself is in time.
    #[must_use]
    pub fn has_run_out(&self, now: Timestamp) -> bool {
        now > self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_invoice_runs_out_after_its_last_moment_and_not_at_it() {
        let expires_at = datetime!(2026-01-01 12:15 UTC);
        let invoice = Invoice {
            id: InvoiceId::parse("a:b").unwrap(),
            payment_hash: PaymentHash::new([1; 32]),
            bolt11: String::new(),
            amount: Sats::try_new(1).unwrap(),
            issued_at: datetime!(2026-01-01 12:00 UTC),
            expires_at,
            status: InvoiceStatus::Open,
            payment: None,
        };
        assert!(!invoice.has_run_out(expires_at - Duration::from_micros(1)));
        assert!(!invoice.has_run_out(expires_at));
        assert!(invoice.has_run_out(expires_at + Duration::from_micros(1)));
        assert!(invoice.is_unpaid());
        let payment = Payment { paid_at: expires_at, preimage: None, refunded_at: Some(expires_at) };
        assert!(!Invoice { payment: Some(payment), ..invoice }.is_unpaid(), "also when the money went back");
    }

    #[test]
    fn an_id_is_1_to_512_visible_characters() {
        for good in ["a", "SparkLightningReceiveRequest:0195f3a4", "~!/?", &"x".repeat(512)] {
            assert_eq!(InvoiceId::parse(good).map(|id| id.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "a b", "a\n", "é", "\u{7f}", &"x".repeat(513)] {
            assert_eq!(InvoiceId::parse(bad), Err(InvoiceIdError), "{bad:?}");
        }
    }
}
