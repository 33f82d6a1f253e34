//! What makes the steps of setups: claims those that are due, and drives each in a task of its own.

use std::num::NonZeroU16;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use guiche_kernel::{BoxError, Clock};
use guiche_lightning_setup::lnurl::Lnurl;
use guiche_lightning_setup::{Driven, Lease, Setup, SetupStatus, SetupStore, Setups};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::shutdown::Shutdown;
use crate::workers::{Wake, Workers, every};

/// How many setups this process works on at once. Each waits for providers nearly all of the time.
const AT_ONCE: usize = 32;
/// How often somebody asks whether a setup is due: as short as the saga's shortest pause, and one look into an index.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// While storage is away, nobody needs four lines of log a second.
const AFTER_A_FAILURE: Duration = Duration::from_secs(5);
/// How long a call outside that is under way at the shutdown may still take. Its setup is then given back, and goes on
/// elsewhere at once; a setup whose call takes longer is claimed by others when its lease ends.
const END_WITHIN: Duration = Duration::from_secs(8);
const MEASURE_EVERY: Duration = Duration::from_secs(15);
const PRUNE_EVERY: Duration = Duration::from_secs(15 * 60);
/// How long invoices that ran out, and messages of stores, are remembered.
const KEEP: Duration = Duration::from_secs(7 * 86_400);

const ENDED: &str = "lightning_setups_ended_total";

/// Makes the steps of setups. It rests until it is started; a test may take its steps one by one.
#[derive(Clone)]
pub struct Installer {
    setups: Setups,
    store: Arc<dyn SetupStore>,
    lnurl: Arc<Lnurl>,
    clock: Arc<dyn Clock>,
    wake: Wake,
    ended: Arc<Notify>,
}

impl Installer {
    /// An installer that rests.
    #[must_use]
    pub fn new(setups: Setups, store: Arc<dyn SetupStore>, lnurl: Arc<Lnurl>, clock: Arc<dyn Clock>) -> Self {
        Self { setups, store, lnurl, clock, wake: Wake::default(), ended: Arc::default() }
    }

    /// What has it look at once.
    #[must_use]
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Tells whoever waits that a setup of this process came to an end.
    #[must_use]
    pub fn ended(&self) -> Arc<Notify> {
        Arc::clone(&self.ended)
    }

    /// Starts the work. Any number of processes share it.
    pub fn start(&self, workers: &mut Workers) {
        // A counter that is not there cannot increase: the first failure would alarm nobody.
        for status in SetupStatus::ALL.into_iter().filter(|status| !status.is_running()) {
            metrics::counter!(ENDED, "outcome" => status.as_str()).increment(0);
        }
        let (installer, meter, pruner) = (self.clone(), self.clone(), self.clone());
        workers.spawn(|stop| async move { installer.work(&stop).await });
        workers.spawn(|stop| every(MEASURE_EVERY, stop, move || meter.clone().measure()));
        workers.spawn(|stop| every(PRUNE_EVERY, stop, move || pruner.clone().prune()));
    }

    /// Works on everything that is due, until nothing is.
    ///
    /// # Errors
    /// When storage does not do its part.
    pub async fn work_off(&self) -> Result<(), BoxError> {
        loop {
            let claimed = self.setups.claim(most(AT_ONCE)).await?;
            if claimed.is_empty() {
                return Ok(());
            }
            for (lease, setup) in claimed {
                self.clone().drive(lease, setup, Shutdown::default()).await;
            }
        }
    }

    async fn work(self, stop: &Shutdown) {
        let mut at_work = JoinSet::new();
        while !stop.has_begun() {
            let rest = self.begin(&mut at_work, stop).await;
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = self.wake.woken() => {}
                Some(_) = at_work.join_next() => {}
                () = stop.begun() => break,
            }
            while at_work.try_join_next().is_some() {}
        }
        let rest = async { while at_work.join_next().await.is_some() {} };
        if tokio::time::timeout(END_WITHIN, rest).await.is_err() {
            let left = at_work.len();
            tracing::info!(
                left,
                "setups whose calls are unanswered are left to whoever claims them when their leases end"
            );
        }
    }

    /// Begins with as many setups as there are places; how long to rest then.
    async fn begin(&self, at_work: &mut JoinSet<()>, stop: &Shutdown) -> Duration {
        let free = AT_ONCE.saturating_sub(at_work.len());
        if free == 0 {
            return LOOK_EVERY;
        }
        match self.setups.claim(most(free)).await {
            Ok(claimed) => {
                for (lease, setup) in claimed {
                    at_work.spawn(self.clone().drive(lease, setup, stop.clone()));
                }
                LOOK_EVERY
            }
            Err(error) => {
                tracing::warn!(%error, "setups could not be claimed; it will be tried again");
                AFTER_A_FAILURE
            }
        }
    }

    /// Works on one setup, until the end of the step that the shutdown finds it at. Whatever becomes of this task, the
    /// lease runs out and somebody goes on.
    async fn drive(self, lease: Lease, setup: Setup, stop: Shutdown) {
        let (id, user) = (setup.id, setup.user_id);
        let driven = self.setups.drive_unless(lease, setup, || stop.has_begun());
        let driven = AssertUnwindSafe(driven).catch_unwind().await;
        match driven {
            Ok(Ok(Driven::Ended(status))) => {
                tell(status);
                tracing::info!(setup.id = %id, user.id = %user, status = status.as_str(), "a setup came to an end");
                self.ended.notify_waiters();
            }
            Ok(Ok(Driven::Resting(until))) => tracing::debug!(setup.id = %id, %until, "a setup waits"),
            Ok(Ok(Driven::Lost)) => tracing::info!(setup.id = %id, "somebody else works on this setup now"),
            Ok(Err(error)) => {
                tracing::warn!(setup.id = %id, %error, "a setup could not be worked on; it will be tried again");
            }
            Err(_) => tracing::error!(setup.id = %id, "working on a setup panicked; it will be tried again"),
        }
    }

    /// Puts how many setups stand where into the metrics.
    async fn measure(self) -> Result<(), BoxError> {
        let counted = self.store.count().await?;
        // A status that none has any more is told as well: a gauge stays where it was left.
        for status in SetupStatus::ALL {
            let count = counted.iter().find(|(counted, _)| *counted == status).map_or(0, |(_, count)| *count);
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            metrics::gauge!("lightning_setups", "status" => status.as_str()).set(f64::from(count));
        }
        Ok(())
    }

    async fn prune(self) -> Result<(), BoxError> {
        let forgotten = self.lnurl.prune(self.clock.now() - KEEP).await?;
        if forgotten > 0 {
            tracing::info!(forgotten, "forgot invoices of addresses that ran out, and messages of stores");
        }
        Ok(())
    }
}

fn most(places: usize) -> NonZeroU16 {
    u16::try_from(places).ok().and_then(NonZeroU16::new).unwrap_or(NonZeroU16::MIN)
}

fn tell(status: SetupStatus) {
    metrics::counter!(ENDED, "outcome" => status.as_str()).increment(1);
}
