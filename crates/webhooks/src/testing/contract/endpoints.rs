//! Endpoints: adding, listing, rotating, disabling.

use std::time::Duration;

use guiche_kernel::StoreError;

use super::{LEASE, MANY, WebhookFixture, World, limit, sealed};
use crate::{
    Attempted, DeliveryQuery, DeliveryState, DisabledReason, EndpointState, EventType, FannedOut, Next,
};

const PAID: EventType = EventType::TicketPaid;

/// Every field, whatever is subscribed to.
pub async fn an_endpoint_reads_back_as_it_was_written(fixture: &impl WebhookFixture) {
    let (world, store) = (World::new(), fixture.endpoints());
    for types in [&[][..], &[PAID], &[EventType::TicketExpired, EventType::TicketOpened]] {
        let endpoint = world.added(fixture, types).await;
        let found = store.find(endpoint.id).await.expect("asked");
        assert_eq!(found.as_ref(), Some(&endpoint));
    }
    let unknown = world.endpoint(&[]);
    assert_eq!(store.find(unknown.id).await.expect("asked"), None);
}

/// A second one under the id changes nothing of the first.
pub async fn an_id_is_added_once(fixture: &impl WebhookFixture) {
    let (world, store) = (World::new(), fixture.endpoints());
    let endpoint = world.added(fixture, &[]).await;
    let mut other = world.endpoint(&[PAID]);
    other.id = endpoint.id;
    let refused = store.insert(&other).await;
    assert!(matches!(refused, Err(StoreError::Duplicate)), "{refused:?}");
    assert_eq!(store.find(endpoint.id).await.expect("asked"), Some(endpoint));
}

/// In the order of their making, not of their ids.
pub async fn endpoints_are_listed_oldest_first(fixture: &impl WebhookFixture) {
    let world = World::new();
    let mut added = Vec::new();
    for _ in 0..5 {
        added.push(world.added(fixture, &[]).await);
        world.advance(1);
    }
    assert_eq!(fixture.endpoints().list().await.expect("listed"), added);
}

/// The secret that was replaced is kept with its moment; the one before that is forgotten.
pub async fn a_rotation_keeps_the_previous_secret(fixture: &impl WebhookFixture) {
    let (world, store) = (World::new(), fixture.endpoints());
    let endpoint = world.added(fixture, &[]).await;
    let mut until = world.now();
    for number in 2..4 {
        until = world.now() + Duration::from_secs(u64::from(number));
        store.rotate(endpoint.id, &sealed(number - 1), &sealed(number), until).await.expect("rotated");
    }
    let secrets = store.find(endpoint.id).await.expect("asked").expect("there").secrets;
    assert_eq!((&secrets.current, &secrets.previous), (&sealed(3), &Some((sealed(2), until))));
    let in_force = |now| secrets.in_force(now).cloned().collect::<Vec<_>>();
    assert_eq!(in_force(until - Duration::from_micros(1)), [sealed(3), sealed(2)]);
    assert_eq!(in_force(until), [sealed(3)]);
}

/// The loser was shown a secret that is not in force, so it has to be told.
pub async fn of_two_rotations_one_is_refused(fixture: &impl WebhookFixture) {
    let (world, store) = (World::new(), fixture.endpoints());
    let endpoint = world.added(fixture, &[]).await;
    let (first, second) = (sealed(1), [sealed(2), sealed(3)]);
    let outcomes = futures::future::join(
        store.rotate(endpoint.id, &first, &second[0], world.now()),
        store.rotate(endpoint.id, &first, &second[1], world.now()),
    )
    .await;
    let refused = [&outcomes.0, &outcomes.1].into_iter().filter(|outcome| outcome.is_err()).count();
    assert_eq!(refused, 1, "{outcomes:?}");
    let unknown = store.rotate(world.endpoint(&[]).id, &first, &second[0], world.now()).await;
    assert!(matches!(unknown, Err(StoreError::Conflict)), "{unknown:?}");
}

/// Waiting, retrying and under way: all are dropped, and the record of the last comes too late.
pub async fn disabling_drops_what_waits_and_what_is_under_way(fixture: &impl WebhookFixture) {
    let (world, deliveries) = (World::new(), fixture.deliveries());
    let (endpoint, other) = (world.added(fixture, &[]).await, world.added(fixture, &[]).await);
    world.told(fixture, PAID, 2).await;
    let due = deliveries.claim(world.now(), world.until(), 1, limit(MANY)).await.expect("claimed");
    assert_eq!(due.len(), 2, "one of each");
    let endpoints = fixture.endpoints();
    let disable = || endpoints.disable(endpoint.id, DisabledReason::Operator, None, world.now());
    assert!(disable().await.expect("disabled"));
    assert!(!disable().await.expect("again is nothing"));
    let found = fixture.endpoints().find(endpoint.id).await.expect("asked").expect("there");
    assert_eq!(found.state, EndpointState::Disabled { reason: DisabledReason::Operator, at: world.now() });
    let of = |id| DeliveryQuery { endpoint_id: Some(id), state: None, limit: limit(MANY) };
    for row in deliveries.list(&of(endpoint.id)).await.expect("listed") {
        assert_eq!((row.state, row.finished_at), (DeliveryState::Dropped, Some(world.now())));
    }
    for row in deliveries.list(&of(other.id)).await.expect("listed") {
        assert_eq!(row.state, DeliveryState::Pending);
    }
    let mine = due.iter().find(|due| due.claim.endpoint_id == endpoint.id).expect("claimed");
    let recorded =
        deliveries.record(&mine.claim, Attempted::Answered(200), Next::Delivered, world.now()).await;
    assert!(!recorded.expect("asked"));
}

/// What happens meanwhile is not kept for it; what happens afterwards is.
pub async fn a_disabled_endpoint_hears_of_nothing_until_it_is_enabled(fixture: &impl WebhookFixture) {
    let (world, endpoints) = (World::new(), fixture.endpoints());
    let endpoint = world.added(fixture, &[]).await;
    assert!(!endpoints.enable(endpoint.id).await.expect("it is active"));
    endpoints.disable(endpoint.id, DisabledReason::Gone, None, world.now()).await.expect("disabled");
    world.told(fixture, PAID, 1).await;
    assert!(world.claimed(fixture).await.is_empty());
    assert!(endpoints.enable(endpoint.id).await.expect("enabled"));
    assert_eq!(endpoints.find(endpoint.id).await.expect("asked"), Some(endpoint));
    assert!(world.claimed(fixture).await.is_empty());
    let after = world.told(fixture, PAID, 1).await;
    assert_eq!(super::events(&world.claimed(fixture).await), after);
}

/// Between the decision and the deed it may have recovered.
pub async fn disabling_for_failing_needs_that_it_still_fails(fixture: &impl WebhookFixture) {
    let (world, endpoints) = (World::new(), fixture.endpoints());
    let endpoint = world.added(fixture, &[]).await;
    world.told(fixture, PAID, 1).await;
    let failing = world.now();
    let due = world.claimed(fixture).await;
    let retry = Next::RetryAt(failing);
    let recorded = fixture.deliveries().record(&due[0].claim, Attempted::Answered(500), retry, failing).await;
    assert!(recorded.expect("recorded"));
    let disable = |since| endpoints.disable(endpoint.id, DisabledReason::Failing, Some(since), world.until());
    assert!(!disable(failing - LEASE).await.expect("asked"));
    assert!(disable(failing).await.expect("asked"));
    endpoints.enable(endpoint.id).await.expect("enabled");
    assert!(!disable(failing).await.expect("it does not fail any more"));
    let nothing = fixture.deliveries().fan_out(world.now(), limit(MANY)).await.expect("fanned out");
    assert_eq!(nothing, FannedOut::default());
}
