//! Two at work under one key: the first was slow, and the second has taken its claim over.

use futures::future::{join, poll_immediate};
use guiche_kernel::StoreError;
use guiche_tickets::{FreshInvoice, GatewayError, IdempotencyKey, Opened, TicketError, TicketQuery};

use super::world::Office;

type Outcome = Result<Opened, TicketError>;

/// Lets a future go on until it waits for the provider.
async fn begin<F: Future + Unpin>(work: &mut F) {
    assert!(poll_immediate(work).await.is_none(), "the provider holds it");
}

/// Two who opened with one key, both held by the provider; the second took over after the first's lease.
async fn two_at_work(office: &Office) -> (impl Future<Output = Outcome>, impl Future<Output = Outcome>) {
    office.gateway.hold();
    let mut slow = Box::pin(office.tickets.open(office.command(Some("key"))));
    begin(&mut slow).await;
    office.advance(60);
    let mut second = Box::pin(office.tickets.open(office.command(Some("key"))));
    begin(&mut second).await;
    assert_eq!(office.gateway.issue_calls(), 2);
    (slow, second)
}

#[tokio::test]
async fn whoever_was_too_slow_answers_with_what_the_other_has_done() {
    let office = Office::new();
    let (slow, second) = two_at_work(&office).await;
    office.gateway.release();
    let second = second.await.unwrap();
    assert_eq!(slow.await.unwrap(), second);
    assert_eq!(office.gateway.invoices(), 1);
    assert_eq!(office.tickets.list(office.alice, &TicketQuery::default()).await.unwrap().total, Some(1));
}

#[tokio::test]
async fn whoever_was_too_slow_cannot_give_the_others_claim_away() {
    let office = Office::new();
    let (slow, second) = two_at_work(&office).await;
    office.gateway.reject(1);
    office.gateway.let_through(1);
    let refused = slow.await;
    assert!(matches!(refused, Err(TicketError::Gateway(GatewayError::Rejected(_)))), "{refused:?}");
    // A third one finds the key held, and does not begin anew under other names.
    let mut third = Box::pin(office.tickets.open(office.command(Some("key"))));
    begin(&mut third).await;
    assert_eq!(office.gateway.issue_calls(), 2);
    office.gateway.release();
    let (second, third) = join(second, third).await;
    assert_eq!(second.unwrap(), third.unwrap());
    assert_eq!(office.gateway.invoices(), 1);
}

#[tokio::test]
async fn asking_what_became_of_a_lost_claim_takes_no_key() {
    let office = Office::new();
    office.gateway.hold();
    let mut slow = Box::pin(office.tickets.open(office.command(Some("key"))));
    begin(&mut slow).await;
    office.advance(60);
    // Another request takes the key over, is refused, and frees it.
    let mut wrong = office.command(Some("key"));
    wrong.form.insert("cpf".to_owned(), "52998224726".into());
    assert!(matches!(office.tickets.open(wrong).await, Err(TicketError::Form(_))));
    office.gateway.release();
    let lost = slow.await;
    assert!(matches!(lost, Err(TicketError::Store(StoreError::Conflict))), "{lost:?}");
    office.tickets.open(office.other_command("key")).await.unwrap();
    assert_eq!(office.tickets.list(office.alice, &TicketQuery::default()).await.unwrap().total, Some(1));
}

#[tokio::test]
async fn a_key_without_a_result_is_free_for_a_corrected_request_once_its_lease_is_over() {
    let office = Office::new();
    office.gateway.hold();
    // Whoever sent it is gone before there was an answer, and nobody has given the claim back.
    let mut gone = Box::pin(office.tickets.open(office.command(Some("key"))));
    begin(&mut gone).await;
    drop(gone);
    office.gateway.release();
    let early = office.tickets.open(office.other_command("key")).await;
    assert!(matches!(early, Err(TicketError::KeyReused)), "{early:?}");
    office.advance(60);
    let opened = office.tickets.open(office.other_command("key")).await.unwrap();
    assert_eq!(office.tickets.open(office.other_command("key")).await.unwrap(), opened);
    let first = office.tickets.open(office.command(Some("key"))).await;
    assert!(matches!(first, Err(TicketError::KeyReused)), "{first:?}");
}

#[tokio::test]
async fn two_fresh_invoices_of_one_key_are_one_whoever_finishes_first() {
    let office = Office::new();
    let opened = office.open().await;
    office.advance(901);
    office.watch().await;
    let key = IdempotencyKey::parse("fresh").unwrap();
    let fresh = || Box::pin(office.tickets.fresh_invoice(office.alice, opened.ticket_id, Some(&key)));
    office.gateway.hold();
    let mut slow = fresh();
    begin(&mut slow).await;
    office.advance(60);
    let mut second = fresh();
    begin(&mut second).await;
    office.gateway.release();
    let second = second.await.unwrap();
    assert!(matches!(second, FreshInvoice::Issued(_)), "{second:?}");
    // By then the ticket is paid by the second one's invoice: the slow one's answer is still that of its key.
    let FreshInvoice::Issued(issued) = &second else { return };
    office.push(issued.payment_hash, office.now()).await.unwrap();
    assert_eq!(slow.await.unwrap(), second);
    assert_eq!(office.gateway.invoices(), 2);
}
