//! What an operator does with endpoints.

use std::time::Duration;

use guiche_kernel::StoreError;

use super::Webhooks;
use crate::{
    Attempted, Delivery, DeliveryQuery, DisabledReason, Endpoint, EndpointId, EndpointState, EndpointUrl,
    Event, EventData, EventId, InvalidEndpoint, SealedSecrets, SigningSecret, Subscription, WebhookError,
};

/// How long two secrets may be in force at once.
const LONGEST_OVERLAP: Duration = Duration::from_secs(7 * 86_400);

/// An endpoint that somebody asks for.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    /// Where.
    pub url: EndpointUrl,
    /// What the operator calls it; may be empty.
    pub description: String,
    /// What it wants to hear.
    pub subscription: Subscription,
}

/// An endpoint that was added, with its secret: the only moment at which that can be shown.
#[derive(Debug, Clone)]
pub struct Added {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// What its owner verifies with.
    pub secret: SigningSecret,
}

impl Webhooks {
    /// Adds an endpoint; it hears of what is fanned out from now on.
    ///
    /// # Errors
    /// [`WebhookError::Invalid`], [`WebhookError::UrlRefused`], [`WebhookError::Secret`], [`WebhookError::Store`].
    pub async fn add(&self, new: NewEndpoint) -> Result<Added, WebhookError> {
        self.ports.sender.admit(&new.url)?;
        Endpoint::check_description(&new.description)?;
        let id = EndpointId::new(self.ports.ids.uuid());
        let secret = SigningSecret::generate(&*self.ports.randomness);
        let sealed = self.ports.vault.seal(id.secret_place(), secret.bytes());
        let endpoint = Endpoint {
            id,
            url: new.url,
            description: new.description,
            subscription: new.subscription,
            state: EndpointState::Active,
            secrets: SealedSecrets {
                current: sealed.map_err(|refusal| WebhookError::Secret(id, refusal))?,
                previous: None,
            },
            created_at: self.ports.clock.now(),
            failing_since: None,
        };
        self.ports.endpoints.insert(&endpoint).await?;
        Ok(Added { endpoint, secret })
    }

    /// Every endpoint, the oldest first.
    ///
    /// # Errors
    /// [`WebhookError::Store`].
    pub async fn endpoints(&self) -> Result<Vec<Endpoint>, WebhookError> {
        Ok(self.ports.endpoints.list().await?)
    }

    /// An endpoint.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`], [`WebhookError::Store`].
    pub async fn endpoint(&self, id: EndpointId) -> Result<Endpoint, WebhookError> {
        self.ports.endpoints.find(id).await?.ok_or(WebhookError::NotFound(id))
    }

    /// Stops telling an endpoint anything, and drops what waits for it. Whether it was active.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`], [`WebhookError::Store`].
    pub async fn disable(&self, id: EndpointId) -> Result<bool, WebhookError> {
        self.endpoint(id).await?;
        let now = self.ports.clock.now();
        Ok(self.ports.endpoints.disable(id, DisabledReason::Operator, None, now).await?)
    }

    /// Tells an endpoint again, from now on. Whether it was disabled.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`], [`WebhookError::UrlRefused`], [`WebhookError::Store`].
    pub async fn enable(&self, id: EndpointId) -> Result<bool, WebhookError> {
        let endpoint = self.endpoint(id).await?;
        self.ports.sender.admit(&endpoint.url)?;
        Ok(self.ports.endpoints.enable(id).await?)
    }

    /// Gives an endpoint a new secret. Until the overlap is over, everything is signed under both.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`]; [`WebhookError::Invalid`] for an overlap of more than seven days;
    /// [`WebhookError::Secret`]; [`WebhookError::Store`], a conflict when somebody else rotates at the same moment.
    pub async fn rotate_secret(
        &self,
        id: EndpointId,
        overlap: Duration,
    ) -> Result<SigningSecret, WebhookError> {
        if overlap > LONGEST_OVERLAP {
            return Err(InvalidEndpoint::Overlap.into());
        }
        let endpoint = self.endpoint(id).await?;
        let secret = SigningSecret::generate(&*self.ports.randomness);
        let sealed = self.ports.vault.seal(id.secret_place(), secret.bytes());
        let sealed = sealed.map_err(|refusal| WebhookError::Secret(id, refusal))?;
        let until = self.ports.clock.now() + overlap;
        self.ports.endpoints.rotate(id, &endpoint.secrets.current, &sealed, until).await?;
        Ok(secret)
    }

    /// Sends `webhook.test` to an endpoint, once and now, and tells how it went. A disabled endpoint can be tried as well:
    /// that is how its owner finds out whether to enable it.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`], [`WebhookError::UrlRefused`], [`WebhookError::Secret`], [`WebhookError::Store`].
    pub async fn test(&self, id: EndpointId) -> Result<Attempted, WebhookError> {
        let endpoint = self.endpoint(id).await?;
        self.ports.sender.admit(&endpoint.url)?;
        let now = self.ports.clock.now();
        let event =
            Event { id: EventId::new(self.ports.ids.uuid()), happened_at: now, data: EventData::Test };
        let request = self.request(&endpoint, &event, now);
        let request = request.map_err(|refusal| WebhookError::Secret(id, refusal))?;
        Ok(match self.ports.sender.send(request).await {
            Ok(answer) => Attempted::Answered(answer.status),
            Err(reason) => Attempted::NotSent(reason),
        })
    }

    /// Deliveries, the newest first.
    ///
    /// # Errors
    /// [`WebhookError::Store`].
    pub async fn deliveries(&self, query: &DeliveryQuery) -> Result<Vec<Delivery>, WebhookError> {
        Ok(self.ports.deliveries.list(query).await?)
    }

    /// Orders an event's deliveries anew: to one endpoint, or to all active ones that want to hear of it. How many.
    ///
    /// # Errors
    /// [`WebhookError::EventNotFound`], [`WebhookError::NotFound`], [`WebhookError::Disabled`], [`WebhookError::Store`].
    pub async fn redeliver(&self, event: EventId, to: Option<EndpointId>) -> Result<u64, WebhookError> {
        if let Some(id) = to
            && !self.endpoint(id).await?.is_active()
        {
            return Err(WebhookError::Disabled(id));
        }
        let ordered = self.ports.deliveries.redeliver(event, to, self.ports.clock.now()).await?;
        ordered.ok_or(WebhookError::EventNotFound(event))
    }

    /// Opens the secrets of every endpoint, and keeps none: whether the key ring is complete. For a server that starts.
    ///
    /// # Errors
    /// [`WebhookError::Secret`] for the first that does not open; [`WebhookError::Store`].
    pub async fn check_secrets(&self) -> Result<(), WebhookError> {
        for endpoint in self.ports.endpoints.list().await? {
            for sealed in endpoint.secrets.in_force(self.ports.clock.now()) {
                let opened = self.ports.vault.open(endpoint.id.secret_place(), sealed);
                opened.map_err(|refusal| WebhookError::Secret(endpoint.id, refusal))?;
            }
        }
        Ok(())
    }

    /// Forgets deliveries that came to their end longer ago than this; returns how many.
    ///
    /// # Errors
    /// [`WebhookError::Store`].
    pub async fn prune(&self, keep: Duration) -> Result<u64, WebhookError> {
        Ok(self.ports.deliveries.prune(self.ports.clock.now() - keep).await?)
    }

    /// How things stand, and for how long the oldest delivery has been waiting.
    ///
    /// # Errors
    /// [`WebhookError::Store`].
    pub async fn standing(&self) -> Result<(crate::Standing, Duration), StoreError> {
        let standing = self.ports.deliveries.standing().await?;
        let now = self.ports.clock.now();
        let waiting = standing.oldest_waiting.map(|since| (now - since).try_into().unwrap_or_default());
        Ok((standing, waiting.unwrap_or_default()))
    }
}
