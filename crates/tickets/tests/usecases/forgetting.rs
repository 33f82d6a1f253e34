//! Which tickets hold their owner.

use std::time::Duration;

use guiche_kernel::testing::ManualClock;
use guiche_kernel::{Clock as _, Timestamp, UserId};
use guiche_tickets::forgetting::{Hold, LATE_MONEY, hold, money_records};
use guiche_tickets::testing::{license_form, license_operation};
use guiche_tickets::{Applied, Invoice, InvoiceId, InvoiceStatus, PaymentFact, Preimage, Ticket, TicketId};
use uuid::Uuid;

const LIFETIME: Duration = Duration::from_mins(15);

/// A ticket that was opened now, and the moment.
fn opened() -> (Ticket, Timestamp) {
    let clock = ManualClock::default();
    let now = clock.now();
    let operation = license_operation();
    let form = operation.form.check(license_form()).unwrap();
    let owner = UserId::new(Uuid::from_u128(7));
    (Ticket::open(TicketId::new(Uuid::from_u128(1)), owner, &operation, form, invoice(1, now), now), now)
}

fn preimage(number: u8) -> Preimage {
    Preimage::new([number; 32])
}

fn invoice(number: u8, now: Timestamp) -> Invoice {
    Invoice {
        id: InvoiceId::parse(format!("test:{number}")).unwrap(),
        payment_hash: preimage(number).payment_hash(),
        bolt11: "lnbcrt1".to_owned(),
        amount: license_operation().price,
        issued_at: now,
        expires_at: now + LIFETIME,
        status: InvoiceStatus::Open,
        payment: None,
    }
}

fn paid(ticket: &mut Ticket, number: u8, at: Timestamp) {
    let fact = PaymentFact { payment_hash: preimage(number).payment_hash(), paid_at: at, preimage: None };
    assert_eq!(ticket.record_payment(fact, at), Applied::Changed);
}

fn expired(ticket: &mut Ticket, now: Timestamp) {
    let after = now + LIFETIME + Duration::from_secs(1);
    assert_eq!(ticket.expire(&preimage(1).payment_hash(), after, after), Applied::Changed);
}

#[test]
fn what_can_be_paid_or_is_owed_holds_for_ever() {
    let (mut ticket, now) = opened();
    let years = now + Duration::from_hours(100_000);
    assert_eq!(hold(&ticket, years), Some(Hold::MayBePaid));
    paid(&mut ticket, 1, now);
    assert_eq!(hold(&ticket, years), Some(Hold::ServiceOwed));
    assert_eq!(ticket.begin_service(now).unwrap(), Applied::Changed);
    assert_eq!(hold(&ticket, years), Some(Hold::ServiceOwed));
    assert_eq!(ticket.complete(now).unwrap(), Applied::Changed);
    assert_eq!(hold(&ticket, years), None);
}

#[test]
fn late_money_holds_until_a_week_after_the_invoice() {
    let (mut ticket, now) = opened();
    expired(&mut ticket, now);
    let until = now + LIFETIME + LATE_MONEY;
    assert_eq!(hold(&ticket, until - Duration::from_secs(1)), Some(Hold::LateMoney { until }));
    assert_eq!(hold(&ticket, until), None);
    let (mut served, now) = opened();
    paid(&mut served, 1, now);
    assert_eq!(served.begin_service(now).unwrap(), Applied::Changed);
    assert_eq!(served.complete(now).unwrap(), Applied::Changed);
    assert!(matches!(hold(&served, now), Some(Hold::LateMoney { .. })), "served, and its invoice is fresh");
}

#[test]
fn a_refund_holds_until_it_is_made() {
    let (mut ticket, now) = opened();
    expired(&mut ticket, now);
    let late = now + LIFETIME + Duration::from_hours(1);
    paid(&mut ticket, 1, late);
    let years = now + Duration::from_hours(100_000);
    assert_eq!(hold(&ticket, years), Some(Hold::RefundDue));
    assert_eq!(ticket.mark_refunded(&preimage(1).payment_hash(), late).unwrap(), Applied::Changed);
    assert_eq!(hold(&ticket, years), None);
    let records = money_records(&ticket);
    assert_eq!(records.len(), 1, "the books keep it");
    assert_eq!((records[0].paid_at, records[0].refunded_at), (late, Some(late)));
}

#[test]
fn a_second_payment_of_a_served_ticket_is_owed_back() {
    let (mut ticket, now) = opened();
    expired(&mut ticket, now);
    let later = now + LIFETIME + Duration::from_mins(1);
    ticket.reissue(invoice(2, later), later).unwrap();
    paid(&mut ticket, 2, later);
    assert_eq!(ticket.begin_service(later).unwrap(), Applied::Changed);
    assert_eq!(ticket.complete(later).unwrap(), Applied::Changed);
    let years = now + Duration::from_hours(100_000);
    assert_eq!(hold(&ticket, years), None);
    paid(&mut ticket, 1, later);
    assert_eq!(hold(&ticket, years), Some(Hold::RefundDue), "{ticket:?}");
    assert_eq!(money_records(&ticket).len(), 2);
}
