//! Tickets, invoices, events and claims.

mod calls;
mod group;
mod looks;
mod opening;
mod reads;
mod repository;
mod rows;
mod store;

pub(crate) use rows::{Reading, tickets as tickets_of};
pub(crate) use store::{PgTicketStore, TicketsTogether};
