//! One office with its subscribers, in memory.

use std::sync::Arc;
use std::time::Duration;

use guiche_kernel::testing::{ManualClock, MemoryVault, SeededRandomness};
use guiche_kernel::{Clock, Ids, Limit, Randomness, SecretVault, Timestamp};
use guiche_webhooks::testing::{MemoryWebhooks, ScriptedSender, Sent, ticket_event};
use guiche_webhooks::{
    Added, Answer, Delivery, DeliveryQuery, EndpointId, EndpointUrl, EventId, EventSender, EventType, Fate,
    NewEndpoint, OutgoingRequest, SendError, SigningSecret, Subscription, TOLERANCE, WebhookPorts,
    WebhookSettings, Webhooks, verify,
};

pub struct Office {
    pub webhooks: Webhooks,
    pub store: MemoryWebhooks,
    pub sender: Arc<ScriptedSender>,
    pub clock: Arc<ManualClock>,
    pub ids: Ids,
}

impl Office {
    /// All endpoints answer 200.
    pub fn new() -> Self {
        Self::answering(|_, _| ScriptedSender::status(200))
    }

    /// Endpoints answer as the function says, at the moment of the request.
    pub fn answering(
        script: impl Fn(Timestamp, &OutgoingRequest) -> Result<Answer, SendError> + Send + Sync + 'static,
    ) -> Self {
        let clock = Arc::new(ManualClock::default());
        let at = Arc::clone(&clock);
        let sender = ScriptedSender::answering(clock.clone(), move |request| script(at.now(), request));
        Self::with(clock, Arc::new(sender), Arc::new(MemoryVault::default()))
    }

    pub fn with(clock: Arc<ManualClock>, sender: Arc<ScriptedSender>, vault: Arc<dyn SecretVault>) -> Self {
        let way_out: Arc<dyn EventSender> = sender.clone();
        let randomness: Arc<dyn Randomness> = Arc::new(SeededRandomness::new(3));
        let ids = Ids::new(clock.clone(), Arc::clone(&randomness));
        let store = MemoryWebhooks::default();
        let ports = WebhookPorts {
            endpoints: Arc::new(store.clone()),
            deliveries: Arc::new(store.clone()),
            sender: way_out,
            vault,
            clock: clock.clone(),
            randomness,
            ids: ids.clone(),
        };
        Self { webhooks: Webhooks::new(ports, WebhookSettings::default()), store, sender, clock, ids }
    }

    pub async fn add(&self, host: &str) -> Added {
        let new = NewEndpoint {
            url: EndpointUrl::parse(&format!("https://{host}/hook")).unwrap(),
            description: String::new(),
            subscription: Subscription::All,
        };
        self.webhooks.add(new).await.unwrap()
    }

    /// Something happened, and is fanned out.
    pub async fn paid(&self) -> EventId {
        let id = EventId::new(self.ids.uuid());
        self.store.push(ticket_event(id, EventType::TicketPaid, self.clock.now()));
        self.webhooks.fan_out_once(Limit::default()).await.unwrap();
        id
    }

    pub async fn step(&self) -> Vec<Fate> {
        let report = self.webhooks.deliver_once(Limit::default()).await.unwrap();
        report.fates.into_iter().map(|(_, fate)| fate).collect()
    }

    /// Lets time go by, with a worker that looks every few seconds.
    pub async fn work_for(&self, how_long: Duration) -> Vec<Fate> {
        let end = self.clock.now() + how_long;
        let mut fates = Vec::new();
        while self.clock.now() < end {
            fates.extend(self.step().await);
            self.clock.advance(Duration::from_secs(5));
        }
        fates
    }

    pub async fn deliveries(&self, endpoint: EndpointId) -> Vec<Delivery> {
        let query = DeliveryQuery { endpoint_id: Some(endpoint), ..DeliveryQuery::default() };
        self.webhooks.deliveries(&query).await.unwrap()
    }

    pub fn sent_to(&self, host: &str) -> Vec<Sent> {
        let to = |sent: &Sent| sent.request.url.url().host_str() == Some(host);
        self.sender.sent().into_iter().filter(to).collect()
    }
}

/// Whether a receiver with this secret believes the request, at the moment at which it was sent.
pub fn believed(secret: &SigningSecret, sent: &Sent) -> bool {
    verify([secret], &sent.request.headers, &sent.request.body, sent.at, TOLERANCE).is_ok()
}

pub fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3600)
}
