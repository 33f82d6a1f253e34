//! The transaction as an object.

use async_trait::async_trait;
use guiche_kernel::{Actor, StoreError, Tx};
use guiche_tickets::{ClaimRepository, Outbox, TicketRepository, TicketTx};

use crate::pool::{Lease, PgPool};

/// An open transaction. Dropped without an end, its connection is closed: the server undoes everything and gives the row
/// locks back at once, and nobody inherits the identity.
pub(crate) struct PgTx {
    pub(crate) lease: Lease,
}

impl PgTx {
    /// Opens a transaction on behalf of the actor, with the identity set and checked, in one round trip.
    pub(crate) async fn begin(app: &PgPool, worker: &PgPool, actor: Actor) -> Result<Self, StoreError> {
        let (pool, batch) = match actor {
            Actor::User(caller) => {
                // A batch has no parameters. The text of a UUID and of an integer can be nothing but that; nothing else
                // is ever put into a statement's text.
                let (user, epoch) = (caller.user_id.as_uuid().hyphenated(), caller.epoch.get());
                (app, format!("BEGIN; SELECT become('{user}', {epoch})"))
            }
            Actor::Worker => (worker, "BEGIN".to_owned()),
        };
        let mut lease = pool.lease().await?;
        lease.begin(&batch).await?;
        Ok(Self { lease })
    }
}

#[async_trait]
impl Tx for PgTx {
    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.lease.commit().await
    }

    async fn rollback(mut self: Box<Self>) -> Result<(), StoreError> {
        self.lease.rollback().await
    }
}

impl TicketTx for PgTx {
    fn tickets(&mut self) -> &mut dyn TicketRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
    fn claims(&mut self) -> &mut dyn ClaimRepository {
        self
    }
}
