//! A packed set of server binaries: where it is, which one it is, and how it comes to be unpacked here exactly once.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use url::{Host, Url};

use super::{
    ARCHIVE, SHA256, cache, download,
    progress::{Progress, announce},
    unpack,
};
use crate::{account::Account, binaries, error::EmbeddedError, locks, machine::Machine};

/// A packed set of server binaries (a `.tar.gz` with `bin/postgres` and `bin/initdb` in it, at any depth) and the digest
/// that it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    source: Source,
    /// 64 lower-case hexadecimal digits.
    sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Url(Url),
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Archive {
    /// `source` is the path of a file or an `https://` address (`http://` from this very machine); `sha256` has 64
    /// hexadecimal digits.
    ///
    /// # Errors
    /// One line for each reason why they make no sense.
    pub fn parse(source: &str, sha256: &str) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let parsed = if source.contains("://") {
            Url::parse(source).ok().filter(is_allowed).map(Source::Url)
        } else {
            Some(Source::File(source.into()))
        };
        if parsed.is_none() {
            problems.push(format!(
                "{ARCHIVE} must be the path of a file, or an https:// address without a user name or password"
            ));
        }
        if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            problems.push(format!("{SHA256} must be 64 hexadecimal digits, as sha256sum prints them"));
        }
        match parsed {
            Some(source) if problems.is_empty() => Ok(Self { source, sha256: sha256.to_ascii_lowercase() }),
            _ => Err(problems),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn source(&self) -> impl fmt::Display + '_ {
        &self.source
    }

    /// Its digest, in lower case.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    fn error(&self, reason: impl Into<String>) -> EmbeddedError {
        EmbeddedError::Archive { archive: self.source.to_string(), reason: reason.into() }
    }
}

/// Programs travel protected, or not at all beyond this machine.
pub(super) fn is_allowed(url: &Url) -> bool {
    let anonymous = url.username().is_empty() && url.password().is_none();
    anonymous && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url)))
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The directories of server binaries in the unpacked archive; none when it was not unpacked yet.
pub(crate) fn unpacked(machine: &Machine, archive: &Archive) -> Vec<PathBuf> {
    let base = machine.cache();
    let tree = base.join(&archive.sha256);
    if tree.is_dir() && cache::check(&base).is_ok() { unpack::server_directories(&tree) } else { Vec::new() }
}

/// Fetches and unpacks the archive, unless that was done before. Of processes that want it at once, one does it and the
/// others wait; an attempt that fails leaves nothing behind.
pub(super) async fn obtain(machine: &Machine, archive: &Archive) -> Result<(), EmbeddedError> {
    let base = machine.cache();
    cache::prepare(&base)?;
    let tree = base.join(&archive.sha256);
    if tree.is_dir() {
        return Ok(());
    }
    let lock = base.join(format!("{}.lock", archive.sha256));
    let waiting = || announce("waiting for another process that fetches the PostgreSQL binaries");
    let awaited = "another process that fetches the PostgreSQL binaries";
    let _turn = locks::turn(&lock, awaited, machine.patience, waiting).await?;
    if tree.is_dir() {
        return Ok(());
    }
    // Leavings of a killed attempt go, and so do our own, however this ends.
    let workshop = cache::Workshop::new(base.join(format!("{}.new", archive.sha256)))?;
    let made = workshop.path().join("tree");
    make(machine, archive, workshop.path(), &made).await?;
    fs::rename(&made, &tree).map_err(crate::error::io_error("put the binaries in place in", &tree))
}

/// Whether a server of the unpacked archive runs here at all: it may be for another processor, or lack a library.
pub(super) fn try_out(machine: &Machine, archive: &Archive, account: &Account) -> Result<(), EmbeddedError> {
    let tried: Vec<_> = unpacked(machine, archive)
        .into_iter()
        .map(|directory| (binaries::try_out(&directory, account), directory))
        .collect();
    match tried.first() {
        Some((Err(last_words), directory)) if tried.iter().all(|(outcome, _)| outcome.is_err()) => {
            let user = &account.name;
            let reason = format!(
                "unpacked in {}, its server does not run as user {user}: {last_words}",
                directory.display()
            );
            Err(archive.error(reason))
        }
        Some(_) => Ok(()),
        None => {
            Err(archive.error(format!("nothing is left of it in {}; remove that", machine.cache().display())))
        }
    }
}

/// Everything up to a whole tree in `made`.
async fn make(
    machine: &Machine,
    archive: &Archive,
    workshop: &Path,
    made: &Path,
) -> Result<(), EmbeddedError> {
    let begun = tokio::time::Instant::now();
    announce(&format!("fetching the PostgreSQL binaries of {}", archive.source));
    let packed = workshop.join("archive.tar.gz");
    let progress = Progress::bytes();
    let fetching = download::fetch(&archive.source, &packed, &progress);
    let fetched = tokio::time::timeout(machine.patience, fetching).await;
    let fetched =
        fetched.unwrap_or_else(|_| Err(format!("it did not come within {} s", machine.patience.as_secs())));
    let digest = fetched.map_err(|reason| archive.error(reason))?;
    drop(progress);
    if digest != archive.sha256 {
        return Err(EmbeddedError::WrongDigest {
            archive: archive.source.to_string(),
            expected: archive.sha256.clone(),
            found: digest,
        });
    }
    // Not bounded: the blocking task would go on, in a directory that is somebody else's by then.
    let (from, to) = (packed, made.to_path_buf());
    let unpacked = tokio::task::spawn_blocking(move || unpack::unpack(&from, &to)).await;
    let unpacked = unpacked.map_err(|_| archive.error("unpacking it was interrupted"))?;
    unpacked.map_err(|reason| archive.error(reason))?;
    announce(&format!("PostgreSQL binaries unpacked after {:.1} s", begun.elapsed().as_secs_f32()));
    Ok(())
}
