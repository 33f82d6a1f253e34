//! The program in a directory of its own.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use guiche_app::web;
use reqwest::Method;
use serde_json::Value;

/// How long a start may take on a busy machine, the making of a cluster included.
pub(crate) const START: Duration = Duration::from_secs(90);

/// A directory, and the environment of every process in it.
pub(crate) struct World {
    directory: tempfile::TempDir,
    settings: BTreeMap<String, String>,
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
    /// With nothing but cheap passwords, free ports, and a data directory that is not there yet.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // The server of a cluster that root starts is another user, who must get this far.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let mut world = Self { directory, settings: BTreeMap::new(), logs: AtomicU32::new(0) };
        let data = world.data();
        world.set("GUICHE_DATA_DIR", data.to_str().unwrap());
        world.set("LISTEN_ADDR", &format!("127.0.0.1:{}", free_port()));
        world.set("METRICS_ADDR", "127.0.0.1:0");
        world.set("BCRYPT_COST", "4");
        // Where a private server's binaries come from is this machine's affair, not the test's.
        for name in ["GUICHE_EMBEDDED_INSTALL", "GUICHE_POSTGRES_ARCHIVE", "GUICHE_POSTGRES_ARCHIVE_SHA256"] {
            if let Ok(value) = std::env::var(name) {
                world.set(name, &value);
            }
        }
        world
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Where a server of this world listens.
    pub(crate) fn address(&self) -> String {
        self.settings["LISTEN_ADDR"].clone()
    }

    /// The program with these arguments, and with nobody at its terminal.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_guiche"));
        command.args(arguments).env_clear().envs(&self.settings).current_dir(self.path());
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Has the server of this world delete something of a citizen's.
    pub(crate) fn delete(&self, path: &str, token: &str) {
        let (status, answer) = ask(self, Method::DELETE, path, Some(token), None);
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
    }

    /// Starts a server, and returns at once.
    pub(crate) fn spawn(&self) -> Server {
        let number = self.logs.fetch_add(1, Ordering::Relaxed);
        let log = self.path().join(format!("serve.{number}"));
        let child = self.command(&["serve"]).stderr(File::create(&log).unwrap()).spawn().unwrap();
        Server { child, log }
    }

    /// Starts a server, and waits until it serves.
    pub(crate) fn serve(&self) -> Server {
        let mut server = self.spawn();
        eventually("a server that serves", || {
            assert!(server.child.try_wait().unwrap().is_none(), "it ended: {}", server.log());
            (self.run(&["healthcheck"]).code == Some(0)).then_some(())
        });
        server
    }
}

/// A server, which never outlives its test.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// What it answers with success.
    pub(crate) fn get(&self, world: &World, path: &str) -> Value {
        ask(world, Method::GET, path, None, None).1
    }

    /// As [`get`](Self::get), to a citizen's request.
    pub(crate) fn post(&self, world: &World, path: &str, token: Option<&str>, body: &Value) -> Value {
        let (status, answer) = ask(world, Method::POST, path, token, Some(body));
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// With which status it answers.
    pub(crate) fn status(&self, world: &World, path: &str, token: Option<&str>) -> u16 {
        ask(world, Method::GET, path, token, None).0
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(self) {
        self.signal("TERM");
        self.ended();
    }

    /// Waits for its good end.
    pub(crate) fn ended(mut self) {
        let status = eventually("the end of the server", || self.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("sh")
                .args(["-c", r#"kill "$@""#, "sh"])
                .args([&format!("-{name}"), &pid])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Server {
    /// Gently, so that a private database goes with it and its directory can be removed.
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.signal("TERM");
            let begun = Instant::now();
            while self.child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(30) {
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn ask(world: &World, method: Method, path: &str, token: Option<&str>, body: Option<&Value>) -> (u16, Value) {
    let mut request =
        web::client().build().unwrap().request(method, format!("http://{}{path}", world.address()));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or(Value::Null))
    })
}

/// A port that nobody listens on. Somebody else may take it before it is used; then the test fails, and says so.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Asks until there is an answer. The one way in which these tests wait for a state.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begun.elapsed() < START, "still not after {START:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
