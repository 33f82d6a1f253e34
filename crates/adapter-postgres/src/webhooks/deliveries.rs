//! Deliveries, and the fan-out of the outbox.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Timestamptz};
use guiche_kernel::{Limit, StoreError, Timestamp};
use guiche_webhooks::{
    Attempted, Claim, Delivery, DeliveryQuery, DeliveryState, DeliveryStore, Due, EndpointId, EventId,
    FannedOut, Next, Standing,
};

use super::PgWebhooks;
use super::calls::{ClaimDeliveries, FanOutEvents, PruneDeliveries, RecordDelivery, RedeliverEvent};
use super::rows::{ClaimRow, DeliveryRow};
use crate::query::{PRUNED_AT_ONCE, in_batches, one};
use crate::schema::{outbox, webhook_deliveries as table};

#[async_trait]
impl DeliveryStore for PgWebhooks {
    async fn fan_out(&self, now: Timestamp, limit: Limit) -> Result<FannedOut, StoreError> {
        let call = FanOutEvents { now, limit: limit.get().into() };
        let (events, deliveries): (i64, i64) = one(self.worker.rows(call).await?)?;
        Ok(FannedOut { events: count(events), deliveries: count(deliveries) })
    }

    async fn claim(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        per_endpoint: u16,
        limit: Limit,
    ) -> Result<Vec<Due>, StoreError> {
        let (per_endpoint, limit) = (per_endpoint.into(), limit.get().into());
        let call = ClaimDeliveries { now, leased_until, per_endpoint, limit };
        let rows: Vec<ClaimRow> = self.worker.rows(call).await?;
        Ok(rows.into_iter().map(|row| row.due(leased_until)).collect())
    }

    async fn record(
        &self,
        claim: &Claim,
        attempted: Attempted,
        next: Next,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (state, next_at) = match next {
            Next::Delivered => (DeliveryState::Delivered, None),
            Next::RetryAt(at) => (DeliveryState::Pending, Some(at)),
            Next::GivenUp => (DeliveryState::Failed, None),
        };
        let call = RecordDelivery {
            event: claim.event_id.as_uuid(),
            endpoint: claim.endpoint_id.as_uuid(),
            leased_until: claim.leased_until,
            state: state.as_str(),
            result: attempted.to_string(),
            next_at,
            now,
        };
        let (ours,): (bool,) = one(self.worker.rows(call).await?)?;
        Ok(ours)
    }

    async fn list(&self, query: &DeliveryQuery) -> Result<Vec<Delivery>, StoreError> {
        let mut rows = table::table
            .inner_join(outbox::table)
            .select((
                table::event_id,
                outbox::kind,
                table::endpoint_id,
                table::state,
                table::attempts,
                table::created_at,
                table::next_at,
                table::finished_at,
                table::last_result,
            ))
            .order((table::created_at.desc(), table::event_id.desc(), table::endpoint_id.desc()))
            .limit(query.limit.get().into())
            .into_boxed();
        if let Some(endpoint) = query.endpoint_id {
            rows = rows.filter(table::endpoint_id.eq(endpoint.as_uuid()));
        }
        if let Some(state) = query.state {
            rows = rows.filter(table::state.eq(state.as_str()));
        }
        let rows: Vec<DeliveryRow> = self.worker.rows(rows).await?;
        rows.into_iter().map(DeliveryRow::delivery).collect()
    }

    async fn redeliver(
        &self,
        event: EventId,
        endpoint: Option<EndpointId>,
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let endpoint = endpoint.map(|endpoint| endpoint.as_uuid());
        let call = RedeliverEvent { event: event.as_uuid(), endpoint, now };
        let (ordered,): (Option<i64>,) = one(self.worker.rows(call).await?)?;
        Ok(ordered.map(count))
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        in_batches(|| self.worker.rows(PruneDeliveries { before, limit: PRUNED_AT_ONCE })).await
    }

    async fn standing(&self) -> Result<Standing, StoreError> {
        let standing = diesel::sql_query("SELECT oldest, active, disabled FROM webhook_standing()");
        let found: StandingRow = one(self.worker.rows(standing).await?)?;
        Ok(Standing {
            oldest_waiting: found.oldest,
            active_endpoints: count(found.active),
            disabled_endpoints: count(found.disabled),
        })
    }
}

#[derive(QueryableByName)]
struct StandingRow {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    oldest: Option<Timestamp>,
    #[diesel(sql_type = BigInt)]
    active: i64,
    #[diesel(sql_type = BigInt)]
    disabled: i64,
}

fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or_default()
}
