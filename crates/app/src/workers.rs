//! What the office does by itself. A step is a use case, and the tests drive that; here are only the loops around it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use guiche_adapter_postgres::PgStores;
use guiche_kernel::{BoxError, Clock, Limit};
use guiche_tickets::Tickets;
use tokio::task::JoinSet;

use crate::shutdown::Shutdown;

const SWEEP_EVERY: Duration = Duration::from_secs(5);
const PRUNE_EVERY: Duration = Duration::from_secs(15 * 60);
/// The contract says at least 24 hours; the margin is for clocks that differ.
const KEEP_CLAIMS: Duration = Duration::from_secs(25 * 3600);

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

/// What the office does by itself. Nothing of it happens before [`start`](Self::start), so that a test can take the steps
/// one by one, whenever it likes.
#[derive(Clone)]
pub struct Office {
    tickets: Arc<Tickets>,
    stores: PgStores,
    clock: Arc<dyn Clock>,
}

impl Office {
    /// An office that rests.
    #[must_use]
    pub fn new(tickets: Arc<Tickets>, stores: PgStores, clock: Arc<dyn Clock>) -> Self {
        Self { tickets, stores, clock }
    }

    /// Starts the office's own work.
    pub fn start(&self, workers: &mut Workers) {
        let (sweeper, pruner) = (self.clone(), self.clone());
        let sweep = move || sweeper.clone().sweep();
        let prune = move || pruner.clone().prune();
        workers.spawn(|stop| every(SWEEP_EVERY, stop, sweep));
        workers.spawn(|stop| every(PRUNE_EVERY, stop, prune));
    }

    /// Expires what has run out, until nothing is left that can be.
    ///
    /// # Errors
    /// When storage does not do its part; what was done until then stays done.
    pub async fn sweep(self) -> Result<(), BoxError> {
        let batch = Limit::try_new(Limit::MAX)?;
        loop {
            let report = self.tickets.sweep_once(batch).await?;
            metrics::counter!("tickets_expired_total").increment(report.expired.into());
            metrics::counter!("tickets_settled_by_sweep_total").increment(report.settled.into());
            if report.due > 0 {
                let (due, expired, settled, left) = (report.due, report.expired, report.settled, report.left);
                tracing::info!(due, expired, settled, left, "swept invoices that ran out");
            }
            if report.due < u32::from(batch.get()) {
                return Ok(());
            }
        }
    }

    /// Forgets what nobody may ask for any more.
    ///
    /// # Errors
    /// When storage does not do its part.
    pub async fn prune(self) -> Result<(), BoxError> {
        let claims = self.tickets.prune_claims(KEEP_CLAIMS).await?;
        let sessions = self.stores.prune_sessions(self.clock.now()).await?;
        if claims + sessions > 0 {
            tracing::info!(claims, sessions, "forgot what has ended");
        }
        Ok(())
    }
}

/// Repeats a step until the shutdown. A step that fails, or panics, is logged and repeated at its time; nothing else
/// ends the loop.
async fn every<F>(pause: Duration, stop: Shutdown, step: impl Fn() -> F + Send)
where
    F: Future<Output = Result<(), BoxError>> + Send,
{
    while !stop.has_begun() {
        match AssertUnwindSafe(step()).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = %chain(&*error), "a step of a worker failed; it will be repeated");
            }
            Err(_) => tracing::error!("a step of a worker panicked; it will be repeated"),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.begun() => {}
        }
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
