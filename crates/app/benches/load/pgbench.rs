//! The limit of what the database answers: pgbench, by the same socket, as the same login, with prepared statements.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use guiche_kernel::BoxError;

use crate::proc;
use crate::world::Database;

/// As many as the service keeps for citizens.
const CONNECTIONS: usize = 16;
const LOGIN: &str = "guiche_app";

/// What pgbench saw, and what a call cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Called {
    /// Calls in a second.
    pub(crate) rate: f64,
    /// Processor time of a call, of pgbench and of all of PostgreSQL.
    pub(crate) cpu: Duration,
}

/// What is called.
#[derive(Debug, Clone, Default)]
pub(crate) struct Statements {
    /// Any of them at any time.
    pub(crate) scripts: Vec<String>,
    /// Named values, which the scripts pass on as parameters (`:name`).
    pub(crate) values: Vec<(&'static str, String)>,
}

/// The tool, with a directory for its scripts.
#[derive(Debug, Clone)]
pub(crate) struct Pgbench {
    directory: PathBuf,
    cores: usize,
}

impl Pgbench {
    /// Whether it is installed.
    pub(crate) fn is_there() -> bool {
        Command::new("pgbench").arg("--version").output().is_ok()
    }

    pub(crate) fn new(directory: &Path, cores: usize) -> Self {
        Self { directory: directory.to_owned(), cores }
    }

    /// Calls the statements; blocks until the time is over.
    pub(crate) fn call(
        &self,
        name: &str,
        database: &Database,
        statements: &Statements,
        time: Duration,
    ) -> Result<Called, BoxError> {
        let mut command = Command::new("pgbench");
        command.args(["--no-vacuum", "--protocol=prepared", "--username", LOGIN, "--host"]);
        command.arg(&database.socket).args(["--client", &CONNECTIONS.to_string()]);
        command.args(["--jobs", &self.cores.to_string(), "--time", &time.as_secs().max(1).to_string()]);
        for (number, script) in statements.scripts.iter().enumerate() {
            let file = self.directory.join(format!("{name}-{number}.sql"));
            fs::write(&file, script)?;
            command.arg("--file").arg(file);
        }
        for (name, value) in &statements.values {
            command.arg("--define").arg(format!("{name}={value}"));
        }
        let before = proc::cpu_with_children(database.postmaster)? + proc::cpu_of_ended_children()?;
        let output = command.arg(&database.name).output()?;
        let after = proc::cpu_with_children(database.postmaster)? + proc::cpu_of_ended_children()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("pgbench failed: {complaint}").into());
        }
        let calls = number_after(&printed, "number of transactions actually processed: ");
        let rate = number_after(&printed, "tps = ");
        match (calls, rate) {
            (Some(calls), Some(rate)) if calls >= 1.0 => {
                Ok(Called { rate, cpu: after.saturating_sub(before).div_f64(calls) })
            }
            (Some(_) | None, Some(_) | None) => {
                Err(format!("pgbench called nothing: {complaint}{printed}").into())
            }
        }
    }
}

fn number_after(printed: &str, name: &str) -> Option<f64> {
    let line = printed.lines().find_map(|line| line.strip_prefix(name))?;
    line.split([' ', '/']).next()?.parse().ok()
}
