//! Tickets, invoices, events and claims.

mod calls;
mod repository;
mod rows;
mod store;

pub(crate) use store::PgTicketStore;
