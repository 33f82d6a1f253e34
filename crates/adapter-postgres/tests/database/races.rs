//! Two at once inside the functions of the database: one of them is in the middle of a transaction, seen from outside.

use std::time::Duration;

use guiche_adapter_postgres::testing::TestDatabase;
use guiche_kernel::Clock as _;
use guiche_tickets::{ClaimOutcome, ClaimRequest};
use tokio_postgres::Client;

use crate::scene::{Scene, number, texts};

/// Until somebody waits for a lock in this database.
async fn somebody_waits(observer: &Client, database: &TestDatabase) {
    let waiting = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event_type = 'Lock'",
        database.name()
    );
    for _ in 0..600 {
        if number(observer, &waiting).await > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("nobody waits");
}

#[tokio::test]
async fn of_two_takeovers_at_once_one_has_the_claim() {
    let scene = Scene::new().await;
    let alice = scene.citizen("alice@example.org").await;
    scene.clock.advance(Duration::from_secs(31));
    let again = ClaimRequest { renew_before: scene.clock.now() - Duration::from_hours(1), ..scene.request() };
    let (app, observer) = (scene.app().await, scene.superuser().await);
    // The first one has taken the claim over and not yet committed.
    let hex: String = again.fingerprint.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let takeover = format!(
        r"SELECT outcome FROM claim_key('{}', 0, '{}', 'k', '\x{hex}', '{}', '{}', '{}', '{}')",
        alice.user_id, again.route, again.subject, again.now, again.claimed_until, again.renew_before
    );
    app.batch_execute("BEGIN").await.unwrap();
    assert_eq!(texts(&app, &takeover).await, ["mine"]);
    let store = scene.stores.tickets();
    let second = tokio::spawn(async move { store.claim(alice, &again).await });
    somebody_waits(&observer, &scene.database).await;
    app.batch_execute("COMMIT").await.unwrap();
    assert!(matches!(second.await.unwrap().unwrap(), ClaimOutcome::Busy));
}

#[tokio::test]
async fn due_invoices_that_another_worker_is_taking_are_not_waited_for() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let first = scene.opened(alice).await;
    scene.clock.advance(Duration::from_secs(1));
    let second = scene.opened(alice).await;
    let due = |limit: u8| {
        format!(
            "SELECT ticket_id::text FROM claim_due_invoices('2030-01-01', '2030-01-01 00:01:00', {limit});"
        )
    };
    let one = scene.database.raw(&scene.database.worker_url()).await;
    let other = scene.database.raw(&scene.database.worker_url()).await;
    one.batch_execute("BEGIN").await.unwrap();
    assert_eq!(texts(&one, &due(1)).await, [first.id().to_string()], "the longest due first");
    other.batch_execute("SET lock_timeout = 100").await.unwrap();
    assert_eq!(texts(&other, &due(10)).await, [second.id().to_string()]);
    one.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(texts(&other, &due(10)).await, [first.id().to_string()]);
}
