//! Real invoices of a node that holds no money.

use std::time::Duration;

use bitcoin::hashes::{Hash as _, sha256};
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use lightning_invoice::{
    Bolt11InvoiceDescription, CreationError, Currency, Description, InvoiceBuilder, PaymentSecret, Sha256,
};

/// What an invoice is made of.
pub(super) struct Wanted<'a> {
    /// Nothing: the payer chooses.
    pub(super) amount_msat: u64,
    pub(super) description: &'a str,
    /// Whether the invoice holds the description's hash instead.
    pub(super) is_hashed: bool,
    pub(super) preimage: [u8; 32],
    /// Seconds since 1970.
    pub(super) issued_at: u64,
    pub(super) expiry_seconds: u64,
}

/// The invoice and its payment hash; `None` for what no invoice can be.
pub(super) fn sign(wanted: &Wanted<'_>) -> Option<(String, String)> {
    let payment_hash = sha256::Hash::hash(&wanted.preimage);
    let invoice = build(wanted, payment_hash).ok()?;
    Some((invoice, hex::encode(payment_hash.to_byte_array())))
}

fn build(wanted: &Wanted<'_>, payment_hash: sha256::Hash) -> Result<String, CreationError> {
    // A well-known key: it guards nothing.
    let node = SecretKey::from_slice(&[43; 32]).map_err(|_| CreationError::MissingRouteHints)?;
    let description = if wanted.is_hashed {
        Bolt11InvoiceDescription::Hash(Sha256(sha256::Hash::hash(wanted.description.as_bytes())))
    } else {
        Bolt11InvoiceDescription::Direct(Description::new(wanted.description.to_owned())?)
    };
    let mut builder = InvoiceBuilder::new(Currency::Regtest)
        .invoice_description(description)
        .duration_since_epoch(Duration::from_secs(wanted.issued_at))
        .payment_hash(payment_hash)
        .payment_secret(PaymentSecret([7; 32]))
        .basic_mpp()
        .expiry_time(Duration::from_secs(wanted.expiry_seconds))
        .min_final_cltv_expiry_delta(80);
    if wanted.amount_msat > 0 {
        builder = builder.amount_milli_satoshis(wanted.amount_msat);
    }
    let invoice =
        builder.build_signed(|digest| Secp256k1::signing_only().sign_ecdsa_recoverable(digest, &node))?;
    Ok(invoice.to_string())
}
