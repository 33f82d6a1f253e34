//! Finds server binaries of a version that fits.

use std::{
    cmp::Reverse,
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    account::Account,
    error::{EmbeddedError, io_error},
    place::Place,
};

const SUPPORTED: RangeInclusive<u32> = 15..=18;
/// Suggested where a version must be named.
const PREFERRED: u32 = 17;

/// One installed server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    pub(crate) directory: PathBuf,
    pub(crate) major: u32,
}

/// The binaries for this cluster: of the major version that made its data, else the newest supported.
pub(crate) fn find(explicit: Option<&Path>, place: &Place) -> Result<Binaries, EmbeddedError> {
    let made_by = data_major(&place.data())?;
    // Absolute, because the server works in another directory.
    let explicit =
        explicit.map(|directory| std::path::absolute(directory).unwrap_or_else(|_| directory.into()));
    let candidates = explicit.clone().map_or_else(usual_places, |directory| vec![directory]);
    let searched = explicit.map_or_else(
        || "/usr/lib/postgresql/*/bin, pg_config --bindir, PATH".to_owned(),
        |directory| directory.display().to_string(),
    );
    let installed: Vec<Binaries> =
        candidates.iter().filter_map(|directory| inspect(directory, &place.account)).collect();
    choose(installed, made_by, &place.data(), searched)
}

fn choose(
    mut installed: Vec<Binaries>,
    made_by: Option<u32>,
    data: &Path,
    searched: String,
) -> Result<Binaries, EmbeddedError> {
    if installed.is_empty() {
        return Err(EmbeddedError::NoBinaries { searched, install: install_command(made_by) });
    }
    // Stable: within a major version the order of the search stays.
    installed.sort_by_key(|found| Reverse(found.major));
    let supported: Vec<&Binaries> =
        installed.iter().filter(|found| SUPPORTED.contains(&found.major)).collect();
    let Some(newest) = supported.first() else {
        let found: Vec<String> = installed
            .iter()
            .map(|found| format!("{} in {}", found.major, found.directory.display()))
            .collect();
        return Err(EmbeddedError::UnsupportedVersion {
            found: found.join(", "),
            // What the system offers by itself is likely what was found.
            install: install_command(made_by.or(Some(PREFERRED))),
        });
    };
    let Some(major) = made_by else { return Ok((*newest).clone()) };
    if let Some(same) = supported.iter().find(|found| found.major == major) {
        return Ok((*same).clone());
    }
    let mut available: Vec<String> = supported.iter().map(|found| found.major.to_string()).collect();
    available.dedup();
    let cure = if SUPPORTED.contains(&major) {
        format!(
            "install PostgreSQL {major} beside it with {}, or dump the data there and load it into a new data directory",
            install_command(made_by)
        )
    } else {
        format!(
            "{major} is not supported (15 to 18 are): run pg_upgrade on it, or dump it with PostgreSQL {major} and load it into a new data directory"
        )
    };
    Err(EmbeddedError::OtherMajor {
        directory: data.to_path_buf(),
        found: major,
        available: available.join(", "),
        cure,
    })
}

/// The major version that made the data, if there is any.
pub(crate) fn data_major(data: &Path) -> Result<Option<u32>, EmbeddedError> {
    let path = data.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let broken = || {
                io_error("understand", path)(std::io::Error::other("not the version of a PostgreSQL cluster"))
            };
            // Before 10 a major version had two parts; the first is enough to refuse it.
            text.trim().split('.').next().and_then(|major| major.parse().ok()).map(Some).ok_or_else(broken)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

fn usual_places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    // Debian and its children; Fedora's upstream packages; Alpine.
    for (base, prefix, below) in
        [("/usr/lib/postgresql", "", "bin"), ("/usr", "pgsql-", "bin"), ("/usr/libexec", "postgresql", "")]
    {
        for entry in fs::read_dir(base).into_iter().flatten().flatten() {
            let numbered =
                entry.file_name().to_str().and_then(|name| name.strip_prefix(prefix)?.parse::<u32>().ok());
            if numbered.is_some() {
                places.push(entry.path().join(below));
            }
        }
    }
    let asked = Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).stderr(Stdio::null()).output();
    if let Ok(output) = asked
        && output.status.success()
    {
        places.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    places.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    let mut seen = Vec::new();
    places.retain(|place| {
        let fresh = !seen.contains(place);
        seen.push(place.clone());
        fresh && place.is_absolute()
    });
    places
}

/// The server in `directory`, when all that we need of it is there.
fn inspect(directory: &Path, account: &Account) -> Option<Binaries> {
    if !directory.join("initdb").is_file() || !directory.join("postgres").is_file() {
        return None;
    }
    let output = account.command(directory.join("postgres")).arg("--version").output().ok()?;
    let major = parse_version(&String::from_utf8_lossy(&output.stdout))?;
    Some(Binaries { directory: directory.to_path_buf(), major })
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, `postgres (PostgreSQL) 19beta1`
fn parse_version(text: &str) -> Option<u32> {
    let version = text.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// How to install a server on this machine: one command where we know it.
fn install_command(major: Option<u32>) -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let command = install_command_for(&release, major.filter(|major| SUPPORTED.contains(major)));
    told(command, Account::we_are_root())
}

/// Who may run it belongs to the command: not every system has `sudo`, and not everybody may use it.
fn told(command: Option<String>, we_are_root: bool) -> String {
    match command {
        None => "your package manager".to_owned(),
        Some(command) if we_are_root || command.starts_with("brew") => format!("`{command}`"),
        Some(command) => format!("`{command}` (root must run that)"),
    }
}

fn install_command_for(os_release: &str, major: Option<u32>) -> Option<String> {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    let family = format!("{} {}", value("ID"), value("ID_LIKE"));
    let is = |names: &[&str]| family.split_whitespace().any(|word| names.contains(&word));
    let number = major.map_or_else(String::new, |major| major.to_string());
    let numbered = major.unwrap_or(PREFERRED);
    if is(&["debian", "ubuntu"]) {
        let install = "apt-get install -y --no-install-recommends";
        // The system's own archive has one version; the PostgreSQL project's has them all.
        Some(major.map_or_else(
            || format!("apt-get update && {install} postgresql"),
            |major| {
                let archive = "/usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y";
                format!("apt-get update && {install} ca-certificates postgresql-common && {archive} && {install} postgresql-{major}")
            },
        ))
    } else if is(&["alpine"]) {
        Some(format!("apk add postgresql{numbered}"))
    } else if is(&["fedora", "rhel", "centos"]) {
        Some(format!("dnf install -y postgresql{number}-server"))
    } else if is(&["arch"]) && major.is_none() {
        Some("pacman -S --noconfirm postgresql".to_owned())
    } else if is(&["suse", "opensuse"]) {
        Some(format!("zypper install -y postgresql{number}-server"))
    } else if cfg!(target_os = "macos") {
        Some(format!("brew install postgresql@{numbered}"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(majors: &[u32]) -> Vec<Binaries> {
        majors
            .iter()
            .map(|major| Binaries { directory: format!("/pg/{major}").into(), major: *major })
            .collect()
    }

    fn chosen(majors: &[u32], made_by: Option<u32>) -> Result<u32, String> {
        choose(installed(majors), made_by, Path::new("/srv/data"), "nowhere".into())
            .map(|found| found.major)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_newest_supported_version_makes_a_new_cluster() {
        assert_eq!(chosen(&[15, 17, 19, 14], None), Ok(17));
    }

    #[test]
    fn data_keeps_its_major_version() {
        assert_eq!(chosen(&[15, 18, 16], Some(16)), Ok(16));
    }

    #[test]
    fn another_major_version_is_refused_with_the_way_out() {
        let error = chosen(&[15, 17], Some(16)).unwrap_err();
        assert!(
            error.contains("made by PostgreSQL 16, and this machine has 17, 15; install PostgreSQL 16"),
            "{error}"
        );
        let error = chosen(&[15], Some(14)).unwrap_err();
        assert!(error.contains("14 is not supported") && error.contains("pg_upgrade"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn unsupported_versions_are_named() {
        let error = chosen(&[14, 19], None).unwrap_err();
        assert!(error.contains("19 in /pg/19, 14 in /pg/14") && error.contains("15 to 18"), "{error}");
    }

    #[test]
    fn versions_are_understood() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(parse_version("something else"), None);
    }

    #[test]
    fn an_ordinary_user_is_told_that_root_installs() {
        let command = || Some("apk add postgresql17".to_owned());
        assert_eq!(told(command(), true), "`apk add postgresql17`");
        assert_eq!(told(command(), false), "`apk add postgresql17` (root must run that)");
        assert_eq!(
            told(Some("brew install postgresql@17".to_owned()), false),
            "`brew install postgresql@17`"
        );
        assert_eq!(told(None, false), "your package manager");
    }

    #[test]
    fn each_system_has_its_command() {
        let debian = "PRETTY_NAME=\"Debian\"\nID=debian\n";
        let command = |release, major| install_command_for(release, major).unwrap();
        assert!(command(debian, None).ends_with("--no-install-recommends postgresql"));
        let other = command("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Some(16));
        assert!(other.contains("apt.postgresql.org.sh") && other.ends_with(" postgresql-16"), "{other}");
        assert_eq!(command("ID=alpine\n", Some(16)), "apk add postgresql16");
        let rocky = "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"";
        assert_eq!(command(rocky, None), "dnf install -y postgresql-server");
        if cfg!(target_os = "linux") {
            assert_eq!(install_command_for("ID=unheard-of\n", None), None);
        }
    }
}
