//! The journal.

use std::slice::from_ref;
use std::time::Duration;

use guiche_kernel::StoreError;

use super::{LEASE, SetupFixture, World, got, sealed};
use crate::{Step, StepState};

/// One record for a step of an attempt, whatever was written before; in the order of attempts and steps.
pub async fn a_record_stands_in_the_place_of_its_step(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    world.failed(fixture, caller, "swiftfox01").await;
    let setup = world.started(fixture, caller, "swiftfox01").await;
    let lease = world.held(fixture, setup.id).await;
    let mut expected = Vec::new();
    for attempt in 1..=2 {
        for step in Step::ALL {
            expected.push(world.record(attempt, step, StepState::Intended));
        }
    }
    for record in expected.iter().rev() {
        store.record(&lease, from_ref(record), world.until()).await.expect("recorded");
    }
    assert_eq!(got(fixture, setup.id).await.journal, expected);
    for (number, state) in (0_u16..).zip(StepState::ALL) {
        world.advance(Duration::from_secs(1));
        let record = &mut expected[7 + usize::from(number)];
        *record = world.record(2, record.step, state);
        record.resource = Some(format!("resource {number}"));
        record.sealed = Some(sealed(number.into()));
        record.tries = u16::MAX - number;
        store.record(&lease, from_ref(record), world.until()).await.expect("recorded");
    }
    let found = got(fixture, setup.id).await;
    assert_eq!((&found.journal, found.updated_at), (&expected, world.now()));
    assert_eq!(store.find(caller).await.expect("asked").as_ref(), Some(&found));
    assert_eq!(found.record(Step::NodeCreated), Some(&expected[7]));
    assert_eq!(found.orphans().count(), 1);
}

/// Over what is there and beside it, in one change, and the setup changed when the last of them did. None of them is the
/// lease, extended, and nothing else.
pub async fn records_are_written_together(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let setup = world.started(fixture, caller, "swiftfox01").await;
    let lease = world.held(fixture, setup.id).await;
    let intent = world.record(1, Step::NodeCreated, StepState::Intended);
    store.record(&lease, from_ref(&intent), world.until()).await.expect("recorded");
    world.advance(Duration::from_secs(1));
    let mut done = world.record(1, Step::NodeCreated, StepState::Done);
    done.resource = Some("node-1".to_owned());
    world.advance(Duration::from_secs(1));
    let mut next = world.record(1, Step::SeedStored, StepState::Intended);
    (next.sealed, next.tries) = (Some(sealed(1)), 3);
    // In whatever order they come.
    store.record(&lease, &[next.clone(), done.clone()], world.until()).await.expect("recorded");
    let found = got(fixture, setup.id).await;
    assert_eq!((&found.journal, found.updated_at), (&vec![done, next], world.now()));
    world.advance(LEASE / 2);
    store.record(&lease, &[], world.until()).await.expect("extended");
    assert_eq!(got(fixture, setup.id).await, found);
    let twice =
        [StepState::Intended, StepState::Done].map(|state| world.record(1, Step::StoreCreated, state));
    let refused = store.record(&lease, &twice, world.until()).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "one step, twice: {refused:?}");
    assert_eq!(got(fixture, setup.id).await, found);
    world.advance(LEASE / 2);
    let claimed = store.claim_one(setup.id, world.now(), world.until()).await.expect("asked");
    assert!(claimed.is_none(), "still held");
}

/// A record without anything sealed does not erase a seed; one with something else takes its place.
pub async fn what_was_sealed_stays(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let setup = world.started(fixture, caller, "swiftfox01").await;
    let lease = world.held(fixture, setup.id).await;
    for (written, kept) in [(Some(1), 1), (None, 1), (Some(2), 2)] {
        let mut record = world.record(1, Step::SeedStored, StepState::Done);
        record.sealed = written.map(sealed);
        store.record(&lease, from_ref(&record), world.until()).await.expect("recorded");
        let found = got(fixture, setup.id).await;
        assert_eq!(found.journal[0].sealed, Some(sealed(kept)), "{written:?}");
    }
}
