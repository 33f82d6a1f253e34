//! Many open tickets at the same moment: a store may write them together, and nobody may notice.

use futures::future::join_all;
use guiche_kernel::{Actor, Caller, StoreError};

use super::{StoreFixture, World, mine};
use crate::{Claim, ClaimOutcome, Ticket, TicketEvent};

/// What one caller asks of [`TicketStore::open`](crate::TicketStore::open).
struct Asked {
    caller: Caller,
    ticket: Ticket,
    events: Vec<TicketEvent>,
    claim: Option<Claim>,
}

fn asked(world: &World, caller: Caller, claim: Option<Claim>) -> Asked {
    let (ticket, events) = world.ticket(caller);
    Asked { caller, ticket, events, claim }
}

async fn opened_at_once(fixture: &impl StoreFixture, all: &[Asked]) -> Vec<Result<(), StoreError>> {
    let store = fixture.store();
    let calls = all.iter().map(|asked| {
        let Asked { caller, ticket, events, claim } = asked;
        store.open(*caller, ticket, events, claim.as_ref())
    });
    join_all(calls).await
}

/// Each of many simultaneous tickets belongs to its owner, with its event and its completed claim.
pub async fn tickets_of_many_opened_at_once_are_each_their_owners(fixture: &impl StoreFixture) {
    let (world, store) = (World::new(), fixture.store());
    let (alice, bob) = (fixture.caller().await, fixture.caller().await);
    let mut all = Vec::new();
    for number in 0..70 {
        let caller = if number % 2 == 0 { alice } else { bob };
        let request = world.request(&format!("k{number}"), "body");
        let claim = if number % 3 == 0 {
            Some(mine(store.claim(caller, &request).await.expect("claimed")))
        } else {
            None
        };
        all.push(asked(&world, caller, claim));
    }
    for outcome in opened_at_once(fixture, &all).await {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    for Asked { caller, ticket, events, claim } in &all {
        let read = store.find((*caller).into(), ticket.id()).await.expect("found").expect("its owner's");
        assert_eq!(read.record(), ticket.record());
        assert_eq!(read.invoices(), ticket.invoices());
        let stranger = if *caller == alice { bob } else { alice };
        assert_eq!(store.find(stranger.into(), ticket.id()).await.expect("asked"), None);
        assert_eq!(fixture.events(ticket.id()).await, [events[0].id]);
        if let Some(claim) = claim {
            let again = world.request(claim.key.as_str(), "body");
            let done = store.claim(*caller, &again).await.expect("asked");
            let payment_hash = ticket.invoices()[0].payment_hash;
            assert_eq!(done, ClaimOutcome::Done { ticket_id: ticket.id(), payment_hash });
        }
    }
}

/// A ticket that is refused is refused alone, for its own reason, and leaves nothing behind.
pub async fn one_refused_ticket_harms_none_that_are_opened_with_it(fixture: &impl StoreFixture) {
    let (world, store) = (World::new(), fixture.store());
    let (alice, bob, gone) = (fixture.caller().await, fixture.caller().await, fixture.caller().await);
    let stored = world.opened(&*store, alice).await;
    fixture.revoke(gone).await;
    let mut same_id = asked(&world, bob, None);
    let mut record = same_id.ticket.record().clone();
    record.id = stored.id();
    same_id.ticket = Ticket::restore(record, same_id.ticket.invoices().to_vec()).expect("consistent");
    same_id.events.clear();
    let mut same_hash = asked(&world, bob, None);
    let record = same_hash.ticket.record().clone();
    same_hash.ticket = Ticket::restore(record, stored.invoices().to_vec()).expect("consistent");
    let lost = mine(store.claim(bob, &world.request("lost", "body")).await.expect("claimed"));
    let lost = Claim { subject: world.ids.uuid(), ..lost };
    let bad = [
        asked(&world, gone, None),
        same_id,
        same_hash,
        asked(&world, bob, Some(lost)),
        Asked { caller: bob, ..asked(&world, alice, None) },
    ];
    // Each of them among others of its own, and then all of them at once.
    let mut rounds: Vec<Vec<Asked>> = bad.into_iter().map(|bad| vec![bad]).collect();
    let held = mine(store.claim(alice, &world.request("held", "body")).await.expect("claimed"));
    rounds.push(vec![asked(&world, gone, None), asked(&world, alice, Some(held))]);
    for (round, bad) in rounds.into_iter().enumerate() {
        let mut all: Vec<Asked> = [alice, bob, alice, bob].map(|caller| asked(&world, caller, None)).into();
        all.splice(1..1, bad);
        let outcomes = opened_at_once(fixture, &all).await;
        for (place, (asked, outcome)) in all.iter().zip(&outcomes).enumerate() {
            let expected = match (round, place) {
                (0 | 5, 1) => matches!(outcome, Err(StoreError::Revoked)),
                (1 | 2, 1) => matches!(outcome, Err(StoreError::Duplicate)),
                (3, 1) => matches!(outcome, Err(StoreError::Conflict)),
                (4, 1) => matches!(outcome, Err(StoreError::Corrupt(_))),
                _ => outcome.is_ok(),
            };
            assert!(expected, "round {round}, place {place}: {outcome:?}");
            let id = asked.ticket.id();
            let there = store.find(Actor::Worker, id).await.expect("asked");
            let kept = if outcome.is_ok() { Some(&asked.ticket) } else { None };
            if id == stored.id() {
                assert_eq!(there.as_ref(), Some(&stored));
            } else {
                assert_eq!(there.as_ref(), kept, "round {round}, place {place}");
                assert_eq!(fixture.events(id).await.len(), usize::from(kept.is_some()));
            }
        }
    }
}

/// One ticket asked for twice at the same moment is opened once.
pub async fn one_ticket_opened_twice_at_once_is_a_duplicate_once(fixture: &impl StoreFixture) {
    let (world, store, alice) = (World::new(), fixture.store(), fixture.caller().await);
    let first = asked(&world, alice, None);
    let again =
        Asked { caller: alice, ticket: first.ticket.clone(), events: first.events.clone(), claim: None };
    let all = [asked(&world, alice, None), again, asked(&world, alice, None), first];
    let outcomes = opened_at_once(fixture, &all).await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
    let duplicates = [&outcomes[1], &outcomes[3]];
    let duplicates = duplicates.iter().filter(|outcome| matches!(outcome, Err(StoreError::Duplicate)));
    assert_eq!(duplicates.count(), 1, "{outcomes:?}");
    assert_eq!(
        store.find(alice.into(), all[3].ticket.id()).await.expect("asked"),
        Some(all[3].ticket.clone())
    );
}
