//! `guiche reconcile` and `guiche refunds`: money that nobody asked about any more is found, and goes back once.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::database::{Database, world_on};
use crate::users::citizen;
use crate::world::{Server, World, eventually, free_port};

/// No watcher asks about any invoice from now on.
fn forget_the_schedule(database: &Database) {
    database.sql("DELETE FROM invoice_looks");
}

/// As if all invoices had run out.
fn run_out(database: &Database) {
    database.sql(
        "BEGIN; SET LOCAL session_replication_role = replica;
        UPDATE invoices SET issued_at = issued_at - interval '2 days', expires_at = expires_at - interval '2 days'
            WHERE paid_at IS NULL;
        UPDATE tickets SET created_at = created_at - interval '2 days', expires_at = expires_at - interval '2 days'
            WHERE status = 'pending';
        COMMIT",
    );
}

fn pay(world: &World, server: &Server, ticket: &Value) {
    let hash = ticket["payment_hash"].as_str().unwrap();
    server.post(world, &format!("/dev/invoices/{hash}/pay"), None, &json!({}));
}

fn id(ticket: &Value) -> &str {
    ticket["ticket_id"].as_str().unwrap()
}

fn json_of(world: &World, arguments: &[&str]) -> Value {
    let ended = world.run(arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn what_nobody_asked_about_is_found_and_what_must_go_back_is_listed_until_it_went() {
    let database = Database::new();
    let mut world = world_on(&database);
    let server = world.serve();
    let [in_time, late, never] =
        ["ana", "bob", "eva"].map(|name| citizen(&world, &server, &format!("{name}@example.org")));
    forget_the_schedule(&database);
    pay(&world, &server, &in_time);
    let of_one = json_of(&world, &["reconcile", "--ticket", id(&in_time), "--json"]);
    assert_eq!(
        (&of_one["asked"], &of_one["found_paid"], &of_one["refunds_due"]),
        (&json!(1), &json!(1), &json!(0))
    );
    run_out(&database);
    pay(&world, &server, &late);
    server.stop();

    let newer = json_of(&world, &["reconcile", "--since", "24h", "--json"]);
    assert_eq!(newer["asked"], 0, "both are older");
    let all = world.run(&["reconcile", "--since", "7d"]);
    assert_eq!((all.code, all.stderr.as_str()), (Some(0), ""), "{all:?}");
    assert_eq!(
        all.stdout,
        "asked about 2 invoices: 1 found paid (1 of them must go back), 1 closed unpaid, 0 unanswered\n"
    );
    assert_eq!(database.number("SELECT count(*) FROM tickets WHERE status = 'expired'"), 1, "{never}");
    let nothing_new = json_of(&world, &["reconcile", "--since", "7d", "--json"]);
    assert_eq!((&nothing_new["found_paid"], &nothing_new["expired"]), (&json!(0), &json!(0)));

    let listed = world.run(&["refunds", "list"]);
    let lines: Vec<_> = listed.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{listed:?}");
    let words: Vec<_> = lines[1].split_whitespace().collect();
    assert_eq!(&words[..4], [id(&late), late["payment_hash"].as_str().unwrap(), "late", "50000"]);
    assert_eq!(lines[2], "1 refund is due, 50000 sats");
    let listed = json_of(&world, &["refunds", "list", "--json"]);
    assert_eq!((&listed[0]["ticket_id"], &listed[0]["reason"]), (&late["ticket_id"], &json!("late")));
    assert!(gauge(&mut world).contains("refunds_due{reason=\"late\"} 1\n"));

    let unasked = world.run(&["refunds", "mark-refunded", id(&late)]);
    assert_eq!(unasked.code, Some(1));
    assert!(unasked.stderr.contains("nobody can be asked here"), "{unasked:?}");
    let wrong = world.run(&["refunds", "mark-refunded", id(&in_time), "--yes"]);
    assert_eq!(wrong.stderr, format!("error: no refund is due on ticket {}\n", id(&in_time)));
    let hash = late["payment_hash"].as_str().unwrap();
    let noted = world.run(&["refunds", "mark-refunded", id(&late), "--invoice", hash, "--yes"]);
    assert_eq!((noted.code, noted.stderr.as_str()), (Some(0), ""), "{noted:?}");
    assert!(noted.stdout.starts_with("noted: 50000 sats of invoice"), "{noted:?}");
    let again = world.run(&["refunds", "mark-refunded", id(&late), "--yes"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.stdout.starts_with("noted already: 50000 sats"), "{again:?}");
    assert_eq!(database.number("SELECT count(*) FROM outbox WHERE kind = 'ticket.refunded'"), 1);
    assert_eq!(world.run(&["refunds", "list"]).stdout, "no refund is due\n");
}

/// What a server that begins now tells of the refunds.
fn gauge(world: &mut World) -> String {
    let address = format!("127.0.0.1:{}", free_port());
    world.set("METRICS_ADDR", &address);
    let server = world.serve();
    let told = eventually("the gauge", || {
        let mut stream = TcpStream::connect(&address).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.contains("refunds_due{").then_some(text)
    });
    server.stop();
    told
}

#[test]
fn several_refunds_of_a_ticket_are_told_apart_by_their_invoices() {
    let database = Database::new();
    let world = world_on(&database);
    let server = world.serve();
    let ticket = citizen(&world, &server, "ana@example.org");
    server.stop();
    // Two invoices of one ticket that were both paid late, as they are stored.
    database.sql(
        "BEGIN; SET LOCAL session_replication_role = replica;
        INSERT INTO invoices SELECT (jsonb_populate_record(i, jsonb_build_object('payment_hash', '\\x' || repeat('ab', 32),
            'provider_invoice_id', 'another', 'bolt11', i.bolt11 || '1', 'ordinal', 2, 'status', 'expired'))).* FROM invoices i;
        UPDATE invoices SET issued_at = issued_at - interval '2 days', expires_at = expires_at - interval '2 days',
            status = 'paid_late', paid_at = now();
        UPDATE tickets SET created_at = created_at - interval '2 days', expires_at = expires_at - interval '2 days',
            status = 'refund_due';
        COMMIT",
    );
    let several = world.run(&["refunds", "mark-refunded", id(&ticket), "--yes"]);
    assert_eq!(several.code, Some(1), "{several:?}");
    assert!(several.stderr.contains("several refunds are due; name one with --invoice: "), "{several:?}");
    let unknown =
        world.run(&["refunds", "mark-refunded", id(&ticket), "--invoice", &"cd".repeat(32), "--yes"]);
    assert!(unknown.stderr.contains("no refund is due on invoice cdcd"), "{unknown:?}");
    for left in [1, 0] {
        let hash =
            if left == 1 { "ab".repeat(32) } else { ticket["payment_hash"].as_str().unwrap().to_owned() };
        let noted = world.run(&["refunds", "mark-refunded", id(&ticket), "--invoice", &hash, "--yes"]);
        assert_eq!(noted.code, Some(0), "{noted:?}");
        assert_eq!(database.number("SELECT count(*) FROM invoices WHERE refunded_at IS NULL"), left);
    }
}

#[test]
fn a_provider_that_does_not_answer_is_exit_code_1() {
    let database = Database::new();
    let mut world = world_on(&database);
    let server = world.serve();
    citizen(&world, &server, "ana@example.org");
    server.stop();
    world.set("SPARK_MODE", "live");
    world.set("SPARK_API_URL", &format!("http://127.0.0.1:{}", free_port()));
    world.set("SPARK_API_KEY", "key");
    let ended = world.run(&["reconcile", "--since", "1h", "--json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&told["asked"], &told["unanswered"], &told["found_paid"]), (&json!(1), &json!(1), &json!(0)));
    let neither = world.run(&["reconcile"]);
    assert_eq!(neither.code, Some(2), "{neither:?}");
}
