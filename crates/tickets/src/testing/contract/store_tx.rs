//! Transactions: all or nothing, locks that are given back, no identity left behind.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, join, select};
use guiche_kernel::{Actor, StoreError, finish};

use super::{StoreFixture, World};
use crate::{Applied, InvoiceStatus, PaymentFact, Ticket, TicketId, TicketStatus, TicketStore, TicketTx};

async fn cancel_in(tx: &mut dyn TicketTx, world: &World, id: TicketId) -> Result<Ticket, StoreError> {
    let mut ticket = tx.tickets().lock(id).await?.expect("there");
    assert_eq!(ticket.cancel(world.now()), Ok(Applied::Changed));
    let events = ticket.take_events(&world.ids);
    tx.tickets().save(&ticket).await?;
    tx.outbox().push(&events).await?;
    Ok(ticket.into_inner())
}

async fn status(store: &dyn TicketStore, id: TicketId) -> TicketStatus {
    store.find(Actor::Worker, id).await.expect("found").expect("stored").status()
}

/// A commit keeps rows and events, a rollback neither.
pub async fn a_commit_keeps_everything_and_a_rollback_nothing(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    let mut tx = store.begin(alice.into()).await.expect("begun");
    cancel_in(&mut *tx, &world, ticket.id()).await.expect("cancelled");
    assert_eq!(status(&*store, ticket.id()).await, TicketStatus::Pending, "seen before the commit");
    tx.rollback().await.expect("rolled back");
    assert_eq!(status(&*store, ticket.id()).await, TicketStatus::Pending);
    assert_eq!(fixture.events(ticket.id()).await.len(), 1);

    let mut tx = store.begin(alice.into()).await.expect("begun");
    let outcome = cancel_in(&mut *tx, &world, ticket.id()).await;
    finish(tx, outcome).await.expect("committed");
    assert_eq!(status(&*store, ticket.id()).await, TicketStatus::Cancelled);
    assert_eq!(fixture.events(ticket.id()).await.len(), 2);
}

/// An early return, a timeout or a cancelled request undoes everything, and the next writer does not wait for it.
pub async fn a_dropped_transaction_leaves_nothing_and_frees_its_locks(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    for _ in 0..20 {
        let mut tx = store.begin(alice.into()).await.expect("begun");
        cancel_in(&mut *tx, &world, ticket.id()).await.expect("cancelled");
        drop(tx);
        let mut next = store.begin(Actor::Worker).await.expect("begun");
        let locked = next.tickets().lock(ticket.id()).await.expect("lock given back").expect("there");
        assert_eq!(locked.status(), TicketStatus::Pending);
        next.rollback().await.expect("rolled back");
    }
}

/// Whatever became of the transaction before, the next one is the caller's own.
pub async fn a_transaction_leaks_no_identity(fixture: &impl StoreFixture) {
    let (world, store) = (World::new(), fixture.store());
    let (alice, bob) = (fixture.caller().await, fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    for how in 0..4 {
        let mut tx = store.begin(alice.into()).await.expect("begun");
        assert!(tx.tickets().lock(ticket.id()).await.expect("asked").is_some());
        match how {
            0 => tx.commit().await.expect("committed"),
            1 => tx.rollback().await.expect("rolled back"),
            2 => drop(tx),
            _ => {
                let (duplicate, _) = world.ticket(alice);
                tx.tickets().insert(&duplicate).await.expect("inserted");
                assert!(tx.tickets().insert(&duplicate).await.is_err());
                drop(tx);
            }
        }
        for _ in 0..4 {
            let mut tx = store.begin(bob.into()).await.expect("begun");
            assert!(tx.tickets().lock(ticket.id()).await.expect("asked").is_none(), "after {how}");
            tx.rollback().await.expect("rolled back");
            assert_eq!(store.find(bob.into(), ticket.id()).await.expect("asked"), None);
        }
    }
}

/// Two writers of one ticket go one after the other, and the second sees what the first did.
pub async fn a_lock_is_waited_for(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    let mut first = store.begin(alice.into()).await.expect("begun");
    let mut held = first.tickets().lock(ticket.id()).await.expect("asked").expect("there");
    let second = Box::pin(async {
        let mut tx = store.begin(Actor::Worker).await.expect("begun");
        let seen = tx.tickets().lock(ticket.id()).await.expect("asked").expect("there").status();
        tx.rollback().await.expect("rolled back");
        seen
    });
    // The second one is polled while the first still works: it must not get through.
    let work = Box::pin(async {
        assert_eq!(held.cancel(world.now()), Ok(Applied::Changed));
        first.tickets().save(&held).await.expect("saved");
        first
    });
    let (second, first) = match select(work, second).await {
        Either::Left((first, second)) => (second, first),
        Either::Right(_) => panic!("the lock was not waited for"),
    };
    let (committed, seen) = join(first.commit(), second).await;
    committed.expect("committed");
    assert_eq!(seen, TicketStatus::Cancelled);
}

/// An expected refusal leaves the transaction usable.
pub async fn a_duplicate_does_not_poison_the_transaction(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let stored = world.opened(&*store, alice).await;
    let (fresh, _) = world.ticket(alice);
    let clash = Ticket::restore(world.ticket(alice).0.record().clone(), stored.invoices().to_vec())
        .expect("consistent");
    let mut tx = store.begin(alice.into()).await.expect("begun");
    for ticket in [&stored, &clash] {
        let refused = tx.tickets().insert(ticket).await;
        assert!(matches!(refused, Err(StoreError::Duplicate)), "{refused:?}");
    }
    tx.tickets().insert(&fresh).await.expect("not poisoned");
    tx.commit().await.expect("committed");
    assert!(store.find(alice.into(), fresh.id()).await.expect("found").is_some());
    assert_eq!(store.find(alice.into(), clash.id()).await.expect("asked"), None);
}

/// What was read before somebody else's change cannot be written back.
pub async fn saving_needs_the_version_that_was_read(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    let mut stale = {
        let mut tx = store.begin(alice.into()).await.expect("begun");
        let locked = tx.tickets().lock(ticket.id()).await.expect("asked").expect("there");
        tx.rollback().await.expect("rolled back");
        locked
    };
    let mut tx = store.begin(alice.into()).await.expect("begun");
    let outcome = cancel_in(&mut *tx, &world, ticket.id()).await;
    finish(tx, outcome).await.expect("committed");

    let hash = ticket.invoices()[0].payment_hash;
    let fact = PaymentFact { payment_hash: hash, paid_at: world.now(), preimage: None };
    assert_eq!(stale.record_payment(fact, world.now()), Applied::Changed);
    let mut tx = store.begin(alice.into()).await.expect("begun");
    let refused = tx.tickets().save(&stale).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    drop(tx);
    assert_eq!(status(&*store, ticket.id()).await, TicketStatus::Cancelled);
}

/// An expired ticket with its lock held, saved and committed by `change`.
async fn changed(
    store: &Arc<dyn TicketStore>,
    id: TicketId,
    change: impl FnOnce(&mut Ticket) + Send,
) -> Result<(), StoreError> {
    let mut tx = store.begin(Actor::Worker).await?;
    let mut ticket = tx.tickets().lock(id).await?.expect("there");
    change(&mut ticket);
    let saved = tx.tickets().save(&ticket).await;
    finish(tx, saved).await
}

async fn expired(world: &World, store: &Arc<dyn TicketStore>, alice: guiche_kernel::Caller) -> Ticket {
    let ticket = world.opened(&**store, alice).await;
    world.advance(Duration::from_secs(901));
    let (hash, now) = (ticket.invoices()[0].payment_hash, world.now());
    changed(store, ticket.id(), |ticket| assert_eq!(ticket.expire(&hash, now, now), Applied::Changed))
        .await
        .expect("expired");
    store.find(alice.into(), ticket.id()).await.expect("found").expect("stored")
}

/// Two fresh invoices at once: the second is refused, and nothing of it stays.
pub async fn a_ticket_has_one_open_invoice(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = expired(&world, &store, alice).await;
    let mut stale = {
        let mut tx = store.begin(alice.into()).await.expect("begun");
        let locked = tx.tickets().lock(ticket.id()).await.expect("asked").expect("there");
        tx.rollback().await.expect("rolled back");
        locked
    };
    let (first, second) = (world.invoice(world.ids.uuid()), world.invoice(world.ids.uuid()));
    let now = world.now();
    changed(&store, ticket.id(), |ticket| ticket.reissue(first.clone(), now).expect("expired"))
        .await
        .expect("saved");
    stale.reissue(second.clone(), now).expect("expired when it was read");
    let mut tx = store.begin(alice.into()).await.expect("begun");
    let refused = tx.tickets().save(&stale).await;
    assert!(matches!(refused, Err(StoreError::Conflict | StoreError::Duplicate)), "{refused:?}");
    drop(tx);
    let read = store.find(alice.into(), ticket.id()).await.expect("found").expect("stored");
    assert_eq!(read.open_invoice(), Some(&first));
    assert_eq!(store.ticket_of(Actor::Worker, &second.payment_hash).await.expect("asked"), None);
}

/// Invoices come back in the order of their issue.
pub async fn a_fresh_invoice_reads_back_in_order(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = expired(&world, &store, alice).await;
    let fresh = world.invoice(world.ids.uuid());
    let now = world.now();
    changed(&store, ticket.id(), |ticket| ticket.reissue(fresh.clone(), now).expect("expired"))
        .await
        .expect("saved");
    let read = store.find(alice.into(), ticket.id()).await.expect("found").expect("stored");
    let statuses: Vec<_> = read.invoices().iter().map(|invoice| invoice.status).collect();
    assert_eq!(statuses, [InvoiceStatus::Expired, InvoiceStatus::Open]);
    assert_eq!(read.invoices().last(), Some(&fresh));
    assert_eq!(read.status(), TicketStatus::Pending);
}

/// When a payment becomes known that was made before the one that paid, the two change places in one save.
pub async fn a_change_of_the_paying_invoice_can_be_saved(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = expired(&world, &store, alice).await;
    let fresh = world.invoice(world.ids.uuid());
    let now = world.now();
    changed(&store, ticket.id(), |ticket| ticket.reissue(fresh.clone(), now).expect("expired"))
        .await
        .expect("saved");
    let earlier = ticket.invoices()[0].clone();
    for (hash, paid_at) in [(fresh.payment_hash, now), (earlier.payment_hash, earlier.expires_at)] {
        let fact = PaymentFact { payment_hash: hash, paid_at, preimage: None };
        changed(&store, ticket.id(), |ticket| assert_eq!(ticket.record_payment(fact, now), Applied::Changed))
            .await
            .expect("saved");
    }
    let read = store.find(alice.into(), ticket.id()).await.expect("found").expect("stored");
    let statuses: Vec<_> = read.invoices().iter().map(|invoice| invoice.status).collect();
    assert_eq!(statuses, [InvoiceStatus::Paid, InvoiceStatus::PaidSurplus]);
    assert_eq!((read.status(), read.paid_at()), (TicketStatus::Paid, Some(earlier.expires_at)));
}
