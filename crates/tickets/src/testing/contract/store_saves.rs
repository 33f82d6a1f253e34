//! What is compared when something is written, and what a refusal leaves behind.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use guiche_kernel::{Actor, Caller, Locked, StoreError, finish};

use super::{StoreFixture, World};
use crate::{Applied, InvoiceStatus, PaymentFact, Ticket, TicketId, TicketStatus, TicketStore};

async fn locked(store: &Arc<dyn TicketStore>, id: TicketId) -> Locked<Ticket> {
    let mut tx = store.begin(Actor::Worker).await.expect("begun");
    let locked = tx.tickets().lock(id).await.expect("asked").expect("there");
    tx.rollback().await.expect("rolled back");
    locked
}

async fn save(store: &Arc<dyn TicketStore>, ticket: &Locked<Ticket>) -> Result<(), StoreError> {
    let mut tx = store.begin(Actor::Worker).await?;
    let saved = tx.tickets().save(ticket).await;
    finish(tx, saved).await
}

/// A stored ticket that is paid.
async fn paid(world: &World, store: &Arc<dyn TicketStore>, caller: Caller) -> Ticket {
    let id = world.opened(&**store, caller).await.id();
    let mut ticket = locked(store, id).await;
    let payment_hash = ticket.invoices()[0].payment_hash;
    let fact = PaymentFact { payment_hash, paid_at: world.now(), preimage: None };
    assert_eq!(ticket.record_payment(fact, world.now()), Applied::Changed);
    save(store, &ticket).await.expect("saved");
    ticket.into_inner()
}

/// The version is compared, also when no invoice changed.
pub async fn saving_compares_the_version_alone(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = paid(&world, &store, alice).await;
    let (mut first, mut second) = (locked(&store, ticket.id()).await, locked(&store, ticket.id()).await);
    for either in [&mut first, &mut second] {
        assert_eq!(either.begin_service(world.now()), Ok(Applied::Changed));
        assert!(either.changes().changed_invoices.is_empty());
    }
    save(&store, &first).await.expect("saved");
    let refused = save(&store, &second).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    let read = store.find(alice.into(), ticket.id()).await.expect("found").expect("stored");
    assert_eq!((read.status(), read.record().version), (TicketStatus::Processing, 3));
}

/// The status of a changed invoice is compared, also when the version is the stored one.
pub async fn saving_compares_the_status_of_each_changed_invoice(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = paid(&world, &store, alice).await;
    let mut record = ticket.record().clone();
    record.status = TicketStatus::Pending;
    let mut invoice = ticket.invoices()[0].clone();
    (invoice.status, invoice.payment) = (InvoiceStatus::Open, None);
    let mut forged = Locked::after_row_lock(Ticket::restore(record, vec![invoice]).expect("consistent"));
    assert_eq!(forged.cancel(world.now()), Ok(Applied::Changed));
    assert_eq!(forged.changes().expected_version, ticket.record().version);
    let refused = save(&store, &forged).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    let read = store.find(alice.into(), ticket.id()).await.expect("found").expect("stored");
    assert_eq!(read, ticket, "nothing of it was written");
}

/// An expected refusal of a save leaves the transaction usable, and writes nothing.
pub async fn a_refused_save_does_not_poison_the_transaction(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let other = world.opened(&*store, alice).await;
    let mut ticket = locked(&store, world.opened(&*store, alice).await.id()).await;
    let stale = {
        let mut stale = locked(&store, ticket.id()).await;
        assert_eq!(stale.cancel(world.now()), Ok(Applied::Changed));
        stale
    };
    world.advance(Duration::from_secs(901));
    let (hash, now) = (ticket.invoices()[0].payment_hash, world.now());
    assert_eq!(ticket.expire(&hash, now, now), Applied::Changed);
    save(&store, &ticket).await.expect("saved");

    let mut tx = store.begin(alice.into()).await.expect("begun");
    let read = tx.tickets().lock(ticket.id()).await.expect("asked").expect("there");
    let mut good = read.clone();
    let invoice = world.invoice(world.ids.uuid());
    good.reissue(invoice.clone(), now).expect("expired");
    // Another's payment hash, and one that the ticket had itself.
    for payment_hash in [other.invoices()[0].payment_hash, hash] {
        let mut clash = Locked::after_row_lock(read.clone());
        clash.reissue(crate::Invoice { payment_hash, ..invoice.clone() }, now).expect("expired");
        let duplicate = tx.tickets().save(&clash).await;
        assert!(matches!(duplicate, Err(StoreError::Duplicate)), "{duplicate:?}");
    }
    let conflict = tx.tickets().save(&stale).await;
    assert!(matches!(conflict, Err(StoreError::Conflict)), "{conflict:?}");
    let good = Locked::after_row_lock(good);
    tx.tickets().save(&good).await.expect("not poisoned");
    tx.commit().await.expect("committed");
    let read = store.find(alice.into(), ticket.id()).await.expect("found").expect("stored");
    assert_eq!(read.invoices(), good.invoices());
    assert_eq!(store.find(alice.into(), other.id()).await.expect("found"), Some(other));
}

/// Of two transactions that insert one id at the same time, one commits; nothing of the other stays.
pub async fn one_id_is_inserted_once(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let (one, _) = world.ticket(alice);
    let mut record = world.ticket(alice).0.record().clone();
    record.id = one.id();
    let two = Ticket::restore(record, vec![world.invoice(world.ids.uuid())]).expect("consistent");
    let mut holder = store.begin(alice.into()).await.expect("begun");
    holder.tickets().insert(&one).await.expect("the first");
    // The second comes while the first is still open.
    let latecomer = async {
        let mut tx = store.begin(alice.into()).await?;
        let inserted = tx.tickets().insert(&two).await;
        finish(tx, inserted).await
    };
    let (second, first) = join(latecomer, holder.commit()).await;
    let stored = match (first, second) {
        (Ok(()), Err(StoreError::Duplicate)) => one,
        (Err(StoreError::Duplicate), Ok(())) => two,
        other => panic!("one of the two, got {other:?}"),
    };
    assert_eq!(store.find(alice.into(), stored.id()).await.expect("found"), Some(stored));
}

/// A ticket in somebody else's name is a defect of the program, whichever way it is written.
pub async fn a_ticket_of_another_owner_is_refused(fixture: &impl StoreFixture) {
    let (world, store) = (World::new(), fixture.store());
    let (alice, bob) = (fixture.caller().await, fixture.caller().await);
    let (ticket, events) = world.ticket(alice);
    let refused = store.open(bob, &ticket, &events, None).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    let mut tx = store.begin(bob.into()).await.expect("begun");
    let refused = tx.tickets().insert(&ticket).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    tx.rollback().await.expect("rolled back");
    assert_eq!(store.find(Actor::Worker, ticket.id()).await.expect("asked"), None);
    assert!(fixture.events(ticket.id()).await.is_empty());
    store.open(alice, &ticket, &events, None).await.expect("nothing stands in her way");
}

/// A provider may tell moments more finely than storage keeps them: what was decided is what is read back. Half a
/// microsecond after the expiry is within the last microsecond, and in time.
pub async fn a_moment_finer_than_a_microsecond_reads_back_as_it_was_decided(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    for nanos in [1, 500, 999, 1_000] {
        let opened = world.opened(&*store, alice).await;
        let expires_at = opened.invoices()[0].expires_at;
        world.advance(Duration::from_secs(901));
        let mut ticket = locked(&store, opened.id()).await;
        let payment_hash = ticket.invoices()[0].payment_hash;
        let paid_at = expires_at + Duration::from_nanos(nanos);
        let fact = PaymentFact { payment_hash, paid_at, preimage: None };
        assert_eq!(ticket.record_payment(fact, world.now()), Applied::Changed);
        save(&store, &ticket).await.expect("saved");
        let read = store.find(alice.into(), opened.id()).await.expect("what was stored can be read");
        assert_eq!(read.as_ref(), Some(&*ticket), "{nanos} ns");
        let late = ticket.status() == TicketStatus::RefundDue;
        assert_eq!(late, nanos == 1_000, "{nanos} ns: {}", ticket.status());
    }
}
