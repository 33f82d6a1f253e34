//! Rows to endpoints, events and deliveries.

use std::str::FromStr;

use diesel::{Queryable, Selectable};
use guiche_kernel::{Sats, Sealed, StoreError, Timestamp, UserId};
use guiche_webhooks::{
    Claim, Delivery, DisabledReason, Due, Endpoint, EndpointId, EndpointState, EndpointUrl, Event, EventData,
    EventId, EventType, SealedSecrets, Subscription, TicketData,
};
use uuid::Uuid;

use crate::schema::webhook_endpoints;

/// A row of `webhook_endpoints`.
#[derive(Queryable, Selectable)]
#[diesel(table_name = webhook_endpoints)]
pub(super) struct EndpointRow {
    id: Uuid,
    url: String,
    description: String,
    event_types: Option<Vec<String>>,
    secret: String,
    previous_secret: Option<String>,
    previous_until: Option<Timestamp>,
    created_at: Timestamp,
    disabled_at: Option<Timestamp>,
    disabled_reason: Option<String>,
    failing_since: Option<Timestamp>,
}

impl EndpointRow {
    pub(super) fn endpoint(self) -> Result<Endpoint, StoreError> {
        let state = match (self.disabled_at, self.disabled_reason) {
            (Some(at), Some(reason)) => {
                let known = DisabledReason::ALL.into_iter().find(|known| known.as_str() == reason);
                let reason = known.ok_or_else(|| corrupt("an unknown reason of being disabled"))?;
                EndpointState::Disabled { reason, at }
            }
            (_, _) => EndpointState::Active,
        };
        let types = self
            .event_types
            .unwrap_or_default()
            .iter()
            .map(|kind| word(kind))
            .collect::<Result<Vec<EventType>, _>>()?;
        Ok(Endpoint {
            id: EndpointId::new(self.id),
            url: EndpointUrl::parse(&self.url).map_err(|_| corrupt("an endpoint's address is none"))?,
            description: self.description,
            subscription: Subscription::of(types)
                .map_err(|_| corrupt("an endpoint's subscription is none"))?,
            state,
            secrets: SealedSecrets {
                current: Sealed::from_text(self.secret),
                previous: self.previous_secret.map(Sealed::from_text).zip(self.previous_until),
            },
            created_at: self.created_at,
            failing_since: self.failing_since,
        })
    }
}

/// A row of `claim_deliveries`: a delivery, its endpoint and its event.
#[derive(Queryable)]
pub(super) struct ClaimRow {
    event_id: Uuid,
    endpoint_id: Uuid,
    attempts: i32,
    url: String,
    description: String,
    event_types: Option<Vec<String>>,
    secret: String,
    previous_secret: Option<String>,
    previous_until: Option<Timestamp>,
    created_at: Timestamp,
    failing_since: Option<Timestamp>,
    kind: String,
    happened_at: Timestamp,
    ticket_id: Uuid,
    user_id: Uuid,
    operation_id: i32,
    operation_name: String,
    amount_sats: i64,
    status: String,
    version: i64,
    payment_hash: Option<Vec<u8>>,
}

impl ClaimRow {
    /// A row that cannot be read is a delivery that fails; the others of the claim are none the worse for it.
    pub(super) fn due(self, leased_until: Timestamp) -> Due {
        let claim = Claim {
            event_id: EventId::new(self.event_id),
            endpoint_id: EndpointId::new(self.endpoint_id),
            leased_until,
        };
        Due { claim, attempt: u32::try_from(self.attempts).unwrap_or(u32::MAX), content: self.content() }
    }

    fn content(self) -> Result<(Endpoint, Event), StoreError> {
        let endpoint = EndpointRow {
            id: self.endpoint_id,
            url: self.url,
            description: self.description,
            event_types: self.event_types,
            secret: self.secret,
            previous_secret: self.previous_secret,
            previous_until: self.previous_until,
            created_at: self.created_at,
            disabled_at: None,
            disabled_reason: None,
            failing_since: self.failing_since,
        };
        let hash = self.payment_hash.map(<[u8; 32]>::try_from).transpose();
        let data = TicketData {
            ticket_id: self.ticket_id,
            user_id: UserId::new(self.user_id),
            operation_id: self.operation_id,
            operation_name: self.operation_name,
            amount: Sats::try_from(self.amount_sats).map_err(|_| corrupt("an amount that cannot exist"))?,
            payment_status: self.status,
            version: self.version,
            payment_hash: hash.map_err(|_| corrupt("a payment hash that is none"))?,
        };
        let event = Event {
            id: EventId::new(self.event_id),
            happened_at: self.happened_at,
            data: EventData::Ticket(word(&self.kind)?, data),
        };
        Ok((endpoint.endpoint()?, event))
    }
}

/// A delivery as it is listed, with the kind of its event.
#[derive(Queryable)]
pub(super) struct DeliveryRow {
    event_id: Uuid,
    kind: String,
    endpoint_id: Uuid,
    state: String,
    attempts: i32,
    created_at: Timestamp,
    next_at: Timestamp,
    finished_at: Option<Timestamp>,
    last_result: Option<String>,
}

impl DeliveryRow {
    pub(super) fn delivery(self) -> Result<Delivery, StoreError> {
        Ok(Delivery {
            event_id: EventId::new(self.event_id),
            event_type: word(&self.kind)?,
            endpoint_id: EndpointId::new(self.endpoint_id),
            state: word(&self.state)?,
            attempts: u32::try_from(self.attempts).map_err(|_| corrupt("attempts below zero"))?,
            created_at: self.created_at,
            next_at: self.finished_at.is_none().then_some(self.next_at),
            finished_at: self.finished_at,
            last: self.last_result.as_deref().map(word).transpose()?,
        })
    }
}

fn word<T: FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| corrupt("an unknown word"))
}

fn corrupt(what: &str) -> StoreError {
    StoreError::corrupt(what)
}
