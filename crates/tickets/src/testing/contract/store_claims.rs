//! Idempotency claims.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use guiche_kernel::{Actor, StoreError, finish};

use super::{FORGET, LAPSE, StoreFixture, World, mine};
use crate::{ClaimOutcome, ClaimRequest, Route, TicketId};

/// Of any number of requests at once exactly one may work.
pub async fn of_simultaneous_claims_one_wins(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let requests: Vec<_> = (0..20).map(|_| world.request("k", "body")).collect();
    let outcomes = join_all(requests.iter().map(|request| store.claim(alice, request))).await;
    let won = outcomes.iter().filter(|outcome| matches!(outcome, Ok(ClaimOutcome::Mine(_)))).count();
    let busy = outcomes.iter().filter(|outcome| matches!(outcome, Ok(ClaimOutcome::Busy))).count();
    assert_eq!((won, busy), (1, 19), "{outcomes:?}");
}

/// A claim is taken over when its time has run out, not before, and under the ids that were chosen first.
pub async fn a_claim_is_busy_until_it_lapses_and_keeps_its_subject(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let first = mine(store.claim(alice, &world.request("k", "body")).await.expect("claimed"));
    world.advance(Duration::from_secs(29));
    assert_eq!(store.claim(alice, &world.request("k", "body")).await.expect("asked"), ClaimOutcome::Busy);
    world.advance(Duration::from_secs(1));
    let second = mine(store.claim(alice, &world.request("k", "body")).await.expect("claimed"));
    assert_eq!((second.subject, second.requested_at), (first.subject, first.requested_at));
    assert_eq!(second.claimed_until, world.now() + Duration::from_secs(30), "as it is stored now");
    assert_eq!(store.claim(alice, &world.request("k", "body")).await.expect("asked"), ClaimOutcome::Busy);
}

/// A lapsed claim that is too old for its invoice starts under new ids; the old holder has lost it.
pub async fn an_old_lapsed_claim_starts_anew(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let first = mine(store.claim(alice, &world.request("k", "body")).await.expect("claimed"));
    world.advance(Duration::from_secs(451));
    let request = world.request("k", "body");
    let second = mine(store.claim(alice, &request).await.expect("claimed"));
    assert_eq!((second.subject, second.requested_at), (request.subject, request.now));
    assert_ne!(second.subject, first.subject);
    store.release(alice, &first, FORGET).await.expect("without effect");
    assert_eq!(store.claim(alice, &world.request("k", "body")).await.expect("asked"), ClaimOutcome::Busy);
}

/// One key is one request, before and after it was done.
pub async fn another_request_under_the_key_is_a_mismatch(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let claim = mine(store.claim(alice, &world.request("k", "body")).await.expect("claimed"));
    assert_eq!(
        store.claim(alice, &world.request("k", "other")).await.expect("asked"),
        ClaimOutcome::Mismatch
    );
    complete(&world, fixture, alice, &claim).await;
    assert_eq!(
        store.claim(alice, &world.request("k", "other")).await.expect("asked"),
        ClaimOutcome::Mismatch
    );
}

async fn complete(
    world: &World,
    fixture: &impl StoreFixture,
    alice: guiche_kernel::Caller,
    claim: &crate::Claim,
) -> crate::Ticket {
    let (ticket, events) = world.ticket(alice);
    fixture.store().open(alice, &ticket, &events, Some(claim)).await.expect("opened");
    ticket
}

/// After the commit the claim names what was made, for ever, and cannot be given back.
pub async fn a_completed_claim_says_what_was_done(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let claim = mine(store.claim(alice, &world.request("k", "body")).await.expect("claimed"));
    let ticket = complete(&world, fixture, alice, &claim).await;
    let done = ClaimOutcome::Done { ticket_id: ticket.id(), payment_hash: ticket.invoices()[0].payment_hash };
    for how in [LAPSE, FORGET] {
        store.release(alice, &claim, how).await.expect("without effect");
        world.advance(Duration::from_secs(3600));
        assert_eq!(store.claim(alice, &world.request("k", "body")).await.expect("asked"), done);
    }
}

/// `Forget` frees the key for anything; `Lapse` frees it for the same work under the same ids.
pub async fn a_forgotten_claim_is_free_and_a_lapsed_one_keeps_its_subject(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let first = mine(store.claim(alice, &world.request("k", "body")).await.expect("claimed"));
    store.release(alice, &first, LAPSE).await.expect("released");
    let second = mine(store.claim(alice, &world.request("k", "body")).await.expect("claimed"));
    assert_eq!((second.subject, second.requested_at), (first.subject, first.requested_at));
    store.release(alice, &second, FORGET).await.expect("released");
    let third = mine(store.claim(alice, &world.request("k", "another body")).await.expect("claimed"));
    assert_ne!(third.subject, first.subject);
}

/// Whoever was too slow gives nothing away: the one who took over works under the same subject.
pub async fn a_release_after_a_takeover_does_nothing(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let slow = mine(store.claim(alice, &world.request("k", "body")).await.expect("claimed"));
    world.advance(Duration::from_secs(30));
    let held = mine(store.claim(alice, &world.request("k", "body")).await.expect("claimed"));
    assert_eq!(held.subject, slow.subject);
    assert_ne!(held.claimed_until, slow.claimed_until);
    for how in [LAPSE, FORGET] {
        store.release(alice, &slow, how).await.expect("without effect");
        let asked = store.claim(alice, &world.request("k", "body")).await.expect("asked");
        assert_eq!(asked, ClaimOutcome::Busy, "{how:?}");
    }
    store.release(alice, &held, FORGET).await.expect("released");
    assert_ne!(
        mine(store.claim(alice, &world.request("k", "body")).await.expect("free")).subject,
        held.subject
    );
}

/// A claim that ran out, or was given back without a result, binds nobody to the request that it was made for.
pub async fn a_lapsed_claim_is_free_for_another_request(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    for (key, given_back) in [("ran out", false), ("given back", true)] {
        let first = mine(store.claim(alice, &world.request(key, "body")).await.expect("claimed"));
        if given_back {
            store.release(alice, &first, LAPSE).await.expect("released");
        } else {
            world.advance(Duration::from_secs(30));
        }
        let other = world.request(key, "other");
        let second = mine(store.claim(alice, &other).await.expect("claimed"));
        assert_eq!((second.subject, second.requested_at), (other.subject, other.now), "{key}");
        assert_ne!(second.subject, first.subject, "{key}");
        let (ticket, events) = world.ticket(alice);
        let refused = store.open(alice, &ticket, &events, Some(&first)).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{key}: {refused:?}");
        store.release(alice, &first, FORGET).await.expect("without effect");
        let first_again = store.claim(alice, &world.request(key, "body")).await.expect("asked");
        assert_eq!(first_again, ClaimOutcome::Mismatch, "{key}");
        let second_again = store.claim(alice, &world.request(key, "other")).await.expect("asked");
        assert_eq!(second_again, ClaimOutcome::Busy, "{key}");
    }
}

/// What was done is told to whoever asks for that request, and asking claims nothing.
pub async fn what_was_done_can_be_asked_without_a_claim(fixture: &impl StoreFixture) {
    let (world, store) = (World::new(), fixture.store());
    let (alice, bob) = (fixture.caller().await, fixture.caller().await);
    let request = world.request("k", "body");
    let done = |caller, asked: ClaimRequest| {
        let store = Arc::clone(&store);
        async move { store.find_done(caller, asked.route, &asked.key, &asked.fingerprint).await.expect("asked") }
    };
    assert_eq!(done(alice, request.clone()).await, None);
    let claim = mine(store.claim(alice, &request).await.expect("asking has claimed nothing"));
    assert_eq!(done(alice, request.clone()).await, None, "not yet");
    world.advance(Duration::from_secs(30));
    assert_eq!(done(alice, request.clone()).await, None, "and asking takes nothing over");
    let ticket = complete(&world, fixture, alice, &claim).await;
    let expected = Some((ticket.id(), ticket.invoices()[0].payment_hash));
    assert_eq!(done(alice, request.clone()).await, expected);
    assert_eq!(done(alice, world.request("k", "other")).await, None, "another request");
    assert_eq!(done(alice, world.request("another", "body")).await, None);
    assert_eq!(done(bob, request.clone()).await, None);
    let route = Route::IssueInvoice(ticket.id());
    assert_eq!(done(alice, ClaimRequest { route, ..request }).await, None);
}

/// Whoever lost the claim cannot commit under it, and nothing of the attempt stays.
pub async fn a_lost_claim_forbids_the_commit(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let lost = mine(store.claim(alice, &world.request("k", "body")).await.expect("claimed"));
    world.advance(Duration::from_secs(451));
    let held = mine(store.claim(alice, &world.request("k", "body")).await.expect("claimed"));
    let (ticket, events) = world.ticket(alice);
    let refused = store.open(alice, &ticket, &events, Some(&lost)).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(store.find(alice.into(), ticket.id()).await.expect("asked"), None);
    assert!(fixture.events(ticket.id()).await.is_empty());
    store.open(alice, &ticket, &events, Some(&held)).await.expect("opened");
    let (second, events) = world.ticket(alice);
    let refused = store.open(alice, &second, &events, Some(&held)).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict)),
        "a completed claim was completed again: {refused:?}"
    );
}

/// Two people, and two things to do, may use one key.
pub async fn claims_are_apart_by_owner_and_route(fixture: &impl StoreFixture) {
    let (world, store) = (World::new(), fixture.store());
    let (alice, bob) = (fixture.caller().await, fixture.caller().await);
    mine(store.claim(alice, &world.request("k", "body")).await.expect("claimed"));
    mine(store.claim(bob, &world.request("k", "other body")).await.expect("claimed"));
    let mut invoice = world.request("k", "other body");
    invoice.route = Route::IssueInvoice(TicketId::new(world.ids.uuid()));
    mine(store.claim(alice, &invoice).await.expect("claimed"));
}

/// A claim can be completed inside a transaction, and a rollback takes the completion along.
pub async fn a_claim_completes_with_a_transaction(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    let hash = ticket.invoices()[0].payment_hash;
    let claim = mine(store.claim(alice, &world.request("k", "body")).await.expect("claimed"));
    let mut tx = store.begin(alice.into()).await.expect("begun");
    tx.claims().complete(&claim, ticket.id(), &hash).await.expect("completed");
    tx.rollback().await.expect("rolled back");
    assert_eq!(store.claim(alice, &world.request("k", "body")).await.expect("asked"), ClaimOutcome::Busy);
    let mut tx = store.begin(alice.into()).await.expect("begun");
    let outcome = tx.claims().complete(&claim, ticket.id(), &hash).await;
    finish(tx, outcome).await.expect("committed");
    let done = ClaimOutcome::Done { ticket_id: ticket.id(), payment_hash: hash };
    assert_eq!(store.claim(alice, &world.request("k", "body")).await.expect("asked"), done);
    let mut tx = store.begin(alice.into()).await.expect("begun");
    let again = tx.claims().complete(&claim, ticket.id(), &hash).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    tx.rollback().await.expect("rolled back");
}

/// A worker completes the claim of the ticket's owner, and nobody the claim of another.
pub async fn a_worker_completes_the_owners_claim(fixture: &impl StoreFixture) {
    let (world, store) = (World::new(), fixture.store());
    let (alice, bob) = (fixture.caller().await, fixture.caller().await);
    let ticket = world.opened(&*store, alice).await;
    let hash = ticket.invoices()[0].payment_hash;
    let claim = mine(store.claim(alice, &world.request("k", "body")).await.expect("claimed"));
    let bobs = mine(store.claim(bob, &world.request("k", "body")).await.expect("claimed"));
    for (actor, foreign) in [(bob.into(), &claim), (bob.into(), &bobs), (Actor::Worker, &bobs)] {
        let mut tx = store.begin(actor).await.expect("begun");
        let refused = tx.claims().complete(foreign, ticket.id(), &hash).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{actor:?}: {refused:?}");
        tx.rollback().await.expect("rolled back");
    }
    let mut tx = store.begin(Actor::Worker).await.expect("begun");
    let outcome = tx.claims().complete(&claim, ticket.id(), &hash).await;
    finish(tx, outcome).await.expect("committed");
    let done = ClaimOutcome::Done { ticket_id: ticket.id(), payment_hash: hash };
    assert_eq!(store.claim(alice, &world.request("k", "body")).await.expect("asked"), done);
    assert_eq!(store.claim(bob, &world.request("k", "body")).await.expect("asked"), ClaimOutcome::Busy);
}

/// The last touch counts, not how long the claim is held: a takeover is one, being asked about is none.
pub async fn claims_are_pruned_by_their_last_touch(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    mine(store.claim(alice, &world.request("taken over", "body")).await.expect("claimed"));
    mine(store.claim(alice, &world.request("left alone", "body")).await.expect("claimed"));
    let claimed_at = world.now();
    world.advance(Duration::from_secs(20));
    assert_eq!(
        store.claim(alice, &world.request("left alone", "body")).await.expect("asked"),
        ClaimOutcome::Busy
    );
    world.advance(Duration::from_secs(20));
    mine(store.claim(alice, &world.request("taken over", "body")).await.expect("taken over"));
    assert_eq!(store.prune_claims(claimed_at).await.expect("pruned"), 0, "touched then, not before");
    let soon = claimed_at + Duration::from_micros(1);
    assert_eq!(store.prune_claims(soon).await.expect("pruned"), 1, "though it was claimed until later");
    assert_eq!(store.prune_claims(world.now()).await.expect("pruned"), 0, "taken over just now");
}

/// Old claims go, done or not; fresh ones stay.
pub async fn old_claims_are_pruned(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), Arc::clone(&fixture.store()), fixture.caller().await);
    let done = mine(store.claim(alice, &world.request("old and done", "body")).await.expect("claimed"));
    complete(&world, fixture, alice, &done).await;
    mine(store.claim(alice, &world.request("old", "body")).await.expect("claimed"));
    world.advance(Duration::from_secs(48 * 3600));
    mine(store.claim(alice, &world.request("fresh", "body")).await.expect("claimed"));
    assert_eq!(store.prune_claims(world.now() - Duration::from_secs(24 * 3600)).await.expect("pruned"), 2);
    mine(store.claim(alice, &world.request("old and done", "another body")).await.expect("claimed"));
    assert_eq!(store.claim(alice, &world.request("fresh", "body")).await.expect("asked"), ClaimOutcome::Busy);
}
