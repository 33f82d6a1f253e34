//! Doing a thing once per idempotency key, whatever is lost on the way.
//!
//! The first request claims the key in a commit of its own, with the ids under which it will work. Whoever comes later
//! with the same key waits for its answer, or takes the work over, under the same ids, when the first one died.

use std::time::Duration;

use guiche_kernel::{Caller, StoreError, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use super::Tickets;
use crate::{
    Claim, ClaimOutcome, ClaimRequest, Fingerprint, GatewayError, IdempotencyKey, PaymentHash, Release,
    Route, TicketError, TicketId,
};

/// The first pause between two looks at somebody else's claim; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);
/// What a client is told to wait when the first request has not finished in time.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The right to do the work, and the names under which to do it.
pub(super) struct Attempt {
    /// The idempotency key at the provider, and the id of what is made.
    pub(super) subject: Uuid,
    /// The moment that the provider is asked with.
    pub(super) requested_at: Timestamp,
    /// The claim to complete, when the client sent a key.
    pub(super) claim: Option<Claim>,
}

/// Whose turn it is.
pub(super) enum Turn {
    /// Ours: do the work.
    Work(Attempt),
    /// Nobody's: it was done.
    Done(TicketId, PaymentHash),
}

impl Tickets {
    /// Waits for a turn at the key; without a key it is always ours.
    pub(super) async fn turn(
        &self,
        caller: Caller,
        route: Route,
        key: Option<&IdempotencyKey>,
        request: &(impl Serialize + Sync),
    ) -> Result<Turn, TicketError> {
        let subject = self.ports.ids.uuid();
        let started = self.ports.clock.now();
        let Some(key) = key else {
            return Ok(Turn::Work(Attempt { subject, requested_at: started, claim: None }));
        };
        let fingerprint = Fingerprint::of(request)?;
        let mut pause = FIRST_PAUSE;
        loop {
            let request = self.claim_request(route, key, fingerprint, subject);
            match self.ports.store.claim(caller, &request).await? {
                ClaimOutcome::Mine(claim) => {
                    let (subject, requested_at) = (claim.subject, claim.requested_at);
                    return Ok(Turn::Work(Attempt { subject, requested_at, claim: Some(claim) }));
                }
                ClaimOutcome::Done { ticket_id, payment_hash } => {
                    return Ok(Turn::Done(ticket_id, payment_hash));
                }
                ClaimOutcome::Mismatch => return Err(TicketError::KeyReused),
                ClaimOutcome::Busy if request.now - started >= self.settings.claim_wait => {
                    return Err(TicketError::KeyInUse { retry_after: RETRY_AFTER });
                }
                ClaimOutcome::Busy => {
                    self.ports.timer.sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Whether somebody who took our claim over, while we were slow, has finished the work: then theirs is the answer.
    /// Our own commit was refused in that case, so nothing exists twice.
    pub(super) async fn done_by_another<T: Sync>(
        &self,
        caller: Caller,
        claim: Option<&Claim>,
        request: &(impl Serialize + Sync),
        outcome: &Result<T, TicketError>,
    ) -> Result<Option<(TicketId, PaymentHash)>, TicketError> {
        let (Some(claim), Err(refusal)) = (claim, outcome) else { return Ok(None) };
        // A ticket that has been given its fresh invoice by the other one refuses ours by where it stands.
        let may_be_theirs = matches!(
            refusal,
            TicketError::Store(StoreError::Duplicate | StoreError::Conflict) | TicketError::InvalidState(_)
        );
        if !may_be_theirs {
            return Ok(None);
        }
        let fingerprint = Fingerprint::of(request)?;
        Ok(self.ports.store.find_done(caller, claim.route, &claim.key, &fingerprint).await?)
    }

    fn claim_request(
        &self,
        route: Route,
        key: &IdempotencyKey,
        fingerprint: Fingerprint,
        subject: Uuid,
    ) -> ClaimRequest {
        let now = self.ports.clock.now();
        ClaimRequest {
            route,
            key: key.clone(),
            fingerprint,
            subject,
            now,
            claimed_until: now + self.settings.claim_lease,
            renew_before: now - self.settings.invoice_lifetime / 2,
        }
    }

    /// Gives the key free again: there was nothing to do. Like every release it is without effect on the claim of whoever
    /// has taken ours over.
    pub(super) async fn forget(&self, caller: Caller, claim: Option<&Claim>) {
        if let Some(claim) = claim {
            let _ = self.ports.store.release(caller, claim, Release::Forget).await;
        }
    }

    /// Gives the claim back when the work was refused, so that the client may correct the request and use the key
    /// again. After a lost answer the claim only lapses: the next attempt must go on under the same subject.
    pub(super) async fn conclude<T>(
        &self,
        caller: Caller,
        claim: Option<&Claim>,
        outcome: Result<T, TicketError>,
    ) -> Result<T, TicketError> {
        if let (Some(claim), Err(refusal)) = (claim, &outcome) {
            // When this fails too, the lease runs out by itself; when we were too slow, it is another's and stays so.
            let _ = self.ports.store.release(caller, claim, release_after(refusal)).await;
        }
        outcome
    }
}

const fn release_after(refusal: &TicketError) -> Release {
    match refusal {
        TicketError::Gateway(GatewayError::Unavailable(_)) | TicketError::Store(_) => Release::Lapse,
        TicketError::Gateway(GatewayError::Rejected(_) | GatewayError::Nonsense(_))
        | TicketError::NotFound(_)
        | TicketError::OperationNotFound(_)
        | TicketError::OperationNameNotFound
        | TicketError::Form(_)
        | TicketError::InvalidState(_)
        | TicketError::KeyReused
        | TicketError::KeyInUse { .. }
        | TicketError::WrongPreimage => Release::Forget,
    }
}
