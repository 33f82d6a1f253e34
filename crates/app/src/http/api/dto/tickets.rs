//! Operations and tickets on the wire.

use guiche_kernel::{Sats, StoreError, Timestamp};
use guiche_tickets::{Invoice, Opened, Operation, Ticket, TicketSummary};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::words::{InvoiceStatus, PaymentStatus};

/// An operation on offer.
#[derive(Serialize, ToSchema)]
pub struct OperationDto {
    #[schema(example = 1)]
    id: i32,
    #[schema(example = "driver_license_renewal")]
    name: String,
    description: String,
    #[schema(value_type = u64, example = 50_000)]
    price_sats: Sats,
    /// The names of the form's required fields.
    required_fields: Vec<String>,
    /// The form as JSON Schema 2020-12, with the formats `cpf` and `cnh`.
    #[schema(value_type = Object)]
    form_schema: Value,
}

impl From<Operation> for OperationDto {
    fn from(operation: Operation) -> Self {
        Self {
            id: operation.id.get(),
            name: operation.name,
            description: operation.description,
            price_sats: operation.price,
            required_fields: operation.form.required().to_vec(),
            form_schema: operation.form.schema().clone(),
        }
    }
}

/// A request for a ticket.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenTicketBody {
    /// Which operation.
    #[schema(required = true, value_type = i32, example = 1)]
    pub operation_id: Option<i32>,
    /// The operation's form, filled in.
    #[schema(required = true, value_type = Object)]
    pub form_data: Option<Map<String, Value>>,
}

/// A ticket with an invoice to pay.
#[derive(Serialize, ToSchema)]
pub struct OpenedDto {
    ticket_id: Uuid,
    #[schema(value_type = PaymentStatus)]
    payment_status: &'static str,
    /// BOLT11.
    ln_invoice: String,
    payment_hash: String,
    #[schema(value_type = u64)]
    amount_sats: Sats,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

impl OpenedDto {
    /// Which ticket.
    #[must_use]
    pub const fn ticket_id(&self) -> Uuid {
        self.ticket_id
    }
}

impl From<Opened> for OpenedDto {
    fn from(opened: Opened) -> Self {
        Self {
            ticket_id: opened.ticket_id.as_uuid(),
            payment_status: "pending",
            ln_invoice: opened.bolt11,
            payment_hash: opened.payment_hash.to_string(),
            amount_sats: opened.amount,
            expires_at: opened.expires_at,
        }
    }
}

/// A ticket as lists show it.
#[derive(Serialize, ToSchema)]
pub struct TicketDto {
    id: Uuid,
    operation_id: i32,
    operation_name: String,
    #[schema(value_type = PaymentStatus)]
    payment_status: &'static str,
    #[schema(value_type = u64)]
    amount_sats: Sats,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its current invoice runs out, or ran out.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// When the payment that counts was made.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    paid_at: Option<Timestamp>,
}

impl From<TicketSummary> for TicketDto {
    fn from(ticket: TicketSummary) -> Self {
        Self {
            id: ticket.id.as_uuid(),
            operation_id: ticket.operation_id.get(),
            operation_name: ticket.operation_name,
            payment_status: ticket.status.as_str(),
            amount_sats: ticket.amount,
            created_at: ticket.created_at,
            expires_at: ticket.expires_at,
            paid_at: ticket.paid_at,
        }
    }
}

/// A page of tickets.
#[derive(Serialize, ToSchema)]
pub struct TicketPageDto {
    /// Newest first.
    pub tickets: Vec<TicketDto>,
    /// How many there are in all; `null` beyond 10,000.
    #[schema(required = true)]
    pub total: Option<u32>,
    /// For the next page; `null` on the last one.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// One invoice of a ticket.
#[derive(Serialize, ToSchema)]
pub struct InvoiceDto {
    payment_hash: String,
    ln_invoice: String,
    #[schema(value_type = InvoiceStatus)]
    status: &'static str,
    #[schema(value_type = u64)]
    amount_sats: Sats,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    paid_at: Option<Timestamp>,
}

impl From<&Invoice> for InvoiceDto {
    fn from(invoice: &Invoice) -> Self {
        Self {
            payment_hash: invoice.payment_hash.to_string(),
            ln_invoice: invoice.bolt11.clone(),
            status: invoice.status.as_str(),
            amount_sats: invoice.amount,
            expires_at: invoice.expires_at,
            paid_at: invoice.payment.map(|payment| payment.paid_at),
        }
    }
}

/// A ticket with everything.
#[derive(Serialize, ToSchema)]
pub struct TicketDetailDto {
    #[serde(flatten)]
    ticket: TicketDto,
    /// The form as it was filled in.
    #[schema(value_type = Object)]
    form_data: Map<String, Value>,
    /// The current invoice, BOLT11.
    ln_invoice: String,
    payment_hash: String,
    /// Every invoice, in the order of issue.
    invoices: Vec<InvoiceDto>,
}

impl TryFrom<&Ticket> for TicketDetailDto {
    type Error = StoreError;

    fn try_from(ticket: &Ticket) -> Result<Self, StoreError> {
        let current = current_invoice(ticket)?;
        Ok(Self {
            ticket: TicketDto::try_from(ticket)?,
            form_data: ticket.record().form.expose().clone(),
            ln_invoice: current.bolt11.clone(),
            payment_hash: current.payment_hash.to_string(),
            invoices: ticket.invoices().iter().map(InvoiceDto::from).collect(),
        })
    }
}

impl TryFrom<&Ticket> for TicketDto {
    type Error = StoreError;

    fn try_from(ticket: &Ticket) -> Result<Self, StoreError> {
        let record = ticket.record();
        Ok(Self {
            id: record.id.as_uuid(),
            operation_id: record.operation_id.get(),
            operation_name: record.operation_name.clone(),
            payment_status: record.status.as_str(),
            amount_sats: record.amount,
            created_at: record.created_at,
            expires_at: current_invoice(ticket)?.expires_at,
            paid_at: ticket.paid_at(),
        })
    }
}

fn current_invoice(ticket: &Ticket) -> Result<&Invoice, StoreError> {
    ticket.current_invoice().ok_or_else(|| StoreError::corrupt("a ticket without an invoice"))
}

/// Where a ticket stands now.
#[derive(Serialize, ToSchema)]
pub struct StatusDto {
    /// The `payment_status`.
    #[schema(value_type = PaymentStatus)]
    status: &'static str,
    #[serde(flatten)]
    ticket: TicketDto,
}

impl TryFrom<&Ticket> for StatusDto {
    type Error = StoreError;

    fn try_from(ticket: &Ticket) -> Result<Self, StoreError> {
        Ok(Self { status: ticket.status().as_str(), ticket: TicketDto::try_from(ticket)? })
    }
}

/// A proof of payment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProofBody {
    /// 64 hexadecimal digits, as the payer's wallet shows them.
    #[schema(required = true, value_type = String, pattern = "^[0-9A-Fa-f]{64}$")]
    pub preimage: Option<String>,
}

/// A page's parameters.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only tickets that stand here.
    #[param(value_type = Option<PaymentStatus>)]
    pub status: Option<String>,
    /// 1 to 100.
    #[param(default = 20, minimum = 1, maximum = 100)]
    pub limit: Option<u16>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Skips so many tickets; not together with `cursor`.
    pub offset: Option<u32>,
}

/// The header that makes a call safe to repeat.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what the key's extractor reads")]
pub struct IdempotencyHeader {
    /// Up to 255 visible ASCII characters, bare or quoted; kept at least 24 hours.
    #[param(rename = "Idempotency-Key", value_type = String, required = false)]
    idempotency_key: Option<String>,
}

/// The header with which a client goes on where its last stream ended.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what the stream reads")]
pub struct LastEventHeader {
    /// The `id` of the last event: the present state is left out if it is that one.
    #[param(rename = "Last-Event-ID", value_type = String, required = false)]
    last_event_id: Option<String>,
}
