//! Invoices of an address.

use guiche_kernel::Timestamp;

use crate::SetupId;

/// An invoice that was issued for a payer of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressInvoice {
    /// SHA-256 of its preimage.
    pub payment_hash: [u8; 32],
    /// Which address.
    pub setup: SetupId,
    /// The store that issued it.
    pub store_id: String,
    /// The host's id of it.
    pub invoice_id: String,
    /// The invoice.
    pub bolt11: String,
    /// How much, in millisatoshis.
    pub amount_msat: u64,
    /// What the payer wrote (LUD-12).
    pub comment: Option<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it runs out.
    pub expires_at: Timestamp,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
}
