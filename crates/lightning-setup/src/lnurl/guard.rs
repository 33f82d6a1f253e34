//! What a store's invoice must be before a payer sees it.

use std::time::Duration;

use guiche_kernel::Timestamp;
use lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescriptionRef, Currency};
use sha2::{Digest as _, Sha256};

/// How far an invoice's expiry may lie from what was asked for.
const EXPIRY_TOLERANCE: Duration = Duration::from_secs(60);

/// Why a store's invoice is refused. None of these says what it contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvoiceRefusal {
    /// No BOLT11, or its signature is wrong.
    #[error("the invoice is not valid BOLT11")]
    Malformed,
    /// For another network.
    #[error("the invoice is for another network")]
    WrongNetwork,
    /// Not the amount that was asked for, to the millisatoshi.
    #[error("the invoice is not for the amount that was asked for")]
    WrongAmount,
    /// It does not commit to the metadata (LUD-06).
    #[error("the invoice does not commit to the metadata")]
    WrongDescriptionHash,
    /// It runs out at another moment than was asked for, or has already.
    #[error("the invoice runs out at another moment than was asked for")]
    WrongExpiry,
}

/// What was asked for.
pub(super) struct Expected<'a> {
    pub(super) currency: &'a Currency,
    pub(super) amount_msat: u64,
    pub(super) metadata: &'a str,
    pub(super) expires_at: Timestamp,
    pub(super) now: Timestamp,
}

/// Checks an invoice; returns its payment hash and its own expiry.
pub(super) fn guard(bolt11: &str, expected: &Expected<'_>) -> Result<([u8; 32], Timestamp), InvoiceRefusal> {
    // Parsing checks the signature.
    let invoice: Bolt11Invoice = bolt11.parse().map_err(|_| InvoiceRefusal::Malformed)?;
    if invoice.currency() != *expected.currency {
        return Err(InvoiceRefusal::WrongNetwork);
    }
    if invoice.amount_milli_satoshis() != Some(expected.amount_msat) {
        return Err(InvoiceRefusal::WrongAmount);
    }
    let committed = match invoice.description() {
        Bolt11InvoiceDescriptionRef::Hash(hash) => hash.0.to_string(),
        Bolt11InvoiceDescriptionRef::Direct(_) => return Err(InvoiceRefusal::WrongDescriptionHash),
    };
    if committed != hex::encode(Sha256::digest(expected.metadata)) {
        return Err(InvoiceRefusal::WrongDescriptionHash);
    }
    let expires_at = invoice
        .expires_at()
        .and_then(|since_epoch| i64::try_from(since_epoch.as_secs()).ok())
        .and_then(|seconds| Timestamp::from_unix_timestamp(seconds).ok())
        .ok_or(InvoiceRefusal::WrongExpiry)?;
    if (expires_at - expected.expires_at).unsigned_abs() > EXPIRY_TOLERANCE || expires_at <= expected.now {
        return Err(InvoiceRefusal::WrongExpiry);
    }
    let mut payment_hash = [0; 32];
    hex::decode_to_slice(invoice.payment_hash().to_string(), &mut payment_hash)
        .map_err(|_| InvoiceRefusal::Malformed)?;
    Ok((payment_hash, expires_at))
}
