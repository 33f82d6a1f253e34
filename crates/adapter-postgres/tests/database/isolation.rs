//! Row-level security, by raw SQL as the login that serves: the last line, when the program is wrong.

use guiche_kernel::{Caller, Clock as _};
use tokio_postgres::Client;

use crate::scene::{PERSONAL, READ_ONLY, Scene, number, refusal};

async fn become_raw(client: &Client, caller: Caller) {
    let set = format!("BEGIN; SELECT set_config('app.user_id', '{}', true)", caller.user_id);
    client.batch_execute(&set).await.unwrap();
}

/// After a refusal.
async fn become_again(client: &Client, caller: Caller) {
    client.batch_execute("ROLLBACK").await.unwrap();
    become_raw(client, caller).await;
}

/// A row of the given person, valid but for whose it is.
fn insert(table: &str, of: Caller) -> String {
    let user = of.user_id;
    let id = "0195f3a4-7c1e-7c3a-8d5e-ffffffffffff";
    let hash = r"'\x000000000000000000000000000000000000000000000000000000000000ffff'";
    let moment = "'2026-01-01 12:00+00'";
    let of_ticket = format!("(SELECT id FROM tickets LIMIT 1), '{user}', 50000");
    match table {
        "users" => format!("INSERT INTO users VALUES ('{user}', 'x@y.org', 'x@y.org', 'h', 0, {moment}, {moment})"),
        "sessions" => format!("INSERT INTO sessions VALUES ('{id}', '{user}', {moment}, 'infinity')"),
        "refresh_tokens" => {
            format!("INSERT INTO refresh_tokens VALUES ({hash}, '{id}', '{user}', {moment}, 'infinity', {moment})")
        }
        "tickets" => format!(
            "INSERT INTO tickets VALUES ('{id}', '{user}', 1, 'x', 1, '{{}}', 'pending', 1, {moment}, {moment},
            NULL, NULL, NULL, {moment})"
        ),
        "invoices" => format!(
            "INSERT INTO invoices VALUES ({hash}, {of_ticket}, 9, 'p', 'b', {moment}, 'infinity', 'expired')"
        ),
        "invoice_looks" => format!(
            "INSERT INTO invoice_looks
            VALUES ({hash}, (SELECT id FROM tickets LIMIT 1), '{user}', 'p', {moment}, 'infinity', {moment}, NULL, true)"
        ),
        "outbox" => format!(
            "INSERT INTO outbox (id, kind, happened_at, ticket_id, user_id, amount_sats, operation_id, status, version)
            VALUES ('{id}', 'ticket.expired', {moment}, {of_ticket}, 1, 'expired', 1)"
        ),
        "idempotency_claims" => format!(
            "INSERT INTO idempotency_claims VALUES ('{user}', 'r', 'other', {hash}, '{id}', {moment}, {moment}, {moment})"
        ),
        "lightning_addresses" => format!(
            "INSERT INTO lightning_addresses
                (id, user_id, address, status, goal, attempt, active, reserved, begun_at, created_at, updated_at)
            VALUES ('{id}', '{user}', 'xyz@guiche.test', 'failed', 'set_up', 1, false, false, {moment}, {moment}, {moment})"
        ),
        "lightning_setup_steps" => format!(
            "INSERT INTO lightning_setup_steps (lightning_address_id, user_id, attempt, step, state, tries, since)
            VALUES ((SELECT id FROM lightning_addresses LIMIT 1), '{user}', 9, 'node_created', 'intended', 0, {moment})"
        ),
        "lightning_address_invoices" => format!(
            "INSERT INTO lightning_address_invoices
            VALUES ({hash}, (SELECT id FROM lightning_addresses LIMIT 1), '{user}', 's', 'i', 'b', 1, NULL, {moment}, {moment})"
        ),
        "lightning_setup_log" => format!(
            "INSERT INTO lightning_setup_log
            VALUES (99, '{id}', '{user}', '{id}', 'setup_begun', false, false, true, NULL, {moment}, {hash})"
        ),
        other => panic!("no row for {other}"),
    }
}

/// A change of what the app may change.
fn update(table: &str, of: Caller, owner: &str) -> String {
    let change = match table {
        "users" => "password_hash = 'stolen'",
        "sessions" => "revoked_at = now()",
        "refresh_tokens" => "spent_at = now()",
        "tickets" => "version = 99",
        "invoices" => "status = 'expired'",
        "invoice_looks" => "due_at = now()",
        "idempotency_claims" => "claimed_until = now()",
        "lightning_addresses" => "status = 'failed'",
        "lightning_setup_steps" => "state = 'undone'",
        "lightning_address_invoices" => "paid_at = now()",
        "lightning_setup_log" => "success = false",
        other => panic!("no change for {other}"),
    };
    format!("UPDATE {table} SET {change} WHERE {owner} = '{}'", of.user_id)
}

/// What the server says to a row that is not the caller's.
fn says(table: &str) -> &'static str {
    if READ_ONLY.contains(&table) { "permission denied" } else { "row-level security" }
}

#[tokio::test]
async fn without_a_user_there_are_no_rows_and_none_can_be_made() {
    let scene = Scene::new().await;
    let alice = scene.citizen("alice@example.org").await;
    let app = scene.app().await;
    for round in ["never set", "set and ended"] {
        for (table, _) in PERSONAL {
            assert_eq!(number(&app, &format!("SELECT count(*) FROM {table}")).await, 0, "{table}, {round}");
            let refused = refusal(&app, &insert(table, alice)).await;
            assert!(refused.contains(says(table)), "{table}, {round}: {refused}");
        }
        assert_eq!(number(&app, "SELECT count(*) FROM ticket_readings").await, 0, "{round}");
        become_raw(&app, alice).await;
        assert_eq!(number(&app, "SELECT count(*) FROM ticket_readings").await, 1, "{round}");
        app.batch_execute("COMMIT").await.unwrap();
    }
}

#[tokio::test]
async fn a_citizen_cannot_see_or_touch_anothers_rows() {
    let scene = Scene::new().await;
    let alice = scene.citizen("alice@example.org").await;
    let bob = scene.citizen("bob@example.org").await;
    let (app, superuser) = (scene.app().await, scene.superuser().await);
    for (table, owner) in PERSONAL {
        let of_alice = format!("SELECT count(*) FROM {table} WHERE {owner} = '{}'", alice.user_id);
        assert_eq!(number(&superuser, &of_alice).await, 1, "{table}: the scene is set");
        become_raw(&app, bob).await;
        assert_eq!(number(&app, &of_alice).await, 0, "{table}");
        assert_eq!(number(&app, &format!("SELECT count(*) FROM {table}")).await, 1, "{table}: his own");
        if READ_ONLY.contains(&table) {
            for change in [update(table, alice, owner), format!("DELETE FROM {table}")] {
                let refused = refusal(&app, &change).await;
                assert!(refused.starts_with("42501"), "{change}: {refused}");
                become_again(&app, bob).await;
            }
        } else if table != "outbox" {
            assert_eq!(app.execute(&update(table, alice, owner), &[]).await.unwrap(), 0, "{table}");
        }
        let refused = refusal(&app, &insert(table, alice)).await;
        assert!(refused.contains(says(table)), "{table}: {refused}");
        app.batch_execute("ROLLBACK").await.unwrap();
    }
    become_raw(&app, bob).await;
    let forgotten = format!("DELETE FROM idempotency_claims WHERE user_id = '{}'", alice.user_id);
    assert_eq!(app.execute(&forgotten, &[]).await.unwrap(), 0);
    app.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn nobody_gives_their_rows_to_another() {
    let scene = Scene::new().await;
    let alice = scene.citizen("alice@example.org").await;
    let bob = scene.citizen("bob@example.org").await;
    let superuser = scene.superuser().await;
    let alices: String = superuser
        .query_one("SELECT id::text FROM tickets WHERE user_id::text = $1", &[&alice.user_id.to_string()])
        .await
        .unwrap()
        .get(0);
    let app = scene.app().await;
    become_raw(&app, bob).await;
    // His own invoice under her ticket: the composite foreign key refuses, because the ticket is not his.
    let stray = format!(
        r"INSERT INTO invoices VALUES ('\x000000000000000000000000000000000000000000000000000000000000ffff', '{alices}',
        '{}', 50000, 9, 'p', 'b', now(), 'infinity', 'expired')",
        bob.user_id
    );
    let refused = refusal(&app, &stray).await;
    assert!(refused.starts_with("23503 invoices_ticket"), "{refused}");
}

#[tokio::test]
async fn what_a_ticket_is_about_cannot_be_changed_and_nothing_can_be_deleted() {
    let scene = Scene::new().await;
    let alice = scene.citizen("alice@example.org").await;
    for url in [scene.database.app_url(), scene.database.worker_url()] {
        let client = scene.database.raw(&url).await;
        for sql in [
            "UPDATE tickets SET amount_sats = 1",
            "UPDATE tickets SET user_id = user_id",
            "UPDATE tickets SET form_data = '{}'",
            "UPDATE invoices SET payment_hash = payment_hash",
            "UPDATE invoices SET amount_sats = 1",
            "UPDATE invoices SET expires_at = 'infinity'",
            "UPDATE outbox SET kind = kind",
            "UPDATE operations SET price_sats = 1",
            "UPDATE tickets SET created_at = created_at",
            "UPDATE invoices SET bolt11 = bolt11",
            "UPDATE idempotency_claims SET key = key",
            "INSERT INTO operations VALUES (2, 'x', 'x', 1, '{}')",
            "DELETE FROM users",
            "DELETE FROM tickets",
            "DELETE FROM invoices",
            "DELETE FROM outbox",
            "DELETE FROM refresh_tokens",
            "TRUNCATE idempotency_claims",
            "CREATE TABLE mine (x int)",
            "CREATE TEMP TABLE mine (x int)",
            "CREATE SCHEMA mine",
            "ALTER TABLE tickets DISABLE ROW LEVEL SECURITY",
            "DROP POLICY tickets_own ON tickets",
            "SET ROLE guiche_owner",
            "SET ROLE guiche_auth",
            "SET SESSION AUTHORIZATION guiche_owner",
        ] {
            become_raw(&client, alice).await;
            let refused = refusal(&client, sql).await;
            assert!(refused.starts_with("42501"), "{url} {sql}: {refused}");
            client.batch_execute("ROLLBACK").await.unwrap();
        }
    }
    let (app, worker) = (scene.app().await, scene.database.raw(&scene.database.worker_url()).await);
    for (client, sql) in [
        (&app, "SET ROLE guiche_worker"),
        (&worker, "SET ROLE guiche_app"),
        (&app, "UPDATE users SET email_key = 'x'"),
        (&app, "DELETE FROM sessions"),
        (&app, "UPDATE invoice_looks SET due_at = now()"),
        (&app, "DELETE FROM invoice_looks"),
        (&worker, "UPDATE invoice_looks SET user_id = ticket_id"),
        (&worker, "SELECT * FROM users"),
        (&worker, "SELECT * FROM refresh_tokens"),
        (&worker, "SELECT user_id FROM sessions"),
        (&worker, "INSERT INTO users SELECT"),
        (&worker, "INSERT INTO tickets SELECT * FROM tickets"),
        (&worker, "INSERT INTO idempotency_claims SELECT * FROM idempotency_claims"),
        (&worker, "SELECT credentials_by_email('alice@example.org')"),
        (&app, "SELECT claim_looks(now(), now(), 1)"),
    ] {
        let refused = refusal(client, sql).await;
        assert!(refused.starts_with("42501"), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn even_the_owner_sees_nobody() {
    let scene = Scene::new().await;
    scene.citizen("alice@example.org").await;
    let owner = scene.database.raw(&scene.database.owner_url()).await;
    for (table, _) in PERSONAL {
        assert_eq!(number(&owner, &format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}

#[tokio::test]
async fn the_functions_before_sign_in_tell_what_they_are_asked_and_no_more() {
    let scene = Scene::new().await;
    let alice = scene.citizen("alice@example.org").await;
    scene.citizen("bob@example.org").await;
    let app = scene.app().await;
    let found =
        app.query("SELECT user_id::text FROM credentials_by_email('alice@example.org')", &[]).await.unwrap();
    assert_eq!(
        found.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>(),
        [alice.user_id.to_string()]
    );
    for nobody in ["'%'", "''", "NULL", "'ALICE@EXAMPLE.ORG'"] {
        let asked = format!("SELECT count(*) FROM credentials_by_email({nobody})");
        assert_eq!(number(&app, &asked).await, 0, "{nobody}");
    }
    assert_eq!(number(&app, r"SELECT count(*) FROM session_by_token_hash('\x00')").await, 0);
    assert_eq!(number(&app, "SELECT count(*) FROM users").await, 0, "they leave no identity behind");
}

#[tokio::test]
async fn ended_sessions_are_forgotten_with_their_tokens_and_no_others() {
    let scene = Scene::new().await;
    scene.citizen("alice@example.org").await;
    let superuser = scene.superuser().await;
    let end = scene.clock.now() + std::time::Duration::from_hours(48);
    assert_eq!(scene.stores.prune_sessions(end).await.unwrap(), 0, "it ends at this very moment, not before");
    assert_eq!(number(&superuser, "SELECT count(*) FROM refresh_tokens").await, 1);
    let later = end + std::time::Duration::from_micros(1);
    assert_eq!(scene.stores.prune_sessions(later).await.unwrap(), 1);
    for table in ["sessions", "refresh_tokens"] {
        assert_eq!(number(&superuser, &format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}
