use std::time::Duration;

use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_kernel::{Clock, Sats};

use super::*;
use crate::testing::{license_form, license_operation};
use crate::{InvoiceId, Preimage};

/// So many seconds after the opening.
fn at(seconds: u64) -> Timestamp {
    ManualClock::default().now() + Duration::from_secs(seconds)
}

/// An open invoice that is asked for at that second and runs out 900 later.
fn invoice(name: u8, issued: u64) -> Invoice {
    Invoice {
        id: InvoiceId::parse(format!("test:{name}")).unwrap(),
        payment_hash: hash(name),
        bolt11: "lnbcrt".to_owned(),
        amount: Sats::try_new(50_000).unwrap(),
        issued_at: at(issued),
        expires_at: at(issued + 900),
        status: InvoiceStatus::Open,
        payment: None,
    }
}

fn hash(name: u8) -> PaymentHash {
    Preimage::new([name; 32]).payment_hash()
}

fn fact(name: u8, paid_at: Timestamp) -> PaymentFact {
    PaymentFact { payment_hash: hash(name), paid_at, preimage: None }
}

/// As read from storage: nothing is changed, and no event waits.
fn stored(ticket: &Ticket) -> Ticket {
    Ticket::restore(ticket.record().clone(), ticket.invoices().to_vec()).expect("follows from its facts")
}

fn pending() -> Ticket {
    let operation = license_operation();
    let form = operation.form.check(license_form()).unwrap();
    let ids = (TicketId::new(uuid::Uuid::from_u128(1)), UserId::new(uuid::Uuid::from_u128(2)));
    stored(&Ticket::open(ids.0, ids.1, &operation, form, invoice(1, 0), at(0)))
}

fn changed(mut ticket: Ticket, change: impl FnOnce(&mut Ticket) -> Applied) -> Ticket {
    assert_eq!(change(&mut ticket), Applied::Changed);
    stored(&ticket)
}

/// A stored ticket that stands there: opened at 0, paid at 10 or (too late) at 901, cancelled at 20, expired at 901.
fn standing(status: TicketStatus) -> Ticket {
    match status {
        TicketStatus::Pending => pending(),
        TicketStatus::Paid => changed(pending(), |it| it.record_payment(fact(1, at(10)), at(11))),
        TicketStatus::Processing => {
            changed(standing(TicketStatus::Paid), |it| it.begin_service(at(12)).unwrap())
        }
        TicketStatus::Completed => {
            changed(standing(TicketStatus::Processing), |it| it.complete(at(13)).unwrap())
        }
        TicketStatus::Expired => changed(pending(), |it| it.expire(&hash(1), at(901), at(901))),
        TicketStatus::Cancelled => changed(pending(), |it| it.cancel(at(20)).unwrap()),
        TicketStatus::RefundDue => changed(pending(), |it| it.record_payment(fact(1, at(901)), at(902))),
        TicketStatus::Refunded => {
            changed(standing(TicketStatus::RefundDue), |it| it.mark_refunded(&hash(1), at(903)).unwrap())
        }
    }
}

/// An expired ticket with a fresh invoice, asked for at 1000.
fn reissued() -> Ticket {
    let mut ticket = standing(TicketStatus::Expired);
    ticket.reissue(invoice(2, 1000), at(1000)).unwrap();
    stored(&ticket)
}

fn statuses(ticket: &Ticket) -> Vec<InvoiceStatus> {
    ticket.invoices().iter().map(|invoice| invoice.status).collect()
}

fn kinds(ticket: &mut Ticket) -> Vec<TicketEventKind> {
    let ids =
        Ids::new(std::sync::Arc::new(ManualClock::default()), std::sync::Arc::new(SeededRandomness::new(1)));
    ticket.take_events(&ids).iter().map(|event| event.kind).collect()
}

/// What a command does to a ticket that stands somewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Does {
    /// It changes, and stands there.
    To(TicketStatus),
    /// It was so already.
    Nothing,
    /// It is refused, with where the ticket stands.
    Refused,
}

type Command = (&'static str, fn(&mut Ticket) -> Result<Applied, InvalidState>);

const COMMANDS: [Command; 7] = [
    ("cancel", |ticket| ticket.cancel(at(30))),
    ("reissue", |ticket| ticket.reissue(invoice(2, 1000), at(1000)).map(|()| Applied::Changed)),
    ("begin_service", |ticket| ticket.begin_service(at(1000))),
    ("complete", |ticket| ticket.complete(at(1000))),
    ("mark_refunded", |ticket| ticket.mark_refunded(&hash(1), at(1000))),
    ("expire", |ticket| Ok(ticket.expire(&hash(1), at(901), at(1000)))),
    ("record_payment", |ticket| Ok(ticket.record_payment(fact(1, at(10)), at(1000)))),
];

#[test]
fn every_command_does_what_the_table_says_wherever_the_ticket_stands() {
    use Does::{Nothing as N, Refused as R, To};
    use TicketStatus::{Cancelled, Completed, Expired, Paid, Pending, Processing, RefundDue, Refunded};
    // A payment at 10 becomes known at last: in time, also before the cancellation at 20. Money that went back stays back.
    let table = [
        (Pending, [To(Cancelled), R, R, R, R, To(Expired), To(Paid)]),
        (Paid, [R, R, To(Processing), R, R, N, N]),
        (Processing, [R, R, N, To(Completed), R, N, N]),
        (Completed, [R, R, R, N, R, N, N]),
        (Expired, [R, To(Pending), R, R, R, N, To(Paid)]),
        (Cancelled, [N, R, R, R, R, N, To(Paid)]),
        (RefundDue, [R, R, R, R, To(Refunded), N, To(Paid)]),
        (Refunded, [R, R, R, R, N, N, To(Refunded)]),
    ];
    assert_eq!(table.map(|(status, _)| status).as_slice().len(), TicketStatus::ALL.len());
    for (status, row) in table {
        for ((name, command), expected) in COMMANDS.into_iter().zip(row) {
            let (before, mut ticket) = (standing(status), standing(status));
            assert_eq!(before.status(), status);
            let does = match command(&mut ticket) {
                Ok(Applied::Changed) => To(ticket.status()),
                Ok(Applied::AlreadySo) => N,
                Err(refused) => {
                    assert_eq!(refused.current, status, "{name}");
                    R
                }
            };
            assert_eq!(does, expected, "{name} a ticket that is {status}");
            let version = before.record().version;
            if matches!(expected, To(_)) {
                assert_eq!(ticket.record().version, version + 1, "{name} {status}");
                assert_eq!(stored(&ticket), ticket, "{name} {status}: what storage reads is the same");
            } else {
                assert_eq!(ticket, before, "{name} {status}: nothing may change");
                assert_eq!(kinds(&mut ticket), [], "{name} {status}");
            }
        }
    }
}

#[test]
fn every_change_tells_of_itself_once() {
    use TicketEventKind as Kind;
    let told = [
        (TicketStatus::Pending, 0, vec![Kind::Cancelled]),
        (TicketStatus::Expired, 1, vec![Kind::InvoiceIssued]),
        (TicketStatus::Paid, 2, vec![Kind::Processing]),
        (TicketStatus::Processing, 3, vec![Kind::Completed]),
        (TicketStatus::RefundDue, 4, vec![Kind::Refunded]),
        (TicketStatus::Pending, 5, vec![Kind::Expired]),
        (TicketStatus::Pending, 6, vec![Kind::Paid]),
        (TicketStatus::RefundDue, 6, vec![Kind::Paid]),
        (TicketStatus::Refunded, 6, vec![]),
    ];
    for (status, command, expected) in told {
        let (mut ticket, (name, command)) = (standing(status), COMMANDS[command]);
        let _ = command(&mut ticket);
        assert_eq!(kinds(&mut ticket), expected, "{name} {status}");
        assert_eq!(kinds(&mut ticket), [], "taken once");
    }
    let mut late = pending();
    let _ = late.record_payment(fact(1, at(901)), at(902));
    assert_eq!(kinds(&mut late), [Kind::RefundDue]);
    let _ = late
        .record_payment(PaymentFact { preimage: Some(Preimage::new([1; 32])), ..fact(1, at(950)) }, at(950));
    assert_eq!(kinds(&mut late), [], "a refund is due once per invoice");
}

#[test]
fn a_ticket_can_be_cancelled_until_its_invoice_runs_out() {
    let last = invoice(1, 0).expires_at;
    assert_eq!(pending().cancel(last), Ok(Applied::Changed));
    let refused = pending().cancel(last + Duration::from_micros(1));
    assert_eq!(refused, Err(InvalidState { attempted: "cancel", current: TicketStatus::Expired }));
    let cancelled = standing(TicketStatus::Cancelled);
    assert_eq!(
        (statuses(&cancelled), cancelled.record().cancelled_at),
        (vec![InvoiceStatus::Withdrawn], Some(at(20)))
    );
}

#[test]
fn a_payment_at_the_moment_of_the_cancellation_came_first() {
    for (micros, expected) in [(0, TicketStatus::Paid), (1, TicketStatus::RefundDue)] {
        let mut ticket = standing(TicketStatus::Cancelled);
        let _ = ticket.record_payment(fact(1, at(20) + Duration::from_micros(micros)), at(1000));
        assert_eq!(ticket.status(), expected, "{micros} µs after it");
    }
}

#[test]
fn a_payment_in_the_future_counts_as_now_and_one_before_the_invoice_as_its_issue() {
    let mut ticket = pending();
    assert_eq!(ticket.record_payment(fact(1, at(5000)), at(30)), Applied::Changed);
    assert_eq!((ticket.status(), ticket.paid_at()), (TicketStatus::Paid, Some(at(30))));
    let mut ticket = reissued();
    assert_eq!(ticket.record_payment(fact(2, at(999)), at(1001)), Applied::Changed);
    assert_eq!((ticket.status(), ticket.paid_at()), (TicketStatus::Paid, Some(at(1000))));
}

#[test]
fn a_moment_is_cut_to_microseconds_before_anything_is_decided() {
    let last = invoice(1, 0).expires_at;
    for (nanos, expected) in [(999, TicketStatus::Paid), (1000, TicketStatus::RefundDue)] {
        let mut ticket = pending();
        let _ = ticket.record_payment(fact(1, last + Duration::from_nanos(nanos)), at(1000));
        let paid_at = ticket.invoices()[0].payment.unwrap().paid_at;
        assert_eq!((ticket.status(), paid_at), (expected, truncate_to_micros(paid_at)), "{nanos} ns");
    }
    let mut ticket = standing(TicketStatus::Paid);
    let again = ticket.record_payment(fact(1, at(10) + Duration::from_nanos(1)), at(40));
    assert_eq!(again, Applied::AlreadySo);
}

#[test]
fn the_earliest_evidence_of_a_payment_counts_and_its_proof_is_kept() {
    let mut ticket = standing(TicketStatus::Paid);
    assert_eq!(ticket.record_payment(fact(1, at(15)), at(40)), Applied::AlreadySo, "it was earlier");
    assert_eq!(ticket.record_payment(fact(1, at(5)), at(40)), Applied::Changed);
    assert_eq!(ticket.paid_at(), Some(at(5)));
    let proof = Some(Preimage::new([1; 32]));
    assert_eq!(
        ticket.record_payment(PaymentFact { preimage: proof, ..fact(1, at(40)) }, at(40)),
        Applied::Changed
    );
    assert_eq!(ticket.record_payment(fact(1, at(40)), at(41)), Applied::AlreadySo);
    assert_eq!(
        ticket.invoices()[0].payment.map(|payment| (payment.paid_at, payment.preimage)),
        Some((at(5), proof))
    );
    assert_eq!(ticket.record_payment(fact(9, at(1)), at(41)), Applied::AlreadySo, "nobody's invoice");
}

/// Between the question and the answer the invoice may have been paid: it is closed only if it had run out before.
#[test]
fn an_invoice_expires_only_if_it_had_run_out_when_the_provider_was_asked() {
    for asked in [0, 899, 900] {
        let mut ticket = pending();
        assert_eq!(ticket.expire(&hash(1), at(asked), at(1000)), Applied::AlreadySo, "asked at {asked}");
        assert_eq!(ticket.status(), TicketStatus::Pending);
    }
    assert_eq!(pending().expire(&hash(1), at(901), at(1000)), Applied::Changed);
    assert_eq!(pending().expire(&hash(2), at(901), at(1000)), Applied::AlreadySo, "another's invoice");
}

#[test]
fn only_a_pending_ticket_tells_that_it_expired() {
    let mut ticket = changed(reissued(), |it| it.record_payment(fact(1, at(1100)), at(1100)));
    assert_eq!((ticket.status(), ticket.open_invoice().is_some()), (TicketStatus::RefundDue, true));
    assert_eq!(ticket.expire(&hash(2), at(1901), at(1901)), Applied::Changed);
    assert_eq!(statuses(&ticket), [InvoiceStatus::PaidLate, InvoiceStatus::Expired]);
    assert_eq!((ticket.status(), kinds(&mut ticket)), (TicketStatus::RefundDue, vec![]));
}

#[test]
fn an_earlier_payment_that_becomes_known_later_makes_the_refund_of_the_other_due() {
    let mut ticket = changed(reissued(), |it| it.record_payment(fact(2, at(1100)), at(1100)));
    assert_eq!(ticket.record_payment(fact(1, at(800)), at(1200)), Applied::Changed);
    assert_eq!(statuses(&ticket), [InvoiceStatus::Paid, InvoiceStatus::PaidSurplus]);
    assert_eq!((ticket.status(), ticket.paid_at()), (TicketStatus::Paid, Some(at(800))));
    assert_eq!(kinds(&mut ticket), [TicketEventKind::RefundDue], "and it is paid only once");
    assert_eq!(ticket.mark_refunded(&hash(1), at(1300)).map_err(|refused| refused.attempted), Err("refund"));
    assert_eq!(ticket.mark_refunded(&hash(2), at(1300)), Ok(Applied::Changed));
    assert_eq!((ticket.status(), kinds(&mut ticket)), (TicketStatus::Paid, vec![TicketEventKind::Refunded]));
    assert_eq!(ticket.mark_refunded(&hash(9), at(1300)).map_err(|refused| refused.attempted), Err("refund"));
}

#[test]
fn the_paying_invoice_withdraws_the_open_one() {
    let mut ticket = reissued();
    assert_eq!(ticket.record_payment(fact(1, at(800)), at(1200)), Applied::Changed);
    assert_eq!(statuses(&ticket), [InvoiceStatus::Paid, InvoiceStatus::Withdrawn]);
    assert_eq!(ticket.current_invoice().map(|invoice| invoice.payment_hash), Some(hash(1)));
}

#[test]
fn a_save_writes_what_changed_and_compares_what_was_read() {
    let mut ticket = reissued();
    let _ = ticket.record_payment(fact(2, at(1100)), at(1100));
    let changes = ticket.changes();
    assert_eq!(changes.expected_version, 3, "opened, expired, reissued");
    assert_eq!(changes.changed_invoices, [(InvoiceStatus::Open, &ticket.invoices()[1])]);
    assert!(changes.new_invoices.is_empty());
    let mut ticket = standing(TicketStatus::Expired);
    ticket.reissue(invoice(2, 1000), at(1000)).unwrap();
    assert_eq!(ticket.changes().new_invoices, [&ticket.invoices()[1]]);
    assert!(ticket.changes().changed_invoices.is_empty());
}

#[test]
fn a_stored_status_that_does_not_follow_from_the_facts_is_refused() {
    for status in TicketStatus::ALL {
        for wrong in TicketStatus::ALL.iter().filter(|wrong| *wrong != status) {
            let ticket = standing(*status);
            let mut record = ticket.record().clone();
            record.status = *wrong;
            let refused = Ticket::restore(record, ticket.invoices().to_vec());
            assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{status} stored as {wrong}");
        }
    }
    let ticket = standing(TicketStatus::Paid);
    let mut invoices = ticket.invoices().to_vec();
    invoices[0].status = InvoiceStatus::PaidLate;
    assert!(matches!(Ticket::restore(ticket.record().clone(), invoices), Err(StoreError::Corrupt(_))));
}
