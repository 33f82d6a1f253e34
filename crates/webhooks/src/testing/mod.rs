//! What tests and harnesses need: a store in memory, a sender that does as it is told, and the suites that every adapter
//! of a port must pass. Nothing here needs an async runtime.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "test code: a failed expectation is the point"
)]

pub mod contract;
mod memory;
mod sender;

use std::collections::HashSet;

use guiche_kernel::{Sats, Timestamp, UserId};
use uuid::Uuid;

use crate::{Event, EventData, EventId, EventType, TicketData};

pub use memory::MemoryWebhooks;
pub use sender::{ScriptedSender, Sent};

/// An event of the given kind, about a ticket of nobody's.
#[must_use]
pub fn ticket_event(id: EventId, of_type: EventType, happened_at: Timestamp) -> Event {
    let data = TicketData {
        ticket_id: Uuid::from_u128(1),
        user_id: UserId::new(Uuid::from_u128(2)),
        operation_id: 1,
        operation_name: "driver_license_renewal".to_owned(),
        amount: Sats::try_new(50_000).expect("in range"),
        payment_status: "pending".to_owned(),
        version: 1,
        payment_hash: Some([7; 32]),
    };
    Event { id, happened_at, data: EventData::Ticket(of_type, data) }
}

/// Whether a macro's list of cases names every public case of a suite's source text, and nothing twice.
#[must_use]
pub fn lists_every_case(source: &str, listed: &[&str]) -> bool {
    let defined: HashSet<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub async fn "))
        .filter_map(|rest| rest.split(['(', '<']).next())
        .collect();
    let unique: HashSet<&str> = listed.iter().copied().collect();
    unique == defined && unique.len() == listed.len() && !listed.is_empty()
}
