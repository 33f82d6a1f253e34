//! Finds server binaries of a version that fits.

use std::{
    cmp::Reverse,
    fs, io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    account::Account,
    acquire::archive,
    advice,
    error::{EmbeddedError, io_error},
    machine::Machine,
    options::Options,
    place::Place,
};

pub(crate) const SUPPORTED: RangeInclusive<u32> = 15..=18;

/// One installed server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    pub(crate) directory: PathBuf,
    pub(crate) major: u32,
}

/// The binaries for this cluster: of the major version that made its data, else the newest supported.
///
/// An explicit directory is the only place that is looked into. Otherwise what is installed comes first, and an archive
/// that was unpacked before is for what no installed version can do. Nothing is fetched or installed here.
pub(crate) fn find(machine: &Machine, options: &Options, place: &Place) -> Result<Binaries, EmbeddedError> {
    let data = place.data();
    let search = Search { machine, made_by: data_major(&data)?, data: &data };
    let inspected = |directories: Vec<PathBuf>| -> Vec<Binaries> {
        directories.iter().filter_map(|directory| inspect(directory, &place.account)).collect()
    };
    if let Some(directory) = &options.bin_dir {
        // Absolute, because the server works in another directory.
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.into());
        let searched = directory.display().to_string();
        return search.choose(inspected(vec![directory]), searched);
    }
    let searched = "/usr/lib/postgresql/*/bin, pg_config --bindir, PATH".to_owned();
    let installed = inspected(usual_places(machine));
    let chosen = search.choose(installed.clone(), searched.clone());
    let Some(archive) = &options.acquire.archive else { return chosen };
    chosen.or_else(|_| {
        let packed = inspected(archive::unpacked(machine, archive));
        search.choose([installed, packed].concat(), searched)
    })
}

/// What is looked for, and for whom.
struct Search<'a> {
    machine: &'a Machine,
    /// The major version that made the data, if there is any.
    made_by: Option<u32>,
    data: &'a Path,
}

impl Search<'_> {
    fn choose(&self, mut found: Vec<Binaries>, searched: String) -> Result<Binaries, EmbeddedError> {
        let can_be_served = self.made_by.is_none_or(|major| SUPPORTED.contains(&major));
        if found.is_empty() && can_be_served {
            let install = advice::install_any(self.machine, self.made_by);
            return Err(EmbeddedError::NoBinaries { searched, install });
        }
        // Stable: within a major version the order of the search stays.
        found.sort_by_key(|found| Reverse(found.major));
        let supported: Vec<&Binaries> =
            found.iter().filter(|found| SUPPORTED.contains(&found.major)).collect();
        if let Some(major) = self.made_by
            && !(supported.is_empty() && can_be_served)
        {
            let same = supported.iter().find(|found| found.major == major);
            return same.map(|same| (*same).clone()).ok_or_else(|| self.other_major(major, &supported));
        }
        supported.first().map(|newest| (*newest).clone()).ok_or_else(|| self.unsupported(&found))
    }

    fn unsupported(&self, found: &[Binaries]) -> EmbeddedError {
        let found: Vec<String> =
            found.iter().map(|found| format!("{} in {}", found.major, found.directory.display())).collect();
        let install = advice::install_another(self.machine, self.made_by);
        EmbeddedError::UnsupportedVersion { found: found.join(", "), install }
    }

    fn other_major(&self, major: u32, supported: &[&Binaries]) -> EmbeddedError {
        let mut available: Vec<String> = supported.iter().map(|found| found.major.to_string()).collect();
        available.dedup();
        if available.is_empty() {
            available.push("none that is supported".to_owned());
        }
        let cure = if SUPPORTED.contains(&major) {
            format!(
                "install PostgreSQL {major} beside it with {}, or dump the data there and load it into a new data directory",
                advice::install_any(self.machine, Some(major))
            )
        } else {
            format!(
                "{major} is not supported (15 to 18 are): run pg_upgrade on it, or dump it with PostgreSQL {major} and load it into a new data directory"
            )
        };
        let directory = self.data.to_path_buf();
        EmbeddedError::OtherMajor { directory, found: major, available: available.join(", "), cure }
    }
}

/// The major version that made the data, if there is any.
pub(crate) fn data_major(data: &Path) -> Result<Option<u32>, EmbeddedError> {
    let path = data.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let broken =
                || io_error("understand", path)(io::Error::other("not the version of a PostgreSQL cluster"));
            // Before 10 a major version had two parts; the first is enough to refuse it.
            text.trim().split('.').next().and_then(|major| major.parse().ok()).map(Some).ok_or_else(broken)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

fn usual_places(machine: &Machine) -> Vec<PathBuf> {
    let mut places = Vec::new();
    // Debian and its children; Fedora's upstream packages; Alpine.
    for (base, prefix, below) in
        [("usr/lib/postgresql", "", "bin"), ("usr", "pgsql-", "bin"), ("usr/libexec", "postgresql", "")]
    {
        for entry in fs::read_dir(machine.root.join(base)).into_iter().flatten().flatten() {
            let numbered =
                entry.file_name().to_str().and_then(|name| name.strip_prefix(prefix)?.parse::<u32>().ok());
            if numbered.is_some() {
                places.push(entry.path().join(below));
            }
        }
    }
    let asked = machine.program("pg_config").map(|program| {
        Command::new(program).arg("--bindir").stdin(Stdio::null()).stderr(Stdio::null()).output()
    });
    if let Some(Ok(output)) = asked
        && output.status.success()
    {
        places.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    places.extend(std::env::split_paths(&machine.programs));
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
    let major = try_out(directory, account).ok()?;
    Some(Binaries { directory: directory.to_path_buf(), major })
}

/// The major version of the server in `directory`, or its last words when it does not run as that account.
pub(crate) fn try_out(directory: &Path, account: &Account) -> Result<u32, String> {
    const ATTEMPTS: u32 = 50;
    let mut attempt = 1;
    let output = loop {
        match account.command(directory.join("postgres")).arg("--version").output() {
            // Freshly unpacked, it is open for writing for as long as another thread that is just forking has our files.
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && attempt < ATTEMPTS => {
                attempt += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            outcome => break outcome.map_err(|error| error.to_string())?,
        }
    };
    let said = String::from_utf8_lossy(&output.stdout);
    parse_version(&said).ok_or_else(|| {
        let last = String::from_utf8_lossy(&output.stderr);
        last.lines().last().map_or_else(|| output.status.to_string(), |line| line.trim().to_owned())
    })
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, `postgres (PostgreSQL) 19beta1`
fn parse_version(text: &str) -> Option<u32> {
    let version = text.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
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
        let search = Search { machine: &Machine::here(), made_by, data: Path::new("/srv/data") };
        search
            .choose(installed(majors), "nowhere".into())
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
        // Nobody is sent to install a version that will not do.
        let error = chosen(&[], Some(14)).unwrap_err();
        assert!(error.contains("this machine has none") && error.contains("pg_upgrade"), "{error}");
        assert!(chosen(&[], Some(16)).unwrap_err().contains("no PostgreSQL server binaries found"));
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
}
