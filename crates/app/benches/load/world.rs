//! The world of a run: a private PostgreSQL on disk, as durable as in production, and the program on it.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use guiche_adapter_embedded_postgres::{EmbeddedPostgres, Options};
use guiche_adapter_postgres::ROLES_SQL;
use guiche_kernel::BoxError;
use serde_json::Value;
use tempfile::TempDir;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Connection, NoTls, Socket};

use crate::http;
use crate::wrk::Request;

/// How long anything may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Of the access tokens: longer than any run.
const TOKEN_MINUTES: &str = "240";

/// A scratch directory with a cluster in it.
pub(crate) struct World {
    directory: TempDir,
    cluster: EmbeddedPostgres,
    postmaster: u32,
    program: PathBuf,
}

/// One database of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) name: String,
    /// The directory of the server's socket.
    pub(crate) socket: PathBuf,
    /// The server's first process.
    pub(crate) postmaster: u32,
}

impl World {
    /// Makes the cluster and starts it. `program` is the service.
    pub(crate) async fn make(program: PathBuf) -> Result<Self, BoxError> {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(base)?;
        // Others may pass through: run by root, the server is another user.
        let open = Permissions::from_mode(0o711);
        let directory = tempfile::Builder::new().prefix("load-").permissions(open).tempdir_in(base)?;
        let mut options = Options::new(directory.path().join("postgres"));
        options.bootstrap_sql = Some(ROLES_SQL.to_owned());
        let cluster = EmbeddedPostgres::start(options).await?;
        let pid_file = fs::read_to_string(cluster.directory().join("data/postmaster.pid"))?;
        let postmaster = pid_file.lines().next().ok_or("the server has no process")?.trim().parse()?;
        Ok(Self { directory, cluster, postmaster, program })
    }

    /// Whether the server's user reaches the directory. Elsewhere a run could not tidy up after embedded starts.
    pub(crate) fn is_open(&self) -> bool {
        self.cluster.directory().starts_with(self.directory.path())
    }

    /// Where the service on this database keeps its own things.
    pub(crate) fn home_of(&self, database: &Database) -> PathBuf {
        self.directory.path().join(format!("on-{}", database.name))
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A new database at the program's version.
    pub(crate) async fn database(&self, name: &str) -> Result<Database, BoxError> {
        let client = self.superuser("postgres").await?;
        client.batch_execute(&format!("CREATE DATABASE {name} OWNER guiche_owner")).await?;
        let mut migrate = self.command(&self.directory.path().join("migrate"));
        migrate.arg("migrate").env("DATABASE_OWNER_URL", self.cluster.url("guiche_owner", name));
        let migrated = migrate.output()?;
        if !migrated.status.success() {
            return Err(format!("guiche migrate: {}", String::from_utf8_lossy(&migrated.stderr)).into());
        }
        let socket = self.cluster.socket_directory().to_owned();
        Ok(Database { name: name.to_owned(), socket, postmaster: self.postmaster })
    }

    /// Drops all databases but one, and writes out what is pending: neither vacuum nor a checkpoint of what one scenario
    /// left behind is counted as another's work.
    pub(crate) async fn clear_away(&self, kept: &Database) -> Result<(), BoxError> {
        let client = self.superuser("postgres").await?;
        let others = "SELECT datname::text FROM pg_database WHERE NOT datistemplate AND datname NOT IN ('postgres', $1)";
        for other in client.query(others, &[&kept.name]).await? {
            let name: String = other.get(0);
            client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        }
        Ok(client.batch_execute("CHECKPOINT").await?)
    }

    /// A connection that row-level security does not bind, to prepare and to look.
    pub(crate) async fn superuser(&self, database: &str) -> Result<Client, BoxError> {
        let (client, connection) = self.superuser_on(database).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// As [`superuser`](Self::superuser), for whoever wants to hear what the database tells.
    pub(crate) async fn superuser_on(
        &self,
        database: &str,
    ) -> Result<(Client, Connection<Socket, NoTlsStream>), BoxError> {
        Ok(tokio_postgres::connect(&self.cluster.superuser_url(database), NoTls).await?)
    }

    /// Starts the service on a database of the cluster, and returns when it is ready.
    pub(crate) fn serve(&self, database: &Database) -> Result<Service, BoxError> {
        Service::start(self.on(database), &self.home_of(database))
    }

    /// Starts one more service on a database, with settings of its own; what it keeps for itself lies below `name`.
    pub(crate) fn serve_as(
        &self,
        name: &str,
        database: &Database,
        settings: &[(&str, String)],
    ) -> Result<Service, BoxError> {
        let home = self.directory.path().join(name);
        let mut command = self.on(database);
        command.env("GUICHE_DATA_DIR", &home).envs(settings.iter().map(|(name, value)| (name, value)));
        Service::start(command, &home)
    }

    /// The program on a database of the cluster.
    pub(crate) fn on(&self, database: &Database) -> Command {
        let mut command = self.command(&self.home_of(database));
        command.env("DATABASE_URL", self.cluster.url("guiche_app", &database.name));
        command.env("DATABASE_WORKER_URL", self.cluster.url("guiche_worker", &database.name));
        command
    }

    /// Starts the service on a private database of its own below `name`, and returns when it is ready.
    pub(crate) fn serve_embedded(&self, name: &str) -> Result<Service, BoxError> {
        let home = self.directory.path().join(name);
        Service::start(self.command(&home), &home)
    }

    /// The program with nothing of our own environment but the way to other programs; without rate limits, because all
    /// of the load comes from one address.
    fn command(&self, home: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().stdin(Stdio::null());
        command.envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
        command.env("GUICHE_DATA_DIR", home).env("LOG_FORMAT", "json");
        command.env("LISTEN_ADDR", "127.0.0.1:0").env("METRICS_ADDR", "127.0.0.1:0");
        command.env("ACCESS_TOKEN_EXPIRE_MINUTES", TOKEN_MINUTES);
        for limit in ["RATE_LIMIT_ADDRESS", "RATE_LIMIT_ACCOUNT", "RATE_LIMIT_LOGIN"] {
            command.env(limit, "0");
        }
        command
    }

    /// The settings of the server that decide what a commit costs.
    pub(crate) async fn settings(&self) -> Result<BTreeMap<String, String>, BoxError> {
        let client = self.superuser("postgres").await?;
        let mut settings = BTreeMap::new();
        for name in ["server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers"] {
            let row = client.query_one(&format!("SHOW {name}"), &[]).await?;
            settings.insert(name.to_owned(), row.get(0));
        }
        Ok(settings)
    }

    /// Stops the cluster and removes what is left of the run.
    pub(crate) async fn remove(self) -> Result<(), BoxError> {
        let home = self.cluster.directory().to_owned();
        self.cluster.shutdown().await?;
        // As root below a closed directory the cluster lies elsewhere.
        if !home.starts_with(self.directory.path()) && home.exists() {
            fs::remove_dir_all(home)?;
        }
        Ok(self.directory.close()?)
    }
}

/// A running service.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process to its first yes on `/readyz`.
    pub(crate) ready_after: Duration,
}

impl Service {
    fn start(mut command: Command, home: &Path) -> Result<Self, BoxError> {
        fs::create_dir_all(home)?;
        // A file, as a container's runtime keeps one: what is written there is part of what a request costs.
        let log = home.join("guiche.log");
        let begun = Instant::now();
        let child = command.stdout(Stdio::null()).stderr(File::create(&log)?).spawn()?;
        let mut service =
            Self { child, address: SocketAddr::from(([0, 0, 0, 0], 0)), ready_after: Duration::ZERO };
        service.address = until(begun, || {
            if let Some(ended) = service.child.try_wait()? {
                return Err(format!("the service ended with {ended}: {}", fs::read_to_string(&log)?).into());
            }
            address_in(&fs::read_to_string(&log)?)
        })?;
        let look = Request::get("/readyz", "");
        until(begun, || Ok(http::ask(service.address, &look).ok()))?;
        service.ready_after = begun.elapsed();
        Ok(service)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it as an operator does, and waits for its end.
    pub(crate) fn stop(mut self) -> Result<(), BoxError> {
        Command::new("kill").arg(self.pid().to_string()).status()?;
        until(Instant::now(), || Ok(self.child.try_wait()?)).map(drop)
    }
}

impl Drop for Service {
    /// Whatever went wrong, nothing is left running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address_in(log: &str) -> Result<Option<SocketAddr>, BoxError> {
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let listening = lines.find(|line| line.get("message").is_some_and(|message| message == "listening"));
    let address = listening.as_ref().and_then(|line| line.get("address")).and_then(Value::as_str);
    Ok(address.map(str::parse).transpose()?)
}

fn until<T>(begun: Instant, mut look: impl FnMut() -> Result<Option<T>, BoxError>) -> Result<T, BoxError> {
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if begun.elapsed() > PATIENCE {
            return Err("it takes longer than a minute".into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
