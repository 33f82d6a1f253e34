//! Everything that the application needs of the database, made in one place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Timestamptz};
use guiche_kernel::{SealedColumn, StoreError, Timestamp};
use guiche_lightning_setup::{AddressBook, AuditTrail, SetupStore};
use guiche_tickets::{OperationCatalogue, TicketStore};
use guiche_users::UserStore;
use guiche_webhooks::{DeliveryStore, EndpointStore};

use crate::connect::Connector;
use crate::lightning::PgLightning;
use crate::operations::PgCatalogue;
use crate::pool::PgPool;
use crate::query::{PRUNED_AT_ONCE, in_batches, sql_call};
use crate::roles::{self, Purpose};
use crate::tickets::{PgTicketStore, TicketsTogether};
use crate::users::PgUserStore;
use crate::webhooks::PgWebhooks;
use crate::{ConnectError, PgOptions, RoleError, migrate, sealed};

sql_call! {
    struct PruneSessions = "prune_sessions" {
        before: Timestamp => Timestamptz,
        limit: i64 => BigInt,
    } -> (BigInt,)
}

/// The stores on one database. Clones share the pools.
#[derive(Clone)]
pub struct PgStores {
    app: PgPool,
    worker: PgPool,
    together: TicketsTogether,
    catalogue: PgCatalogue,
    up_to_date: Arc<AtomicBool>,
}

impl PgStores {
    /// Makes the pools, and one connection of each login, so that a mistake in a URL is noticed at once.
    ///
    /// The runtime on which this is called drives every connection, whoever uses it, and MUST outlive the stores.
    ///
    /// Before serving, [`check_role`](Self::check_role) MUST have said yes.
    ///
    /// # Errors
    /// [`ConnectError`], one clear line.
    pub async fn connect(options: PgOptions) -> Result<Self, ConnectError> {
        let stores = Self::lazy(&options)?;
        for pool in [&stores.app, &stores.worker] {
            ping(pool).await.map_err(ConnectError::Store)?;
        }
        Ok(stores)
    }

    /// As [`connect`](Self::connect), but connects when first needed: for a server that may start before its database.
    ///
    /// # Errors
    /// [`ConnectError`] when the options make no sense, or there is no runtime to drive the connections.
    pub fn lazy(options: &PgOptions) -> Result<Self, ConnectError> {
        let app = PgPool::try_new(&options.app_url, options.app_connections, options)?;
        let worker = PgPool::try_new(&options.worker_url, options.worker_connections, options)?;
        let catalogue = PgCatalogue::new(app.clone());
        let together = TicketsTogether::new(&app);
        Ok(Self { app, worker, together, catalogue, up_to_date: Arc::default() })
    }

    /// Tickets, invoices, events and claims.
    #[must_use]
    pub fn tickets(&self) -> Arc<dyn TicketStore> {
        Arc::new(PgTicketStore::new(self.app.clone(), self.worker.clone(), self.together.clone()))
    }

    /// What can be bought.
    #[must_use]
    pub fn operations(&self) -> Arc<dyn OperationCatalogue> {
        Arc::new(self.catalogue.clone())
    }

    /// Accounts and sessions.
    #[must_use]
    pub fn users(&self) -> Arc<dyn UserStore> {
        Arc::new(PgUserStore::new(self.app.clone()))
    }

    /// Who is told of events.
    #[must_use]
    pub fn endpoints(&self) -> Arc<dyn EndpointStore> {
        Arc::new(PgWebhooks::new(self.worker.clone()))
    }

    /// How far each event is on its way.
    #[must_use]
    pub fn deliveries(&self) -> Arc<dyn DeliveryStore> {
        Arc::new(PgWebhooks::new(self.worker.clone()))
    }

    /// Setups of Lightning addresses.
    #[must_use]
    pub fn setups(&self) -> Arc<dyn SetupStore> {
        Arc::new(self.lightning())
    }

    /// Lightning addresses as strangers see them, and their invoices.
    #[must_use]
    pub fn address_book(&self) -> Arc<dyn AddressBook> {
        Arc::new(self.lightning())
    }

    /// The audit trail of the setups, as a whole.
    #[must_use]
    pub fn audit_trail(&self) -> Arc<dyn AuditTrail> {
        Arc::new(self.lightning())
    }

    fn lightning(&self) -> PgLightning {
        PgLightning::new(self.app.clone(), self.worker.clone())
    }

    /// Every column that holds sealed values, for the rotation of their keys.
    #[must_use]
    pub fn sealed_columns(&self) -> Vec<Arc<dyn SealedColumn>> {
        sealed::columns(&self.worker)
    }

    /// Refuses logins that row-level security does not bind: a superuser, `BYPASSRLS`, the owner, a member of one of these or
    /// of the office's other roles, an app login that is let through to every citizen's rows.
    ///
    /// # Errors
    /// [`RoleError`], one clear line: the server must not start.
    pub async fn check_role(&self) -> Result<(), RoleError> {
        roles::check(&self.app, Purpose::App).await?;
        roles::check(&self.worker, Purpose::Worker).await
    }

    /// The names of the migrations that this program needs and the database does not have; empty when it can serve. Once it
    /// was empty, asking again costs nothing.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be asked.
    pub async fn migrations_pending(&self) -> Result<Vec<String>, StoreError> {
        if self.up_to_date.load(Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let pending = migrate::pending(&mut self.app.lease().await?).await?;
        self.up_to_date.store(pending.is_empty(), Ordering::Relaxed);
        Ok(pending)
    }

    /// One round trip as the app: whether the database answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        ping(&self.app).await
    }

    /// For workers: forgets sessions that ended before the given moment, with their tokens; returns how many.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not do it.
    pub async fn prune_sessions(&self, before: Timestamp) -> Result<u64, StoreError> {
        in_batches(|| self.worker.rows(PruneSessions { before, limit: PRUNED_AT_ONCE })).await
    }

    /// What makes the connection that hears what has changed.
    pub(crate) const fn listener(&self) -> &Connector {
        self.worker.connector()
    }

    /// The pools, of the app and of the workers.
    pub(crate) const fn pools(&self) -> (&PgPool, &PgPool) {
        (&self.app, &self.worker)
    }

    /// Closes both pools; calls under way finish, new ones are [`StoreError::Unavailable`].
    pub fn close(&self) {
        self.app.close();
        self.worker.close();
    }
}

impl std::fmt::Debug for PgStores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgStores")
            .field("app", &self.app.user())
            .field("worker", &self.worker.user())
            .finish()
    }
}

async fn ping(pool: &PgPool) -> Result<(), StoreError> {
    pool.rows::<_, i32>(diesel::select(1.into_sql::<Integer>())).await.map(drop)
}
