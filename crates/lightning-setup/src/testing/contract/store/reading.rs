//! Who may read what, and what the audit trail says of each change.

use std::slice::from_ref;
use std::time::Duration;

use guiche_kernel::StoreError;

use super::{SetupFixture, World, fault, got, limit, rows, services};
use crate::{Amendment, AuditRow, Begun, SetupStatus, Step, StepState};

/// For workers: whoever they belong to, page by page; statuses that none has are left out.
pub async fn setups_are_listed_by_id_and_counted_by_status(fixture: &impl SetupFixture) {
    let (world, store) = (World::new(), fixture.store());
    assert!(store.count().await.expect("counted").is_empty());
    let mut all = Vec::new();
    for number in 0..3 {
        let caller = fixture.caller().await;
        all.push(world.started(fixture, caller, &format!("swiftfox{number}")).await);
    }
    all.push(world.orphaned(fixture, fixture.caller().await, "swiftfox8").await);
    all.push(world.active(fixture, fixture.caller().await, "swiftfox9").await);
    all.sort_by_key(|setup| setup.id);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(after, limit(2)).await.expect("listed");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        found.extend(page);
    }
    assert_eq!(found, all);
    assert_eq!(
        store.count().await.expect("counted"),
        [(SetupStatus::InProgress, 3), (SetupStatus::FullyConfigured, 1), (SetupStatus::NeedsAttention, 1)]
    );
}

/// Neither by its id nor by its name.
pub async fn nobody_sees_or_touches_anothers_setup(fixture: &impl SetupFixture) {
    let (world, store) = (World::new(), fixture.store());
    let (alice, bob) = (fixture.caller().await, fixture.caller().await);
    let active = world.active(fixture, alice, "swiftfox01").await;
    assert_eq!(store.find(bob).await.expect("asked"), None);
    assert!(store.log(bob, None, limit(10)).await.expect("asked").is_empty());
    let torn = store.tear_down(bob, active.id, &SetupStatus::ALL, world.now()).await;
    assert_eq!(torn.expect("asked"), None);
    assert_eq!(world.begin(fixture, bob, "swiftfox01").await, Begun::Taken);
    assert_eq!(got(fixture, active.id).await, active);
    let failed = world.failed(fixture, bob, "swiftfox02").await;
    assert_eq!(world.begin(fixture, alice, "swiftfox02").await, Begun::Complete(Box::new(active.clone())));
    assert_eq!(store.find(alice).await.expect("asked"), Some(active));
    assert_eq!(store.find(bob).await.expect("asked"), Some(failed));
}

/// After a password change no method serves the old epoch.
pub async fn a_revoked_caller_is_refused_everywhere(fixture: &impl SetupFixture) {
    let (world, store, caller) = (World::new(), fixture.store(), fixture.caller().await);
    let setup = world.active(fixture, caller, "swiftfox01").await;
    fixture.revoke(caller).await;
    let (now, rows_before) = (world.now(), rows(fixture).await);
    for (index, refusal) in [
        store.begin(caller, &world.wanted("swiftfox01")).await.err(),
        store.find(caller).await.err(),
        store.tear_down(caller, setup.id, &[SetupStatus::FullyConfigured], now).await.err(),
        store.log(caller, None, limit(1)).await.err(),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(matches!(refusal, Some(StoreError::Revoked)), "method {index}: {refusal:?}");
    }
    assert_eq!((got(fixture, setup.id).await, rows(fixture).await), (setup, rows_before));
}

/// What a row says: the operation, whether a store and a node existed then, and the reason of a failure.
fn told(row: &AuditRow) -> (&str, bool, bool, Option<&str>) {
    assert_eq!(row.success, row.error_message.is_none());
    (&row.operation, row.btcpay_configured, row.voltage_configured, row.error_message.as_deref())
}

/// A whole life, with everything that can happen in one.
pub async fn every_change_leaves_its_row(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let setup = world.started(fixture, caller, "swiftfox01").await;
    let lease = world.held(fixture, setup.id).await;
    let mut node = world.record(1, Step::NodeCreated, StepState::Done);
    let shop = world.record(1, Step::StoreCreated, StepState::Undone);
    for record in [&node, &shop] {
        store.record(&lease, from_ref(record), world.until()).await.expect("recorded");
    }
    store.roll_back(&lease, &fault(), world.now()).await.expect("rolled back");
    node.state = StepState::Orphaned;
    store.record(&lease, from_ref(&node), world.until()).await.expect("recorded");
    world.advance(Duration::from_micros(1));
    store.close(&lease, SetupStatus::NeedsAttention, world.now()).await.expect("closed");
    let closed_at = world.now();
    world.advance(Duration::from_secs(1));
    let resolved = Amendment::Resolved { setup: setup.id, record: node.clone() };
    store.amend(&resolved, world.now()).await.expect("resolved");
    world.failed(fixture, caller, "swiftfox01").await;
    let active = world.active(fixture, caller, "swiftfox01").await;
    let repaired =
        Amendment::Repaired { setup: setup.id, node_id: None, store_id: Some("store-2".to_owned()) };
    store.amend(&repaired, world.now()).await.expect("repaired");
    let removed = world.removed(fixture, caller, &active).await;
    let adopted = Amendment::Adopted {
        setup: setup.id,
        record: world.record(3, Step::StoreCreated, StepState::Orphaned),
    };
    store.amend(&adopted, world.now()).await.expect("adopted");
    let needing = got(fixture, setup.id).await;
    world.advance(Duration::from_secs(1));
    store.amend(&Amendment::SeedShown { setup: setup.id }, world.now()).await.expect("noted");
    assert_eq!(got(fixture, setup.id).await, needing, "nothing of the setup changes");
    let from = [SetupStatus::NeedsAttention];
    store.tear_down(caller, needing.id, &from, world.now()).await.expect("asked").expect("it stood there");
    let log = store.log(caller, None, limit(100)).await.expect("asked");
    let failure = fault().to_string();
    let expected = [
        ("teardown_begun", true, false, None),
        ("seed_shown", true, false, None),
        ("adopted", true, false, None),
        ("teardown_completed", false, false, None),
        ("teardown_begun", true, true, None),
        ("repaired", true, true, None),
        ("setup_completed", true, true, None),
        ("setup_begun", false, false, None),
        ("setup_failed", false, false, Some(failure.as_str())),
        ("setup_begun", false, false, None),
        ("resolved", false, false, None),
        ("setup_needs_attention", false, true, Some(failure.as_str())),
        ("setup_begun", false, false, None),
    ];
    assert_eq!(log.iter().map(told).collect::<Vec<_>>(), expected);
    assert!(log.iter().all(|row| row.user_id == Some(caller.user_id) && row.setup == removed.id));
    assert_eq!(log[11].created_at, closed_at, "to the microsecond");
    assert_eq!(log.iter().map(|row| row.number).collect::<Vec<_>>(), (1..=13).rev().collect::<Vec<_>>());
}

/// Reading, claiming, resting; being told that something runs, is taken, or stands elsewhere.
pub async fn what_changes_nothing_leaves_no_row(fixture: &impl SetupFixture) {
    let (world, store) = (World::new(), fixture.store());
    let (alice, bob) = (fixture.caller().await, fixture.caller().await);
    let setup = world.started(fixture, alice, "swiftfox01").await;
    let before = rows(fixture).await;
    world.begin(fixture, alice, "swiftfox01").await;
    world.begin(fixture, bob, "swiftfox01").await;
    store.tear_down(alice, setup.id, &[SetupStatus::Failed], world.now()).await.expect("asked");
    let lease = world.held(fixture, setup.id).await;
    store
        .record(&lease, &[world.record(1, Step::NodeCreated, StepState::Done)], world.until())
        .await
        .expect("recorded");
    store.rest(&lease, world.now()).await.expect("rested");
    store.complete(&lease, &[], &services(1), world.now()).await.expect_err("the lease is gone");
    assert_eq!((before, rows(fixture).await), (1, 1));
}

/// Page by page, without anybody else's in between.
pub async fn a_person_reads_their_own_rows_newest_first(fixture: &impl SetupFixture) {
    let (world, store) = (World::new(), fixture.store());
    let (alice, bob) = (fixture.caller().await, fixture.caller().await);
    for attempt in 0..3 {
        world.failed(fixture, alice, "swiftfox01").await;
        world.failed(fixture, bob, &format!("braveowl{attempt}")).await;
    }
    for caller in [alice, bob] {
        let all = store.log(caller, None, limit(100)).await.expect("asked");
        assert_eq!(all.len(), 6);
        assert!(all.iter().all(|row| row.user_id == Some(caller.user_id)));
        assert!(all.is_sorted_by(|one, next| one.number > next.number));
        let (mut pages, mut before) = (Vec::new(), None);
        loop {
            let page = store.log(caller, before, limit(4)).await.expect("asked");
            let Some(last) = page.last() else { break };
            before = Some(last.number);
            pages.extend(page);
        }
        assert_eq!(pages, all);
    }
}
