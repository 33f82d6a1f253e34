//! The user as whom the server runs, and how to act as that user.
//!
//! Whatever is written into the cluster's home, or signalled, is written and signalled *as that user*, by a small shell:
//! root never follows a link, or trusts a process number, that the server's user could have put there.

use std::{
    ffi::OsStr,
    io,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::Path,
    process::{Command, Output, Stdio},
};

use tokio::io::AsyncWriteExt as _;

use crate::error::EmbeddedError;

#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    gid: u32,
    pub(crate) name: String,
    /// Whether we are root and must become this user.
    switch: bool,
}

impl Account {
    /// Whether this process may choose the server's user.
    pub(crate) fn we_are_root() -> bool {
        uzers::get_effective_uid() == 0
    }

    /// Ourselves, as an ordinary user.
    pub(crate) fn current() -> Self {
        let uid = uzers::get_effective_uid();
        Self { uid, gid: uzers::get_effective_gid(), name: name_of(uid), switch: false }
    }

    /// For root: the owner of `home`, else `postgres`, else `nobody`.
    pub(crate) fn for_root(home: &Path) -> Result<Self, EmbeddedError> {
        if let Ok(found) = home.symlink_metadata()
            && found.uid() != 0
        {
            let gid = uzers::get_user_by_uid(found.uid()).map_or(found.gid(), |user| user.primary_group_id());
            return Ok(Self { uid: found.uid(), gid, name: name_of(found.uid()), switch: true });
        }
        let user = ["postgres", "nobody"]
            .iter()
            .find_map(uzers::get_user_by_name)
            .ok_or(EmbeddedError::NoServerUser)?;
        Ok(Self { uid: user.uid(), gid: user.primary_group_id(), name: name_of(user.uid()), switch: true })
    }

    /// Makes `path` this account's, when root made it.
    pub(crate) fn own(&self, path: &Path) -> io::Result<()> {
        if self.switch { std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }

    /// A command that runs as this account, without our caller's PostgreSQL settings and language.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") || name.as_encoded_bytes().starts_with(b"LC_") {
                command.env_remove(name);
            }
        }
        // A server built for systemd would tell the service manager, in our name, that it is ready and that it stops.
        command.env_remove("NOTIFY_SOCKET");
        command.env("LC_ALL", "C").env("TZ", "UTC").stdin(Stdio::null()).current_dir("/");
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Runs `command` to its end; dropping the future ends it too.
    pub(crate) async fn output(command: Command) -> io::Result<Output> {
        tokio::process::Command::from(command).kill_on_drop(true).output().await
    }

    /// Runs a shell script as this account; `Ok(false)` when the script says no.
    pub(crate) async fn shell<S: AsRef<OsStr> + Sync>(
        &self,
        script: &str,
        arguments: &[S],
        input: &str,
    ) -> io::Result<(bool, String)> {
        let mut command = self.command("/bin/sh");
        command.arg("-c").arg(script).arg("guiche").args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A script that reads nothing may have ended already; its status says whether that was well.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = child.wait_with_output().await?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((output.status.success(), text.trim().to_owned()))
    }
}

pub(crate) fn name_of(uid: u32) -> String {
    uzers::get_user_by_uid(uid)
        .map_or_else(|| uid.to_string(), |user| user.name().to_string_lossy().into_owned())
}
