//! How the stores reach their database.

use std::time::Duration;

use secrecy::SecretString;

/// How the stores reach their database. The two URLs name the same database with two logins.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PgOptions {
    /// As `guiche_app`: `postgresql://guiche_app:…@host/database?sslmode=verify-full&sslrootcert=/ca.pem`, or with a
    /// socket directory: `postgresql:///database?host=/run/postgresql&user=guiche_app`.
    pub app_url: SecretString,
    /// As `guiche_worker`.
    pub worker_url: SecretString,
    /// Connections that serve citizens. Twice the cores of the database, and never fewer than 4, is a good beginning.
    pub app_connections: usize,
    /// Connections that do the office's background work.
    pub worker_connections: usize,
    /// How long a call waits for a connection that others use.
    pub wait_timeout: Duration,
    /// How long making a connection may take.
    pub connect_timeout: Duration,
    /// The server ends a statement that takes longer.
    pub statement_timeout: Duration,
    /// How long a call waits for an answer before it gives the connection up; longer than what the server ends by itself.
    pub answer_timeout: Duration,
    /// The server ends a statement that waits longer for a lock.
    pub lock_timeout: Duration,
    /// The server ends a transaction that nobody works in, should one ever be left behind.
    pub idle_in_transaction_timeout: Duration,
    /// How the connections name themselves in `pg_stat_activity`.
    pub application_name: String,
}

impl PgOptions {
    /// The given logins with settings that suit a small server.
    #[must_use]
    pub fn new(app_url: impl Into<SecretString>, worker_url: impl Into<SecretString>) -> Self {
        Self {
            app_url: app_url.into(),
            worker_url: worker_url.into(),
            app_connections: 16,
            worker_connections: 4,
            wait_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(8),
            answer_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            idle_in_transaction_timeout: Duration::from_secs(15),
            application_name: "guiche".to_owned(),
        }
    }
}
