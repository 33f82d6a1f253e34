//! Fresh tickets on their way into the database: one, or many in one statement.

use guiche_kernel::{Caller, Timestamp};
use guiche_tickets::{Claim, Invoice, Ticket, TicketEvent, TicketRecord, TicketStatus};
use serde_json::Value;
use uuid::Uuid;

use super::calls::{OpenTicket, OpenTickets};
use super::rows::EventColumns;

/// A ticket as [`Ticket::open`] makes it, with its one invoice, its events and its claim; owned, because whoever asked may
/// be gone before it is written.
pub(super) struct Opening {
    caller: Caller,
    record: TicketRecord,
    form: Value,
    invoice: Invoice,
    events: Vec<TicketEvent>,
    claim: Option<ClaimKey>,
}

/// What completes a claim.
struct ClaimKey {
    route: String,
    key: String,
    subject: Uuid,
}

impl Opening {
    /// `None` when the ticket is not a fresh one of the caller's own, or the events are not all about it: then the general
    /// way is the one that can write it, or refuse it.
    pub(super) fn of(
        caller: Caller,
        ticket: &Ticket,
        events: &[TicketEvent],
        claim: Option<&Claim>,
    ) -> Option<Self> {
        let record = ticket.record();
        let [invoice] = ticket.invoices() else { return None };
        let fresh = record.status == TicketStatus::Pending && record.version == 1 && invoice.is_unpaid();
        let same_ticket = |event: &TicketEvent| {
            event.ticket_id == record.id
                && event.owner == record.owner
                && event.amount == record.amount
                && event.operation_id == record.operation_id
        };
        if !fresh || record.owner != caller.user_id || !events.iter().all(same_ticket) {
            return None;
        }
        Some(Self {
            caller,
            record: record.clone(),
            form: Value::Object(record.form.expose().clone()),
            invoice: invoice.clone(),
            events: events.to_vec(),
            claim: claim.map(|claim| ClaimKey {
                route: claim.route.to_string(),
                key: claim.key.as_str().to_owned(),
                subject: claim.subject,
            }),
        })
    }

    /// In the order of these the tickets of a batch are written.
    pub(super) const fn ticket(&self) -> Uuid {
        self.record.id.as_uuid()
    }

    /// The call that writes this one.
    pub(super) fn call(&self) -> OpenTicket<'_> {
        let Self { caller, record, form, invoice, events, claim } = self;
        let events: EventColumns<'_> = events.iter().collect();
        OpenTicket {
            user: caller.user_id.as_uuid(),
            epoch: caller.epoch.get(),
            ticket: record.id.as_uuid(),
            owner: record.owner.as_uuid(),
            operation: record.operation_id.get(),
            operation_name: &record.operation_name,
            amount: record.amount.into(),
            form,
            created_at: record.created_at,
            updated_at: record.updated_at,
            hash: invoice.payment_hash.as_bytes(),
            provider_id: invoice.id.as_str(),
            bolt11: &invoice.bolt11,
            issued_at: invoice.issued_at,
            expires_at: invoice.expires_at,
            event_ids: events.ids,
            kinds: events.kinds,
            moments: events.moments,
            statuses: events.statuses,
            versions: events.versions,
            event_hashes: events.hashes,
            route: claim.as_ref().map(|claim| &*claim.route),
            key: claim.as_ref().map(|claim| &*claim.key),
            subject: claim.as_ref().map(|claim| claim.subject),
        }
    }
}

/// The call that writes many, column by column. They MUST be in the order of their tickets' ids, each once.
impl<'a> FromIterator<&'a Opening> for OpenTickets<'a> {
    fn from_iter<I: IntoIterator<Item = &'a Opening>>(openings: I) -> Self {
        let mut call = Self::default();
        for (place, opening) in (1..).zip(openings) {
            let Opening { caller, record, form, invoice, events, claim } = opening;
            call.users.push(caller.user_id.as_uuid());
            call.epochs.push(caller.epoch.get());
            call.tickets.push(record.id.as_uuid());
            call.owners.push(record.owner.as_uuid());
            call.operations.push(record.operation_id.get());
            call.operation_names.push(&record.operation_name);
            call.amounts.push(record.amount.into());
            call.forms.push(form);
            call.created_at.push(record.created_at);
            call.updated_at.push(record.updated_at);
            call.hashes.push(invoice.payment_hash.as_bytes());
            call.provider_ids.push(invoice.id.as_str());
            call.bolt11s.push(&invoice.bolt11);
            call.issued_at.push(invoice.issued_at);
            call.expires_at.push(invoice.expires_at);
            call.routes.push(claim.as_ref().map(|claim| &*claim.route));
            call.keys.push(claim.as_ref().map(|claim| &*claim.key));
            call.subjects.push(claim.as_ref().map(|claim| claim.subject));
            let events: EventColumns<'_> = events.iter().collect();
            call.event_places.extend(events.ids.iter().map(|_| place));
            call.event_ids.extend(events.ids);
            call.kinds.extend(events.kinds);
            call.moments.extend::<Vec<Timestamp>>(events.moments);
            call.statuses.extend(events.statuses);
            call.versions.extend(events.versions);
            call.event_hashes.extend(events.hashes);
        }
        call
    }
}
