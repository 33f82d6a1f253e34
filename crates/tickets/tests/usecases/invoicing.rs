//! Fresh invoices for expired tickets.

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
async fn an_expired_ticket_gets_one_fresh_invoice_per_key_swept_or_not() {
    for swept in [true, false] {
        let office = Office::new();
        let opened = office.open().await;
        office.advance(901);
        if swept {
            office.sweep().await;
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
