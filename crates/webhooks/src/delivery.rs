//! One event on its way to one endpoint.

use std::fmt;
use std::str::FromStr;

use guiche_kernel::{Limit, StoreError, Timestamp};

use crate::{Endpoint, EndpointId, Event, EventId, EventType, SendError};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// An attempt is to come, or under way.
    Pending,
    /// The endpoint took it.
    Delivered,
    /// The last attempt of the schedule failed.
    Failed,
    /// The endpoint was disabled before it took it.
    Dropped,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::Failed, Self::Dropped];

    /// The state in a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeliveryState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(())
    }
}

/// How one attempt ended. Of an answer only the status is kept: a body may echo what it should not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempted {
    /// The endpoint answered with this HTTP status.
    Answered(u16),
    /// There was no answer.
    NotSent(SendError),
    /// The endpoint's secret could not be opened, so nothing was sent.
    NotSigned,
    /// What is stored of the event or the endpoint could not be read, so nothing was sent.
    Unreadable,
}

impl Attempted {
    const NOT_SIGNED: &'static str = "not_signed";
    const UNREADABLE: &'static str = "unreadable";
    const HTTP: &'static str = "http_";
}

impl fmt::Display for Attempted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(status) => write!(f, "{}{status}", Self::HTTP),
            Self::NotSent(reason) => f.write_str(reason.as_str()),
            Self::NotSigned => f.write_str(Self::NOT_SIGNED),
            Self::Unreadable => f.write_str(Self::UNREADABLE),
        }
    }
}

impl FromStr for Attempted {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some(status) = text.strip_prefix(Self::HTTP) {
            return status.parse().map(Self::Answered).map_err(drop);
        }
        match text {
            Self::NOT_SIGNED => Ok(Self::NotSigned),
            Self::UNREADABLE => Ok(Self::Unreadable),
            other => SendError::ALL
                .into_iter()
                .find(|reason| reason.as_str() == other)
                .map(Self::NotSent)
                .ok_or(()),
        }
    }
}

/// What a worker holds while it works on a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Of which event.
    pub event_id: EventId,
    /// To which endpoint.
    pub endpoint_id: EndpointId,
    /// Until when nobody else takes it; this very moment tells its holder from the next one.
    pub leased_until: Timestamp,
}

/// A delivery whose attempt is due, and taken.
#[derive(Debug)]
pub struct Due {
    /// Proves that it is ours.
    pub claim: Claim,
    /// Which attempt this is, from 1. It counts from the moment it was claimed: whatever kills its worker each time does
    /// not do so for ever.
    pub attempt: u32,
    /// Whom to tell what; an error when what is stored cannot be read. Then this delivery fails, and no other.
    pub content: Result<(Endpoint, Event), StoreError>,
}

/// A delivery as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Of which event.
    pub event_id: EventId,
    /// Its kind.
    pub event_type: EventType,
    /// To which endpoint.
    pub endpoint_id: EndpointId,
    /// Where it stands.
    pub state: DeliveryState,
    /// How many attempts were begun.
    pub attempts: u32,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// When the next attempt is due, while one is to come.
    pub next_at: Option<Timestamp>,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
    /// How the last attempt ended.
    pub last: Option<Attempted>,
}

/// Which deliveries to list; the newest come first.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeliveryQuery {
    /// Of this endpoint only.
    pub endpoint_id: Option<EndpointId>,
    /// In this state only.
    pub state: Option<DeliveryState>,
    /// So many at most.
    pub limit: Limit,
}

/// What one step of the fan-out did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FannedOut {
    /// Events that are taken care of now.
    pub events: u64,
    /// Deliveries that were ordered for them.
    pub deliveries: u64,
}

/// How things stand, for the metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Since when the oldest delivery, or the oldest event that was not fanned out, has been waiting.
    pub oldest_waiting: Option<Timestamp>,
    /// Endpoints that are told.
    pub active_endpoints: u64,
    /// Endpoints that are not.
    pub disabled_endpoints: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_of_an_attempt_is_read_back() {
        let others = SendError::ALL.map(Attempted::NotSent);
        let all = [Attempted::Answered(200), Attempted::NotSigned, Attempted::Unreadable];
        for attempted in all.into_iter().chain(others) {
            assert_eq!(attempted.to_string().parse(), Ok(attempted));
        }
        for wrong in ["", "http_", "http_x", "lost"] {
            assert_eq!(wrong.parse::<Attempted>(), Err(()), "{wrong}");
        }
    }
}
