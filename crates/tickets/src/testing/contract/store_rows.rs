//! Rows read back as they were written, and belong to their owner.

use std::time::Duration;

use guiche_kernel::{Actor, StoreError, finish};

use super::{LAPSE, StoreFixture, World, mine};
use crate::{InvoiceStatus, PageStart, PaymentFact, TicketQuery, TicketStatus};

/// Ticket, form, invoice and event come back as they were stored.
pub async fn a_ticket_reads_back_as_it_was_written(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let (ticket, events) = world.ticket(alice);
    store.open(alice, &ticket, &events, None).await.expect("opened");
    let read = store.find(alice.into(), ticket.id()).await.expect("found").expect("stored");
    assert_eq!(read.record(), ticket.record());
    assert_eq!(read.invoices(), ticket.invoices());
    assert_eq!(store.find(Actor::Worker, ticket.id()).await.expect("found").as_ref(), Some(&read));
    let stored = fixture.events(ticket.id()).await;
    assert_eq!(stored, events.iter().map(|event| event.id).collect::<Vec<_>>());
}

/// The second ticket of one id is refused whole: no row of it stays.
pub async fn opening_twice_is_a_duplicate_and_writes_nothing(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    let (again, events) = world.ticket(alice);
    let mut record = again.record().clone();
    record.id = ticket.id();
    let clash = crate::Ticket::restore(record, again.invoices().to_vec()).expect("consistent");
    let refused = store.open(alice, &clash, &events, None).await;
    assert!(matches!(refused, Err(StoreError::Duplicate)), "{refused:?}");
    let hash = again.invoices()[0].payment_hash;
    assert_eq!(store.ticket_of(alice.into(), &hash).await.expect("asked"), None);
    assert_eq!(store.find(alice.into(), ticket.id()).await.expect("found"), Some(ticket.clone()));
    assert_eq!(fixture.events(ticket.id()).await.len(), 1);
}

/// A payment hash that exists is refused, whoever has it.
pub async fn a_payment_hash_belongs_to_one_invoice(fixture: &impl StoreFixture) {
    let (world, store) = (World::new(), fixture.store());
    let (alice, bob) = (fixture.caller().await, fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    for caller in [alice, bob] {
        let (other, events) = world.ticket(caller);
        let clash =
            crate::Ticket::restore(other.record().clone(), ticket.invoices().to_vec()).expect("consistent");
        let refused = store.open(caller, &clash, &events, None).await;
        assert!(matches!(refused, Err(StoreError::Duplicate)), "{refused:?}");
        assert_eq!(store.find(Actor::Worker, other.id()).await.expect("found"), None);
        assert!(fixture.events(other.id()).await.is_empty());
    }
}

/// Somebody else's ticket does not exist, by any call.
pub async fn nobody_sees_or_locks_anothers_ticket(fixture: &impl StoreFixture) {
    let (world, store) = (World::new(), fixture.store());
    let (alice, bob) = (fixture.caller().await, fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    assert_eq!(store.find(bob.into(), ticket.id()).await.expect("asked"), None);
    let mut tx = store.begin(bob.into()).await.expect("begun");
    assert!(tx.tickets().lock(ticket.id()).await.expect("asked").is_none());
    tx.rollback().await.expect("rolled back");
    for start in [PageStart::Newest, PageStart::Offset(0)] {
        let page = store.list(bob, &TicketQuery { start, ..TicketQuery::default() }).await.expect("listed");
        assert_eq!((page.tickets.len(), page.total), (0, Some(0)));
    }
}

/// Whoever saves or opens under one identity cannot write rows of another.
pub async fn a_ticket_cannot_be_opened_in_anothers_name(fixture: &impl StoreFixture) {
    let (world, store) = (World::new(), fixture.store());
    let (alice, bob) = (fixture.caller().await, fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    let mut tx = store.begin(alice.into()).await.expect("begun");
    let locked = tx.tickets().lock(ticket.id()).await.expect("asked").expect("hers");
    tx.rollback().await.expect("rolled back");
    let mut foreign = locked;
    assert_eq!(foreign.cancel(world.now()), Ok(crate::Applied::Changed));
    let mut tx = store.begin(bob.into()).await.expect("begun");
    let refused = tx.tickets().save(&foreign).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    tx.rollback().await.expect("rolled back");
    assert_eq!(store.find(alice.into(), ticket.id()).await.expect("found"), Some(ticket));
}

/// After a password change no method serves the old epoch.
pub async fn a_revoked_caller_is_refused_everywhere(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    let request = world.request("k", "body");
    let claim = mine(store.claim(alice, &request).await.expect("claimed"));
    fixture.revoke(alice).await;
    let (fresh, events) = world.ticket(alice);
    let hash = ticket.invoices()[0].payment_hash;
    let refusals = [
        store.begin(alice.into()).await.err(),
        store.open(alice, &fresh, &events, None).await.err(),
        store.claim(alice, &world.request("other", "body")).await.err(),
        store.release(alice, &claim, LAPSE).await.err(),
        store.find_done(alice, claim.route, &claim.key, &request.fingerprint).await.err(),
        store.find(alice.into(), ticket.id()).await.err(),
        store.ticket_of(alice.into(), &hash).await.err(),
        store.list(alice, &TicketQuery::default()).await.err(),
    ];
    for (index, refusal) in refusals.into_iter().enumerate() {
        assert!(matches!(refusal, Some(StoreError::Revoked)), "method {index}: {refusal:?}");
    }
    assert_eq!(store.find(Actor::Worker, fresh.id()).await.expect("asked"), None);
}

/// An invoice leads to its ticket, for its owner and for workers.
pub async fn an_invoice_finds_its_ticket_for_its_owner_only(fixture: &impl StoreFixture) {
    let (world, store) = (World::new(), fixture.store());
    let (alice, bob) = (fixture.caller().await, fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    let hash = ticket.invoices()[0].payment_hash;
    assert_eq!(store.ticket_of(alice.into(), &hash).await.expect("asked"), Some(ticket.id()));
    assert_eq!(store.ticket_of(Actor::Worker, &hash).await.expect("asked"), Some(ticket.id()));
    assert_eq!(store.ticket_of(bob.into(), &hash).await.expect("asked"), None);
}

/// Payment, proof, cancellation, service and refund all survive the way into storage and back.
pub async fn every_fact_of_an_invoice_reads_back(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let paid = world.opened(&*store, alice).await;
    let late = world.opened(&*store, alice).await;
    let cancelled = world.opened(&*store, alice).await;
    world.advance(Duration::from_secs(60));
    let fact = |ticket: &crate::Ticket, paid_at| {
        let preimage = World::preimage(ticket.id().as_uuid());
        PaymentFact { payment_hash: preimage.payment_hash(), paid_at, preimage: Some(preimage) }
    };
    let cases = [
        (&paid, TicketStatus::Completed),
        (&late, TicketStatus::Refunded),
        (&cancelled, TicketStatus::RefundDue),
    ];
    for (ticket, expected) in cases {
        let mut tx = store.begin(Actor::Worker).await.expect("begun");
        let mut locked = tx.tickets().lock(ticket.id()).await.expect("asked").expect("there");
        let now = world.now();
        match expected {
            TicketStatus::Completed => {
                let _ = locked.record_payment(fact(ticket, now), now);
                let _ = locked.begin_service(now).expect("served");
                let _ = locked.complete(now).expect("completed");
            }
            TicketStatus::Refunded => {
                let after = ticket.invoices()[0].expires_at + Duration::from_secs(1);
                let _ = locked.record_payment(fact(ticket, after), after);
                let _ = locked.mark_refunded(&ticket.invoices()[0].payment_hash, after).expect("refunded");
            }
            _ => {
                let _ = locked.cancel(now).expect("cancelled");
                let later = now + Duration::from_secs(1);
                let _ = locked.record_payment(fact(ticket, later), later);
            }
        }
        let saved = tx.tickets().save(&locked).await;
        finish(tx, saved).await.expect("saved");
        let read = store.find(alice.into(), ticket.id()).await.expect("found").expect("stored");
        assert_eq!(read.status(), expected);
        assert_eq!((read.record(), read.invoices()), (locked.record(), locked.invoices()));
        assert_eq!(read.record().version, 2);
        assert_ne!(read.invoices()[0].status, InvoiceStatus::Open);
    }
}
