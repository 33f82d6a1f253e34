//! Events out: endpoints, and deliveries of the events in the outbox. All of it as the worker; the login that serves
//! citizens has no right to any of it.

mod calls;
mod deliveries;
mod endpoints;
mod rows;

use crate::pool::PgPool;

/// Endpoints and deliveries on PostgreSQL.
#[derive(Clone)]
pub(crate) struct PgWebhooks {
    worker: PgPool,
}

impl PgWebhooks {
    pub(crate) const fn new(worker: PgPool) -> Self {
        Self { worker }
    }
}
