//! Pages of tickets, and the work list of the sweeper.

use std::time::Duration;

use guiche_kernel::{Actor, Caller, Limit, finish};

use super::{StoreFixture, World};
use crate::{
    Applied, PageStart, PaymentFact, Ticket, TicketId, TicketPage, TicketQuery, TicketStatus, TicketStore,
};

fn query(limit: u16, start: PageStart) -> TicketQuery {
    TicketQuery { status: None, limit: Limit::try_new(limit).expect("a limit"), start }
}

/// Opens tickets, two at each moment, so that the id has to decide; newest first.
async fn open_some(world: &World, store: &dyn TicketStore, caller: Caller, count: usize) -> Vec<TicketId> {
    let mut tickets: Vec<Ticket> = Vec::new();
    for index in 0..count {
        tickets.push(world.opened(store, caller).await);
        if index % 2 == 1 {
            world.advance(Duration::from_secs(1));
        }
    }
    tickets.sort_by_key(|ticket| std::cmp::Reverse((ticket.record().created_at, ticket.id())));
    tickets.iter().map(Ticket::id).collect()
}

fn ids(page: &TicketPage) -> Vec<TicketId> {
    page.tickets.iter().map(|ticket| ticket.id).collect()
}

/// Page after page shows every ticket once, newest first, and the last page says so.
pub async fn pages_walk_through_every_ticket_once(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let expected = open_some(&world, &*store, alice, 7).await;
    open_some(&world, &*store, fixture.caller().await, 3).await;
    for limit in [1, 2, 3, 6, 7, 8] {
        let (mut seen, mut start) = (Vec::new(), PageStart::Newest);
        loop {
            let page = store.list(alice, &query(limit, start)).await.expect("listed");
            assert_eq!(page.total, Some(7));
            assert!(page.tickets.len() <= usize::from(limit));
            seen.extend(ids(&page));
            match page.next {
                Some(cursor) => start = PageStart::After(cursor),
                None => break,
            }
        }
        assert_eq!(seen, expected, "limit {limit}");
    }
}

/// What is opened while somebody pages does not shift the pages.
pub async fn a_page_is_not_moved_by_new_tickets(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let expected = open_some(&world, &*store, alice, 4).await;
    let first = store.list(alice, &query(2, PageStart::Newest)).await.expect("listed");
    open_some(&world, &*store, alice, 3).await;
    let start = PageStart::After(first.next.expect("there is more"));
    let second = store.list(alice, &query(2, start)).await.expect("listed");
    assert_eq!([ids(&first), ids(&second)].concat(), expected);
    assert_eq!(second.next, None);
}

/// A status filters the rows and the total, on every page.
pub async fn a_status_filters_page_and_total(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let all = open_some(&world, &*store, alice, 5).await;
    for id in all.iter().step_by(2) {
        let mut tx = store.begin(alice.into()).await.expect("begun");
        let mut ticket = tx.tickets().lock(*id).await.expect("asked").expect("there");
        assert_eq!(ticket.cancel(world.now()), Ok(Applied::Changed));
        let saved = tx.tickets().save(&ticket).await;
        finish(tx, saved).await.expect("saved");
    }
    let cancelled: Vec<TicketId> = all.iter().copied().step_by(2).collect();
    let asked = |status, start| TicketQuery { status: Some(status), ..query(2, start) };
    let first = store.list(alice, &asked(TicketStatus::Cancelled, PageStart::Newest)).await.expect("listed");
    assert_eq!((ids(&first), first.total), (cancelled[..2].to_vec(), Some(3)));
    let start = PageStart::After(first.next.expect("there is more"));
    let second = store.list(alice, &asked(TicketStatus::Cancelled, start)).await.expect("listed");
    assert_eq!((ids(&second), second.next), (cancelled[2..].to_vec(), None));
    let none = store.list(alice, &asked(TicketStatus::Refunded, PageStart::Newest)).await.expect("listed");
    assert_eq!((none.tickets.len(), none.total, none.next), (0, Some(0), None));
}

/// Old clients page by offset; beyond the end there is nothing.
pub async fn an_offset_skips(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let expected = open_some(&world, &*store, alice, 5).await;
    let page = store.list(alice, &query(2, PageStart::Offset(2))).await.expect("listed");
    assert_eq!((ids(&page), page.total), (expected[2..4].to_vec(), Some(5)));
    assert!(page.next.is_some());
    let beyond = store.list(alice, &query(2, PageStart::Offset(u32::MAX))).await.expect("listed");
    assert_eq!((beyond.tickets.len(), beyond.total, beyond.next), (0, Some(5), None));
}

/// The list and the ticket say the same.
pub async fn a_list_shows_what_the_ticket_shows(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    world.advance(Duration::from_secs(5));
    let payment_hash = ticket.invoices()[0].payment_hash;
    let fact = PaymentFact { payment_hash, paid_at: world.now(), preimage: None };
    let mut tx = store.begin(Actor::Worker).await.expect("begun");
    let mut locked = tx.tickets().lock(ticket.id()).await.expect("asked").expect("there");
    assert_eq!(locked.record_payment(fact, world.now()), Applied::Changed);
    let saved = tx.tickets().save(&locked).await;
    finish(tx, saved).await.expect("saved");
    let read = store.find(alice.into(), ticket.id()).await.expect("found").expect("stored");
    let page = store.list(alice, &TicketQuery::default()).await.expect("listed");
    let [shown] = page.tickets.as_slice() else { panic!("one ticket, got {page:?}") };
    assert_eq!((shown.id, shown.status, shown.amount), (read.id(), read.status(), read.record().amount));
    assert_eq!((shown.paid_at, Some(shown.expires_at)), (read.paid_at(), read.expires_at()));
    assert_eq!(shown.created_at, read.record().created_at);
    assert_eq!(
        (shown.operation_id, &shown.operation_name),
        (read.record().operation_id, &read.record().operation_name)
    );
}
