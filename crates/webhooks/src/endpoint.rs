//! Who is told: an address, what it wants to hear, and the secrets that we share with its owner.

use std::collections::BTreeSet;
use std::fmt;

use guiche_kernel::{Sealed, SecretPlace, Timestamp};
use url::Url;

use crate::EventType;

guiche_kernel::id! {
    /// Identifies an endpoint.
    pub struct EndpointId;
}

impl EndpointId {
    /// Where the secrets of this endpoint are sealed. The present and the previous one share the place: the one becomes
    /// the other by a rotation.
    #[must_use]
    pub const fn secret_place(&self) -> SecretPlace {
        SecretPlace { service: "webhooks", column: "webhook_endpoints.secret", owner: self.as_uuid() }
    }
}

/// Why there can be no such endpoint. The text found is not repeated: addresses often carry a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// Not the absolute address of a web server.
    #[error("the address must be an absolute http(s) URL")]
    Url,
    /// `user:password@` travels in logs and proxies; the signature is what tells us from others.
    #[error("the address must not have a user name or password")]
    Credentials,
    /// A fragment is never sent, so whoever writes one expects what will not happen.
    #[error("the address must not have a fragment (#…)")]
    Fragment,
    /// Longer than servers take.
    #[error("the address is longer than {} bytes", EndpointUrl::LONGEST)]
    TooLong,
    /// Longer than a line.
    #[error(
        "the description is longer than {} characters, or has control characters",
        Endpoint::LONGEST_DESCRIPTION
    )]
    Description,
    /// A list of no events, or of one that nobody can subscribe to.
    #[error("the events must be some of the catalogue; leave them out for all")]
    Events,
    /// Two secrets in force for ever would be two secrets to lose.
    #[error("the overlap of two secrets must be at most seven days")]
    Overlap,
}

/// The address of an endpoint. Its debug output is scheme, host and port: path and query may hold a token.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl(Url);

impl EndpointUrl {
    /// How many bytes an address may have.
    pub const LONGEST: usize = 2048;

    /// Reads an address. Whether it may be reached is for [`EventSender::admit`](crate::EventSender::admit).
    ///
    /// # Errors
    /// [`InvalidEndpoint`].
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let url = Url::parse(text).map_err(|_| InvalidEndpoint::Url)?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || url.port() == Some(0) {
            return Err(InvalidEndpoint::Url);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidEndpoint::Credentials);
        }
        if url.fragment().is_some() {
            return Err(InvalidEndpoint::Fragment);
        }
        if url.as_str().len() > Self::LONGEST {
            return Err(InvalidEndpoint::TooLong);
        }
        Ok(Self(url))
    }

    /// The address itself.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }

    /// The whole text, for storage and for the operator.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Scheme, host and port, for the log.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointUrl({})", self.origin())
    }
}

/// What an endpoint wants to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscription {
    /// Everything, also kinds that a later release adds.
    All,
    /// These. Never empty.
    Only(BTreeSet<EventType>),
}

impl Subscription {
    /// A subscription to the kinds that are named, or to all when none is.
    ///
    /// # Errors
    /// [`InvalidEndpoint::Events`] for a kind that cannot be subscribed to.
    pub fn of(types: impl IntoIterator<Item = EventType>) -> Result<Self, InvalidEndpoint> {
        let types: BTreeSet<_> = types.into_iter().collect();
        if !types.iter().all(|of_type| of_type.can_be_subscribed()) {
            return Err(InvalidEndpoint::Events);
        }
        Ok(if types.is_empty() { Self::All } else { Self::Only(types) })
    }

    /// Whether it wants to hear of this.
    #[must_use]
    pub fn wants(&self, of_type: EventType) -> bool {
        match self {
            Self::All => of_type.can_be_subscribed(),
            Self::Only(types) => types.contains(&of_type),
        }
    }
}

/// Why an endpoint is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledReason {
    /// An operator said so.
    Operator,
    /// It answered 410 Gone: it wants to hear nothing more, ever.
    Gone,
    /// It did nothing but fail for days.
    Failing,
}

impl DisabledReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Operator, Self::Gone, Self::Failing];

    /// The reason in a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// Whether an endpoint is told anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// It is.
    Active,
    /// It is not. What was waiting for it was dropped, and what happens meanwhile is not kept for it.
    Disabled {
        /// Why.
        reason: DisabledReason,
        /// Since when.
        at: Timestamp,
    },
}

/// The secrets of an endpoint, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecrets {
    /// The one that its owner was shown last.
    pub current: Sealed,
    /// The one before it, which signs as well until that moment.
    pub previous: Option<(Sealed, Timestamp)>,
}

impl SealedSecrets {
    /// The secrets in force, the present one first.
    pub fn in_force(&self, now: Timestamp) -> impl Iterator<Item = &Sealed> {
        let previous = self.previous.iter().filter(move |(_, until)| now < *until).map(|(sealed, _)| sealed);
        std::iter::once(&self.current).chain(previous)
    }
}

/// Who is told, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Identifies it.
    pub id: EndpointId,
    /// Where.
    pub url: EndpointUrl,
    /// What the operator calls it; may be empty.
    pub description: String,
    /// What it wants to hear.
    pub subscription: Subscription,
    /// Whether it is told anything.
    pub state: EndpointState,
    /// What we sign with.
    pub secrets: SealedSecrets,
    /// When it was added.
    pub created_at: Timestamp,
    /// Since when every attempt has failed; `None` after a success.
    pub failing_since: Option<Timestamp>,
}

impl Endpoint {
    /// How many characters a description may have.
    pub const LONGEST_DESCRIPTION: usize = 200;

    /// Whether it is told anything.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self.state, EndpointState::Active)
    }

    /// A description that fits a line.
    ///
    /// # Errors
    /// [`InvalidEndpoint::Description`].
    pub fn check_description(text: &str) -> Result<(), InvalidEndpoint> {
        let too_long = text.chars().count() > Self::LONGEST_DESCRIPTION;
        if too_long || text.chars().any(char::is_control) {
            return Err(InvalidEndpoint::Description);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for fine in [
            "https://example.org",
            "https://example.org:8443/hooks?x=1",
            "http://localhost:1/",
            "https://[::1]/",
        ] {
            assert!(EndpointUrl::parse(fine).is_ok(), "{fine}");
        }
        let long = format!("https://example.org/{}", "a".repeat(2048));
        for (wrong, why) in [
            ("", InvalidEndpoint::Url),
            ("/hooks", InvalidEndpoint::Url),
            ("ftp://example.org", InvalidEndpoint::Url),
            ("file:///etc/passwd", InvalidEndpoint::Url),
            ("https://", InvalidEndpoint::Url),
            ("https://example.org:0/", InvalidEndpoint::Url),
            ("https://ana@example.org/", InvalidEndpoint::Credentials),
            ("https://:secret@example.org/", InvalidEndpoint::Credentials),
            ("https://example.org/#x", InvalidEndpoint::Fragment),
            (&long, InvalidEndpoint::TooLong),
        ] {
            assert_eq!(EndpointUrl::parse(wrong), Err(why), "{wrong}");
        }
    }

    #[test]
    fn an_address_prints_nothing_that_may_be_a_token() {
        let url = EndpointUrl::parse("https://hooks.example.org/services/T0K3N?key=T0K3N").unwrap();
        assert_eq!(format!("{url:?}"), "EndpointUrl(https://hooks.example.org)");
    }

    #[test]
    fn subscriptions() {
        let all = Subscription::of([]).unwrap();
        assert!(all.wants(EventType::TicketPaid) && !all.wants(EventType::Test));
        let paid = Subscription::of([EventType::TicketPaid]).unwrap();
        assert!(paid.wants(EventType::TicketPaid) && !paid.wants(EventType::TicketOpened));
        assert_eq!(Subscription::of([EventType::Test]), Err(InvalidEndpoint::Events));
    }
}
