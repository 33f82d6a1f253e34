//! `/api/v1`: accounts, operations, tickets, Lightning addresses. A handler takes a request apart, calls one use case, and writes the answer.

pub(super) mod accounts;
mod caller;
mod cursor;
pub mod dev;
pub mod dto;
pub(super) mod lightning;
pub mod live;
pub(super) mod operations;
pub mod pushes;
pub(super) mod refusals;
pub mod stores;
pub(super) mod tickets;

use std::sync::Arc;

use guiche_tickets::Tickets;
use guiche_users::Accounts;

use super::routes::RouteTable;
use crate::catalogue::RememberedCatalogue;
use crate::lightning::Desk;

pub use caller::{SignedIn, SignedInUntil};

/// The use cases behind `/api/v1`.
#[derive(Clone)]
pub struct UseCases {
    /// Accounts and sessions.
    pub accounts: Arc<Accounts>,
    /// Operations and tickets.
    pub tickets: Arc<Tickets>,
    /// The operations, as everybody reads them.
    pub catalogue: Arc<RememberedCatalogue>,
    /// Live status.
    pub stage: Arc<live::Stage>,
    /// The setup of Lightning addresses, where it is on.
    pub desk: Option<Arc<Desk>>,
}

/// The routes with their use cases.
#[must_use]
pub fn routes(use_cases: UseCases) -> RouteTable {
    table()
        .state(use_cases.accounts)
        .state(use_cases.tickets)
        .state(use_cases.catalogue)
        .state(use_cases.stage)
        .state(Arc::new(lightning::SetupDesk(use_cases.desk)))
}

/// The routes alone, as the documentation needs them.
pub(super) fn table() -> RouteTable {
    RouteTable::new()
        .post("/api/v1/auth/register", accounts::register)
        .post("/api/v1/auth/login", accounts::login)
        .post("/api/v1/auth/refresh", accounts::refresh)
        .post("/api/v1/auth/logout", accounts::logout)
        .put("/api/v1/auth/password", accounts::change_password)
        .get("/api/v1/auth/me", accounts::me)
        .get("/api/v1/operations", operations::list)
        .get("/api/v1/operations/{id}", operations::get)
        .get("/api/v1/operations/by-name/{name}", operations::get_by_name)
        .post("/api/v1/tickets", tickets::open)
        .get("/api/v1/tickets", tickets::list)
        .get("/api/v1/tickets/{id}", tickets::get)
        .get("/api/v1/tickets/{id}/events", live::follow)
        .post("/api/v1/tickets/{id}/confirm-payment", tickets::confirm_payment)
        .post("/api/v1/tickets/{id}/invoice", tickets::fresh_invoice)
        .post("/api/v1/tickets/{id}/cancel", tickets::cancel)
        .post("/api/v1/tickets/{id}/payment-proof", tickets::payment_proof)
        .post("/api/v1/lightning/setup", lightning::begin)
        .get("/api/v1/lightning/setup", lightning::get)
        .delete("/api/v1/lightning/setup", lightning::remove)
        .post("/api/v1/lightning/setup/retry", lightning::retry)
        .get("/api/v1/lightning/setup/log", lightning::log)
}
