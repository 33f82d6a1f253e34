//! What can be bought; no login.

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::{Bytes, Data};
use guiche_kernel::StoreError;
use guiche_tickets::{OperationId, Tickets};

use super::dto::OperationDto;
use super::refusals;
use crate::catalogue::RememberedCatalogue;
use crate::http::extract::Path;
use crate::http::problem::ApiError;

/// Every operation on offer.
#[utoipa::path(get, path = "/api/v1/operations", tag = "operations",
    operation_id = "list_operations", responses(
    (status = 200, body = [OperationDto], description = "all operations on offer"), refusals::ListOperations,
))]
pub(in crate::http) async fn list(catalogue: Data<RememberedCatalogue>) -> Result<HttpResponse, ApiError> {
    let offer = catalogue.offer().await?;
    // The one page that anybody reads at any rate: its bytes are made once for each reading of the catalogue.
    let body = offer.rendered(|operations| {
        let operations: Vec<_> = operations.iter().cloned().map(OperationDto::from).collect();
        serde_json::to_vec(&operations).map(Bytes::from)
    });
    let body = body.map_err(|error| StoreError::Corrupt(error.into()))?;
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(body))
}

/// One operation.
#[utoipa::path(get, path = "/api/v1/operations/{id}", tag = "operations",
    operation_id = "get_operation", params(("id" = i32, Path)), responses(
    (status = 200, body = OperationDto, description = "the operation"),
    refusals::GetOperation,
))]
pub(in crate::http) async fn get(tickets: Data<Tickets>, id: Path<i32>) -> Result<HttpResponse, ApiError> {
    let operation = tickets.operation(OperationId::new(id.into_inner())).await?;
    Ok(HttpResponse::Ok().json(OperationDto::from(operation)))
}

/// One operation, by its machine name.
#[utoipa::path(get, path = "/api/v1/operations/by-name/{name}", tag = "operations",
    operation_id = "get_operation_by_name", params(("name" = String, Path)),
    responses(
        (status = 200, body = OperationDto, description = "the operation"),
        refusals::GetOperation,
))]
pub(in crate::http) async fn get_by_name(
    tickets: Data<Tickets>,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let operation = tickets.operation_by_name(&name.into_inner()).await?;
    Ok(HttpResponse::Ok().json(OperationDto::from(operation)))
}
