//! The use cases: the operator's ([`endpoints`]) and the worker's ([`delivering`]).

mod delivering;
mod endpoints;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use guiche_kernel::{Clock, Ids, Randomness, SealError, SecretVault, Timestamp};

use crate::{
    DeliveryStore, Endpoint, EndpointStore, Event, EventSender, OutgoingRequest, Schedule, SigningSecret,
    sign,
};

pub use delivering::{DeliverReport, Fate};
pub use endpoints::{Added, NewEndpoint};

/// What the use cases need from outside.
#[derive(Clone)]
pub struct WebhookPorts {
    /// Where endpoints are kept.
    pub endpoints: Arc<dyn EndpointStore>,
    /// Where deliveries are kept.
    pub deliveries: Arc<dyn DeliveryStore>,
    /// The way out.
    pub sender: Arc<dyn EventSender>,
    /// Seals and opens secrets.
    pub vault: Arc<dyn SecretVault>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance: secrets, and the jitter of the schedule.
    pub randomness: Arc<dyn Randomness>,
    /// New identifiers.
    pub ids: Ids,
}

/// What may differ between installations.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// When to try again.
    pub schedule: Schedule,
    /// How long one worker holds a delivery: longer than a sender may take.
    pub lease: Duration,
    /// How many requests may be under way to one endpoint, so that a slow one cannot take all places.
    pub per_endpoint: u16,
    /// An endpoint that did nothing but fail for so long is disabled.
    pub give_up_after: Duration,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            schedule: Schedule::default(),
            lease: Duration::from_secs(30),
            per_endpoint: 4,
            give_up_after: Duration::from_secs(5 * 86_400),
        }
    }
}

/// Everything that can be done with endpoints and deliveries.
#[derive(Clone)]
pub struct Webhooks {
    ports: WebhookPorts,
    settings: WebhookSettings,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Webhooks {
    /// The use cases over the given ports.
    #[must_use]
    pub const fn new(ports: WebhookPorts, settings: WebhookSettings) -> Self {
        Self { ports, settings }
    }

    /// The request that tells an endpoint of an event at this moment.
    fn request(
        &self,
        endpoint: &Endpoint,
        event: &Event,
        now: Timestamp,
    ) -> Result<OutgoingRequest, SealError> {
        let place = endpoint.id.secret_place();
        let opened = endpoint.secrets.in_force(now).map(|sealed| {
            let bytes = self.ports.vault.open(place, sealed)?;
            SigningSecret::from_bytes(bytes).map_err(|_| SealError::Malformed)
        });
        let secrets: Vec<SigningSecret> = opened.collect::<Result<_, _>>()?;
        let body = event.body();
        let headers = sign(&secrets, &event.id.to_string(), now, &body);
        Ok(OutgoingRequest { url: endpoint.url.clone(), headers, body })
    }
}
