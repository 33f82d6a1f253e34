//! `guiche operations`, against a real database and a server that runs on it.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::database::{Database, world_on};
use crate::world::World;

/// A form on disk.
fn form(world: &World, schema: &Value) -> String {
    let path = world.path().join("form.json");
    fs::write(&path, schema.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn sound() -> Value {
    json!({"type": "object", "required": ["cpf"], "properties": {"cpf": {"type": "string", "format": "cpf"}}})
}

fn add<'a>(name: &'a str, form: &'a str) -> Vec<&'a str> {
    vec![
        "operations",
        "add",
        "--name",
        name,
        "--description",
        "Um serviço.",
        "--price-sats",
        "750",
        "--form",
        form,
    ]
}

#[test]
fn what_is_added_is_offered_by_a_running_server_until_it_is_withdrawn() {
    let database = Database::new();
    let world = world_on(&database);
    let server = world.serve();
    let offered = || server.get(&world, "/api/v1/operations");
    let form = form(&world, &sound());
    let added = world.run(&add("passport_renewal", &form));
    assert_eq!((added.code, added.stderr.as_str()), (Some(0), ""));
    assert_eq!(added.stdout, "operation 2 is offered: passport_renewal, 750 sats\n");
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
    };
    crate::world::eventually("the new operation", || {
        (names(&offered()) == ["driver_license_renewal", "passport_renewal"]).then_some(())
    });
    let again = world.run(&add("passport_renewal", &form));
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("the name passport_renewal was given before"), "{again:?}");

    for _ in 0..2 {
        let withdrawn = world.run(&["operations", "deactivate", "passport_renewal"]);
        assert_eq!(
            (withdrawn.code, withdrawn.stdout.as_str()),
            (Some(0), "passport_renewal is no longer offered\n")
        );
    }
    crate::world::eventually("the withdrawal", || {
        (names(&offered()) == ["driver_license_renewal"]).then_some(())
    });
    let listed = world.run(&["operations", "list"]).stdout;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let all = world.run(&["operations", "list", "--all"]).stdout;
    let expected = [
        "ID  NAME                    SATS   OFFERED  DESCRIPTION",
        "1   driver_license_renewal  50000  yes      Renewal of a Brazilian driver's licence (renovação da CNH).",
        "2   passport_renewal        750    no       Um serviço.",
    ];
    assert_eq!(all.lines().collect::<Vec<_>>(), expected);
    let json: Value =
        serde_json::from_str(&world.run(&["operations", "list", "--all", "--json"]).stdout).unwrap();
    assert_eq!(json[1]["active"], false);
    assert_eq!(world.run(&["operations", "activate", "passport_renewal"]).code, Some(0));
    crate::world::eventually("its return", || (names(&offered()).len() == 2).then_some(()));
    let unknown = world.run(&["operations", "deactivate", "no_such"]);
    assert_eq!((unknown.code, unknown.stderr.as_str()), (Some(1), "error: no operation is called no_such\n"));
    server.stop();
}

#[test]
fn what_could_not_be_served_never_reaches_the_database() {
    // There is no database to reach: whoever asked one would fail otherwise.
    let mut world = World::new();
    world.set("DATABASE_OWNER_URL", "postgresql://guiche_owner@127.0.0.1:9/guiche");
    let sound = form(&world, &sound());
    for (name, price, code, said) in [
        ("Passport", "750", 2, "a name is 1 to 63 of"),
        ("passport", "0", 2, "0 is not in 1..=2100000000000000"),
        ("passport", "2100000000000001", 2, "is not in 1..="),
        ("passport", "-1", 2, ""),
    ] {
        let arguments = [
            "operations",
            "add",
            "--name",
            name,
            "--description",
            "x",
            "--price-sats",
            price,
            "--form",
            &sound,
        ];
        let ended = world.run(&arguments);
        assert_eq!(ended.code, Some(code), "{name} {price}: {ended:?}");
        assert!(ended.stderr.contains(said), "{name} {price}: {ended:?}");
    }
    for (schema, said) in [
        (json!({"type": "array"}), "not valid at /type: it must be \"object\""),
        (
            json!({"type": "object", "properties": {"a": {"type": "text"}}}),
            "not valid at /properties/a/type: ",
        ),
        (json!({"type": "object", "required": ["cpf"]}), "not valid at /required/0: "),
    ] {
        let ended = world.run(&add("passport", &form(&world, &schema)));
        assert_eq!(ended.code, Some(1), "{schema}: {ended:?}");
        assert!(ended.stderr.contains(said), "{schema}: {ended:?}");
    }
    let ended = world.run(&add("passport", "/no/such/file"));
    assert!(ended.code == Some(1) && ended.stderr.contains("/no/such/file cannot be read"), "{ended:?}");
}

#[test]
fn a_dry_run_asks_no_database_and_a_form_may_come_by_a_pipe() {
    let mut world = World::new();
    world.set("DATABASE_OWNER_URL", "postgresql://guiche_owner@127.0.0.1:9/guiche");
    let mut arguments = add("passport", "-");
    arguments.push("--dry-run");
    let mut child = world.command(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(sound().to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), said.as_str()),
        (Some(0), "passport, 750 sats: it can be offered; nothing was changed\n")
    );
    assert_eq!(
        world.run(&add("passport", &form(&world, &sound()))).code,
        Some(1),
        "without --dry-run it asks"
    );
}

#[test]
fn a_private_database_needs_no_setting() {
    let world = World::new();
    let added = world.run(&add("passport_renewal", &form(&world, &sound())));
    assert_eq!((added.code, added.stderr.as_str()), (Some(0), ""), "{added:?}");
    let json: Value = serde_json::from_str(&world.run(&["operations", "list", "--json"]).stdout).unwrap();
    assert_eq!(json[1]["name"], "passport_renewal");
}
