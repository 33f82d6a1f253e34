#![doc = include_str!("../README.md")]

pub mod bolt11;
mod catalogue;
mod claim;
mod error;
mod event;
pub mod forgetting;
mod form;
pub mod formats;
mod invoice;
mod look;
mod operation;
mod payment;
mod ports;
mod record;
mod service;
pub mod settlement;
mod status;
mod ticket;
pub mod watch;

#[cfg(feature = "testing")]
pub mod testing;

pub use bolt11::Network;
pub use catalogue::{CatalogueEntry, NewOperation, NewOperationError, OperationName};
pub use claim::{
    Claim, ClaimOutcome, ClaimRequest, Fingerprint, IdempotencyKey, IdempotencyKeyError, Release, Route,
};
pub use error::TicketError;
pub use event::{TicketEvent, TicketEventKind};
pub use form::{FieldFault, Form, FormData, FormRefusal, FormSchemaError};
pub use invoice::{Invoice, InvoiceId, InvoiceIdError, Payment};
pub use look::{DueLook, NextLook, Push, PushNoted, RefundDue};
pub use operation::{Operation, OperationId};
pub use payment::{HexError, PaymentFact, PaymentHash, Preimage};
pub use ports::*;
pub use record::{TicketChanges, TicketRecord};
pub use service::{
    FreshInvoice, OpenTicket, Opened, Reconciled, TicketPorts, TicketSettings, Tickets, WatchReport,
};
pub use status::{InvoiceStatus, TicketStatus, UnknownStatus};
pub use ticket::{Applied, InvalidState, Ticket, TicketId};
