//! The sweeper: whatever has run out is asked about and closed, whether or not anybody looks at it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use guiche_kernel::{Actor, Limit, StoreError};

use super::Tickets;
use crate::{DueInvoice, InvoiceStatus, Ticket, TicketError};

/// How many invoices are asked about at once: few enough for the provider, and for the connections of the workers.
const AT_ONCE: usize = 8;

/// What one sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Invoices that had run out.
    pub due: u32,
    /// Of these, closed unpaid.
    pub expired: u32,
    /// Of these, found paid.
    pub settled: u32,
    /// Of these, left alone: the provider gave no answer, money is on its way, or the time was up.
    pub left: u32,
}

impl Tickets {
    /// One step of the sweeper: takes the invoices that ran out, asks the provider about a few at a time, and closes
    /// those that are unpaid. Without an answer nothing changes; the lease runs out and somebody asks again. Once half
    /// of the lease is used, no further one is asked about, so that none is still at work when others may take it.
    ///
    /// # Errors
    /// [`TicketError::Store`]: at once when storage is unavailable, otherwise the first refusal, after all the others
    /// were looked at. One ticket that cannot be read or saved keeps nobody waiting.
    pub async fn sweep_once(&self, limit: Limit) -> Result<SweepReport, TicketError> {
        let now = self.ports.clock.now();
        let due = self.ports.store.claim_due(now, now + self.settings.sweep_lease, limit).await?;
        let last_start = now + self.settings.sweep_lease / 2;
        let mut report =
            SweepReport { due: u32::try_from(due.len()).unwrap_or(u32::MAX), ..Default::default() };
        let (mut due, mut at_work) = (due.into_iter(), Vec::new());
        let (mut failed, mut failure) = (0, None);
        loop {
            while at_work.len() < AT_ONCE
                && self.ports.clock.now() <= last_start
                && let Some(next) = due.next()
            {
                at_work.push(Box::pin(self.look_at_due(next)));
            }
            let Some(looked) = first_of(&mut at_work).await else { break };
            match looked {
                Ok(Fate::Settled) => report.settled += 1,
                Ok(Fate::Expired) => report.expired += 1,
                Ok(Fate::Left) => {}
                Err(refusal @ TicketError::Store(StoreError::Unavailable(_))) => return Err(refusal),
                Err(refusal) => {
                    failed += 1;
                    failure = failure.or(Some(refusal));
                }
            }
        }
        report.left = report.due - report.settled - report.expired - failed;
        failure.map_or(Ok(report), Err)
    }

    async fn look_at_due(&self, due: DueInvoice) -> Result<Fate, TicketError> {
        let ticket = self.get_as(Actor::Worker, due.ticket_id).await?;
        let looked = self.look(&*self.ports.provider, Actor::Worker, ticket, Some(&due.payment_hash)).await;
        match looked {
            Ok(ticket) => Ok(Fate::of(&ticket, &due)),
            Err(TicketError::Gateway(_)) => Ok(Fate::Left),
            Err(refusal) => Err(refusal),
        }
    }

    /// Forgets idempotency claims older than `keep`.
    ///
    /// # Errors
    /// [`TicketError::Store`].
    pub async fn prune_claims(&self, keep: std::time::Duration) -> Result<u64, TicketError> {
        Ok(self.ports.store.prune_claims(self.ports.clock.now() - keep).await?)
    }
}

/// Waits for the first of a few to be done, and takes it out; `None` when there are none. By hand, because a stream that
/// does this costs a domain many more crates, and all of them are looked at whenever one wakes up: keep them few.
async fn first_of<F: Future + Unpin>(at_work: &mut Vec<F>) -> Option<F::Output> {
    poll_fn(|cx| {
        let done = at_work.iter_mut().enumerate().find_map(|(index, work)| match Pin::new(work).poll(cx) {
            Poll::Ready(output) => Some((index, output)),
            Poll::Pending => None,
        });
        match done {
            Some((index, output)) => {
                drop(at_work.swap_remove(index));
                Poll::Ready(Some(output))
            }
            None if at_work.is_empty() => Poll::Ready(None),
            None => Poll::Pending,
        }
    })
    .await
}

/// What became of an invoice that was due.
enum Fate {
    Expired,
    Settled,
    Left,
}

impl Fate {
    fn of(ticket: &Ticket, due: &DueInvoice) -> Self {
        match ticket.invoice(&due.payment_hash) {
            Some(invoice) if !invoice.is_unpaid() => Self::Settled,
            Some(invoice) if invoice.status == InvoiceStatus::Open => Self::Left,
            Some(_) | None => Self::Expired,
        }
    }
}
