//! What must be true in the end, whatever happened.

use std::collections::BTreeSet;

use guiche_kernel::Actor;
use guiche_tickets::{InvoiceStatus, Ticket, TicketEventKind, TicketStatus, TicketStore as _};

use crate::office::Office;

/// Every sentence is a broken promise.
pub(crate) async fn wrong(office: &Office) -> Vec<String> {
    let mut wrong = office.contradictions.clone();
    for (key, opened) in &office.answers {
        let stored = office.store.find(Actor::Worker, opened.ticket_id).await.unwrap();
        let has = |ticket: &Ticket| {
            ticket.invoice(&opened.payment_hash).is_some_and(|invoice| invoice.bolt11 == opened.bolt11)
        };
        if !stored.as_ref().is_some_and(has) {
            wrong.push(format!("{key} was answered, and its ticket is not there"));
        }
    }
    let tickets = office.stored();
    if tickets.len() != office.keys.len() {
        wrong.push(format!("{} keys made {} tickets", office.keys.len(), tickets.len()));
    }
    let mut money = BTreeSet::new();
    for ticket in &tickets {
        wrong.extend(wrong_money(office, ticket));
        wrong.extend(wrong_events(office, ticket));
        money
            .extend(ticket.invoices().iter().filter(|row| row.payment.is_some()).map(|row| row.payment_hash));
    }
    for hash in office.paid.keys().filter(|hash| !money.contains(*hash)) {
        wrong.push(format!("the payment of {hash:?} is on no ticket"));
    }
    wrong
}

fn wrong_money(office: &Office, ticket: &Ticket) -> Vec<String> {
    let mut wrong = Vec::new();
    let cancelled_at = ticket.record().cancelled_at;
    let (mut in_time, mut any) = (false, false);
    for invoice in ticket.invoices() {
        let told = office.paid.get(&invoice.payment_hash);
        let Some(payment) = invoice.payment else { continue };
        let Some((paid_at, told)) = told else {
            wrong.push(format!("nobody paid {:?}", invoice.payment_hash));
            continue;
        };
        // Without the provider's word a payment counts when it was first seen, and a proof at its arrival.
        let exact = *told && !office.proofs.contains(&invoice.payment_hash);
        if (exact && payment.paid_at != *paid_at) || payment.paid_at < *paid_at {
            wrong.push(format!("paid at {paid_at}, noted at {}", payment.paid_at));
        }
        any = true;
        in_time |=
            payment.paid_at <= invoice.expires_at && cancelled_at.is_none_or(|at| payment.paid_at <= at);
    }
    if ticket.status().is_paid() != in_time {
        wrong.push(format!("{} although a payment in time is {in_time}", ticket.status()));
    }
    if any && !in_time && ticket.status() != TicketStatus::RefundDue {
        wrong.push(format!("{} although money must go back", ticket.status()));
    }
    let paying = ticket.invoices().iter().filter(|row| row.status == InvoiceStatus::Paid).count();
    if paying != usize::from(in_time) {
        wrong.push(format!("{paying} invoices pay one ticket"));
    }
    wrong
}

fn wrong_events(office: &Office, ticket: &Ticket) -> Vec<String> {
    let events: Vec<_> =
        office.store.events().into_iter().filter(|event| event.ticket_id == ticket.id()).collect();
    let count = |kind| events.iter().filter(|event| event.kind == kind).count();
    let mut wrong = Vec::new();
    let expected = [
        (TicketEventKind::Opened, 1),
        (TicketEventKind::Paid, usize::from(ticket.status().is_paid())),
        (TicketEventKind::Cancelled, usize::from(ticket.record().cancelled_at.is_some())),
    ];
    for (kind, expected) in expected {
        if count(kind) != expected {
            wrong.push(format!("{} times {}", count(kind), kind.as_str()));
        }
    }
    for invoice in ticket.invoices().iter().filter(|row| row.payment.is_some()) {
        let of_invoice = |kind| {
            events
                .iter()
                .filter(|event| event.kind == kind && event.payment_hash == Some(invoice.payment_hash))
                .count()
        };
        let due = of_invoice(TicketEventKind::RefundDue);
        if invoice.status != InvoiceStatus::Paid && due != 1 {
            wrong.push(format!("{due} times ticket.refund_due for one invoice"));
        }
    }
    if events.windows(2).any(|pair| pair[0].version > pair[1].version) {
        wrong.push("events in another order than the changes".to_owned());
    }
    if events.iter().map(|event| event.id).collect::<BTreeSet<_>>().len() != events.len() {
        wrong.push("one id for two events".to_owned());
    }
    wrong
}
