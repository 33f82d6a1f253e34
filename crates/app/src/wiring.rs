//! The one place that knows every adapter: it turns a configuration into the parts that serve.

use std::sync::Arc;
use std::time::Duration;

use guiche_kernel::{BoxError, Clock, Ids, Randomness};
use tokio::task::JoinSet;

use crate::config::{Config, ConfigError, MigrateConfig, Spark};
use crate::health::Health;
use crate::http::{self, Limits, RouteTable, Surface, Timeouts};
use crate::shutdown::Shutdown;
use crate::system::{OsRandomness, SystemClock, monotonic};

/// The parts of a running service.
pub struct Wired {
    /// The routes with the state of their handlers.
    pub table: RouteTable,
    /// What the boundary works with.
    pub surface: Arc<Surface>,
    /// What runs besides the requests.
    pub workers: Workers,
}

/// Background tasks. They outlive the last request, and end at their own next step.
#[derive(Debug, Default)]
pub struct Workers {
    stop: Shutdown,
    tasks: JoinSet<()>,
}

impl Workers {
    /// Starts one. It must return soon after the [`Shutdown`] it is given has begun.
    pub fn spawn<F: Future<Output = ()> + Send + 'static>(&mut self, worker: impl FnOnce(Shutdown) -> F) {
        self.tasks.spawn(worker(self.stop.clone()));
    }

    /// Lets all of them end; whoever has not within the time is cut off.
    pub async fn stop(mut self, within: Duration) {
        self.stop.begin();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(within, ended).await.is_err() {
            tracing::warn!("some workers did not end in time");
            self.tasks.shutdown().await;
        }
    }
}

/// Refuses what the configuration may say and this build cannot do.
///
/// # Errors
/// One line for each such setting.
pub fn refuse_unavailable(config: &Config) -> Result<(), ConfigError> {
    match config.spark {
        Spark::Stub => Ok(()),
        Spark::Live { .. } => Err(ConfigError::new("SPARK_MODE=live is not available in this build")),
    }
}

/// Makes the parts.
///
/// # Errors
/// When something that is needed at start cannot be reached or refuses.
#[expect(clippy::unused_async, reason = "connecting to the database belongs here")]
pub async fn wire(config: &Config, shutdown: &Shutdown) -> Result<Wired, BoxError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let randomness: Arc<dyn Randomness> = Arc::new(OsRandomness);
    let surface = Surface {
        ids: Ids::new(clock, randomness),
        trusted_proxies: config.http.trusted_proxies.clone(),
        limits: Limits::new(config.http.limits, &monotonic()),
        timeouts: Timeouts::default(),
    };
    let health = Health::new(shutdown.clone());
    let table = http::routes().state(Arc::new(health)).state(Arc::new(shutdown.clone()));
    Ok(Wired { table, surface: Arc::new(surface), workers: Workers::default() })
}

/// Brings the database to this version.
///
/// # Errors
/// When the database cannot be reached, or a migration fails.
#[expect(clippy::unused_async, reason = "connecting to the database belongs here")]
pub async fn migrate(_: &MigrateConfig) -> Result<(), BoxError> {
    Err("this build has no migrations".into())
}
