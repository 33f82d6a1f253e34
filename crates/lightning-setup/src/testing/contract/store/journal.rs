//! The journal.

use std::time::Duration;

use super::{SetupFixture, World, got, sealed};
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
        store.record(&lease, record, world.until()).await.expect("recorded");
    }
    assert_eq!(got(fixture, setup.id).await.journal, expected);
    for (number, state) in (0_u16..).zip(StepState::ALL) {
        world.advance(Duration::from_secs(1));
        let record = &mut expected[7 + usize::from(number)];
        *record = world.record(2, record.step, state);
        record.resource = Some(format!("resource {number}"));
        record.sealed = Some(sealed(number.into()));
        record.tries = u16::MAX - number;
        store.record(&lease, record, world.until()).await.expect("recorded");
    }
    let found = got(fixture, setup.id).await;
    assert_eq!((&found.journal, found.updated_at), (&expected, world.now()));
    assert_eq!(store.find(caller).await.expect("asked").as_ref(), Some(&found));
    assert_eq!(found.record(Step::NodeCreated), Some(&expected[7]));
    assert_eq!(found.orphans().count(), 1);
}

/// A record without anything sealed does not erase a seed; one with something else takes its place.
pub async fn what_was_sealed_stays(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let setup = world.started(fixture, caller, "swiftfox01").await;
    let lease = world.held(fixture, setup.id).await;
    for (written, kept) in [(Some(1), 1), (None, 1), (Some(2), 2)] {
        let mut record = world.record(1, Step::SeedStored, StepState::Done);
        record.sealed = written.map(sealed);
        store.record(&lease, &record, world.until()).await.expect("recorded");
        let found = got(fixture, setup.id).await;
        assert_eq!(found.journal[0].sealed, Some(sealed(kept)), "{written:?}");
    }
}
