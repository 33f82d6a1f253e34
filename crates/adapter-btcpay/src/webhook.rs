//! What a store tells us of its invoices. A delivery is a hint: whoever gets one asks for the invoice.
//!
//! The signature is over the bytes as they came, and they are indented: what was parsed and written again is another text.

use std::fmt;

use guiche_lightning_setup::WebhookSecret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use sha2::Sha256;

/// The header with the signature.
pub const SIGNATURE_HEADER: &str = "btcpay-sig";
/// No delivery that we ask for is longer, in bytes.
pub const LONGEST_BODY: usize = 64 * 1024;

/// What we want to be told.
pub(crate) const EVENTS: [&str; 4] =
    ["InvoiceSettled", "InvoiceExpired", "InvoiceReceivedPayment", "InvoicePaymentSettled"];

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// It is paid.
    InvoiceSettled,
    /// It has run out.
    InvoiceExpired,
    /// A payment came.
    InvoiceReceivedPayment,
    /// A payment is final.
    InvoicePaymentSettled,
    /// Something else, of which nothing follows.
    Other,
}

/// A delivery, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// This delivery's id.
    pub delivery_id: String,
    /// The id of the first delivery of this event: by it a repetition is known. The delivery's own where it is the first.
    pub original_delivery_id: String,
    /// What happened.
    pub kind: EventKind,
    /// In which store.
    pub store_id: String,
    /// To which invoice, if it is about one.
    pub invoice_id: Option<String>,
}

/// Why a delivery is not taken. What was found is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryRefusal {
    /// It is too long to be one.
    #[error("the delivery is longer than {LONGEST_BODY} bytes")]
    TooLong,
    /// It was not signed with this secret.
    #[error("the signature does not fit")]
    Forged,
    /// It is signed, and no document of the known form.
    #[error("the delivery cannot be understood")]
    Unreadable,
}

/// Checks the signature (`sha256=<hex>`) of a body as it came, in constant time, and reads the delivery.
///
/// # Errors
/// [`DeliveryRefusal`].
pub fn open(secret: &WebhookSecret, signature: &str, body: &[u8]) -> Result<Delivery, DeliveryRefusal> {
    if body.len() > LONGEST_BODY {
        return Err(DeliveryRefusal::TooLong);
    }
    if !is_signed(secret, signature, body) {
        return Err(DeliveryRefusal::Forged);
    }
    parse(body).ok_or(DeliveryRefusal::Unreadable)
}

fn is_signed(secret: &WebhookSecret, signature: &str, body: &[u8]) -> bool {
    let tag = signature.strip_prefix("sha256=").and_then(|digits| hex::decode(digits).ok());
    let mac = Hmac::<Sha256>::new_from_slice(secret.text().expose_secret().as_bytes()).ok();
    let (Some(tag), Some(mac)) = (tag, mac) else { return false };
    // Of the whole length, in constant time.
    mac.chain_update(body).verify_slice(&tag).is_ok()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    delivery_id: String,
    #[serde(default)]
    original_delivery_id: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    store_id: String,
    #[serde(default)]
    invoice_id: Option<String>,
}

fn parse(body: &[u8]) -> Option<Delivery> {
    let Told { delivery_id, original_delivery_id, kind, store_id, invoice_id } =
        serde_json::from_slice(body).ok()?;
    let original_delivery_id =
        original_delivery_id.filter(|id| !id.is_empty()).unwrap_or_else(|| delivery_id.clone());
    let invoice_id = invoice_id.filter(|id| !id.is_empty());
    let ids = [Some(&delivery_id), Some(&original_delivery_id), Some(&store_id), invoice_id.as_ref()];
    let kind = match kind.as_str() {
        "InvoiceSettled" => EventKind::InvoiceSettled,
        "InvoiceExpired" => EventKind::InvoiceExpired,
        "InvoiceReceivedPayment" => EventKind::InvoiceReceivedPayment,
        "InvoicePaymentSettled" => EventKind::InvoicePaymentSettled,
        _ => EventKind::Other,
    };
    let fits = ids.into_iter().flatten().all(|id| crate::is_id(id));
    fits.then_some(Delivery { delivery_id, original_delivery_id, kind, store_id, invoice_id })
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
