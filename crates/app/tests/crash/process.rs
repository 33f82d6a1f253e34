//! The program under test as a process, in a world of its own.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::office::Office;
use crate::support::{eventually, eventually_blocking};

/// How long a start may take on a busy machine, the making of a cluster included.
pub(crate) const START: Duration = Duration::from_secs(60);

/// A directory and the settings of every process in it.
pub(crate) struct World {
    directory: tempfile::TempDir,
    settings: BTreeMap<String, String>,
    program: PathBuf,
    user: Option<(u32, u32)>,
    logs: AtomicU32,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    /// On a private PostgreSQL in its data directory, with cheap passwords, without limits, on free ports.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // The server of a cluster that root starts is another user, who must get this far.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let data = directory.path().join("data");
        let mut world = Self {
            directory,
            settings: BTreeMap::new(),
            program: PathBuf::from(env!("CARGO_BIN_EXE_guiche")),
            user: None,
            logs: AtomicU32::new(0),
        };
        for (name, value) in [
            ("GUICHE_DATA_DIR", data.to_str().unwrap()),
            ("LISTEN_ADDR", "127.0.0.1:0"),
            ("METRICS_ADDR", "127.0.0.1:0"),
            ("LOG_FORMAT", "json"),
            ("BCRYPT_COST", "4"),
            ("RATE_LIMIT_ADDRESS", "0"),
            ("RATE_LIMIT_ACCOUNT", "0"),
            ("RATE_LIMIT_LOGIN", "0"),
        ] {
            world.set(name, value);
        }
        // Where a private server's binaries come from is this machine's affair, not the test's.
        for name in ["GUICHE_EMBEDDED_INSTALL", "GUICHE_POSTGRES_ARCHIVE", "GUICHE_POSTGRES_ARCHIVE_SHA256"] {
            if let Ok(value) = std::env::var(name) {
                world.set(name, &value);
            }
        }
        world
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    /// Lets processes run as that user, with a program that the user can reach.
    pub(crate) fn become_user(&mut self, uid: u32, gid: u32) {
        let copy = self.directory.path().join("guiche");
        fs::copy(&self.program, &copy).unwrap();
        fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(self.directory.path(), Some(uid), Some(gid)).unwrap();
        self.program = copy;
        self.user = Some((uid, gid));
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The private cluster's home.
    pub(crate) fn postgres(&self) -> PathBuf {
        self.data().join("postgres")
    }

    /// The number of the private server's first process.
    pub(crate) fn postmaster(&self) -> Option<u32> {
        let text = fs::read_to_string(self.postgres().join("data/postmaster.pid")).ok()?;
        let pid: u32 = text.lines().next()?.trim().parse().ok()?;
        is_process(pid).then_some(pid)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().envs(&self.settings).current_dir(self.path());
        command.stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// One that is named after the command; their order is that of the commands.
    fn log_file(&self, command: &str, kind: &str) -> (PathBuf, File) {
        let number = self.logs.fetch_add(1, Ordering::Relaxed);
        let path = self.path().join(format!("{number:04}-{command}.{kind}"));
        let file = File::create(&path).unwrap();
        (path, file)
    }

    /// Runs a command to its end, which must come.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        self.spawn(arguments).ended(START).await
    }

    /// As [`run`](Self::run), with other settings for this one.
    pub(crate) async fn run_with(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Ended {
        self.spawn_with(arguments, settings).ended(START).await
    }

    pub(crate) fn spawn(&self, arguments: &[&str]) -> App {
        self.spawn_with(arguments, &[])
    }

    /// As [`spawn`](Self::spawn), with other settings for this one.
    fn spawn_with(&self, arguments: &[&str], settings: &[(&str, &str)]) -> App {
        let name = arguments.first().unwrap_or(&"guiche");
        let ((stdout, out), (stderr, err)) = (self.log_file(name, "stdout"), self.log_file(name, "stderr"));
        let mut command = self.command(arguments);
        command.envs(settings.iter().copied());
        let child = command.stdout(out).stderr(err).spawn().unwrap();
        App { child, stdout, stderr, address: String::new(), metrics: String::new() }
    }

    /// Starts serving, and returns when the address is known.
    pub(crate) async fn serve(&self) -> App {
        let mut app = self.spawn(&["serve"]);
        let (address, metrics) = eventually("the address in the log", START, async || {
            let ended = app.child.try_wait().unwrap();
            let log = app.log();
            assert!(ended.is_none(), "it ended with {ended:?} before it listened: {log}");
            let mut lines = log.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let listening = lines.find(|line| line["message"] == "listening")?;
            let told = |name: &str| listening[name].as_str().map(str::to_owned);
            Some((told("address")?, told("metrics")?))
        })
        .await;
        (app.address, app.metrics) = (address, metrics);
        app
    }

    /// As [`serve`](Self::serve), and waits until it is ready.
    pub(crate) async fn ready(&self) -> App {
        let app = self.serve().await;
        app.office().ready(START).await;
        app
    }

    /// Everything that the processes have said so far.
    pub(crate) fn said(&self) -> String {
        self.sayings().into_iter().map(|(_, text)| text).collect()
    }

    /// As [`said`](Self::said), each text by the command and the stream that it came from.
    pub(crate) fn sayings(&self) -> Vec<(String, String)> {
        let names = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name.ends_with(".stdout") || name.ends_with(".stderr"));
        names.sort();
        // The last character may be only half written.
        let read = |name: &String| String::from_utf8_lossy(&fs::read(self.path().join(name)).unwrap()).into();
        names.into_iter().map(|name| (name.clone(), read(&name))).collect()
    }

    /// Whether the private server and its watcher have gone.
    pub(crate) fn is_quiet(&self) -> bool {
        let watched = || Some(File::open(self.postgres().join("lock/watch")).ok()?.try_lock().is_err());
        self.postmaster().is_none() && !watched().unwrap_or(false)
    }
}

impl Drop for World {
    /// The directory can go only when nobody works in it any more.
    fn drop(&mut self) {
        let quiet = eventually_blocking(Duration::from_secs(30), || self.is_quiet().then_some(()));
        if quiet.is_none() {
            println!("the private server in {} did not stop", self.path().display());
        }
    }
}

/// A process of the program, which never outlives its test.
pub(crate) struct App {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    pub(crate) address: String,
    pub(crate) metrics: String,
}

impl Drop for App {
    fn drop(&mut self) {
        self.kill();
    }
}

impl App {
    pub(crate) fn office(&self) -> Office {
        Office::at(&self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        // The last character may be only half written.
        String::from_utf8_lossy(&fs::read(&self.stderr).unwrap()).into_owned()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(name, &[self.pid()]);
    }

    /// Stops it where it is, every thread of it: the signal alone says nothing of when a busy machine carries it out.
    pub(crate) async fn freeze(&self) {
        self.signal("STOP");
        eventually("every thread to stop", Duration::from_secs(10), async || {
            let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
            let stopped = |stat: String| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'));
            let stats = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("stat")));
            stats.flatten().all(stopped).then_some(())
        })
        .await;
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its own end.
    pub(crate) async fn ended(mut self, within: Duration) -> Ended {
        let child = &mut self.child;
        let status = eventually("the end of the process", within, async || child.try_wait().unwrap()).await;
        let stdout = fs::read_to_string(&self.stdout).unwrap();
        Ended { code: status.code(), stdout, stderr: self.log() }
    }
}

/// Sends a signal to processes that may have ended already.
pub(crate) fn signal(name: &str, pids: &[u32]) {
    let pids = pids.iter().map(ToString::to_string);
    let _ = Command::new("sh")
        .args(["-c", r#"kill "$@""#, "sh"])
        .arg(format!("-{name}"))
        .args(pids)
        .stderr(Stdio::null())
        .status()
        .unwrap();
}

/// Whether the number belongs to a process that has not ended.
pub(crate) fn is_process(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

/// The children of a process.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().nth(1) == Some(parent.to_string().as_str())
    })
    .collect()
}
