//! Endpoints.

use async_trait::async_trait;
use diesel::prelude::*;
use guiche_kernel::{Sealed, StoreError, Timestamp};
use guiche_webhooks::{DisabledReason, Endpoint, EndpointId, EndpointState, EndpointStore, Subscription};

use super::PgWebhooks;
use super::calls::DisableEndpoint;
use super::rows::EndpointRow;
use crate::query::one;
use crate::schema::webhook_endpoints::dsl;

#[async_trait]
impl EndpointStore for PgWebhooks {
    async fn insert(&self, endpoint: &Endpoint) -> Result<(), StoreError> {
        let types = match &endpoint.subscription {
            Subscription::All => None,
            Subscription::Only(types) => Some(types.iter().map(|kind| kind.as_str()).collect::<Vec<_>>()),
        };
        let (disabled_at, disabled_reason) = match endpoint.state {
            EndpointState::Active => (None, None),
            EndpointState::Disabled { reason, at } => (Some(at), Some(reason.as_str())),
        };
        let previous = endpoint.secrets.previous.as_ref();
        let row = (
            dsl::id.eq(endpoint.id.as_uuid()),
            dsl::url.eq(endpoint.url.as_str()),
            dsl::description.eq(&endpoint.description),
            dsl::event_types.eq(types),
            dsl::secret.eq(endpoint.secrets.current.as_str()),
            dsl::previous_secret.eq(previous.map(|(sealed, _)| sealed.as_str())),
            dsl::previous_until.eq(previous.map(|(_, until)| *until)),
            dsl::created_at.eq(endpoint.created_at),
            dsl::disabled_at.eq(disabled_at),
            dsl::disabled_reason.eq(disabled_reason),
            dsl::failing_since.eq(endpoint.failing_since),
        );
        self.worker.run(diesel::insert_into(dsl::webhook_endpoints).values(row)).await.map(drop)
    }

    async fn find(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let query = dsl::webhook_endpoints.filter(dsl::id.eq(id.as_uuid())).select(EndpointRow::as_select());
        let row: Option<EndpointRow> = self.worker.rows(query).await?.pop();
        row.map(EndpointRow::endpoint).transpose()
    }

    async fn list(&self) -> Result<Vec<Endpoint>, StoreError> {
        let query = dsl::webhook_endpoints.order((dsl::created_at, dsl::id)).select(EndpointRow::as_select());
        let rows: Vec<EndpointRow> = self.worker.rows(query).await?;
        rows.into_iter().map(EndpointRow::endpoint).collect()
    }

    async fn disable(
        &self,
        id: EndpointId,
        reason: DisabledReason,
        if_failing_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let call = DisableEndpoint {
            endpoint: id.as_uuid(),
            reason: reason.as_str(),
            failing_since: if_failing_since,
            now,
        };
        let (disabled,): (bool,) = one(self.worker.rows(call).await?)?;
        Ok(disabled)
    }

    async fn enable(&self, id: EndpointId) -> Result<bool, StoreError> {
        let disabled =
            dsl::webhook_endpoints.filter(dsl::id.eq(id.as_uuid())).filter(dsl::disabled_at.is_not_null());
        let change = diesel::update(disabled).set((
            dsl::disabled_at.eq(None::<Timestamp>),
            dsl::disabled_reason.eq(None::<String>),
            dsl::failing_since.eq(None::<Timestamp>),
        ));
        Ok(self.worker.run(change).await? == 1)
    }

    async fn rotate(
        &self,
        id: EndpointId,
        expected: &Sealed,
        fresh: &Sealed,
        previous_until: Timestamp,
    ) -> Result<(), StoreError> {
        let unchanged =
            dsl::webhook_endpoints.filter(dsl::id.eq(id.as_uuid())).filter(dsl::secret.eq(expected.as_str()));
        let change = diesel::update(unchanged).set((
            dsl::secret.eq(fresh.as_str()),
            dsl::previous_secret.eq(expected.as_str()),
            dsl::previous_until.eq(previous_until),
        ));
        if self.worker.run(change).await? == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }
}
