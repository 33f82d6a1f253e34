//! What follows from an attempt; redeliveries, lists, pruning, the standing.

use std::time::Duration;

use super::{LEASE, MANY, WebhookFixture, World, events, limit};
use crate::{
    Attempted, Delivery, DeliveryQuery, DeliveryState, DisabledReason, Due, EndpointId, EventId, EventType,
    Next, SendError, Standing,
};

const PAID: EventType = EventType::TicketPaid;
const OPENED: EventType = EventType::TicketOpened;
const FINE: Attempted = Attempted::Answered(200);
const ILL: Attempted = Attempted::Answered(500);

async fn record(
    fixture: &impl WebhookFixture,
    world: &World,
    due: &Due,
    attempted: Attempted,
    next: Next,
) -> bool {
    let recorded = fixture.deliveries().record(&due.claim, attempted, next, world.now()).await;
    recorded.expect("asked")
}

async fn listed(
    fixture: &impl WebhookFixture,
    endpoint_id: Option<EndpointId>,
    state: Option<DeliveryState>,
) -> Vec<Delivery> {
    let query = DeliveryQuery { endpoint_id, state, limit: limit(MANY) };
    fixture.deliveries().list(&query).await.expect("listed")
}

/// Not a microsecond before.
pub async fn a_retry_is_due_at_its_moment(fixture: &impl WebhookFixture) {
    let world = World::new();
    world.added(fixture, &[]).await;
    world.told(fixture, PAID, 1).await;
    let due = world.claimed(fixture).await;
    let at = world.now() + Duration::from_secs(300);
    assert!(record(fixture, &world, &due[0], ILL, Next::RetryAt(at)).await);
    let claim = |now| {
        let deliveries = fixture.deliveries();
        async move { deliveries.claim(now, now + LEASE, MANY, limit(MANY)).await.expect("claimed") }
    };
    assert!(claim(at - Duration::from_micros(1)).await.is_empty());
    let again = claim(at).await;
    assert_eq!((events(&again), again[0].attempt), (events(&due), 2));
}

/// Neither what was delivered nor what was given up is ever tried again by itself.
pub async fn what_came_to_its_end_is_not_due(fixture: &impl WebhookFixture) {
    let world = World::new();
    world.added(fixture, &[]).await;
    let told = world.told(fixture, PAID, 2).await;
    let due = world.claimed(fixture).await;
    assert!(record(fixture, &world, &due[0], FINE, Next::Delivered).await);
    assert!(record(fixture, &world, &due[1], Attempted::NotSent(SendError::TimedOut), Next::GivenUp).await);
    world.advance(86_400);
    assert!(world.claimed(fixture).await.is_empty());
    let rows = listed(fixture, None, None).await;
    let seen: Vec<_> = rows.iter().map(|row| (row.event_id, row.state, row.last, row.next_at)).collect();
    assert_eq!(
        seen,
        [
            (told[1], DeliveryState::Failed, Some(Attempted::NotSent(SendError::TimedOut)), None),
            (told[0], DeliveryState::Delivered, Some(FINE), None),
        ]
    );
}

/// Whoever was too slow must not overwrite what the next one does.
pub async fn a_record_without_the_claim_counts_for_nothing(fixture: &impl WebhookFixture) {
    let world = World::new();
    world.added(fixture, &[]).await;
    world.told(fixture, PAID, 1).await;
    let slow = world.claimed(fixture).await;
    world.advance(LEASE.as_secs());
    let next = world.claimed(fixture).await;
    assert!(!record(fixture, &world, &slow[0], FINE, Next::Delivered).await);
    assert!(!record(fixture, &world, &slow[0], ILL, Next::GivenUp).await);
    assert_eq!(listed(fixture, None, None).await[0].state, DeliveryState::Pending);
    assert!(record(fixture, &world, &next[0], FINE, Next::Delivered).await);
    assert!(!record(fixture, &world, &next[0], FINE, Next::Delivered).await, "once");
}

/// The first of a row of failures; a success ends the row.
pub async fn failing_since_is_the_first_failure_after_a_success(fixture: &impl WebhookFixture) {
    let world = World::new();
    let id = world.added(fixture, &[]).await.id;
    world.told(fixture, PAID, 4).await;
    let due = world.claimed(fixture).await;
    let since = async || fixture.endpoints().find(id).await.expect("asked").expect("there").failing_since;
    assert_eq!(since().await, None);
    let first = world.now();
    assert!(record(fixture, &world, &due[0], ILL, Next::RetryAt(first + LEASE)).await);
    world.advance(1);
    assert!(record(fixture, &world, &due[1], ILL, Next::GivenUp).await);
    assert_eq!(since().await, Some(first));
    assert!(record(fixture, &world, &due[2], FINE, Next::Delivered).await);
    assert_eq!(since().await, None);
    world.advance(1);
    assert!(record(fixture, &world, &due[3], ILL, Next::GivenUp).await);
    assert_eq!(since().await, Some(world.now()));
}

/// As if it had just been ordered, whatever its end was.
pub async fn a_redelivery_has_the_whole_schedule_ahead(fixture: &impl WebhookFixture) {
    let world = World::new();
    world.added(fixture, &[]).await;
    let told = world.told(fixture, PAID, 2).await;
    let due = world.claimed(fixture).await;
    assert!(record(fixture, &world, &due[0], FINE, Next::Delivered).await);
    assert!(record(fixture, &world, &due[1], ILL, Next::GivenUp).await);
    world.advance(1);
    for event in &told {
        let ordered = fixture.deliveries().redeliver(*event, None, world.now()).await.expect("asked");
        assert_eq!(ordered, Some(1));
    }
    let again = world.claimed(fixture).await;
    assert_eq!(again.iter().map(|due| due.attempt).collect::<Vec<_>>(), [1, 1]);
    for row in listed(fixture, None, None).await {
        assert_eq!((row.state, row.finished_at, row.created_at), (DeliveryState::Pending, None, world.now()));
    }
    let unknown = EventId::new(uuid::Uuid::from_u128(9));
    assert_eq!(fixture.deliveries().redeliver(unknown, None, world.now()).await.expect("asked"), None);
}

/// Or two would be sent at once.
pub async fn a_redelivery_leaves_what_is_under_way_alone(fixture: &impl WebhookFixture) {
    let world = World::new();
    world.added(fixture, &[]).await;
    let told = world.told(fixture, PAID, 1).await;
    let due = world.claimed(fixture).await;
    let redeliver = || fixture.deliveries();
    assert_eq!(redeliver().redeliver(told[0], None, world.now()).await.expect("asked"), Some(0));
    assert!(world.claimed(fixture).await.is_empty());
    assert!(record(fixture, &world, &due[0], FINE, Next::Delivered).await, "it is still ours");
}

/// Who does not subscribe to it must be named; a disabled one is told nothing either way.
pub async fn a_redelivery_goes_to_whoever_wants_it_or_is_named(fixture: &impl WebhookFixture) {
    let world = World::new();
    let event = fixture.event(PAID, world.now()).await;
    fixture.deliveries().fan_out(world.now(), limit(MANY)).await.expect("fanned out");
    let (paid, opened) = (world.added(fixture, &[PAID]).await, world.added(fixture, &[OPENED]).await);
    let disabled = world.added(fixture, &[PAID]).await;
    let reason = DisabledReason::Operator;
    fixture.endpoints().disable(disabled.id, reason, None, world.now()).await.expect("disabled");
    for (to, expected) in
        [(None, vec![paid.id]), (Some(opened.id), vec![opened.id]), (Some(disabled.id), vec![])]
    {
        let ordered = fixture.deliveries().redeliver(event, to, world.now()).await.expect("asked");
        assert_eq!(ordered, u64::try_from(expected.len()).ok());
        let due = world.claimed(fixture).await;
        assert_eq!(due.iter().map(|due| due.claim.endpoint_id).collect::<Vec<_>>(), expected);
    }
}

/// And no more than asked for.
pub async fn deliveries_are_listed_newest_first_by_endpoint_and_state(fixture: &impl WebhookFixture) {
    let world = World::new();
    let (one, two) = (world.added(fixture, &[]).await.id, world.added(fixture, &[PAID]).await.id);
    let told = [world.told(fixture, PAID, 2).await, world.told(fixture, OPENED, 1).await].concat();
    let due = world.claimed(fixture).await;
    let first = due.iter().find(|due| due.claim.event_id == told[0] && due.claim.endpoint_id == one);
    assert!(record(fixture, &world, first.expect("claimed"), FINE, Next::Delivered).await);
    let ids = |rows: Vec<Delivery>| rows.iter().map(|row| row.event_id).collect::<Vec<_>>();
    assert_eq!(ids(listed(fixture, Some(one), None).await), [told[2], told[1], told[0]]);
    assert_eq!(ids(listed(fixture, Some(two), None).await), [told[1], told[0]]);
    assert_eq!(ids(listed(fixture, None, Some(DeliveryState::Delivered)).await), [told[0]]);
    assert_eq!(ids(listed(fixture, Some(two), Some(DeliveryState::Delivered)).await), []);
    assert_eq!(listed(fixture, None, None).await.len(), 5);
    let query = DeliveryQuery { limit: limit(1), ..DeliveryQuery::default() };
    let newest = fixture.deliveries().list(&query).await.expect("listed");
    assert_eq!((newest[0].event_id, newest[0].event_type, newest.len()), (told[2], OPENED, 1));
}

/// What waits stays, however old.
pub async fn only_what_came_to_its_end_is_pruned(fixture: &impl WebhookFixture) {
    let world = World::new();
    world.added(fixture, &[]).await;
    let told = world.told(fixture, PAID, 3).await;
    let due = world.claimed(fixture).await;
    assert!(record(fixture, &world, &due[0], FINE, Next::Delivered).await);
    assert!(record(fixture, &world, &due[1], ILL, Next::GivenUp).await);
    let prune = |before| {
        let deliveries = fixture.deliveries();
        async move { deliveries.prune(before).await.expect("pruned") }
    };
    assert_eq!(prune(world.now()).await, 0, "they ended at this very moment, not before");
    world.advance(1);
    assert_eq!(prune(world.now()).await, 2);
    assert_eq!(listed(fixture, None, None).await.len(), 1);
    let fan_out = fixture.deliveries().fan_out(world.now(), limit(MANY)).await.expect("fanned out");
    assert_eq!(fan_out.events, 0, "the events are not new again");
    let ordered = fixture.deliveries().redeliver(told[0], None, world.now()).await.expect("asked");
    assert_eq!(ordered, Some(1), "the event is still there");
}

/// Also an event that nobody has fanned out has been waiting.
pub async fn the_standing_tells_the_oldest_and_counts_endpoints(fixture: &impl WebhookFixture) {
    let world = World::new();
    let standing = async || fixture.deliveries().standing().await.expect("asked");
    assert_eq!(standing().await, Standing::default());
    let id = world.added(fixture, &[]).await.id;
    let disabled = world.added(fixture, &[]).await.id;
    let reason = DisabledReason::Operator;
    fixture.endpoints().disable(disabled, reason, None, world.now()).await.expect("disabled");
    let happened_at = world.now();
    fixture.event(PAID, happened_at).await;
    world.advance(5);
    assert_eq!(
        standing().await,
        Standing { oldest_waiting: Some(happened_at), active_endpoints: 1, disabled_endpoints: 1 }
    );
    let ordered_at = world.now();
    world.told(fixture, PAID, 1).await;
    assert_eq!(standing().await.oldest_waiting, Some(ordered_at));
    for due in world.claimed(fixture).await {
        assert_eq!(due.claim.endpoint_id, id);
        assert!(record(fixture, &world, &due, FINE, Next::Delivered).await);
    }
    assert_eq!(standing().await.oldest_waiting, None);
}
