//! The fan-out, and who gets to work on what.

use std::collections::HashSet;

use futures::future::join;

use super::{LEASE, MANY, WebhookFixture, World, events, limit};
use crate::{Due, EventType, FannedOut};

const PAID: EventType = EventType::TicketPaid;
const OPENED: EventType = EventType::TicketOpened;

/// Each event goes to those who subscribed to it, once.
pub async fn an_event_is_fanned_out_once_to_whoever_wants_it(fixture: &impl WebhookFixture) {
    let (world, deliveries) = (World::new(), fixture.deliveries());
    let (all, paid) = (world.added(fixture, &[]).await, world.added(fixture, &[PAID]).await);
    let fan_out = || deliveries.fan_out(world.now(), limit(MANY));
    assert_eq!(fan_out().await.expect("fanned out"), FannedOut::default());
    let (one, two) = (fixture.event(OPENED, world.now()).await, fixture.event(PAID, world.now()).await);
    assert_eq!(fan_out().await.expect("fanned out"), FannedOut { events: 2, deliveries: 3 });
    assert_eq!(fan_out().await.expect("fanned out"), FannedOut::default());
    let due: HashSet<_> =
        world.claimed(fixture).await.iter().map(|due| (due.claim.event_id, due.claim.endpoint_id)).collect();
    assert_eq!(due, HashSet::from([(one, all.id), (two, all.id), (two, paid.id)]));
}

/// Whoever is second finds nothing, or the next ones; nobody finds an event twice.
pub async fn of_simultaneous_fan_outs_each_event_is_taken_once(fixture: &impl WebhookFixture) {
    let (world, deliveries) = (World::new(), fixture.deliveries());
    world.added(fixture, &[]).await;
    for _ in 0..6 {
        fixture.event(PAID, world.now()).await;
    }
    let step = || deliveries.fan_out(world.now(), limit(4));
    let (one, two) = join(step(), step()).await;
    let rest = step().await.expect("fanned out");
    let all = [one.expect("fanned out"), two.expect("fanned out"), rest];
    assert_eq!(all.iter().map(|done| done.events).sum::<u64>(), 6, "{all:?}");
    assert_eq!(all.iter().map(|done| done.deliveries).sum::<u64>(), 6, "{all:?}");
}

/// What is left over is for the next step.
pub async fn a_fan_out_takes_no_more_than_its_limit(fixture: &impl WebhookFixture) {
    let (world, deliveries) = (World::new(), fixture.deliveries());
    for _ in 0..3 {
        fixture.event(PAID, world.now()).await;
    }
    for expected in [2, 1, 0] {
        let done = deliveries.fan_out(world.now(), limit(2)).await.expect("fanned out");
        assert_eq!(done, FannedOut { events: expected, deliveries: 0 });
    }
}

/// Of any number of workers one gets it.
pub async fn a_delivery_is_leased_once(fixture: &impl WebhookFixture) {
    let world = World::new();
    world.added(fixture, &[]).await;
    let told = world.told(fixture, PAID, 6).await;
    let deliveries = fixture.deliveries();
    let claim = || deliveries.claim(world.now(), world.until(), MANY, limit(4));
    let (one, two) = join(claim(), claim()).await;
    let mut seen = events(&one.expect("claimed"));
    seen.extend(events(&two.expect("claimed")));
    seen.extend(events(&claim().await.expect("claimed")));
    assert_eq!(seen.len(), 6, "none twice");
    assert_eq!(seen.into_iter().collect::<HashSet<_>>(), told.into_iter().collect());
    assert!(claim().await.expect("claimed").is_empty());
}

/// A worker that died leaves its work to the next, which knows that it is the second attempt.
pub async fn a_lapsed_lease_is_taken_again_under_the_same_id(fixture: &impl WebhookFixture) {
    let world = World::new();
    world.added(fixture, &[]).await;
    world.told(fixture, PAID, 1).await;
    let first = world.claimed(fixture).await;
    world.advance(LEASE.as_secs() - 1);
    assert!(world.claimed(fixture).await.is_empty());
    world.advance(1);
    let second = world.claimed(fixture).await;
    assert_eq!(events(&second), events(&first));
    assert_eq!((first[0].attempt, second[0].attempt), (1, 2));
}

/// However much waits for it; a lease that lapsed takes no place.
pub async fn what_is_under_way_to_one_endpoint_is_bounded(fixture: &impl WebhookFixture) {
    let world = World::new();
    world.added(fixture, &[]).await;
    world.told(fixture, PAID, 6).await;
    let deliveries = fixture.deliveries();
    let claim = || deliveries.claim(world.now(), world.until(), 2, limit(MANY));
    assert_eq!(claim().await.expect("claimed").len(), 2);
    assert!(claim().await.expect("claimed").is_empty());
    world.advance(LEASE.as_secs());
    assert_eq!(claim().await.expect("claimed").len(), 2);
}

/// The bound holds for all workers together.
pub async fn of_simultaneous_claims_none_exceeds_the_bound(fixture: &impl WebhookFixture) {
    let world = World::new();
    world.added(fixture, &[]).await;
    world.told(fixture, PAID, 8).await;
    let deliveries = fixture.deliveries();
    let claim = || deliveries.claim(world.now(), world.until(), 3, limit(MANY));
    let claims = futures::future::join_all((0..6).map(|_| claim())).await;
    let taken: usize = claims.into_iter().map(|claim| claim.expect("claimed").len()).sum();
    // One that found the endpoint busy with another's claim may have taken nothing.
    assert!((1..=3).contains(&taken), "{taken}");
    assert_eq!(taken + claim().await.expect("claimed").len(), 3);
}

/// An endpoint with a long queue does not push the others out.
pub async fn where_not_all_fit_each_endpoint_gets_its_share(fixture: &impl WebhookFixture) {
    let world = World::new();
    let (busy, quiet) = (world.added(fixture, &[OPENED]).await, world.added(fixture, &[PAID]).await);
    world.told(fixture, OPENED, 8).await;
    world.told(fixture, PAID, 1).await;
    let due = fixture.deliveries().claim(world.now(), world.until(), MANY, limit(4)).await.expect("claimed");
    let of = |id| due.iter().filter(|due| due.claim.endpoint_id == id).count();
    assert_eq!((of(busy.id), of(quiet.id)), (3, 1));
}

/// However long its queue: what it has no place for keeps nobody's place.
pub async fn an_endpoint_that_is_given_all_it_may_keeps_no_other_waiting(fixture: &impl WebhookFixture) {
    let world = World::new();
    let (busy, quiet) = (world.added(fixture, &[OPENED]).await, world.added(fixture, &[PAID]).await);
    world.told(fixture, OPENED, 3).await;
    world.told(fixture, PAID, 1).await;
    let mut given = Vec::new();
    for _ in 0..3 {
        let due = fixture.deliveries().claim(world.now(), world.until(), 1, limit(1)).await.expect("claimed");
        given.extend(due.iter().map(|due| due.claim.endpoint_id));
    }
    assert_eq!(given, [busy.id, quiet.id]);
}

/// Also where places become free one by one: it is not the longest queue that gets each of them.
pub async fn a_free_place_goes_to_whom_least_is_under_way(fixture: &impl WebhookFixture) {
    let world = World::new();
    let (busy, quiet) = (world.added(fixture, &[OPENED]).await, world.added(fixture, &[PAID]).await);
    world.told(fixture, OPENED, 4).await;
    world.told(fixture, PAID, 2).await;
    let mut given = Vec::new();
    for _ in 0..5 {
        let due =
            fixture.deliveries().claim(world.now(), world.until(), MANY, limit(1)).await.expect("claimed");
        given.extend(due.iter().map(|due| due.claim.endpoint_id));
    }
    assert_eq!(given, [busy.id, quiet.id, busy.id, quiet.id, busy.id]);
}

/// By the moment at which they became due.
pub async fn the_longest_due_are_taken_first(fixture: &impl WebhookFixture) {
    let world = World::new();
    world.added(fixture, &[]).await;
    let told = world.told(fixture, PAID, 5).await;
    let mut taken = Vec::new();
    for rows in [1, 1, 3] {
        let due = fixture.deliveries().claim(world.now(), world.until(), MANY, limit(rows)).await;
        taken.extend(events(&due.expect("claimed")));
    }
    assert_eq!(taken, told);
}

/// A claim brings all that a request needs.
pub async fn what_is_claimed_is_the_event_and_the_endpoint(fixture: &impl WebhookFixture) {
    let world = World::new();
    let endpoint = world.added(fixture, &[PAID]).await;
    let happened_at = world.now();
    let told = world.told(fixture, PAID, 1).await;
    let due = world.claimed(fixture).await;
    let [Due { claim, attempt: 1, content: Ok((to, event)) }] = &due[..] else { panic!("{due:?}") };
    assert_eq!(
        (claim.event_id, claim.endpoint_id, claim.leased_until),
        (told[0], endpoint.id, world.until())
    );
    assert_eq!(to, &endpoint);
    assert_eq!((event.id, event.event_type(), event.happened_at), (told[0], PAID, happened_at));
}
