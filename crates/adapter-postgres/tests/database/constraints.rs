//! Rows that must never exist, each refused by name, whoever writes them: here a superuser, whom no policy binds.

use guiche_tickets::{InvoiceStatus, TicketEventKind, TicketStatus};

use crate::scene::{PAY, Scene, number, refusal};

/// A change of one valid row, and the constraint that refuses it.
const REFUSED: &[(&str, &str)] = &[
    ("users SET email = 'ab', email_key = 'ab'", "users_email_length"),
    ("users SET email_key = 'Alice@example.org'", "users_email_key_is_lower_case"),
    ("users SET password_hash = ''", "users_password_hash_length"),
    ("sessions SET ends_at = issued_at", "sessions_end_after_their_start"),
    (r"refresh_tokens SET token_hash = '\x00'", "refresh_tokens_hash_length"),
    ("operations SET name = 'Not A Name'", "operations_name_form"),
    ("operations SET price_sats = 0", "sats_can_exist"),
    ("operations SET price_sats = 2100000000000001", "sats_can_exist"),
    ("operations SET form_schema = '[]'", "operations_form_is_of_an_object"),
    ("operations SET form_schema = '{\"type\": \"array\"}'", "operations_form_is_of_an_object"),
    ("tickets SET status = 'PAID'", "ticket_status_is_a_word"),
    ("tickets SET amount_sats = 0", "sats_can_exist"),
    ("tickets SET amount_sats = 2100000000000001", "sats_can_exist"),
    ("tickets SET form_data = '[]'", "json_object_is_one"),
    ("tickets SET version = 0", "row_version_counts_from_one"),
    ("tickets SET status = 'paid'", "tickets_paid_means_when"),
    ("tickets SET paid_at = now()", "tickets_paid_means_when"),
    ("tickets SET status = 'processing', paid_at = now()", "tickets_processing_means_when"),
    ("tickets SET status = 'paid', paid_at = now(), processing_at = now()", "tickets_processing_means_when"),
    (
        "tickets SET status = 'completed', paid_at = now(), processing_at = now()",
        "tickets_completed_means_when",
    ),
    ("tickets SET status = 'cancelled'", "tickets_cancelled_means_when"),
    ("tickets SET cancelled_at = now()", "tickets_cancelled_waits_for_nothing"),
    ("invoices SET status = 'unknown'", "invoice_status_is_a_word"),
    ("invoices SET ordinal = 0", "place_counts_from_one"),
    (r"invoices SET payment_hash = '\x00'", "sha256_hash_length"),
    ("invoices SET provider_invoice_id = ''", "provider_id_length"),
    ("invoices SET provider_invoice_id = repeat('x', 513)", "provider_id_length"),
    ("invoices SET bolt11 = ''", "bolt11_text_length"),
    ("invoices SET amount_sats = 0", "sats_can_exist"),
    ("invoices SET amount_sats = amount_sats + 1", "invoices_ticket"),
    ("invoices SET expires_at = issued_at", "invoices_expire_after_their_issue"),
    ("invoices SET status = 'paid'", "invoices_money_means_when"),
    ("invoices SET paid_at = expires_at", "invoices_money_means_when"),
    (
        "invoices SET status = 'paid', paid_at = issued_at - interval '1 microsecond'",
        "invoices_paid_after_their_issue",
    ),
    (
        "invoices SET status = 'paid', paid_at = expires_at + interval '1 microsecond'",
        "invoices_paid_means_in_time",
    ),
    ("invoices SET status = 'paid_late', paid_at = expires_at", "invoices_late_means_late"),
    ("invoices SET refunded_at = now()", "invoices_refund_needs_money"),
    (
        "invoices SET status = 'paid', paid_at = expires_at, refunded_at = now()",
        "invoices_payment_that_counts_is_kept",
    ),
    (
        "invoices SET status = 'paid', paid_at = expires_at, preimage = payment_hash",
        "invoices_preimage_is_the_key",
    ),
    ("outbox SET kind = 'ticket.unknown'", "event_kind_is_a_word"),
    ("outbox SET status = 'unknown'", "ticket_status_is_a_word"),
    ("outbox SET version = 0", "row_version_counts_from_one"),
    (r"outbox SET payment_hash = '\x00'", "sha256_hash_length"),
    ("outbox SET amount_sats = amount_sats + 1", "outbox_ticket"),
    ("idempotency_claims SET key = ''", "idempotency_claims_key_length"),
    ("idempotency_claims SET key = repeat('x', 256)", "idempotency_claims_key_length"),
    ("idempotency_claims SET route = ''", "idempotency_claims_route_length"),
    (r"idempotency_claims SET fingerprint = '\x00'", "sha256_hash_length"),
    ("idempotency_claims SET ticket_id = subject", "idempotency_claims_whole_result"),
    (r"idempotency_claims SET ticket_id = subject, payment_hash = '\x00'", "sha256_hash_length"),
    ("webhook_endpoints SET url = ''", "webhook_endpoints_url_length"),
    ("webhook_endpoints SET description = repeat('x', 201)", "webhook_endpoints_description_length"),
    ("webhook_endpoints SET event_types = '{}'", "webhook_endpoints_some_event_types"),
    ("webhook_endpoints SET secret = 'whsec_AAAA'", "webhook_endpoints_secret_is_sealed"),
    (
        "webhook_endpoints SET previous_secret = 'whsec_AAAA', previous_until = now()",
        "webhook_endpoints_previous_secret_is_sealed",
    ),
    ("webhook_endpoints SET previous_until = now()", "webhook_endpoints_previous_has_an_end"),
    ("webhook_endpoints SET disabled_at = now()", "webhook_endpoints_disabled_has_a_reason"),
    (
        "webhook_endpoints SET disabled_at = now(), disabled_reason = 'whim'",
        "webhook_endpoints_reason_is_a_word",
    ),
    ("webhook_deliveries SET state = 'lost'", "delivery_state_is_a_word"),
    ("webhook_deliveries SET attempts = -1", "webhook_deliveries_attempts_count_up"),
    ("webhook_deliveries SET state = 'delivered'", "webhook_deliveries_finished_means_when"),
    (
        "webhook_deliveries SET state = 'failed', finished_at = now(), leased_until = now()",
        "webhook_deliveries_only_pending_is_leased",
    ),
    ("webhook_deliveries SET last_result = ''", "webhook_deliveries_result_length"),
    ("lightning_addresses SET address = 'Alice@guiche.test'", "lightning_address_form"),
    ("lightning_addresses SET address = 'al@guiche.test'", "lightning_address_form"),
    ("lightning_addresses SET address = 'alice'", "lightning_address_form"),
    ("lightning_addresses SET address = 'alice@x@guiche.test'", "lightning_address_form"),
    ("lightning_addresses SET status = 'done'", "setup_status_is_a_word"),
    ("lightning_addresses SET goal = 'rest'", "setup_goal_is_a_word"),
    ("lightning_addresses SET attempt = 0", "place_counts_from_one"),
    ("lightning_addresses SET active = true", "lightning_addresses_active_means_configured"),
    (
        "lightning_addresses SET status = 'fully_configured', active = true, due_at = NULL, leased_until = NULL",
        "lightning_addresses_configured_means_when",
    ),
    ("lightning_addresses SET due_at = NULL, leased_until = NULL", "lightning_addresses_running_is_due"),
    (
        "lightning_addresses SET status = 'failed', due_at = NULL, leased_until = now()",
        "lightning_addresses_only_running_is_leased",
    ),
    ("lightning_addresses SET goal = 'tear_down'", "lightning_addresses_goal_fits"),
    (
        "lightning_addresses SET status = 'removed', due_at = NULL, leased_until = NULL",
        "lightning_addresses_goal_fits",
    ),
    ("lightning_addresses SET reserved = false", "lightning_addresses_used_is_reserved"),
    (
        "lightning_addresses SET reserved = false, status = 'rolling_back', activated_at = now()",
        "lightning_addresses_used_is_reserved",
    ),
    (
        "lightning_addresses SET encrypted_voltage_config = 'abandon art'",
        "lightning_addresses_voltage_config_is_sealed",
    ),
    ("lightning_addresses SET encrypted_btcpay_config = '{}'", "lightning_addresses_btcpay_config_is_sealed"),
    ("lightning_setup_steps SET step = 'x'", "setup_step_is_a_word"),
    ("lightning_setup_steps SET state = 'x'", "setup_step_state_is_a_word"),
    ("lightning_setup_steps SET tries = -1", "lightning_setup_steps_tries_count_up"),
    ("lightning_setup_steps SET tries = 65536", "lightning_setup_steps_tries_count_up"),
    ("lightning_setup_steps SET sealed = 'abandon art'", "lightning_setup_steps_sealed_is_sealed"),
    ("lightning_address_invoices SET amount_msat = 0", "msats_can_exist"),
    ("lightning_address_invoices SET amount_msat = 2100000000000000001", "msats_can_exist"),
    (
        "lightning_address_invoices SET comment = repeat('x', 2001)",
        "lightning_address_invoices_comment_length",
    ),
    ("lightning_deliveries SET id = ''", "lightning_deliveries_id_length"),
    ("lightning_deliveries SET id = repeat('x', 256)", "lightning_deliveries_id_length"),
    ("pushes SET id = ''", "pushes_id_length"),
    ("pushes SET id = repeat('x', 256)", "pushes_id_length"),
];

/// A push of the provider; an endpoint, and a delivery of every event to it.
const TOLD: &str = "
    INSERT INTO lightning_deliveries SELECT id, 'a', now() FROM lightning_addresses;
    INSERT INTO pushes (id, provider_invoice_id, received_at, known) VALUES ('a', 'test:a', now(), false);
    INSERT INTO webhook_endpoints (id, url, description, secret, created_at)
    VALUES (gen_random_uuid(), 'https://example.org', '', 'v1.key.nonce.sealed', now());
    INSERT INTO webhook_deliveries (event_id, endpoint_id, state, attempts, created_at, next_at)
    SELECT o.id, e.id, 'pending', 0, now(), now() FROM outbox o, webhook_endpoints e";

#[tokio::test]
async fn every_check_refuses_its_illegal_row() {
    let scene = Scene::new().await;
    scene.citizen("alice@example.org").await;
    let client = scene.superuser().await;
    client.batch_execute(TOLD).await.unwrap();
    for (change, constraint) in REFUSED {
        // A ticket cannot be changed without its version.
        let legal = change.replace("tickets SET status", "tickets SET version = version + 1, status");
        let legal = legal.replace("tickets SET paid_at", "tickets SET version = version + 1, paid_at");
        let legal =
            legal.replace("tickets SET cancelled_at", "tickets SET version = version + 1, cancelled_at");
        let refused = refusal(&client, &format!("UPDATE {legal}")).await;
        assert!(refused.starts_with("23"), "{change}: {refused}");
        assert_eq!(refused.split(' ').nth(1), Some(*constraint), "{change}: {refused}");
    }
    // The table above misses none.
    let rows = client
        .query(
            "SELECT conname::text FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace",
            &[],
        )
        .await
        .unwrap();
    for row in rows {
        let name: String = row.get(0);
        // These have tests of their own, below and in `lightning`: no update gets as far as them.
        let implied = [
            "invoices_preimage_proves_payment",
            "users_epoch_counts_up",
            "lightning_addresses_runs_count_up",
            "lightning_setup_log_counts_from_one",
            "lightning_setup_log_success_has_no_error",
            "lightning_setup_log_only_destructions_are_nobodys",
            "lightning_setup_log_head_is_one",
            "setup_operation_is_a_word",
        ]
        .contains(&name.as_str());
        assert!(implied || REFUSED.iter().any(|(_, constraint)| *constraint == name), "{name} has no case");
    }
}

/// Of an account that is there, the epoch cannot fall at all.
#[tokio::test]
async fn an_account_does_not_begin_below_zero() {
    let scene = Scene::new().await;
    let below = "INSERT INTO users VALUES (gen_random_uuid(), 'x@y.org', 'x@y.org', 'h', -1, now(), now())";
    let refused = refusal(&scene.superuser().await, below).await;
    assert!(refused.contains("users_epoch_counts_up"), "{refused}");
}

#[tokio::test]
async fn a_preimage_without_a_payment_is_refused() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let ticket = scene.opened(alice).await;
    let preimage = crate::scene::preimage(ticket.id().as_uuid());
    let hex: String = preimage.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    let client = scene.superuser().await;
    let refused = refusal(&client, &format!(r"UPDATE invoices SET preimage = '\x{hex}'")).await;
    assert!(refused.contains("invoices_preimage_proves_payment"), "{refused}");
    let proven = format!(r"{PAY}; UPDATE invoices SET preimage = '\x{hex}'");
    client.batch_execute(&proven).await.unwrap();
}

#[tokio::test]
async fn what_must_be_unique_is() {
    let scene = Scene::new().await;
    let alice = scene.citizen("alice@example.org").await;
    let client = scene.superuser().await;
    let other = r"'\x000000000000000000000000000000000000000000000000000000000000ffff'";
    let copy = |columns: &str| {
        format!(
            "INSERT INTO invoices (payment_hash, ordinal, provider_invoice_id, status, paid_at, ticket_id, user_id,
                amount_sats, bolt11, issued_at, expires_at)
            SELECT {columns}, ticket_id, user_id, amount_sats, bolt11, issued_at, expires_at FROM invoices"
        )
    };
    let event = |kind: &str| {
        format!(
            "INSERT INTO outbox (id, kind, happened_at, ticket_id, user_id, amount_sats, operation_id, status, version)
            SELECT gen_random_uuid(), '{kind}', happened_at, ticket_id, user_id, amount_sats, operation_id, status, version
            FROM outbox LIMIT 1"
        )
    };
    client.batch_execute(&event("ticket.paid")).await.unwrap();
    client.batch_execute(&event("ticket.refund_due")).await.unwrap();
    client.batch_execute(&event("ticket.refund_due")).await.unwrap();
    for (sql, constraint) in [
        (copy("payment_hash, 2, 'p', 'expired', paid_at"), "invoices_pkey"),
        (copy(&format!("{other}, 2, provider_invoice_id, 'expired', paid_at")), "invoices_provider_invoice_id_unique"),
        (copy(&format!("{other}, 1, 'p', 'expired', paid_at")), "invoices_ordinal_unique"),
        (copy(&format!("{other}, 2, 'p', 'open', paid_at")), "invoices_one_open"),
        (event("ticket.opened"), "outbox_opened_once"),
        (event("ticket.paid"), "outbox_paid_once"),
        (
            format!(
                "INSERT INTO users SELECT gen_random_uuid(), upper(email), email_key, 'h', 0, now(), now() FROM users
                WHERE id = '{}'",
                alice.user_id
            ),
            "users_email_key_unique",
        ),
        (
            format!(
                "INSERT INTO refresh_tokens SELECT {other}, family_id, user_id, issued_at, expires_at FROM refresh_tokens"
            ),
            "refresh_tokens_one_fresh",
        ),
    ] {
        let refused = refusal(&client, &sql).await;
        assert!(refused.starts_with("23505") && refused.contains(constraint), "{sql}: {refused}");
    }
    client.batch_execute(PAY).await.unwrap();
    let refused = refusal(&client, &copy(&format!("{other}, 2, 'p', 'paid', paid_at"))).await;
    assert!(refused.contains("invoices_one_paid"), "{refused}");
}

#[tokio::test]
async fn the_words_of_the_database_are_those_of_the_program() {
    let scene = Scene::new().await;
    let client = scene.superuser().await;
    let words = |constraint: &str| {
        format!(
            "SELECT count(*) FROM regexp_matches(
                (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = '{constraint}'), '''[a-z_.]+''', 'g')"
        )
    };
    for (constraint, known) in [
        ("ticket_status_is_a_word", TicketStatus::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>()),
        ("invoice_status_is_a_word", InvoiceStatus::ALL.iter().map(|word| word.as_str()).collect()),
        ("event_kind_is_a_word", KINDS.iter().map(|kind| kind.as_str()).collect()),
    ] {
        assert_eq!(
            number(&client, &words(constraint)).await,
            i64::try_from(known.len()).unwrap(),
            "{constraint}"
        );
        for word in known {
            let accepts = format!(
                "SELECT (pg_get_constraintdef(oid) LIKE '%''{word}''%')::int::bigint FROM pg_constraint
                WHERE conname = '{constraint}'"
            );
            assert_eq!(number(&client, &accepts).await, 1, "{constraint} {word}");
        }
    }
}

const KINDS: [TicketEventKind; 9] = [
    TicketEventKind::Opened,
    TicketEventKind::InvoiceIssued,
    TicketEventKind::Paid,
    TicketEventKind::Expired,
    TicketEventKind::Cancelled,
    TicketEventKind::RefundDue,
    TicketEventKind::Refunded,
    TicketEventKind::Processing,
    TicketEventKind::Completed,
];

#[tokio::test]
async fn a_new_kind_of_event_is_noticed_here() {
    for kind in KINDS {
        // No `_` arm: a new kind does not compile until it stands in the list, and in the database's constraint.
        match kind {
            TicketEventKind::Opened
            | TicketEventKind::InvoiceIssued
            | TicketEventKind::Paid
            | TicketEventKind::Expired
            | TicketEventKind::Cancelled
            | TicketEventKind::RefundDue
            | TicketEventKind::Refunded
            | TicketEventKind::Processing
            | TicketEventKind::Completed => {}
        }
    }
}
