//! The gateway's words, and what they mean to us.

use std::time::Duration;

use guiche_kernel::{Timestamp, truncate_to_micros};
use guiche_outbound::{Answer, ProviderError};
use guiche_tickets::bolt11::MAX_DESCRIPTION_BYTES;
use guiche_tickets::{InvoiceId, IssuedInvoice, NewInvoice, ProviderStatus};
use serde::Deserialize;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// A request as old as this is sent as if it were new, so that a repeated one is the same, byte by byte, and the gateway
/// finds it under its key. The guard accepts an expiry 60 s off; the other half is for clocks that differ.
const SAME_MOMENT: Duration = Duration::from_secs(30);

/// Spark holds the payment, or our wallet has claimed it.
const PAID: [&str; 2] = ["LIGHTNING_PAYMENT_RECEIVED", "TRANSFER_COMPLETED"];

/// Money is on its way.
const IN_FLIGHT: [&str; 4] =
    ["HTLC_RECEIVED", "TRANSFER_CREATED", "PAYMENT_PREIMAGE_PENDING", "PAYMENT_PREIMAGE_RECOVERED"];

/// Nothing was paid through Spark before it existed: a moment before this one is a clock that was never set.
const EARLIEST_PAYMENT: Timestamp = time::macros::datetime!(2024-01-01 00:00 UTC);

/// A request that the gateway need not be bothered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error("an invoice must be for at least 1 satoshi")]
    ZeroAmount,
    #[error("the description has {bytes} bytes; an invoice carries at most 639")]
    DescriptionTooLong { bytes: usize },
    #[error("the invoice would have run out before it is issued")]
    RunOut,
}

/// The document that asks for an invoice. The gateway counts the expiry from when it is asked, we from the first request
/// under this key: one that comes late asks for the rest of the time.
pub(super) fn request(request: &NewInvoice, now: Timestamp) -> Result<Value, Unfit> {
    let bytes = request.description.len();
    if bytes > MAX_DESCRIPTION_BYTES {
        return Err(Unfit::DescriptionTooLong { bytes });
    }
    if request.amount.get() == 0 {
        return Err(Unfit::ZeroAmount);
    }
    // On a clock that was set back the request lies ahead, and is a new one.
    let age = Duration::try_from(now - request.requested_at).unwrap_or(Duration::ZERO);
    let age = if age <= SAME_MOMENT { Duration::ZERO } else { age };
    let seconds = request.lifetime.saturating_sub(age).as_secs();
    if seconds == 0 {
        return Err(Unfit::RunOut);
    }
    Ok(json!({ "amount_sats": request.amount.get(), "memo": request.description, "expiry_seconds": seconds }))
}

#[derive(Deserialize)]
struct Issued {
    invoice_id: String,
    bolt11: String,
    payment_hash: String,
}

/// An invoice as it was issued. Its contents are for the guard; here it only must be one.
pub(super) fn issued(answer: &Answer) -> Result<IssuedInvoice, ProviderError> {
    let Issued { invoice_id, bolt11, payment_hash } = answer.json()?;
    let unreadable = || answer.unreadable();
    // Under such a name nobody could ask for it again.
    if matches!(invoice_id.as_str(), "." | "..") {
        return Err(unreadable());
    }
    Ok(IssuedInvoice {
        id: InvoiceId::parse(invoice_id).map_err(|_| unreadable())?,
        bolt11,
        payment_hash: payment_hash.parse().map_err(|_| unreadable())?,
    })
}

/// Only the status must be readable: an oddity beside it must not lose a payment.
#[derive(Deserialize)]
struct Status {
    status: String,
    #[serde(default)]
    paid_at: Value,
    #[serde(default)]
    spark_status: Value,
}

/// Where an invoice stands. Paid is looked at first, then money on its way; every other word, known or new, is no payment,
/// whatever it says about expiry: we go by the BOLT11's own.
pub(super) fn status(answer: &Answer, now: Timestamp) -> Result<ProviderStatus, ProviderError> {
    let Status { status, paid_at, spark_status } = answer.json()?;
    let spark_status = spark_status.as_str().unwrap_or_default();
    Ok(if status == "paid" || PAID.contains(&spark_status) {
        ProviderStatus::Paid { paid_at: paid_at.as_str().and_then(|text| moment(text, now)) }
    } else if IN_FLIGHT.contains(&spark_status) {
        ProviderStatus::InFlight
    } else {
        ProviderStatus::Unpaid
    })
}

/// The moment of a payment, or `None`, by which it counts from when it is first seen: what cannot be read, what lies
/// ahead, and what lies before there was Spark is no moment of a payment. One between that and the issuing the settlement
/// itself moves to the issuing, which only it knows. So a wrong clock neither loses a payment nor makes a late one timely.
fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let moment = truncate_to_micros(moment.to_offset(UtcOffset::UTC));
    let plausible = (EARLIEST_PAYMENT..=now).contains(&moment);
    if !plausible {
        tracing::warn!(
            provider = super::SparkLive::PROVIDER,
            "a payment's moment cannot be true; it counts from when it is seen"
        );
    }
    plausible.then_some(moment)
}

#[cfg(test)]
mod tests {
    use guiche_kernel::Sats;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    const NOON: Timestamp = datetime!(2026-01-01 12:00 UTC);

    fn invoice(amount: u64, description: &str, lifetime: u64) -> NewInvoice {
        NewInvoice {
            key: Uuid::from_u128(1),
            amount: Sats::try_new(amount).unwrap(),
            description: description.to_owned(),
            requested_at: NOON,
            lifetime: Duration::from_secs(lifetime),
        }
    }

    fn expiry(after: i64) -> Option<u64> {
        request(&invoice(1, "", 900), NOON + time::Duration::seconds(after)).ok()?["expiry_seconds"].as_u64()
    }

    #[test]
    fn a_late_request_asks_for_the_rest_of_the_time() {
        for (after, seconds) in [
            (-3600, Some(900)),
            (0, Some(900)),
            (30, Some(900)),
            (31, Some(869)),
            (899, Some(1)),
            (900, None),
            (9000, None),
        ] {
            assert_eq!(expiry(after), seconds, "{after}");
        }
    }

    #[test]
    fn what_no_invoice_can_be_is_not_asked_for() {
        let document = request(&invoice(7, "ê", 60), NOON).unwrap();
        assert_eq!(document, json!({ "amount_sats": 7, "memo": "ê", "expiry_seconds": 60 }));
        assert!(request(&invoice(1, &"x".repeat(639), 60), NOON).is_ok());
        let long = "ê".repeat(320);
        assert_eq!(request(&invoice(1, &long, 60), NOON), Err(Unfit::DescriptionTooLong { bytes: 640 }));
        assert_eq!(request(&invoice(0, "", 60), NOON), Err(Unfit::ZeroAmount));
        assert_eq!(request(&invoice(1, "", 0), NOON), Err(Unfit::RunOut));
    }

    #[test]
    fn a_moment_that_cannot_be_true_is_none() {
        for (text, expected) in [
            ("2026-01-01T11:59:59.123456789Z", Some(datetime!(2026-01-01 11:59:59.123456 UTC))),
            ("2026-01-01T08:00:00-04:00", Some(NOON)),
            ("2026-01-01T12:00:00.000001Z", None),
            ("1970-01-01T00:00:00Z", None),
            ("2026-01-01", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(moment(text, NOON), expected, "{text}");
        }
    }
}
