//! Real invoices of a node that holds no money.

use std::time::Duration;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use guiche_tickets::Preimage;
use lightning_invoice::{CreationError, Currency, InvoiceBuilder, PaymentSecret};

/// What an invoice is made of.
pub(super) struct Wanted<'a> {
    pub(super) currency: Currency,
    pub(super) amount_sats: u64,
    pub(super) memo: &'a str,
    pub(super) preimage: Preimage,
    /// Seconds since 1970.
    pub(super) issued_at: u64,
    pub(super) expiry_seconds: u64,
}

pub(super) fn sign(wanted: &Wanted<'_>) -> Result<String, CreationError> {
    // A well-known key: it guards nothing.
    let node = SecretKey::from_slice(&[42; 32]).map_err(|_| CreationError::MissingRouteHints)?;
    let invoice = InvoiceBuilder::new(wanted.currency.clone())
        .amount_milli_satoshis(wanted.amount_sats.saturating_mul(1000))
        .duration_since_epoch(Duration::from_secs(wanted.issued_at))
        .payment_hash(sha256::Hash::from_byte_array(*wanted.preimage.payment_hash().as_bytes()))
        .payment_secret(PaymentSecret([7; 32]))
        .basic_mpp()
        .description(wanted.memo.to_owned())
        .expiry_time(Duration::from_secs(wanted.expiry_seconds))
        .min_final_cltv_expiry_delta(80)
        .build_signed(|digest| Secp256k1::signing_only().sign_ecdsa_recoverable(digest, &node))?;
    Ok(invoice.to_string())
}
