//! Where the cluster lies: its home, its owner, and its socket.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use crate::{
    account::{Account, name_of},
    error::{EmbeddedError, io_error},
    options::Options,
};

/// The port names the socket file only; nothing listens on the network.
pub(crate) const SOCKET_FILE: &str = ".s.PGSQL.5432";
/// What every system takes as a socket's path, its closing zero byte included (Linux 108, others 104).
const SOCKET_PATH_LIMIT: usize = 104;

#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) home: PathBuf,
    pub(crate) account: Account,
    pub(crate) notice: Option<String>,
    pub(crate) socket: PathBuf,
}

impl Place {
    /// Decides on the home and the account, and makes the directories.
    pub(crate) async fn settle(options: &Options) -> Result<Self, EmbeddedError> {
        let wanted = resolve(&options.directory)?;
        let mut place = if Account::we_are_root() {
            Self::settle_as_root(options, wanted).await?
        } else {
            Self { socket: wanted.join("run"), home: wanted, account: Account::current(), notice: None }
        };
        place.make_home()?;
        place.furnish().await?;
        Ok(place)
    }

    /// Existing data decides first: a change of permissions must never make it look lost.
    async fn settle_as_root(options: &Options, wanted: PathBuf) -> Result<Self, EmbeddedError> {
        let base =
            std::path::absolute(&options.fallback_base).map_err(io_error("find", &options.fallback_base))?;
        let fallback = base.join(fingerprint(&[wanted.as_os_str().as_bytes()]));
        let account = Account::for_root(&wanted)?;
        let reaches = reaches(&account, parent_of(&wanted)).await?;
        if reaches && (has_data(&wanted) || !has_data(&fallback)) {
            return Ok(Self { socket: wanted.join("run"), home: wanted, account, notice: None });
        }
        if has_data(&wanted) {
            return Err(EmbeddedError::Unreachable { directory: wanted, user: account.name });
        }
        let account = Account::for_root(&fallback)?;
        DirBuilder::new().recursive(true).mode(0o755).create(&base).map_err(io_error("create", &base))?;
        if !self::reaches(&account, &base).await? {
            return Err(EmbeddedError::Unreachable { directory: fallback, user: account.name });
        }
        let notice = format!(
            "the private database is kept in {}, because user {}, as whom the server runs, cannot reach {}",
            fallback.display(),
            account.name,
            wanted.display()
        );
        Ok(Self { socket: fallback.join("run"), home: fallback, account, notice: Some(notice) })
    }

    fn make_home(&self) -> Result<(), EmbeddedError> {
        match DirBuilder::new().mode(0o700).create(&self.home) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io_error("create", &self.home)(error)),
        }
        let found = self.home.metadata().map_err(io_error("read", &self.home))?;
        if found.uid() == 0 && self.account.uid != 0 && Account::we_are_root() {
            return self.account.own(&self.home).map_err(io_error("hand over", &self.home));
        }
        if found.uid() != self.account.uid {
            return Err(EmbeddedError::WrongOwner {
                directory: self.home.clone(),
                owner: name_of(found.uid()),
                user: self.account.name.clone(),
            });
        }
        Ok(())
    }

    /// Makes what lies in the home, and the socket's directory elsewhere when its path would be too long here.
    async fn furnish(&mut self) -> Result<(), EmbeddedError> {
        let furnished = ["run", "lock/share", "lock/start", "lock/watch"];
        if !furnished.iter().all(|name| self.home.join(name).exists()) {
            let script = r#"umask 077; cd "$1" && mkdir -p run lock && chmod 700 . run lock && : >>lock/share && : >>lock/start && : >>lock/watch"#;
            self.shell_at_home("prepare", script).await?;
        }
        if fits(&self.socket) {
            return Ok(());
        }
        // The choice is written down, so that processes with other ideas agree; a foreign directory is passed over.
        let script = r#"umask 077; cd "$1" || exit
            mine() { [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ] && chmod 700 "$1"; }
            read -r chosen 2>/dev/null <lock/socket && { mkdir "$chosen" 2>/dev/null; mine "$chosen"; } && echo "$chosen" && exit
            for n in 0 1 2 3 4 5 6 7 8 9; do
                mkdir "$2-$n" 2>/dev/null
                mine "$2-$n" && echo "$2-$n" >lock/socket.new && mv lock/socket.new lock/socket && echo "$2-$n" && exit
            done
            exit 1"#;
        let wanted = format!("/tmp/guiche-{}", fingerprint(&[self.home.as_os_str().as_bytes()]));
        let home = self.home.as_os_str();
        let (done, chosen) = self
            .account
            .shell(script, &[home, wanted.as_ref()], "")
            .await
            .map_err(io_error("make a socket directory", &wanted))?;
        if !done {
            return Err(io_error("make a socket directory", wanted)(io::Error::other(chosen)));
        }
        self.socket = PathBuf::from(chosen);
        Ok(())
    }

    /// Runs a script as the server's user, with the home as its first argument.
    pub(crate) async fn shell_at_home(
        &self,
        action: &'static str,
        script: &str,
    ) -> Result<String, EmbeddedError> {
        let ran = self.account.shell(script, &[self.home.as_os_str()], "").await;
        match ran.map_err(io_error(action, &self.home))? {
            (true, output) => Ok(output),
            (false, output) => Err(io_error(action, &self.home)(io::Error::other(output))),
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.home.join("server.log")
    }

    pub(crate) fn lock_file(&self, name: &str) -> PathBuf {
        self.home.join("lock").join(name)
    }
}

/// Absolute and free of links, so that every spelling of a directory means the same cluster.
fn resolve(directory: &Path) -> Result<PathBuf, EmbeddedError> {
    let absolute = std::path::absolute(directory).map_err(io_error("find", directory))?;
    if let Ok(found) = fs::canonicalize(&absolute) {
        return Ok(found);
    }
    let parent = parent_of(&absolute);
    fs::create_dir_all(parent).map_err(io_error("create", parent))?;
    let parent = fs::canonicalize(parent).map_err(io_error("find", parent))?;
    Ok(absolute.file_name().map_or(parent.clone(), |name| parent.join(name)))
}

fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn has_data(home: &Path) -> bool {
    home.join("data/PG_VERSION").exists()
}

/// Asks the kernel rather than the mode bits: access lists and mounts have a say too.
async fn reaches(account: &Account, directory: &Path) -> Result<bool, EmbeddedError> {
    let asked = account.shell(r#"cd -- "$1""#, &[directory], "").await;
    asked.map(|(reached, _)| reached).map_err(io_error("act as the server's user in", directory))
}

fn fits(socket_directory: &Path) -> bool {
    // The directory, a slash, the file, a zero byte.
    socket_directory.as_os_str().len() + SOCKET_FILE.len() + 2 <= SOCKET_PATH_LIMIT
}

/// FNV-1a: stable between versions and machines, which the standard hasher does not promise.
pub(crate) fn fingerprint(parts: &[&[u8]]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.iter().chain(&[0]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_stable_and_keeps_its_parts_apart() {
        assert_eq!(fingerprint(&[]), "cbf29ce484222325");
        assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
    }

    #[test]
    fn a_socket_path_may_fill_the_limit_and_not_more() {
        assert!(fits(Path::new(&"d".repeat(89))));
        assert!(!fits(Path::new(&"d".repeat(90))));
    }
}
