//! What the server says of itself in `postmaster.pid`, checked against the process table.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    error::{EmbeddedError, io_error},
    place::{Place, SOCKET_FILE},
};

/// No system gives this number to a process.
const NOBODYS_PID: &str = "2147483646";

/// What the server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    Starting,
    Stopping,
    Dead,
}

/// A run of the server: its process number and the second in which it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) pid: u32,
    started: String,
}

impl Run {
    pub(crate) fn label(&self) -> String {
        format!("{} {}", self.pid, self.started)
    }
}

/// The state of the server, and the run it speaks of (also that of a dead one which left its file behind).
pub(crate) fn look(place: &Place) -> (State, Option<Run>) {
    let Ok(text) = fs::read_to_string(place.data().join("postmaster.pid")) else {
        return (State::Dead, None);
    };
    // Process, data directory, start, port, socket directory, address, shared memory, state.
    let mut lines = text.lines();
    let Some(pid) = lines.next().and_then(|line| line.trim().parse::<u32>().ok()) else {
        return (State::Dead, None);
    };
    let run = Run { pid, started: lines.nth(1).unwrap_or_default().trim().to_owned() };
    let state = match lines.nth(4).map(str::trim) {
        _ if !lives(pid, &place.data()) => State::Dead,
        Some("ready") => State::Ready,
        Some("stopping") => State::Stopping,
        Some(_) | None => State::Starting,
    };
    (state, Some(run))
}

/// Whether `pid` is a server process of this cluster. A process number alone proves nothing: after a reboot it may be
/// anybody's, and a dead process that nobody reaped still has one. A server works in its data directory.
fn lives(pid: u32, data: &Path) -> bool {
    let process = PathBuf::from(format!("/proc/{pid}"));
    if !Path::new("/proc/self/comm").exists() {
        // No process table to look at (not Linux): believe the number.
        return Command::new("kill")
            .arg("-0")
            .arg(pid.to_string())
            .output()
            .is_ok_and(|asked| asked.status.success());
    }
    let Ok(name) = fs::read_to_string(process.join("comm")) else { return false };
    matches!(name.trim(), "postgres" | "postmaster") && same_directory(&process.join("cwd"), data)
}

fn same_directory(one: &Path, other: &Path) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => one.dev() == other.dev() && one.ino() == other.ino(),
        (Ok(_) | Err(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

/// Makes a dead server's lock files harmless, where PostgreSQL would believe that it is alive because its number belongs
/// to a dead process that nobody has reaped yet, or to a stranger. What else is in the pid file stays: PostgreSQL checks
/// with it that no orphaned session still uses the data. The socket is this cluster's alone. The caller holds the locks
/// `start` and `watch`.
pub(crate) async fn disarm(place: &Place) -> Result<(), EmbeddedError> {
    let (state, run) = look(place);
    if state != State::Dead {
        return Ok(());
    }
    let socket = place.socket.join(SOCKET_FILE);
    let script = r#"umask 077; rm -f "$2" "$2.lock"; cd "$1/data" && [ "$3" != 0 ] || exit 0
        sed "1s/.*/$3/" postmaster.pid >postmaster.pid.new && mv postmaster.pid.new postmaster.pid"#;
    let misleading = run.is_some_and(|run| Path::new(&format!("/proc/{}", run.pid)).exists());
    let number = if misleading { NOBODYS_PID } else { "0" };
    let arguments = [place.home.as_os_str(), socket.as_os_str(), OsStr::new(number)];
    match place.account.shell(script, &arguments, "").await.map_err(io_error("clean up", &place.home))? {
        (true, _) => Ok(()),
        (false, output) => Err(io_error("clean up", &place.home)(io::Error::other(output))),
    }
}

/// Asks the running server to stop at once, in good order.
pub(crate) async fn interrupt(place: &Place, run: &Run) -> Result<(), EmbeddedError> {
    let script = format!("kill -INT {} 2>/dev/null; :", run.pid);
    place.shell_at_home("stop the server in", &script).await.map(drop)
}

/// Ends the sessions that outlived their server: a busy one notices only when its statement is done.
pub(crate) async fn end_orphans(place: &Place) -> Result<(), EmbeddedError> {
    let data = place.data();
    let Ok(processes) = fs::read_dir("/proc") else { return Ok(()) };
    let orphans: Vec<String> = processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()))
        .filter(|pid| lives(*pid, &data))
        .map(|pid| pid.to_string())
        .collect();
    if orphans.is_empty() {
        return Ok(());
    }
    tracing::warn!(count = orphans.len(), "ending sessions that outlived their private PostgreSQL");
    let script = format!("kill -QUIT {} 2>/dev/null; :", orphans.join(" "));
    place.shell_at_home("end orphaned sessions in", &script).await.map(drop)
}

/// The last lines of the server's log from `offset` on, as one line.
pub(crate) fn log_tail(place: &Place, offset: u64) -> String {
    let text = fs::read(place.log()).unwrap_or_default();
    let start = usize::try_from(offset).ok().filter(|start| *start <= text.len()).unwrap_or_default();
    let text = String::from_utf8_lossy(text.get(start..).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(8)..).unwrap_or_default().join(" | ");
    if tail.is_empty() { "(it says nothing)".to_owned() } else { tail }
}

pub(crate) fn log_length(place: &Place) -> u64 {
    place.log().metadata().map_or(0, |found| found.len())
}
