//! What events out need from outside. Adapters implement these traits and pass the suites in `testing::contract`.

use async_trait::async_trait;
use guiche_kernel::{Limit, Sealed, StoreError, Timestamp};

use crate::{
    Attempted, Claim, Delivery, DeliveryQuery, DisabledReason, Due, Endpoint, EndpointId, EndpointUrl,
    EventId, FannedOut, SignedHeaders, Standing,
};

/// Where endpoints are kept. Secrets arrive here sealed, and leave sealed.
#[async_trait]
pub trait EndpointStore: Send + Sync {
    /// Adds an endpoint; [`StoreError::Duplicate`] when its id is known.
    async fn insert(&self, endpoint: &Endpoint) -> Result<(), StoreError>;

    /// An endpoint.
    async fn find(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError>;

    /// Every endpoint, the oldest first.
    async fn list(&self) -> Result<Vec<Endpoint>, StoreError>;

    /// Disables an active endpoint and drops what waits for it (also what is under way, whose record then counts for
    /// nothing): one commit. With `if_failing_since` only when it has been failing since that very moment, so that a
    /// success meanwhile saves it. Whether it did anything.
    async fn disable(
        &self,
        id: EndpointId,
        reason: DisabledReason,
        if_failing_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Makes a disabled endpoint active, as one that never failed. Whether it did anything.
    async fn enable(&self, id: EndpointId) -> Result<bool, StoreError>;

    /// Replaces the secret; the one before it stays in force until the given moment, and the one before that is gone.
    /// [`StoreError::Conflict`] unless `expected` is the present one: of two rotations at once one is refused, so that no
    /// secret that somebody was shown is lost without a word.
    async fn rotate(
        &self,
        id: EndpointId,
        expected: &Sealed,
        fresh: &Sealed,
        previous_until: Timestamp,
    ) -> Result<(), StoreError>;
}

/// What follows from an attempt, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The endpoint took it.
    Delivered,
    /// Another attempt at that moment.
    RetryAt(Timestamp),
    /// There is no further attempt.
    GivenUp,
}

/// Where deliveries are kept, beside the events that were committed with what they tell of.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Takes the oldest events that nobody has taken care of, orders a delivery for each active endpoint that wants to
    /// hear of them, and marks them as taken care of: one commit. Every committed event MUST be taken care of exactly
    /// once, however many do this at once, and whichever of two transactions committed first.
    async fn fan_out(&self, now: Timestamp, limit: Limit) -> Result<FannedOut, StoreError>;

    /// Takes deliveries that are due, those that waited longest first, but no more than `per_endpoint` may be under way to
    /// one endpoint at a time, whoever took them, and where not all can be taken, each endpoint gets its share, in which
    /// what is under way to it counts. Each is leased until `leased_until`, its attempt is counted, and no other call gets it
    /// before that.
    async fn claim(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        per_endpoint: u16,
        limit: Limit,
    ) -> Result<Vec<Due>, StoreError>;

    /// Writes down how an attempt ended and what follows, and since when its endpoint has been failing. `false`, and
    /// nothing written, when the delivery is no longer held under this claim.
    async fn record(
        &self,
        claim: &Claim,
        attempted: Attempted,
        next: Next,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Deliveries, the newest first.
    async fn list(&self, query: &DeliveryQuery) -> Result<Vec<Delivery>, StoreError>;

    /// Orders the deliveries of an event anew, with the whole schedule ahead: to the one endpoint, or to every active one
    /// that wants to hear of it. What is under way at this moment is left alone. How many were ordered; `None` when there
    /// is no such event.
    async fn redeliver(
        &self,
        event: EventId,
        endpoint: Option<EndpointId>,
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError>;

    /// Forgets deliveries that came to their end before the given moment; returns how many. Events stay.
    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// How things stand. Costs little, however much is stored.
    async fn standing(&self) -> Result<Standing, StoreError>;
}

/// One signed request.
#[derive(Debug, Clone)]
pub struct OutgoingRequest {
    /// Where to.
    pub url: EndpointUrl,
    /// Id, timestamp and signature.
    pub headers: SignedHeaders,
    /// JSON.
    pub body: Vec<u8>,
}

/// An answer, without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header `Retry-After`, as it came.
    pub retry_after: Option<String>,
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The address is one that we do not speak to, or the name leads to such a one.
    #[error("the address is not allowed")]
    AddressRefused,
    /// The name leads nowhere.
    #[error("the name cannot be resolved")]
    NameUnknown,
    /// No connection, or no trust in the certificate.
    #[error("no connection could be made")]
    Unreachable,
    /// The answer did not come in time.
    #[error("the answer took too long")]
    TimedOut,
    /// The answer was no HTTP, or broke off.
    #[error("the answer could not be understood")]
    Broken,
}

impl SendError {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::AddressRefused, Self::NameUnknown, Self::Unreachable, Self::TimedOut, Self::Broken];

    /// The reason in a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddressRefused => "address_refused",
            Self::NameUnknown => "name_unknown",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Broken => "broken",
        }
    }
}

/// Why nothing may be sent to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefused {
    /// Whoever listens on the way would read it.
    #[error("the address must be https")]
    NotHttps,
    /// It is this machine, or one of the private network around it.
    #[error("the address is a private one; WEBHOOKS_ALLOW_PRIVATE may allow it")]
    Private,
}

/// Sends requests to endpoints. The one place from which strangers' addresses are called.
///
/// It MUST NOT follow redirects, MUST NOT connect to an address that is not public (as judged after the name was resolved,
/// on the very address that is connected to), and MUST answer within 20 seconds, whatever the endpoint does.
#[async_trait]
pub trait EventSender: Send + Sync {
    /// Whether an endpoint with this address makes sense: what can be told without resolving its name.
    ///
    /// # Errors
    /// [`UrlRefused`].
    fn admit(&self, url: &EndpointUrl) -> Result<(), UrlRefused>;

    /// Sends it once. Cancelling leaves it open whether it arrived.
    async fn send(&self, request: OutgoingRequest) -> Result<Answer, SendError>;
}
