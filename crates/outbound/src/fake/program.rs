//! A fake as a program of its own.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use guiche_kernel::{Clock, Timestamp, truncate_to_micros};

use super::{FakeServer, Play};

/// What every fake's program can be told: `--listen ADDRESS:PORT`, `--data DIRECTORY`, and options of its own.
#[derive(Debug, Default)]
pub struct Options {
    /// Where it listens.
    pub listen: Option<SocketAddr>,
    /// Where it keeps its ledger.
    pub data: Option<PathBuf>,
    own: Vec<(String, String)>,
}

impl Options {
    /// Reads the command line; an option is a name and a value.
    ///
    /// # Errors
    /// With the usage, when it cannot be understood.
    pub fn read(
        mut arguments: impl Iterator<Item = String>,
        own: &[&str],
        usage: &'static str,
    ) -> io::Result<Self> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, usage);
        let mut options = Self::default();
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(wrong)?;
            match name.as_str() {
                "--listen" => options.listen = Some(value.parse().map_err(|_| wrong())?),
                "--data" => options.data = Some(value.into()),
                name if own.contains(&name) => options.own.push((name.to_owned(), value)),
                _ => return Err(wrong()),
            }
        }
        Ok(options)
    }

    /// The values of an option of its own, in order.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<String> {
        self.own.iter().filter(|(own, _)| own == name).map(|(_, value)| value.clone()).collect()
    }
}

/// Tells the address as one line of JSON, and serves until it is interrupted.
///
/// # Errors
/// When the line cannot be written.
pub async fn serve_until_interrupted<P: Play>(fake: FakeServer<P>) -> io::Result<()> {
    writeln!(io::stdout(), r#"{{"event":"listening","url":"{}"}}"#, fake.url())?;
    tokio::signal::ctrl_c().await
}

/// The machine's own time.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "a program of its own has nobody to hand it the time")]
        let now = Timestamp::now_utc();
        truncate_to_micros(now)
    }
}
