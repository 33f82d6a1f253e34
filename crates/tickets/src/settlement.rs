//! The one settlement: where a ticket and its invoices stand is a pure function of the facts.
//!
//! The facts are when each invoice runs out, which payments came in and when, when the ticket was cancelled, what was
//! refunded, and which invoices were closed unpaid. The order in which the facts became known is not among them, so
//! no order of polls, pushes, proofs, sweeps and cancellations can lead to another result:
//!
//! | fact | ticket becomes | invoice becomes |
//! |---|---|---|
//! | paid at or before `expires_at`, and not cancelled before that moment | `paid` | `paid` |
//! | paid after `expires_at`, ticket unpaid | `refund_due` | `paid_late` |
//! | paid after the cancellation, ticket unpaid | `refund_due` | `paid_after_cancel` |
//! | another invoice pays the ticket | unchanged | `paid_surplus`: the refund is due on the invoice |
//!
//! Of several payments in time, the earliest pays the ticket.

use guiche_kernel::Timestamp;

use crate::{Invoice, InvoiceStatus, TicketStatus};

/// How far the office has served a paid ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Service {
    /// Not begun.
    #[default]
    Waiting,
    /// The office is working on it.
    Processing,
    /// Served.
    Completed,
}

/// Derives the status of every invoice from the facts, writes it into them, and returns the ticket's.
pub(crate) fn settle(
    invoices: &mut [Invoice],
    cancelled_at: Option<Timestamp>,
    service: Service,
) -> TicketStatus {
    let paying = paying_invoice(invoices, cancelled_at);
    for (index, invoice) in invoices.iter_mut().enumerate() {
        invoice.status = invoice_status(invoice, cancelled_at, paying.map(|paying| paying == index));
    }
    ticket_status(invoices, cancelled_at, service, paying.is_some())
}

/// The position of the invoice that pays the ticket: the earliest payment in time that was not given back.
fn paying_invoice(invoices: &[Invoice], cancelled_at: Option<Timestamp>) -> Option<usize> {
    invoices
        .iter()
        .enumerate()
        .filter_map(|(index, invoice)| {
            let payment = invoice.payment.filter(|payment| payment.refunded_at.is_none())?;
            let in_time = payment.paid_at <= invoice.expires_at
                && cancelled_at.is_none_or(|cancelled_at| payment.paid_at <= cancelled_at);
            in_time.then_some((payment.paid_at, invoice.issued_at, invoice.payment_hash, index))
        })
        .min()
        .map(|(_, _, _, index)| index)
}

/// `pays` is `Some(true)` for the invoice that pays the ticket, `Some(false)` for the others, `None` when none does.
fn invoice_status(invoice: &Invoice, cancelled_at: Option<Timestamp>, pays: Option<bool>) -> InvoiceStatus {
    match (invoice.payment, pays) {
        (Some(_), Some(true)) => InvoiceStatus::Paid,
        (Some(_), Some(false)) => InvoiceStatus::PaidSurplus,
        (Some(payment), None) if cancelled_at.is_some_and(|cancelled_at| payment.paid_at > cancelled_at) => {
            InvoiceStatus::PaidAfterCancel
        }
        (Some(_), None) => InvoiceStatus::PaidLate,
        (None, Some(_)) if invoice.status == InvoiceStatus::Open => InvoiceStatus::Withdrawn,
        (None, _) => invoice.status,
    }
}

fn ticket_status(
    invoices: &[Invoice],
    cancelled_at: Option<Timestamp>,
    service: Service,
    paid: bool,
) -> TicketStatus {
    let mut payments = invoices.iter().filter_map(|invoice| invoice.payment).peekable();
    match (paid, service) {
        (true, Service::Waiting) => TicketStatus::Paid,
        (true, Service::Processing) => TicketStatus::Processing,
        (true, Service::Completed) => TicketStatus::Completed,
        (false, _) if payments.peek().is_some() => {
            let all_refunded = payments.all(|payment| payment.refunded_at.is_some());
            if all_refunded { TicketStatus::Refunded } else { TicketStatus::RefundDue }
        }
        (false, _) if cancelled_at.is_some() => TicketStatus::Cancelled,
        (false, _) if invoices.iter().any(|invoice| invoice.status == InvoiceStatus::Open) => {
            TicketStatus::Pending
        }
        (false, _) => TicketStatus::Expired,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use guiche_kernel::Sats;
    use time::macros::datetime;

    use super::*;
    use crate::{InvoiceId, Payment, PaymentHash};

    fn at(seconds: u64) -> Timestamp {
        datetime!(2026-01-01 12:00 UTC) + Duration::from_secs(seconds)
    }

    /// An invoice that runs out at 900, paid (and given back) at those seconds.
    fn invoice(name: u8, paid: Option<u64>, refunded: Option<u64>) -> Invoice {
        let payment = |paid| Payment { paid_at: at(paid), preimage: None, refunded_at: refunded.map(at) };
        Invoice {
            id: InvoiceId::parse(format!("test:{name}")).unwrap(),
            payment_hash: PaymentHash::new([name; 32]),
            bolt11: String::new(),
            amount: Sats::try_new(1).unwrap(),
            issued_at: at(0),
            expires_at: at(900),
            status: InvoiceStatus::Open,
            payment: paid.map(payment),
        }
    }

    fn settled(
        mut invoices: Vec<Invoice>,
        cancelled: Option<u64>,
        service: Service,
    ) -> (TicketStatus, Vec<InvoiceStatus>) {
        let status = settle(&mut invoices, cancelled.map(at), service);
        (status, invoices.iter().map(|invoice| invoice.status).collect())
    }

    #[test]
    fn one_invoice_stands_where_the_table_says() {
        use InvoiceStatus as I;
        use TicketStatus as T;
        let cases = [
            (None, None, T::Pending, I::Open),
            (Some(0), None, T::Paid, I::Paid),
            (Some(900), None, T::Paid, I::Paid),
            (Some(901), None, T::RefundDue, I::PaidLate),
            (Some(100), Some(200), T::Paid, I::Paid),
            (Some(200), Some(200), T::Paid, I::Paid),
            (Some(201), Some(200), T::RefundDue, I::PaidAfterCancel),
            (Some(901), Some(200), T::RefundDue, I::PaidAfterCancel),
        ];
        for (paid, cancelled, ticket, one) in cases {
            let found = settled(vec![invoice(1, paid, None)], cancelled, Service::Waiting);
            assert_eq!(found, (ticket, vec![one]), "paid {paid:?}, cancelled {cancelled:?}");
        }
    }

    #[test]
    fn the_earliest_payment_in_time_pays_wherever_its_invoice_stands() {
        use InvoiceStatus::{Paid, PaidSurplus, Withdrawn};
        let three = |moments: [Option<u64>; 3]| {
            let invoices = (1..).zip(moments).map(|(name, paid)| invoice(name, paid, None)).collect();
            settled(invoices, None, Service::Waiting)
        };
        let paid = |invoices: [InvoiceStatus; 3]| (TicketStatus::Paid, invoices.to_vec());
        assert_eq!(three([Some(30), Some(20), Some(10)]), paid([PaidSurplus, PaidSurplus, Paid]));
        assert_eq!(three([Some(30), Some(10), None]), paid([PaidSurplus, Paid, Withdrawn]));
        assert_eq!(three([Some(901), Some(900), None]), paid([PaidSurplus, Paid, Withdrawn]));
        // Of two payments at one moment it is always the same one, in whatever order they are given.
        assert_eq!(three([Some(10), Some(10), None]), paid([Paid, PaidSurplus, Withdrawn]));
        let swapped = vec![invoice(2, Some(10), None), invoice(1, Some(10), None)];
        assert_eq!(settled(swapped, None, Service::Waiting), (TicketStatus::Paid, vec![PaidSurplus, Paid]));
    }

    #[test]
    fn the_office_serves_only_what_is_paid() {
        for (service, expected) in [
            (Service::Waiting, TicketStatus::Paid),
            (Service::Processing, TicketStatus::Processing),
            (Service::Completed, TicketStatus::Completed),
        ] {
            assert_eq!(settled(vec![invoice(1, Some(1), None)], None, service).0, expected);
            assert_eq!(settled(vec![invoice(1, Some(901), None)], None, service).0, TicketStatus::RefundDue);
        }
    }

    #[test]
    fn a_refund_is_due_until_all_of_the_money_went_back() {
        let two = |first, second| {
            let invoices = vec![invoice(1, Some(901), first), invoice(2, Some(902), second)];
            settled(invoices, None, Service::Waiting).0
        };
        assert_eq!(two(None, None), TicketStatus::RefundDue);
        assert_eq!(two(Some(1000), None), TicketStatus::RefundDue);
        assert_eq!(two(Some(1000), Some(1000)), TicketStatus::Refunded);
        let given_back = settled(vec![invoice(1, Some(10), Some(1000))], None, Service::Waiting);
        assert_eq!(
            given_back,
            (TicketStatus::Refunded, vec![InvoiceStatus::PaidLate]),
            "money that went back pays nothing"
        );
    }
}
