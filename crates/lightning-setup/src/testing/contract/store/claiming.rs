//! Who works on a setup: claims, leases, and what a lost one is worth.

use std::collections::HashSet;
use std::slice::from_ref;
use std::time::Duration;

use futures::future::join_all;
use guiche_kernel::StoreError;

use super::{LEASE, SetupFixture, World, assert_conflict, fault, got, most, rows, services};
use crate::{Lease, Setup, SetupId, SetupStatus, Step, StepState};

/// So many setups of as many people, a second apart, the oldest first.
async fn begun(world: &World, fixture: &impl SetupFixture, count: u16) -> Vec<SetupId> {
    let mut begun = Vec::new();
    for number in 0..count {
        let caller = fixture.caller().await;
        begun.push(world.started(fixture, caller, &format!("swiftfox{number:02}")).await.id);
        world.advance(Duration::from_secs(1));
    }
    begun
}

async fn claimed(world: &World, fixture: &impl SetupFixture, count: u16) -> Vec<(Lease, Setup)> {
    fixture.store().claim(world.now(), world.until(), most(count)).await.expect("claimed")
}

/// What is held is nobody else's; and the claim brings the setup as it is.
pub async fn a_setup_is_claimed_once(fixture: &impl SetupFixture) {
    let world = World::new();
    let id = begun(&world, fixture, 1).await[0];
    let first = claimed(&world, fixture, 5).await;
    assert_eq!(first.len(), 1);
    assert_eq!((first[0].0.setup, &first[0].1), (id, &got(fixture, id).await));
    assert!(claimed(&world, fixture, 5).await.is_empty());
    world.active(fixture, fixture.caller().await, "another01").await;
    world.failed(fixture, fixture.caller().await, "another02").await;
    world.orphaned(fixture, fixture.caller().await, "another03").await;
    assert!(claimed(&world, fixture, 5).await.is_empty(), "only what runs is claimed");
}

/// Nobody waits for anybody, nobody gets what another has, and nothing is left.
pub async fn simultaneous_claims_share_what_is_due(fixture: &impl SetupFixture) {
    let (world, store) = (World::new(), fixture.store());
    let mut all: HashSet<_> = begun(&world, fixture, 12).await.into_iter().collect();
    let mut taken = 0;
    // Who is skipped at this very moment is taken by the next round.
    for _ in 0..3 {
        let claims = join_all((0..4).map(|_| store.claim(world.now(), world.until(), most(3)))).await;
        for (lease, setup) in claims.into_iter().flat_map(|claim| claim.expect("claimed")) {
            assert_eq!(lease.setup, setup.id);
            assert!(all.remove(&setup.id), "claimed twice");
            taken += 1;
        }
    }
    assert_eq!((taken, all.len()), (12, 0));
}

/// And no more than asked for.
pub async fn the_longest_due_are_claimed_first(fixture: &impl SetupFixture) {
    let world = World::new();
    let begun = begun(&world, fixture, 4).await;
    let ids = |claims: Vec<(Lease, Setup)>| claims.into_iter().map(|(_, setup)| setup.id).collect::<Vec<_>>();
    assert_eq!(ids(claimed(&world, fixture, 3).await), begun[..3]);
    assert_eq!(ids(claimed(&world, fixture, 3).await), begun[3..]);
}

/// And not a moment before.
pub async fn what_rests_is_claimed_at_its_moment(fixture: &impl SetupFixture) {
    let world = World::new();
    begun(&world, fixture, 1).await;
    let (lease, setup) = claimed(&world, fixture, 1).await.remove(0);
    let due_at = world.now() + Duration::from_secs(30);
    fixture.store().rest(&lease, due_at).await.expect("rested");
    assert_eq!(got(fixture, setup.id).await, setup, "nobody sees it");
    world.advance(Duration::from_secs(30) - Duration::from_micros(1));
    assert!(claimed(&world, fixture, 1).await.is_empty());
    world.advance(Duration::from_micros(1));
    let again = claimed(&world, fixture, 1).await.remove(0);
    assert!(again.0.run != lease.run, "each claim has a number of its own");
}

/// At the end of its time, not before.
pub async fn a_lapsed_lease_is_claimed_again(fixture: &impl SetupFixture) {
    let world = World::new();
    begun(&world, fixture, 1).await;
    let (lease, _) = claimed(&world, fixture, 1).await.remove(0);
    world.advance(LEASE - Duration::from_micros(1));
    assert!(claimed(&world, fixture, 1).await.is_empty());
    world.advance(Duration::from_micros(1));
    let (again, _) = claimed(&world, fixture, 1).await.remove(0);
    assert_eq!(again.setup, lease.setup);
    assert!(again.run != lease.run, "each claim has a number of its own");
}

/// Neither what somebody holds, nor what does not run, nor what is not there.
pub async fn one_is_claimed_by_its_id_due_or_not(fixture: &impl SetupFixture) {
    let (world, store) = (World::new(), fixture.store());
    let begun = begun(&world, fixture, 2).await;
    let lease = world.held(fixture, begun[1]).await;
    store.rest(&lease, world.now() + LEASE * 100).await.expect("rested");
    let one = async |id| store.claim_one(id, world.now(), world.until()).await.expect("asked");
    let (again, setup) = one(begun[1]).await.expect("not due, and claimed all the same");
    assert_eq!((again.setup, &setup), (begun[1], &got(fixture, begun[1]).await));
    assert!(one(begun[1]).await.is_none(), "held");
    let failed = world.failed(fixture, fixture.caller().await, "another01").await;
    assert!(one(failed.id).await.is_none(), "not running");
    assert!(one(SetupId::new(world.ids.uuid())).await.is_none(), "not there");
    let all = join_all((0..4).map(|_| store.claim_one(begun[0], world.now(), world.until()))).await;
    let won = all.into_iter().filter(|claim| claim.as_ref().expect("asked").is_some()).count();
    assert_eq!(won, 1);
}

/// Every method that takes a lease.
async fn refused_everywhere(world: &World, fixture: &impl SetupFixture, lease: &Lease, why: &str) {
    let store = fixture.store();
    let (before, rows_before) = (got(fixture, lease.setup).await, rows(fixture).await);
    let record = world.record(1, Step::NodeCreated, StepState::Done);
    let outcomes: [Result<(), StoreError>; 8] = [
        store.record(lease, &[], world.until()).await,
        store.record(lease, from_ref(&record), world.until()).await,
        store.roll_back(lease, &fault(), world.now()).await,
        store.complete(lease, from_ref(&record), &services(9), world.now()).await,
        store.close(lease, SetupStatus::Failed, world.now()).await,
        store.close(lease, SetupStatus::NeedsAttention, world.now()).await,
        store.close(lease, SetupStatus::Removed, world.now()).await,
        store.rest(lease, world.now()).await,
    ];
    for (index, outcome) in outcomes.iter().enumerate() {
        assert_conflict(outcome, &format!("{why}, method {index}"));
    }
    assert_eq!(got(fixture, lease.setup).await, before, "{why}");
    assert_eq!(rows(fixture).await, rows_before, "{why}");
}

/// After somebody else took it over; and the new holder can go on.
pub async fn whoever_lost_the_lease_changes_nothing(fixture: &impl SetupFixture) {
    let world = World::new();
    begun(&world, fixture, 1).await;
    let (old, _) = claimed(&world, fixture, 1).await.remove(0);
    world.advance(LEASE);
    let (new, _) = claimed(&world, fixture, 1).await.remove(0);
    refused_everywhere(&world, fixture, &old, "lost").await;
    fixture.store().complete(&new, &[], &services(1), world.now()).await.expect("the holder goes on");
    let nowhere = Lease { setup: SetupId::new(world.ids.uuid()), run: 1 };
    assert_conflict(&fixture.store().rest(&nowhere, world.now()).await, "of no setup");
}

/// After it rested, was completed, or closed.
pub async fn whoever_gave_the_lease_back_changes_nothing(fixture: &impl SetupFixture) {
    let (world, store) = (World::new(), fixture.store());
    let begun = begun(&world, fixture, 3).await;
    let mut leases = Vec::new();
    for id in begun {
        leases.push(world.held(fixture, id).await);
    }
    store.rest(&leases[0], world.now()).await.expect("rested");
    store.complete(&leases[1], &[], &services(1), world.now()).await.expect("completed");
    store.roll_back(&leases[2], &fault(), world.now()).await.expect("rolled back");
    store.close(&leases[2], SetupStatus::Failed, world.now()).await.expect("closed");
    for (lease, why) in leases.iter().zip(["rested", "completed", "closed"]) {
        refused_everywhere(&world, fixture, lease, why).await;
    }
}

/// Whoever works does not lose it.
pub async fn recording_extends_the_lease(fixture: &impl SetupFixture) {
    let world = World::new();
    begun(&world, fixture, 1).await;
    let (lease, _) = claimed(&world, fixture, 1).await.remove(0);
    world.advance(LEASE / 2);
    let record = world.record(1, Step::NodeCreated, StepState::Intended);
    fixture.store().record(&lease, from_ref(&record), world.until()).await.expect("recorded");
    world.advance(LEASE / 2);
    assert!(claimed(&world, fixture, 1).await.is_empty(), "still held");
    world.advance(LEASE / 2);
    assert_eq!(claimed(&world, fixture, 1).await.len(), 1);
}
