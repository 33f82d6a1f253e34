//! The life of the serving process, from the first socket to the last request.

use std::io::{self, IsTerminal as _};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use guiche_kernel::BoxError;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;
use crate::database::Database;
use crate::http::{self, RunningServer, ServerSettings};
use crate::service_manager;
use crate::shutdown::Shutdown;
use crate::telemetry::Metrics;
use crate::wiring::{self, World};
use crate::workers::{Wake, Workers};

/// How long `/readyz` says no before connections are refused: a load balancer has to look first.
const UNREADY_IN_PRODUCTION: Duration = Duration::from_secs(3);
const METRICS_UPKEEP: Duration = Duration::from_secs(15);
const WORKERS_END_WITHIN: Duration = Duration::from_secs(10);

/// Serves until the process is told to stop.
///
/// # Errors
/// When it could not start, or a server failed.
pub async fn serve(config: &Config) -> Result<(), BoxError> {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let mut signals = Signals::listen()?;
    let shutdown = Shutdown::default();
    // The sockets first: a port in use should not cost a migration.
    let listener = bind(config.http.listen_addr)?;
    let metrics_listener = bind(config.http.metrics_addr)?;
    let recorded = Metrics::install()?;
    let metrics = http::start_metrics(metrics_listener, &recorded)?;
    let mut wired = wiring::wire(config, &shutdown, World::real()).await?;
    wired.office.start(&mut wired.workers);
    wired.messenger.start(&mut wired.workers);
    if let Some(installer) = &wired.installer {
        installer.start(&mut wired.workers);
    }
    wired.custodian.start(&mut wired.workers);
    wired.workers.spawn(|stop| keep_up(recorded, stop));
    let (hangup, key_files) = (Wake::default(), wired.key_files);
    let told = hangup.clone();
    wired.workers.spawn(|stop| async move { key_files.read_whenever(told, stop).await });
    let mut api = http::start(listener, &wired.table, wired.surface, ServerSettings::default())?;
    tracing::info!(address = %api.address(), metrics = %metrics.address(), "listening");
    service_manager::watch(&mut wired.workers);
    service_manager::ready();

    tokio::select! {
        () = signals.next(&hangup) => tracing::info!("stopping"),
        ended = api.ended() => return Err(ended.err().map_or("the server ended by itself".into(), Into::into)),
    }
    shutdown.begin();
    service_manager::stopping();
    tokio::select! {
        outcome = stop(config, api, wired.workers, metrics, wired.database) => outcome,
        () = signals.next(&hangup) => Err("stopped before the last request was answered, by a second signal".into()),
    }
}

async fn stop(
    config: &Config,
    api: RunningServer,
    workers: Workers,
    metrics: RunningServer,
    database: Database,
) -> Result<(), BoxError> {
    if config.is_production() {
        tokio::time::sleep(UNREADY_IN_PRODUCTION).await;
    }
    api.stop().await?;
    workers.stop(WORKERS_END_WITHIN).await;
    metrics.stop().await?;
    database.close().await?;
    tracing::info!("stopped");
    Ok(())
}

async fn keep_up(metrics: Metrics, stop: Shutdown) {
    while tokio::time::timeout(METRICS_UPKEEP, stop.begun()).await.is_err() {
        metrics.upkeep();
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, BoxError> {
    TcpListener::bind(address).map_err(|error| format!("cannot listen on {address}: {error}").into())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    had_terminal: bool,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            had_terminal: io::stderr().is_terminal(),
        })
    }

    /// Waits for the one to stop, and passes on a hangup meanwhile.
    async fn next(&mut self, hangup: &Wake) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    if self.terminal_is_gone() {
                        return;
                    }
                    hangup.wake();
                }
            }
        }
    }

    /// The same signal also says that the window was closed in which somebody had started this: whoever closes it does not
    /// expect the service to go on unseen.
    fn terminal_is_gone(&self) -> bool {
        self.had_terminal && !io::stderr().is_terminal()
    }
}
