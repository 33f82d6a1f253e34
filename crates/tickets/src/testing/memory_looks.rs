//! What the memory store knows of the watcher: when each unpaid invoice is looked at next, and which pushes came.

use std::collections::HashMap;

use guiche_kernel::{Limit, Timestamp};

use super::memory::State;
use crate::{
    DueLook, Invoice, InvoiceStatus, NextLook, PaymentHash, Push, PushNoted, RefundDue, TicketId, watch,
};

#[derive(Debug, Default)]
pub(super) struct Looks {
    due: HashMap<PaymentHash, Timestamp>,
    pushes: HashMap<String, Timestamp>,
}

impl Looks {
    /// A ticket's invoices as they are stored now.
    pub(super) fn stored(&mut self, before: &[Invoice], invoices: &[Invoice]) {
        for invoice in invoices {
            let known = before.iter().any(|row| row.payment_hash == invoice.payment_hash);
            if !invoice.is_unpaid() {
                self.due.remove(&invoice.payment_hash);
            } else if !known {
                self.due.insert(invoice.payment_hash, invoice.issued_at + watch::FIRST_LOOK);
            }
        }
    }

    pub(super) fn prune_pushes(&mut self, before: Timestamp) -> usize {
        let count = self.pushes.len();
        self.pushes.retain(|_, noted_at| *noted_at >= before);
        count - self.pushes.len()
    }
}

impl State {
    pub(super) fn claim_looks(&mut self, now: Timestamp, leased_until: Timestamp, most: u16) -> Vec<DueLook> {
        let mut due = self.unpaid();
        due.retain_mut(|look| match self.looks.due.get(&look.payment_hash) {
            Some(at) if *at <= now => {
                look.due_at = *at;
                true
            }
            Some(_) | None => false,
        });
        due.sort_by_key(|look| look.due_at);
        due.truncate(most.into());
        self.looks.due.extend(due.iter().map(|look| (look.payment_hash, leased_until)));
        due
    }

    pub(super) fn reschedule(&mut self, leased_until: Timestamp, looks: &[NextLook]) {
        for look in looks {
            if self.looks.due.get(&look.payment_hash) != Some(&leased_until) {
                continue;
            }
            match look.at {
                Some(at) => drop(self.looks.due.insert(look.payment_hash, at)),
                None => drop(self.looks.due.remove(&look.payment_hash)),
            }
        }
    }

    pub(super) fn note_push(&mut self, push: &Push) -> PushNoted {
        if self.looks.pushes.contains_key(&push.id) {
            return PushNoted::Duplicate;
        }
        self.looks.pushes.insert(push.id.clone(), push.received_at);
        let mut invoices = self.tickets.values().flat_map(|(_, invoices)| invoices);
        let Some(invoice) = invoices.find(|invoice| invoice.id == push.invoice_id) else {
            return PushNoted::Unknown;
        };
        if invoice.is_unpaid() {
            self.looks.due.insert(invoice.payment_hash, push.received_at);
        }
        PushNoted::Known
    }

    pub(super) fn list_unpaid(
        &self,
        since: Timestamp,
        after: Option<(Timestamp, PaymentHash)>,
        limit: Limit,
    ) -> Vec<DueLook> {
        let place = |look: &DueLook| (look.issued_at, look.payment_hash);
        let mut unpaid = self.unpaid();
        unpaid.retain(|look| look.issued_at >= since && after.is_none_or(|after| place(look) > after));
        unpaid.sort_by_key(place);
        unpaid.truncate(limit.get().into());
        unpaid
    }

    pub(super) fn count_unpaid(&self, since: Timestamp) -> usize {
        self.unpaid().iter().filter(|look| look.issued_at >= since).count()
    }

    pub(super) fn list_refunds(
        &self,
        after: Option<(Timestamp, PaymentHash)>,
        limit: Limit,
    ) -> Vec<RefundDue> {
        let mut refunds = self.refunds();
        refunds.retain(|refund| after.is_none_or(|after| (refund.paid_at, refund.payment_hash) > after));
        refunds.sort_by_key(|refund| (refund.paid_at, refund.payment_hash));
        refunds.truncate(limit.get().into());
        refunds
    }

    pub(super) fn count_refunds(&self) -> Vec<(InvoiceStatus, u64)> {
        let refunds = self.refunds();
        let count = |reason| refunds.iter().filter(|refund| refund.reason == reason).map(|_| 1).sum();
        let counted = InvoiceStatus::ALL.iter().map(|reason| (*reason, count(*reason)));
        counted.filter(|(_, count)| *count > 0).collect()
    }

    fn refunds(&self) -> Vec<RefundDue> {
        self.tickets
            .values()
            .flat_map(|(record, invoices)| invoices.iter().map(move |invoice| (record, invoice)))
            .filter_map(|(record, invoice)| {
                let payment = invoice.payment.filter(|payment| payment.refunded_at.is_none())?;
                (invoice.status != InvoiceStatus::Paid).then_some(RefundDue {
                    ticket_id: record.id,
                    owner: record.owner,
                    payment_hash: invoice.payment_hash,
                    reason: invoice.status,
                    amount: invoice.amount,
                    paid_at: payment.paid_at,
                })
            })
            .collect()
    }

    fn unpaid(&self) -> Vec<DueLook> {
        let of_ticket = |(id, invoices): (TicketId, &Vec<Invoice>)| {
            let unpaid = invoices.iter().filter(|invoice| invoice.is_unpaid());
            unpaid.map(|invoice| self.look(id, invoice)).collect::<Vec<_>>()
        };
        self.tickets.iter().flat_map(|(id, (_, invoices))| of_ticket((*id, invoices))).collect()
    }

    fn look(&self, ticket_id: TicketId, invoice: &Invoice) -> DueLook {
        DueLook {
            ticket_id,
            payment_hash: invoice.payment_hash,
            invoice_id: invoice.id.clone(),
            open: invoice.status == InvoiceStatus::Open,
            issued_at: invoice.issued_at,
            expires_at: invoice.expires_at,
            due_at: self.looks.due.get(&invoice.payment_hash).copied().unwrap_or(invoice.issued_at),
        }
    }
}
