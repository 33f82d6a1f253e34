//! What a caller may choose.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::acquire::Acquire;

/// How the private server is found, started and prepared.
///
/// Processes that share a server should pass the same options: settings are those of whoever started it.
///
/// ```
/// # use guiche_adapter_embedded_postgres::Options;
/// let options = Options {
///     bootstrap_sql: Some("DO $$ BEGIN CREATE ROLE clerk LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$".into()),
///     database: Some(("office".into(), "clerk".into())),
///     ..Options::new("/srv/office/postgres")
/// };
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    /// The cluster's home. `data/`, `run/`, `lock/` and `server.log` lie in it; only the server's user can enter it.
    pub directory: PathBuf,
    /// Where root's clusters go when the server's user cannot reach [`directory`](Self::directory).
    pub fallback_base: PathBuf,
    /// The server binaries to use. `None` searches the usual places, `pg_config` and `PATH`.
    pub bin_dir: Option<PathBuf>,
    /// What may be done where there are no server binaries. Nothing, unless an application asks for more; and nothing
    /// where an explicit [`bin_dir`](Self::bin_dir) has none.
    pub acquire: Acquire,
    /// Server settings, as of `postgres -c name=value`. Where the server listens cannot be changed by them.
    pub settings: Vec<(String, String)>,
    /// Idempotent SQL, run as the superuser in database `postgres` once after every start of the server.
    pub bootstrap_sql: Option<String>,
    /// A database and its owner, created after the bootstrap when it is missing.
    pub database: Option<(String, String)>,
    /// How long the server waits for a new sharer after the last one has gone. Whole seconds count.
    pub linger: Duration,
    /// How long one start may take, recovery after a crash included.
    pub start_timeout: Duration,
}

impl Options {
    /// A durable server: `fsync` and data checksums on, stopped with its last sharer.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            fallback_base: PathBuf::from("/var/lib/guiche"),
            bin_dir: None,
            acquire: Acquire::NOTHING,
            settings: Vec::new(),
            bootstrap_sql: None,
            database: None,
            linger: Duration::ZERO,
            start_timeout: Duration::from_secs(120),
        }
    }

    /// A server for tests: fast, not durable, and it lingers for ten seconds so that consecutive test processes share it.
    #[must_use]
    pub fn throwaway(directory: impl Into<PathBuf>) -> Self {
        let settings = [
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
            ("autovacuum", "off"),
            ("max_connections", "300"),
            ("wal_level", "minimal"),
            ("max_wal_senders", "0"),
            ("max_wal_size", "256MB"),
        ];
        Self {
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            linger: Duration::from_secs(10),
            ..Self::new(directory)
        }
    }

    /// The place for a throwaway cluster called `name` of the current user: in memory when there is room (1 GiB), else
    /// in the directory for temporary files. The same call gives the same place in every process.
    #[must_use]
    pub fn throwaway_directory(name: &str) -> PathBuf {
        let memory = Path::new("/dev/shm");
        let base = if has_room(memory) { memory.to_path_buf() } else { std::env::temp_dir() };
        base.join(format!("guiche-{name}-{}", uzers::get_effective_uid()))
    }
}

/// Whether a gibibyte is free there. `df` is POSIX, and the standard library has no such question.
fn has_room(directory: &Path) -> bool {
    let output =
        Command::new("df").arg("-Pk").arg(directory).stdin(Stdio::null()).stderr(Stdio::null()).output();
    output.is_ok_and(|output| {
        let table = String::from_utf8_lossy(&output.stdout);
        let free = table
            .lines()
            .nth(1)
            .and_then(|row| row.split_whitespace().nth(3))
            .and_then(|kib| kib.parse::<u64>().ok());
        output.status.success() && free.is_some_and(|kib| kib > 1024 * 1024)
    })
}
