//! The watcher's leases and schedule, pushes, and what the operator lists.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use guiche_kernel::{Actor, Limit, Locked, Timestamp, finish};

use super::{StoreFixture, World};
use crate::{
    Applied, DueLook, InvoiceId, InvoiceStatus, NextLook, PaymentFact, PaymentHash, Push, PushNoted, Ticket,
    TicketId, TicketStore, watch,
};

const LEASE: Duration = Duration::from_secs(60);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

async fn claim(store: &Arc<dyn TicketStore>, now: Timestamp) -> Vec<DueLook> {
    store.claim_looks(now, now + LEASE, 100).await.expect("claimed")
}

async fn hashes(store: &Arc<dyn TicketStore>, now: Timestamp) -> Vec<PaymentHash> {
    claim(store, now).await.into_iter().map(|look| look.payment_hash).collect()
}

/// Changes a stored ticket as the watcher does.
async fn change(
    store: &Arc<dyn TicketStore>,
    id: TicketId,
    change: impl FnOnce(&mut Locked<Ticket>) -> Applied,
) {
    let mut tx = store.begin(Actor::Worker).await.expect("begun");
    let mut ticket = tx.tickets().lock(id).await.expect("asked").expect("there");
    assert_eq!(change(&mut ticket), Applied::Changed);
    let saved = tx.tickets().save(&ticket).await;
    finish(tx, saved).await.expect("saved");
}

async fn pay(store: &Arc<dyn TicketStore>, ticket: &Ticket, paid_at: Timestamp) {
    let fact = PaymentFact { payment_hash: ticket.invoices()[0].payment_hash, paid_at, preimage: None };
    change(store, ticket.id(), |ticket| ticket.record_payment(fact, paid_at)).await;
}

/// Two watchers at once share the work, and a lease that ran out gives it free again.
pub async fn looks_are_leased_once(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    for _ in 0..6 {
        world.opened(&*store, alice).await;
    }
    world.advance(seconds(2));
    let (now, until) = (world.now(), world.now() + LEASE);
    let (one, two) = join(store.claim_looks(now, until, 4), store.claim_looks(now, until, 4)).await;
    let mut seen: Vec<_> = one.expect("claimed").into_iter().chain(two.expect("claimed")).collect();
    seen.extend(store.claim_looks(now, until, 4).await.expect("claimed"));
    seen.sort_by_key(|look| look.payment_hash);
    seen.dedup();
    assert_eq!(seen.len(), 6, "all six, none twice");
    assert!(claim(&store, until - Duration::from_micros(1)).await.is_empty());
    let again = claim(&store, until).await;
    assert_eq!(again.len(), 6);
    assert!(again.iter().all(|look| look.due_at == until), "due since the lease ended: {again:?}");
}

/// Whatever is due the longest is looked at first, across calls and within one; the order of opening does not matter.
pub async fn the_most_overdue_are_looked_at_first(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let mut expected = Vec::new();
    for later in [30, 10, 50, 20, 40_u64] {
        let (ticket, _) = world.ticket(alice);
        let mut invoice = ticket.invoices()[0].clone();
        invoice.issued_at = world.now() + seconds(later);
        let ticket = Ticket::restore(ticket.record().clone(), vec![invoice]).expect("consistent");
        store.open(alice, &ticket, &[], None).await.expect("opened");
        expected.push((later, ticket.id()));
    }
    expected.sort_unstable();
    world.advance(seconds(60));
    let (now, until) = (world.now(), world.now() + LEASE);
    let mut taken = Vec::new();
    for most in [1, 1, 3] {
        let looks = store.claim_looks(now, until, most).await.expect("claimed");
        taken.extend(looks.iter().map(|look| look.ticket_id));
    }
    assert_eq!(taken, expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
}

/// And it says everything that a watcher has to know.
pub async fn a_fresh_invoice_is_due_when_the_schedule_says(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    let invoice = &ticket.invoices()[0];
    let first = invoice.issued_at + watch::FIRST_LOOK;
    assert!(claim(&store, first - Duration::from_micros(1)).await.is_empty());
    let expected = DueLook {
        ticket_id: ticket.id(),
        payment_hash: invoice.payment_hash,
        invoice_id: invoice.id.clone(),
        open: true,
        issued_at: invoice.issued_at,
        expires_at: invoice.expires_at,
        due_at: first,
    };
    assert_eq!(claim(&store, first).await, [expected]);
}

/// And one without a next look never is.
pub async fn a_rescheduled_look_is_due_then_and_not_before(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let (one, other) = (world.opened(&*store, alice).await, world.opened(&*store, alice).await);
    world.advance(seconds(2));
    let now = world.now();
    assert_eq!(claim(&store, now).await.len(), 2);
    let (kept, ended) = (one.invoices()[0].payment_hash, other.invoices()[0].payment_hash);
    let next = now + seconds(2);
    let looks = [NextLook { payment_hash: kept, at: Some(next) }, NextLook { payment_hash: ended, at: None }];
    store.reschedule(now + LEASE, &looks).await.expect("rescheduled");
    assert!(claim(&store, next - Duration::from_micros(1)).await.is_empty());
    let taken = claim(&store, next).await;
    assert_eq!(taken.iter().map(|look| (look.payment_hash, look.due_at)).collect::<Vec<_>>(), [(kept, next)]);
    assert_eq!(hashes(&store, now + seconds(1_000_000)).await, [kept], "the other one's schedule is over");
}

/// A watcher that was so slow that another one took its work over must not undo what that one has found.
pub async fn whoever_lost_the_lease_reschedules_nothing(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    let payment_hash = ticket.invoices()[0].payment_hash;
    let slow = world.now() + seconds(2);
    assert_eq!(hashes(&store, slow).await, [payment_hash]);
    let other = slow + LEASE;
    assert_eq!(hashes(&store, other).await, [payment_hash]);
    for at in [None, Some(slow)] {
        store.reschedule(slow + LEASE, &[NextLook { payment_hash, at }]).await.expect("asked");
        assert!(claim(&store, other).await.is_empty());
    }
    assert_eq!(hashes(&store, other + LEASE).await, [payment_hash]);
}

/// Also when a watcher that looked before the payment comes back with its next look.
pub async fn money_ends_the_watch(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    let payment_hash = ticket.invoices()[0].payment_hash;
    world.advance(seconds(2));
    let now = world.now();
    assert_eq!(hashes(&store, now).await, [payment_hash]);
    pay(&store, &ticket, now).await;
    store.reschedule(now + LEASE, &[NextLook { payment_hash, at: Some(now) }]).await.expect("asked");
    assert!(claim(&store, now + seconds(1_000_000)).await.is_empty());
}

/// Money can come after the end, and after a cancellation.
pub async fn an_unpaid_invoice_stays_watched_when_it_is_closed(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let (expired, cancelled) = (world.opened(&*store, alice).await, world.opened(&*store, alice).await);
    let (hash, now) = (expired.invoices()[0].payment_hash, world.now());
    change(&store, cancelled.id(), |ticket| ticket.cancel(now).expect("pending")).await;
    world.advance(seconds(901));
    let after = world.now();
    change(&store, expired.id(), |ticket| ticket.expire(&hash, after, after)).await;
    let mut looks: Vec<_> =
        claim(&store, after).await.into_iter().map(|look| (look.ticket_id, look.open)).collect();
    looks.sort_unstable();
    let mut expected = [(expired.id(), false), (cancelled.id(), false)];
    expected.sort_unstable();
    assert_eq!(looks, expected);
}

/// A ticket that got a second invoice is paid by whichever the payer chooses.
pub async fn a_fresh_invoice_of_an_old_ticket_is_watched(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    let first = ticket.invoices()[0].payment_hash;
    world.advance(seconds(901));
    let now = world.now();
    assert_eq!(hashes(&store, now).await, [first]);
    let fresh = world.invoice(world.ids.uuid());
    let second = fresh.payment_hash;
    change(&store, ticket.id(), |ticket| {
        assert_eq!(ticket.expire(&first, now, now), Applied::Changed);
        ticket.reissue(fresh, now).expect("expired");
        Applied::Changed
    })
    .await;
    let due = now + watch::FIRST_LOOK;
    assert!(claim(&store, due - Duration::from_micros(1)).await.is_empty(), "the first one is leased");
    assert_eq!(hashes(&store, due).await, [second]);
}

fn push(name: &str, invoice: &InvoiceId, received_at: Timestamp) -> Push {
    Push { id: name.to_owned(), invoice_id: invoice.clone(), received_at }
}

/// Even while somebody is just looking: what that look finds may be older than the push.
pub async fn a_push_makes_the_next_look_due_at_once(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    let invoice = &ticket.invoices()[0];
    let payment_hash = invoice.payment_hash;
    let now = world.now();
    let noted = store.note_push(&push("one", &invoice.id, now)).await.expect("noted");
    assert_eq!((noted, hashes(&store, now).await), (PushNoted::Known, vec![payment_hash]));
    let noted = store.note_push(&push("two", &invoice.id, now)).await.expect("noted");
    store.reschedule(now + LEASE, &[NextLook { payment_hash, at: None }]).await.expect("asked");
    assert_eq!((noted, hashes(&store, now).await), (PushNoted::Known, vec![payment_hash]));
    store.reschedule(now + LEASE, &[NextLook { payment_hash, at: None }]).await.expect("rescheduled");
    store.note_push(&push("three", &invoice.id, now)).await.expect("noted");
    assert_eq!(hashes(&store, now).await, [payment_hash], "also when its schedule was over");
}

/// A provider sends a message again until it is answered; the ticket does not move by it.
pub async fn a_push_counts_once_and_changes_nothing_else(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    let (known, now) = (ticket.invoices()[0].id.clone(), world.now());
    let unknown = InvoiceId::parse("test:unheard-of").expect("a valid id");
    for (message, invoice, expected) in [
        ("a", &unknown, PushNoted::Unknown),
        ("a", &unknown, PushNoted::Duplicate),
        ("b", &known, PushNoted::Known),
        ("b", &known, PushNoted::Duplicate),
        ("b", &unknown, PushNoted::Duplicate),
    ] {
        assert_eq!(
            store.note_push(&push(message, invoice, now)).await.expect("noted"),
            expected,
            "{message}"
        );
    }
    assert_eq!(store.find(alice.into(), ticket.id()).await.expect("found"), Some(ticket.clone()));
    pay(&store, &ticket, now).await;
    let noted = store.note_push(&push("c", &known, now)).await.expect("noted");
    assert_eq!((noted, claim(&store, now + seconds(100)).await), (PushNoted::Known, vec![]));
    assert_eq!(store.prune_pushes(now).await.expect("pruned"), 0);
    assert_eq!(store.prune_pushes(now + Duration::from_micros(1)).await.expect("pruned"), 3);
    assert_eq!(store.note_push(&push("a", &unknown, now)).await.expect("noted"), PushNoted::Unknown);
}

/// For a look at all of them; what is paid needs none.
pub async fn unpaid_invoices_are_listed_by_their_issue(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let mut tickets = Vec::new();
    for _ in 0..5 {
        tickets.push(world.opened(&*store, alice).await);
        world.advance(seconds(1));
    }
    pay(&store, &tickets[2], world.now()).await;
    let since = tickets[1].invoices()[0].issued_at;
    assert_eq!(store.count_unpaid(since).await.expect("counted"), 3);
    let (mut after, mut listed) = (None, Vec::new());
    loop {
        let page =
            store.list_unpaid(since, after, Limit::try_new(2).expect("a limit")).await.expect("listed");
        let Some(last) = page.last() else { break };
        after = Some((last.issued_at, last.payment_hash));
        listed.extend(page.iter().map(|look| look.ticket_id));
    }
    assert_eq!(listed, [tickets[1].id(), tickets[3].id(), tickets[4].id()]);
}

/// Oldest first, page by page.
pub async fn refunds_are_listed_until_the_money_went_back(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let in_time = world.opened(&*store, alice).await;
    pay(&store, &in_time, world.now()).await;
    let late = [world.opened(&*store, alice).await, world.opened(&*store, alice).await];
    world.advance(seconds(1000));
    for ticket in &late {
        pay(&store, ticket, world.now()).await;
        world.advance(seconds(1));
    }
    let limit = Limit::try_new(1).expect("a limit");
    let first = store.list_refunds(None, limit).await.expect("listed");
    let after = first.first().map(|refund| (refund.paid_at, refund.payment_hash));
    let second = store.list_refunds(after, limit).await.expect("listed");
    for (page, ticket) in [(&first, &late[0]), (&second, &late[1])] {
        let [refund] = page.as_slice() else { panic!("one each: {page:?}") };
        assert_eq!((refund.ticket_id, refund.owner), (ticket.id(), alice.user_id));
        assert_eq!((refund.reason, refund.amount), (InvoiceStatus::PaidLate, ticket.record().amount));
        assert_eq!(refund.payment_hash, ticket.invoices()[0].payment_hash);
    }
    let (hash, now) = (late[0].invoices()[0].payment_hash, world.now());
    assert_eq!(store.count_refunds().await.expect("counted"), [(InvoiceStatus::PaidLate, 2)]);
    change(&store, late[0].id(), |ticket| ticket.mark_refunded(&hash, now).expect("due")).await;
    assert_eq!(store.list_refunds(None, Limit::default()).await.expect("listed"), second);
    assert_eq!(store.count_refunds().await.expect("counted"), [(InvoiceStatus::PaidLate, 1)]);
}
