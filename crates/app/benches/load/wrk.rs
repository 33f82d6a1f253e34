//! The load: wrk with a script of ours.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use guiche_kernel::BoxError;
use serde::Deserialize;

use crate::proc;

const SCRIPT: &str = include_str!("wrk.lua");
/// An answer that takes longer counts as broken.
const PATIENCE: &str = "10s";

/// One request of the list that is played.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    /// The access token, without `Bearer`.
    pub(crate) token: String,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn get(path: impl Into<String>, token: &str) -> Self {
        Self { method: "GET", path: path.into(), token: token.to_owned(), ..Self::default() }
    }

    pub(crate) fn post(path: impl Into<String>, token: &str, body: impl Into<String>) -> Self {
        let body = body.into();
        let content_type = if body.is_empty() { "" } else { "application/json" };
        Self { method: "POST", path: path.into(), token: token.to_owned(), content_type, body }
    }

    fn line(&self) -> String {
        let Self { method, path, token, content_type, body } = self;
        format!("{method}\t{path}\t{token}\t{content_type}\t{body}\n")
    }
}

/// How a list is played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Play {
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    /// How long a refused connection rests before it asks again.
    pub(crate) rest: Duration,
}

impl Play {
    /// As fast as it goes.
    pub(crate) const fn flat_out(connections: usize, time: Duration) -> Self {
        Self { connections, time, rest: Duration::ZERO }
    }

    /// As fast as it goes for whoever is not refused.
    pub(crate) const fn resting(self, rest: Duration) -> Self {
        Self { rest, ..self }
    }
}

/// What wrk saw.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Seen {
    requests: f64,
    /// Answers with a status above 399.
    pub(crate) refused: f64,
    /// Connections that failed, and answers that did not come.
    pub(crate) broken: f64,
    micros: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Processor time of wrk itself.
    #[serde(skip)]
    pub(crate) cpu: Duration,
}

impl Seen {
    /// Requests that were answered as they should be.
    pub(crate) fn served(&self) -> f64 {
        (self.requests - self.refused).max(0.0)
    }

    /// All answers.
    pub(crate) fn answered(&self) -> f64 {
        self.requests
    }

    /// Served requests in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.served() / (self.micros / 1e6)
    }
}

/// The tool, with a directory for its script and its lists.
#[derive(Debug, Clone)]
pub(crate) struct Wrk {
    directory: PathBuf,
    script: PathBuf,
    cores: usize,
}

impl Wrk {
    /// Whether it is installed.
    pub(crate) fn is_there() -> bool {
        Command::new("wrk").arg("-v").output().is_ok()
    }

    pub(crate) fn new(directory: &Path, cores: usize) -> Result<Self, BoxError> {
        let script = directory.join("wrk.lua");
        fs::write(&script, SCRIPT)?;
        Ok(Self { directory: directory.to_owned(), script, cores })
    }

    /// Plays a list; blocks until it is over. Two may play at once under different names, but then neither knows its own
    /// processor time.
    pub(crate) fn play(
        &self,
        name: &str,
        server: SocketAddr,
        requests: &[Request],
        play: Play,
    ) -> Result<Seen, BoxError> {
        let list = self.directory.join(format!("{name}.requests"));
        fs::write(&list, requests.iter().map(Request::line).collect::<String>())?;
        let threads = self.cores.min(play.connections).min(requests.len()).max(1);
        let before = proc::cpu_of_ended_children()?;
        let output = Command::new("wrk")
            .args(["-t", &threads.to_string(), "-c", &play.connections.to_string()])
            .args(["-d", &format!("{}s", play.time.as_secs().max(1)), "--timeout", PATIENCE, "-s"])
            .arg(&self.script)
            .arg(format!("http://{server}"))
            .arg("--")
            .arg(&list)
            .args([threads.to_string(), play.rest.as_millis().to_string()])
            .output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let Some(line) = printed.lines().find_map(|line| line.strip_prefix("guiche ")) else {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(format!("wrk did not finish: {complaint}{printed}").into());
        };
        let mut seen: Seen = serde_json::from_str(line)?;
        seen.cpu = proc::cpu_of_ended_children()?.saturating_sub(before);
        Ok(seen)
    }
}
