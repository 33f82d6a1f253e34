//! Who may do what, word by word: a grant that nobody decided on fails here.

use guiche_adapter_postgres::testing::TestDatabase;

use crate::scene::texts;

async fn held(query: &str) -> Vec<String> {
    let database = TestDatabase::new().await;
    texts(&database.raw(&database.superuser_url()).await, query).await
}

/// On whole tables, views and sequences, by anybody but their owner.
const TABLES: &[&str] = &[
    "__diesel_schema_migrations guiche_app: SELECT",
    "__diesel_schema_migrations guiche_worker: SELECT",
    "idempotency_claims guiche_app: DELETE, INSERT, SELECT",
    "idempotency_claims guiche_worker: DELETE, SELECT",
    "invoice_looks guiche_app: SELECT",
    "invoice_looks guiche_auth: DELETE, INSERT, SELECT",
    "invoice_looks guiche_worker: DELETE, INSERT, SELECT",
    "invoices guiche_app: INSERT, SELECT",
    "invoices guiche_worker: INSERT, SELECT",
    "lightning_address_invoices guiche_app: SELECT",
    "lightning_address_invoices guiche_worker: DELETE, INSERT, SELECT",
    "lightning_addresses guiche_app: SELECT",
    "lightning_addresses guiche_auth: INSERT, SELECT",
    "lightning_addresses guiche_worker: SELECT",
    "lightning_deliveries guiche_worker: DELETE, INSERT, SELECT",
    "lightning_retired_addresses guiche_auth: SELECT",
    "lightning_setup_log guiche_app: SELECT",
    "lightning_setup_log guiche_auth: INSERT",
    "lightning_setup_log guiche_worker: SELECT",
    "lightning_setup_log_head guiche_auth: SELECT",
    "lightning_setup_log_head guiche_worker: SELECT",
    "lightning_setup_readings guiche_app: SELECT",
    "lightning_setup_readings guiche_auth: SELECT",
    "lightning_setup_readings guiche_worker: SELECT",
    "lightning_setup_steps guiche_app: SELECT",
    "lightning_setup_steps guiche_auth: SELECT",
    "lightning_setup_steps guiche_worker: INSERT, SELECT",
    "operations guiche_app: SELECT",
    "operations guiche_worker: SELECT",
    "outbox guiche_app: INSERT, SELECT",
    "outbox guiche_worker: INSERT, SELECT",
    "pushes guiche_worker: DELETE, INSERT, SELECT",
    "refresh_tokens guiche_app: INSERT, SELECT",
    "sessions guiche_app: INSERT, SELECT",
    "sessions guiche_worker: DELETE",
    "ticket_readings guiche_app: SELECT",
    "ticket_readings guiche_worker: SELECT",
    "tickets guiche_app: INSERT, SELECT",
    "tickets guiche_worker: SELECT",
    "users guiche_app: INSERT, SELECT",
    "webhook_deliveries guiche_worker: DELETE, INSERT, SELECT",
    "webhook_endpoints guiche_worker: INSERT, SELECT",
];

/// On single columns.
const COLUMNS: &[&str] = &[
    "idempotency_claims guiche_app: UPDATE (fingerprint, subject, requested_at, claimed_until, touched_at, ticket_id, payment_hash)",
    "idempotency_claims guiche_worker: UPDATE (ticket_id, payment_hash)",
    "invoice_looks guiche_auth: UPDATE (open)",
    "invoice_looks guiche_worker: UPDATE (due_at, leased_until)",
    "invoices guiche_app: UPDATE (status, paid_at, preimage, refunded_at)",
    "invoices guiche_worker: UPDATE (status, paid_at, preimage, refunded_at)",
    "lightning_address_invoices guiche_worker: UPDATE (paid_at)",
    "lightning_addresses guiche_auth: UPDATE (status, goal, attempt, fault, voltage_node_id, btcpay_store_id, encrypted_voltage_config, encrypted_btcpay_config, active, reserved, begun_at, due_at, run, leased_until, updated_at)",
    "lightning_addresses guiche_worker: UPDATE (status, fault, voltage_node_id, btcpay_store_id, encrypted_voltage_config, encrypted_btcpay_config, active, last_sync_at, activated_at, due_at, run, leased_until, updated_at)",
    "lightning_setup_log_head guiche_auth: UPDATE (number, hash)",
    "lightning_setup_steps guiche_auth: UPDATE (state, tries, since)",
    "lightning_setup_steps guiche_worker: UPDATE (state, resource, sealed, tries, since)",
    "outbox guiche_worker: UPDATE (fanned_out)",
    "refresh_tokens guiche_app: UPDATE (spent_at)",
    "refresh_tokens guiche_auth: SELECT (token_hash, family_id, user_id)",
    "sessions guiche_app: UPDATE (revoked_at)",
    "sessions guiche_worker: SELECT (id, ends_at)",
    "tickets guiche_app: UPDATE (status, version, updated_at, cancelled_at, processing_at, completed_at, expires_at, paid_at)",
    "tickets guiche_worker: UPDATE (status, version, updated_at, cancelled_at, processing_at, completed_at, expires_at, paid_at)",
    "users guiche_app: UPDATE (password_hash, epoch, updated_at)",
    "users guiche_auth: SELECT (id, email_key, password_hash, epoch)",
    "webhook_deliveries guiche_worker: UPDATE (state, attempts, created_at, next_at, leased_until, finished_at, last_result)",
    "webhook_endpoints guiche_worker: UPDATE (secret, previous_secret, previous_until, disabled_at, disabled_reason, failing_since)",
];

/// On functions.
const FUNCTIONS: &[(&str, &str)] = &[
    (
        "guiche_app",
        "register account_of credentials_of credentials_by_email session_by_token_hash open_session rotate_token
        revoke_family_of change_password find_ticket find_tickets ticket_of list_tickets list_tickets_of open_ticket open_tickets
        insert_ticket claim_key find_done release_key
        begin_lightning_setup find_lightning_setup tear_down_lightning_setup active_lightning_address
        list_lightning_setup_log",
    ),
    ("guiche_app, guiche_auth", "become"),
    ("guiche_auth", "lightning_setup_log_link"),
    ("guiche_app, guiche_worker", "lock_ticket save_ticket add_invoices push_events complete_key"),
    (
        "guiche_worker",
        "claim_looks reschedule_looks note_push list_unpaid count_unpaid list_refunds prune_claims prune_pushes
        prune_sessions fan_out_events claim_deliveries record_delivery disable_endpoint redeliver_event prune_deliveries
        webhook_standing append_lightning_setup_log lightning_fault_text list_lightning_setups claim_lightning_setups
        claim_lightning_setup hold_lightning_setup record_lightning_setup roll_back_lightning_setup
        record_lightning_steps complete_lightning_steps
        complete_lightning_setup end_lightning_setup close_lightning_setup rest_lightning_setup resolve_lightning_orphan
        adopt_lightning_orphan repair_lightning_setup note_lightning_seed_shown keep_lightning_invoice
        note_lightning_delivery prune_lightning",
    ),
    // Triggers need no privilege to run.
    ("nobody", "refuse ticket_is_whole watch_invoices follow_invoice tell_ticket_changed tell_sessions_ended"),
    // The administrator's, who is the owner.
    ("nobody", "add_operation begin_forgetting forget_user tickets_to_forget
        lightning_setups_to_forget forget_lightning_setups"),
];

#[tokio::test]
async fn privileges_on_tables_are_these() {
    let query = "
        SELECT c.relname || ' ' || coalesce(nullif(g.grantee, 0)::regrole::text, 'PUBLIC') || ': '
            || string_agg(g.privilege_type || CASE WHEN g.is_grantable THEN '*' ELSE '' END, ', ' ORDER BY g.privilege_type)
        FROM pg_class c, aclexplode(c.relacl) g
        WHERE c.relnamespace = 'public'::regnamespace AND g.grantee <> c.relowner
        GROUP BY c.relname, g.grantee ORDER BY 1";
    assert_eq!(held(query).await, TABLES);
}

#[tokio::test]
async fn privileges_on_columns_are_these() {
    let query = "
        SELECT c.relname || ' ' || coalesce(nullif(g.grantee, 0)::regrole::text, 'PUBLIC') || ': ' || g.privilege_type
            || ' (' || string_agg(a.attname || CASE WHEN g.is_grantable THEN '*' ELSE '' END, ', ' ORDER BY a.attnum) || ')'
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) g
        WHERE c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped
        GROUP BY c.relname, g.grantee, g.privilege_type ORDER BY 1";
    assert_eq!(held(query).await, COLUMNS);
}

#[tokio::test]
async fn privileges_on_functions_are_these() {
    let query = "
        SELECT p.proname || ': ' || coalesce(string_agg(r.rolname, ', ' ORDER BY r.rolname), 'nobody')
        FROM pg_proc p LEFT JOIN pg_roles r ON r.oid <> p.proowner AND NOT r.rolsuper
            AND r.rolname ~ '^guiche_(app|auth|owner|worker)$' AND has_function_privilege(r.oid, p.oid, 'EXECUTE')
        WHERE p.pronamespace = 'public'::regnamespace
        GROUP BY p.oid, p.proname ORDER BY 1";
    let mut listed: Vec<String> = FUNCTIONS
        .iter()
        .flat_map(|(roles, names)| names.split_whitespace().map(move |name| format!("{name}: {roles}")))
        .collect();
    listed.sort();
    assert_eq!(held(query).await, listed);
}
