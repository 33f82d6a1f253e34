//! What is done where there are no server binaries: fetch the archive that was named, or install the system's package.

pub(crate) mod archive;
mod cache;
mod download;
mod package;
mod progress;
#[cfg(test)]
mod tests;
mod unpack;

pub use archive::Archive;

use crate::{binaries, error::EmbeddedError, machine::Machine, options::Options, place::Place};

/// The variable that says whether anything may be installed or fetched.
const INSTALL: &str = "GUICHE_EMBEDDED_INSTALL";
/// The variable that says where a packed set of binaries is.
const ARCHIVE: &str = "GUICHE_POSTGRES_ARCHIVE";
/// The variable that says which one it is.
const SHA256: &str = "GUICHE_POSTGRES_ARCHIVE_SHA256";

/// Whether anything may be installed or fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Install {
    /// Where there are no fitting binaries, the archive is fetched when one is named; else root installs the package
    /// `postgresql` on Debian and its children.
    #[default]
    Auto,
    /// What is there is all there is, archives that were unpacked earlier included.
    Never,
}

impl Install {
    /// The words for it.
    pub const WORDS: [(&str, Self); 2] = [("auto", Self::Auto), ("never", Self::Never)];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Never => "never",
        }
    }
}

/// What may be done where there are no fitting server binaries. The default is what variables say that are not set,
/// which is [`Install::Auto`]; [`Options::new`] begins with [`Acquire::NOTHING`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acquire {
    /// Whether anything may be done at all.
    pub install: Install,
    /// A packed set of binaries. It is preferred to a package, and what is installed is preferred to it, except where
    /// the cluster was made by a major version that only the archive has.
    pub archive: Option<Archive>,
}

impl Acquire {
    /// What is there is all there is.
    pub const NOTHING: Self = Self { install: Install::Never, archive: None };

    /// Understands the texts of `GUICHE_EMBEDDED_INSTALL`, `GUICHE_POSTGRES_ARCHIVE` and
    /// `GUICHE_POSTGRES_ARCHIVE_SHA256`; `None` is a variable that is not set.
    ///
    /// # Errors
    /// One line for each reason why they make no sense. No line quotes a value.
    pub fn parse(
        install: Option<&str>,
        archive: Option<&str>,
        sha256: Option<&str>,
    ) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let known = |text| Install::WORDS.iter().find(|(word, _)| *word == text).map(|(_, install)| *install);
        let install = install.map_or(Some(Install::Auto), known).unwrap_or_else(|| {
            problems.push(format!(
                "{INSTALL} must be one of: {}",
                Install::WORDS.map(|(word, _)| word).join(", ")
            ));
            Install::Auto
        });
        let archive = match (archive, sha256) {
            (Some(source), Some(sha256)) => Archive::parse(source, sha256).map(Some),
            (Some(_), None) => Err(vec![format!("{SHA256} is required beside {ARCHIVE}")]),
            (None, Some(_)) => Err(vec![format!("{SHA256} is set, but {ARCHIVE} is not")]),
            (None, None) => Ok(None),
        };
        match archive {
            Ok(archive) if problems.is_empty() => Ok(Self { install, archive }),
            Ok(_) => Err(problems),
            Err(more) => Err([problems, more].concat()),
        }
    }

    /// As [`parse`](Self::parse), from the environment of this process, where an empty variable is not set.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn from_environment() -> Result<Self, Vec<String>> {
        let set = |name| {
            let value = std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
            value.filter(|value| !value.is_empty())
        };
        Self::parse(set(INSTALL).as_deref(), set(ARCHIVE).as_deref(), set(SHA256).as_deref())
    }
}

/// Sees to it that there are binaries for this cluster, as far as that is allowed, and says where the cluster lies. What
/// is still missing then, whoever starts the server is told.
pub(crate) async fn ensure(machine: &Machine, options: &Options) -> Result<Place, EmbeddedError> {
    let place = Place::choose(options).await?;
    let Some(lack) = lack(machine, options, &place) else { return Ok(place) };
    if options.bin_dir.is_some() || options.acquire.install == Install::Never {
        return Ok(place);
    }
    if let Some(archive) = &options.acquire.archive {
        archive::obtain(machine, archive).await?;
        archive::try_out(machine, archive, &place.account)?;
        return Ok(place);
    }
    let Lack::Any(major) = lack else { return Ok(place) };
    if !package::can_install(machine) {
        return Ok(place);
    }
    let _turn = package::turn(machine).await?;
    // Another process may just have done it.
    if self::lack(machine, options, &place).is_some() {
        package::install(machine, major).await?;
    }
    // The package brings the user `postgres`, who is the first choice to run the server.
    Place::choose(options).await
}

/// Which binaries are missing.
enum Lack {
    /// There are none that are supported; the cluster's data was made by this major version.
    Any(Option<u32>),
    /// There are some, but not of the major version that made the data. The package has no say in that.
    Major,
}

fn lack(machine: &Machine, options: &Options, place: &Place) -> Option<Lack> {
    match binaries::find(machine, options, place) {
        Err(EmbeddedError::NoBinaries { .. } | EmbeddedError::UnsupportedVersion { .. }) => {
            Some(Lack::Any(binaries::data_major(&place.data()).ok().flatten()))
        }
        Err(EmbeddedError::OtherMajor { .. }) => Some(Lack::Major),
        // Anything else is not about binaries, and is told where it matters.
        Ok(_) | Err(_) => None,
    }
}
