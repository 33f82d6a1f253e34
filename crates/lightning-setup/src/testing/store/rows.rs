//! One setup, and what may be done to it.

use std::collections::HashSet;

use guiche_kernel::{Sealed, StoreError, Timestamp, UserId};

use crate::{Begin, Goal, Lease, Services, Setup, SetupStatus, Step, StepRecord, StepState};

#[derive(Debug)]
pub(super) struct Row {
    pub(super) setup: Setup,
    /// What serves it, as far as it is known: a setup shows it only when both are.
    pub(super) node_id: Option<String>,
    pub(super) store_id: Option<String>,
    configs: (Option<Sealed>, Option<Sealed>),
    /// Whether the address is kept for its person.
    pub(super) reserved: bool,
    pub(super) due_at: Option<Timestamp>,
    pub(super) run: i64,
    pub(super) leased_until: Option<Timestamp>,
}

impl Row {
    pub(super) fn fresh(user_id: UserId, begin: &Begin) -> Self {
        let setup = Setup {
            id: begin.id,
            user_id,
            address: begin.address.clone(),
            status: SetupStatus::InProgress,
            goal: Goal::SetUp,
            attempt: 1,
            fault: None,
            services: None,
            begun_at: begin.now,
            activated_at: None,
            created_at: begin.now,
            updated_at: begin.now,
            journal: Vec::new(),
        };
        Self {
            setup,
            node_id: None,
            store_id: None,
            configs: (None, None),
            reserved: true,
            due_at: Some(begin.now),
            run: 0,
            leased_until: None,
        }
    }

    pub(super) fn begin_again(&mut self, now: Timestamp) {
        self.serve(None, None, (None, None));
        self.setup.status = SetupStatus::InProgress;
        self.setup.goal = Goal::SetUp;
        self.setup.attempt += 1;
        self.setup.fault = None;
        (self.setup.begun_at, self.setup.updated_at) = (now, now);
        self.reserved = true;
        self.due_at = Some(now);
    }

    /// Whether its reservation has become void.
    pub(super) fn has_lapsed(&self, reserved_since: Timestamp) -> bool {
        self.setup.activated_at.is_none()
            && self.setup.status.lets_go()
            && self.setup.updated_at < reserved_since
    }

    pub(super) fn is_free(&self, now: Timestamp) -> bool {
        self.leased_until.is_none_or(|until| until <= now)
    }

    pub(super) fn lease(&mut self, leased_until: Timestamp) -> (Lease, Setup) {
        self.run += 1;
        self.leased_until = Some(leased_until);
        (Lease { setup: self.setup.id, run: self.run }, self.setup.clone())
    }

    pub(super) fn tear_down(&mut self, now: Timestamp) {
        self.setup.status = SetupStatus::RollingBack;
        self.setup.goal = Goal::TearDown;
        self.setup.updated_at = now;
        self.due_at = Some(now);
        self.run += 1;
        self.leased_until = None;
        for record in self.setup.journal.iter_mut().filter(|record| record.state == StepState::Orphaned) {
            (record.state, record.tries, record.since) = (StepState::Undoing, 0, now);
        }
    }

    /// Writes records of different steps.
    pub(super) fn write(&mut self, records: &[StepRecord]) -> Result<(), StoreError> {
        let steps: HashSet<_> = records.iter().map(|record| (record.attempt, record.step)).collect();
        if steps.len() < records.len() {
            return Err(StoreError::corrupt("two records of one step"));
        }
        records.iter().for_each(|record| self.put(record.clone()));
        Ok(())
    }

    /// Writes a record in its place; what was sealed there stays when it has nothing sealed.
    fn put(&mut self, mut record: StepRecord) {
        self.setup.updated_at = self.setup.updated_at.max(record.since);
        if let Some(old) = self.find(&record) {
            record.sealed = record.sealed.take().or_else(|| old.sealed.take());
            *old = record;
            return;
        }
        self.setup.journal.push(record);
        self.setup.journal.sort_by_key(|record| (record.attempt, record.step));
    }

    fn find(&mut self, like: &StepRecord) -> Option<&mut StepRecord> {
        let of_step = |record: &&mut StepRecord| record.attempt == like.attempt && record.step == like.step;
        self.setup.journal.iter_mut().find(of_step)
    }

    pub(super) fn complete(&mut self, services: &Services, now: Timestamp) {
        let (node_id, store_id) = (services.node_id.clone(), services.store_id.clone());
        let configs = (services.node_config.clone(), services.store_config.clone());
        self.serve(Some(node_id), Some(store_id), configs);
        self.setup.status = SetupStatus::FullyConfigured;
        self.setup.fault = None;
        self.setup.activated_at.get_or_insert(now);
        self.setup.updated_at = now;
        (self.due_at, self.leased_until) = (None, None);
    }

    pub(super) fn end(&mut self, status: SetupStatus, now: Timestamp) {
        if status == SetupStatus::Removed {
            self.serve(None, None, (None, None));
        }
        self.setup.status = status;
        self.setup.updated_at = now;
        (self.due_at, self.leased_until) = (None, None);
    }

    pub(super) fn resolve(&mut self, orphan: &StepRecord, now: Timestamp) -> Result<(), StoreError> {
        let record = self.find(orphan).filter(|record| record.state == StepState::Orphaned);
        let record = record.ok_or(StoreError::Conflict)?;
        (record.state, record.tries, record.since) = (StepState::Undone, 0, now);
        self.setup.updated_at = now;
        if self.setup.status == SetupStatus::NeedsAttention && self.setup.orphans().next().is_none() {
            let ended = match self.setup.goal {
                Goal::SetUp => SetupStatus::Failed,
                Goal::TearDown => SetupStatus::Removed,
            };
            self.end(ended, now);
        }
        Ok(())
    }

    pub(super) fn adopt(&mut self, orphan: &StepRecord, now: Timestamp) -> Result<(), StoreError> {
        if self.find(orphan).is_some_and(|record| record.state != StepState::Undone) {
            return Err(StoreError::Conflict);
        }
        self.put(StepRecord { state: StepState::Orphaned, tries: 0, since: now, ..orphan.clone() });
        if self.setup.status.lets_go() {
            self.setup.status = SetupStatus::NeedsAttention;
        }
        self.setup.updated_at = now;
        Ok(())
    }

    pub(super) fn repair(
        &mut self,
        node_id: Option<&String>,
        store_id: Option<&String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.setup.status != SetupStatus::FullyConfigured {
            return Err(StoreError::Conflict);
        }
        let (node_id, store_id) = (node_id.cloned(), store_id.cloned());
        let (node_id, store_id) =
            (node_id.or_else(|| self.node_id.take()), store_id.or_else(|| self.store_id.take()));
        let configs = std::mem::take(&mut self.configs);
        self.serve(node_id, store_id, configs);
        self.setup.updated_at = now;
        Ok(())
    }

    fn serve(
        &mut self,
        node_id: Option<String>,
        store_id: Option<String>,
        configs: (Option<Sealed>, Option<Sealed>),
    ) {
        let both = node_id.clone().zip(store_id.clone());
        let (node_config, store_config) = configs.clone();
        self.setup.services =
            both.map(|(node_id, store_id)| Services { node_id, store_id, node_config, store_config });
        (self.node_id, self.store_id, self.configs) = (node_id, store_id, configs);
    }

    /// Whether something of that step exists.
    pub(super) fn has(&self, step: Step) -> bool {
        self.setup.journal.iter().any(|record| record.step == step && super::exists(record))
    }
}
