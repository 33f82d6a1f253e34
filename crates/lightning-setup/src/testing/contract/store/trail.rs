//! The audit trail as a whole.

use futures::future::join_all;

use super::{SetupFixture, World, got, limit};
use crate::audit::Walk;
use crate::drift::Kind;
use crate::{Amendment, AuditEntry, AuditRow, SetupId};

/// Every row, in pages of three.
async fn all(fixture: &impl SetupFixture) -> Vec<AuditEntry> {
    let (trail, mut rows, mut after) = (fixture.trail(), Vec::new(), None);
    loop {
        let page = trail.rows(after, limit(3)).await.expect("asked");
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { return rows };
        after = Some(last.row.number);
        rows.extend(page);
    }
}

async fn assert_whole(fixture: &impl SetupFixture, expected: i64) {
    let mut walk = Walk::new(None);
    for entry in all(fixture).await {
        walk.step(&entry).expect("the next one");
    }
    let head = fixture.trail().head().await.expect("asked");
    assert_eq!(walk.end(head), Ok(expected));
}

/// And no rows.
pub async fn an_empty_trail_has_no_head(fixture: &impl SetupFixture) {
    assert_eq!(fixture.trail().head().await.expect("asked"), None);
    assert_whole(fixture, 0).await;
}

/// Rows with a message and without, of several people.
pub async fn the_chain_is_whole_and_ends_at_its_head(fixture: &impl SetupFixture) {
    let world = World::new();
    world.failed(fixture, fixture.caller().await, "swiftfox01").await;
    world.orphaned(fixture, fixture.caller().await, "swiftfox02").await;
    let caller = fixture.caller().await;
    let active = world.active(fixture, caller, "swiftfox03").await;
    world.removed(fixture, caller, &active).await;
    assert_whole(fixture, 8).await;
}

/// Without gaps and without forks.
pub async fn simultaneous_changes_make_one_chain(fixture: &impl SetupFixture) {
    let world = World::new();
    let mut callers = Vec::new();
    for _ in 0..8 {
        callers.push(fixture.caller().await);
    }
    let lives = callers.into_iter().enumerate().map(|(number, caller)| {
        let (world, name) = (&world, format!("swiftfox{number}"));
        async move {
            for _ in 0..3 {
                world.failed(fixture, caller, &name).await;
            }
        }
    });
    join_all(lives).await;
    assert_whole(fixture, 48).await;
}

/// Of a person's setup it stands in their log; of a setup that nobody knows, only the operator sees it.
pub async fn a_destruction_is_told_whosever_it_is(fixture: &impl SetupFixture) {
    let (world, caller, store) = (World::new(), fixture.caller().await, fixture.store());
    let active = world.active(fixture, caller, "swiftfox01").await;
    let nowhere = SetupId::new(world.ids.uuid());
    for (setup, kind) in [(active.id, Kind::Node), (nowhere, Kind::Node), (nowhere, Kind::Store)] {
        store.amend(&Amendment::Destroying { setup, kind }, world.now()).await.expect("noted");
    }
    assert_eq!(got(fixture, active.id).await, active, "nothing of the setup changes");
    assert_whole(fixture, 5).await;
    let told: Vec<_> = all(fixture).await.into_iter().skip(2).map(|entry| entry.row).collect();
    let seen = |row: &AuditRow| (row.user_id, row.setup, row.operation.clone(), row.voltage_configured);
    let expected = [
        (Some(caller.user_id), active.id, "node_destruction_begun".to_owned(), true),
        (None, nowhere, "node_destruction_begun".to_owned(), false),
        (None, nowhere, "store_destruction_begun".to_owned(), false),
    ];
    assert_eq!(told.iter().map(seen).collect::<Vec<_>>(), expected);
    assert!(told.iter().all(|row| row.success && row.created_at == world.now()));
    let own = store.log(caller, None, limit(100)).await.expect("asked");
    assert_eq!((own.len(), own.first()), (3, told.first()));
}

/// From any place.
pub async fn rows_come_in_pages_in_their_order(fixture: &impl SetupFixture) {
    let (world, caller) = (World::new(), fixture.caller().await);
    for _ in 0..4 {
        world.failed(fixture, caller, "swiftfox01").await;
    }
    let all = all(fixture).await;
    assert_eq!(all.iter().map(|entry| entry.row.number).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    let trail = fixture.trail();
    assert_eq!(trail.rows(Some(6), limit(100)).await.expect("asked"), all[6..]);
    assert_eq!(trail.rows(Some(8), limit(100)).await.expect("asked"), []);
    let log = fixture.store().log(caller, None, limit(100)).await.expect("asked");
    assert!(
        log.iter().rev().eq(all.iter().map(|entry| &entry.row)),
        "they are the rows that the person sees"
    );
}
