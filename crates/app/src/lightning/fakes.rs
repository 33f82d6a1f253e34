//! The providers, played: without accounts at Voltage and a BTCPay Server, a development server runs on servers of its own
//! that play them. What exists there lies in the data directory, so a restart finds everything again.
//!
//! One process at a time plays, on addresses that are written down beside the ledgers; other processes of the same data
//! directory use those, and one of them takes over when the first is gone.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use guiche_adapter_btcpay::fake::{self as btcpay, FakeBtcPay};
use guiche_adapter_voltage::fake::{self as voltage, FakeVoltage};
use guiche_kernel::Clock;
use url::Url;

use crate::shutdown::Shutdown;

/// How often a process that does not play looks whether nobody does.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(1);
/// For how long the one that plays may be starting, in steps.
const STARTING: (u32, Duration) = (100, Duration::from_millis(50));

/// Both providers, played here or by another process of this data directory.
pub struct Fakes {
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    playing: Mutex<Option<Playing>>,
    at: Addresses,
}

/// Where they are played.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    voltage: SocketAddr,
    btcpay: SocketAddr,
}

/// Both, played by this process.
struct Playing {
    voltage: Arc<FakeVoltage>,
    btcpay: Arc<FakeBtcPay>,
    at: Addresses,
}

impl Fakes {
    /// Plays, or finds out who does.
    ///
    /// # Errors
    /// When the directory or the ledgers cannot be used.
    pub async fn start(data_dir: &Path, clock: Arc<dyn Clock>) -> io::Result<Arc<Self>> {
        let directory = data_dir.join("fakes");
        // The ledgers hold seeds and macaroons: of play money, and still nobody else's business.
        fs::create_dir_all(data_dir)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
        let (tries, pause) = STARTING;
        let mut left = tries;
        loop {
            let known = addresses(&directory);
            match Playing::begin(&directory, known, &clock).await {
                Ok(playing) => {
                    let at = playing.at;
                    return Ok(Arc::new(Self { directory, clock, playing: Mutex::new(Some(playing)), at }));
                }
                Err(error) if is_played_elsewhere(&error) => {
                    if let Some(at) = known {
                        return Ok(Arc::new(Self { directory, clock, playing: Mutex::default(), at }));
                    }
                    left = left.checked_sub(1).ok_or(error)?;
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(in_place(&directory, &error)),
            }
        }
    }

    /// Takes over from a process that is gone, until the shutdown.
    pub async fn keep(self: Arc<Self>, stop: Shutdown) {
        while tokio::time::timeout(TAKE_OVER_EVERY, stop.begun()).await.is_err() {
            if self.playing().is_none()
                && let Ok(playing) = Playing::begin(&self.directory, Some(self.at), &self.clock).await
            {
                *self.playing() = Some(playing);
            }
        }
    }

    /// Both, if it is this process that plays them.
    #[must_use]
    pub fn handles(&self) -> Option<(Arc<FakeVoltage>, Arc<FakeBtcPay>)> {
        self.playing().as_ref().map(|it| (Arc::clone(&it.voltage), Arc::clone(&it.btcpay)))
    }

    /// Where Voltage is.
    ///
    /// # Errors
    /// None: it is an address.
    pub fn voltage_url(&self) -> Result<Url, url::ParseError> {
        Url::parse(&format!("http://{}", self.at.voltage))
    }

    /// Where nodes are, as the adapters want it.
    #[must_use]
    pub fn node_url(&self) -> String {
        voltage::node_url(&format!("http://{}", self.at.voltage))
    }

    /// Where the BTCPay Server is.
    ///
    /// # Errors
    /// None: it is an address.
    pub fn btcpay_url(&self) -> Result<Url, url::ParseError> {
        Url::parse(&format!("http://{}", self.at.btcpay))
    }

    fn playing(&self) -> MutexGuard<'_, Option<Playing>> {
        self.playing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Playing {
    /// Plays at the addresses of the last time, since stores remember where their nodes are; at others only when those are
    /// taken by a stranger.
    async fn begin(directory: &Path, known: Option<Addresses>, clock: &Arc<dyn Clock>) -> io::Result<Self> {
        let at = |listen: Option<SocketAddr>| voltage::FakeSettings {
            listen,
            data: Some(directory.to_owned()),
            ..voltage::FakeSettings::default()
        };
        let voltage = match voltage::start(at(known.map(|it| it.voltage)), Arc::clone(clock)).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                voltage::start(at(None), Arc::clone(clock)).await?
            }
            started => started?,
        };
        let at = |listen: Option<SocketAddr>| btcpay::FakeSettings {
            listen,
            data: Some(directory.to_owned()),
            ..btcpay::FakeSettings::default()
        };
        let btcpay = match btcpay::start(at(known.map(|it| it.btcpay)), Arc::clone(clock)).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                btcpay::start(at(None), Arc::clone(clock)).await?
            }
            started => started?,
        };
        let at = Addresses { voltage: address(&voltage.url())?, btcpay: address(&btcpay.url())? };
        write_down(directory, at)?;
        Ok(Self { voltage: Arc::new(voltage), btcpay: Arc::new(btcpay), at })
    }
}

/// Somebody holds the ledger.
fn is_played_elsewhere(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other
}

fn in_place(directory: &Path, error: &io::Error) -> io::Error {
    let shown = directory.display();
    io::Error::new(
        error.kind(),
        format!("the ledgers of the played providers in {shown} cannot be used: {error}"),
    )
}

fn address(url: &str) -> io::Result<SocketAddr> {
    url.trim_start_matches("http://").parse().map_err(io::Error::other)
}

/// One line: both addresses.
fn addresses(directory: &Path) -> Option<Addresses> {
    let text = fs::read_to_string(directory.join("addresses")).ok()?;
    let (voltage, btcpay) = text.trim().split_once(' ')?;
    Some(Addresses { voltage: voltage.parse().ok()?, btcpay: btcpay.parse().ok()? })
}

fn write_down(directory: &Path, at: Addresses) -> io::Result<()> {
    let aside = directory.join("addresses.next");
    fs::write(&aside, format!("{} {}\n", at.voltage, at.btcpay))?;
    fs::rename(aside, directory.join("addresses"))
}

#[cfg(test)]
mod tests {
    use guiche_kernel::testing::ManualClock;

    use super::*;

    #[tokio::test]
    async fn one_process_plays_and_the_next_one_takes_over_at_the_same_place() {
        let place = tempfile::tempdir().unwrap();
        let start = || Fakes::start(place.path(), Arc::new(ManualClock::default()));
        let first = start().await.unwrap();
        first.handles().unwrap().0.play().order("somebody-elses").unwrap();
        let second = start().await.unwrap();
        assert!(second.handles().is_none(), "one plays at a time");
        let url = first.voltage_url().unwrap();
        assert_eq!(second.voltage_url().unwrap(), url);
        drop(first);
        let stop = Shutdown::default();
        let keeping = tokio::spawn(Arc::clone(&second).keep(stop.clone()));
        while second.handles().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(second.handles().unwrap().0.play().nodes().len(), 1, "it knows what the first one knew");
        assert_eq!(second.handles().unwrap().0.url(), url.as_str().trim_end_matches('/'));
        stop.begin();
        keeping.await.unwrap();
    }

    #[tokio::test]
    async fn a_damaged_ledger_is_told_and_not_waited_for() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("fakes")).unwrap();
        fs::write(place.path().join("fakes/btcpay.json"), "{").unwrap();
        let refused = Fakes::start(place.path(), Arc::new(ManualClock::default())).await.err().unwrap();
        assert!(refused.to_string().contains("cannot be used"), "{refused}");
    }
}
