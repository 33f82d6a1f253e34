//! Looking for money: confirm, proof, cancel, watch.

use guiche_tickets::{
    GatewayError, InvoiceStatus, Preimage, ProviderStatus, TicketError, TicketEventKind, TicketStatus,
};

use super::world::Office;

#[tokio::test]
async fn confirm_asks_the_provider_and_never_guesses() {
    let office = Office::new();
    let opened = office.open().await;
    let confirm = || office.tickets.confirm(office.alice, opened.ticket_id);
    assert_eq!(confirm().await.unwrap().status(), TicketStatus::Pending);
    office.gateway.set_down(true);
    assert!(matches!(confirm().await, Err(TicketError::Gateway(GatewayError::Unavailable(_)))));
    office.gateway.set_down(false);
    office.gateway.pay(&opened.payment_hash, None);
    let paid = confirm().await.unwrap();
    assert_eq!((paid.status(), paid.paid_at()), (TicketStatus::Paid, Some(office.now())));
    office.gateway.set_down(true);
    assert_eq!(confirm().await.unwrap(), paid, "a paid ticket needs no asking");
    assert_eq!(office.count(opened.ticket_id, TicketEventKind::Paid), 1);
}

#[tokio::test]
async fn a_payment_counts_once_however_often_it_is_noticed() {
    let office = Office::new();
    let opened = office.open().await;
    let at = office.now();
    office.gateway.pay(&opened.payment_hash, Some(at));
    office.advance(5);
    for _ in 0..3 {
        office.tickets.confirm(office.alice, opened.ticket_id).await.unwrap();
        office.push(opened.payment_hash, at).await.unwrap();
        let preimage = office.gateway.preimage(opened.ticket_id.as_uuid());
        office.tickets.prove(office.alice, opened.ticket_id, preimage).await.unwrap();
    }
    let ticket = office.ticket(opened.ticket_id).await;
    assert_eq!((ticket.status(), ticket.paid_at()), (TicketStatus::Paid, Some(at)));
    assert_eq!(ticket.record().version, 3, "opened, paid, proven");
    assert_eq!(office.count(opened.ticket_id, TicketEventKind::Paid), 1);
}

#[tokio::test]
async fn a_preimage_pays_while_the_provider_is_down_and_a_wrong_one_never_does() {
    let office = Office::new();
    let (opened, other) = (office.open().await, office.open().await);
    office.gateway.set_down(true);
    for wrong in [Preimage::new([0; 32]), office.gateway.preimage(other.ticket_id.as_uuid())] {
        let refused = office.tickets.prove(office.alice, opened.ticket_id, wrong).await;
        assert!(matches!(refused, Err(TicketError::WrongPreimage)));
    }
    let right = office.gateway.preimage(opened.ticket_id.as_uuid());
    assert!(matches!(
        office.tickets.prove(office.bob, opened.ticket_id, right).await,
        Err(TicketError::NotFound(_))
    ));
    let paid = office.tickets.prove(office.alice, opened.ticket_id, right).await.unwrap();
    assert_eq!(paid.status(), TicketStatus::Paid);
    assert_eq!(paid.invoices()[0].payment.unwrap().preimage, Some(right));
}

#[tokio::test]
async fn a_late_proof_is_late_unless_the_provider_knows_better_then_or_afterwards() {
    let office = Office::new();
    let (known, unknown) = (office.open().await, office.open().await);
    let in_time = office.now();
    office.gateway.pay(&known.payment_hash, Some(in_time));
    office.advance(901);
    let prove = |ticket: guiche_tickets::TicketId| {
        office.tickets.prove(office.alice, ticket, office.gateway.preimage(ticket.as_uuid()))
    };
    assert_eq!(prove(known.ticket_id).await.unwrap().paid_at(), Some(in_time));
    office.gateway.set_down(true);
    let late = prove(unknown.ticket_id).await.unwrap();
    assert_eq!(
        (late.status(), late.invoices()[0].status),
        (TicketStatus::RefundDue, InvoiceStatus::PaidLate)
    );
    let corrected = office.push(unknown.payment_hash, in_time).await.unwrap().unwrap();
    assert_eq!((corrected.status(), corrected.paid_at()), (TicketStatus::Paid, Some(in_time)));
    assert_eq!(office.count(unknown.ticket_id, TicketEventKind::Paid), 1);
}

#[tokio::test]
async fn cancelling_asks_first() {
    let office = Office::new();
    let opened = office.open().await;
    let cancel = || office.tickets.cancel(office.alice, opened.ticket_id);
    office.gateway.set_down(true);
    assert!(matches!(cancel().await, Err(TicketError::Gateway(GatewayError::Unavailable(_)))));
    office.gateway.set_down(false);
    office.gateway.set(&opened.payment_hash, ProviderStatus::InFlight);
    assert!(matches!(cancel().await, Err(TicketError::InvalidState(_))));
    assert_eq!(office.ticket(opened.ticket_id).await.status(), TicketStatus::Pending);
    office.gateway.pay(&opened.payment_hash, Some(office.now()));
    let refused = cancel().await;
    let Err(TicketError::InvalidState(state)) = refused else { panic!("{refused:?}") };
    assert_eq!(state.current, TicketStatus::Paid);
    assert_eq!(office.ticket(opened.ticket_id).await.status(), TicketStatus::Paid);
}

#[tokio::test]
async fn a_cancelled_ticket_stays_so_and_a_run_out_one_cannot_be_cancelled_swept_or_not() {
    let office = Office::new();
    let (cancelled, swept, unswept) = (office.open().await, office.open().await, office.open().await);
    for _ in 0..2 {
        let ticket = office.tickets.cancel(office.alice, cancelled.ticket_id).await.unwrap();
        assert_eq!(
            (ticket.status(), ticket.invoices()[0].status),
            (TicketStatus::Cancelled, InvoiceStatus::Withdrawn)
        );
    }
    assert_eq!(office.count(cancelled.ticket_id, TicketEventKind::Cancelled), 1);
    office.advance(901);
    for (opened, sweep) in [(unswept, false), (swept, true)] {
        if sweep {
            office.watch().await;
        }
        let refused = office.tickets.cancel(office.alice, opened.ticket_id).await;
        let Err(TicketError::InvalidState(state)) = refused else { panic!("{refused:?}") };
        assert_eq!(state.current, TicketStatus::Expired);
        assert_eq!(office.ticket(opened.ticket_id).await.status(), TicketStatus::Expired);
    }
}

#[tokio::test]
async fn the_watcher_expires_what_is_unpaid_and_nothing_without_an_answer() {
    let office = Office::new();
    let (unpaid, paid, in_flight) = (office.open().await, office.open().await, office.open().await);
    office.gateway.pay(&paid.payment_hash, Some(paid.expires_at));
    office.gateway.set(&in_flight.payment_hash, ProviderStatus::InFlight);
    office.advance(901);
    office.gateway.set_down(true);
    let report = office.tickets.watch_once(100).await.unwrap();
    assert_eq!((report.due, report.unanswered), (3, 3));
    assert_eq!(office.ticket(unpaid.ticket_id).await.status(), TicketStatus::Pending);
    office.gateway.set_down(false);
    office.advance(60);
    let report = office.tickets.watch_once(100).await.unwrap();
    assert_eq!((report.due, report.expired, report.settled, report.unpaid), (3, 1, 1, 1));
    assert_eq!(office.ticket(unpaid.ticket_id).await.status(), TicketStatus::Expired);
    assert_eq!(office.ticket(paid.ticket_id).await.status(), TicketStatus::Paid);
    assert_eq!(office.ticket(in_flight.ticket_id).await.status(), TicketStatus::Pending);
    assert_eq!(office.count(unpaid.ticket_id, TicketEventKind::Expired), 1);
}

#[tokio::test]
async fn a_push_for_nobodys_invoice_is_nothing() {
    let office = Office::new();
    let nobodys = Preimage::new([9; 32]).payment_hash();
    assert_eq!(office.push(nobodys, office.now()).await.unwrap(), None);
}
