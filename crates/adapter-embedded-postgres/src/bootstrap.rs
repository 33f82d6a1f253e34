//! Talks to the server: readiness, roles, the database.

use std::{fs, time::Duration};

use tokio_postgres::{Client, Config, Error, NoTls};

use crate::{
    error::{EmbeddedError, io_error},
    options::Options,
    place::{Place, fingerprint},
    postmaster::Run,
};

/// The superuser's name: fixed, whoever runs the server.
pub(crate) const SUPERUSER: &str = "postgres";

async fn connect(place: &Place) -> Result<Client, Error> {
    let mut config = Config::new();
    config.host_path(&place.socket).user(SUPERUSER).dbname("postgres").application_name("guiche supervisor");
    config.connect_timeout(Duration::from_secs(5));
    let (client, connection) = config.connect(NoTls).await?;
    // Ends with the client; what went wrong, the client's calls say.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

/// Whether the server talks to us. A refusal for want of a free place is an answer too.
pub(crate) async fn answers(place: &Place) -> bool {
    match connect(place).await {
        Ok(_) => true,
        Err(error) => error.code() == Some(&tokio_postgres::error::SqlState::TOO_MANY_CONNECTIONS),
    }
}

/// Whether this run of the server has been prepared with these options already.
pub(crate) fn is_done(place: &Place, run: &Run, options: &Options) -> bool {
    let Some(wish) = wish(options) else { return true };
    let Ok(text) = fs::read_to_string(place.lock_file("bootstrapped")) else { return false };
    let mut lines = text.lines();
    lines.next() == Some(&run.label()) && lines.any(|line| line == wish)
}

fn wish(options: &Options) -> Option<String> {
    let (name, owner) = options.database.as_ref().map_or(("", ""), |(name, owner)| (name, owner));
    let sql = options.bootstrap_sql.as_deref().unwrap_or_default();
    let empty = sql.is_empty() && name.is_empty();
    (!empty).then(|| fingerprint(&[sql.as_bytes(), name.as_bytes(), owner.as_bytes()]))
}

/// Prepares this run of the server, once. The caller holds the start lock, so no two processes do it at the same time.
pub(crate) async fn apply(place: &Place, run: &Run, options: &Options) -> Result<(), EmbeddedError> {
    if is_done(place, run, options) {
        return Ok(());
    }
    let Some(wish) = wish(options) else { return Ok(()) };
    prepare(place, options)
        .await
        .map_err(|source| EmbeddedError::Bootstrap { reason: reason(&source), source })?;
    let known = fs::read_to_string(place.lock_file("bootstrapped")).unwrap_or_default();
    let label = run.label();
    let others: Vec<&str> =
        if known.lines().next() == Some(&label) { known.lines().skip(1).collect() } else { Vec::new() };
    let text = [&[label.as_str(), wish.as_str()], others.as_slice()].concat().join("\n");
    let script = r#"umask 077; cd "$1/lock" && cat >bootstrapped.new && mv bootstrapped.new bootstrapped"#;
    let written = place.account.shell(script, &[place.home.as_os_str()], &text).await;
    written.map(drop).map_err(io_error("note the set-up in", &place.home))
}

async fn prepare(place: &Place, options: &Options) -> Result<(), Error> {
    let client = connect(place).await?;
    if let Some(sql) = &options.bootstrap_sql {
        client.batch_execute(sql).await?;
    }
    if let Some((name, owner)) = &options.database {
        let found = client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[name]).await?;
        if found.is_none() {
            client
                .batch_execute(&format!("CREATE DATABASE {} OWNER {}", quoted(name), quoted(owner)))
                .await?;
        }
    }
    Ok(())
}

/// The server's message without the statement, or the client's.
fn reason(error: &Error) -> String {
    error.as_db_error().map_or_else(
        || error.to_string(),
        |refusal| format!("{} ({})", refusal.message(), refusal.code().code()),
    )
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
