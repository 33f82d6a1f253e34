//! Sealed columns: none is forgotten, pages leave nothing out, and who was faster wins.

use std::num::NonZeroU16;
use std::sync::Arc;

use guiche_adapter_postgres::testing::TestDatabase;
use guiche_kernel::{Clock as _, KeyUse, Resealed, Sealed, SealedColumn};
use guiche_lightning_setup::{Services, journal_place, node_place, store_place};
use uuid::Uuid;

use crate::scene::Scene;

async fn columns(database: &TestDatabase) -> Vec<Arc<dyn SealedColumn>> {
    database.stores().await.sealed_columns()
}

/// So many endpoints with secrets under each key.
async fn fill(database: &TestDatabase, keys: &[(&str, u32)]) {
    let client = database.raw(&database.superuser_url()).await;
    for (key, rows) in keys {
        let insert = format!(
            "INSERT INTO webhook_endpoints (id, url, description, secret, created_at)
            SELECT md5('{key} ' || n)::uuid, 'https://example.org', '', 'v1.{key}.nonce.' || n, now()
            FROM generate_series(1, {rows}) n"
        );
        client.batch_execute(&insert).await.unwrap();
    }
}

fn most(rows: u16) -> NonZeroU16 {
    NonZeroU16::new(rows).unwrap()
}

fn used(key: &str, rows: u64) -> KeyUse {
    KeyUse { key: Some(key.to_owned()), rows }
}

/// A new sealed column says so in a constraint, and then it is rotated like the others.
#[tokio::test]
async fn every_column_that_says_it_is_sealed_is_rotated_by_the_worker() {
    let database = TestDatabase::new().await;
    let client = database.raw(&database.superuser_url()).await;
    let query = "
        SELECT format('%s.%s', c.conrelid::regclass, a.attname),
            has_column_privilege('guiche_worker', c.conrelid, a.attnum, 'SELECT')
            AND has_column_privilege('guiche_worker', c.conrelid, a.attnum, 'UPDATE')
        FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
        WHERE c.conname LIKE '%\\_is\\_sealed' ORDER BY 1";
    let said: Vec<(String, bool)> =
        client.query(query, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut registered: Vec<_> =
        columns(&database).await.iter().map(|column| (column.name().to_owned(), true)).collect();
    registered.sort();
    assert!(!said.is_empty());
    assert_eq!(said, registered);
}

#[tokio::test]
async fn keys_are_counted_and_pages_leave_nothing_out() {
    let database = TestDatabase::new().await;
    fill(&database, &[("new", 4), ("old", 5), ("older", 2)]).await;
    let columns = columns(&database).await;
    let column = &columns[0];
    let counted = column.keys_in_use().await.unwrap();
    assert_eq!(counted, [used("new", 4), used("old", 5), used("older", 2)]);
    assert_eq!(columns[1].keys_in_use().await.unwrap(), [], "what is absent is not counted");
    for (keys, expected) in [(vec!["new"], 7), (vec!["new", "old"], 2), (vec![], 11)] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = column.not_under(&keys, after, most(3)).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.row);
            found.extend(page);
        }
        assert_eq!(found.len(), expected, "{keys:?}");
        assert!(found.is_sorted_by(|one, next| one.row < next.row), "{keys:?}");
        assert!(found.iter().all(|row| row.sealed.key_id().is_some_and(|key| !keys.contains(&key))));
        assert!(found.iter().all(|row| row.row == row.owner));
    }
}

#[tokio::test]
async fn only_what_still_is_the_old_value_is_replaced() {
    let database = TestDatabase::new().await;
    fill(&database, &[("old", 3)]).await;
    let column = columns(&database).await.swap_remove(0);
    let rows = column.not_under(&["new"], None, most(10)).await.unwrap();
    let new = |place: usize| Sealed::from_text(format!("v1.new.nonce.{place}"));
    let mut changes: Vec<_> = rows
        .iter()
        .enumerate()
        .map(|(place, row)| Resealed { row: row.row, old: row.sealed.clone(), new: new(place) })
        .collect();
    changes[1].old = Sealed::from_text("v1.old.nonce.other");
    changes.push(Resealed { row: Uuid::from_u128(1), old: new(7), new: new(8) });
    assert_eq!(column.replace(&changes).await.unwrap(), 2);
    assert_eq!(column.not_under(&["new"], None, most(10)).await.unwrap(), [rows[1].clone()]);
    assert_eq!(column.replace(&changes).await.unwrap(), 0, "nothing is the old value any more");
    assert_eq!(column.replace(&[]).await.unwrap(), 0);
}

/// A person's, under the person's own place: whoever swaps two people's secrets cannot have them opened.
#[tokio::test]
async fn what_is_sealed_of_a_lightning_setup_is_its_persons() {
    let scene = Scene::new().await;
    let caller = scene.person("alice@example.org").await;
    let (lease, setup) = scene.setting_up(caller, "alice").await;
    let sealed = |of: &str| Some(Sealed::from_text(format!("v1.old.nonce.{of}")));
    let services = Services {
        node_id: "node-1".to_owned(),
        store_id: "store-1".to_owned(),
        node_config: sealed("node"),
        store_config: sealed("store"),
    };
    let setups = scene.stores.setups();
    setups.complete(&lease, &[], &services, scene.clock.now()).await.unwrap();
    let columns = scene.stores.sealed_columns();
    let owner = caller.user_id;
    for place in [journal_place(owner), node_place(owner), store_place(owner)] {
        let column = columns.iter().find(|column| column.name() == place.column).unwrap();
        let rows = column.not_under(&["new"], None, most(10)).await.unwrap();
        assert_eq!((rows.len(), rows[0].owner), (1, owner.as_uuid()), "{}", place.column);
        assert_eq!(column.place(rows[0].owner), place);
        let new = Sealed::from_text("v1.new.nonce.x");
        let change = Resealed { row: rows[0].row, old: rows[0].sealed.clone(), new: new.clone() };
        assert_eq!(column.replace(&[change]).await.unwrap(), 1, "{}", place.column);
        assert_eq!(column.keys_in_use().await.unwrap(), [used("new", 1)], "{}", place.column);
    }
    let found = setups.get(setup.id).await.unwrap().unwrap();
    let services = found.services.unwrap();
    let configs = [services.node_config, services.store_config, found.journal[0].sealed.clone()];
    assert!(configs.iter().all(|sealed| sealed.as_ref().unwrap().key_id() == Some("new")), "{configs:?}");
}

/// Many at once over the same rows, in opposite orders: each row is replaced once, and nobody is the victim of a ring.
#[tokio::test]
async fn replacements_at_once_count_each_row_once() {
    let database = TestDatabase::new().await;
    fill(&database, &[("old", 500)]).await;
    let column = columns(&database).await.swap_remove(0);
    let rows = column.not_under(&["new"], None, most(1000)).await.unwrap();
    let replacing = (0..8_u32).map(|turn| {
        let column = Arc::clone(&column);
        let mut changes: Vec<_> = rows
            .iter()
            .map(|row| Resealed {
                row: row.row,
                old: row.sealed.clone(),
                new: Sealed::from_text(format!("v1.new.nonce.{turn}")),
            })
            .collect();
        if turn % 2 == 0 {
            changes.reverse();
        }
        tokio::spawn(async move { column.replace(&changes).await.unwrap() })
    });
    let replacing: Vec<_> = replacing.collect();
    let mut replaced = 0;
    for one in replacing {
        replaced += one.await.unwrap();
    }
    assert_eq!(replaced, 500);
    assert_eq!(column.keys_in_use().await.unwrap(), [used("new", 500)]);
}
