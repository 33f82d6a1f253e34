//! What can go wrong, each as one line that names the cure.

use std::{io, path::PathBuf, time::Duration};

/// Why the private server cannot be used.
///
/// Every message stands on its own on one line (the server's own last words may follow) and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// No PostgreSQL server binaries were found.
    #[error(
        "no PostgreSQL server binaries found (looked in {searched}); install PostgreSQL 15 to 18 with {install}, or name a packed set of binaries with GUICHE_POSTGRES_ARCHIVE and GUICHE_POSTGRES_ARCHIVE_SHA256, or set a database URL"
    )]
    NoBinaries {
        /// The places that were searched.
        searched: String,
        /// How to install them on this machine.
        install: String,
    },
    /// Server binaries were found, of unsupported versions only.
    #[error(
        "the PostgreSQL server found is {found}, and 15 to 18 are supported; install one with {install}, or set a database URL"
    )]
    UnsupportedVersion {
        /// What was found, and where.
        found: String,
        /// How to install a supported version on this machine.
        install: String,
    },
    /// The cluster was made by another major version than any that is installed.
    #[error("the database in {} was made by PostgreSQL {found}, and this machine has {available}; {cure}", directory.display())]
    OtherMajor {
        /// The cluster's data directory.
        directory: PathBuf,
        /// The major version that made it.
        found: u32,
        /// The supported major versions on this machine.
        available: String,
        /// The way out.
        cure: String,
    },
    /// The package could not be installed.
    #[error(
        "PostgreSQL could not be installed with `{command}`: {output}; mend that, or name a packed set of binaries with GUICHE_POSTGRES_ARCHIVE and GUICHE_POSTGRES_ARCHIVE_SHA256, or set a database URL (GUICHE_EMBEDDED_INSTALL=never keeps us from trying)"
    )]
    NotInstalled {
        /// The command that failed.
        command: String,
        /// Its last words.
        output: String,
    },
    /// The archive of binaries is not the one that was meant. Nothing of it was unpacked.
    #[error(
        "{archive} has the SHA-256 digest {found}, but GUICHE_POSTGRES_ARCHIVE_SHA256 says {expected}; it was not unpacked"
    )]
    WrongDigest {
        /// Where it was read.
        archive: String,
        /// The digest that was asked for.
        expected: String,
        /// The digest of what came.
        found: String,
    },
    /// The archive of binaries cannot be fetched, or cannot be used.
    #[error("the PostgreSQL binaries of {archive} (GUICHE_POSTGRES_ARCHIVE) cannot be used: {reason}")]
    Archive {
        /// Where it was to be read.
        archive: String,
        /// Why not.
        reason: String,
    },
    /// Somebody else could put programs into the directory in which unpacked binaries are kept.
    #[error("{} keeps programs that we run, and {reason}; remove it, or make it a directory of user {user} that nobody else can write (chmod go-w)", directory.display())]
    UnsafeCache {
        /// The directory.
        directory: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// Who we are.
        user: String,
    },
    /// Root asked, and there is no account that the server could run as.
    #[error(
        "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as; create one with `useradd --system postgres`"
    )]
    NoServerUser,
    /// The cluster belongs to somebody else.
    #[error("{} belongs to user {owner}, and this process runs as {user}; run it as {owner} or as root, or choose another data directory (GUICHE_DATA_DIR)", directory.display())]
    WrongOwner {
        /// The cluster's home.
        directory: PathBuf,
        /// Who owns it.
        owner: String,
        /// Who we are.
        user: String,
    },
    /// A parent directory keeps the server's user out of an existing cluster.
    #[error("user {user}, as whom the server runs, cannot reach {}; give every directory above it `chmod o+x`", directory.display())]
    Unreachable {
        /// The cluster's home.
        directory: PathBuf,
        /// The server's user.
        user: String,
    },
    /// The cluster's home cannot be made.
    #[error("the private database cannot be kept in {}: {source}; choose another data directory (GUICHE_DATA_DIR), or run as the owner of that one", directory.display())]
    NoHome {
        /// The cluster's home.
        directory: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The socket's path would be too long in the home, and no directory can be made for it elsewhere.
    #[error(
        "no directory for the private database's socket can be made: {reason}; make one of these writable, or choose a data directory with a shorter path (GUICHE_DATA_DIR)"
    )]
    NoSocket {
        /// What was tried, and why not.
        reason: String,
    },
    /// `initdb` failed.
    #[error("initdb failed in {}: {output}", directory.display())]
    Initdb {
        /// Where the cluster was to be made.
        directory: PathBuf,
        /// Its last words.
        output: String,
    },
    /// The server did not start.
    #[error("the PostgreSQL server does not start; the last lines of {}: {tail}", log.display())]
    StartFailed {
        /// The server's log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// The server, or another process that was starting or stopping it, took too long.
    #[error("gave up after {} s waiting for {awaited}; see {}", waited.as_secs(), log.display())]
    TimedOut {
        /// What was awaited.
        awaited: &'static str,
        /// For how long.
        waited: Duration,
        /// The server's log.
        log: PathBuf,
    },
    /// The server runs, and refused the set-up of roles and database.
    #[error("the private database could not be set up: {reason}")]
    Bootstrap {
        /// The server's message.
        reason: String,
        /// The client's error.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The operating system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Gives an [`io::Error`] its context.
pub(crate) fn io_error(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> EmbeddedError {
    let path = path.into();
    move |source| EmbeddedError::Io { action, path, source }
}
