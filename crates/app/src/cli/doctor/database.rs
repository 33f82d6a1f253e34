//! The database, as far as it can be looked at without changing it.

use std::error::Error;
use std::time::Duration;

use guiche_adapter_embedded_postgres::Inspection;
use guiche_adapter_postgres::{Login, PgOptions, PgStores, ServerFacts};
use guiche_kernel::{BoxError, Clock as _, Timestamp};

use super::report::{Finding, Level};
use crate::cli::failure::chain;
use crate::config::{Config, Database as Where};
use crate::database::{APP, DATABASE, WORKER, private_options};
use crate::system::SystemClock;

const REACHED: &str = "database";
const VERSION: &str = "database-version";
const APP_LOGIN: &str = "database-app";
const WORKER_LOGIN: &str = "database-worker";
const MIGRATIONS: &str = "migrations";
const SETTINGS: &str = "database-settings";
const CLOCK: &str = "clock";
const SUPPORTED: std::ops::RangeInclusive<i32> = 15..=18;
/// Replicas and the database may differ by so much before the order of what people see suffers.
const SANE_SKEW: Duration = Duration::from_secs(2);

pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let production = config.is_production();
    match &config.database {
        Where::Server { app, worker } => {
            examine_server(PgOptions::new(app.clone(), worker.clone()), production).await
        }
        Where::Embedded => examine_private(config).await,
    }
}

async fn examine_private(config: &Config) -> Vec<Finding> {
    let inspected =
        private_options(&config.data_dir, &config.acquire).and_then(|options| Ok(Inspection::of(&options)?));
    let found = match inspected {
        Ok(found) => found,
        Err(error) => {
            let cure = "install PostgreSQL 15 to 18 (apt-get install postgresql), or set DATABASE_URL";
            let mut findings = vec![Finding::failure("private-database", chain(&*error), cure)];
            findings.extend(skipped("private-database"));
            return findings;
        }
    };
    let data = found.data.map_or("no data yet".to_owned(), |major| format!("data of {major}"));
    let text = format!("PostgreSQL {} in {}, {data}", found.major, found.binaries.display());
    let mut findings = vec![Finding::ok("private-database", text)];
    match (found.url(APP, DATABASE), found.url(WORKER, DATABASE)) {
        (Some(app), Some(worker)) => {
            findings.extend(examine_server(PgOptions::new(app, worker), config.is_production()).await);
        }
        _ => findings.extend(skipped("a private server that runs; serve starts and migrates it")),
    }
    findings
}

fn skipped(needs: &str) -> Vec<Finding> {
    let checks = [REACHED, VERSION, APP_LOGIN, WORKER_LOGIN, MIGRATIONS, SETTINGS, CLOCK];
    checks.into_iter().map(|check| Finding::skipped(check, needs)).collect()
}

async fn examine_server(mut options: PgOptions, production: bool) -> Vec<Finding> {
    (options.app_connections, options.worker_connections) = (1, 1);
    options.application_name = "guiche doctor".to_owned();
    let stores = match PgStores::lazy(&options) {
        Ok(stores) => stores,
        Err(error) => return unreachable(&error),
    };
    let asked = SystemClock.now();
    let facts = match stores.facts(Login::App).await {
        Ok(facts) => facts,
        Err(error) => return unreachable(&error),
    };
    let answered = SystemClock.now();
    let mut findings = vec![
        Finding::ok(REACHED, "the app's login signs in".to_owned()),
        version(facts.version_num),
        login(APP_LOGIN, stores.check_login(Login::App).await.map_err(Into::into)),
        worker(&stores).await,
        migrations(&stores).await,
        settings(&facts, production),
        clock(asked, facts.now, answered),
    ];
    // Whoever cannot read the schema is told that it lacks everything: that would be a guess.
    if findings.iter().any(|finding| finding.level == Level::Failure && finding.is(APP_LOGIN)) {
        findings.retain(|finding| !finding.is(MIGRATIONS));
        findings.push(Finding::skipped(MIGRATIONS, APP_LOGIN));
    }
    stores.close();
    findings
}

fn unreachable(error: &(dyn Error + 'static)) -> Vec<Finding> {
    let cure = "set DATABASE_URL to a database that runs, with the password of guiche_app";
    let mut findings = vec![Finding::failure(REACHED, chain(error), cure)];
    findings.extend(skipped(REACHED).into_iter().filter(|finding| !finding.is(REACHED)));
    findings
}

fn version(version_num: i32) -> Finding {
    let (major, minor) = (version_num / 10_000, version_num % 10_000);
    let found = format!("PostgreSQL {major}.{minor}");
    if SUPPORTED.contains(&major) {
        return Finding::ok(VERSION, found);
    }
    Finding::failure(VERSION, found, "use PostgreSQL 15 to 18")
}

fn login(check: &'static str, checked: Result<(), BoxError>) -> Finding {
    match checked {
        Ok(()) => Finding::ok(check, "row-level security binds it".to_owned()),
        Err(error) => Finding::failure(
            check,
            chain(&*error),
            "use the roles of deploy/postgres/roles.sql: guiche_app serves, guiche_worker works",
        ),
    }
}

async fn worker(stores: &PgStores) -> Finding {
    if let Err(error) = stores.facts(Login::Worker).await {
        let cure = "set DATABASE_WORKER_URL to the same database, with the password of guiche_worker";
        return Finding::failure(WORKER_LOGIN, chain(&error), cure);
    }
    match stores.check_login(Login::Worker).await {
        Ok(()) => Finding::ok(WORKER_LOGIN, "it signs in, and is the workers'".to_owned()),
        Err(error) => login(WORKER_LOGIN, Err(error.into())),
    }
}

async fn migrations(stores: &PgStores) -> Finding {
    match stores.migrations_pending().await {
        Ok(pending) if pending.is_empty() => Finding::ok(MIGRATIONS, "all are applied".to_owned()),
        Ok(pending) => {
            let found = format!("{} are missing: {}", pending.len(), pending.join(", "));
            Finding::failure(MIGRATIONS, found, "run `guiche migrate` with DATABASE_OWNER_URL")
        }
        Err(error) => {
            Finding::failure(MIGRATIONS, chain(&error), "run `guiche migrate` with DATABASE_OWNER_URL")
        }
    }
}

/// A failure in production only: whoever develops may prefer speed.
fn settings(facts: &ServerFacts, production: bool) -> Finding {
    let unsafe_ones = [
        (!facts.fsync, "fsync"),
        (!facts.full_page_writes, "full_page_writes"),
        (facts.synchronous_commit == "off", "synchronous_commit"),
    ];
    let off: Vec<_> = unsafe_ones.into_iter().filter(|(off, _)| *off).map(|(_, name)| name).collect();
    if off.is_empty() {
        return Finding::ok(SETTINGS, "what is committed survives a crash".to_owned());
    }
    let found = format!("{} off: a crash may lose payments that were acknowledged", off.join(", "));
    let cure = format!("set {} to on in postgresql.conf", off.join(", "));
    if production { Finding::failure(SETTINGS, found, cure) } else { Finding::warning(SETTINGS, found, cure) }
}

/// The database read its clock between the question and the answer.
fn clock(asked: Timestamp, theirs: Timestamp, answered: Timestamp) -> Finding {
    let skew = if theirs < asked {
        (asked - theirs).unsigned_abs()
    } else if theirs > answered {
        (theirs - answered).unsigned_abs()
    } else {
        Duration::ZERO
    };
    let found = format!("this machine and the database differ by {} ms", skew.as_millis());
    if skew <= SANE_SKEW {
        return Finding::ok(CLOCK, found);
    }
    Finding::warning(CLOCK, found, "let both keep the time by NTP (timedatectl set-ntp true)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_15_to_18_are_fine() {
        for (version_num, level) in
            [(140_012, Level::Failure), (150_000, Level::Ok), (180_003, Level::Ok), (190_000, Level::Failure)]
        {
            assert_eq!(version(version_num).level, level, "{version_num}");
        }
    }

    #[test]
    fn a_clock_is_judged_by_what_it_cannot_have_shown() {
        let noon = Timestamp::UNIX_EPOCH + Duration::from_secs(12 * 3600);
        let second = Duration::from_secs(1);
        for (theirs, level) in [
            (noon, Level::Ok),
            (noon + 5 * second, Level::Ok),
            (noon + 7 * second, Level::Ok),
            (noon + 8 * second, Level::Warning),
            (noon - 3 * second, Level::Warning),
        ] {
            assert_eq!(clock(noon, theirs, noon + 5 * second).level, level, "{theirs}");
        }
    }

    #[test]
    fn what_a_crash_would_lose_fails_in_production_and_is_told_elsewhere() {
        let facts = |fsync: bool, commit: &str| ServerFacts {
            version_num: 170_000,
            now: Timestamp::UNIX_EPOCH,
            fsync,
            full_page_writes: true,
            synchronous_commit: commit.to_owned(),
        };
        for (facts, production, level) in [
            (facts(true, "on"), true, Level::Ok),
            (facts(true, "local"), true, Level::Ok),
            (facts(false, "on"), true, Level::Failure),
            (facts(true, "off"), true, Level::Failure),
            (facts(false, "off"), false, Level::Warning),
        ] {
            assert_eq!(settings(&facts, production).level, level, "{facts:?}");
        }
    }
}
