//! The payer's wallet, played; only where the Lightning provider is the development stub.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::Data;
use guiche_adapter_spark::{PayError, PayMoment, SparkStub};
use guiche_kernel::Actor;
use guiche_tickets::{PaymentHash, Tickets};

use super::dto::{PaidDto, PayQuery};
use super::refusals;
use crate::http::codes::Code;
use crate::http::extract::{Path, Query};
use crate::http::problem::ApiError;
use crate::http::routes::RouteTable;

/// The route, for a process whose provider is the stub.
#[must_use]
pub fn routes(stub: Arc<SparkStub>) -> RouteTable {
    table().state(stub)
}

/// The route alone, as the documentation needs it.
pub(in crate::http) fn table() -> RouteTable {
    RouteTable::new().post("/dev/invoices/{payment_hash}/pay", pay)
}

/// Plays the payer's wallet (with the development stub only).
#[utoipa::path(post, path = "/dev/invoices/{payment_hash}/pay", tag = "development",
    operation_id = "pay_invoice",
    params(("payment_hash" = String, Path), PayQuery), responses(
        (status = 200, body = PaidDto, description = "paid"),
        refusals::PayInvoice,
))]
pub(in crate::http) async fn pay(
    stub: Data<SparkStub>,
    tickets: Data<Tickets>,
    hash: Path<String>,
    query: Query<PayQuery>,
) -> Result<HttpResponse, ApiError> {
    let unknown = || ApiError::not_found(Code::NotFound);
    let hash: PaymentHash = hash.into_inner().parse().map_err(|_| unknown())?;
    let invoice = tickets.invoice(Actor::Worker, &hash).await?.ok_or_else(unknown)?;
    let moment = if query.into_inner().late == Some(true) { PayMoment::Late } else { PayMoment::Now };
    let paid = stub.force_pay(&invoice.id, moment).await?;
    Ok(HttpResponse::Ok().json(PaidDto::from(paid)))
}

impl From<PayError> for ApiError {
    fn from(error: PayError) -> Self {
        match error {
            PayError::UnknownInvoice => Self::not_found(Code::NotFound),
            PayError::AlreadyPaid { .. } | PayError::Expired { .. } | PayError::BeforeIssued { .. } => {
                Self::new(Code::InvalidTicketState, error.to_string())
            }
            PayError::Ledger(_) => Self::internal(error),
        }
    }
}
