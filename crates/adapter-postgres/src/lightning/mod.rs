//! Lightning setups: their journal, their audit trail, and the addresses as strangers see them.
//!
//! What a person asks for runs as the login that serves, in functions that name the person; it reads their rows and writes
//! none by itself. What the runner, a store's message or the operator does runs as the worker.

mod book;
mod calls;
mod rows;
mod setups;
mod trail;

use crate::pool::PgPool;

/// Setups, addresses and the audit trail on PostgreSQL.
#[derive(Clone)]
pub(crate) struct PgLightning {
    app: PgPool,
    worker: PgPool,
}

impl PgLightning {
    pub(crate) const fn new(app: PgPool, worker: PgPool) -> Self {
        Self { app, worker }
    }
}
