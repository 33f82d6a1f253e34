//! When the messenger looks, on a clock of the test.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use guiche_kernel::testing::{ManualClock, MemoryVault, SeededRandomness};
use guiche_kernel::{Clock as _, Randomness, StoreError, Timestamp};
use guiche_webhooks::testing::{MemoryWebhooks, ScriptedSender, ticket_event};
use guiche_webhooks::{
    Attempted, Delivery, DeliveryQuery, DeliveryStore, EndpointId, EndpointUrl, EventId, EventType,
    FannedOut, NewEndpoint, Next, Standing, Subscription,
};
use tokio::time::Instant;

use super::*;

#[test]
fn it_looks_again_soon_and_then_less_and_less() {
    let found_nothing =
        std::iter::successors(Some(rest_after(LOOK_EVERY, 1)), |rest| Some(rest_after(*rest, 0)));
    let rests: Vec<Duration> = found_nothing.take(9).collect();
    assert_eq!(rests[0], LOOK_SOON, "whatever it was before");
    assert!(rests.is_sorted());
    assert_eq!(rests[1], LOOK_SOON * 2);
    assert_eq!(rests[8], LOOK_EVERY, "at rest");
}

/// More than fits at once, and what is left lies with an endpoint that others are choosing from for the next look.
#[tokio::test(start_paused = true)]
async fn what_others_kept_from_it_is_not_left_until_the_next_second() {
    const EVENTS: u128 = 5;
    let clock = Arc::new(ManualClock::default());
    let randomness: Arc<dyn Randomness> = Arc::new(SeededRandomness::new(3));
    let sender = Arc::new(ScriptedSender::answering(clock.clone(), |_| ScriptedSender::status(200)));
    let store = MemoryWebhooks::default();
    let deliveries = Arc::new(Contended { inner: store.clone(), claims: AtomicUsize::new(0) });
    let ports = WebhookPorts {
        endpoints: Arc::new(store.clone()),
        deliveries: deliveries.clone(),
        sender: sender.clone(),
        vault: Arc::new(MemoryVault::default()),
        clock: clock.clone(),
        randomness: Arc::clone(&randomness),
        ids: Ids::new(clock.clone(), randomness),
    };
    let webhooks = Arc::new(Webhooks::new(ports, WebhookSettings::default()));
    let url = EndpointUrl::parse("https://example.org/hook").unwrap();
    let new = NewEndpoint { url, description: String::new(), subscription: Subscription::All };
    webhooks.add(new).await.unwrap();
    for number in 1..=EVENTS {
        let id = EventId::new(uuid::Uuid::from_u128(number));
        store.push(ticket_event(id, EventType::TicketPaid, clock.now()));
    }
    let (stop, begun) = (Shutdown::default(), Instant::now());
    let (messenger, until) = (Messenger::new(webhooks), stop.clone());
    let working = tokio::spawn(async move { messenger.work(&until).await });
    while sender.sent().len() < 5 {
        // The clock stands still until everybody rests.
        tokio::time::advance(Duration::from_millis(1)).await;
        tokio::task::yield_now().await;
    }
    let taken = begun.elapsed();
    stop.begin();
    working.await.unwrap();
    assert!(deliveries.claims.load(Ordering::SeqCst) > Contended::EMPTY_HANDED, "it was kept from it");
    assert!(taken < LOOK_EVERY, "{taken:?}");
}

/// After the first claim, others hold what is due for the next one.
struct Contended {
    inner: MemoryWebhooks,
    claims: AtomicUsize,
}

impl Contended {
    const EMPTY_HANDED: usize = 1;
}

#[async_trait]
impl DeliveryStore for Contended {
    async fn fan_out(&self, now: Timestamp, limit: Limit) -> Result<FannedOut, StoreError> {
        self.inner.fan_out(now, limit).await
    }

    async fn claim(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        per_endpoint: u16,
        limit: Limit,
    ) -> Result<Vec<Due>, StoreError> {
        let before = self.claims.fetch_add(1, Ordering::SeqCst);
        if (1..=Self::EMPTY_HANDED).contains(&before) {
            return Ok(Vec::new());
        }
        self.inner.claim(now, leased_until, per_endpoint, limit).await
    }

    async fn record(
        &self,
        claim: &Claim,
        attempted: Attempted,
        next: Next,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.inner.record(claim, attempted, next, now).await
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
