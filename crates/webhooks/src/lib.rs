#![doc = include_str!("../README.md")]

mod delivery;
mod endpoint;
mod error;
mod event;
mod ports;
mod schedule;
mod secret;
mod service;
mod signature;
mod verdict;

#[cfg(feature = "testing")]
pub mod testing;

pub use delivery::{Attempted, Claim, Delivery, DeliveryQuery, DeliveryState, Due, FannedOut, Standing};
pub use endpoint::{
    DisabledReason, Endpoint, EndpointId, EndpointState, EndpointUrl, InvalidEndpoint, SealedSecrets,
    Subscription,
};
pub use error::WebhookError;
pub use event::{Event, EventData, EventId, EventType, TicketData};
pub use ports::{
    Answer, DeliveryStore, EndpointStore, EventSender, Next, OutgoingRequest, SendError, UrlRefused,
};
pub use schedule::{Schedule, retry_after};
pub use secret::{InvalidSecret, SigningSecret};
pub use service::{Added, DeliverReport, Fate, NewEndpoint, WebhookPorts, WebhookSettings, Webhooks};
pub use signature::{
    ID_HEADER, SIGNATURE_HEADER, SignedHeaders, TIMESTAMP_HEADER, TOLERANCE, Unverified, sign, verify,
};
pub use verdict::Verdict;
