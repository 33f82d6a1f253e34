//! A share in the running server.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{
    acquire, binaries,
    bootstrap::SUPERUSER,
    error::EmbeddedError,
    locks::{self, Held, Sharers},
    machine::Machine,
    options::Options,
    postmaster::{self, State},
    server::Server,
};

/// How often [`EmbeddedPostgres::supervise`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Every how many looks it also connects, and keeps the log small.
const THOROUGH_EVERY: u64 = 20;
/// The longest pause between two attempts to bring the server back.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A share in the running server. Dropping it gives the share back, and so does the end of the process, however it ends.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    server: Server,
    /// Holds the shared lock; it is never read.
    _share: Held,
}

impl EmbeddedPostgres {
    /// Takes a share in the cluster's server, and makes and starts both when needed.
    ///
    /// Safe to call from any number of processes and tasks at once: one of them starts, the others wait. Where there are
    /// no server binaries, [`Options::acquire`] says what is done about it; that may take minutes, which do not count
    /// against [`Options::start_timeout`].
    ///
    /// # Errors
    ///
    /// See [`EmbeddedError`].
    pub async fn start(options: Options) -> Result<Self, EmbeddedError> {
        Self::start_on(Machine::here(), options).await
    }

    /// As [`start`](Self::start), on another machine.
    pub(crate) async fn start_on(machine: Machine, options: Options) -> Result<Self, EmbeddedError> {
        let place = acquire::ensure(&machine, &options).await?.settle(&options).await?;
        let share = locks::share(&place, options.start_timeout).await?;
        let inner = Inner { server: Server { place, options, machine }, _share: share };
        inner.server.ensure_running().await?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The directory of the server binaries with which [`start`](Self::start) would begin, after the same search and, where
    /// it is allowed, the same download or installation. Nothing is started.
    ///
    /// # Errors
    ///
    /// See [`EmbeddedError`].
    pub async fn binaries(options: &Options) -> Result<PathBuf, EmbeddedError> {
        let machine = Machine::here();
        let place = acquire::ensure(&machine, options).await?;
        Ok(binaries::find(&machine, options, &place)?.directory)
    }

    /// The URL of `database` for `role`, in the form that `tokio-postgres` and libpq understand.
    #[must_use]
    pub fn url(&self, role: &str, database: &str) -> String {
        url(self.socket_directory(), role, database)
    }

    /// The URL of `database` for the cluster's superuser.
    #[must_use]
    pub fn superuser_url(&self, database: &str) -> String {
        self.url(SUPERUSER, database)
    }

    /// The directory of the server's socket. Whoever can enter it can be any role.
    #[must_use]
    pub fn socket_directory(&self) -> &Path {
        &self.inner.server.place.socket
    }

    /// The cluster's home, which is [`Options::directory`] or a place below [`Options::fallback_base`].
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.inner.server.place.home
    }

    /// One line to show when the cluster lies below [`Options::fallback_base`].
    #[must_use]
    pub fn notice(&self) -> Option<&str> {
        self.inner.server.place.notice.as_deref()
    }

    /// Brings the server back when it has crashed or lost its watcher; costs one connection when all is well.
    ///
    /// # Errors
    ///
    /// See [`EmbeddedError`].
    pub async fn ensure_running(&self) -> Result<(), EmbeddedError> {
        self.inner.server.ensure_running().await
    }

    /// A loop for the application to spawn: looks twice a second and brings a crashed server back, with growing pauses
    /// while that fails. It holds no share and ends after this one is given back.
    pub fn supervise(&self) -> impl Future<Output = ()> + Send + use<> {
        supervise(Arc::downgrade(&self.inner))
    }

    /// Gives back the share; when it was the last, waits until the server has stopped.
    ///
    /// With [`Options::linger`] the server outlives this call, which then does not wait.
    ///
    /// # Errors
    ///
    /// [`EmbeddedError::TimedOut`] when the server takes longer than [`Options::start_timeout`] to stop.
    pub async fn shutdown(self) -> Result<(), EmbeddedError> {
        let Server { place, options, .. } = &self.inner.server;
        let (place, options) = (place.clone(), options.clone());
        let supervised = Arc::downgrade(&self.inner);
        drop(self);
        if options.linger >= Duration::from_secs(1) {
            return Ok(());
        }
        let deadline = Instant::now() + options.start_timeout;
        let mut others = 0;
        loop {
            // Supervision borrows our share while it looks, and gives it back a moment after it is counted: what is seen
            // meanwhile says nothing, and others must be seen twice.
            let given_back = supervised.strong_count() == 0;
            let sharers = locks::sharers(&place)?;
            others = if given_back && sharers == Sharers::Others { others + 1 } else { 0 };
            let stopped = postmaster::look(&place).0 == State::Dead && !locks::watched(&place)?;
            if others == 2 || (given_back && stopped && sharers == Sharers::None) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let waited = options.start_timeout;
                return Err(EmbeddedError::TimedOut {
                    awaited: "the server to stop",
                    waited,
                    log: place.log(),
                });
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn supervise(inner: Weak<Inner>) {
    let mut pause = LOOK_EVERY;
    for round in 1_u64.. {
        sleep(pause).await;
        // Held only while we look, so that the last share goes when its owner drops it.
        let Some(inner) = inner.upgrade() else { return };
        let thorough = round.is_multiple_of(THOROUGH_EVERY);
        let looked = if thorough { inner.server.care().await } else { inner.server.bring_up().await };
        pause = match looked {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                tracing::error!(%error, "the private PostgreSQL is down");
                (pause * 2).min(LONGEST_PAUSE)
            }
        };
    }
}

/// Percent-encodes all that has a meaning in a URL.
/// See [`EmbeddedPostgres::url`].
pub(crate) fn url(socket: &Path, role: &str, database: &str) -> String {
    format!("postgres://{}@{}/{}", encoded(role), encoded(&socket.to_string_lossy()), encoded(database))
}

fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_survives_odd_directories() {
        assert_eq!(encoded("/srv/a b,c%"), "%2Fsrv%2Fa%20b%2Cc%25");
    }
}
