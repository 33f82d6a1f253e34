//! The invoice as the citizen's wallet reads it: from its own text, whatever the office says about it.

use std::str::FromStr as _;

use guiche_kernel::{BoxError, Timestamp};
use lightning_invoice::Bolt11Invoice;

/// What a wallet shows before it pays.
pub(super) struct Decoded {
    pub(super) amount_sats: u64,
    pub(super) expires_at: Timestamp,
    pub(super) payment_hash: String,
}

pub(super) fn decode(bolt11: &str) -> Result<Decoded, BoxError> {
    let invoice =
        Bolt11Invoice::from_str(bolt11).map_err(|error| format!("no wallet could read it: {error}"))?;
    let msats = invoice.amount_milli_satoshis().ok_or("it names no amount")?;
    let expires_at = invoice.expires_at().ok_or("it never runs out")?;
    Ok(Decoded {
        amount_sats: msats / 1000,
        expires_at: Timestamp::UNIX_EPOCH + expires_at,
        payment_hash: invoice.payment_hash().to_string(),
    })
}
