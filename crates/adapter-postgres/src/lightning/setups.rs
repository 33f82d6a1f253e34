//! Setups and their journal.

use std::num::NonZeroU16;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use guiche_kernel::{Caller, Limit, Sealed, StoreError, Timestamp};
use guiche_lightning_setup::{
    Amendment, AuditRow, Begin, Begun, Lease, Services, Setup, SetupFault, SetupId, SetupStatus, SetupStore,
    StepRecord,
};

use super::PgLightning;
use super::calls::{self, Adopt, AppendLog, Claim, ClaimOne, Close, Complete, Find, ListLog, ListSetups};
use super::calls::{Record, Repair, Resolve, Rest, RollBack, ShowSeed, TearDown};
use super::rows::{LogRow, Reading, RecordColumns, attempt, setup, setups, word};
use crate::schema::lightning_setup_readings as readings;

#[async_trait]
impl SetupStore for PgLightning {
    async fn begin(&self, caller: Caller, begin: &Begin) -> Result<Begun, StoreError> {
        let address = begin.address.to_string();
        let call = calls::Begin {
            user: caller.user_id.as_uuid(),
            epoch: caller.epoch.get(),
            id: begin.id.as_uuid(),
            address: &address,
            now: begin.now,
            reserved_since: begin.reserved_since,
        };
        let rows: Vec<(String, Reading)> = self.app.rows(call).await?;
        let (outcomes, rows): (Vec<String>, Vec<Reading>) = rows.into_iter().unzip();
        let Some((outcome, setup)) = outcomes.first().zip(setup(rows)?) else { return Ok(Begun::Taken) };
        match outcome.as_str() {
            "started" => Ok(Begun::Started(Box::new(setup))),
            "running" => Ok(Begun::Running(Box::new(setup))),
            "complete" => Ok(Begun::Complete(Box::new(setup))),
            _ => Err(StoreError::corrupt("an unknown outcome of a beginning")),
        }
    }

    async fn find(&self, caller: Caller) -> Result<Option<Setup>, StoreError> {
        setup(self.app.rows(Find { user: caller.user_id.as_uuid(), epoch: caller.epoch.get() }).await?)
    }

    async fn tear_down(
        &self,
        caller: Caller,
        id: SetupId,
        from: &[SetupStatus],
        now: Timestamp,
    ) -> Result<Option<Setup>, StoreError> {
        let call = TearDown {
            user: caller.user_id.as_uuid(),
            epoch: caller.epoch.get(),
            id: id.as_uuid(),
            from: from.iter().map(|status| status.as_str()).collect(),
            now,
        };
        setup(self.app.rows(call).await?)
    }

    async fn log(
        &self,
        caller: Caller,
        before: Option<i64>,
        limit: Limit,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let (user, epoch) = (caller.user_id.as_uuid(), caller.epoch.get());
        let call = ListLog { user, epoch, before, limit: limit.get().into() };
        let rows: Vec<LogRow> = self.app.rows(call).await?;
        rows.into_iter().map(|row| Ok(row.entry()?.row)).collect()
    }

    async fn claim(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        most: NonZeroU16,
    ) -> Result<Vec<(Lease, Setup)>, StoreError> {
        setups(self.worker.rows(Claim { now, leased_until, limit: most.get().into() }).await?)
    }

    async fn claim_one(
        &self,
        id: SetupId,
        now: Timestamp,
        leased_until: Timestamp,
    ) -> Result<Option<(Lease, Setup)>, StoreError> {
        let rows = self.worker.rows(ClaimOne { id: id.as_uuid(), now, leased_until }).await?;
        Ok(setups(rows)?.into_iter().next())
    }

    async fn record(
        &self,
        lease: &Lease,
        records: &[StepRecord],
        leased_until: Timestamp,
    ) -> Result<(), StoreError> {
        let records = RecordColumns::of(records)?;
        let call = Record {
            id: lease.setup.as_uuid(),
            run: lease.run,
            attempts: records.attempts,
            steps: records.steps,
            states: records.states,
            resources: records.resources,
            sealed: records.sealed,
            tries: records.tries,
            since: records.since,
            leased_until,
        };
        self.worker.run(call).await.map(drop)
    }

    async fn roll_back(&self, lease: &Lease, fault: &SetupFault, now: Timestamp) -> Result<(), StoreError> {
        let fault =
            serde_json::to_value(fault).map_err(|_| StoreError::corrupt("a fault that cannot be written"))?;
        let call = RollBack { id: lease.setup.as_uuid(), run: lease.run, fault, now };
        self.worker.run(call).await.map(drop)
    }

    async fn complete(
        &self,
        lease: &Lease,
        last: &[StepRecord],
        services: &Services,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let last = RecordColumns::of(last)?;
        let call = Complete {
            id: lease.setup.as_uuid(),
            run: lease.run,
            attempts: last.attempts,
            steps: last.steps,
            states: last.states,
            resources: last.resources,
            sealed: last.sealed,
            tries: last.tries,
            since: last.since,
            node_id: &services.node_id,
            store_id: &services.store_id,
            node_config: services.node_config.as_ref().map(Sealed::as_str),
            store_config: services.store_config.as_ref().map(Sealed::as_str),
            now,
        };
        self.worker.run(call).await.map(drop)
    }

    async fn close(&self, lease: &Lease, status: SetupStatus, now: Timestamp) -> Result<(), StoreError> {
        if !status.can_begin() {
            return Err(StoreError::corrupt("a setup cannot be closed in that status"));
        }
        let call = Close { id: lease.setup.as_uuid(), run: lease.run, status: status.as_str(), now };
        self.worker.run(call).await.map(drop)
    }

    async fn rest(&self, lease: &Lease, due_at: Timestamp) -> Result<(), StoreError> {
        self.worker.run(Rest { id: lease.setup.as_uuid(), run: lease.run, due_at }).await.map(drop)
    }

    async fn get(&self, id: SetupId) -> Result<Option<Setup>, StoreError> {
        setup(self.worker.rows(readings::table.filter(readings::id.eq(id.as_uuid()))).await?)
    }

    async fn list(&self, after: Option<SetupId>, limit: Limit) -> Result<Vec<Setup>, StoreError> {
        let call = ListSetups { after: after.map(|id| id.as_uuid()), limit: limit.get().into() };
        let found = setups(self.worker.rows(call).await?)?;
        Ok(found.into_iter().map(|(_, setup)| setup).collect())
    }

    async fn count(&self) -> Result<Vec<(SetupStatus, u64)>, StoreError> {
        let query = "SELECT status::text AS status, count(*) AS total FROM lightning_addresses GROUP BY 1";
        let rows: Vec<CountRow> = self.worker.rows(diesel::sql_query(query)).await?;
        let mut counts = rows
            .into_iter()
            .map(|row| Ok((word(&row.status)?, u64::try_from(row.total).unwrap_or_default())))
            .collect::<Result<Vec<(SetupStatus, u64)>, StoreError>>()?;
        counts.sort_by_key(|(status, _)| SetupStatus::ALL.iter().position(|known| known == status));
        Ok(counts)
    }

    async fn amend(&self, amendment: &Amendment, now: Timestamp) -> Result<(), StoreError> {
        let done = match amendment {
            Amendment::Resolved { setup, record } => {
                let (id, attempt) = (setup.as_uuid(), attempt(record)?);
                self.worker.run(Resolve { id, attempt, step: record.step.as_str(), now }).await
            }
            Amendment::Repaired { setup, node_id, store_id } => {
                let (node_id, store_id) = (node_id.as_deref(), store_id.as_deref());
                self.worker.run(Repair { id: setup.as_uuid(), node_id, store_id, now }).await
            }
            Amendment::Adopted { setup, record } => {
                let call = Adopt {
                    id: setup.as_uuid(),
                    attempt: attempt(record)?,
                    step: record.step.as_str(),
                    resource: record.resource.as_deref(),
                    sealed: record.sealed.as_ref().map(Sealed::as_str),
                    now,
                };
                self.worker.run(call).await
            }
            Amendment::Destroying { setup, kind } => {
                let (id, operation) = (setup.as_uuid(), kind.destruction());
                self.worker.run(AppendLog { id, operation, success: true, error: None, now }).await
            }
            Amendment::SeedShown { setup } => self.worker.run(ShowSeed { id: setup.as_uuid(), now }).await,
        };
        done.map(drop)
    }
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = BigInt)]
    total: i64,
}
