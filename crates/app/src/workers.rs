//! What the office does by itself. A step is a use case, and the tests drive that; here are only the loops around it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use guiche_adapter_postgres::PgStores;
use guiche_kernel::{BoxError, Clock};
use guiche_tickets::{InvoiceStatus, Tickets};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::shutdown::Shutdown;

/// How often somebody asks whether a look is due: well below the shortest interval of the schedule, and one look into an
/// index.
const WATCH_EVERY: Duration = Duration::from_millis(200);
/// Watchers side by side, so that a question which hangs holds up only its own.
const WATCHERS: usize = 4;
const LOOKS_AT_A_STEP: u16 = 128;
/// While storage is away, nobody needs five lines of log a second.
const AFTER_A_FAILURE: Duration = Duration::from_secs(5);
/// How often it is counted what must go back to citizens.
const COUNT_REFUNDS_EVERY: Duration = Duration::from_secs(30);
const PRUNE_EVERY: Duration = Duration::from_secs(15 * 60);
/// The contract says at least 24 hours; the margin is for clocks that differ.
const KEEP_CLAIMS: Duration = Duration::from_secs(25 * 3600);

/// Why money must go back, as the metrics and the commands call it.
pub(crate) const REFUND_REASONS: [(InvoiceStatus, &str); 3] = [
    (InvoiceStatus::PaidLate, "late"),
    (InvoiceStatus::PaidAfterCancel, "after_cancellation"),
    (InvoiceStatus::PaidSurplus, "surplus"),
];

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

/// Wakes a watcher before its time, because something is due now. Clones wake the same watchers.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Has one look taken now: by a watcher that rests, or else by the first one that would rest. However often it is
    /// called meanwhile, that is one look more.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    pub(crate) async fn woken(&self) {
        self.0.notified().await;
    }
}

/// What the office does by itself. Nothing of it happens before [`start`](Self::start), so that a test can take the steps
/// one by one, whenever it likes.
#[derive(Clone)]
pub struct Office {
    tickets: Arc<Tickets>,
    stores: PgStores,
    clock: Arc<dyn Clock>,
    wake: Wake,
}

impl Office {
    /// An office that rests.
    #[must_use]
    pub fn new(tickets: Arc<Tickets>, stores: PgStores, clock: Arc<dyn Clock>) -> Self {
        Self { tickets, stores, clock, wake: Wake::default() }
    }

    /// What wakes a watcher of this office.
    #[must_use]
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Starts the office's own work.
    pub fn start(&self, workers: &mut Workers) {
        for _ in 0..WATCHERS {
            let watcher = self.clone();
            let wake = self.wake();
            workers.spawn(|stop| every_or_woken(WATCH_EVERY, stop, wake, move || watcher.clone().watch()));
        }
        let teller = self.clone();
        workers.spawn(|stop| every(COUNT_REFUNDS_EVERY, stop, move || teller.clone().count_refunds()));
        let pruner = self.clone();
        let prune = move || pruner.clone().prune();
        workers.spawn(|stop| every(PRUNE_EVERY, stop, prune));
    }

    /// Looks at every unpaid invoice whose look is due, until none is left.
    ///
    /// # Errors
    /// When storage does not do its part; what was done until then stays done.
    pub async fn watch(self) -> Result<(), BoxError> {
        loop {
            let report = self.tickets.watch_once(LOOKS_AT_A_STEP).await?;
            metrics::gauge!("watch_overdue_seconds").set(report.overdue.as_secs_f64());
            for outcome in ["settled", "expired", "unpaid", "unanswered", "left"].into_iter().zip([
                report.settled,
                report.expired,
                report.unpaid,
                report.unanswered,
                report.left,
            ]) {
                metrics::counter!("watch_looks_total", "outcome" => outcome.0).increment(outcome.1.into());
            }
            for lag in &report.lags {
                metrics::histogram!("settlement_lag_seconds").record(lag.as_secs_f64());
            }
            if report.settled + report.expired > 0 {
                let (due, settled, expired) = (report.due, report.settled, report.expired);
                tracing::info!(due, settled, expired, "watched unpaid invoices");
            }
            if report.due < u32::from(LOOKS_AT_A_STEP) {
                return Ok(());
            }
        }
    }

    /// Puts into the metrics how many payments must go back.
    ///
    /// # Errors
    /// When storage does not do its part.
    pub async fn count_refunds(self) -> Result<(), BoxError> {
        let due = self.tickets.count_refunds_due().await?;
        // A reason that none has any more is told as well: a gauge stays where it was left.
        for (reason, word) in REFUND_REASONS {
            let count = due.iter().find(|(counted, _)| *counted == reason).map_or(0, |(_, count)| *count);
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            metrics::gauge!("refunds_due", "reason" => word).set(f64::from(count));
        }
        Ok(())
    }

    /// Forgets what nobody may ask for any more.
    ///
    /// # Errors
    /// When storage does not do its part.
    pub async fn prune(self) -> Result<(), BoxError> {
        let claims = self.tickets.prune(KEEP_CLAIMS).await?;
        let sessions = self.stores.prune_sessions(self.clock.now()).await?;
        if claims + sessions > 0 {
            tracing::info!(claims, sessions, "forgot what has ended");
        }
        Ok(())
    }
}

/// Repeats a step until the shutdown. A step that fails, or panics, is logged and repeated at its time; nothing else
/// ends the loop.
pub(crate) async fn every<F>(pause: Duration, stop: Shutdown, step: impl Fn() -> F + Send)
where
    F: Future<Output = Result<(), BoxError>> + Send,
{
    every_or_woken(pause, stop, Wake::default(), step).await;
}

/// As [`every`], and before its time when it is woken.
async fn every_or_woken<F>(pause: Duration, stop: Shutdown, wake: Wake, step: impl Fn() -> F + Send)
where
    F: Future<Output = Result<(), BoxError>> + Send,
{
    while !stop.has_begun() {
        let rest = match AssertUnwindSafe(step()).catch_unwind().await {
            Ok(Ok(())) => pause,
            Ok(Err(error)) => {
                tracing::warn!(error = %chain(&*error), "a step of a worker failed; it will be repeated");
                pause.max(AFTER_A_FAILURE)
            }
            Err(_) => {
                tracing::error!("a step of a worker panicked; it will be repeated");
                pause.max(AFTER_A_FAILURE)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = wake.woken() => {}
            () = stop.begun() => {}
        }
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// Nobody waits here for the hour that a step pauses.
    #[tokio::test]
    async fn whoever_is_woken_does_not_wait_for_its_time() {
        let (workers, stop, wake) = (&mut Workers::default(), Shutdown::default(), Wake::default());
        let (begun, mut steps) = mpsc::unbounded_channel();
        let (until, woken) = (stop.clone(), wake.clone());
        workers.spawn(move |_| {
            every_or_woken(Duration::from_secs(3600), until, woken, move || {
                let told = begun.send(()).map_err(Into::into);
                async move { told }
            })
        });
        steps.recv().await.unwrap();
        wake.wake();
        steps.recv().await.unwrap();
        stop.begin();
        assert_eq!(steps.recv().await, None, "it has ended, and took no step more");
    }
}
