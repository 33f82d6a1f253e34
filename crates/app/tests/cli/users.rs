//! `guiche users delete`: refused while money may move, complete when it does not.

use serde_json::{Value, json};

use crate::database::{Database, world_on};
use crate::world::{Server, World};

const EMAIL: &str = "ana@example.org";

/// Somebody with one ticket; returns it.
pub(crate) fn citizen(world: &World, server: &Server, email: &str) -> Value {
    let account = json!({"email": email, "password": "a horse with two names"});
    server.post(world, "/api/v1/auth/register", None, &account);
    let session = server.post(world, "/api/v1/auth/login", None, &account);
    let token = session["access_token"].as_str().unwrap();
    let form = json!({"cpf": "529.982.247-25", "cnh_number": "02650306461", "cnh_mirror": "123456789"});
    server.post(world, "/api/v1/tickets", Some(token), &json!({"operation_id": 1, "form_data": form}))
}

/// As if all of it had happened so long ago.
fn age(database: &Database, days: u32) {
    database.sql(&format!(
        "BEGIN; SET LOCAL session_replication_role = replica;
        UPDATE invoices SET issued_at = issued_at - interval '{days} days', expires_at = expires_at - interval '{days} days',
            paid_at = paid_at - interval '{days} days';
        UPDATE tickets SET created_at = created_at - interval '{days} days', updated_at = updated_at - interval '{days} days',
            expires_at = expires_at - interval '{days} days', paid_at = paid_at - interval '{days} days',
            processing_at = processing_at - interval '{days} days', completed_at = completed_at - interval '{days} days';
        COMMIT"
    ));
}

/// As if the office had served every ticket.
fn serve_all(database: &Database) {
    database.sql(
        "UPDATE tickets SET version = version + 1, status = 'completed', processing_at = paid_at, completed_at = paid_at",
    );
}

fn rows(database: &Database) -> i64 {
    database.number(
        "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM sessions) + (SELECT count(*) FROM refresh_tokens)
            + (SELECT count(*) FROM tickets) + (SELECT count(*) FROM invoices) + (SELECT count(*) FROM outbox)
            + (SELECT count(*) FROM idempotency_claims)",
    )
}

#[test]
fn while_money_may_move_nothing_is_deleted_and_the_reasons_are_told() {
    let database = Database::new();
    let world = world_on(&database);
    let server = world.serve();
    let ticket = citizen(&world, &server, EMAIL);
    let refused = |code: &str, text: &str| {
        let ended = world.run(&["users", "delete", EMAIL, "--yes"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.stderr.starts_with("refused, and nothing was changed:\n"), "{ended:?}");
        assert!(ended.stderr.contains(ticket["ticket_id"].as_str().unwrap()), "{ended:?}");
        assert!(ended.stderr.contains(text), "{text}: {ended:?}");
        let ended = world.run(&["users", "delete", EMAIL, "--dry-run", "--json"]);
        assert_eq!(ended.code, Some(1), "a dry run says it too");
        let json: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!((&json["deleted"], &json["holds"][0]["code"]), (&json!(false), &json!(code)));
    };
    refused("may_be_paid", "it can still be paid");
    server.post(
        &world,
        &format!("/dev/invoices/{}/pay", ticket["payment_hash"].as_str().unwrap()),
        None,
        &json!({}),
    );
    let token = server.post(
        &world,
        "/api/v1/auth/login",
        None,
        &json!({"email": EMAIL, "password": "a horse with two names"}),
    );
    let confirm = format!("/api/v1/tickets/{}/confirm-payment", ticket["ticket_id"].as_str().unwrap());
    server.post(&world, &confirm, token["access_token"].as_str(), &json!({}));
    let before = rows(&database);
    refused("service_owed", "the service is owed");
    serve_all(&database);
    age(&database, 6);
    refused("late_money", "its money could still arrive");
    assert_eq!(rows(&database), before, "nothing was changed");
    server.stop();
}

#[test]
fn a_citizen_is_forgotten_with_everything_and_the_books_get_the_payments() {
    let database = Database::new();
    let world = world_on(&database);
    let server = world.serve();
    let ticket = citizen(&world, &server, EMAIL);
    citizen(&world, &server, "bob@example.org");
    let hash = ticket["payment_hash"].as_str().unwrap();
    server.post(&world, &format!("/dev/invoices/{hash}/pay"), None, &json!({}));
    let session = server.post(
        &world,
        "/api/v1/auth/login",
        None,
        &json!({"email": EMAIL, "password": "a horse with two names"}),
    );
    let token = session["access_token"].as_str().unwrap();
    let confirm = format!("/api/v1/tickets/{}/confirm-payment", ticket["ticket_id"].as_str().unwrap());
    server.post(&world, &confirm, Some(token), &json!({}));
    database.sql(
        "UPDATE tickets SET version = version + 1, status = 'completed', processing_at = paid_at, completed_at = paid_at
        WHERE status = 'paid'",
    );
    age(&database, 8);
    let before = rows(&database);

    let asked = world.run(&["users", "delete", EMAIL]);
    assert_eq!(asked.code, Some(1));
    assert!(asked.stderr.contains("nobody can be asked here"), "{asked:?}");
    let dry = world.run(&["users", "delete", "ANA@example.org", "--dry-run"]);
    assert_eq!(dry.code, Some(0), "{dry:?}");
    assert!(dry.stdout.contains("would be deleted, with 1 tickets, 1 invoices, 2 events, "), "{dry:?}");
    assert_eq!(rows(&database), before, "a dry run changes nothing");

    let deleted = world.run(&["users", "delete", EMAIL, "--yes", "--json"]);
    assert_eq!((deleted.code, deleted.stderr.as_str()), (Some(0), ""), "{deleted:?}");
    let json: Value = serde_json::from_str(&deleted.stdout).unwrap();
    assert_eq!(json["deleted"], true);
    assert_eq!(
        json["counts"],
        json!({"tickets": 1, "invoices": 1, "events": 2, "idempotency_keys": 0, "sessions": 2, "lightning_setups": 0})
    );
    let record = &json["money"][0];
    assert_eq!((&record["payment_hash"], &record["amount_sats"]), (&json!(hash), &json!(50_000)));
    assert!(record["paid_at"].is_string() && record["refunded_at"].is_null(), "{record}");
    assert_eq!(database.number("SELECT count(*) FROM users"), 1, "the other one stays");
    assert_eq!(database.number("SELECT count(*) FROM tickets"), 1);
    assert_eq!(server.status(&world, "/api/v1/auth/me", Some(token)), 401, "and signed out everywhere");

    let again = world.run(&["users", "delete", EMAIL, "--yes"]);
    assert_eq!(
        (again.code, again.stderr.as_str()),
        (Some(1), "error: nobody has the address ana@example.org\n")
    );
    server.stop();
}

#[test]
fn whoever_has_a_lightning_address_is_told_to_tear_it_down_first() {
    let database = Database::new();
    let world = world_on(&database);
    database.sql(
        "INSERT INTO users VALUES (gen_random_uuid(), 'ana@example.org', 'ana@example.org', 'h', 0, now(), now());
        SELECT begin_lightning_setup(u.id, 0, gen_random_uuid(), 'ana@guiche.test', now(), now()) FROM users u",
    );
    let ended = world.run(&["users", "delete", EMAIL, "--yes"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert_eq!(
        ended.stderr,
        "refused, and nothing was changed:\n  Lightning address ana@guiche.test (in_progress): its node may exist and hold \
        money; it must be torn down first\n"
    );
    let ended = world.run(&["users", "delete", EMAIL, "--dry-run", "--json"]);
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&json["holds"][0]["code"], &json["holds"][0]["status"]),
        (&json!("lightning_setup"), &json!("in_progress"))
    );
    database.sql("UPDATE lightning_addresses SET status = 'failed', due_at = NULL");
    let deleted = world.run(&["users", "delete", EMAIL, "--yes"]);
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    assert!(deleted.stdout.ends_with(" 0 sessions, 1 Lightning setups.\n"), "{deleted:?}");
    assert_eq!(database.number("SELECT count(*) FROM lightning_setup_log"), 1, "the audit trail stays");
}
