//! Which database, and as whom. The text of a connection is passed on as it is (`sslmode`, `sslrootcert` included);
//! here it is only looked at, with the eyes of the adapter that will connect.

use std::fmt::Write as _;

use guiche_adapter_embedded_postgres::Acquire;
use guiche_adapter_postgres::{ConnectError, PgOptions};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::problems::Problems;
use super::sources::Settings;

/// Where the rows live, as the serving process sees it.
#[derive(Debug, Clone)]
pub enum Database {
    /// A private server in the data directory.
    Embedded,
    /// A server of the operator's.
    Server {
        /// Logs in as the role that serves requests.
        app: SecretString,
        /// Logs in as the role of the background workers.
        worker: SecretString,
    },
}

/// Where the migrations go.
#[derive(Debug, Clone)]
pub enum MigrationTarget {
    /// The private server in the data directory.
    Embedded,
    /// A server of the operator's, as the owner of the tables.
    Server(SecretString),
}

const PARTS: [&str; 5] =
    ["POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD"];

pub(super) fn database(settings: &Settings, production: bool, problems: &mut Problems) -> Database {
    let app = app_url(settings, problems);
    let worker = checked(settings, "DATABASE_WORKER_URL", problems);
    // What is set and was refused is not missing too.
    let app_is_set = settings.is_set("DATABASE_URL") || settings.is_set("POSTGRES_HOST");
    let worker_is_set = settings.is_set("DATABASE_WORKER_URL");
    if !worker_is_set && (app_is_set || production) {
        problems
            .refuse("DATABASE_WORKER_URL is required beside the database: workers have a login of their own");
    }
    if !app_is_set && production {
        problems.refuse("DATABASE_URL (or POSTGRES_HOST and its companions) is required in production");
    } else if !app_is_set && worker_is_set {
        problems.refuse("DATABASE_WORKER_URL is set, but neither DATABASE_URL nor POSTGRES_HOST is");
    }
    match (app, worker) {
        (Some(app), Some(worker)) => Database::Server { app, worker },
        // Everything else that was meant to be a server has been refused.
        (_, _) => Database::Embedded,
    }
}

pub(super) fn migration_target(
    settings: &Settings,
    production: bool,
    problems: &mut Problems,
) -> MigrationTarget {
    if let Some(owner) = checked(settings, "DATABASE_OWNER_URL", problems) {
        return MigrationTarget::Server(owner);
    }
    let missing = !settings.is_set("DATABASE_OWNER_URL");
    if missing && (production || settings.is_set("DATABASE_URL") || settings.is_set("POSTGRES_HOST")) {
        problems.refuse("DATABASE_OWNER_URL is required: only the owner of the tables migrates them");
    }
    MigrationTarget::Embedded
}

/// Where a private server's binaries come from. Told in every environment, so that a mistake does not wait for the day on
/// which it matters.
pub(super) fn acquire(settings: &Settings, embedded: bool, problems: &mut Problems) -> Acquire {
    const ARCHIVE: &str = "GUICHE_POSTGRES_ARCHIVE";
    let acquire = Acquire::parse(
        settings.text("GUICHE_EMBEDDED_INSTALL"),
        settings.text(ARCHIVE),
        settings.text("GUICHE_POSTGRES_ARCHIVE_SHA256"),
    );
    if settings.is_set(ARCHIVE) && !embedded {
        problems.warn(format!("{ARCHIVE} has no effect: the database is a server of yours"));
    }
    acquire.unwrap_or_else(|lines| {
        lines.into_iter().for_each(|line| problems.refuse(line));
        Acquire::default()
    })
}

fn app_url(settings: &Settings, problems: &mut Problems) -> Option<SecretString> {
    let part = PARTS.into_iter().find(|part| settings.is_set(part));
    match (settings.is_set("DATABASE_URL"), part) {
        (true, Some(part)) => {
            problems.refuse(format!("DATABASE_URL and {part} are both set; give the database once"));
            None
        }
        (true, None) => checked(settings, "DATABASE_URL", problems),
        (false, Some(_)) => from_parts(settings, problems),
        (false, None) => None,
    }
}

fn from_parts(settings: &Settings, problems: &mut Problems) -> Option<SecretString> {
    let Some(host) = settings.text("POSTGRES_HOST") else {
        problems.refuse("POSTGRES_HOST is missing, though its companions are set");
        return None;
    };
    let port = settings.text("POSTGRES_PORT").unwrap_or("5432");
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        problems.refuse("POSTGRES_PORT must be a port");
        return None;
    }
    let user = encoded(settings.text("POSTGRES_USER").unwrap_or("guiche_app"));
    let database = encoded(settings.text("POSTGRES_DB").unwrap_or("guiche"));
    let password =
        settings.text("POSTGRES_PASSWORD").map(|text| format!(":{}", encoded(text))).unwrap_or_default();
    let url = if host.starts_with('/') {
        format!("postgresql://{user}{password}@/{database}?host={}&port={port}", encoded(host))
    } else if host.contains(':') && !host.starts_with('[') {
        format!("postgresql://{user}{password}@[{host}]:{port}/{database}")
    } else {
        format!("postgresql://{user}{password}@{host}:{port}/{database}")
    };
    let url = url.into();
    if PgOptions::check_url(&url).is_err() {
        problems.refuse("POSTGRES_HOST must be a host, an address, or the directory of a socket");
        return None;
    }
    Some(url)
}

/// Percent-encodes everything but letters and digits, so that no password can end its own field.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

fn checked(settings: &Settings, name: &str, problems: &mut Problems) -> Option<SecretString> {
    let url = settings.secret(name)?;
    match PgOptions::check_url(&url) {
        Ok(()) => Some(url),
        Err(ConnectError::Url(reason)) => {
            problems.refuse(format!("{name} {reason}"));
            None
        }
        Err(other) => {
            problems.refuse(format!("{name}: {other}"));
            None
        }
    }
}

/// A connection as it may be printed: without its password, or not at all.
pub(super) fn redacted(url: &SecretString) -> String {
    let Ok(mut url) = Url::parse(url.expose_secret()) else { return super::render::REDACTED.to_owned() };
    if url.query_pairs().any(|(key, _)| key == "password" || key == "sslpassword") {
        return super::render::REDACTED.to_owned();
    }
    if url.password().is_some() && url.set_password(Some("redacted")).is_err() {
        return super::render::REDACTED.to_owned();
    }
    url.into()
}
