//! A PostgreSQL server that a test can stop, kill and freeze: by TCP, with passwords, as an operator would run it.

use std::fs::{self, OpenOptions};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use guiche_adapter_embedded_postgres::{Acquire, EmbeddedPostgres, Options};

use crate::books::Books;
use crate::process::{World, children, is_process, signal};
use crate::support::{any, eventually, eventually_blocking};

const ROLES: &str = include_str!("../../../../deploy/postgres/roles.sql");
const UP: Duration = Duration::from_secs(60);

/// Stops the server when the test process is gone, however it went: the pipe on its standard input ends then.
const KEEPER: &str = r#"
    exec 3<&0
    "$@" </dev/null 3<&- &
    server=$!
    (read -r _ <&3; kill -QUIT "$server") 2>/dev/null &
    keeper=$!
    wait "$server"
    kill "$keeper"
"#;

/// The server and its data.
pub(crate) struct Cluster {
    home: tempfile::TempDir,
    bin: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    keeper: Option<Child>,
    /// The password of every login.
    pub(crate) password: String,
}

impl Cluster {
    /// A server with the roles and an empty database `guiche`.
    pub(crate) async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        // First: a package brings the user `postgres`.
        let bin = binaries(home.path()).await;
        let user = (uzers::get_effective_uid() == 0).then(|| {
            let user = ["postgres", "nobody"].iter().find_map(uzers::get_user_by_name).unwrap();
            (user.uid(), user.primary_group_id())
        });
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(home.path(), Some(uid), Some(gid)).unwrap();
        }
        let password = format!("canary-of-the-database-{:016x}", any());
        let mut cluster = Self { home, bin, user, port: free_port(), keeper: None, password };
        let data = cluster.data();
        let made = cluster
            .command("initdb")
            .arg("-D")
            .arg(&data)
            .args(["-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let rules = "local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), rules).unwrap();
        cluster.up().await;
        cluster.prepare().await;
        cluster
    }

    async fn prepare(&self) {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.home.path()).port(self.port).user("postgres").dbname("postgres");
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(ROLES).await.unwrap();
        for role in ["guiche_owner", "guiche_app", "guiche_worker", "postgres"] {
            let sql = format!("ALTER ROLE {role} PASSWORD '{}'", self.password);
            client.batch_execute(&sql).await.unwrap();
        }
        client.batch_execute("CREATE DATABASE guiche OWNER guiche_owner").await.unwrap();
    }

    /// The URL for a login.
    pub(crate) fn url(&self, role: &str) -> String {
        format!("postgresql://{role}:{}@127.0.0.1:{}/guiche", self.password, self.port)
    }

    /// A world whose processes use this server; nothing is migrated yet.
    pub(crate) fn world(&self) -> World {
        let mut world = World::new();
        world.set("DATABASE_URL", &self.url("guiche_app"));
        world.set("DATABASE_WORKER_URL", &self.url("guiche_worker"));
        world.set("DATABASE_OWNER_URL", &self.url("guiche_owner"));
        world
    }

    /// As [`world`](Self::world), migrated.
    pub(crate) async fn migrated_world(&self) -> World {
        let world = self.world();
        let migrated = world.run(&["migrate"]).await;
        assert_eq!(migrated.code, Some(0), "{migrated:?}");
        world
    }

    pub(crate) async fn books(&self) -> Books {
        Books::at(self.home.path(), self.port).await
    }

    /// What the server has written.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap()).into_owned()
    }

    /// Starts the server, over and over while the leavings of a killed one are in its way.
    pub(crate) async fn up(&mut self) {
        eventually("PostgreSQL", UP, async || {
            let gone = self.keeper.as_mut().is_none_or(|keeper| keeper.try_wait().unwrap().is_some());
            if gone {
                self.launch();
            }
            let mut config = tokio_postgres::Config::new();
            config.host_path(self.home.path()).port(self.port).user("postgres").dbname("postgres");
            config.connect(tokio_postgres::NoTls).await.ok().map(drop)
        })
        .await;
    }

    fn launch(&mut self) {
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = self.command("/bin/sh");
        command.args(["-c", KEEPER, "keeper"]).arg(self.bin.join("postgres")).arg("-D").arg(self.data());
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", &format!("port={}", self.port)]);
        command.args(["-c", &format!("unix_socket_directories={}", self.home.path().display())]);
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        self.keeper = Some(command.spawn().unwrap());
    }

    /// The first process and all sessions.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let Some(first) = self.postmaster() else { return Vec::new() };
        let mut all = children(first);
        all.insert(0, first);
        all
    }

    pub(crate) fn postmaster(&self) -> Option<u32> {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        let pid: u32 = text.lines().next()?.trim().parse().ok()?;
        is_process(pid).then_some(pid)
    }

    /// A fast shutdown, waited for.
    pub(crate) async fn stop(&mut self) {
        signal("INT", &[self.postmaster().unwrap()]);
        self.gone().await;
    }

    /// `kill -9` of the first process; the sessions notice by themselves.
    pub(crate) async fn kill(&mut self) {
        signal("KILL", &[self.postmaster().unwrap()]);
        self.gone().await;
    }

    async fn gone(&mut self) {
        let keeper = self.keeper.as_mut().unwrap();
        eventually("the end of PostgreSQL", UP, async || keeper.try_wait().unwrap()).await;
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").current_dir(self.home.path());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join("server.log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let processes = self.processes();
        // In this order: a frozen process takes the first when it takes the second.
        signal("QUIT", &processes);
        signal("CONT", &processes);
        let Some(mut keeper) = self.keeper.take() else { return };
        let gone = eventually_blocking(Duration::from_secs(10), || keeper.try_wait().unwrap());
        if gone.is_none() {
            signal("KILL", &processes);
            let _ = keeper.kill();
        }
        let _ = keeper.wait();
    }
}

/// Where the newest supported server lies.
/// Those of the private server, fetched or installed in the same way where there are none.
async fn binaries(home: &Path) -> PathBuf {
    let acquire = Acquire::from_environment().unwrap();
    EmbeddedPostgres::binaries(&Options { acquire, ..Options::new(home) }).await.unwrap()
}

/// A port below those that the system hands out, so that nobody gets it by chance while the server is down.
fn free_port() -> u16 {
    loop {
        let port = 15_000 + u16::try_from(any() % 15_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
