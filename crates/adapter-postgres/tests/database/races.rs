//! Two at once inside the functions of the database: one of them is in the middle of a transaction, seen from outside.

use std::time::Duration;

use guiche_kernel::Clock as _;
use guiche_tickets::{ClaimOutcome, ClaimRequest};

use crate::scene::{Scene, texts};
use crate::waiting::stopped;

#[tokio::test]
async fn of_two_takeovers_at_once_one_has_the_claim() {
    let scene = Scene::new().await;
    let alice = scene.citizen("alice@example.org").await;
    scene.clock.advance(Duration::from_secs(31));
    let renew_before = scene.clock.now() - Duration::from_hours(1);
    let (keeper, observer) = (scene.superuser().await, scene.superuser().await);
    // A lock on the row lets both learn that the claim exists, and then stops them in the middle: each would take it over.
    keeper.batch_execute("BEGIN; SELECT FROM idempotency_claims FOR SHARE").await.unwrap();
    let takeovers = [scene.request(), scene.request()].map(|request| {
        let (store, request) = (scene.stores.tickets(), ClaimRequest { renew_before, ..request });
        tokio::spawn(async move { store.claim(alice, &request).await })
    });
    stopped(&scene, &observer, 2).await;
    keeper.batch_execute("COMMIT").await.unwrap();
    let mut mine = 0;
    for takeover in takeovers {
        let outcome = takeover.await.unwrap().unwrap();
        let is_mine = matches!(outcome, ClaimOutcome::Mine(_));
        assert!(is_mine || outcome == ClaimOutcome::Busy, "{outcome:?}");
        mine += u32::from(is_mine);
    }
    assert_eq!(mine, 1);
}

#[tokio::test]
async fn looks_that_another_worker_is_taking_are_not_waited_for() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let first = scene.opened(alice).await;
    scene.clock.advance(Duration::from_secs(1));
    let second = scene.opened(alice).await;
    let due = |limit: u8| {
        format!("SELECT ticket_id::text FROM claim_looks('2030-01-01', '2030-01-01 00:01:00', {limit});")
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
