//! What wallets and stores send and get, for the documentation: the domain writes it.

use serde_json::Value;
use utoipa::ToSchema;

/// Why a wallet gets nothing; under HTTP 200.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the domain writes")]
pub struct LnurlErrorDto {
    #[schema(pattern = "^ERROR$", example = "ERROR")]
    status: String,
    /// For people, in Portuguese and English.
    reason: String,
}

/// What may be paid (LUD-06).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what the domain writes")]
pub struct PayRequestDto {
    #[schema(pattern = "^payRequest$", example = "payRequest")]
    tag: String,
    /// Where the invoice is asked for.
    callback: String,
    /// The least, in millisatoshis.
    min_sendable: u64,
    /// The most, in millisatoshis.
    max_sendable: u64,
    /// A JSON array as a text: invoices commit to the SHA-256 of its very bytes.
    metadata: String,
    /// How many characters a comment may have (LUD-12).
    comment_allowed: u16,
}

/// An invoice (LUD-06).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the domain writes")]
pub struct PayInvoiceDto {
    /// BOLT11.
    pr: String,
    /// Always empty.
    #[schema(max_items = 0)]
    routes: Vec<Value>,
    /// Where it is asked whether it was paid (LUD-21).
    verify: String,
}

/// Whether an invoice was paid (LUD-21).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the domain writes")]
pub struct PayProofDto {
    #[schema(pattern = "^OK$", example = "OK")]
    status: String,
    settled: bool,
    /// Proves the payment; `null` until then.
    #[schema(required = true)]
    preimage: Option<String>,
    /// BOLT11.
    pr: String,
}

macro_rules! or_error {
    ($($(#[$doc:meta])* $name:ident of $good:ident;)+) => {$(
        $(#[$doc])*
        #[derive(ToSchema)]
        #[serde(untagged)]
        pub enum $name {
            /// What was asked for.
            Good($good),
            /// Why there is nothing.
            Error(LnurlErrorDto),
        }
    )+};
}

or_error! {
    /// What may be paid, or why nothing can be.
    PayParamsDto of PayRequestDto;
    /// An invoice, or why there is none.
    PayAnswerDto of PayInvoiceDto;
    /// Whether an invoice was paid, or why that is not told.
    PayVerifiedDto of PayProofDto;
}

/// What a wallet asks for.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what the route reads")]
pub struct CallbackQuery {
    /// In millisatoshis.
    #[param(required = false, value_type = u64)]
    amount: Option<u64>,
    /// For the payee (LUD-12).
    #[param(required = false, value_type = String)]
    comment: Option<String>,
}

/// The header with which a store proves that a message is its own.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what the route reads")]
pub struct StoreMessageHeaders {
    /// `sha256=` and the HMAC of the body as it is sent, in hex.
    #[param(rename = "BTCPay-Sig", value_type = String)]
    signature: String,
}

/// A message of a store, as far as it matters. Whatever else it holds is not looked at.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what the adapter reads")]
pub struct StoreMessageBody {
    delivery_id: String,
    /// By it a repetition is known.
    #[schema(required = false)]
    original_delivery_id: String,
    #[schema(rename = "type", example = "InvoiceSettled")]
    kind: String,
    store_id: String,
    #[schema(required = false)]
    invoice_id: String,
}
