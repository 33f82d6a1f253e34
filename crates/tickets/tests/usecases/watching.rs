//! The watcher: its schedule, others beside it, damaged tickets and slow providers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{join, poll_immediate};
use guiche_kernel::{Limit, StoreError};
use guiche_tickets::testing::FakeGateway;
use guiche_tickets::{
    GatewayError, InvoiceGateway, InvoiceId, InvoiceStatus, IssuedInvoice, Network, NewInvoice, Opened,
    ProviderStatus, Push, PushNoted, Reconciled, TicketError, TicketEventKind, TicketStatus, WatchReport,
};

use super::world::Office;

/// Tickets that have run out, the first of them the longest ago.
async fn due(office: &Office, count: usize) -> Vec<Opened> {
    let mut opened = Vec::new();
    for _ in 0..count {
        opened.push(office.open().await);
        office.advance(1);
    }
    office.advance(901);
    opened
}

async fn expired(office: &Office, opened: &[Opened]) -> usize {
    let mut expired = 0;
    for one in opened {
        expired += usize::from(office.ticket(one.ticket_id).await.status() == TicketStatus::Expired);
    }
    expired
}

/// The seconds after the opening at which the provider was asked about it, if somebody watches every second.
async fn watched(office: &Office, seconds: u64) -> Vec<u64> {
    let mut asked = Vec::new();
    for second in 1..=seconds {
        office.advance(1);
        let before = office.gateway.status_calls();
        office.watch().await;
        if office.gateway.status_calls() > before {
            asked.push(second);
        }
    }
    asked
}

#[tokio::test]
async fn an_invoice_is_asked_about_on_the_schedule_and_a_payment_is_found_at_the_next_look() {
    let office = Office::new();
    let opened = office.open().await;
    assert_eq!(watched(&office, 100).await, [2, 4, 8, 16, 32, 92]);
    office.gateway.pay(&opened.payment_hash, Some(office.now()));
    assert_eq!(watched(&office, 900).await, [52], "and then no more");
    assert_eq!(office.ticket(opened.ticket_id).await.status(), TicketStatus::Paid);
    assert_eq!(office.count(opened.ticket_id, TicketEventKind::Paid), 1);
}

#[tokio::test]
async fn a_report_tells_how_late_a_look_was_and_how_long_ago_the_payment() {
    let office = Office::new();
    let opened = office.open().await;
    office.gateway.pay(&opened.payment_hash, Some(office.now() + Duration::from_secs(1)));
    office.advance(30);
    let report = office.tickets.watch_once(10).await.unwrap();
    let expected = WatchReport {
        due: 1,
        settled: 1,
        overdue: Duration::from_secs(28),
        lags: vec![Duration::from_secs(29)],
        ..WatchReport::default()
    };
    assert_eq!(report, expected);
}

#[tokio::test]
async fn money_is_found_after_the_end_and_after_a_cancellation() {
    for cancelled in [false, true] {
        let office = Office::new();
        let opened = office.open().await;
        if cancelled {
            office.tickets.cancel(office.alice, opened.ticket_id).await.unwrap();
        }
        office.advance(901);
        office.watch().await;
        office.advance(3 * 86_400);
        office.gateway.pay(&opened.payment_hash, Some(office.now()));
        office.watch().await;
        office.advance(6 * 3600);
        office.watch().await;
        let ticket = office.ticket(opened.ticket_id).await;
        assert_eq!(ticket.status(), TicketStatus::RefundDue, "cancelled: {cancelled}");
        let expected = if cancelled { InvoiceStatus::PaidAfterCancel } else { InvoiceStatus::PaidLate };
        assert_eq!(ticket.invoices()[0].status, expected);
        assert_eq!(office.count(opened.ticket_id, TicketEventKind::RefundDue), 1);
    }
}

#[tokio::test]
async fn after_a_week_only_a_reconciliation_finds_it() {
    let office = Office::new();
    let opened = office.open().await;
    for _ in 0..200 {
        office.advance(3600);
        office.watch().await;
    }
    office.gateway.pay(&opened.payment_hash, Some(office.now()));
    let asked = office.gateway.status_calls();
    office.advance(86_400);
    office.watch().await;
    assert_eq!(office.gateway.status_calls(), asked);
    let [look] = <[_; 1]>::try_from(office.tickets.unpaid_of(opened.ticket_id).await.unwrap()).unwrap();
    office.gateway.set_down(true);
    assert_eq!(office.tickets.reconcile_invoice(&look).await.unwrap(), Reconciled::Unanswered);
    office.gateway.set_down(false);
    assert_eq!(office.tickets.reconcile_invoice(&look).await.unwrap(), Reconciled::RefundDue);
    let ticket = office.tickets.of_anybody(opened.ticket_id).await.unwrap();
    assert_eq!(ticket.status(), TicketStatus::RefundDue);
    assert_eq!(office.tickets.unpaid_of(opened.ticket_id).await.unwrap(), []);
}

/// Payments that were made while the provider was away are found within a minute of its return.
#[tokio::test]
async fn an_outage_of_an_hour_costs_a_payment_one_interval() {
    let office = Office::new();
    let opened: Vec<Opened> = due(&office, 3).await;
    office.gateway.set_down(true);
    for _ in 0..60 {
        office.watch().await;
        office.advance(60);
    }
    for (one, in_time) in opened.iter().zip([true, false, true]) {
        let paid_at = if in_time { one.expires_at } else { office.now() };
        office.gateway.pay(&one.payment_hash, Some(paid_at));
        assert_eq!(office.ticket(one.ticket_id).await.status(), TicketStatus::Pending, "nobody guesses");
    }
    office.gateway.set_down(false);
    office.advance(60);
    let report = office.tickets.watch_once(10).await.unwrap();
    assert_eq!((report.due, report.settled), (3, 3));
    for (one, expected) in
        opened.iter().zip([TicketStatus::Paid, TicketStatus::RefundDue, TicketStatus::Paid])
    {
        assert_eq!(office.ticket(one.ticket_id).await.status(), expected);
    }
}

#[tokio::test]
async fn money_on_its_way_is_asked_about_every_minute_and_never_given_up() {
    let office = Office::new();
    let opened = office.open().await;
    office.gateway.set(&opened.payment_hash, ProviderStatus::InFlight);
    office.advance(2000);
    for _ in 0..20 {
        assert_eq!(office.tickets.watch_once(10).await.unwrap().unpaid, 1);
        office.advance(60);
    }
    assert_eq!(office.ticket(opened.ticket_id).await.status(), TicketStatus::Pending);
    office.gateway.pay(&opened.payment_hash, Some(opened.expires_at));
    office.watch().await;
    assert_eq!(office.ticket(opened.ticket_id).await.status(), TicketStatus::Paid);
}

#[tokio::test]
async fn a_push_is_a_hint_and_the_look_decides() {
    let office = Office::new();
    let opened = office.open().await;
    let invoice_id = office.ticket(opened.ticket_id).await.invoices()[0].id.clone();
    let push =
        |id: &str| Push { id: id.to_owned(), invoice_id: invoice_id.clone(), received_at: office.now() };
    assert_eq!(office.tickets.note_push(&push("a")).await.unwrap(), PushNoted::Known);
    assert_eq!(office.tickets.watch_once(10).await.unwrap().unpaid, 1, "it says so, and it is not paid");
    assert_eq!(office.ticket(opened.ticket_id).await.status(), TicketStatus::Pending);
    office.gateway.pay(&opened.payment_hash, Some(office.now()));
    assert_eq!(office.tickets.note_push(&push("b")).await.unwrap(), PushNoted::Known);
    assert_eq!(office.tickets.note_push(&push("b")).await.unwrap(), PushNoted::Duplicate);
    assert_eq!(office.tickets.watch_once(10).await.unwrap().settled, 1);
    assert_eq!(office.count(opened.ticket_id, TicketEventKind::Paid), 1);
}

#[tokio::test]
async fn a_ticket_that_cannot_be_had_is_reported_and_keeps_nobody_waiting() {
    for refusal in [|| StoreError::corrupt("damaged"), || StoreError::Conflict, || StoreError::Duplicate] {
        let office = Office::new();
        let opened = due(&office, 11).await;
        office.store.refuse_workers(1, refusal);
        let watched = office.tickets.watch_once(100).await;
        assert!(matches!(&watched, Err(TicketError::Store(_))), "{watched:?}");
        assert!(!matches!(watched, Err(TicketError::Store(StoreError::Unavailable(_)))));
        assert_eq!(expired(&office, &opened).await, 10);
        // It comes back with its lease.
        office.advance(60);
        office.watch().await;
        assert_eq!(expired(&office, &opened).await, 11);
    }
}

#[tokio::test]
async fn without_storage_a_step_ends_at_once() {
    let office = Office::new();
    due(&office, 50).await;
    office.store.refuse_workers(u32::MAX, || StoreError::Unavailable("down".into()));
    let watched = office.tickets.watch_once(100).await;
    assert!(matches!(watched, Err(TicketError::Store(StoreError::Unavailable(_)))), "{watched:?}");
    assert!(office.gateway.status_calls() < 20, "{} were asked about", office.gateway.status_calls());
}

/// The leases of a step that storage failed do not have to run out before its invoices are looked at again.
#[tokio::test]
async fn an_outage_of_storage_costs_seconds() {
    for refused in [1, 5, 16] {
        let office = Office::new();
        let opened = due(&office, 50).await;
        office.store.refuse_workers(refused, || StoreError::Unavailable("away".into()));
        let watched = office.tickets.watch_once(100).await;
        assert!(matches!(watched, Err(TicketError::Store(StoreError::Unavailable(_)))), "{watched:?}");
        office.advance(2);
        office.watch().await;
        assert_eq!(expired(&office, &opened).await, 50, "{refused} refused");
    }
}

#[tokio::test]
async fn a_few_are_asked_about_at_a_time_and_no_more_once_half_the_lease_is_used() {
    for (seconds, expired, left) in [(30, 30, 0), (31, 16, 14)] {
        let office = Office::new();
        due(&office, 30).await;
        office.gateway.hold();
        let mut watch = Box::pin(office.tickets.watch_once(100));
        assert!(poll_immediate(&mut watch).await.is_none(), "the provider holds it");
        assert_eq!(office.gateway.status_calls(), 16);
        office.advance(seconds);
        office.gateway.release();
        let report = watch.await.unwrap();
        assert_eq!((report.due, report.expired, report.left), (30, expired, left), "after {seconds} s");
        let rest = office.tickets.watch_once(100).await.unwrap();
        assert_eq!((rest.due, rest.expired), (left, left), "the next one goes on at once");
    }
}

#[tokio::test]
async fn two_watchers_never_ask_about_the_same_invoice() {
    let office = Office::new();
    due(&office, 3).await;
    office.gateway.hold();
    let second = async {
        for seconds in [0, 59] {
            office.advance(seconds);
            let second = poll_immediate(Box::pin(office.tickets.watch_once(100))).await;
            let report = second.map(|report| report.expect("watched"));
            assert_eq!(report, Some(WatchReport::default()), "nothing to do, and nobody to wait for");
        }
        office.gateway.release();
    };
    let first = office.tickets.watch_once(100);
    let (first, ()) = join(first, second).await;
    assert_eq!((first.unwrap().expired, office.gateway.status_calls()), (3, 3));
}

/// A provider that never answers about one invoice.
struct Hangs {
    inner: Arc<FakeGateway>,
    on: std::sync::Mutex<Option<InvoiceId>>,
}

#[async_trait]
impl InvoiceGateway for Hangs {
    async fn issue(&self, request: NewInvoice) -> Result<IssuedInvoice, GatewayError> {
        self.inner.issue(request).await
    }
    async fn status(&self, id: &InvoiceId) -> Result<Option<ProviderStatus>, GatewayError> {
        let hangs = self.on.lock().unwrap().as_ref() == Some(id);
        if hangs { std::future::pending().await } else { self.inner.status(id).await }
    }
}

/// One question that hangs takes up one place of one step; another step goes on beside it.
#[tokio::test]
async fn a_question_that_hangs_delays_nobody_else() {
    let gateway = Arc::new(FakeGateway::on(Network::Regtest));
    let provider = Arc::new(Hangs { inner: gateway.clone(), on: std::sync::Mutex::default() });
    let office = Office::with(gateway, provider.clone());
    let (slow, paid) = (office.open().await, office.open().await);
    *provider.on.lock().unwrap() = Some(office.ticket(slow.ticket_id).await.invoices()[0].id.clone());
    office.gateway.pay(&paid.payment_hash, Some(office.now()));
    office.advance(2);
    let mut stuck = Box::pin(office.tickets.watch_once(2));
    assert!(poll_immediate(&mut stuck).await.is_none(), "one of the two has no answer");
    assert_eq!(office.ticket(paid.ticket_id).await.status(), TicketStatus::Paid, "the other one is settled");
    let later = office.open().await;
    office.gateway.pay(&later.payment_hash, Some(office.now()));
    office.advance(2);
    assert_eq!(office.tickets.watch_once(2).await.unwrap().settled, 1);
    assert_eq!(office.ticket(later.ticket_id).await.status(), TicketStatus::Paid);
}

/// The application runs it as a task of its own.
#[tokio::test]
async fn a_step_can_move_between_threads() {
    fn can_move<T: Send>(_: &T) {}
    let office = Office::new();
    let watch = office.tickets.watch_once(100);
    can_move(&watch);
    assert_eq!(watch.await.unwrap(), WatchReport::default());
}

#[tokio::test]
async fn a_refund_is_listed_until_the_office_has_given_the_money_back() {
    let office = Office::new();
    let opened = due(&office, 1).await.remove(0);
    office.gateway.pay(&opened.payment_hash, Some(office.now()));
    office.watch().await;
    let due = office.tickets.refunds_due(None, Limit::default()).await.unwrap();
    assert_eq!(due.iter().map(|refund| refund.ticket_id).collect::<Vec<_>>(), [opened.ticket_id]);
    for _ in 0..2 {
        let ticket = office.tickets.mark_refunded(opened.ticket_id, &opened.payment_hash).await.unwrap();
        assert_eq!(ticket.status(), TicketStatus::Refunded);
    }
    assert_eq!(office.count(opened.ticket_id, TicketEventKind::Refunded), 1);
    assert_eq!(office.tickets.refunds_due(None, Limit::default()).await.unwrap(), []);
    let unpaid = office.open().await;
    let refused = office.tickets.mark_refunded(unpaid.ticket_id, &unpaid.payment_hash).await;
    assert!(matches!(refused, Err(TicketError::InvalidState(_))), "{refused:?}");
}
