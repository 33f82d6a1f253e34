//! Tickets of the caller.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use guiche_kernel::Limit;
use guiche_tickets::{
    FreshInvoice, IdempotencyKey as Key, OpenTicket, OperationId, PageStart, Preimage, Ticket, TicketId,
    TicketPage, TicketQuery, Tickets,
};
use uuid::Uuid;

use super::dto::{
    IdempotencyHeader, ListQuery, OpenTicketBody, OpenedDto, ProofBody, StatusDto, TicketDetailDto,
    TicketDto, TicketPageDto,
};
use super::refusals;
use super::{SignedIn, cursor};
use crate::http::codes::Code;
use crate::http::extract::{IdempotencyKey, Json, Path, Query};
use crate::http::problem::{ApiError, FieldProblem};
use crate::require;

const TICKETS: &str = "/api/v1/tickets";

/// Opens a ticket and issues its invoice. With an `Idempotency-Key` any number of repetitions opens one.
#[utoipa::path(post, path = "/api/v1/tickets", tag = "tickets",
    operation_id = "open_ticket", security(("bearer" = [])),
    request_body = OpenTicketBody,
    params(IdempotencyHeader),
    responses(
        (status = 201, body = OpenedDto, description = "opened", headers(("Location" = String, description = "where the ticket is"))),
        refusals::OpenTicket,
))]
pub(in crate::http) async fn open(
    tickets: Data<Tickets>,
    SignedIn(caller): SignedIn,
    key: IdempotencyKey,
    body: Json<OpenTicketBody>,
) -> Result<HttpResponse, ApiError> {
    let (operation, form) = require!(body.into_inner(), operation_id, form_data)?;
    let command = OpenTicket { caller, operation: OperationId::new(operation), form, key: domain_key(key)? };
    let opened = OpenedDto::from(tickets.open(command).await?);
    Ok(HttpResponse::Created().insert_header((header::LOCATION, opened.location())).json(opened))
}

/// The caller's tickets, newest first.
#[utoipa::path(get, path = "/api/v1/tickets", tag = "tickets",
    operation_id = "list_tickets", security(("bearer" = [])), params(ListQuery), responses(
    (status = 200, body = TicketPageDto, description = "a page", headers(("Link" = String, description = "`rel=\"next\"` when there is a next page"))),
    refusals::ListTickets,
))]
pub(in crate::http) async fn list(
    tickets: Data<Tickets>,
    SignedIn(caller): SignedIn,
    query: Query<ListQuery>,
) -> Result<HttpResponse, ApiError> {
    let query = parse_query(query.into_inner())?;
    let page = tickets.list(caller, &query).await?;
    let mut response = HttpResponse::Ok();
    if let Some(link) = next_link(&query, &page) {
        response.insert_header((header::LINK, link));
    }
    let next_cursor = page.next.as_ref().map(cursor::encode);
    let tickets = page.tickets.into_iter().map(TicketDto::from).collect();
    Ok(response.json(TicketPageDto { tickets, total: page.total, next_cursor }))
}

/// One of the caller's tickets, with its form and every invoice.
#[utoipa::path(get, path = "/api/v1/tickets/{id}", tag = "tickets",
    operation_id = "get_ticket", security(("bearer" = [])), params(("id" = Uuid, Path)),
    responses(
        (status = 200, body = TicketDetailDto, description = "the ticket"),
        refusals::GetTicket,
))]
pub(in crate::http) async fn get(
    tickets: Data<Tickets>,
    SignedIn(caller): SignedIn,
    id: Path<Uuid>,
) -> Result<HttpResponse, ApiError> {
    let ticket = tickets.get(caller, TicketId::new(id.into_inner())).await?;
    Ok(HttpResponse::Ok().json(TicketDetailDto::try_from(&ticket)?))
}

/// Asks the provider whether the payment has arrived.
#[utoipa::path(post, path = "/api/v1/tickets/{id}/confirm-payment", tag = "tickets", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
        (status = 200, body = StatusDto, description = "where the ticket stands now"),
        refusals::ConfirmPayment,
))]
pub(in crate::http) async fn confirm_payment(
    tickets: Data<Tickets>,
    SignedIn(caller): SignedIn,
    id: Path<Uuid>,
) -> Result<HttpResponse, ApiError> {
    status(&tickets.confirm(caller, TicketId::new(id.into_inner())).await?)
}

/// Gives an expired ticket a fresh invoice, at the ticket's price.
#[utoipa::path(post, path = "/api/v1/tickets/{id}/invoice", tag = "tickets",
    operation_id = "issue_fresh_invoice", security(("bearer" = [])),
    params(("id" = Uuid, Path), IdempotencyHeader), responses(
        (status = 201, body = OpenedDto, description = "a fresh one"),
        (status = 200, body = OpenedDto, description = "the one that is still open"),
        refusals::FreshInvoice,
))]
pub(in crate::http) async fn fresh_invoice(
    tickets: Data<Tickets>,
    SignedIn(caller): SignedIn,
    id: Path<Uuid>,
    key: IdempotencyKey,
) -> Result<HttpResponse, ApiError> {
    let key = domain_key(key)?;
    match tickets.fresh_invoice(caller, TicketId::new(id.into_inner()), key.as_ref()).await? {
        FreshInvoice::Issued(opened) => Ok(HttpResponse::Created().json(OpenedDto::from(opened))),
        FreshInvoice::StillOpen(opened) => Ok(HttpResponse::Ok().json(OpenedDto::from(opened))),
    }
}

/// Withdraws a ticket that is not paid.
#[utoipa::path(post, path = "/api/v1/tickets/{id}/cancel", tag = "tickets",
    operation_id = "cancel_ticket", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses(
        (status = 200, body = StatusDto, description = "where the ticket stands now"),
        refusals::CancelTicket,
))]
pub(in crate::http) async fn cancel(
    tickets: Data<Tickets>,
    SignedIn(caller): SignedIn,
    id: Path<Uuid>,
) -> Result<HttpResponse, ApiError> {
    status(&tickets.cancel(caller, TicketId::new(id.into_inner())).await?)
}

/// Shows the preimage: the ticket is paid, provider or not.
#[utoipa::path(post, path = "/api/v1/tickets/{id}/payment-proof", tag = "tickets",
    operation_id = "prove_payment", security(("bearer" = [])),
    params(("id" = Uuid, Path)), request_body = ProofBody, responses(
        (status = 200, body = StatusDto, description = "where the ticket stands now"),
        refusals::ProvePayment,
))]
pub(in crate::http) async fn payment_proof(
    tickets: Data<Tickets>,
    SignedIn(caller): SignedIn,
    id: Path<Uuid>,
    body: Json<ProofBody>,
) -> Result<HttpResponse, ApiError> {
    let preimage = require!(body.into_inner(), preimage)?;
    let preimage: Preimage = preimage.parse().map_err(|_| {
        ApiError::invalid_fields(vec![FieldProblem::new(
            "/preimage",
            "invalid_format",
            "must be 64 hexadecimal digits",
        )])
    })?;
    status(&tickets.prove(caller, TicketId::new(id.into_inner()), preimage).await?)
}

impl OpenedDto {
    fn location(&self) -> String {
        format!("{TICKETS}/{}", self.ticket_id())
    }
}

fn status(ticket: &Ticket) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(StatusDto::try_from(ticket)?))
}

fn domain_key(key: IdempotencyKey) -> Result<Option<Key>, ApiError> {
    let parse = |key| {
        Key::parse(key).map_err(|refusal| ApiError::new(Code::InvalidIdempotencyKey, refusal.to_string()))
    };
    key.into_inner().map(parse).transpose()
}

fn parse_query(query: ListQuery) -> Result<TicketQuery, ApiError> {
    let refuse = |name: &str, detail: &str| {
        ApiError::malformed_at(FieldProblem::new(format!("/{name}"), "invalid_parameter", detail))
    };
    let status = query.status.map(|word| word.parse()).transpose();
    let limit = query.limit.map(Limit::try_new).transpose();
    let start = match (query.cursor, query.offset) {
        (Some(_), Some(_)) => return Err(refuse("cursor", "Give a cursor or an offset, not both.")),
        (Some(word), None) => {
            let found =
                cursor::decode(&word).ok_or_else(|| refuse("cursor", "Not a cursor of this list."))?;
            PageStart::After(found)
        }
        (None, Some(offset)) => PageStart::Offset(offset),
        (None, None) => PageStart::Newest,
    };
    Ok(TicketQuery {
        status: status.map_err(|_| refuse("status", "Not a status of tickets."))?,
        limit: limit.map_err(|refusal| refuse("limit", &refusal.to_string()))?.unwrap_or_default(),
        start,
    })
}

/// RFC 8288; relative, since a proxy may serve us under any host.
fn next_link(query: &TicketQuery, page: &TicketPage) -> Option<String> {
    let cursor = cursor::encode(page.next.as_ref()?);
    let status = query.status.map(|status| format!("&status={status}")).unwrap_or_default();
    Some(format!("<{TICKETS}?limit={}{status}&cursor={cursor}>; rel=\"next\"", query.limit.get()))
}
