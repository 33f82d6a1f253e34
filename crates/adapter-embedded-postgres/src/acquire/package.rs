//! Installs the system's own package of the server. Only the binaries are wanted: the cluster that the package may make
//! is its administrator's, and is neither used nor changed.

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    time::{Instant, timeout_at},
};

use super::{
    cache,
    progress::{Progress, announce},
};
use crate::{
    binaries::SUPPORTED,
    error::{EmbeddedError, io_error},
    locks::{self, Held},
    machine::Machine,
};

/// How long an `apt-get` that was asked to stop may take to leave its database in order.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// How many lines of a failed command are told.
const TOLD: usize = 12;

/// Whether this is a system whose package we know how to install, and we may.
pub(super) fn can_install(machine: &Machine) -> bool {
    let family = machine.family();
    let debian = family.iter().any(|name| name == "debian" || name == "ubuntu");
    machine.we_are_root && debian && machine.program("apt-get").is_some()
}

/// Waits until nobody else here is installing it.
pub(super) async fn turn(machine: &Machine) -> Result<Held, EmbeddedError> {
    let base = machine.cache();
    cache::prepare(&base)?;
    let waiting = || announce("waiting for another process that installs PostgreSQL");
    let awaited = "another process that installs PostgreSQL";
    locks::turn(&base.join("install.lock"), awaited, machine.patience, waiting).await
}

/// Installs the package; with data of `major` at hand, the package of exactly that version.
pub(super) async fn install(machine: &Machine, major: Option<u32>) -> Result<(), EmbeddedError> {
    let numbered = major.filter(|major| SUPPORTED.contains(major));
    let package = numbered.map_or_else(|| "postgresql".to_owned(), |major| format!("postgresql-{major}"));
    announce(&format!(
        "no PostgreSQL server binaries found; installing the package {package} (GUICHE_EMBEDDED_INSTALL=never forbids it)"
    ));
    let begun = Instant::now();
    let deadline = begun + machine.patience;
    let progress = Progress::spinner("installing PostgreSQL");
    let update = run(machine, deadline, &["update"]).await?;
    // A broken source of other packages is no reason yet: what is known may be enough.
    let wait = "DPkg::Lock::Timeout=300";
    let arguments = ["install", "-y", "--no-install-recommends", "-o", wait, &package];
    let install = run(machine, deadline, &arguments).await?;
    drop(progress);
    if install.status.success() {
        announce(&format!("the package {package} was installed in {:.1} s", begun.elapsed().as_secs_f32()));
        return Ok(());
    }
    let output = if update.status.success() { told(&[&install]) } else { told(&[&update, &install]) };
    Err(EmbeddedError::NotInstalled { command: command_line(&arguments), output })
}

async fn run(machine: &Machine, deadline: Instant, arguments: &[&str]) -> Result<Output, EmbeddedError> {
    let program = machine.program("apt-get").unwrap_or_else(|| "apt-get".into());
    let mut command = Command::new(&program);
    command
        .args(arguments)
        .env("PATH", machine.programs_of_the_system())
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = command.spawn().map_err(io_error("run", &program))?;
    let pid = child.id();
    let mut ending = std::pin::pin!(Child::wait_with_output(child));
    if let Ok(ended) = timeout_at(deadline, &mut ending).await {
        return ended.map_err(io_error("run", &program));
    }
    if let Some(pid) = pid {
        // Asked first: killed in the middle, it would leave the system's packages half-made.
        let script = r#"kill -TERM "$1""#;
        let _ = Command::new("/bin/sh").args(["-c", script, "sh"]).arg(pid.to_string()).status().await;
    }
    let _ = timeout_at(Instant::now() + LAST_WORDS, ending).await;
    let output = format!("it did not end within {} s", machine.patience.as_secs());
    Err(EmbeddedError::NotInstalled { command: command_line(arguments), output })
}

fn command_line(arguments: &[&str]) -> String {
    format!("apt-get {}", arguments.join(" "))
}

/// The last lines of what was said, as one.
fn told(outputs: &[&Output]) -> String {
    let mut lines = Vec::new();
    for output in outputs {
        for said in [&output.stdout, &output.stderr] {
            let said = String::from_utf8_lossy(said);
            lines.extend(said.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
        }
    }
    lines.split_off(lines.len().saturating_sub(TOLD)).join(" | ")
}
