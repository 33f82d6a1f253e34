//! `guiche audit`: whatever a superuser does to the trail is found, and the row is named.

use std::fs;

use crate::database::{Database, world_on};
use crate::world::{Ended, World};

const ROWS: u32 = 240;

/// A trail of [`ROWS`] rows, each of another person, and a copy of it.
fn trail() -> (Database, World) {
    let database = Database::new();
    database.sql(&format!(
        "DO $$
        DECLARE
            person uuid;
        BEGIN
            FOR n IN 1..{ROWS} LOOP
                person := gen_random_uuid();
                INSERT INTO users VALUES (person, n || '@example.org', n || '@example.org', 'h', 0, now(), now());
                PERFORM begin_lightning_setup(
                    person, 0, gen_random_uuid(), 'person' || n || '@guiche.test', now(), now()
                );
            END LOOP;
        END
        $$;
        CREATE SCHEMA kept;
        CREATE TABLE kept.log AS TABLE lightning_setup_log;
        CREATE TABLE kept.head AS TABLE lightning_setup_log_head"
    ));
    let world = world_on(&database);
    (database, world)
}

/// Does something to the whole trail that only a superuser can do.
fn tamper(database: &Database, sql: &str) {
    database.sql(&format!(
        "ALTER TABLE lightning_setup_log DISABLE TRIGGER ALL;
        ALTER TABLE lightning_setup_log_head DISABLE TRIGGER ALL;
        TRUNCATE lightning_setup_log, lightning_setup_log_head;
        INSERT INTO lightning_setup_log TABLE kept.log;
        INSERT INTO lightning_setup_log_head TABLE kept.head;
        {sql};
        ALTER TABLE lightning_setup_log ENABLE TRIGGER ALL;
        ALTER TABLE lightning_setup_log_head ENABLE TRIGGER ALL"
    ));
}

fn assert_broken(ended: &Ended, told: &str, what: &str) {
    let expected = format!("error: the audit trail is broken: {told}\n");
    assert_eq!((ended.code, ended.stdout.as_str(), &ended.stderr), (Some(1), "", &expected), "{what}");
}

/// Computes every hash anew, as whoever knows how it is done can.
const REWRITE: &str = "
    DO $$
    DECLARE
        entry record;
        last bytea := decode(repeat('00', 32), 'hex');
    BEGIN
        FOR entry IN SELECT * FROM lightning_setup_log ORDER BY number LOOP
            last := lightning_setup_log_link(
                last, entry.number, entry.id, entry.user_id, entry.lightning_address_id, entry.operation_type,
                entry.btcpay_configured, entry.voltage_configured, entry.success, entry.error_message, entry.created_at
            );
            UPDATE lightning_setup_log SET hash = last WHERE number = entry.number;
        END LOOP;
        UPDATE lightning_setup_log_head h SET hash = last, number = (SELECT coalesce(max(number), 0) FROM lightning_setup_log);
    END
    $$";

#[test]
fn what_was_done_to_the_trail_is_found_and_the_row_is_named() {
    let (database, world) = trail();
    let verify = || world.run(&["audit", "verify"]);
    let whole = verify();
    assert_eq!(
        (whole.code, whole.stdout.as_str(), whole.stderr.as_str()),
        (Some(0), "whole: 240 rows, without a checkpoint to compare with\n", "")
    );
    let changes = [
        "success = false, error_message = 'it failed'",
        "error_message = '', success = false",
        "id = gen_random_uuid()",
        "user_id = gen_random_uuid()",
        "lightning_address_id = gen_random_uuid()",
        "operation_type = 'repaired'",
        "btcpay_configured = NOT btcpay_configured",
        "voltage_configured = NOT voltage_configured",
        "created_at = created_at + interval '1 microsecond'",
        "hash = sha256(hash)",
    ];
    for change in changes {
        tamper(&database, &format!("UPDATE lightning_setup_log SET {change} WHERE number = 205"));
        assert_broken(&verify(), "row 205 was changed", change);
    }
    for (what, sql, told) in [
        (
            "left out",
            "DELETE FROM lightning_setup_log WHERE number = 205",
            "row 205 is missing: row 206 follows in its place",
        ),
        (
            "the first one",
            "DELETE FROM lightning_setup_log WHERE number = 1",
            "row 1 is missing: row 2 follows in its place",
        ),
        (
            "left out, and the others moved up",
            "DELETE FROM lightning_setup_log WHERE number = 205;
            UPDATE lightning_setup_log SET number = number + 1000 WHERE number > 205;
            UPDATE lightning_setup_log SET number = number - 1001 WHERE number > 1000",
            "row 205 was changed",
        ),
        (
            "in another order",
            "UPDATE lightning_setup_log SET number = 1000 WHERE number = 205;
            UPDATE lightning_setup_log SET number = 205 WHERE number = 206;
            UPDATE lightning_setup_log SET number = 206 WHERE number = 1000",
            "row 205 was changed",
        ),
        (
            "cut off",
            "DELETE FROM lightning_setup_log WHERE number > 200",
            "the chain ends at row 200, and its head at row 240: rows were cut off or added",
        ),
        (
            "added",
            "INSERT INTO lightning_setup_log
            SELECT number + 1, gen_random_uuid(), user_id, lightning_address_id, operation_type, true, true, true, NULL,
                created_at, sha256('x')
            FROM lightning_setup_log WHERE number = 240",
            "row 241 was changed",
        ),
        (
            "the last hash of the head",
            "UPDATE lightning_setup_log_head SET hash = sha256('x')",
            "row 240 was changed",
        ),
    ] {
        tamper(&database, sql);
        assert_broken(&verify(), told, what);
    }
    tamper(&database, "SELECT");
    assert_eq!(verify().code, Some(0), "as it was");
}

#[test]
fn whoever_writes_the_trail_anew_is_found_out_by_a_checkpoint() {
    let (database, world) = trail();
    let file = world.path().join("kept.txt");
    let file = file.to_str().unwrap();
    let taken = world.run(&["audit", "checkpoint", "--out", file]);
    assert_eq!((taken.code, taken.stdout.as_str(), taken.stderr.as_str()), (Some(0), "", ""));
    let verify = || world.run(&["audit", "verify", "--checkpoint", file]);
    assert_eq!(verify().stdout, "whole: 240 rows, and the checkpoint lies on the way\n");
    let anew = "row 240 is not the one of the checkpoint: the chain was written anew";
    let cut = "the chain ends at row 200, and its head at row 240: rows were cut off or added";
    let gone = "the chain ends at row 0, and its head at row 240: rows were cut off or added";
    for (sql, told) in [
        ("UPDATE lightning_setup_log SET user_id = gen_random_uuid() WHERE number = 7", anew),
        ("DELETE FROM lightning_setup_log WHERE number > 200", cut),
        ("DELETE FROM lightning_setup_log", gone),
    ] {
        tamper(&database, &format!("{sql}; {REWRITE}"));
        assert_eq!(world.run(&["audit", "verify"]).code, Some(0), "{sql}: it is whole in itself");
        assert_broken(&verify(), told, sql);
        let refused = world.run(&["audit", "checkpoint", "--out", file]);
        assert_broken(&refused, told, "no checkpoint of what is broken");
    }
    assert_eq!(fs::read_to_string(file).unwrap().lines().count(), 1);
    tamper(&database, "SELECT");
    let printed = world.run(&["audit", "checkpoint"]);
    let kept = fs::read_to_string(file).unwrap();
    let point = |line: &str| line.split(' ').take(3).map(ToOwned::to_owned).collect::<Vec<_>>();
    assert_eq!(point(&printed.stdout), point(&kept), "the same point at another time");
    assert_eq!(world.run(&["audit", "checkpoint", "--out", file]).code, Some(0));
    assert_eq!(fs::read_to_string(file).unwrap().lines().count(), 2, "what was kept is not lost");
}

#[test]
fn what_cannot_be_compared_is_said_in_a_line() {
    let database = Database::new();
    let world = world_on(&database);
    let nothing = world.run(&["audit", "verify"]);
    assert_eq!(nothing.stdout, "whole: 0 rows, without a checkpoint to compare with\n", "{nothing:?}");
    let none = world.run(&["audit", "checkpoint"]);
    assert_eq!(
        (none.code, none.stderr.as_str()),
        (Some(1), "error: the audit trail has no rows: there is nothing to take down\n")
    );
    let file = world.path().join("kept.txt");
    let name = file.to_str().unwrap();
    let absent = world.run(&["audit", "verify", "--checkpoint", name]);
    assert_eq!(absent.code, Some(1), "{absent:?}");
    assert!(absent.stderr.starts_with(&format!("error: cannot read {name}: ")), "{absent:?}");
    fs::write(&file, "guiche-audit-1 7 abc\n").unwrap();
    let garbled = world.run(&["audit", "verify", "--checkpoint", name]);
    assert_eq!(
        (garbled.code, garbled.stderr),
        (Some(1), format!("error: the last line of {name} is no checkpoint\n"))
    );
}
