//! Setups, their journal and their audit trail in memory: one lock, so every call is atomic.

#![expect(clippy::expect_used, reason = "test code: a failed expectation is the point")]

mod book;
mod rows;
mod trail;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use guiche_kernel::{Caller, Epoch, Limit, StoreError, Timestamp, UserId};

use self::rows::Row;
use crate::{
    AddressInvoice, Amendment, AuditEntry, AuditRow, Begin, Begun, Goal, Lease, LightningAddress, Services,
    Setup, SetupFault, SetupId, SetupStatus, SetupStore, StepRecord, StepState,
};

/// Everything of Lightning setups that is stored. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemorySetupStore(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    epochs: HashMap<UserId, Epoch>,
    rows: BTreeMap<SetupId, Row>,
    log: Vec<AuditEntry>,
    invoices: HashMap<[u8; 32], AddressInvoice>,
    deliveries: HashMap<(SetupId, String), Timestamp>,
    /// Addresses that were active and whose owners were forgotten.
    retired: HashSet<LightningAddress>,
    journal_writes: usize,
}

impl MemorySetupStore {
    /// A store with nobody in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an account that may call.
    pub fn add_account(&self, user_id: UserId) -> Caller {
        self.lock().epochs.insert(user_id, Epoch::FIRST);
        Caller { user_id, epoch: Epoch::FIRST }
    }

    /// Ends every session of an account, as a password change does.
    pub fn revoke(&self, user_id: UserId) {
        self.lock().epochs.entry(user_id).and_modify(|epoch| *epoch = epoch.next());
    }

    /// Forgets an account whose setups all ended with nothing outside; `false` when one did not, or there is no account.
    /// The audit trail stays, and what was ever active is nobody's again.
    #[must_use]
    pub fn forget(&self, user_id: UserId) -> bool {
        let mut state = self.lock();
        let mut own = state.rows.values().filter(|row| row.setup.user_id == user_id);
        if !own.all(|row| row.setup.status.lets_go()) || state.epochs.remove(&user_id).is_none() {
            return false;
        }
        let State { rows, invoices, deliveries, retired, .. } = &mut *state;
        rows.retain(|_, row| {
            let kept = row.setup.user_id != user_id;
            if !kept && row.setup.activated_at.is_some() {
                retired.insert(row.setup.address.clone());
            }
            kept
        });
        invoices.retain(|_, invoice| rows.contains_key(&invoice.setup));
        deliveries.retain(|(setup, _), _| rows.contains_key(setup));
        true
    }

    /// How often something was written into a journal.
    #[must_use]
    pub fn journal_writes(&self) -> usize {
        self.lock().journal_writes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn admit(&self, caller: Caller) -> Result<(), StoreError> {
        let known = self.epochs.get(&caller.user_id) == Some(&caller.epoch);
        if known { Ok(()) } else { Err(StoreError::Revoked) }
    }

    /// The person's present setup.
    fn present(&self, user_id: UserId) -> Option<&Row> {
        let own = self.rows.values().filter(|row| row.setup.user_id == user_id);
        own.max_by_key(|row| (row.setup.begun_at, row.setup.id))
    }

    /// The row under a lease, which must be the present one.
    fn held(&mut self, lease: &Lease) -> Result<&mut Row, StoreError> {
        let row = self.rows.get_mut(&lease.setup);
        row.filter(|row| row.run == lease.run && row.leased_until.is_some()).ok_or(StoreError::Conflict)
    }

    /// Whether an address is kept from this person. What lapsed is given up on the way.
    fn is_taken(&mut self, user_id: UserId, begin: &Begin) -> bool {
        if self.retired.contains(&begin.address) {
            return true;
        }
        let others = self
            .rows
            .values_mut()
            .filter(|row| row.reserved && row.setup.address == begin.address && row.setup.user_id != user_id);
        let mut taken = false;
        for row in others {
            row.reserved = !row.has_lapsed(begin.reserved_since);
            taken |= row.reserved;
        }
        taken
    }
}

#[async_trait]
impl SetupStore for MemorySetupStore {
    async fn begin(&self, caller: Caller, begin: &Begin) -> Result<Begun, StoreError> {
        let mut state = self.lock();
        state.admit(caller)?;
        let own = |row: &&Row| row.setup.user_id == caller.user_id;
        if let Some(row) = state.rows.values().filter(own).find(|row| !row.setup.status.can_begin()) {
            let setup = Box::new(row.setup.clone());
            return Ok(if setup.status.is_running() {
                Begun::Running(setup)
            } else {
                Begun::Complete(setup)
            });
        }
        if state.is_taken(caller.user_id, begin) {
            return Ok(Begun::Taken);
        }
        let again = state.rows.values().filter(own).find(|row| row.setup.address == begin.address);
        let id = again.map_or(begin.id, |row| row.setup.id);
        if again.is_none() && state.rows.contains_key(&id) {
            return Err(StoreError::Duplicate);
        }
        let fresh = || Row::fresh(caller.user_id, begin);
        let setup = state.rows.entry(id).and_modify(|row| row.begin_again(begin.now)).or_insert_with(fresh);
        let setup = setup.setup.clone();
        state.append(id, "setup_begun", None, begin.now);
        Ok(Begun::Started(Box::new(setup)))
    }

    async fn find(&self, caller: Caller) -> Result<Option<Setup>, StoreError> {
        let state = self.lock();
        state.admit(caller)?;
        Ok(state.present(caller.user_id).map(|row| row.setup.clone()))
    }

    async fn tear_down(
        &self,
        caller: Caller,
        id: SetupId,
        from: &[SetupStatus],
        now: Timestamp,
    ) -> Result<Option<Setup>, StoreError> {
        let mut state = self.lock();
        state.admit(caller)?;
        let present = state.present(caller.user_id);
        if !present.is_some_and(|row| row.setup.id == id && from.contains(&row.setup.status)) {
            return Ok(None);
        }
        let row = state.rows.get_mut(&id).expect("it was just found");
        row.tear_down(now);
        let setup = row.setup.clone();
        state.append(id, "teardown_begun", None, now);
        Ok(Some(setup))
    }

    async fn log(
        &self,
        caller: Caller,
        before: Option<i64>,
        limit: Limit,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let state = self.lock();
        state.admit(caller)?;
        let own =
            state.log.iter().rev().map(|entry| &entry.row).filter(|row| row.user_id == Some(caller.user_id));
        let page = own.filter(|row| before.is_none_or(|before| row.number < before));
        Ok(page.take(limit.get().into()).cloned().collect())
    }

    async fn claim(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        most: NonZeroU16,
    ) -> Result<Vec<(Lease, Setup)>, StoreError> {
        let mut state = self.lock();
        let due =
            state.rows.values().filter(|row| row.due_at.is_some_and(|at| at <= now) && row.is_free(now));
        let mut due: Vec<_> = due.map(|row| (row.due_at, row.setup.id)).collect();
        due.sort();
        due.truncate(most.get().into());
        let lease = |(_, id)| state.rows.get_mut(&id).map(|row| row.lease(leased_until));
        Ok(due.into_iter().filter_map(lease).collect())
    }

    async fn claim_one(
        &self,
        id: SetupId,
        now: Timestamp,
        leased_until: Timestamp,
    ) -> Result<Option<(Lease, Setup)>, StoreError> {
        let mut state = self.lock();
        let row = state.rows.get_mut(&id).filter(|row| row.due_at.is_some() && row.is_free(now));
        Ok(row.map(|row| row.lease(leased_until)))
    }

    async fn record(
        &self,
        lease: &Lease,
        records: &[StepRecord],
        leased_until: Timestamp,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        let row = state.held(lease)?;
        row.write(records)?;
        row.leased_until = Some(leased_until);
        state.journal_writes += 1;
        Ok(())
    }

    async fn roll_back(&self, lease: &Lease, fault: &SetupFault, now: Timestamp) -> Result<(), StoreError> {
        let mut state = self.lock();
        let setup = &mut state.held(lease)?.setup;
        setup.status = SetupStatus::RollingBack;
        setup.fault = Some(fault.clone());
        setup.updated_at = now;
        Ok(())
    }

    async fn complete(
        &self,
        lease: &Lease,
        last: &[StepRecord],
        services: &Services,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        let setup = &state.held(lease)?.setup;
        if setup.status != SetupStatus::InProgress {
            return Err(StoreError::Conflict);
        }
        let (id, user_id) = (setup.id, setup.user_id);
        let active = |row: &Row| row.setup.status == SetupStatus::FullyConfigured;
        if state.rows.values().any(|row| active(row) && row.setup.user_id == user_id) {
            return Err(StoreError::Duplicate);
        }
        let row = state.held(lease)?;
        row.write(last)?;
        row.complete(services, now);
        state.journal_writes += 1;
        state.append(id, "setup_completed", None, now);
        Ok(())
    }

    async fn close(&self, lease: &Lease, status: SetupStatus, now: Timestamp) -> Result<(), StoreError> {
        if !status.can_begin() {
            return Err(StoreError::corrupt("a setup cannot be closed in that status"));
        }
        let mut state = self.lock();
        let row = state.held(lease)?;
        if row.setup.status != SetupStatus::RollingBack {
            return Err(StoreError::Conflict);
        }
        let other_goal = match row.setup.goal {
            Goal::SetUp => SetupStatus::Removed,
            Goal::TearDown => SetupStatus::Failed,
        };
        if status == other_goal {
            return Err(StoreError::corrupt("a setup cannot be closed in that status"));
        }
        row.end(status, now);
        let (id, fault) = (row.setup.id, row.setup.fault.as_ref().map(ToString::to_string));
        if status == SetupStatus::Removed {
            state.append(id, "teardown_completed", None, now);
        } else {
            let reason = fault.unwrap_or_else(|| "something may still exist outside".to_owned());
            state.append(id, &format!("setup_{}", status.as_str()), Some(reason), now);
        }
        Ok(())
    }

    async fn rest(&self, lease: &Lease, due_at: Timestamp) -> Result<(), StoreError> {
        let mut state = self.lock();
        let row = state.held(lease)?;
        row.due_at = Some(due_at);
        row.leased_until = None;
        Ok(())
    }

    async fn get(&self, id: SetupId) -> Result<Option<Setup>, StoreError> {
        Ok(self.lock().rows.get(&id).map(|row| row.setup.clone()))
    }

    async fn list(&self, after: Option<SetupId>, limit: Limit) -> Result<Vec<Setup>, StoreError> {
        let state = self.lock();
        let rows = state.rows.values().filter(|row| after.is_none_or(|after| row.setup.id > after));
        Ok(rows.take(limit.get().into()).map(|row| row.setup.clone()).collect())
    }

    async fn count(&self) -> Result<Vec<(SetupStatus, u64)>, StoreError> {
        let state = self.lock();
        let standing = |status| {
            let rows = state.rows.values().filter(|row| row.setup.status == status).count();
            (status, u64::try_from(rows).unwrap_or(u64::MAX))
        };
        Ok(SetupStatus::ALL.into_iter().map(standing).filter(|(_, rows)| *rows > 0).collect())
    }

    async fn amend(&self, amendment: &Amendment, now: Timestamp) -> Result<(), StoreError> {
        let mut state = self.lock();
        let (setup, operation) = match amendment {
            Amendment::Resolved { setup, .. } => (*setup, "resolved"),
            Amendment::Repaired { setup, .. } => (*setup, "repaired"),
            Amendment::Adopted { setup, .. } => (*setup, "adopted"),
            Amendment::SeedShown { setup } => (*setup, "seed_shown"),
            Amendment::Destroying { setup, kind } => {
                state.append(*setup, kind.destruction(), None, now);
                return Ok(());
            }
        };
        let row = state.rows.get_mut(&setup).ok_or(StoreError::Conflict)?;
        match amendment {
            Amendment::Resolved { record, .. } => row.resolve(record, now)?,
            Amendment::Repaired { node_id, store_id, .. } => {
                row.repair(node_id.as_ref(), store_id.as_ref(), now)?;
            }
            Amendment::Adopted { record, .. } => row.adopt(record, now)?,
            Amendment::SeedShown { .. } | Amendment::Destroying { .. } => {}
        }
        state.append(setup, operation, None, now);
        Ok(())
    }
}

/// Whether something of the step exists, or is given up as if it did.
fn exists(record: &StepRecord) -> bool {
    matches!(record.state, StepState::Done | StepState::Undoing | StepState::Orphaned)
}
