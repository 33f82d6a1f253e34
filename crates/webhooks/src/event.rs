//! What others are told: the catalogue of events, and the body that carries one.

use std::fmt;
use std::str::FromStr;

use guiche_kernel::{Sats, Timestamp, UserId};
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

guiche_kernel::id! {
    /// Identifies an event; the `webhook-id` of every attempt to deliver it, to whichever endpoint.
    pub struct EventId;
}

macro_rules! catalogue {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+) => {
        /// The kinds of events: the whole catalogue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventType {
            $($(#[doc = $doc])+ $name,)+
        }

        impl EventType {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word that subscribers see.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

catalogue! {
    /// A ticket exists, with its first invoice.
    TicketOpened = "ticket.opened",
    /// A fresh invoice made an expired ticket payable again.
    TicketInvoiceIssued = "ticket.invoice_issued",
    /// A ticket is paid; at most once in its life.
    TicketPaid = "ticket.paid",
    /// The invoice of a ticket ran out unpaid.
    TicketExpired = "ticket.expired",
    /// The citizen withdrew a ticket.
    TicketCancelled = "ticket.cancelled",
    /// Money came in on an invoice that must go back; once per invoice.
    TicketRefundDue = "ticket.refund_due",
    /// That money went back.
    TicketRefunded = "ticket.refunded",
    /// The office took a paid ticket up.
    TicketProcessing = "ticket.processing",
    /// The office has served a ticket.
    TicketCompleted = "ticket.completed",
    /// An operator tries an endpoint; it tells of nothing, and is never repeated.
    Test = "webhook.test",
}

impl EventType {
    /// Whether an endpoint may subscribe to it. A test goes to the one endpoint that is tried, whatever it subscribed to.
    #[must_use]
    pub fn can_be_subscribed(self) -> bool {
        self != Self::Test
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventType {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|known| known.as_str() == text).ok_or(())
    }
}

/// One event, as it is told. It never changes, so neither do the bytes of its [`body`](Self::body).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Identifies it.
    pub id: EventId,
    /// When it happened.
    pub happened_at: Timestamp,
    /// What happened.
    pub data: EventData,
}

/// What happened, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventData {
    /// Something happened to a ticket.
    Ticket(EventType, TicketData),
    /// Somebody tries the endpoint.
    Test,
}

/// A ticket as an event tells of it. There is no form data in it: whoever may see that asks for the ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketData {
    /// The ticket.
    pub ticket_id: Uuid,
    /// Whose it is.
    pub user_id: UserId,
    /// What was bought.
    pub operation_id: i32,
    /// Its machine name at the opening.
    pub operation_name: String,
    /// The ticket's price.
    pub amount: Sats,
    /// Where the ticket stands after the event.
    pub payment_status: String,
    /// The ticket's version after the event: of two events of one ticket the one with the higher version is the later.
    pub version: i64,
    /// The invoice concerned, where one is: its payment hash, 32 bytes.
    pub payment_hash: Option<[u8; 32]>,
}

impl Event {
    /// Which of the catalogue it is.
    #[must_use]
    pub const fn event_type(&self) -> EventType {
        match &self.data {
            EventData::Ticket(of_type, _) => *of_type,
            EventData::Test => EventType::Test,
        }
    }

    /// The bytes of the request: `{"type", "timestamp", "data"}` as Standard Webhooks have it. A function of the event
    /// alone, so every attempt carries the same bytes.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        // Only a map with keys that are not text, or a failing writer, can be refused.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let timestamp = self.happened_at.format(&Rfc3339).map_err(serde::ser::Error::custom)?;
        let mut body = serializer.serialize_struct("Event", 3)?;
        body.serialize_field("type", self.event_type().as_str())?;
        body.serialize_field("timestamp", &timestamp)?;
        match &self.data {
            EventData::Ticket(_, data) => body.serialize_field("data", data)?,
            EventData::Test => body.serialize_field("data", &Nothing {})?,
        }
        body.end()
    }
}

#[derive(Serialize)]
struct Nothing {}

impl Serialize for TicketData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = 7 + usize::from(self.payment_hash.is_some());
        let mut data = serializer.serialize_struct("TicketData", fields)?;
        data.serialize_field("ticket_id", &self.ticket_id)?;
        data.serialize_field("user_id", &self.user_id)?;
        data.serialize_field("operation_id", &self.operation_id)?;
        data.serialize_field("operation_name", &self.operation_name)?;
        data.serialize_field("amount_sats", &self.amount.get())?;
        data.serialize_field("payment_status", &self.payment_status)?;
        data.serialize_field("version", &self.version)?;
        match &self.payment_hash {
            Some(hash) => data.serialize_field("payment_hash", &hex::encode(hash))?,
            None => data.skip_field("payment_hash")?,
        }
        data.end()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn paid(payment_hash: Option<[u8; 32]>) -> Event {
        Event {
            id: EventId::new(Uuid::from_u128(1)),
            happened_at: datetime!(2026-11-22 07:30:15.25 UTC),
            data: EventData::Ticket(
                EventType::TicketPaid,
                TicketData {
                    ticket_id: Uuid::from_u128(2),
                    user_id: UserId::new(Uuid::from_u128(3)),
                    operation_id: 1,
                    operation_name: "driver_license_renewal".to_owned(),
                    amount: Sats::try_new(50_000).unwrap(),
                    payment_status: "paid".to_owned(),
                    version: 2,
                    payment_hash,
                },
            ),
        }
    }

    /// These bytes were signed and sent: whoever changes them changes what is still being retried.
    #[test]
    fn the_body_is_known_to_the_byte() {
        let start = r#"{"type":"ticket.paid","timestamp":"2026-11-22T07:30:15.25Z","data":{"ticket_id":"00000000-0000-0000-0000-000000000002","user_id":"00000000-0000-0000-0000-000000000003","operation_id":1,"operation_name":"driver_license_renewal","amount_sats":50000,"payment_status":"paid","version":2"#;
        let hash = format!(r#","payment_hash":"{}""#, "ab".repeat(32));
        let text = |event: Event| String::from_utf8(event.body()).unwrap();
        assert_eq!(text(paid(None)), format!("{start}}}}}"));
        assert_eq!(text(paid(Some([0xab; 32]))), format!("{start}{hash}}}}}"));
        let test = Event { data: EventData::Test, ..paid(None) };
        assert_eq!(text(test), r#"{"type":"webhook.test","timestamp":"2026-11-22T07:30:15.25Z","data":{}}"#);
    }

    #[test]
    fn every_word_is_read_back_and_explained() {
        for known in EventType::ALL {
            assert_eq!(known.as_str().parse(), Ok(*known));
            assert!(known.meaning().ends_with('.'), "{known}");
        }
        assert_eq!("ticket.Paid".parse::<EventType>(), Err(()));
    }
}
