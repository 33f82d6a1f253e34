//! The invoice itself.

use bitcoin::hashes::{Hash, sha256};
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};

use super::error::InvalidRequest;
use super::facts::Facts;
use super::keys::Keys;

/// How many blocks the last hop leaves us to claim a payment; no payment comes here, so any usual value will do.
const MIN_FINAL_CLTV_EXPIRY_DELTA: u64 = 80;

/// Makes and signs the invoice. The payee's key stands in it (field `n`, as in Spark's own invoices): without it, a
/// changed signature is not wrong to a decoder, it only names another payee.
pub(super) fn sign(facts: &Facts, description: &str, keys: &Keys) -> Result<String, InvalidRequest> {
    let hash = keys.preimage(facts.key()).payment_hash();
    let invoice = InvoiceBuilder::new(Currency::Regtest)
        .amount_milli_satoshis(facts.amount().as_msats())
        .duration_since_epoch(facts.since_epoch())
        .payment_hash(sha256::Hash::from_byte_array(*hash.as_bytes()))
        .payment_secret(PaymentSecret(keys.payment_secret(facts.key())))
        .basic_mpp()
        .description(description.to_owned())
        .expiry_time(facts.lifetime())
        .min_final_cltv_expiry_delta(MIN_FINAL_CLTV_EXPIRY_DELTA)
        .payee_pub_key(*keys.node_id())
        .build_signed(|digest| keys.sign(digest))?;
    Ok(invoice.to_string())
}
