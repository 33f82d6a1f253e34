//! How it ends: a fault, completion, the end of an undoing, a teardown.

use std::slice::from_ref;
use std::time::Duration;

use guiche_kernel::StoreError;

use super::{SetupFixture, World, assert_conflict, fault, got, sealed, services};
use crate::{Goal, SetupFault, SetupStatus, Step, StepRecord, StepState};

/// The fault is kept, the lease goes on, and what was made can still be recorded.
pub async fn a_fault_turns_making_into_undoing(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let setup = world.started(fixture, caller, "swiftfox01").await;
    let lease = world.held(fixture, setup.id).await;
    world.advance(Duration::from_secs(1));
    store.roll_back(&lease, &fault(), world.now()).await.expect("rolled back");
    let found = got(fixture, setup.id).await;
    assert_eq!((found.status, found.goal), (SetupStatus::RollingBack, Goal::SetUp));
    assert_eq!((&found.fault, found.updated_at), (&Some(fault()), world.now()));
    let record = world.record(1, Step::NodeCreated, StepState::Undoing);
    store.record(&lease, from_ref(&record), world.until()).await.expect("the lease goes on");
    let again = store.claim_one(setup.id, world.now(), world.until()).await.expect("asked");
    assert!(again.is_none(), "still held");
    let other = SetupFault::internal("delete_node");
    store.roll_back(&lease, &other, world.now()).await.expect("told why something is left");
    let found = got(fixture, setup.id).await;
    assert_eq!((found.status, found.fault), (SetupStatus::RollingBack, Some(other)));
}

/// The last records, both ids and both sealed documents, the status, and whoever may see it.
pub async fn completing_writes_everything_together(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let setup = world.started(fixture, caller, "swiftfox01").await;
    let lease = world.held(fixture, setup.id).await;
    let record = world.record(1, Step::NodeCreated, StepState::Done);
    let mut last = world.record(1, Step::WebhookRegistered, StepState::Intended);
    last.sealed = Some(sealed(7));
    store.record(&lease, &[record.clone(), last.clone()], world.until()).await.expect("recorded");
    world.advance(Duration::from_secs(1));
    last =
        StepRecord { resource: Some("webhook-1".to_owned()), ..world.record(1, last.step, StepState::Done) };
    store.complete(&lease, from_ref(&last), &services(1), world.now()).await.expect("completed");
    last.sealed = Some(sealed(7));
    let found = got(fixture, setup.id).await;
    assert_eq!((found.status, &found.services), (SetupStatus::FullyConfigured, &Some(services(1))));
    assert_eq!((found.activated_at, found.updated_at), (Some(world.now()), world.now()));
    assert_eq!((found.begun_at, found.created_at), (setup.begun_at, setup.created_at));
    assert_eq!(found.journal, [record, last]);
    assert_eq!(store.find(caller).await.expect("asked"), Some(found));
}

/// The name has been its owner's since then.
pub async fn the_first_activation_stays(fixture: &impl SetupFixture) {
    let (world, caller) = (World::new(), fixture.caller().await);
    let first = world.active(fixture, caller, "swiftfox01").await;
    world.removed(fixture, caller, &first).await;
    world.advance(Duration::from_secs(1));
    let second = world.active(fixture, caller, "swiftfox01").await;
    assert_eq!((second.id, second.attempt), (first.id, 2));
    assert_eq!((second.activated_at, second.begun_at), (first.activated_at, world.now()));
}

/// What was to be set up has failed, what was to be torn down is removed; either may need attention, and no other end is one.
pub async fn an_undoing_ends_where_it_was_heading(fixture: &impl SetupFixture) {
    let (world, store) = (World::new(), fixture.store());
    for (place, goal) in [Goal::SetUp, Goal::TearDown].into_iter().enumerate() {
        let expected = match goal {
            Goal::SetUp => SetupStatus::Failed,
            Goal::TearDown => SetupStatus::Removed,
        };
        for status in SetupStatus::ALL {
            let caller = fixture.caller().await;
            let name = format!("{}-{place}", status.as_str().replace('_', "-"));
            let (lease, setup) = world.undoing(fixture, caller, &name).await;
            let lease = if goal == Goal::TearDown {
                let from = [SetupStatus::RollingBack];
                let begun = store.tear_down(caller, setup.id, &from, world.now()).await.expect("asked");
                assert!(begun.is_some(), "it stood there");
                world.held(fixture, setup.id).await
            } else {
                lease
            };
            let before = got(fixture, setup.id).await;
            let closed = store.close(&lease, status, world.now()).await;
            let found = got(fixture, setup.id).await;
            if status == expected || status == SetupStatus::NeedsAttention {
                closed.expect("closed");
                assert_eq!((found.status, found.goal, &found.fault), (status, goal, &Some(fault())));
            } else {
                assert!(matches!(closed, Err(StoreError::Corrupt(_))), "{name}: {closed:?}");
                assert_eq!(found, before, "{name}");
            }
        }
    }
}

/// A seed outlives its node.
pub async fn what_is_removed_forgets_its_services_and_keeps_its_journal(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let setup = world.started(fixture, caller, "swiftfox01").await;
    let lease = world.held(fixture, setup.id).await;
    let mut record = world.record(1, Step::SeedStored, StepState::Done);
    record.sealed = Some(sealed(7));
    store.record(&lease, from_ref(&record), world.until()).await.expect("recorded");
    store.complete(&lease, &[], &services(1), world.now()).await.expect("completed");
    let active = got(fixture, setup.id).await;
    let torn = store.tear_down(caller, setup.id, &[SetupStatus::FullyConfigured], world.now()).await;
    let torn = torn.expect("asked").expect("it stood there");
    assert_eq!(torn.services, active.services, "needed until it is gone");
    let lease = world.held(fixture, setup.id).await;
    store.close(&lease, SetupStatus::NeedsAttention, world.now()).await.expect("closed");
    assert_eq!(got(fixture, setup.id).await.services, active.services, "needed until it is gone");
    let needing = got(fixture, setup.id).await;
    let removed = world.removed(fixture, caller, &needing).await;
    assert_eq!((removed.status, &removed.services), (SetupStatus::Removed, &None));
    assert_eq!((removed.activated_at, &removed.journal), (active.activated_at, &vec![record]));
}

/// A lease is a right to work, not to skip what comes in between.
pub async fn what_is_being_made_is_not_closed_nor_what_is_undone_completed(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let setup = world.started(fixture, caller, "swiftfox01").await;
    let lease = world.held(fixture, setup.id).await;
    for status in [SetupStatus::Failed, SetupStatus::NeedsAttention, SetupStatus::Removed] {
        assert_conflict(&store.close(&lease, status, world.now()).await, status.as_str());
    }
    assert_eq!(got(fixture, setup.id).await, setup);
    store.roll_back(&lease, &fault(), world.now()).await.expect("rolled back");
    let undoing = got(fixture, setup.id).await;
    world.advance(Duration::from_secs(1));
    let last = world.record(1, Step::WebhookRegistered, StepState::Done);
    let refused = store.complete(&lease, from_ref(&last), &services(1), world.now()).await;
    assert_conflict(&refused, "completed while undone");
    assert_eq!(got(fixture, setup.id).await, undoing, "the last record neither");
}

/// And it is due at once.
pub async fn a_teardown_begins_from_the_given_states_only(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let setup = world.active(fixture, caller, "swiftfox01").await;
    world.advance(Duration::from_secs(1));
    let others: Vec<_> =
        SetupStatus::ALL.into_iter().filter(|status| *status != SetupStatus::FullyConfigured).collect();
    for from in [&others[..], &[]] {
        assert_eq!(store.tear_down(caller, setup.id, from, world.now()).await.expect("asked"), None);
    }
    assert_eq!(got(fixture, setup.id).await, setup, "nothing changed");
    let from = [SetupStatus::Failed, SetupStatus::FullyConfigured];
    let torn =
        store.tear_down(caller, setup.id, &from, world.now()).await.expect("asked").expect("it stood there");
    assert_eq!((torn.status, torn.goal), (SetupStatus::RollingBack, Goal::TearDown));
    assert_eq!((torn.updated_at, torn.begun_at, torn.attempt), (world.now(), setup.begun_at, 1));
    assert_eq!(got(fixture, setup.id).await, torn);
    assert_eq!(store.tear_down(caller, setup.id, &from, world.now()).await.expect("asked"), None, "once");
    let due = store.claim(world.now(), world.until(), super::most(5)).await.expect("claimed");
    assert_eq!(due.len(), 1);
}

/// Of every attempt, with all the tries before them; what was undone stays undone.
pub async fn a_teardown_undoes_orphans_once_more(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    world.orphaned(fixture, caller, "swiftfox01").await;
    let setup = world.started(fixture, caller, "swiftfox01").await;
    let lease = world.held(fixture, setup.id).await;
    store.roll_back(&lease, &fault(), world.now()).await.expect("rolled back");
    for (step, state) in [
        (Step::NodeCreated, StepState::Orphaned),
        (Step::SeedStored, StepState::Undone),
        (Step::StoreCreated, StepState::Orphaned),
    ] {
        let record = world.record(2, step, state);
        store.record(&lease, from_ref(&record), world.until()).await.expect("recorded");
    }
    store.close(&lease, SetupStatus::NeedsAttention, world.now()).await.expect("closed");
    let before = got(fixture, setup.id).await;
    world.advance(Duration::from_secs(1));
    let torn = store.tear_down(caller, setup.id, &[SetupStatus::NeedsAttention], world.now()).await;
    let torn = torn.expect("asked").expect("it stood there");
    for (before, after) in before.journal.iter().zip(&torn.journal) {
        let mut expected = before.clone();
        if before.state == StepState::Orphaned {
            (expected.state, expected.tries, expected.since) = (StepState::Undoing, 0, world.now());
        }
        assert_eq!(*after, expected);
    }
    assert_eq!((torn.journal.len(), torn.orphans().count()), (4, 0));
}

/// Whoever makes steps meanwhile must not go on.
pub async fn a_teardown_takes_the_setup_from_its_holder(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let setup = world.started(fixture, caller, "swiftfox01").await;
    let lease = world.held(fixture, setup.id).await;
    let torn = store.tear_down(caller, setup.id, &[SetupStatus::InProgress], world.now()).await;
    assert!(torn.expect("asked").is_some(), "it stood there");
    let record = world.record(1, Step::NodeCreated, StepState::Intended);
    assert_conflict(&store.record(&lease, from_ref(&record), world.until()).await, "recorded");
    assert_conflict(&store.complete(&lease, &[], &services(1), world.now()).await, "completed");
    let again = world.held(fixture, setup.id).await;
    assert!(again.run != lease.run);
}

/// An earlier one that failed stays as it is.
pub async fn only_the_present_setup_is_torn_down(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let earlier = world.orphaned(fixture, caller, "swiftfox01").await;
    world.advance(Duration::from_secs(1));
    let present = world.orphaned(fixture, caller, "swiftfox02").await;
    let from = [SetupStatus::NeedsAttention];
    assert_eq!(store.tear_down(caller, earlier.id, &from, world.now()).await.expect("asked"), None);
    assert_eq!(got(fixture, earlier.id).await, earlier);
    assert!(store.tear_down(caller, present.id, &from, world.now()).await.expect("asked").is_some());
}
