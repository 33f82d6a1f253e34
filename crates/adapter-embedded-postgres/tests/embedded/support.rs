//! What the tests share: a world of their own, processes to kill, and bounded waiting.

use std::{
    ffi::OsString,
    fs,
    future::Future,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use guiche_adapter_embedded_postgres::{Acquire, EmbeddedPostgres, Options};
use tempfile::TempDir;
use tokio_postgres::{NoTls, SimpleQueryMessage};

const HOLD: &str = "GUICHE_TEST_HOLD";

/// A directory tree for one test, in memory when possible; whatever still runs in it at the end is killed.
pub(crate) struct World {
    root: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let base =
            if Path::new("/dev/shm").is_dir() { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
        let root = TempDir::with_prefix_in("guiche-embedded-", base).unwrap();
        // The server's user must be able to pass through when we are root.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o711)).unwrap();
        Self { root }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("postgres")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home().join("data")
    }

    pub(crate) fn options(&self) -> Options {
        options(self.home(), self.path("fallback"))
    }

    pub(crate) async fn start(&self) -> EmbeddedPostgres {
        EmbeddedPostgres::start(self.options()).await.unwrap()
    }

    /// Another process that holds a share.
    pub(crate) fn hold(&self) -> Holder {
        Holder::spawn(self.options().directory, self.options().fallback_base)
    }

    /// The running server's process number.
    pub(crate) fn postmaster(&self) -> u32 {
        first_number(&self.data().join("postmaster.pid")).expect("a server runs")
    }

    /// The process group in which watcher and server run.
    pub(crate) fn watcher(&self) -> u32 {
        first_number(&self.home().join("lock/watch.pid")).expect("a watcher was started")
    }

    pub(crate) async fn stopped(&self) {
        let file = self.data().join("postmaster.pid");
        eventually("the server has stopped", || async { !file.exists() }).await;
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.home().join("server.log")).unwrap_or_default()
    }
}

/// On this machine's binaries, or what its variables say where there are none.
fn options(directory: PathBuf, fallback_base: PathBuf) -> Options {
    let acquire = Acquire::from_environment().unwrap();
    Options { acquire, fallback_base, ..Options::new(directory) }
}

impl Drop for World {
    fn drop(&mut self) {
        // A server that is killed leaves its shared memory behind, so it gets a while to stop; a lingering one is told.
        let begun = Instant::now();
        while let Some(pid) = first_number(&self.data().join("postmaster.pid"))
            && begun.elapsed() < Duration::from_secs(5)
        {
            if begun.elapsed() > Duration::from_secs(1) && alive(pid) {
                kill("INT", &pid.to_string());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        for pid in processes() {
            if fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(self.root.path())) {
                kill("KILL", &pid.to_string());
            }
        }
    }
}

/// A process that holds a share until it is killed.
pub(crate) struct Holder {
    child: Child,
}

impl Holder {
    pub(crate) fn spawn(directory: PathBuf, fallback: PathBuf) -> Self {
        Self::spawn_with_path(directory, fallback, std::env::var_os("PATH").unwrap())
    }

    /// One that finds other programs than we do.
    pub(crate) fn spawn_with_path(directory: PathBuf, fallback: PathBuf, programs: OsString) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .env("PATH", programs)
            // One test lets it fail, and the log says enough.
            .stderr(Stdio::null())
            .args(["--exact", "support::hold_a_share_until_killed", "--nocapture"])
            .env(HOLD, directory)
            .env("GUICHE_TEST_FALLBACK", fallback)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child }
    }

    /// Waits until it has its share; its word, which is the process number of the server it found.
    pub(crate) fn ready(&mut self) -> String {
        let output = BufReader::new(self.child.stdout.as_mut().unwrap());
        let said = output
            .lines()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("holding ")?.1.to_owned()));
        said.expect("the holder has its share")
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test unless another one runs it as a process of its own.
#[tokio::test]
async fn hold_a_share_until_killed() {
    let Some(directory) = std::env::var_os(HOLD) else { return };
    let fallback_base = std::env::var_os("GUICHE_TEST_FALLBACK").unwrap().into();
    let server = EmbeddedPostgres::start(options(directory.into(), fallback_base)).await.unwrap();
    let pid = first_number(&server.directory().join("data/postmaster.pid")).unwrap();
    println!("holding {pid}");
    std::io::stdout().flush().unwrap();
    std::future::pending::<()>().await;
}

/// The first row's first column of the last statement.
pub(crate) async fn ask(server: &EmbeddedPostgres, sql: &str) -> String {
    try_ask(&server.superuser_url("postgres"), sql).await.unwrap()
}

pub(crate) async fn try_ask(url: &str, sql: &str) -> Result<String, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    let answer = client.simple_query(sql).await?;
    drop(client);
    let _ = connection.await;
    let value = answer.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
        _ => None,
    });
    Ok(value.unwrap_or_default())
}

/// What a crash must not take along.
pub(crate) async fn remember(server: &EmbeddedPostgres) {
    ask(server, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").await;
}

pub(crate) async fn remembers(server: &EmbeddedPostgres) {
    assert_eq!(ask(server, "SELECT sum(n) FROM kept").await, "7");
}

pub(crate) async fn kill_the_server(world: &World) {
    let pid = world.postmaster();
    kill("KILL", &pid.to_string());
    eventually("the server is dead", || async { !alive(pid) }).await;
}

/// Kills watcher and server together, as a power cut would, but for the sessions.
pub(crate) async fn kill_the_group(world: &World) {
    let pid = world.postmaster();
    kill("KILL", &format!("-{}", world.watcher()));
    eventually("the server is dead", || async { !alive(pid) }).await;
}

/// Asks again until it is so; fails after half a minute.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut question: impl FnMut() -> F) {
    let begun = Instant::now();
    while !question().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "still waiting after 30 s until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn first_number(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.lines().next()?.trim().parse().ok()
}

/// Whether the process runs; a dead one that nobody has reaped does not.
pub(crate) fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

pub(crate) fn processes() -> Vec<u32> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Whoever has `parent` as a parent.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    processes().into_iter().filter(|pid| status(*pid, "PPid:") == Some(parent)).collect()
}

/// A number from `/proc/<pid>/status`.
pub(crate) fn status(pid: u32, key: &str) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

pub(crate) fn kill(signal: &str, target: &str) {
    let _ = Command::new("/bin/sh").args(["-c", &format!("kill -{signal} {target} 2>/dev/null")]).status();
}

pub(crate) fn we_are_root() -> bool {
    status(std::process::id(), "Uid:") == Some(0)
}
