//! What stores tell us of invoices of Lightning addresses. A message is signed with its address's own secret, and still only
//! a hint: the invoice is read again before anything changes.

use std::sync::Arc;

use actix_web::http::header::WWW_AUTHENTICATE;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use guiche_adapter_btcpay::webhook::{self, Delivery, DeliveryRefusal, SIGNATURE_HEADER};
use guiche_lightning_setup::SetupId;
use guiche_lightning_setup::lnurl::{Lnurl, LnurlError};
use uuid::Uuid;

use super::dto::{StoreMessageBody, StoreMessageHeaders};
use super::refusals;
use crate::http::codes::Code;
use crate::http::errors::SOON;
use crate::http::extract::{Path, RawJson};
use crate::http::problem::ApiError;
use crate::http::routes::RouteTable;
use crate::lightning::Desk;

/// What a request that is not believed is told to prove itself by (RFC 9110 wants a 401 to say).
const CHALLENGE: &str = "BTCPay-Sig realm=\"guiche\"";

/// Takes messages of stores in.
pub struct StoreMessages {
    /// Knows the secrets.
    pub desk: Arc<Desk>,
    /// Reads the invoices.
    pub lnurl: Arc<Lnurl>,
}

/// The route, where the setup is on.
#[must_use]
pub fn routes(messages: StoreMessages) -> RouteTable {
    table().state(Arc::new(messages))
}

/// The route alone, as the documentation needs it.
pub(in crate::http) fn table() -> RouteTable {
    RouteTable::new().post("/webhooks/btcpay/{address_id}", btcpay)
}

/// Takes a message of an address's store.
#[utoipa::path(post, path = "/webhooks/btcpay/{address_id}", tag = "webhooks",
    operation_id = "push_btcpay", security(("btcpay" = [])),
    params(("address_id" = Uuid, Path), StoreMessageHeaders), request_body = StoreMessageBody, responses(
        (status = 202, description = "noted; the invoice, if it is one of ours, was read again"),
        (status = 200, description = "this message was noted before"),
        refusals::PushBtcPay,
))]
pub(in crate::http) async fn btcpay(
    request: HttpRequest,
    messages: Data<StoreMessages>,
    address: Path<Uuid>,
    body: RawJson,
) -> Result<HttpResponse, ApiError> {
    let id = SetupId::new(address.into_inner());
    let delivery = messages.verified(id, &request, body.bytes()).await?;
    let invoice = delivery.invoice_id.as_deref();
    let is_new = messages.lnurl.heard(id, &delivery.original_delivery_id, invoice).await.map_err(unheard)?;
    count(if is_new { "noted" } else { "duplicate" });
    Ok(if is_new { HttpResponse::Accepted().finish() } else { HttpResponse::Ok().finish() })
}

impl StoreMessages {
    /// The message, if it was signed with the secret of that address. An address that is not served has none: whoever sends
    /// a forgery is not told which of the two it was.
    async fn verified(&self, id: SetupId, request: &HttpRequest, body: &[u8]) -> Result<Delivery, ApiError> {
        let secret =
            self.desk.setups().webhook_secret(id).await?.ok_or_else(|| refused("no such address"))?;
        let signature = request.headers().get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok());
        webhook::open(&secret, signature.unwrap_or_default(), body).map_err(|refusal| match refusal {
            DeliveryRefusal::Forged => refused(&refusal.to_string()),
            DeliveryRefusal::TooLong => ApiError::new(Code::PayloadTooLarge, refusal.to_string()),
            DeliveryRefusal::Unreadable => ApiError::malformed("The message cannot be understood."),
        })
    }
}

fn refused(reason: &str) -> ApiError {
    count("refused");
    ApiError::new(Code::Unauthorized, "The signature is not good.")
        .header(WWW_AUTHENTICATE, CHALLENGE)
        .caused_by(reason.to_owned())
}

/// The store sends it again after anything but a 2xx.
fn unheard(error: LnurlError) -> ApiError {
    if let LnurlError::Store(error) = error {
        return error.into();
    }
    ApiError::new(Code::SetupProviderUnavailable, "the invoice could not be read")
        .retry_after(SOON)
        .caused_by(error)
}

fn count(outcome: &'static str) {
    metrics::counter!("store_messages_total", "outcome" => outcome).increment(1);
}
