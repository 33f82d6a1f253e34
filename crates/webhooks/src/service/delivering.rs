//! What a worker does: the fan-out, and one attempt after another.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use guiche_kernel::{Limit, Timestamp, truncate_to_micros};

use super::Webhooks;
use crate::{Attempted, Claim, DisabledReason, Due, Endpoint, Event, FannedOut, Next, Verdict, WebhookError};

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The endpoint took it.
    Delivered,
    /// It did not; the next attempt is at that moment.
    Retried {
        /// How the attempt ended.
        attempted: Attempted,
        /// When the next one is due.
        at: Timestamp,
    },
    /// It did not, and this was the last attempt.
    GivenUp {
        /// How the attempt ended.
        attempted: Attempted,
    },
    /// The endpoint is disabled now, and so is everything that waited for it.
    Disabled {
        /// How the attempt ended.
        attempted: Attempted,
        /// Why.
        reason: DisabledReason,
    },
    /// Somebody else has taken it meanwhile, or it was dropped: this attempt took longer than its lease.
    Lost,
}

/// What one step of the worker did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliverReport {
    /// Each delivery that was due, and what became of it.
    pub fates: Vec<(Claim, Fate)>,
}

impl DeliverReport {
    /// How many the endpoints took.
    #[must_use]
    pub fn delivered(&self) -> usize {
        self.fates.iter().filter(|(_, fate)| *fate == Fate::Delivered).count()
    }
}

impl Webhooks {
    /// One step of the fan-out: orders deliveries for events that nobody has taken care of yet.
    ///
    /// # Errors
    /// [`WebhookError::Store`]; then nothing was done.
    pub async fn fan_out_once(&self, limit: Limit) -> Result<FannedOut, WebhookError> {
        Ok(self.ports.deliveries.fan_out(self.ports.clock.now(), limit).await?)
    }

    /// Takes deliveries that are due. Whoever takes them MUST begin with all of them at once, since their leases run.
    ///
    /// # Errors
    /// [`WebhookError::Store`].
    pub async fn claim(&self, limit: Limit) -> Result<Vec<Due>, WebhookError> {
        let now = self.ports.clock.now();
        let until = now + self.settings.lease;
        Ok(self.ports.deliveries.claim(now, until, self.settings.per_endpoint, limit).await?)
    }

    /// Makes one attempt and writes down what follows. When this is cut short, the lease runs out and somebody tries again
    /// under the same id.
    ///
    /// # Errors
    /// [`WebhookError::Store`] when the outcome could not be written down.
    pub async fn deliver(&self, due: Due) -> Result<Fate, WebhookError> {
        let Due { claim, attempt, content } = due;
        let Ok((endpoint, event)) = content else {
            return self.fail(&claim, attempt, None, Attempted::Unreadable, Duration::ZERO).await;
        };
        let (attempted, verdict) = self.attempt(&endpoint, &event).await;
        match verdict {
            Verdict::Delivered => {
                let now = self.ports.clock.now();
                let ours = self.ports.deliveries.record(&claim, attempted, Next::Delivered, now).await?;
                Ok(if ours { Fate::Delivered } else { Fate::Lost })
            }
            Verdict::Gone => {
                let now = self.ports.clock.now();
                self.ports.deliveries.record(&claim, attempted, Next::GivenUp, now).await?;
                self.ports.endpoints.disable(endpoint.id, DisabledReason::Gone, None, now).await?;
                Ok(Fate::Disabled { attempted, reason: DisabledReason::Gone })
            }
            Verdict::Failed { not_within } => {
                self.fail(&claim, attempt, Some(&endpoint), attempted, not_within).await
            }
        }
    }

    /// One step of a worker: takes what is due and makes all these attempts at once. A loop that must not wait for the
    /// slowest of them calls [`claim`](Self::claim) and [`deliver`](Self::deliver) itself.
    ///
    /// # Errors
    /// [`WebhookError::Store`]: the first, after all attempts were made.
    pub async fn deliver_once(&self, limit: Limit) -> Result<DeliverReport, WebhookError> {
        let due = self.claim(limit).await?;
        let attempts = due.into_iter().map(|due| {
            let claim = due.claim;
            Box::pin(async move { self.deliver(due).await.map(|fate| (claim, fate)) })
        });
        let fates = all(attempts.collect()).await.into_iter().collect::<Result<_, _>>()?;
        Ok(DeliverReport { fates })
    }

    async fn attempt(&self, endpoint: &Endpoint, event: &Event) -> (Attempted, Verdict) {
        let request = self.request(endpoint, event, self.ports.clock.now());
        let Ok(request) = request else {
            return (Attempted::NotSigned, Verdict::Failed { not_within: Duration::ZERO });
        };
        let outcome = self.ports.sender.send(request).await;
        let verdict = Verdict::of(&outcome, self.ports.clock.now());
        let attempted = match outcome {
            Ok(answer) => Attempted::Answered(answer.status),
            Err(reason) => Attempted::NotSent(reason),
        };
        (attempted, verdict)
    }

    async fn fail(
        &self,
        claim: &Claim,
        attempt: u32,
        endpoint: Option<&Endpoint>,
        attempted: Attempted,
        not_within: Duration,
    ) -> Result<Fate, WebhookError> {
        let now = self.ports.clock.now();
        let pause = self.settings.schedule.pause_after(attempt, &*self.ports.randomness);
        let (next, fate) = match pause.map(|pause| truncate_to_micros(now + pause.max(not_within))) {
            Some(at) => (Next::RetryAt(at), Fate::Retried { attempted, at }),
            None => (Next::GivenUp, Fate::GivenUp { attempted }),
        };
        if !self.ports.deliveries.record(claim, attempted, next, now).await? {
            return Ok(Fate::Lost);
        }
        let Some(endpoint) = endpoint else { return Ok(fate) };
        let hopeless = endpoint.failing_since.filter(|since| now - *since >= self.settings.give_up_after);
        if let Some(since) = hopeless {
            let reason = DisabledReason::Failing;
            if self.ports.endpoints.disable(endpoint.id, reason, Some(since), now).await? {
                return Ok(Fate::Disabled { attempted, reason });
            }
        }
        Ok(fate)
    }
}

/// Waits for all of a few at once. By hand, because the library that does this costs a domain many more crates.
async fn all<F: Future + Unpin>(mut at_work: Vec<F>) -> Vec<F::Output> {
    let mut outputs: Vec<Option<F::Output>> = at_work.iter().map(|_| None).collect();
    poll_fn(|cx| {
        let mut done = true;
        for (work, output) in at_work.iter_mut().zip(&mut outputs).filter(|(_, output)| output.is_none()) {
            match Pin::new(work).poll(cx) {
                Poll::Ready(ended) => *output = Some(ended),
                Poll::Pending => done = false,
            }
        }
        if done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outputs.into_iter().flatten().collect()
}
