//! The administrator's way to the database: as the owner of the tables, which no server is.

use guiche_adapter_embedded_postgres::EmbeddedPostgres;
use guiche_adapter_postgres::{PgAdministration, migrate};
use guiche_kernel::BoxError;
use secrecy::SecretString;

use crate::config::{MigrateConfig, MigrationTarget};
use crate::database::{DATABASE, OWNER, start_private};

/// The database under the administrator's hand, and what must stay alive for it.
pub struct Administration {
    /// What can be done.
    pub database: PgAdministration,
    embedded: Option<EmbeddedPostgres>,
}

impl Administration {
    /// Connects as the owner. A private server is shared with the one that serves from it, or started and migrated; an
    /// operator's must be of this version.
    ///
    /// # Errors
    /// One line with the cure.
    pub async fn open(config: &MigrateConfig) -> Result<Self, BoxError> {
        let (owner, embedded): (SecretString, _) = match &config.target {
            MigrationTarget::Server(owner) => (owner.clone(), None),
            MigrationTarget::Embedded => {
                let server = start_private(&config.data_dir, &config.acquire).await?;
                migrate(server.url(OWNER, DATABASE).into()).await?;
                (server.url(OWNER, DATABASE).into(), Some(server))
            }
        };
        let database = PgAdministration::connect(owner).await?;
        let pending = database.migrations_pending().await?;
        if !pending.is_empty() {
            let pending = pending.join(", ");
            return Err(
                format!("the database lacks migrations ({pending}); run `guiche migrate` first").into()
            );
        }
        Ok(Self { database, embedded })
    }

    /// Closes the connections, and gives a private server back.
    ///
    /// # Errors
    /// When a private server does not stop.
    pub async fn close(self) -> Result<(), BoxError> {
        self.database.close();
        match self.embedded {
            Some(server) => Ok(server.shutdown().await?),
            None => Ok(()),
        }
    }
}
