//! Changes that must never happen, each from one legal state to another and refused by name, whoever makes them: here a
//! superuser, whom no policy binds. And references that lead to what is not the row's own.

use tokio_postgres::Client;

use crate::scene::{PAY, Scene, refusal, texts};

const LATE: &str = "UPDATE invoices SET status = 'paid_late', paid_at = expires_at + interval '1 s';
    UPDATE tickets SET version = version + 1, status = 'refund_due'";
const DONE: &str = "UPDATE idempotency_claims c SET ticket_id = i.ticket_id, payment_hash = i.payment_hash
    FROM invoices i WHERE i.user_id = c.user_id";
const A_PAID_ONE: &str = "INSERT INTO invoices (payment_hash, ordinal, provider_invoice_id, status, paid_at, ticket_id,
        user_id, amount_sats, bolt11, issued_at, expires_at)
    SELECT sha256(payment_hash), 2, 'p' || ticket_id, 'paid', expires_at, ticket_id, user_id, amount_sats, bolt11,
        issued_at, expires_at FROM invoices";
const A_SECOND_TICKET: &str = "INSERT INTO tickets SELECT gen_random_uuid(), user_id, operation_id, operation_name,
    amount_sats, form_data, status, version, created_at, updated_at, cancelled_at, processing_at, completed_at, expires_at
    FROM tickets";
const NOTHING_REFERS: &str = "DELETE FROM outbox; DELETE FROM idempotency_claims";

/// What is done before, the change, and what refuses it: a trigger or a foreign key.
const REFUSED: &[(&str, &str, &str)] = &[
    ("UPDATE users SET epoch = 2", "UPDATE users SET epoch = 1", "users_epoch_never_falls"),
    (
        "UPDATE sessions SET revoked_at = now()",
        "UPDATE sessions SET revoked_at = NULL",
        "sessions_stay_revoked",
    ),
    (
        "UPDATE refresh_tokens SET spent_at = now()",
        "UPDATE refresh_tokens SET spent_at = NULL",
        "refresh_tokens_stay_spent",
    ),
    ("", "UPDATE tickets SET updated_at = now()", "tickets_version_counts_on"),
    ("", "UPDATE tickets SET version = version + 2", "tickets_version_counts_on"),
    (PAY, "UPDATE tickets SET version = version - 1", "tickets_version_counts_on"),
    (PAY, "UPDATE invoices SET status = 'expired', paid_at = NULL", "invoices_payment_stays_known"),
    (LATE, "UPDATE invoices SET status = 'withdrawn', paid_at = NULL", "invoices_payment_stays_known"),
    (
        "UPDATE invoices SET status = 'paid_surplus', paid_at = expires_at, refunded_at = now()",
        "UPDATE invoices SET refunded_at = NULL",
        "invoices_payment_stays_known",
    ),
    (
        "UPDATE invoices SET status = 'expired'",
        "UPDATE invoices SET status = 'open'",
        "invoices_never_open_again",
    ),
    (
        LATE,
        "UPDATE invoices SET status = 'open', paid_at = NULL",
        // The first of the two by name.
        "invoices_never_open_again",
    ),
    (
        DONE,
        "UPDATE idempotency_claims SET ticket_id = NULL, payment_hash = NULL",
        "idempotency_claims_result_stays",
    ),
    (
        "",
        "UPDATE tickets SET version = version + 1, status = 'paid', paid_at = expires_at",
        "tickets_stay_whole",
    ),
    (
        PAY,
        "UPDATE tickets SET version = version + 1, paid_at = paid_at - interval '1 s'",
        "tickets_stay_whole",
    ),
    (
        PAY,
        "UPDATE tickets SET version = version + 1, status = 'expired', paid_at = NULL",
        "tickets_stay_whole",
    ),
    ("", "UPDATE invoices SET status = 'paid', paid_at = expires_at", "invoices_leave_whole"),
    (PAY, "UPDATE invoices SET status = 'paid_surplus'", "invoices_leave_whole"),
    (PAY, "UPDATE invoices SET paid_at = issued_at", "invoices_leave_whole"),
    ("", A_PAID_ONE, "invoices_added_to_whole"),
    ("", A_SECOND_TICKET, "tickets_opened_whole"),
    (NOTHING_REFERS, "DELETE FROM invoices", "invoices_removed_from_whole"),
    (
        "",
        "UPDATE invoice_looks l SET user_id = u.id FROM users u WHERE u.id <> l.user_id",
        "invoice_looks_invoice",
    ),
    ("", "UPDATE outbox SET operation_id = 2", "outbox_ticket"),
    ("", "UPDATE outbox SET payment_hash = sha256('nobody')", "outbox_invoice"),
    (
        "",
        "UPDATE outbox o SET payment_hash = i.payment_hash FROM invoices i WHERE i.ticket_id <> o.ticket_id",
        "outbox_invoice",
    ),
    (
        "",
        "UPDATE idempotency_claims SET ticket_id = subject, payment_hash = sha256('nobody')",
        "idempotency_claims_result",
    ),
    (
        "",
        "UPDATE idempotency_claims c SET ticket_id = i.ticket_id, payment_hash = i.payment_hash
        FROM invoices i WHERE i.user_id <> c.user_id",
        "idempotency_claims_result",
    ),
    (
        "",
        "UPDATE lightning_addresses SET address = 'other@guiche.test'",
        "lightning_addresses_stay_whose_they_are",
    ),
    (
        "UPDATE lightning_addresses SET activated_at = now()",
        "UPDATE lightning_addresses SET activated_at = NULL",
        "lightning_addresses_stay_whose_they_are",
    ),
    (
        "",
        "UPDATE lightning_addresses a SET user_id = u.id FROM users u WHERE u.id <> a.user_id",
        "lightning_addresses_stay_whose_they_are",
    ),
    ("", "UPDATE lightning_addresses SET run = run - 1", "lightning_addresses_runs_never_fall"),
    (
        "UPDATE lightning_addresses SET attempt = 2",
        "UPDATE lightning_addresses SET attempt = 1",
        "lightning_addresses_runs_never_fall",
    ),
    ("", "UPDATE lightning_setup_steps SET sealed = NULL", "lightning_setup_steps_sealed_stays"),
    (
        "UPDATE lightning_address_invoices SET paid_at = now()",
        "UPDATE lightning_address_invoices SET paid_at = NULL",
        "lightning_address_invoices_stay_paid",
    ),
    (
        "",
        "UPDATE lightning_setup_steps s SET user_id = u.id FROM users u WHERE u.id <> s.user_id",
        "lightning_setup_steps_setup",
    ),
    (
        "",
        "UPDATE lightning_address_invoices i SET user_id = u.id FROM users u WHERE u.id <> i.user_id",
        "lightning_address_invoices_setup",
    ),
    ("", "UPDATE lightning_setup_log SET success = true", "lightning_setup_log_only_grows"),
    ("", "UPDATE lightning_setup_log SET success = true WHERE false", "lightning_setup_log_only_grows"),
    ("", "DELETE FROM lightning_setup_log", "lightning_setup_log_only_grows"),
    ("", "TRUNCATE lightning_setup_log", "lightning_setup_log_only_grows"),
    ("", "DELETE FROM lightning_setup_log_head", "lightning_setup_log_head_stays"),
    ("", "TRUNCATE lightning_setup_log_head", "lightning_setup_log_head_stays"),
    (
        "",
        "INSERT INTO lightning_setup_log_head VALUES (false, 0, sha256('x'))",
        "lightning_setup_log_head_stays",
    ),
    ("", "UPDATE lightning_setup_log_head SET number = number - 1", "lightning_setup_log_head_counts_on"),
    ("", "UPDATE lightning_setup_log_head SET hash = sha256('x')", "lightning_setup_log_head_counts_on"),
];

/// The triggers that write, or tell, instead of refusing.
const NO_REFUSAL: [&str; 4] = [
    "invoices_are_followed",
    "invoices_are_watched",
    "tickets_changes_are_told",
    "users_end_of_sessions_is_told",
];

/// What waits for the end of the transaction is looked at now.
const END: &str = "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED";

async fn begun(client: &Client, before: &str) {
    client.batch_execute(&format!("BEGIN; {before}; {END}")).await.unwrap_or_else(|refusal| {
        panic!("{before}: {refusal:?}");
    });
}

#[tokio::test]
async fn every_illegal_change_is_refused() {
    let scene = Scene::new().await;
    scene.citizen("alice@example.org").await;
    scene.citizen("bob@example.org").await;
    let client = scene.superuser().await;
    for (before, change, rule) in REFUSED {
        begun(&client, before).await;
        let refused = refusal(&client, &format!("{change}; {END}")).await;
        assert!(refused.starts_with("23"), "{change}: {refused}");
        assert_eq!(refused.split(' ').nth(1), Some(*rule), "{before}; {change}: {refused}");
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    // The table above misses none.
    for name in texts(&client, "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal").await {
        if NO_REFUSAL.contains(&name.as_str()) {
            continue;
        }
        assert!(REFUSED.iter().any(|(_, _, rule)| *rule == name), "{name} has no case");
    }
}

#[tokio::test]
async fn a_preimage_once_known_is_not_forgotten() {
    let scene = Scene::new().await;
    let ticket = scene.opened(scene.person("alice@example.org").await).await;
    let hex: String = crate::scene::preimage(ticket.id().as_uuid())
        .expose()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let client = scene.superuser().await;
    client.batch_execute(&format!(r"{PAY}; UPDATE invoices SET preimage = '\x{hex}'")).await.unwrap();
    let refused = refusal(&client, "UPDATE invoices SET preimage = NULL").await;
    assert!(refused.contains("invoices_payment_stays_known"), "{refused}");
}

#[tokio::test]
async fn legal_changes_pass() {
    let scene = Scene::new().await;
    scene.citizen("alice@example.org").await;
    let client = scene.superuser().await;
    for (before, change) in [
        (
            PAY,
            "UPDATE invoices SET paid_at = issued_at; UPDATE tickets SET version = version + 1, paid_at = created_at",
        ),
        (
            LATE,
            "UPDATE invoices SET refunded_at = now(); UPDATE tickets SET version = version + 1, status = 'refunded'",
        ),
        (PAY, "UPDATE tickets SET version = version + 1, status = 'processing', processing_at = now()"),
        // A ticket and everything of it may be erased together.
        (NOTHING_REFERS, "DELETE FROM invoices; DELETE FROM tickets"),
        (DONE, "UPDATE idempotency_claims SET claimed_until = now()"),
        ("UPDATE users SET epoch = 1", "UPDATE users SET epoch = 1"),
    ] {
        begun(&client, before).await;
        client.batch_execute(&format!("{change}; {END}")).await.unwrap_or_else(|refusal| {
            panic!("{change}: {refusal:?}");
        });
        client.batch_execute("ROLLBACK").await.unwrap();
    }
}

#[tokio::test]
async fn a_commit_is_refused_too_and_another_identity_does_not_help() {
    let scene = Scene::new().await;
    let alice = scene.citizen("alice@example.org").await;
    let bob = scene.citizen("bob@example.org").await;
    let app = scene.app().await;
    let me = format!("BEGIN; SELECT set_config('app.user_id', '{}', true)", alice.user_id);
    let paid = "UPDATE tickets SET version = version + 1, status = 'paid', paid_at = expires_at";
    for afterwards in
        ["SELECT".to_owned(), format!("SELECT set_config('app.user_id', '{}', true)", bob.user_id)]
    {
        app.batch_execute(&format!("{me}; {paid}; {afterwards}")).await.unwrap();
        let refused = refusal(&app, "COMMIT").await;
        assert!(refused.contains("tickets_stay_whole"), "{refused}");
    }
    app.batch_execute(&format!("{me}; {PAY}; COMMIT")).await.unwrap();
}
