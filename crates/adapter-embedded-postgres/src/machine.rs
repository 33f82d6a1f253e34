//! What this crate asks the machine about; a value, so that a test can stand on another one.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use uzers::os::unix::UserExt as _;

use crate::account::Account;

/// Where package managers and the scripts of their packages expect their helpers. An ordinary user's `PATH`, kept by
/// root, lacks half of them.
const SYSTEM_PROGRAMS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// Where its file system begins.
    pub(crate) root: PathBuf,
    /// Its `PATH`.
    pub(crate) programs: OsString,
    /// Whether we are root there, and so may install packages.
    pub(crate) we_are_root: bool,
    /// Where unpacked binaries are kept, for every cluster of this user; `None` is where this user keeps such things.
    pub(crate) cache: Option<PathBuf>,
    /// How long one installation, one download, or the wait for another process that is at it, may take.
    pub(crate) patience: Duration,
}

impl Machine {
    /// The one that we run on.
    pub(crate) fn here() -> Self {
        Self {
            root: "/".into(),
            programs: std::env::var_os("PATH").unwrap_or_default(),
            we_are_root: Account::we_are_root(),
            cache: None,
            patience: Duration::from_mins(15),
        }
    }

    /// The directory for unpacked binaries. Root's is open to readers: the server runs as somebody else.
    pub(crate) fn cache(&self) -> PathBuf {
        match &self.cache {
            Some(chosen) => chosen.clone(),
            None if self.we_are_root => "/var/cache/guiche".into(),
            None => own_cache(),
        }
    }

    /// `ID` and `ID_LIKE` of `/etc/os-release`: the names of this distribution and of those it descends from.
    pub(crate) fn family(&self) -> Vec<String> {
        let release = fs::read_to_string(self.root.join("etc/os-release")).unwrap_or_default();
        family_of(&release)
    }

    /// The program of that name in `PATH`.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.programs)
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join(name))
            .find(|file| file.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0))
    }

    /// `PATH`, and after it what the scripts of packages need.
    pub(crate) fn programs_of_the_system(&self) -> OsString {
        let mut programs = self.programs.clone();
        if !programs.is_empty() {
            programs.push(":");
        }
        programs.push(SYSTEM_PROGRAMS);
        programs
    }
}

pub(crate) fn family_of(os_release: &str) -> Vec<String> {
    let words = ["ID=", "ID_LIKE="].into_iter().flat_map(|key| {
        let value = os_release.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        value.trim_matches(['"', '\'']).split_whitespace()
    });
    words.map(str::to_owned).collect()
}

/// An ordinary user's: where caches belong, else (a service account has no home) a directory for temporary files.
fn own_cache() -> PathBuf {
    let uid = uzers::get_effective_uid();
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = absolute("HOME").or_else(|| uzers::get_user_by_uid(uid).map(|user| user.home_dir().into()));
    let bases = [absolute("XDG_CACHE_HOME"), home.map(|home| home.join(".cache"))];
    bases
        .into_iter()
        .flatten()
        .find(|base| is_usable(base))
        .map_or_else(|| std::env::temp_dir().join(format!("guiche-cache-{uid}")), |base| base.join("guiche"))
}

/// Whether a directory can be made there; tried, because access lists and read-only mounts have a say too.
fn is_usable(base: &Path) -> bool {
    let made = || DirBuilder::new().mode(0o755).create(base.join("guiche"));
    fs::create_dir_all(base).is_ok() && (base.join("guiche").is_dir() || made().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_is_the_distribution_and_its_ancestors() {
        assert_eq!(family_of("PRETTY_NAME=\"Debian\"\nID=debian\n"), ["debian"]);
        assert_eq!(
            family_of("ID_LIKE=\"ubuntu debian\"\nID='linuxmint'\nVERSION_ID=\"22\""),
            ["linuxmint", "ubuntu", "debian"]
        );
        assert!(family_of("").is_empty());
    }

    #[test]
    fn only_what_can_be_run_is_a_program() {
        let directory = tempfile::tempdir().unwrap();
        let machine = Machine { programs: directory.path().into(), ..Machine::here() };
        let tool = directory.path().join("tool");
        fs::write(&tool, "").unwrap();
        assert_eq!(machine.program("tool"), None);
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(machine.program("tool"), Some(tool));
    }

    #[test]
    fn root_without_its_own_path_still_finds_what_packages_need() {
        let machine = Machine { programs: "/opt/mine".into(), ..Machine::here() };
        let programs = machine.programs_of_the_system().into_string().unwrap();
        assert!(programs.starts_with("/opt/mine:") && programs.contains(":/usr/sbin:"), "{programs}");
        let bare = Machine { programs: OsString::new(), ..machine };
        assert!(!bare.programs_of_the_system().into_string().unwrap().starts_with(':'), "`.` is no place");
    }
}
