//! What is asked when a payment is confirmed or proven, and what counts as its moment.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join;
use guiche_kernel::testing::ManualClock;
use guiche_tickets::testing::FakeGateway;
use guiche_tickets::{
    FreshInvoice, GatewayError, InvoiceGateway, InvoiceId, InvoiceStatus, IssuedInvoice, Network, NewInvoice,
    Opened, ProviderStatus, TicketError, TicketEventKind, TicketStatus,
};

use super::world::Office;

/// A ticket whose first invoice ran out, with a fresh one.
async fn reissued(office: &Office) -> (Opened, Opened) {
    let first = office.open().await;
    office.advance(901);
    office.watch().await;
    let fresh = office.tickets.fresh_invoice(office.alice, first.ticket_id, None).await.unwrap();
    let FreshInvoice::Issued(second) = fresh else { panic!("{fresh:?}") };
    (first, second)
}

#[tokio::test]
async fn confirm_asks_about_every_unpaid_invoice_and_a_silence_matters_only_to_an_unpaid_ticket() {
    for old_is_paid in [true, false] {
        let office = Office::new();
        let in_time = office.now();
        let (first, second) = reissued(&office).await;
        let (paid, silent) = if old_is_paid { (&first, &second) } else { (&second, &first) };
        office.gateway.silence(&silent.payment_hash);
        let unanswered = office.tickets.confirm(office.alice, first.ticket_id).await;
        assert!(matches!(unanswered, Err(TicketError::Gateway(_))), "{unanswered:?}");
        let paid_at = if old_is_paid { in_time } else { office.now() };
        office.gateway.pay(&paid.payment_hash, Some(paid_at));
        let ticket = office.tickets.confirm(office.alice, first.ticket_id).await.unwrap();
        assert_eq!((ticket.status(), ticket.paid_at()), (TicketStatus::Paid, Some(paid_at)));
    }
}

#[tokio::test]
async fn confirm_of_a_cancelled_ticket_still_finds_money() {
    let office = Office::new();
    let opened = office.open().await;
    office.tickets.cancel(office.alice, opened.ticket_id).await.unwrap();
    office.advance(5);
    office.gateway.pay(&opened.payment_hash, Some(office.now()));
    let ticket = office.tickets.confirm(office.alice, opened.ticket_id).await.unwrap();
    assert_eq!(
        (ticket.status(), ticket.invoices()[0].status),
        (TicketStatus::RefundDue, InvoiceStatus::PaidAfterCancel)
    );
}

#[tokio::test]
async fn confirm_asks_while_a_refund_is_due_only_as_long_as_an_invoice_is_open() {
    let office = Office::new();
    let (first, second) = reissued(&office).await;
    office.push(first.payment_hash, office.now()).await.unwrap();
    assert_eq!(office.ticket(first.ticket_id).await.status(), TicketStatus::RefundDue);
    office.gateway.pay(&second.payment_hash, Some(office.now()));
    let ticket = office.tickets.confirm(office.alice, first.ticket_id).await.unwrap();
    let statuses: Vec<_> = ticket.invoices().iter().map(|invoice| invoice.status).collect();
    assert_eq!(
        (ticket.status(), statuses),
        (TicketStatus::Paid, vec![InvoiceStatus::PaidSurplus, InvoiceStatus::Paid])
    );

    // The fresh invoice ran out, and the provider has said that it is unpaid: nothing is left to ask.
    let (late, _) = reissued(&office).await;
    office.advance(901);
    office.watch().await;
    office.push(late.payment_hash, office.now()).await.unwrap();
    let asked = office.gateway.status_calls();
    let ticket = office.tickets.confirm(office.alice, late.ticket_id).await.unwrap();
    assert_eq!((ticket.status(), office.gateway.status_calls()), (TicketStatus::RefundDue, asked));
}

/// A proof after the cancellation is shown in time of the invoice, so only the provider can tell which came first.
#[tokio::test]
async fn a_proof_after_the_cancellation_asks_for_the_true_moment() {
    for (before_it, expected) in [(true, TicketStatus::Paid), (false, TicketStatus::RefundDue)] {
        let office = Office::new();
        let opened = office.open().await;
        let before = office.now();
        office.advance(5);
        office.tickets.cancel(office.alice, opened.ticket_id).await.unwrap();
        office.advance(5);
        let paid_at = if before_it { before } else { office.now() };
        office.gateway.pay(&opened.payment_hash, Some(paid_at));
        let preimage = office.gateway.preimage(opened.ticket_id.as_uuid());
        let ticket = office.tickets.prove(office.alice, opened.ticket_id, preimage).await.unwrap();
        assert_eq!(ticket.status(), expected);
        let asked = office.gateway.status_calls();
        office.tickets.prove(office.alice, opened.ticket_id, preimage).await.unwrap();
        assert_eq!(office.gateway.status_calls(), asked, "what is known is not asked again");
    }
}

/// The provider says "unpaid" shortly before the expiry, and the answer arrives after it: meanwhile it may have been paid.
#[tokio::test]
async fn an_answer_counts_for_the_moment_before_the_question() {
    let office = Office::new();
    let opened = office.open().await;
    office.advance(900);
    office.gateway.hold();
    let meanwhile = async {
        office.advance(2);
        office.gateway.release();
    };
    let (ticket, ()) = join(office.tickets.confirm(office.alice, opened.ticket_id), meanwhile).await;
    assert_eq!(ticket.unwrap().status(), TicketStatus::Pending);
    assert_eq!(office.count(opened.ticket_id, TicketEventKind::Expired), 0);
}

/// Every answer about a status takes its time, and time passes again until the next one.
struct Slow {
    inner: Arc<FakeGateway>,
    clock: Mutex<Option<Arc<ManualClock>>>,
}

#[async_trait]
impl InvoiceGateway for Slow {
    async fn issue(&self, request: NewInvoice) -> Result<IssuedInvoice, GatewayError> {
        self.inner.issue(request).await
    }
    async fn status(&self, id: &InvoiceId) -> Result<Option<ProviderStatus>, GatewayError> {
        if let Some(clock) = &*self.clock.lock().unwrap() {
            clock.advance(Duration::from_secs(5));
        }
        self.inner.status(id).await
    }
}

#[tokio::test]
async fn a_payment_without_a_moment_counts_from_its_first_sight_and_not_from_the_lock() {
    let fake = Arc::new(FakeGateway::on(Network::Regtest));
    let slow = Arc::new(Slow { inner: fake.clone(), clock: Mutex::default() });
    let office = Office::asking(fake, slow.clone(), slow.clone());
    let (first, second) = reissued(&office).await;
    office.gateway.pay(&second.payment_hash, None);
    *slow.clock.lock().unwrap() = Some(office.clock.clone());
    let began = office.now();
    // The newest is asked about first; the older one keeps us five more seconds before the lock.
    let ticket = office.tickets.confirm(office.alice, first.ticket_id).await.unwrap();
    assert_eq!(office.now(), began + Duration::from_secs(10));
    assert_eq!(ticket.paid_at(), Some(began + Duration::from_secs(5)));
}

/// Providers tell moments more finely than storage keeps them, by every way in which a payment is noticed.
#[tokio::test]
async fn a_moment_of_the_provider_is_cut_to_microseconds_by_whatever_way_it_comes() {
    for (nanos, expected) in [(500, TicketStatus::Paid), (1_500, TicketStatus::RefundDue)] {
        for way in 0..4 {
            let office = Office::new();
            let opened = office.open().await;
            let told = opened.expires_at + Duration::from_nanos(nanos);
            office.advance(901);
            office.gateway.pay(&opened.payment_hash, Some(told));
            let preimage = office.gateway.preimage(opened.ticket_id.as_uuid());
            match way {
                0 => office.watch().await,
                1 => drop(office.tickets.confirm(office.alice, opened.ticket_id).await.unwrap()),
                2 => drop(office.tickets.prove(office.alice, opened.ticket_id, preimage).await.unwrap()),
                _ => drop(office.push(opened.payment_hash, told).await.unwrap()),
            }
            let ticket = office.ticket(opened.ticket_id).await;
            let paid_at = ticket.invoices()[0].payment.unwrap().paid_at;
            let whole = opened.expires_at + Duration::from_micros(nanos / 1000);
            assert_eq!((ticket.status(), paid_at), (expected, whole), "{nanos} ns, way {way}");
        }
    }
}
