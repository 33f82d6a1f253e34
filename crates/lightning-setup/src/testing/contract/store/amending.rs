//! What an operator does by hand.

use std::slice::from_ref;
use std::time::Duration;

use super::{SetupFixture, World, assert_conflict, got, rows, services};
use crate::{Amendment, Services, SetupId, SetupStatus, Step, StepState};

/// The one before the last changes no status; the last one ends what the setup was heading for.
pub async fn the_last_resolved_orphan_ends_the_setup(fixture: &impl SetupFixture) {
    let (world, store) = (World::new(), fixture.store());
    for (name, ended) in [("swiftfox01", SetupStatus::Failed), ("swiftfox02", SetupStatus::Removed)] {
        let caller = fixture.caller().await;
        let first = world.orphaned(fixture, caller, name).await;
        let second = world.orphaned(fixture, caller, name).await;
        if ended == SetupStatus::Removed {
            let torn = store.tear_down(caller, first.id, &[second.status], world.now()).await.expect("asked");
            assert!(torn.is_some(), "it stood there");
            let lease = world.held(fixture, first.id).await;
            for record in second.journal.clone() {
                store.record(&lease, from_ref(&record), world.until()).await.expect("given up again");
            }
            store.close(&lease, SetupStatus::NeedsAttention, world.now()).await.expect("closed");
        }
        let setup = got(fixture, first.id).await;
        assert_eq!((setup.orphans().count(), setup.status), (2, SetupStatus::NeedsAttention));
        for (record, status) in setup.journal.iter().zip([SetupStatus::NeedsAttention, ended]) {
            world.advance(Duration::from_secs(1));
            let resolved = Amendment::Resolved { setup: setup.id, record: record.clone() };
            store.amend(&resolved, world.now()).await.expect("resolved");
            let found = got(fixture, setup.id).await;
            assert_eq!((found.status, found.updated_at), (status, world.now()));
            let now = found.journal.iter().find(|now| now.attempt == record.attempt).expect("there");
            assert_eq!((now.state, now.tries, now.since), (StepState::Undone, 0, world.now()));
            assert_eq!(now.resource, record.resource, "what it was stays known");
            assert_conflict(&store.amend(&resolved, world.now()).await, "resolved twice");
        }
    }
}

/// Whatever it was before; what runs or serves goes on.
pub async fn what_is_adopted_needs_attention(fixture: &impl SetupFixture) {
    let (world, store) = (World::new(), fixture.store());
    let person = fixture.caller().await;
    let failed = world.failed(fixture, fixture.caller().await, "swiftfox01").await;
    let removed = world.active(fixture, person, "swiftfox02").await;
    let removed = world.removed(fixture, person, &removed).await;
    let active = world.active(fixture, fixture.caller().await, "swiftfox03").await;
    let running = world.started(fixture, fixture.caller().await, "swiftfox04").await;
    for (setup, status) in [
        (failed, SetupStatus::NeedsAttention),
        (removed, SetupStatus::NeedsAttention),
        (active, SetupStatus::FullyConfigured),
        (running, SetupStatus::InProgress),
    ] {
        let mut record = world.record(1, Step::StoreCreated, StepState::Orphaned);
        record.resource = Some("store-77".to_owned());
        let adopted = Amendment::Adopted { setup: setup.id, record: record.clone() };
        store.amend(&adopted, world.now()).await.expect("adopted");
        let found = got(fixture, setup.id).await;
        assert_eq!((found.status, &found.journal), (status, &vec![record.clone()]));
        assert_conflict(&store.amend(&adopted, world.now()).await, "adopted twice");
        store.amend(&Amendment::Resolved { setup: setup.id, record }, world.now()).await.expect("resolved");
        let found = got(fixture, setup.id).await;
        assert_eq!(found.status, setup.status, "back where it was");
        store.amend(&adopted, world.now()).await.expect("what was undone may be found after all");
    }
}

/// One id or both; what is not said stays.
pub async fn an_active_address_is_repaired(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let setup = world.active(fixture, caller, "swiftfox01").await;
    world.advance(Duration::from_secs(1));
    let repaired = |node_id: Option<&str>, store_id: Option<&str>| Amendment::Repaired {
        setup: setup.id,
        node_id: node_id.map(ToOwned::to_owned),
        store_id: store_id.map(ToOwned::to_owned),
    };
    store.amend(&repaired(Some("node-8"), None), world.now()).await.expect("repaired");
    store.amend(&repaired(None, Some("store-9")), world.now()).await.expect("repaired");
    let expected = Services { node_id: "node-8".to_owned(), store_id: "store-9".to_owned(), ..services(1) };
    let found = got(fixture, setup.id).await;
    assert_eq!((found.services, found.updated_at), (Some(expected), world.now()));
    let served = fixture.book().served(&setup.address).await.expect("asked").expect("active");
    assert_eq!(served.store_id, "store-9");
}

/// And nothing changes, in the trail neither.
pub async fn what_does_not_fit_is_not_amended(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let setup = world.started(fixture, caller, "swiftfox01").await;
    let lease = world.held(fixture, setup.id).await;
    let known = world.record(1, Step::NodeCreated, StepState::Done);
    store.record(&lease, from_ref(&known), world.until()).await.expect("recorded");
    let (before, rows_before) = (got(fixture, setup.id).await, rows(fixture).await);
    let nowhere = SetupId::new(world.ids.uuid());
    let absent = world.record(1, Step::StoreCreated, StepState::Orphaned);
    let (node_id, store_id) = (Some("node-8".to_owned()), None);
    for (amendment, why) in [
        (Amendment::Resolved { setup: setup.id, record: known.clone() }, "no orphan"),
        (Amendment::Resolved { setup: setup.id, record: absent.clone() }, "no such step"),
        (Amendment::Resolved { setup: nowhere, record: known.clone() }, "no such setup"),
        (Amendment::Adopted { setup: setup.id, record: known }, "a step that is known"),
        (Amendment::Adopted { setup: nowhere, record: absent }, "no such setup"),
        (
            Amendment::Repaired { setup: setup.id, node_id: node_id.clone(), store_id: store_id.clone() },
            "not active",
        ),
        (Amendment::Repaired { setup: nowhere, node_id, store_id }, "no such setup"),
        (Amendment::SeedShown { setup: nowhere }, "no such setup"),
    ] {
        assert_conflict(&store.amend(&amendment, world.now()).await, why);
    }
    assert_eq!((got(fixture, setup.id).await, rows(fixture).await), (before, rows_before));
}
