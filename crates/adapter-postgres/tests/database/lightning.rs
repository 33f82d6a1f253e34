//! Lightning setups, by raw SQL: nobody gets at another's, the audit trail only grows, and its hashes are the program's.

use std::fmt::Write as _;
use std::time::Duration;

use guiche_kernel::testing::SeededRandomness;
use guiche_kernel::{Clock as _, Randomness as _, StoreError, Timestamp, UserId};
use guiche_lightning_setup::{AuditRow, Services, SetupId, audit};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::scene::{Scene, number, refusal, texts};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A number below the bound.
fn below(randomness: &SeededRandomness, bound: u64) -> u64 {
    let mut bytes = [0; 8];
    randomness.fill(&mut bytes);
    u64::from_le_bytes(bytes) % bound
}

fn any_uuid(randomness: &SeededRandomness) -> Uuid {
    let mut bytes = [0; 16];
    randomness.fill(&mut bytes);
    Uuid::from_bytes(bytes)
}

/// Texts that a careless way of joining fields would confuse.
/// Seven empty columns.
const NO_STEPS: &str = "'{}', '{}', '{}', '{}', '{}', '{}', '{}'";
const TEXTS: [&str; 8] = ["", "1:t", ":", "não é válido", "a\nb", "10:0123456789", "🦀", "'; DROP"];

fn any_row(randomness: &SeededRandomness) -> AuditRow {
    let choice = |bound| usize::try_from(below(randomness, bound)).unwrap();
    let micros = below(randomness, 4_000_000_000_000_000).cast_signed() - 1_000_000_000_000_000;
    AuditRow {
        number: below(randomness, 1 << 62).cast_signed(),
        id: any_uuid(randomness),
        user_id: (choice(4) > 0).then(|| UserId::new(any_uuid(randomness))),
        setup: SetupId::new(any_uuid(randomness)),
        operation: ["setup_begun", "repaired", ""][choice(3)].to_owned(),
        btcpay_configured: choice(2) == 0,
        voltage_configured: choice(2) == 0,
        success: choice(2) == 0,
        error_message: TEXTS.get(choice(9)).map(|text| (*text).to_owned()),
        created_at: Timestamp::UNIX_EPOCH + time::Duration::microseconds(micros),
    }
}

#[tokio::test]
async fn the_hash_of_the_database_is_that_of_the_program() {
    let scene = Scene::new().await;
    let client = scene.superuser().await;
    let call = "SELECT encode(lightning_setup_log_link(decode($1, 'hex'), $2, $3::text::uuid, $4::text::uuid,
        $5::text::uuid, $6, $7, $8, $9, $10, 'epoch'::timestamptz + $11 * interval '1 microsecond'), 'hex')";
    let call = client.prepare(&call.replace("$11", "$11::bigint")).await.unwrap();
    let randomness = SeededRandomness::new(77);
    for round in 0..300 {
        let (mut previous, row) = ([0; 32], any_row(&randomness));
        randomness.fill(&mut previous);
        let (id, setup) = (row.id.to_string(), row.setup.to_string());
        let user = row.user_id.map(|user| user.to_string());
        let micros = i64::try_from(row.created_at.unix_timestamp_nanos() / 1_000).unwrap();
        let (before, message) = (hex(&previous), row.error_message.as_deref());
        let answer = client
            .query_one(
                &call,
                &[
                    &before,
                    &row.number,
                    &id,
                    &user,
                    &setup,
                    &row.operation,
                    &row.btcpay_configured,
                    &row.voltage_configured,
                    &row.success,
                    &message,
                    &micros,
                ],
            )
            .await
            .unwrap();
        assert_eq!(answer.get::<_, String>(0), hex(&audit::link(&previous, &row)), "{round}: {row:?}");
    }
}

/// What the superuser does in `changes`, the logins of the office cannot even begin.
#[tokio::test]
async fn nobody_writes_the_audit_trail_by_hand() {
    let scene = Scene::new().await;
    scene.citizen("alice@example.org").await;
    let database = &scene.database;
    for url in [database.app_url(), database.worker_url()] {
        let client = database.raw(&url).await;
        for sql in [
            "UPDATE lightning_setup_log SET success = true",
            "DELETE FROM lightning_setup_log",
            "TRUNCATE lightning_setup_log",
            "INSERT INTO lightning_setup_log SELECT",
            "UPDATE lightning_setup_log_head SET number = number + 1",
            "DELETE FROM lightning_setup_log_head",
            "ALTER TABLE lightning_setup_log DISABLE TRIGGER ALL",
            "DROP TRIGGER lightning_setup_log_only_grows ON lightning_setup_log",
        ] {
            let refused = refusal(&client, sql).await;
            assert!(refused.starts_with("42501"), "{url} {sql}: {refused}");
        }
    }
    let owner = database.raw(&database.owner_url()).await;
    for sql in [
        "UPDATE lightning_setup_log SET success = true",
        "DELETE FROM lightning_setup_log",
        "TRUNCATE lightning_setup_log",
        "DELETE FROM lightning_setup_log_head",
        "TRUNCATE lightning_setup_log_head",
    ] {
        let refused = refusal(&owner, sql).await;
        assert!(refused.starts_with("23514 lightning_setup_log"), "{sql}: {refused}");
    }
    let row = "INSERT INTO lightning_setup_log VALUES
        (2, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'repaired', true, true, true, NULL, now(), sha256('x'))";
    let refused = refusal(&owner, row).await;
    assert!(refused.contains("row-level security"), "{refused}");
    assert_eq!(number(&scene.superuser().await, "SELECT count(*) FROM lightning_setup_log").await, 1);
}

#[tokio::test]
async fn what_no_row_of_the_trail_may_be() {
    let scene = Scene::new().await;
    scene.citizen("alice@example.org").await;
    let client = scene.superuser().await;
    let row = |number: i64, operation: &str, success: bool, error: &str| {
        format!(
            "INSERT INTO lightning_setup_log VALUES ({number}, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),
            '{operation}', true, true, {success}, {error}, now(), sha256('x'))"
        )
    };
    for (sql, rule) in [
        (row(0, "repaired", true, "NULL"), "lightning_setup_log_counts_from_one"),
        (row(1, "repaired", true, "NULL"), "lightning_setup_log_pkey"),
        (row(2, "repaired", true, "'it failed'"), "lightning_setup_log_success_has_no_error"),
        (row(2, "repaired", false, "NULL"), "lightning_setup_log_success_has_no_error"),
        (row(2, "repaied", true, "NULL"), "setup_operation_is_a_word"),
        (
            row(2, "repaired", true, "NULL").replacen("gen_random_uuid(), gen_random_uuid()", "gen_random_uuid(), NULL", 1),
            "lightning_setup_log_only_destructions_are_nobodys",
        ),
        (
            "INSERT INTO lightning_addresses (id, user_id, address, status, goal, attempt, active, reserved, begun_at, run,
                created_at, updated_at)
            SELECT gen_random_uuid(), user_id, 'braveowl01@guiche.test', 'failed', goal, 1, false, false, now(), -1, now(),
                now()
            FROM lightning_addresses"
                .to_owned(),
            "lightning_addresses_runs_count_up",
        ),
        (
            "SET session_replication_role = replica;
            INSERT INTO lightning_setup_log_head VALUES (false, 0, sha256('x'))"
                .to_owned(),
            "lightning_setup_log_head_is_one",
        ),
    ] {
        let refused = refusal(&client, &sql).await;
        assert_eq!(refused.split(' ').nth(1), Some(rule), "{sql}: {refused}");
    }
}

/// One person to a name, one setup under way and one active address to a person: by indexes, whoever writes.
#[tokio::test]
async fn what_must_be_unique_is() {
    let scene = Scene::new().await;
    scene.citizen("alice@example.org").await;
    let bob = scene.person("bob@example.org").await;
    let client = scene.superuser().await;
    let copy = |user: &str, address: &str, status: &str| {
        format!(
            "INSERT INTO lightning_addresses (id, user_id, address, status, goal, attempt, active, reserved, begun_at,
                due_at, activated_at, created_at, updated_at)
            SELECT gen_random_uuid(), {user}, {address}, '{status}', 'set_up', 1, '{status}' = 'fully_configured', true, now(),
                CASE '{status}' WHEN 'in_progress' THEN now() END, now(), now(), now()
            FROM lightning_addresses LIMIT 1"
        )
    };
    let other = "'braveowl01@guiche.test'";
    let of_bob = format!("'{}'", bob.user_id);
    client.batch_execute(&copy("user_id", other, "fully_configured")).await.unwrap();
    for (sql, index) in [
        (copy("user_id", "address", "failed"), "lightning_addresses_own"),
        (copy(&of_bob, "address", "failed"), "lightning_addresses_one_owner"),
        (copy("user_id", "'braveowl02@guiche.test'", "in_progress"), "lightning_addresses_one_running"),
        (copy("user_id", "'braveowl02@guiche.test'", "fully_configured"), "lightning_addresses_one_active"),
    ] {
        let refused = refusal(&client, &sql).await;
        assert!(refused.starts_with(&format!("23505 {index} ")), "{index}: {refused}");
    }
}

/// It cannot happen through the port; if it did, nothing of the completion would be written.
#[tokio::test]
async fn a_second_active_address_is_refused_as_a_whole() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let (lease, setup) = scene.setting_up(alice, "alice").await;
    let client = scene.superuser().await;
    let second = "INSERT INTO lightning_addresses (id, user_id, address, status, goal, attempt, active, reserved, begun_at,
            activated_at, created_at, updated_at)
        SELECT gen_random_uuid(), user_id, 'braveowl01@guiche.test', 'fully_configured', 'set_up', 1, true, true, now(),
            now(), now(), now() FROM lightning_addresses";
    client.batch_execute(second).await.unwrap();
    let services =
        Services { node_id: "n".to_owned(), store_id: "s".to_owned(), node_config: None, store_config: None };
    let (setups, now) = (scene.stores.setups(), scene.clock.now());
    let before = setups.get(setup.id).await.unwrap();
    let refused = setups.complete(&lease, &[], &services, now).await;
    assert!(matches!(refused, Err(StoreError::Duplicate)), "{refused:?}");
    assert_eq!(setups.get(setup.id).await.unwrap(), before);
    assert_eq!(number(&client, "SELECT count(*) FROM lightning_setup_log").await, 1);
    setups.rest(&lease, now).await.expect("the lease is still held");
}

/// Everything that is stored of Lightning, as the superuser sees it.
async fn everything(client: &Client) -> Vec<String> {
    texts(
        client,
        "SELECT a::text FROM lightning_addresses a UNION ALL SELECT s::text FROM lightning_setup_steps s
        UNION ALL SELECT i::text FROM lightning_address_invoices i UNION ALL SELECT l::text FROM lightning_setup_log l
        ORDER BY 1",
    )
    .await
}

/// Bob, with the login that serves, against Alice's setup: not by any table, not by any function.
#[tokio::test]
async fn nobody_reads_changes_retries_or_deletes_anothers_setup() {
    let scene = Scene::new().await;
    let alice = scene.citizen("alice@example.org").await;
    let bob = scene.person("bob@example.org").await;
    scene.fail_setup(alice).await;
    let (app, superuser) = (scene.app().await, scene.superuser().await);
    let setup: String = texts(&superuser, "SELECT id::text FROM lightning_addresses").await.remove(0);
    let before = everything(&superuser).await;
    let as_bob = format!("'{}', 0", bob.user_id);
    let become_bob = format!("BEGIN; SELECT become({as_bob})");
    for empty in [
        "SELECT count(*) FROM lightning_addresses".to_owned(),
        "SELECT count(*) FROM lightning_setup_readings".to_owned(),
        "SELECT count(*) FROM lightning_setup_steps".to_owned(),
        "SELECT count(*) FROM lightning_address_invoices".to_owned(),
        "SELECT count(*) FROM lightning_setup_log".to_owned(),
        format!("SELECT count(*) FROM find_lightning_setup({as_bob})"),
        format!("SELECT count(*) FROM list_lightning_setup_log({as_bob}, NULL, 100)"),
        "SELECT count(*) FROM active_lightning_address('alice@guiche.test')".to_owned(),
        format!(
            "SELECT count(*) FROM tear_down_lightning_setup({as_bob}, '{setup}', '{{failed,needs_attention}}', now())"
        ),
        // The reservation has not lapsed.
        format!(
            "SELECT count(*) FROM begin_lightning_setup({as_bob}, gen_random_uuid(), 'alice@guiche.test', now(),
            '2026-01-01')"
        ),
    ] {
        app.batch_execute(&become_bob).await.unwrap();
        assert_eq!(number(&app, &empty).await, 0, "{empty}");
        app.batch_execute("COMMIT").await.unwrap();
    }
    for refused in [
        format!("UPDATE lightning_addresses SET status = 'in_progress' WHERE id = '{setup}'"),
        format!("DELETE FROM lightning_addresses WHERE id = '{setup}'"),
        "DELETE FROM lightning_setup_steps".to_owned(),
        "DELETE FROM lightning_address_invoices".to_owned(),
        "SELECT * FROM lightning_deliveries".to_owned(),
        "SELECT * FROM lightning_retired_addresses".to_owned(),
        "SELECT * FROM lightning_setup_log_head".to_owned(),
        format!("SELECT append_lightning_setup_log('{setup}', 'repaired', true, NULL, now())"),
        format!("SELECT claim_lightning_setup('{setup}', now(), now())"),
        "SELECT claim_lightning_setups(now(), now(), 10)".to_owned(),
        format!("SELECT repair_lightning_setup('{setup}', 'mine', 'mine', now())"),
        format!("SELECT note_lightning_seed_shown('{setup}', now())"),
        format!("SELECT end_lightning_setup('{setup}', 'removed', now())"),
        format!("SELECT complete_lightning_setup('{setup}', 1, 'n', 's', NULL, NULL, now())"),
        format!("SELECT complete_lightning_steps('{setup}', 1, {NO_STEPS}, 'n', 's', NULL, NULL, now())"),
        format!("SELECT record_lightning_steps('{setup}', 1, {NO_STEPS}, now())"),
        "SELECT list_lightning_setups(NULL, 10)".to_owned(),
    ] {
        app.batch_execute(&become_bob).await.unwrap();
        let answer = refusal(&app, &refused).await;
        assert!(answer.starts_with("42501"), "{refused}: {answer}");
        app.batch_execute("ROLLBACK").await.unwrap();
    }
    assert_eq!(everything(&superuser).await, before);
    // The epoch of another is no identity.
    let revoked = format!("SELECT * FROM find_lightning_setup('{}', 7)", alice.user_id);
    assert!(refusal(&app, &revoked).await.starts_with("GU401"), "{revoked}");
}

/// Whoever works for the office sees all, and changes what the setup is about for nobody.
#[tokio::test]
async fn the_worker_cannot_give_a_setup_to_somebody_else() {
    let scene = Scene::new().await;
    scene.citizen("alice@example.org").await;
    let worker = scene.database.raw(&scene.database.worker_url()).await;
    for sql in [
        "UPDATE lightning_addresses SET user_id = user_id",
        "UPDATE lightning_addresses SET address = 'braveowl01@guiche.test'",
        "UPDATE lightning_addresses SET reserved = false",
        "UPDATE lightning_addresses SET attempt = 9",
        "DELETE FROM lightning_addresses",
        "DELETE FROM lightning_setup_steps",
        "UPDATE lightning_setup_steps SET attempt = 9",
        "UPDATE lightning_address_invoices SET amount_msat = 1",
    ] {
        let refused = refusal(&worker, sql).await;
        assert!(refused.starts_with("42501"), "{sql}: {refused}");
    }
}

/// The owner of a function that sees all names takes no more than a lapsed name from anybody.
#[tokio::test]
async fn even_the_function_that_decides_on_names_changes_nobody_elses_setup() {
    let scene = Scene::new().await;
    let alice = scene.citizen("alice@example.org").await;
    let bob = scene.person("bob@example.org").await;
    let client = scene.superuser().await;
    let as_auth = format!("SELECT set_config('app.user_id', '{}', false); SET ROLE guiche_auth", bob.user_id);
    client.batch_execute(&as_auth).await.unwrap();
    let running = "UPDATE lightning_addresses SET reserved = false";
    assert_eq!(client.execute(running, &[]).await.unwrap(), 0, "it is being made");
    assert_eq!(client.execute("UPDATE lightning_setup_steps SET tries = 9", &[]).await.unwrap(), 0);
    client.batch_execute("RESET ROLE").await.unwrap();
    scene.fail_setup(alice).await;
    client.batch_execute("SET ROLE guiche_auth").await.unwrap();
    let refused = refusal(&client, "UPDATE lightning_addresses SET begun_at = now()").await;
    assert!(refused.contains("row-level security"), "{refused}");
    let forged = format!(
        "INSERT INTO lightning_addresses (id, user_id, address, status, goal, attempt, active, reserved, begun_at,
            created_at, updated_at)
        VALUES (gen_random_uuid(), '{}', 'braveowl01@guiche.test', 'failed', 'set_up', 1, false, true, now(), now(), now())",
        alice.user_id
    );
    let refused = refusal(&client, &forged).await;
    assert!(refused.contains("row-level security"), "{refused}");
    assert_eq!(client.execute(running, &[]).await.unwrap(), 1, "it failed");
}

/// A claim skips what another one is taking at this moment, and does not wait for it.
#[tokio::test]
async fn what_another_worker_is_taking_is_not_waited_for() {
    let scene = Scene::new().await;
    for name in ["alice", "robert"] {
        let caller = scene.person(&format!("{name}@example.org")).await;
        let wanted = scene.wanted(name);
        scene.stores.setups().begin(caller, &wanted).await.unwrap();
    }
    let other = scene.database.raw(&scene.database.worker_url()).await;
    let first = "BEGIN; SELECT id FROM claim_lightning_setups('2026-01-02', '2026-01-03', 1)";
    other.batch_execute(first).await.unwrap();
    let (now, most) = (scene.clock.now(), std::num::NonZeroU16::new(10).unwrap());
    let claim = scene.stores.setups().claim(now, now + Duration::from_secs(60), most).await.unwrap();
    assert_eq!(claim.len(), 1);
    other.batch_execute("ROLLBACK").await.unwrap();
}
