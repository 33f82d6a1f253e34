//! The idempotency claims of the store in memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use guiche_kernel::{StoreError, Timestamp, UserId};
use uuid::Uuid;

use crate::{
    Claim, ClaimOutcome, ClaimRequest, Fingerprint, IdempotencyKey, PaymentHash, Release, Route, TicketId,
};

type ClaimKey = (UserId, Route, IdempotencyKey);

#[derive(Debug, Default)]
pub(super) struct Claims(HashMap<ClaimKey, ClaimRow>);

#[derive(Debug)]
struct ClaimRow {
    fingerprint: Fingerprint,
    subject: Uuid,
    requested_at: Timestamp,
    claimed_until: Timestamp,
    touched_at: Timestamp,
    done: Option<(TicketId, PaymentHash)>,
}

impl ClaimRow {
    const fn first(request: &ClaimRequest) -> Self {
        Self {
            fingerprint: request.fingerprint,
            subject: request.subject,
            requested_at: request.now,
            claimed_until: request.claimed_until,
            touched_at: request.now,
            done: None,
        }
    }

    fn mine(&self, request: &ClaimRequest) -> ClaimOutcome {
        ClaimOutcome::Mine(Claim {
            route: request.route,
            key: request.key.clone(),
            subject: self.subject,
            requested_at: self.requested_at,
            claimed_until: self.claimed_until,
        })
    }
}

impl Claims {
    pub(super) fn claim(&mut self, owner: UserId, request: &ClaimRequest) -> ClaimOutcome {
        let row = match self.0.entry((owner, request.route, request.key.clone())) {
            Entry::Vacant(free) => return free.insert(ClaimRow::first(request)).mine(request),
            Entry::Occupied(taken) => taken.into_mut(),
        };
        let (same, held) = (row.fingerprint == request.fingerprint, row.claimed_until > request.now);
        match row.done {
            Some((ticket_id, payment_hash)) if same => return ClaimOutcome::Done { ticket_id, payment_hash },
            None if held && same => return ClaimOutcome::Busy,
            Some(_) => return ClaimOutcome::Mismatch,
            None if held => return ClaimOutcome::Mismatch,
            None => {}
        }
        if !same || row.requested_at < request.renew_before {
            *row = ClaimRow::first(request);
        }
        row.claimed_until = request.claimed_until;
        row.touched_at = request.now;
        row.mine(request)
    }

    pub(super) fn find_done(
        &self,
        key: &ClaimKey,
        fingerprint: &Fingerprint,
    ) -> Option<(TicketId, PaymentHash)> {
        self.0.get(key).filter(|row| row.fingerprint == *fingerprint)?.done
    }

    pub(super) fn release(&mut self, owner: UserId, claim: &Claim, how: Release) {
        let key = (owner, claim.route, claim.key.clone());
        let held = |row: &&mut ClaimRow| {
            row.subject == claim.subject && row.claimed_until == claim.claimed_until && row.done.is_none()
        };
        let Some(row) = self.0.get_mut(&key).filter(held) else { return };
        match how {
            Release::Lapse => row.claimed_until = row.requested_at,
            Release::Forget => {
                self.0.remove(&key);
            }
        }
    }

    /// Whether the claim is still held under its subject.
    pub(super) fn check_held(&self, owner: UserId, claim: &Claim) -> Result<(), StoreError> {
        let row = self.0.get(&(owner, claim.route, claim.key.clone()));
        let held = row.is_some_and(|row| row.subject == claim.subject && row.done.is_none());
        if held { Ok(()) } else { Err(StoreError::Conflict) }
    }

    pub(super) fn complete(
        &mut self,
        owner: UserId,
        claim: &Claim,
        done: (TicketId, PaymentHash),
    ) -> Result<(), StoreError> {
        self.check_held(owner, claim)?;
        let row = self.0.get_mut(&(owner, claim.route, claim.key.clone()));
        row.ok_or(StoreError::Conflict)?.done = Some(done);
        Ok(())
    }

    pub(super) fn prune(&mut self, before: Timestamp) -> u64 {
        let count = self.0.len();
        self.0.retain(|_, row| row.touched_at >= before);
        u64::try_from(count - self.0.len()).unwrap_or(u64::MAX)
    }
}
