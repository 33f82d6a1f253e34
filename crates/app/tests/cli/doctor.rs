//! `guiche doctor`: what it tells of whole places, and that nothing is changed by it. What each check fails on is in
//! `sick.rs`.

use std::fs;

use serde_json::Value;

use crate::database::{Database, world_on};
use crate::world::{Ended, World};

/// What the doctor found, by `--json`.
pub(crate) struct Diagnosis {
    code: Option<i32>,
    pub(crate) json: Value,
}

pub(crate) fn doctor(world: &World) -> Diagnosis {
    diagnosis(&world.run(&["doctor", "--json"]))
}

pub(crate) fn diagnosis(ended: &Ended) -> Diagnosis {
    assert_eq!(ended.stderr, "", "{ended:?}");
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["healthy"], ended.code == Some(0), "{json}");
    Diagnosis { code: ended.code, json }
}

impl Diagnosis {
    fn of(&self, check: &str) -> &Value {
        let found = self.json["checks"].as_array().unwrap().iter().find(|finding| finding["check"] == check);
        assert!(found.is_some(), "{check}: {}", self.json);
        found.unwrap()
    }

    fn level(&self, check: &str) -> &str {
        self.of(check)["level"].as_str().unwrap()
    }

    /// That this check has that level and says so, with a cure in one line.
    pub(crate) fn assert(&self, check: &str, level: &str, said: &str) {
        let finding = self.of(check);
        assert_eq!(self.level(check), level, "{finding}");
        assert!(finding["found"].as_str().unwrap().contains(said), "{said}: {finding}");
        assert_eq!(finding["cure"].is_string(), level == "failure" || level == "warning", "{finding}");
        assert!(finding["cure"].as_str().is_none_or(|cure| !cure.contains('\n')), "{finding}");
        assert_eq!(self.code == Some(1), self.json["checks"].to_string().contains("\"failure\""));
    }
}

#[test]
fn an_empty_place_is_healthy_and_stays_empty() {
    let world = World::new();
    let found = doctor(&world);
    assert_eq!(found.code, Some(0), "{}", found.json);
    found.assert("data-directory", "ok", "can be made");
    found.assert("listen-address", "ok", "is free");
    found.assert("private-database", "ok", "no data yet");
    found.assert("migrations", "skipped", "serve starts and migrates it");
    found.assert("payment-provider", "ok", "the stub");
    found.assert("password-hashing", "warning", "BCRYPT_COST=4");
    assert_eq!(fs::read_dir(world.path()).unwrap().count(), 0, "nothing is made");
    let text = world.run(&["doctor"]).stdout;
    assert!(text.contains("ok       listen-address    127.0.0.1:"), "{text}");
    assert!(text.contains("\n                           -> raise BCRYPT_COST"), "{text}");
    assert!(text.ends_with("\n0 failures, 1 warnings\n"), "{text}");
}

#[test]
fn a_running_office_is_healthy_and_is_looked_at_as_it_runs() {
    let world = World::new();
    let server = world.serve();
    let found = doctor(&world);
    assert_eq!(found.code, Some(0), "{}", found.json);
    found.assert("listen-address", "ok", "served by a Guichê already");
    found.assert("secrets", "ok", "closed to others");
    for check in ["database", "database-version", "database-app", "database-worker", "migrations", "clock"] {
        assert_eq!(found.level(check), "ok", "{}", found.of(check));
    }
    found.assert("database-settings", "ok", "survives a crash");
    server.stop();
}

#[test]
fn a_refused_configuration_fails_with_every_line_and_nothing_is_guessed() {
    let mut world = World::new();
    world.set("LISTEN_ADDR", "here").set("BCRYPT_COST", "99");
    let found = doctor(&world);
    assert_eq!(found.code, Some(1), "the doctor has found it: that is no wrong command line");
    let text = found.json.to_string();
    assert!(text.contains("LISTEN_ADDR must be") && text.contains("BCRYPT_COST must be"), "{text}");
    found.assert("database", "skipped", "configuration");
}

#[test]
fn a_database_out_of_reach() {
    let database = Database::new();
    let mut world = world_on(&database);
    world.set("DATABASE_URL", "postgresql://guiche_app@127.0.0.1:9/guiche");
    let found = doctor(&world);
    found.assert("database", "failure", "");
    found.assert("migrations", "skipped", "database");
    let mut world = world_on(&database);
    world.set("DATABASE_WORKER_URL", "postgresql://guiche_worker@127.0.0.1:9/guiche");
    let found = doctor(&world);
    found.assert("database", "ok", "");
    found.assert("database-worker", "failure", "");
}

#[test]
fn logins_that_must_not_serve() {
    let database = Database::new();
    for (url, said) in
        [(database.inner.superuser_url(), "is a superuser"), (database.inner.owner_url(), "owns")]
    {
        let mut world = world_on(&database);
        world.set("DATABASE_URL", &url);
        let found = doctor(&world);
        found.assert("database-app", "failure", said);
        found.assert("migrations", "skipped", "database-app");
    }
    let mut world = world_on(&database);
    world.set("DATABASE_WORKER_URL", &database.inner.app_url());
    doctor(&world).assert("database-worker", "failure", "would see no invoices");
}

#[test]
fn a_schema_of_another_version() {
    let database = Database::new();
    let world = world_on(&database);
    let found = doctor(&world);
    found.assert("migrations", "ok", "all are applied");
    // The tests' server is fast and forgetful.
    found.assert("database-settings", "warning", "fsync, full_page_writes, synchronous_commit off");
    database.sql("DELETE FROM __diesel_schema_migrations WHERE version = '20261122000500'");
    doctor(&world).assert("migrations", "failure", "2026-11-22-000500_administration");
    let missing = "SELECT count(*) FROM __diesel_schema_migrations WHERE version = '20261122000500'";
    assert_eq!(database.number(missing), 0, "it was told, not migrated");
}
