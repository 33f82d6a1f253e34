//! An office for the occasion: a whole service in this process, on a throwaway database in a temporary directory.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use guiche_kernel::BoxError;
use tempfile::TempDir;
use url::Url;

use crate::config::{Config, Sources};
use crate::database::Database;
use crate::http::{self, RunningServer, ServerSettings};
use crate::shutdown::Shutdown;
use crate::wiring::{self, World};
use crate::workers::Workers;

const WORKERS_END_WITHIN: Duration = Duration::from_secs(5);

/// A running office that nobody else knows.
pub(super) struct PrivateOffice {
    server: RunningServer,
    workers: Workers,
    database: Database,
    /// Removed last.
    directory: TempDir,
}

impl PrivateOffice {
    /// Starts one. What is configured outside does not touch it (but for where the database's binaries come from), and it
    /// writes no log.
    pub(super) async fn start(binaries: BTreeMap<String, String>) -> Result<Self, BoxError> {
        let directory = tempfile::Builder::new().prefix("guiche-demo-").tempdir()?;
        // When root does this, the database server is another user, who must get this far and no further.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o711))?;
        let config = Config::parse(&sources(&directory, binaries))?;
        // The port is the system's choice, and is taken before anything depends on it.
        let listener = TcpListener::bind(config.http.listen_addr)?;
        let wired = wiring::wire(&config, &Shutdown::default(), World::real()).await?;
        let settings = ServerSettings { workers: 1, drain: WORKERS_END_WITHIN, ..ServerSettings::default() };
        let server = http::start(listener, &wired.table, wired.surface, settings)?;
        Ok(Self { server, workers: wired.workers, database: wired.database, directory })
    }

    pub(super) fn url(&self) -> Result<Url, BoxError> {
        Ok(Url::parse(&format!("http://{}", self.server.address()))?)
    }

    /// Ends it, and leaves nothing.
    pub(super) async fn stop(self) -> Result<(), BoxError> {
        self.server.stop().await?;
        self.workers.stop(WORKERS_END_WITHIN).await;
        self.database.close().await?;
        Ok(self.directory.close()?)
    }
}

fn sources(directory: &TempDir, mut environment: BTreeMap<String, String>) -> Sources {
    let data = directory.path().join("data").to_string_lossy().into_owned();
    environment.insert("GUICHE_DATA_DIR".to_owned(), data);
    environment.insert("LISTEN_ADDR".to_owned(), "127.0.0.1:0".to_owned());
    Sources { environment, file: None }
}
