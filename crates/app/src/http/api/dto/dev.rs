//! The played wallet on the wire.

use guiche_adapter_spark::WalletPayment;
use guiche_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How to pay.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PayQuery {
    /// `true`: as a payment that was held up on its way and arrives after the expiry.
    pub late: Option<bool>,
}

/// A payment, as the payer's wallet has it.
#[derive(Serialize, ToSchema)]
pub struct PaidDto {
    payment_hash: String,
    /// The proof of payment.
    preimage: String,
    #[schema(value_type = u64)]
    amount_sats: u64,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    paid_at: Timestamp,
}

impl From<WalletPayment> for PaidDto {
    fn from(payment: WalletPayment) -> Self {
        Self {
            payment_hash: payment.payment_hash.to_string(),
            preimage: payment.preimage.to_hex(),
            amount_sats: payment.amount.get(),
            paid_at: payment.paid_at,
        }
    }
}
