//! The watcher: whatever is unpaid is asked about on the [schedule](crate::watch), whether or not anybody looks at it, and
//! closed when it has run out.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use guiche_kernel::{Actor, StoreError, Timestamp, truncate_to_micros};

use super::Tickets;
use crate::{DueLook, InvoiceStatus, NextLook, ProviderStatus, Push, PushNoted, TicketError, watch};

/// When an invoice is looked at again whose answer could not be written down.
const AFTER_OUTAGE: Duration = Duration::from_secs(2);

/// How long a push is kept, so that one which is sent again is known.
const KEEP_PUSHES: Duration = Duration::from_secs(7 * 24 * 3600);

/// What one step of the watcher did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchReport {
    /// Looks that were due and taken.
    pub due: u32,
    /// Invoices found paid.
    pub settled: u32,
    /// Invoices closed unpaid.
    pub expired: u32,
    /// Invoices that stay as they are: unpaid so far, or with money on its way.
    pub unpaid: u32,
    /// Questions without an answer; they are asked again soon.
    pub unanswered: u32,
    /// Looks that there was no time for; they are due as before.
    pub left: u32,
    /// How late the most overdue of the looks was when it was taken.
    pub overdue: Duration,
    /// For each payment that was found, how long ago it was made.
    pub lags: Vec<Duration>,
}

impl Tickets {
    /// One step of the watcher: takes up to `most` looks that are due, asks the provider about a few at a time, settles
    /// what is paid, closes what has run out, and schedules the next looks. Once half of the lease is used, no further
    /// one is asked about, so that none is still at work when others may take it.
    ///
    /// Any number of steps may run side by side, in any number of processes: none is asked about twice.
    ///
    /// # Errors
    /// [`TicketError::Store`]. When storage is unavailable no further one is asked about, and what was taken is given
    /// back, if it can be; otherwise the first refusal, after all the others were looked at. One ticket that cannot be read
    /// or saved keeps nobody waiting; it comes back with its lease.
    pub async fn watch_once(&self, most: u16) -> Result<WatchReport, TicketError> {
        let now = self.ports.clock.now();
        let leased_until = truncate_to_micros(now + self.settings.watch_lease);
        let due = self.ports.store.claim_looks(now, leased_until, most).await?;
        let overdue = due.iter().map(|look| now - look.due_at).max().unwrap_or_default();
        let mut report = WatchReport {
            due: u32::try_from(due.len()).unwrap_or(u32::MAX),
            overdue: overdue.try_into().unwrap_or_default(),
            ..WatchReport::default()
        };
        let last_start = now + self.settings.watch_lease / 2;
        let (mut due, mut at_work) = (due.into_iter(), Vec::new());
        let (mut next_looks, mut failure) = (Vec::new(), None);
        loop {
            while at_work.len() < usize::from(self.settings.looks_at_once)
                && self.ports.clock.now() <= last_start
                && !is_outage(failure.as_ref())
                && let Some(look) = due.next()
            {
                at_work.push(Box::pin(async move { (self.look_at_due(&look).await, look) }));
            }
            let Some((looked, look)) = first_of(&mut at_work).await else { break };
            match looked {
                Ok((next, fate)) => {
                    next_looks.extend(next);
                    report.count(fate);
                }
                Err(refusal) => {
                    // Storage that is away for a moment must not cost the whole lease; what else it refuses may.
                    if is_outage(Some(&refusal)) {
                        next_looks.push(NextLook {
                            payment_hash: look.payment_hash,
                            at: Some(self.ports.clock.now() + AFTER_OUTAGE),
                        });
                    }
                    failure = failure.filter(|first| is_outage(Some(first))).or(Some(refusal));
                }
            }
        }
        for look in due {
            report.left += 1;
            next_looks.push(NextLook { payment_hash: look.payment_hash, at: Some(look.due_at) });
        }
        if !next_looks.is_empty() {
            self.ports.store.reschedule(leased_until, &next_looks).await?;
        }
        failure.map_or(Ok(report), Err)
    }

    async fn look_at_due(&self, look: &DueLook) -> Result<(Option<NextLook>, Fate), TicketError> {
        Ok(match self.look_into(look).await? {
            Looked::Unanswered => (self.soon(look), Fate::Unanswered),
            Looked::InFlight => (self.soon(look), Fate::Unpaid),
            Looked::Unpaid => (self.on_schedule(look), Fate::Unpaid),
            Looked::Applied { seen_at, status, paid_at } => match (status, paid_at) {
                // Storage schedules nothing for what is paid.
                (_, Some(paid_at)) => {
                    (None, Fate::Settled { lag: (seen_at - paid_at).try_into().unwrap_or_default() })
                }
                (Some(InvoiceStatus::Expired), None) => (self.on_schedule(look), Fate::Expired),
                (_, None) => (self.on_schedule(look), Fate::Unpaid),
            },
        })
    }

    /// Asks the provider about an invoice, and writes down what follows from the answer.
    pub(super) async fn look_into(&self, look: &DueLook) -> Result<Looked, TicketError> {
        let Ok(finding) = self.ask(&*self.ports.provider, &look.invoice_id, look.payment_hash).await else {
            return Ok(Looked::Unanswered);
        };
        match finding.status {
            ProviderStatus::InFlight => return Ok(Looked::InFlight),
            ProviderStatus::Unpaid if !look.open || finding.asked_at <= look.expires_at => {
                return Ok(Looked::Unpaid);
            }
            ProviderStatus::Unpaid | ProviderStatus::Paid { .. } => {}
        }
        let seen_at = finding.seen_at;
        let ticket = match self.apply(Actor::Worker, look.ticket_id, &[finding]).await {
            Ok(ticket) => Some(ticket),
            Err(TicketError::NotFound(_)) => None,
            Err(refusal) => return Err(refusal),
        };
        let invoice = ticket.as_ref().and_then(|ticket| ticket.invoice(&look.payment_hash));
        Ok(Looked::Applied {
            seen_at,
            status: invoice.map(|invoice| invoice.status),
            paid_at: invoice.and_then(|invoice| invoice.payment).map(|payment| payment.paid_at),
        })
    }

    fn on_schedule(&self, look: &DueLook) -> Option<NextLook> {
        let at = watch::next_look(look.issued_at, look.expires_at, self.ports.clock.now());
        Some(NextLook { payment_hash: look.payment_hash, at })
    }

    fn soon(&self, look: &DueLook) -> Option<NextLook> {
        let at = watch::next_look_soon(look.issued_at, look.expires_at, self.ports.clock.now());
        Some(NextLook { payment_hash: look.payment_hash, at: Some(at) })
    }

    /// The provider says that something about an invoice has changed. A hint and never a proof: the next look at that
    /// invoice is due at once, and the look decides.
    ///
    /// # Errors
    /// [`TicketError::Store`].
    pub async fn note_push(&self, push: &Push) -> Result<PushNoted, TicketError> {
        Ok(self.ports.store.note_push(push).await?)
    }

    /// Forgets idempotency claims older than `keep`, and old pushes; returns how many of either.
    ///
    /// # Errors
    /// [`TicketError::Store`].
    pub async fn prune(&self, keep: Duration) -> Result<u64, TicketError> {
        let now = self.ports.clock.now();
        let claims = self.ports.store.prune_claims(now - keep).await?;
        Ok(claims + self.ports.store.prune_pushes(now - KEEP_PUSHES).await?)
    }
}

impl WatchReport {
    fn count(&mut self, fate: Fate) {
        match fate {
            Fate::Settled { lag } => {
                self.settled += 1;
                self.lags.push(lag);
            }
            Fate::Expired => self.expired += 1,
            Fate::Unpaid => self.unpaid += 1,
            Fate::Unanswered => self.unanswered += 1,
        }
    }
}

fn is_outage(refusal: Option<&TicketError>) -> bool {
    matches!(refusal, Some(TicketError::Store(StoreError::Unavailable(_))))
}

/// What the provider said about an invoice.
pub(super) enum Looked {
    /// Nothing.
    Unanswered,
    /// Money is on its way.
    InFlight,
    /// It is unpaid, and nothing follows from that.
    Unpaid,
    /// Something that was written down.
    Applied {
        /// The moment of the answer.
        seen_at: Timestamp,
        /// How the invoice stands now; `None` when its ticket is gone, because its owner was deleted.
        status: Option<InvoiceStatus>,
        /// When it was paid, if it was.
        paid_at: Option<Timestamp>,
    },
}

/// What became of an invoice that was looked at.
#[derive(Clone, Copy)]
enum Fate {
    Settled { lag: Duration },
    Expired,
    Unpaid,
    Unanswered,
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
