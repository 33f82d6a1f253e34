//! The schedule of looks: what keeps it in step with the invoices, what a lease costs, and how it moved into its table.

use std::time::Duration;

use guiche_kernel::Clock as _;
use guiche_tickets::{Push, PushNoted};
use tokio_postgres::Client;

use crate::scene::{PAY, Scene, number, texts};
use crate::waiting::stopped;

const UP: &str = include_str!("../../../../migrations/2026-11-22-001300_look_schedule/up.sql");
const DOWN: &str = include_str!("../../../../migrations/2026-11-22-001300_look_schedule/down.sql");

/// Every row, as words.
async fn schedule(client: &Client) -> Vec<String> {
    texts(client, "SELECT l::text FROM invoice_looks l ORDER BY l.payment_hash").await
}

#[tokio::test]
async fn an_invoice_is_watched_until_it_is_paid_whoever_writes_it() {
    let scene = Scene::new().await;
    scene.opened(scene.person("alice@example.org").await).await;
    let client = scene.superuser().await;
    let looks = "SELECT (due_at - issued_at) || ' ' || open FROM invoice_looks";
    assert_eq!(texts(&client, looks).await, ["00:00:02 true"]);
    let more = |column: &str, status: &str, paid_at: &str| {
        format!(
            "INSERT INTO invoices (payment_hash, ordinal, provider_invoice_id, status, paid_at, ticket_id, user_id,
                amount_sats, bolt11, issued_at, expires_at)
            SELECT sha256('{column}'), {column}, 'p{column}', '{status}', {paid_at}, ticket_id, user_id, amount_sats,
                bolt11, issued_at, expires_at FROM invoices WHERE ordinal = 1"
        )
    };
    client.batch_execute(&more("2", "paid_surplus", "expires_at")).await.unwrap();
    assert_eq!(texts(&client, looks).await, ["00:00:02 true"], "what is stored as paid is not watched");
    client.batch_execute(&more("3", "withdrawn", "NULL")).await.unwrap();
    client.batch_execute("UPDATE invoices SET status = 'expired' WHERE ordinal = 1").await.unwrap();
    assert_eq!(texts(&client, looks).await, ["00:00:02 false"; 2]);
    client
        .batch_execute("UPDATE invoices SET status = 'paid_surplus', paid_at = expires_at WHERE ordinal = 1")
        .await
        .unwrap();
    assert_eq!(number(&client, "SELECT count(*) FROM invoice_looks").await, 1);
}

/// That is what makes it cost the same among a thousand rows and a million.
#[tokio::test]
async fn a_lease_changes_nothing_that_is_indexed() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    for _ in 0..5 {
        scene.opened(alice).await;
    }
    let worker = scene.database.raw(&scene.database.worker_url()).await;
    worker.batch_execute("BEGIN").await.unwrap();
    let claim = "SELECT count(*) FROM claim_looks('2030-01-01', '2030-01-01 00:01:00', 128)";
    assert_eq!(number(&worker, claim).await, 5);
    let written = "SELECT relname || ' ' || n_tup_upd || ' ' || n_tup_hot_upd FROM pg_stat_xact_user_tables
        WHERE n_tup_ins + n_tup_upd + n_tup_del > 0";
    assert_eq!(texts(&worker, written).await, ["invoice_looks 5 5"], "nor anything of another table");
    worker.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test]
async fn what_somebody_is_settling_is_neither_taken_nor_waited_for() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    scene.opened(alice).await;
    let settler = scene.superuser().await;
    settler.batch_execute(&format!("BEGIN; {PAY}")).await.unwrap();
    let open = scene.opened(alice).await;
    let worker = scene.database.raw(&scene.database.worker_url()).await;
    worker.batch_execute("SET lock_timeout = 100").await.unwrap();
    let claim = "SELECT ticket_id::text FROM claim_looks('2030-01-01', '2030-01-01 00:01:00', 128)";
    assert_eq!(texts(&worker, claim).await, [open.id().to_string()]);
    settler.batch_execute("COMMIT").await.unwrap();
    assert_eq!(number(&settler, "SELECT count(*) FROM invoice_looks").await, 1);
}

/// A push about the very payment that is being written down.
#[tokio::test]
async fn a_push_that_waits_for_a_payment_does_not_bring_the_watch_back() {
    let scene = Scene::new().await;
    let ticket = scene.opened(scene.person("alice@example.org").await).await;
    let (settler, observer) = (scene.superuser().await, scene.superuser().await);
    settler.batch_execute(&format!("BEGIN; {PAY}")).await.unwrap();
    let push = Push {
        id: "one".to_owned(),
        invoice_id: ticket.invoices()[0].id.clone(),
        received_at: scene.clock.now(),
    };
    let store = scene.stores.tickets();
    let noting = tokio::spawn(async move { store.note_push(&push).await });
    stopped(&scene, &observer, 1).await;
    settler.batch_execute("COMMIT").await.unwrap();
    assert_eq!(noting.await.unwrap().unwrap(), PushNoted::Known);
    assert!(schedule(&observer).await.is_empty());
}

#[tokio::test]
async fn the_schedule_moves_with_the_migration_both_ways() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let bob = scene.person("bob@example.org").await;
    for caller in [alice, bob, bob] {
        scene.opened(caller).await;
        scene.clock.advance(Duration::from_secs(1));
    }
    let (owner, superuser) = (scene.database.raw(&scene.database.owner_url()).await, scene.superuser().await);
    let oldest = format!("(SELECT id FROM tickets WHERE user_id = '{}')", alice.user_id);
    superuser
        .batch_execute(&format!(
            "UPDATE invoices SET status = 'expired' WHERE ticket_id = {oldest};
            UPDATE invoice_looks SET leased_until = due_at + interval '1 minute' WHERE ticket_id = {oldest};
            DELETE FROM invoice_looks WHERE due_at = (SELECT max(due_at) FROM invoice_looks)"
        ))
        .await
        .unwrap();
    owner.batch_execute(&format!("BEGIN; {DOWN} COMMIT")).await.unwrap();
    let old = "SELECT (look_at - issued_at)::text FROM invoices ORDER BY issued_at LIMIT 2";
    assert_eq!(texts(&superuser, old).await, ["00:01:02", "00:00:02"], "a lease is the next look");
    let ended = "SELECT count(*) FROM invoices WHERE look_at IS NULL";
    assert_eq!(number(&superuser, ended).await, 1, "a schedule that is over stays so");
    owner.batch_execute(&format!("BEGIN; {UP} COMMIT")).await.unwrap();
    let looks = "SELECT (due_at - issued_at) || ' ' || open || ' ' || coalesce(leased_until::text, '-')
        FROM invoice_looks ORDER BY issued_at";
    assert_eq!(texts(&superuser, looks).await, ["00:01:02 false -", "00:00:02 true -"]);
    let alike = "SELECT count(*) FROM invoice_looks l
        JOIN invoices i USING (payment_hash, ticket_id, user_id, provider_invoice_id, issued_at, expires_at)";
    assert_eq!(number(&superuser, alike).await, 2);
}
