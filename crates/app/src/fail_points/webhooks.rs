//! The points around the ports of events out.

use std::sync::Arc;

use async_trait::async_trait;
use guiche_kernel::{Limit, StoreError, Timestamp};
use guiche_webhooks::{
    Answer, Attempted, Claim, Delivery, DeliveryQuery, DeliveryStore, Due, EndpointId, EndpointUrl, EventId,
    EventSender, FannedOut, Next, OutgoingRequest, SendError, Standing, UrlRefused, WebhookPorts,
};

use super::{Call, FailPoints, Plant};

pub(super) fn around(points: &Arc<FailPoints>, ports: WebhookPorts) -> WebhookPorts {
    let deliveries = Arc::new(Deliveries { inner: ports.deliveries, points: Arc::clone(points) });
    let sender = Arc::new(Sender { inner: ports.sender, points: Arc::clone(points) });
    WebhookPorts { deliveries, sender, ..ports }
}

struct Deliveries {
    inner: Arc<dyn DeliveryStore>,
    points: Arc<FailPoints>,
}

#[async_trait]
impl DeliveryStore for Deliveries {
    async fn fan_out(&self, now: Timestamp, limit: Limit) -> Result<FannedOut, StoreError> {
        let found = |fanned: &Result<FannedOut, _>| fanned.as_ref().is_ok_and(|fanned| fanned.events > 0);
        self.points.around_where(Call::FanOut, self.inner.fan_out(now, limit), found).await
    }

    async fn claim(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        per_endpoint: u16,
        limit: Limit,
    ) -> Result<Vec<Due>, StoreError> {
        let found = |due: &Result<Vec<_>, _>| due.as_ref().is_ok_and(|due| !due.is_empty());
        let work = self.inner.claim(now, leased_until, per_endpoint, limit);
        let due = self.points.around_where(Call::ClaimDeliveries, work, found).await?;
        if self.points.has(Plant::RecordedBeforeSent) {
            for due in &due {
                self.inner.record(&due.claim, Attempted::Answered(200), Next::Delivered, now).await?;
            }
        }
        Ok(due)
    }

    async fn record(
        &self,
        claim: &Claim,
        attempted: Attempted,
        next: Next,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.points.around(Call::Record, self.inner.record(claim, attempted, next, now)).await
    }

    async fn list(&self, query: &DeliveryQuery) -> Result<Vec<Delivery>, StoreError> {
        self.inner.list(query).await
    }

    async fn redeliver(
        &self,
        event: EventId,
        endpoint: Option<EndpointId>,
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        self.inner.redeliver(event, endpoint, now).await
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.inner.prune(before).await
    }

    async fn standing(&self) -> Result<Standing, StoreError> {
        self.inner.standing().await
    }
}

struct Sender {
    inner: Arc<dyn EventSender>,
    points: Arc<FailPoints>,
}

#[async_trait]
impl EventSender for Sender {
    fn admit(&self, url: &EndpointUrl) -> Result<(), UrlRefused> {
        self.inner.admit(url)
    }

    async fn send(&self, request: OutgoingRequest) -> Result<Answer, SendError> {
        self.points.around(Call::Send, self.inner.send(request)).await
    }
}
