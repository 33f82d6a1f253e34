//! For every check of the doctor a place in which it must not be content. A check that is new and has none fails a test.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Arc;

use guiche_adapter_spark::fake::{FakeSettings, FakeSpark};
use guiche_app::system::SystemClock;

use crate::database::{Database, world_on};
use crate::doctor::{Diagnosis, diagnosis, doctor};
use crate::proxy::Proxy;
use crate::world::{Ended, World, free_port};

/// Each line is a test: the place, and what the check must say of it.
macro_rules! sick_places {
    ($($place:ident: $check:literal, $level:literal, $said:literal;)+) => {
        $(
            #[test]
            fn $place() {
                places::$place().assert($check, $level, $said);
            }
        )+
        /// The checks that have a place.
        const CHECKS: &[&str] = &[$($check),+];
    };
}

sick_places! {
    a_configuration_that_is_refused: "configuration", "failure", "LISTEN_ADDR must be";
    a_place_that_cannot_be_written: "data-directory", "failure", "/proc/guiche cannot be used";
    a_secret_that_others_can_read: "secrets", "failure", "secrets/jwt is open to other users";
    a_port_of_somebody_else: "listen-address", "failure", "used by another program";
    a_port_for_metrics_of_somebody_else: "metrics-address", "failure", "used by another program";
    too_few_files: "open-files", "warning", "at most 1000 files";
    hashing_that_is_too_cheap: "password-hashing", "warning", "BCRYPT_COST=4";
    data_of_a_version_that_nobody_serves: "private-database", "failure", "14";
    a_database_out_of_reach: "database", "failure", "";
    a_server_that_is_too_old: "database-version", "failure", "PostgreSQL 14.12";
    an_app_that_sees_everything: "database-app", "failure", "is a superuser";
    a_worker_out_of_reach: "database-worker", "failure", "";
    a_schema_of_an_older_version: "migrations", "failure", "2026-11-22-000500_administration";
    a_server_that_forgets: "database-settings", "warning", "fsync";
    a_server_with_another_time: "clock", "warning", "differ by 360";
    a_provider_out_of_reach: "payment-provider", "failure", "does not answer";
    a_provider_in_trouble: "payment-provider", "warning", "its wallet is not open";
    a_provider_that_is_somebody_else: "payment-provider", "warning", "answers with 404";
    a_node_host_out_of_reach: "lightning-setup", "failure", "does not answer";
}

#[test]
fn every_check_has_a_place_in_which_it_is_not_content() {
    let database = Database::new();
    let mut checks = BTreeSet::new();
    for world in [World::new(), world_on(&database)] {
        let found = doctor(&world).json;
        let findings = found["checks"].as_array().unwrap().clone();
        checks.extend(findings.into_iter().map(|finding| finding["check"].as_str().unwrap().to_owned()));
    }
    let with_places: BTreeSet<_> = CHECKS.iter().map(|&check| check.to_owned()).collect();
    assert_eq!(checks, with_places);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_well() {
    let fake = FakeSpark::start(FakeSettings::default(), Arc::new(SystemClock)).await.unwrap();
    let url = fake.url();
    let found = tokio::task::spawn_blocking(move || doctor(&places::live(&url))).await.unwrap();
    found.assert("payment-provider", "ok", "is well");
}

mod places {
    use super::*;

    fn with(name: &str, value: &str) -> Diagnosis {
        doctor(World::new().set(name, value))
    }

    pub(super) fn a_configuration_that_is_refused() -> Diagnosis {
        with("LISTEN_ADDR", "here")
    }

    pub(super) fn a_place_that_cannot_be_written() -> Diagnosis {
        with("GUICHE_DATA_DIR", "/proc/guiche")
    }

    pub(super) fn a_secret_that_others_can_read() -> Diagnosis {
        let world = World::new();
        let secrets = world.data().join("secrets");
        fs::create_dir_all(&secrets).unwrap();
        fs::set_permissions(&secrets, Permissions::from_mode(0o700)).unwrap();
        fs::write(secrets.join("jwt"), [0; 32]).unwrap();
        fs::set_permissions(secrets.join("jwt"), Permissions::from_mode(0o640)).unwrap();
        doctor(&world)
    }

    pub(super) fn a_node_host_out_of_reach() -> Diagnosis {
        let mut world = World::new();
        for (name, value) in [
            ("VOLTAGE_API_URL", format!("http://127.0.0.1:{}", free_port())),
            ("VOLTAGE_API_KEY", "key".to_owned()),
            ("BTCPAY_URL", format!("http://127.0.0.1:{}", free_port())),
            ("BTCPAY_API_KEY", "key".to_owned()),
        ] {
            world.set(name, &value);
        }
        doctor(&world)
    }

    fn taken(name: &str) -> Diagnosis {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        with(name, &taken.local_addr().unwrap().to_string())
    }

    pub(super) fn a_port_of_somebody_else() -> Diagnosis {
        taken("LISTEN_ADDR")
    }

    pub(super) fn a_port_for_metrics_of_somebody_else() -> Diagnosis {
        taken("METRICS_ADDR")
    }

    pub(super) fn too_few_files() -> Diagnosis {
        let world = World::new();
        let plain = world.command(&["doctor", "--json"]);
        let mut limited = Command::new("sh");
        limited.args(["-c", r#"ulimit -n 1000 && exec "$0" doctor --json"#]).arg(plain.get_program());
        limited.env_clear().current_dir(world.path());
        for (name, value) in plain.get_envs() {
            limited.env(name, value.unwrap());
        }
        let output = limited.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ended =
            Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
        diagnosis(&ended)
    }

    pub(super) fn hashing_that_is_too_cheap() -> Diagnosis {
        with("BCRYPT_COST", "4")
    }

    pub(super) fn data_of_a_version_that_nobody_serves() -> Diagnosis {
        let world = World::new();
        fs::create_dir_all(world.data().join("postgres/data")).unwrap();
        fs::write(world.data().join("postgres/data/PG_VERSION"), "14\n").unwrap();
        let found = doctor(&world);
        found.assert("database", "skipped", "private-database");
        found
    }

    /// On a database of its own, to which something was done, with another setting.
    fn on_a_database(
        sql: &str,
        setting: impl FnOnce(&Database) -> Option<(&'static str, String)>,
    ) -> Diagnosis {
        let database = Database::new();
        database.sql(sql);
        let mut world = world_on(&database);
        if let Some((name, value)) = setting(&database) {
            world.set(name, &value);
        }
        doctor(&world)
    }

    fn nowhere(login: &str) -> String {
        format!("postgresql://{login}@127.0.0.1:{}/guiche", free_port())
    }

    pub(super) fn a_database_out_of_reach() -> Diagnosis {
        on_a_database("", |_| Some(("DATABASE_URL", nowhere("guiche_app"))))
    }

    /// One that says so: its own function is put aside in this one database. Both are found before any of a user's.
    pub(super) fn a_server_that_is_too_old() -> Diagnosis {
        let older = "ALTER FUNCTION pg_catalog.current_setting(text) RENAME TO real_setting;
            CREATE FUNCTION pg_catalog.current_setting(name text) RETURNS text LANGUAGE sql STABLE AS $$
                SELECT CASE name WHEN 'server_version_num' THEN '140012' ELSE pg_catalog.real_setting(name) END
            $$";
        on_a_database(older, |_| None)
    }

    /// More than an hour behind this machine, as [`a_server_that_is_too_old`].
    pub(super) fn a_server_with_another_time() -> Diagnosis {
        let behind = "ALTER FUNCTION pg_catalog.clock_timestamp() RENAME TO real_clock;
            CREATE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
                SELECT pg_catalog.real_clock() - interval '1 hour 5 seconds'
            $$";
        on_a_database(behind, |_| None)
    }

    pub(super) fn an_app_that_sees_everything() -> Diagnosis {
        on_a_database("", |database| Some(("DATABASE_URL", database.inner.superuser_url())))
    }

    pub(super) fn a_worker_out_of_reach() -> Diagnosis {
        on_a_database("", |_| Some(("DATABASE_WORKER_URL", nowhere("guiche_worker"))))
    }

    pub(super) fn a_schema_of_an_older_version() -> Diagnosis {
        on_a_database("DELETE FROM __diesel_schema_migrations WHERE version = '20261122000500'", |_| None)
    }

    /// The tests' server is fast and forgetful.
    pub(super) fn a_server_that_forgets() -> Diagnosis {
        on_a_database("", |_| None)
    }

    pub(super) fn live(url: &str) -> World {
        let mut world = World::new();
        world.set("SPARK_MODE", "live").set("SPARK_API_URL", url).set("SPARK_API_KEY", "key");
        world
    }

    pub(super) fn a_provider_out_of_reach() -> Diagnosis {
        doctor(&live(&format!("http://127.0.0.1:{}", free_port())))
    }

    fn answering(status: u16) -> Diagnosis {
        let gateway = Proxy::to("").answering("/gateway/health", status, r#"{"status":"unavailable"}"#);
        doctor(&live(&format!("{}/gateway/", gateway.url())))
    }

    pub(super) fn a_provider_in_trouble() -> Diagnosis {
        answering(503)
    }

    pub(super) fn a_provider_that_is_somebody_else() -> Diagnosis {
        answering(404)
    }
}
