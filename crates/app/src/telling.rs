//! Telling others: the use cases of events out on their adapters, and the worker that runs them.

use std::sync::Arc;
use std::time::Duration;

use guiche_adapter_postgres::PgStores;
use guiche_adapter_webhooks::{HttpSender, SenderSettings};
use guiche_kernel::{BoxError, Ids, Limit, SecretVault};
use guiche_webhooks::{Claim, Due, Fate, WebhookPorts, WebhookSettings, Webhooks};
use tokio::task::JoinSet;

use crate::config::Config;
use crate::shutdown::Shutdown;
use crate::wiring::World;
use crate::workers::{Workers, every};

/// How many requests this process has under way at once.
const AT_ONCE: usize = 16;
/// With fail points it is killed hundreds of times, and each round would wait for this.
const LOOK_EVERY: Duration = Duration::from_millis(if cfg!(feature = "fail-points") { 50 } else { 1_000 });
/// How soon it looks again after there was something: what is due may lie with an endpoint that another process was just
/// choosing from, which is skipped, so an empty hand does not mean that there is nothing to do.
const LOOK_SOON: Duration = Duration::from_millis(10);
const MEASURE_EVERY: Duration = Duration::from_secs(15);
const PRUNE_EVERY: Duration = Duration::from_secs(15 * 60);
/// How long a delivery that came to its end is remembered.
const KEEP_DELIVERIES: Duration = Duration::from_secs(30 * 86_400);
/// What is under way at the shutdown may end within this; the rest is sent again by others, under the same id.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Events out, over the given stores.
///
/// # Errors
/// When the sender cannot be made.
pub fn assemble(
    config: &Config,
    stores: &PgStores,
    vault: Arc<dyn SecretVault>,
    world: &World,
) -> Result<Arc<Webhooks>, BoxError> {
    let sender = HttpSender::try_new(SenderSettings {
        allow_private: config.webhooks_allow_private.clone(),
        plain_loopback: !config.is_production(),
        ..SenderSettings::default()
    })?;
    let ports = WebhookPorts {
        endpoints: stores.endpoints(),
        deliveries: stores.deliveries(),
        sender: Arc::new(sender),
        vault,
        clock: Arc::clone(&world.clock),
        randomness: Arc::clone(&world.randomness),
        ids: Ids::new(Arc::clone(&world.clock), Arc::clone(&world.randomness)),
    };
    #[cfg(feature = "fail-points")]
    let ports = crate::fail_points::FailPoints::from_environment().around_webhooks(ports);
    Ok(Arc::new(Webhooks::new(ports, WebhookSettings::default())))
}

/// The worker that tells others. It rests until it is started; a test may take its steps one by one.
#[derive(Clone)]
pub struct Messenger {
    webhooks: Arc<Webhooks>,
}

impl Messenger {
    /// A messenger that rests.
    #[must_use]
    pub const fn new(webhooks: Arc<Webhooks>) -> Self {
        Self { webhooks }
    }

    /// Starts the work. Any number of processes share it.
    pub fn start(&self, workers: &mut Workers) {
        let (messenger, meter, pruner) = (self.clone(), self.clone(), self.clone());
        workers.spawn(|stop| async move { messenger.work(&stop).await });
        workers.spawn(|stop| every(MEASURE_EVERY, stop, move || meter.clone().measure()));
        workers.spawn(|stop| every(PRUNE_EVERY, stop, move || pruner.clone().prune()));
    }

    /// Orders deliveries for whatever happened.
    ///
    /// # Errors
    /// When storage does not do its part.
    pub async fn fan_out(&self) -> Result<(), BoxError> {
        let batch = Limit::try_new(Limit::MAX)?;
        while self.webhooks.fan_out_once(batch).await?.events == u64::from(batch.get()) {}
        Ok(())
    }

    /// Makes every attempt that is due now, and returns when all were made.
    ///
    /// # Errors
    /// When storage does not do its part.
    pub async fn deliver(&self) -> Result<(), BoxError> {
        loop {
            let report = self.webhooks.deliver_once(Limit::default()).await?;
            if report.fates.is_empty() {
                return Ok(());
            }
            report.fates.iter().for_each(|(claim, fate)| tell(claim, fate));
        }
    }

    /// Looks every second, whenever an attempt has ended, and for a while after there was something: a slow endpoint keeps
    /// its own places and no others.
    async fn work(&self, stop: &Shutdown) {
        let mut at_work = JoinSet::new();
        let mut rest = LOOK_EVERY;
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !stop.has_begun() {
            tokio::select! {
                _ = tick.tick() => {
                    if let Err(error) = self.fan_out().await {
                        tracing::warn!(%error, "events were not fanned out; it will be tried again");
                    }
                }
                Some(ended) = at_work.join_next() => {
                    ended_well(ended);
                    rest = LOOK_SOON;
                }
                () = tokio::time::sleep(rest), if rest < LOOK_EVERY => {}
                () = stop.begun() => break,
            }
            while let Some(ended) = at_work.try_join_next() {
                ended_well(ended);
            }
            rest = self.begin(&mut at_work).await.map_or(LOOK_EVERY, |found| rest_after(rest, found));
        }
        let remaining = async { while at_work.join_next().await.is_some() {} };
        // Whoever has not ended is cut off; its lease runs out.
        let _ = tokio::time::timeout(END_WITHIN, remaining).await;
    }

    /// Begins with as many attempts as there are places, and says with how many; `None` when storage does not do its part.
    async fn begin(&self, at_work: &mut JoinSet<()>) -> Option<usize> {
        let free = AT_ONCE.saturating_sub(at_work.len());
        let Ok(limit) = u16::try_from(free).map_err(drop).and_then(|free| Limit::try_new(free).map_err(drop))
        else {
            return Some(0);
        };
        let claimed = self.webhooks.claim(limit).await;
        let claimed = claimed
            .inspect_err(|error| {
                tracing::warn!(%error, "deliveries could not be claimed; it will be tried again");
            })
            .ok()?;
        let begun = claimed.len();
        for due in claimed {
            at_work.spawn(deliver(Arc::clone(&self.webhooks), due));
        }
        Some(begun)
    }

    /// Puts how things stand into the metrics.
    async fn measure(self) -> Result<(), BoxError> {
        let (standing, waiting) = self.webhooks.standing().await?;
        metrics::gauge!("webhook_delivery_lag_seconds").set(waiting.as_secs_f64());
        for (state, count) in
            [("active", standing.active_endpoints), ("disabled", standing.disabled_endpoints)]
        {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            metrics::gauge!("webhook_endpoints", "state" => state).set(f64::from(count));
        }
        Ok(())
    }

    async fn prune(self) -> Result<(), BoxError> {
        let deliveries = self.webhooks.prune(KEEP_DELIVERIES).await?;
        if deliveries > 0 {
            tracing::info!(deliveries, "forgot deliveries that ended long ago");
        }
        Ok(())
    }
}

/// How long it rests before it looks again: shortly after it found something, then twice as long each time.
fn rest_after(rest: Duration, found: usize) -> Duration {
    if found > 0 { LOOK_SOON } else { rest.saturating_mul(2).min(LOOK_EVERY) }
}

async fn deliver(webhooks: Arc<Webhooks>, due: Due) {
    let claim = due.claim;
    match webhooks.deliver(due).await {
        Ok(fate) => tell(&claim, &fate),
        Err(error) => {
            let (event, endpoint) = (claim.event_id, claim.endpoint_id);
            tracing::warn!(event.id = %event, endpoint.id = %endpoint, %error,
                "how an attempt ended could not be written down; it will be made again");
        }
    }
}

fn ended_well(ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("an attempt to deliver panicked; it will be made again");
    }
}

/// One line, and one more on its counter. Neither addresses nor answers are told: both may hold secrets.
fn tell(claim: &Claim, fate: &Fate) {
    let (event, endpoint) = (claim.event_id, claim.endpoint_id);
    let outcome = match fate {
        Fate::Delivered => {
            tracing::debug!(event.id = %event, endpoint.id = %endpoint, "delivered an event");
            "delivered"
        }
        Fate::Retried { attempted, at } => {
            tracing::info!(event.id = %event, endpoint.id = %endpoint, result = %attempted, next_at = %at,
                "an event was not taken; it will be sent again");
            "retried"
        }
        Fate::GivenUp { attempted } => {
            tracing::warn!(event.id = %event, endpoint.id = %endpoint, result = %attempted,
                "an event was not taken, and this was the last attempt");
            "given_up"
        }
        Fate::Disabled { attempted, reason } => {
            tracing::warn!(event.id = %event, endpoint.id = %endpoint, result = %attempted, reason = reason.as_str(),
                "an endpoint was disabled");
            "disabled"
        }
        Fate::Lost => {
            tracing::warn!(event.id = %event, endpoint.id = %endpoint, "an attempt outlived its lease");
            "lost"
        }
    };
    metrics::counter!("webhook_deliveries_total", "outcome" => outcome).increment(1);
}

#[cfg(test)]
#[path = "telling_tests.rs"]
mod tests;
