//! Whose a name is, and for how long.

use std::time::Duration;

use futures::future::join_all;

use super::{DAY, SetupFixture, World, got};
use crate::{Begun, SetupStatus};

const MOMENT: Duration = Duration::from_micros(1);

/// At the moment itself it still holds; so it does for a setup that was torn down without ever having been active.
pub async fn a_reservation_is_void_once_it_failed_before_the_moment(fixture: &impl SetupFixture) {
    let (world, owner, other) = (World::new(), fixture.caller().await, fixture.caller().await);
    let first = world.failed(fixture, owner, "swiftfox01").await;
    let orphaned = fixture.caller().await;
    let second = world.orphaned(fixture, orphaned, "swiftfox02").await;
    let second = world.removed(fixture, orphaned, &second).await;
    world.advance(DAY);
    for name in ["swiftfox01", "swiftfox02"] {
        assert_eq!(world.begin(fixture, other, name).await, Begun::Taken, "{name}");
    }
    assert_eq!(fixture.store().find(other).await.expect("asked"), None);
    world.advance(MOMENT);
    world.failed(fixture, other, "swiftfox01").await;
    world.started(fixture, other, "swiftfox02").await;
    for setup in [first, second] {
        assert_eq!(got(fixture, setup.id).await, setup, "whoever lost the name keeps the record");
    }
}

/// Under way, being undone, or with something left outside: however long ago.
pub async fn what_did_not_fail_keeps_its_name(fixture: &impl SetupFixture) {
    let (world, other) = (World::new(), fixture.caller().await);
    world.started(fixture, fixture.caller().await, "swiftfox01").await;
    world.undoing(fixture, fixture.caller().await, "swiftfox02").await;
    world.orphaned(fixture, fixture.caller().await, "swiftfox03").await;
    world.active(fixture, fixture.caller().await, "swiftfox04").await;
    world.advance(DAY * 1_000);
    for name in ["swiftfox01", "swiftfox02", "swiftfox03", "swiftfox04"] {
        assert_eq!(world.begin(fixture, other, name).await, Begun::Taken, "{name}");
    }
}

/// After its teardown, and after another attempt that failed; and its owner can have it again.
pub async fn a_name_that_was_active_is_its_owners_for_ever(fixture: &impl SetupFixture) {
    let (world, owner, other) = (World::new(), fixture.caller().await, fixture.caller().await);
    let setup = world.active(fixture, owner, "swiftfox01").await;
    let removed = world.removed(fixture, owner, &setup).await;
    assert_eq!(removed.status, SetupStatus::Removed);
    world.advance(DAY * 1_000);
    assert_eq!(world.begin(fixture, other, "swiftfox01").await, Begun::Taken);
    world.failed(fixture, owner, "swiftfox01").await;
    world.advance(DAY * 1_000);
    assert_eq!(world.begin(fixture, other, "swiftfox01").await, Begun::Taken);
    world.started(fixture, owner, "swiftfox01").await;
}

/// Once somebody else has it; while nobody does, the first owner gets it again.
pub async fn whoever_lost_a_name_is_told_that_it_is_taken(fixture: &impl SetupFixture) {
    let (world, owner, other) = (World::new(), fixture.caller().await, fixture.caller().await);
    world.failed(fixture, owner, "swiftfox01").await;
    world.advance(DAY * 2);
    let again = world.failed(fixture, owner, "swiftfox01").await;
    assert_eq!(again.attempt, 2, "nobody had taken it");
    world.advance(DAY * 2);
    world.started(fixture, other, "swiftfox01").await;
    assert_eq!(world.begin(fixture, owner, "swiftfox01").await, Begun::Taken);
    assert_eq!(got(fixture, again.id).await, again);
    let elsewhere = world.started(fixture, owner, "swiftfox02").await;
    assert_ne!(elsewhere.id, again.id);
}

/// The one who lost it among them: there is one owner, whoever it is.
pub async fn of_simultaneous_takers_of_a_lapsed_name_one_starts(fixture: &impl SetupFixture) {
    let (world, store) = (World::new(), fixture.store());
    for round in 0..4 {
        let name = format!("swiftfox{round}");
        let owner = fixture.caller().await;
        world.failed(fixture, owner, &name).await;
        world.advance(DAY * 2);
        let mut takers = vec![(owner, world.wanted(&name))];
        for _ in 0..5 {
            takers.push((fixture.caller().await, world.wanted(&name)));
        }
        takers.rotate_left(round);
        let outcomes = join_all(takers.iter().map(|(caller, wanted)| store.begin(*caller, wanted))).await;
        let outcomes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.expect("asked")).collect();
        let started = outcomes.iter().filter(|outcome| matches!(outcome, Begun::Started(_))).count();
        let taken = outcomes.iter().filter(|outcome| matches!(outcome, Begun::Taken)).count();
        assert_eq!((started, taken), (1, 5), "{outcomes:?}");
    }
}
