//! The database of this process: the operator's server, or a private one in the data directory.

use std::path::{Path, PathBuf};

use guiche_adapter_embedded_postgres::{Acquire, EmbeddedPostgres, Options};
use guiche_adapter_postgres::{PgOptions, PgStores, ROLES_SQL, migrate};
use guiche_kernel::BoxError;
use secrecy::SecretString;

use crate::config::{Config, Database as Where, MigrateConfig, MigrationTarget};
use crate::workers::Workers;

/// The database's name on the private server.
pub(crate) const DATABASE: &str = "guiche";
pub(crate) const OWNER: &str = "guiche_owner";
pub(crate) const APP: &str = "guiche_app";
pub(crate) const WORKER: &str = "guiche_worker";

/// The stores, and what must stay alive for them.
pub struct Database {
    /// The stores.
    pub stores: PgStores,
    embedded: Option<EmbeddedPostgres>,
}

impl Database {
    /// Connects, and refuses what must not be served from: a login that row-level security does not bind, or a schema of
    /// another version. A private server is started and migrated first.
    ///
    /// # Errors
    /// One line with the cure.
    pub async fn open(config: &Config) -> Result<Self, BoxError> {
        let (options, embedded) = match &config.database {
            Where::Server { app, worker } => (PgOptions::new(app.clone(), worker.clone()), None),
            Where::Embedded => {
                let server = start_private(&config.data_dir, &config.acquire).await?;
                let migrated = migrate(server.url(OWNER, DATABASE).into()).await?;
                report(&migrated);
                let urls = (server.url(APP, DATABASE), server.url(WORKER, DATABASE));
                (PgOptions::new(urls.0, urls.1), Some(server))
            }
        };
        let stores = PgStores::connect(options).await?;
        stores.check_role().await?;
        let pending = stores.migrations_pending().await?;
        if !pending.is_empty() {
            let pending = pending.join(", ");
            return Err(format!(
                "the database lacks migrations ({pending}); run `guiche migrate` as its owner"
            )
            .into());
        }
        Ok(Self { stores, embedded })
    }

    /// Keeps a private server alive while this process lives.
    pub fn watch(&self, workers: &mut Workers) {
        let Some(server) = &self.embedded else { return };
        let supervision = server.supervise();
        workers.spawn(|stop| async move {
            tokio::select! {
                () = supervision => {}
                () = stop.begun() => {}
            }
        });
    }

    /// Closes the connections and gives a private server back; the last process to do so stops it.
    ///
    /// # Errors
    /// When the private server does not stop.
    pub async fn close(self) -> Result<(), BoxError> {
        self.stores.close();
        match self.embedded {
            Some(server) => Ok(server.shutdown().await?),
            None => Ok(()),
        }
    }
}

/// Brings the database to this version.
///
/// # Errors
/// When the database cannot be reached, or a migration fails.
pub async fn bring_up_to_date(config: &MigrateConfig) -> Result<(), BoxError> {
    let (url, embedded): (SecretString, _) = match &config.target {
        MigrationTarget::Server(owner) => (owner.clone(), None),
        MigrationTarget::Embedded => {
            let server = start_private(&config.data_dir, &config.acquire).await?;
            (server.url(OWNER, DATABASE).into(), Some(server))
        }
    };
    let outcome = migrate(url).await;
    if let Some(server) = embedded {
        server.shutdown().await?;
    }
    report(&outcome?);
    Ok(())
}

pub(crate) async fn start_private(data_dir: &Path, acquire: &Acquire) -> Result<EmbeddedPostgres, BoxError> {
    let options = private_options(data_dir, acquire)?;
    let server = EmbeddedPostgres::start(options).await?;
    if let Some(notice) = server.notice() {
        tracing::warn!("{notice}");
    }
    tracing::info!(directory = %server.directory().display(), "private PostgreSQL is running");
    Ok(server)
}

/// The private server of this data directory.
pub(crate) fn private_options(data_dir: &Path, acquire: &Acquire) -> Result<Options, BoxError> {
    let directory: PathBuf = std::path::absolute(data_dir)?.join("postgres");
    let mut options = Options::new(directory);
    options.bootstrap_sql = Some(ROLES_SQL.to_owned());
    options.database = Some((DATABASE.to_owned(), OWNER.to_owned()));
    options.acquire = acquire.clone();
    Ok(options)
}

fn report(migrated: &[String]) {
    match migrated {
        [] => tracing::info!("the database is up to date"),
        migrated => tracing::info!(migrations = migrated.join(", "), "the database was migrated"),
    }
}
