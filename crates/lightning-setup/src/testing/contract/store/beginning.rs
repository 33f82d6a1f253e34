//! Beginning, and beginning again.

use std::slice::from_ref;
use std::time::Duration;

use futures::future::join_all;
use guiche_kernel::StoreError;

use super::{SetupFixture, World, address, fault, got, rows, services};
use crate::{Begun, Goal, SetupStatus, Step, StepState};

/// Every field; and the one who asks, the worker and the beginning say the same.
pub async fn a_new_setup_reads_back_as_it_was_begun(fixture: &impl SetupFixture) {
    let (world, caller) = (World::new(), fixture.caller().await);
    assert_eq!(fixture.store().find(caller).await.expect("asked"), None);
    let wanted = world.wanted("swiftfox01");
    let Begun::Started(setup) = fixture.store().begin(caller, &wanted).await.expect("asked") else {
        panic!("not started")
    };
    assert_eq!((setup.id, setup.user_id, &setup.address), (wanted.id, caller.user_id, &wanted.address));
    assert_eq!((setup.status, setup.goal, setup.attempt), (SetupStatus::InProgress, Goal::SetUp, 1));
    assert_eq!((&setup.fault, &setup.services, setup.activated_at), (&None, &None, None));
    assert_eq!((setup.begun_at, setup.created_at, setup.updated_at), (wanted.now, wanted.now, wanted.now));
    assert!(setup.journal.is_empty());
    assert_eq!(fixture.store().find(caller).await.expect("asked").as_ref(), Some(&*setup));
    assert_eq!(got(fixture, setup.id).await, *setup);
}

/// Of eight at once one starts, and the others are told of that one.
pub async fn of_simultaneous_beginnings_of_one_person_one_starts(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let wanted: Vec<_> = (0..8).map(|number| world.wanted(&format!("swiftfox{number}"))).collect();
    let outcomes = join_all(wanted.iter().map(|wanted| store.begin(caller, wanted))).await;
    let (mut started, mut running) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome.expect("asked") {
            Begun::Started(setup) => started.push(*setup),
            Begun::Running(setup) => running.push(*setup),
            other @ (Begun::Complete(_) | Begun::Taken) => panic!("{other:?}"),
        }
    }
    assert_eq!((started.len(), running.len()), (1, 7));
    assert!(running.iter().all(|setup| *setup == started[0]), "they are told of that one");
    assert_eq!(rows(fixture).await, 1);
}

/// Of eight people who want one name at once one gets it, and the others have no setup.
pub async fn of_simultaneous_beginnings_for_one_name_one_starts(fixture: &impl SetupFixture) {
    let (world, store) = (World::new(), fixture.store());
    let mut callers = Vec::new();
    for _ in 0..8 {
        callers.push((fixture.caller().await, world.wanted("swiftfox01")));
    }
    let outcomes = join_all(callers.iter().map(|(caller, wanted)| store.begin(*caller, wanted))).await;
    let mut started = 0;
    for ((caller, _), outcome) in callers.iter().zip(outcomes) {
        let found = store.find(*caller).await.expect("asked");
        match outcome.expect("asked") {
            Begun::Started(setup) => {
                started += 1;
                assert_eq!(found, Some(*setup));
            }
            Begun::Taken => assert_eq!(found, None, "losing a name makes no setup"),
            other @ (Begun::Running(_) | Begun::Complete(_)) => panic!("{other:?}"),
        }
    }
    assert_eq!((started, rows(fixture).await), (1, 1));
}

/// Neither while it is made nor while it is undone, under the same name or another.
pub async fn while_one_is_under_way_nothing_begins(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let setup = world.started(fixture, caller, "swiftfox01").await;
    let lease = world.held(fixture, setup.id).await;
    for undoing in [false, true] {
        if undoing {
            store.roll_back(&lease, &fault(), world.now()).await.expect("rolled back");
        }
        let before = got(fixture, setup.id).await;
        world.advance(Duration::from_secs(1));
        for name in ["swiftfox01", "swiftfox02"] {
            assert_eq!(world.begin(fixture, caller, name).await, Begun::Running(Box::new(before.clone())));
        }
        assert_eq!(got(fixture, setup.id).await, before, "nothing changed");
    }
    assert_eq!(store.list(None, super::limit(10)).await.expect("listed").len(), 1);
}

/// Whatever name is asked for.
pub async fn whoever_has_an_active_address_begins_nothing(fixture: &impl SetupFixture) {
    let (world, caller) = (World::new(), fixture.caller().await);
    let setup = world.active(fixture, caller, "swiftfox01").await;
    world.advance(Duration::from_secs(1));
    for name in ["swiftfox01", "swiftfox02"] {
        assert_eq!(world.begin(fixture, caller, name).await, Begun::Complete(Box::new(setup.clone())));
    }
    assert_eq!(got(fixture, setup.id).await, setup);
}

/// From each status that allows it. The journal and the moment of its making stay; fault and services do not.
pub async fn the_same_address_again_is_the_next_attempt_of_the_same_setup(fixture: &impl SetupFixture) {
    let world = World::new();
    let callers = [fixture.caller().await, fixture.caller().await, fixture.caller().await];
    let before = [
        world.failed(fixture, callers[0], "swiftfox01").await,
        world.orphaned(fixture, callers[1], "swiftfox02").await,
        {
            let active = world.active(fixture, callers[2], "swiftfox03").await;
            world.removed(fixture, callers[2], &active).await
        },
    ];
    for (caller, before) in callers.into_iter().zip(before) {
        world.advance(Duration::from_secs(1));
        let again = world.started(fixture, caller, before.address.name.as_str()).await;
        assert_eq!((again.id, again.attempt), (before.id, 2), "{}", before.status.as_str());
        assert_eq!((again.status, again.goal), (SetupStatus::InProgress, Goal::SetUp));
        assert_eq!((&again.fault, &again.services), (&None, &None));
        assert_eq!((again.created_at, again.activated_at), (before.created_at, before.activated_at));
        assert_eq!((again.begun_at, again.updated_at), (world.now(), world.now()));
        assert_eq!(again.journal, before.journal);
        assert_eq!(got(fixture, again.id).await, again);
        let lease = world.held(fixture, again.id).await;
        let record = world.record(2, Step::NodeCreated, StepState::Done);
        fixture.store().record(&lease, from_ref(&record), world.until()).await.expect("recorded");
        fixture.store().complete(&lease, &[], &services(2), world.now()).await.expect("it can succeed");
    }
}

/// The one that failed stays as it is, the present one is the newest, and the way back to the first is open.
pub async fn another_address_after_a_failure_is_another_setup(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let first = world.failed(fixture, caller, "swiftfox01").await;
    world.advance(Duration::from_secs(1));
    let second = world.failed(fixture, caller, "swiftfox02").await;
    assert_ne!(first.id, second.id);
    assert_eq!((second.attempt, &second.address), (1, &address("swiftfox02")));
    assert_eq!(got(fixture, first.id).await, first, "it stays as it is");
    assert_eq!(store.find(caller).await.expect("asked"), Some(second.clone()));
    world.advance(Duration::from_secs(1));
    let back = world.started(fixture, caller, "swiftfox01").await;
    assert_eq!((back.id, back.attempt), (first.id, 2));
    assert_eq!(store.find(caller).await.expect("asked"), Some(back));
    assert_eq!(got(fixture, second.id).await, second);
}

/// Under the id of another setup nothing begins.
pub async fn an_id_is_used_once(fixture: &impl SetupFixture) {
    let (world, caller, other) = (World::new(), fixture.caller().await, fixture.caller().await);
    let setup = world.started(fixture, caller, "swiftfox01").await;
    let mut wanted = world.wanted("swiftfox02");
    wanted.id = setup.id;
    let refused = fixture.store().begin(other, &wanted).await;
    assert!(matches!(refused, Err(StoreError::Duplicate)), "{refused:?}");
    assert_eq!(got(fixture, setup.id).await, setup);
    assert_eq!(fixture.store().find(other).await.expect("asked"), None);
}
