//! The journal, measured while it is written: how long each step took, and how often everything had to be undone.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use guiche_kernel::{Caller, Limit, StoreError, Timestamp};
use guiche_lightning_setup::{
    Amendment, AuditRow, Begin, Begun, Lease, Services, Setup, SetupFault, SetupId, SetupStatus, SetupStore,
    Step, StepRecord, StepState,
};

/// When the steps that are under way began, by setup, attempt and step.
type UnderWay = HashMap<SetupId, HashMap<(u32, Step), Timestamp>>;

/// A store of setups whose steps are measured.
pub struct Journal {
    store: Arc<dyn SetupStore>,
    under_way: Mutex<UnderWay>,
}

impl Journal {
    /// Measures what is written there.
    #[must_use]
    pub fn new(store: Arc<dyn SetupStore>) -> Arc<Self> {
        Arc::new(Self { store, under_way: Mutex::default() })
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Steps that another process began, or this one before a pause, are measured from their beginning.
    fn take_up(&self, setup: &Setup) {
        let begun = setup.journal.iter().filter(|record| record.state == StepState::Intended);
        let begun = begun.map(|record| ((record.attempt, record.step), record.since)).collect();
        self.under_way().insert(setup.id, begun);
    }

    fn lay_down(&self, lease: &Lease) {
        self.under_way().remove(&lease.setup);
    }

    fn measure(&self, lease: &Lease, record: &StepRecord) {
        let mut under_way = self.under_way();
        let steps = under_way.entry(lease.setup).or_default();
        let step = (record.attempt, record.step);
        if record.state == StepState::Intended {
            steps.entry(step).or_insert(record.since);
        } else if let Some(since) = steps.remove(&step)
            && record.state == StepState::Done
        {
            let seconds = (record.since - since).as_seconds_f64().max(0.0);
            metrics::histogram!("lightning_setup_step_seconds", "step" => record.step.as_str())
                .record(seconds);
        }
    }
}

#[async_trait]
impl SetupStore for Journal {
    async fn begin(&self, caller: Caller, begin: &Begin) -> Result<Begun, StoreError> {
        let begun = self.store.begin(caller, begin).await?;
        if matches!(begun, Begun::Started(_)) {
            metrics::counter!("lightning_setup_attempts_total").increment(1);
        }
        Ok(begun)
    }

    async fn find(&self, caller: Caller) -> Result<Option<Setup>, StoreError> {
        self.store.find(caller).await
    }

    async fn tear_down(
        &self,
        caller: Caller,
        id: SetupId,
        from: &[SetupStatus],
        now: Timestamp,
    ) -> Result<Option<Setup>, StoreError> {
        self.store.tear_down(caller, id, from, now).await
    }

    async fn log(
        &self,
        caller: Caller,
        before: Option<i64>,
        limit: Limit,
    ) -> Result<Vec<AuditRow>, StoreError> {
        self.store.log(caller, before, limit).await
    }

    async fn claim(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        most: NonZeroU16,
    ) -> Result<Vec<(Lease, Setup)>, StoreError> {
        let claimed = self.store.claim(now, leased_until, most).await?;
        claimed.iter().for_each(|(_, setup)| self.take_up(setup));
        Ok(claimed)
    }

    async fn claim_one(
        &self,
        id: SetupId,
        now: Timestamp,
        leased_until: Timestamp,
    ) -> Result<Option<(Lease, Setup)>, StoreError> {
        let claimed = self.store.claim_one(id, now, leased_until).await?;
        claimed.iter().for_each(|(_, setup)| self.take_up(setup));
        Ok(claimed)
    }

    async fn record(
        &self,
        lease: &Lease,
        records: &[StepRecord],
        leased_until: Timestamp,
    ) -> Result<(), StoreError> {
        let recorded = self.store.record(lease, records, leased_until).await;
        match &recorded {
            Ok(()) => records.iter().for_each(|record| self.measure(lease, record)),
            Err(_) => self.lay_down(lease),
        }
        recorded
    }

    async fn roll_back(&self, lease: &Lease, fault: &SetupFault, now: Timestamp) -> Result<(), StoreError> {
        self.store.roll_back(lease, fault, now).await?;
        let (provider, kind) = (fault.provider.as_str(), fault.kind.as_str());
        metrics::counter!("lightning_setup_rollbacks_total", "provider" => provider, "kind" => kind)
            .increment(1);
        tracing::warn!(setup.id = %lease.setup, %fault, "a setup is undone");
        Ok(())
    }

    async fn complete(
        &self,
        lease: &Lease,
        last: &[StepRecord],
        services: &Services,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let completed = self.store.complete(lease, last, services, now).await;
        if completed.is_ok() {
            last.iter().for_each(|record| self.measure(lease, record));
        }
        self.lay_down(lease);
        completed
    }

    async fn close(&self, lease: &Lease, status: SetupStatus, now: Timestamp) -> Result<(), StoreError> {
        self.lay_down(lease);
        self.store.close(lease, status, now).await
    }

    async fn rest(&self, lease: &Lease, due_at: Timestamp) -> Result<(), StoreError> {
        self.lay_down(lease);
        self.store.rest(lease, due_at).await
    }

    async fn get(&self, id: SetupId) -> Result<Option<Setup>, StoreError> {
        self.store.get(id).await
    }

    async fn list(&self, after: Option<SetupId>, limit: Limit) -> Result<Vec<Setup>, StoreError> {
        self.store.list(after, limit).await
    }

    async fn count(&self) -> Result<Vec<(SetupStatus, u64)>, StoreError> {
        self.store.count().await
    }

    async fn amend(&self, amendment: &Amendment, now: Timestamp) -> Result<(), StoreError> {
        self.store.amend(amendment, now).await
    }
}
