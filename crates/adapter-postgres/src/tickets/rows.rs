//! Rows to tickets, and tickets to the arrays that the functions of the database take.

use std::str::FromStr;

use diesel::Queryable;
use guiche_kernel::{Sats, StoreError, Timestamp, UserId};
use guiche_tickets::{
    FormData, Invoice, InvoiceId, InvoiceStatus, OperationId, Payment, PaymentHash, Preimage, Ticket,
    TicketEvent, TicketId, TicketRecord,
};
use serde_json::Value;
use uuid::Uuid;

/// A row of the view `ticket_readings`: the ticket, and one of its invoices.
#[derive(Queryable)]
pub(crate) struct Reading {
    id: Uuid,
    user_id: Uuid,
    operation_id: i32,
    operation_name: String,
    amount_sats: i64,
    form_data: Value,
    status: String,
    version: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
    cancelled_at: Option<Timestamp>,
    processing_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    payment_hash: Vec<u8>,
    _ordinal: i32,
    provider_invoice_id: String,
    bolt11: String,
    invoice_amount_sats: i64,
    issued_at: Timestamp,
    expires_at: Timestamp,
    invoice_status: String,
    paid_at: Option<Timestamp>,
    preimage: Option<Vec<u8>>,
    refunded_at: Option<Timestamp>,
}

/// The tickets that the rows describe, which are in the order of the tickets, and each ticket's in that of its invoices.
pub(crate) fn tickets(readings: Vec<Reading>) -> Result<Vec<Ticket>, StoreError> {
    let mut tickets = Vec::new();
    let mut of_one: Vec<Reading> = Vec::new();
    for reading in readings {
        if of_one.last().is_some_and(|last| last.id != reading.id) {
            tickets.extend(ticket(std::mem::take(&mut of_one))?);
        }
        of_one.push(reading);
    }
    tickets.extend(ticket(of_one)?);
    Ok(tickets)
}

/// The ticket that the rows describe, which are in the order of its invoices; `None` when there are none.
pub(super) fn ticket(mut readings: Vec<Reading>) -> Result<Option<Ticket>, StoreError> {
    let invoices = readings.iter().map(invoice).collect::<Result<Vec<_>, _>>()?;
    let Some(row) = readings.pop() else { return Ok(None) };
    let record = TicketRecord {
        id: TicketId::new(row.id),
        owner: UserId::new(row.user_id),
        operation_id: OperationId::new(row.operation_id),
        operation_name: row.operation_name,
        amount: sats(row.amount_sats)?,
        form: FormData::restore(row.form_data)?,
        status: word(&row.status)?,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
        cancelled_at: row.cancelled_at,
        processing_at: row.processing_at,
        completed_at: row.completed_at,
    };
    Ticket::restore(record, invoices).map(Some)
}

fn invoice(row: &Reading) -> Result<Invoice, StoreError> {
    let preimage = row.preimage.as_deref().map(bytes).transpose()?.map(Preimage::new);
    let payment = row.paid_at.map(|paid_at| Payment { paid_at, preimage, refunded_at: row.refunded_at });
    Ok(Invoice {
        id: provider_id(&row.provider_invoice_id)?,
        payment_hash: hash(&row.payment_hash)?,
        bolt11: row.bolt11.clone(),
        amount: sats(row.invoice_amount_sats)?,
        issued_at: row.issued_at,
        expires_at: row.expires_at,
        status: word::<InvoiceStatus>(&row.invoice_status)?,
        payment,
    })
}

pub(super) fn sats(amount: i64) -> Result<Sats, StoreError> {
    Sats::try_from(amount).map_err(|_| StoreError::corrupt("an amount that cannot exist"))
}

pub(super) fn word<W: FromStr>(text: &str) -> Result<W, StoreError> {
    text.parse().map_err(|_| StoreError::corrupt("an unknown status"))
}

pub(super) fn provider_id(text: &str) -> Result<InvoiceId, StoreError> {
    InvoiceId::parse(text).map_err(|_| StoreError::corrupt("a provider's invoice id that cannot be one"))
}

pub(super) fn hash(stored: &[u8]) -> Result<PaymentHash, StoreError> {
    bytes(stored).map(PaymentHash::new)
}

fn bytes(stored: &[u8]) -> Result<[u8; 32], StoreError> {
    stored.try_into().map_err(|_| StoreError::corrupt("not 32 bytes"))
}

/// Invoices, column by column.
#[derive(Default)]
pub(super) struct InvoiceColumns<'a> {
    pub(super) hashes: Vec<&'a [u8]>,
    pub(super) provider_ids: Vec<&'a str>,
    pub(super) bolt11s: Vec<&'a str>,
    pub(super) issued: Vec<Timestamp>,
    pub(super) expires: Vec<Timestamp>,
    pub(super) statuses: Vec<&'static str>,
    pub(super) paid: Vec<Option<Timestamp>>,
    pub(super) preimages: Vec<Option<&'a [u8]>>,
    pub(super) refunded: Vec<Option<Timestamp>>,
}

impl<'a> FromIterator<&'a Invoice> for InvoiceColumns<'a> {
    fn from_iter<I: IntoIterator<Item = &'a Invoice>>(invoices: I) -> Self {
        let mut columns = Self::default();
        for invoice in invoices {
            columns.hashes.push(invoice.payment_hash.as_bytes());
            columns.provider_ids.push(invoice.id.as_str());
            columns.bolt11s.push(&invoice.bolt11);
            columns.issued.push(invoice.issued_at);
            columns.expires.push(invoice.expires_at);
            columns.statuses.push(invoice.status.as_str());
            let payment = invoice.payment.as_ref();
            columns.paid.push(payment.map(|payment| payment.paid_at));
            let preimage = payment.and_then(|payment| payment.preimage.as_ref());
            columns.preimages.push(preimage.map(|preimage| preimage.expose().as_slice()));
            columns.refunded.push(payment.and_then(|payment| payment.refunded_at));
        }
        columns
    }
}

/// Events, column by column.
#[derive(Default)]
pub(super) struct EventColumns<'a> {
    pub(super) ids: Vec<Uuid>,
    pub(super) kinds: Vec<&'static str>,
    pub(super) moments: Vec<Timestamp>,
    pub(super) tickets: Vec<Uuid>,
    pub(super) users: Vec<Uuid>,
    pub(super) amounts: Vec<i64>,
    pub(super) operations: Vec<i32>,
    pub(super) statuses: Vec<&'static str>,
    pub(super) versions: Vec<i64>,
    pub(super) hashes: Vec<Option<&'a [u8]>>,
}

impl<'a> FromIterator<&'a TicketEvent> for EventColumns<'a> {
    fn from_iter<I: IntoIterator<Item = &'a TicketEvent>>(events: I) -> Self {
        let mut columns = Self::default();
        for event in events {
            columns.ids.push(event.id);
            columns.kinds.push(event.kind.as_str());
            columns.moments.push(event.at);
            columns.tickets.push(event.ticket_id.as_uuid());
            columns.users.push(event.owner.as_uuid());
            columns.amounts.push(event.amount.into());
            columns.operations.push(event.operation_id.get());
            columns.statuses.push(event.status.as_str());
            columns.versions.push(event.version);
            columns.hashes.push(event.payment_hash.as_ref().map(|hash| hash.as_bytes().as_slice()));
        }
        columns
    }
}
