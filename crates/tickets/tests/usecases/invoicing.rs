//! Fresh invoices for expired tickets.

use futures::future::join;
use guiche_tickets::{
    FreshInvoice, GatewayError, IdempotencyKey, InvoiceStatus, ProviderStatus, TicketError, TicketStatus,
};

use super::world::Office;

#[tokio::test]
async fn a_pending_ticket_keeps_its_open_invoice() {
    let office = Office::new();
    let opened = office.open().await;
    let fresh = office.tickets.fresh_invoice(office.alice, opened.ticket_id, None).await.unwrap();
    assert_eq!(fresh, FreshInvoice::StillOpen(opened));
    assert_eq!(office.gateway.issue_calls(), 1);
}

#[tokio::test]
async fn a_key_for_which_nothing_was_issued_is_free_at_once() {
    let office = Office::new();
    let opened = office.open().await;
    let key = IdempotencyKey::parse("fresh").unwrap();
    let fresh = || office.tickets.fresh_invoice(office.alice, opened.ticket_id, Some(&key));
    office.advance(900);
    assert_eq!(fresh().await.unwrap(), FreshInvoice::StillOpen(opened.clone()));
    office.advance(1);
    let issued = fresh().await.unwrap();
    assert!(matches!(issued, FreshInvoice::Issued(_)), "{issued:?}");
}

#[tokio::test]
async fn of_two_fresh_invoices_at_once_one_is_kept_and_shown_to_both() {
    let office = Office::new();
    let opened = office.open().await;
    office.advance(901);
    office.watch().await;
    let keys = ["one", "two"].map(|key| IdempotencyKey::parse(key).unwrap());
    let fresh = |key| office.tickets.fresh_invoice(office.alice, opened.ticket_id, Some(key));
    office.gateway.hold();
    let both = join(fresh(&keys[0]), fresh(&keys[1]));
    let ((one, two), ()) = join(both, async { office.gateway.release() }).await;
    assert_eq!(office.gateway.issue_calls(), 3, "both had asked");
    let (FreshInvoice::Issued(one), FreshInvoice::StillOpen(two)) = (one.unwrap(), two.unwrap()) else {
        panic!("one is issued, and the other finds it open")
    };
    assert_eq!(one, two);
    let ticket = office.ticket(opened.ticket_id).await;
    assert_eq!(ticket.open_invoice().map(|invoice| invoice.payment_hash), Some(one.payment_hash));
    assert_eq!(ticket.invoices().len(), 2);
}

#[tokio::test]
async fn a_payment_hash_that_the_provider_repeats_makes_no_fresh_invoice() {
    let office = Office::new();
    let opened = office.open().await;
    let other = office.open().await;
    office.advance(901);
    office.watch().await;
    for known in [&opened, &other] {
        office.gateway.repeat_hash_of(known.ticket_id.as_uuid());
        let refused = office.tickets.fresh_invoice(office.alice, opened.ticket_id, None).await;
        assert!(matches!(refused, Err(TicketError::Gateway(GatewayError::Nonsense(_)))), "{refused:?}");
    }
    assert_eq!(office.ticket(opened.ticket_id).await.status(), TicketStatus::Expired);
}

#[tokio::test]
async fn an_expired_ticket_gets_one_fresh_invoice_per_key_swept_or_not() {
    for swept in [true, false] {
        let office = Office::new();
        let opened = office.open().await;
        office.advance(901);
        if swept {
            office.watch().await;
            assert_eq!(office.ticket(opened.ticket_id).await.status(), TicketStatus::Expired);
        }
        let key = IdempotencyKey::parse("fresh").unwrap();
        let first = office.tickets.fresh_invoice(office.alice, opened.ticket_id, Some(&key)).await.unwrap();
        let FreshInvoice::Issued(fresh) = &first else { panic!("{first:?}") };
        assert_ne!(fresh.payment_hash, opened.payment_hash);
        assert_eq!(fresh.amount, opened.amount);
        let again = office.tickets.fresh_invoice(office.alice, opened.ticket_id, Some(&key)).await.unwrap();
        assert_eq!(again, first);
        let ticket = office.ticket(opened.ticket_id).await;
        let statuses: Vec<_> = ticket.invoices().iter().map(|invoice| invoice.status).collect();
        assert_eq!(statuses, [InvoiceStatus::Expired, InvoiceStatus::Open]);
        assert_eq!(office.gateway.issue_calls(), 2);
    }
}

#[tokio::test]
async fn a_ticket_found_paid_on_the_way_gets_no_fresh_invoice() {
    let office = Office::new();
    let opened = office.open().await;
    office.gateway.pay(&opened.payment_hash, Some(opened.expires_at));
    office.advance(901);
    let refused = office.tickets.fresh_invoice(office.alice, opened.ticket_id, None).await;
    let Err(TicketError::InvalidState(state)) = refused else { panic!("{refused:?}") };
    assert_eq!(state.current, TicketStatus::Paid);
    assert_eq!(office.gateway.issue_calls(), 1);
}

#[tokio::test]
async fn a_run_out_invoice_that_cannot_be_asked_about_is_not_replaced() {
    let office = Office::new();
    let opened = office.open().await;
    office.advance(901);
    office.gateway.set_down(true);
    let refused = office.tickets.fresh_invoice(office.alice, opened.ticket_id, None).await;
    assert!(matches!(refused, Err(TicketError::Gateway(GatewayError::Unavailable(_)))), "{refused:?}");
    office.gateway.set_down(false);
    office.gateway.set(&opened.payment_hash, ProviderStatus::InFlight);
    let kept = office.tickets.fresh_invoice(office.alice, opened.ticket_id, None).await.unwrap();
    assert_eq!(kept, FreshInvoice::StillOpen(opened), "money is on its way to it");
}

#[tokio::test]
async fn nobody_elses_ticket_and_no_cancelled_one_gets_an_invoice() {
    let office = Office::new();
    let opened = office.open().await;
    let foreign = office.tickets.fresh_invoice(office.bob, opened.ticket_id, None).await;
    assert!(matches!(foreign, Err(TicketError::NotFound(_))));
    office.tickets.cancel(office.alice, opened.ticket_id).await.unwrap();
    let refused = office.tickets.fresh_invoice(office.alice, opened.ticket_id, None).await;
    assert!(matches!(refused, Err(TicketError::InvalidState(_))), "{refused:?}");
}
