//! Where the cluster lies: its home, its owner, and its socket.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder},
    io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    account::{Account, name_of},
    error::{EmbeddedError, io_error},
    locks,
    options::Options,
};

/// The port names the socket file only; nothing listens on the network.
pub(crate) const SOCKET_FILE: &str = ".s.PGSQL.5432";
/// What every system takes as a socket's path, its closing zero byte included (Linux 108, others 104).
const SOCKET_PATH_LIMIT: usize = 104;
/// Where the socket's directory goes when its path would be too long in the home. All are open to everybody, so the
/// name is random: nobody can take it before us.
const SOCKET_BASES: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/run"];

#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) home: PathBuf,
    pub(crate) account: Account,
    pub(crate) notice: Option<String>,
    pub(crate) socket: PathBuf,
}

impl Place {
    /// Decides on the home and the account; makes nothing but the directories above.
    pub(crate) async fn choose(options: &Options) -> Result<Self, EmbeddedError> {
        let wanted = resolve(&options.directory)?;
        if Account::we_are_root() {
            Self::choose_as_root(options, wanted).await
        } else {
            Ok(Self { socket: wanted.join("run"), home: wanted, account: Account::current(), notice: None })
        }
    }

    /// Where [`choose`](Self::choose) would find the cluster that there is; makes nothing at all.
    pub(crate) fn look(options: &Options) -> Result<Self, EmbeddedError> {
        let wanted = std::path::absolute(&options.directory).map_err(io_error("find", &options.directory))?;
        let mut home = fs::canonicalize(&wanted).unwrap_or(wanted);
        let base =
            std::path::absolute(&options.fallback_base).map_err(io_error("find", &options.fallback_base))?;
        let fallback = base.join(fingerprint(&[home.as_os_str().as_bytes()]));
        if Account::we_are_root() && !has_data(&home) && has_data(&fallback) {
            home = fallback;
        }
        let account = if Account::we_are_root() { Account::for_root(&home)? } else { Account::current() };
        Ok(Self { socket: home.join("run"), home, account, notice: None })
    }

    /// Whether the socket lies in the home; where its path would be too long it is somewhere else.
    pub(crate) fn socket_fits(&self) -> bool {
        fits(&self.socket)
    }

    /// Makes the home, and what a server needs in it.
    pub(crate) async fn settle(mut self, options: &Options) -> Result<Self, EmbeddedError> {
        self.make_home()?;
        self.furnish().await?;
        if !fits(&self.socket) {
            self.socket = self.socket_elsewhere(&SOCKET_BASES, options.start_timeout).await?;
        }
        Ok(self)
    }

    /// Existing data decides first: a change of permissions must never make it look lost.
    async fn choose_as_root(options: &Options, wanted: PathBuf) -> Result<Self, EmbeddedError> {
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
            Err(error) => return Err(no_home(&self.home)(error)),
        }
        let found = self.home.metadata().map_err(no_home(&self.home))?;
        if !found.is_dir() {
            return Err(no_home(&self.home)(io::ErrorKind::NotADirectory.into()));
        }
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

    /// Makes what lies in the home.
    async fn furnish(&self) -> Result<(), EmbeddedError> {
        let furnished = ["run", "lock/share", "lock/start", "lock/watch"];
        if !furnished.iter().all(|name| self.home.join(name).exists()) {
            let script = r#"umask 077; cd "$1" && mkdir -p run lock && chmod 700 . run lock && : >>lock/share && : >>lock/start && : >>lock/watch"#;
            self.shell_at_home("prepare", script).await?;
        }
        Ok(())
    }

    /// The socket's directory outside of the home. The choice is written down there, so that every process agrees; a
    /// directory that has become somebody else's is passed over for a new one.
    async fn socket_elsewhere(&self, bases: &[&str], limit: Duration) -> Result<PathBuf, EmbeddedError> {
        if let Some(chosen) = self.choose_socket(&[]).await? {
            return Ok(chosen);
        }
        // One chooses at a time, and looks first whether another has just done so.
        let _start = locks::start(self, limit).await?;
        let chosen = self.choose_socket(bases).await?;
        chosen.ok_or_else(|| EmbeddedError::NoSocket { reason: "there is no place for it".to_owned() })
    }

    /// The directory that was written down, else a new one below the first of `bases` that takes it.
    async fn choose_socket(&self, bases: &[&str]) -> Result<Option<PathBuf>, EmbeddedError> {
        let script = r#"umask 077; cd "$1" || exit
            shift
            mine() { [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ] && chmod 700 "$1"; }
            if read -r chosen 2>/dev/null <lock/socket; then
                mkdir "$chosen" 2>/dev/null
                mine "$chosen" && echo "$chosen" && exit
            fi
            reasons=
            for base; do
                if made=$(mktemp -d "$base/guiche-XXXXXXXXXX" 2>&1); then
                    echo "$made" >lock/socket.new && mv lock/socket.new lock/socket && echo "$made"
                    exit
                fi
                reasons="$reasons${reasons:+; }$made"
            done
            echo "$reasons"
            [ $# = 0 ]"#;
        let mut arguments = vec![self.home.as_os_str()];
        arguments.extend(bases.iter().map(OsStr::new));
        match self.account.shell(script, &arguments, "").await {
            Ok((true, chosen)) => Ok(Some(chosen).filter(|chosen| !chosen.is_empty()).map(PathBuf::from)),
            Ok((false, reason)) => Err(EmbeddedError::NoSocket { reason: reason.replace('\n', "; ") }),
            Err(error) => Err(io_error("choose a socket directory for", &self.home)(error)),
        }
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
    fs::create_dir_all(parent).map_err(no_home(&absolute))?;
    let parent = fs::canonicalize(parent).map_err(io_error("find", parent))?;
    Ok(absolute.file_name().map_or(parent.clone(), |name| parent.join(name)))
}

fn no_home(directory: &Path) -> impl FnOnce(io::Error) -> EmbeddedError + '_ {
    move |source| {
        let kind = source.kind();
        let in_its_place = matches!(kind, io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory);
        let source = if in_its_place { io::Error::new(kind, "a file is in its place") } else { source };
        EmbeddedError::NoHome { directory: directory.to_path_buf(), source }
    }
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

    #[tokio::test]
    async fn no_place_for_a_socket_has_its_reasons() {
        let home = tempfile::tempdir().unwrap();
        let place = Place {
            home: home.path().to_path_buf(),
            account: Account::current(),
            notice: None,
            socket: PathBuf::new(),
        };
        place.furnish().await.unwrap();
        let limit = Duration::from_secs(1);
        let error = place.socket_elsewhere(&["/proc/nowhere", "/nowhere-else"], limit).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, EmbeddedError::NoSocket { .. }) && !text.contains('\n'), "{text}");
        for part in ["/proc/nowhere/guiche-", "; ", "/nowhere-else/guiche-", "GUICHE_DATA_DIR"] {
            assert!(text.contains(part), "{part}: {text}");
        }

        let base = home.path().to_str().unwrap();
        let chosen = place.socket_elsewhere(&["/proc/nowhere", base], limit).await.unwrap();
        assert!(chosen.starts_with(base) && chosen.is_dir());
        assert_eq!(place.socket_elsewhere(&["/tmp"], limit).await.unwrap(), chosen, "it is remembered");
    }

    #[test]
    fn a_socket_path_may_fill_the_limit_and_not_more() {
        assert!(fits(Path::new(&"d".repeat(89))));
        assert!(!fits(Path::new(&"d".repeat(90))));
    }
}
