//! The pools, and the lease of one connection.
//!
//! A connection goes back into its pool only in good order: outside a transaction, with no call under way. In every other
//! case (a dropped transaction, a cancelled call) it is taken out of the pool and closed, so that its locks go at once and
//! nobody inherits the identity that was set on it.
//!
//! A connection is driven by a task. That task lives on the runtime where the pool was made, and not on the one of the
//! request that happened to need the connection first: a server's threads may each have a runtime, be busy, and end one
//! by one, while the connection serves requests of the others.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{PoolConfig, QueueMode, Timeouts};
use diesel::{ConnectionError, ConnectionResult, QueryResult};
use diesel_async::methods::{ExecuteDsl, LoadQuery};
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use guiche_kernel::StoreError;
use secrecy::SecretString;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;

use crate::connect::Connector;
use crate::error::{breaks_connection, pool_error, store_error};
use crate::{ConnectError, PgOptions};

/// The connections of one login.
#[derive(Clone)]
pub(crate) struct PgPool {
    pool: Pool<AsyncPgConnection>,
    connector: Connector,
    home: Handle,
    wait_timeout: Duration,
    patience: Duration,
}

impl PgPool {
    /// A pool; nothing is connected yet. The present runtime drives its connections and MUST outlive it.
    pub(crate) fn try_new(
        url: &SecretString,
        size: usize,
        options: &PgOptions,
    ) -> Result<Self, ConnectError> {
        let connector = Connector::serving(url, options)?;
        let mut manager = ManagerConfig::default();
        // The other methods cost a round trip per checkout; a closed connection is noticed without one.
        manager.recycling_method = RecyclingMethod::Fast;
        let home = Handle::try_current().map_err(|refusal| ConnectError::Pool(refusal.into()))?;
        let (for_manager, for_driver) = (connector.clone(), home.clone());
        manager.custom_setup = Box::new(move |_| connected(for_manager.clone(), for_driver.clone()).boxed());
        // The text of the connection stays in the connector.
        let manager = AsyncDieselConnectionManager::new_with_config("", manager);
        let mut config = PoolConfig::new(size.max(1));
        // The one that was used last: what it needs lies in the processors' caches, on both sides.
        config.queue_mode = QueueMode::Lifo;
        config.timeouts = Timeouts {
            wait: Some(options.wait_timeout),
            create: Some(options.connect_timeout),
            recycle: Some(options.connect_timeout),
        };
        let pool = Pool::builder(manager)
            .config(config)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|refusal| ConnectError::Pool(refusal.into()))?;
        Ok(Self {
            pool,
            connector,
            home,
            wait_timeout: options.wait_timeout,
            patience: options.answer_timeout,
        })
    }

    /// A connection for one call or one transaction.
    pub(crate) async fn lease(&self) -> Result<Lease, StoreError> {
        let object = self.pool.get().await.map_err(pool_error)?;
        Ok(Lease {
            object: Some(object),
            connector: self.connector.clone(),
            home: self.home.clone(),
            patience: self.patience,
            at_work: false,
            in_transaction: false,
            aborted: false,
        })
    }

    /// The rows of one statement, which is a transaction by itself.
    pub(crate) fn rows<'a, Q, R>(&'a self, query: Q) -> BoxFuture<'a, Result<Vec<R>, StoreError>>
    where
        Q: LoadQuery<'a, AsyncPgConnection, R> + Send + 'a,
        R: Send + 'a,
    {
        async move { self.lease().await?.rows(query).await }.boxed()
    }

    /// How many rows one statement changed, which is a transaction by itself.
    pub(crate) fn run<'a, Q>(&'a self, query: Q) -> BoxFuture<'a, Result<usize, StoreError>>
    where
        Q: ExecuteDsl<AsyncPgConnection> + Send + 'a,
    {
        async move { self.lease().await?.run(query).await }.boxed()
    }

    /// The runtime that drives the connections, for what must not end with a request.
    pub(crate) const fn home(&self) -> &Handle {
        &self.home
    }

    /// How long a call waits for a connection that others use.
    pub(crate) const fn wait_timeout(&self) -> Duration {
        self.wait_timeout
    }

    /// What makes the connections of this login.
    pub(crate) const fn connector(&self) -> &Connector {
        &self.connector
    }

    /// The login, for error messages.
    pub(crate) fn user(&self) -> &str {
        self.connector.user()
    }

    pub(crate) fn close(&self) {
        self.pool.close();
    }
}

/// A new connection, driven by the given runtime. Given up when nobody waits for it any more.
async fn connected(connector: Connector, home: Handle) -> ConnectionResult<AsyncPgConnection> {
    let mut connecting = JoinSet::new();
    connecting.spawn_on(async move { connector.connect().await }, &home);
    match connecting.join_next().await {
        Some(Ok(outcome)) => outcome,
        Some(Err(_)) | None => Err(ConnectionError::BadConnection(
            "the runtime that drives the connections has ended".to_owned(),
        )),
    }
}

/// One connection, for as long as it is held.
pub(crate) struct Lease {
    object: Option<Object<AsyncPgConnection>>,
    connector: Connector,
    home: Handle,
    patience: Duration,
    at_work: bool,
    in_transaction: bool,
    /// A statement failed in this transaction, so nothing of it can be kept.
    aborted: bool,
}

impl Lease {
    /// Opens a transaction by the given batch, which begins with `BEGIN`.
    pub(crate) async fn begin(&mut self, batch: &str) -> Result<(), StoreError> {
        self.in_transaction = true;
        if let Err(refusal) = self.batch(batch).await {
            // The batch may have failed after its BEGIN.
            self.rollback().await?;
            return Err(refusal);
        }
        Ok(())
    }

    /// Ends the transaction and keeps what was done.
    pub(crate) async fn commit(&mut self) -> Result<(), StoreError> {
        if self.aborted {
            // The server would answer this COMMIT with a rollback, and not call it an error.
            self.rollback().await?;
            return Err(StoreError::corrupt("a commit after a statement that failed"));
        }
        self.batch("COMMIT").await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Ends the transaction and keeps nothing.
    pub(crate) async fn rollback(&mut self) -> Result<(), StoreError> {
        self.batch("ROLLBACK").await?;
        (self.in_transaction, self.aborted) = (false, false);
        Ok(())
    }

    /// The rows of one statement. (Boxed: the compiler cannot see that futures which name the query's type are `Send`.)
    pub(crate) fn rows<'a, 'q: 'a, Q, R>(&'a mut self, query: Q) -> BoxFuture<'a, Result<Vec<R>, StoreError>>
    where
        Q: LoadQuery<'q, AsyncPgConnection, R> + Send + 'q,
        R: Send + 'q,
    {
        async move {
            let patience = self.patience;
            let answer = RunQueryDsl::load::<R>(query, self.start()?);
            let outcome = tokio::time::timeout(patience, answer).await;
            self.finish(outcome)
        }
        .boxed()
    }

    /// How many rows a statement changed.
    pub(crate) fn run<'a, 'q: 'a, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<usize, StoreError>>
    where
        Q: ExecuteDsl<AsyncPgConnection> + Send + 'q,
    {
        async move {
            let patience = self.patience;
            let answer = RunQueryDsl::execute(query, self.start()?);
            let outcome = tokio::time::timeout(patience, answer).await;
            self.finish(outcome)
        }
        .boxed()
    }

    async fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        let patience = self.patience;
        let answer = self.start()?.batch_execute(sql);
        let outcome = tokio::time::timeout(patience, answer).await;
        self.finish(outcome)
    }

    fn start(&mut self) -> Result<&mut AsyncPgConnection, StoreError> {
        let object =
            self.object.as_mut().ok_or_else(|| StoreError::Unavailable("the connection was lost".into()))?;
        self.at_work = true;
        Ok(object)
    }

    /// Not reached when the call is cancelled: then `at_work` says so to `drop`.
    fn finish<T>(&mut self, outcome: Result<QueryResult<T>, Elapsed>) -> Result<T, StoreError> {
        let Ok(outcome) = outcome else {
            // The server's own timeouts are shorter. It is frozen, or out of reach without a word.
            self.abandon();
            return Err(StoreError::Unavailable("the database does not answer".into()));
        };
        self.at_work = false;
        outcome.map_err(|refusal| {
            self.aborted = self.in_transaction;
            if breaks_connection(&refusal) {
                self.discard();
            }
            store_error(refusal)
        })
    }

    fn discard(&mut self) -> Option<AsyncPgConnection> {
        self.object.take().map(Object::take)
    }

    /// Closes the connection; what the server does on it, or waits for, it is asked to end.
    fn abandon(&mut self) {
        let Some(connection) = self.discard() else { return };
        // A statement that still runs (or waits for a lock) would keep the transaction's locks until it ends.
        if self.at_work {
            let (connector, token) = (self.connector.clone(), connection.cancel_token());
            let patience = self.patience;
            // The timer, too, belongs to the pool's home: the thread that drops this may be ending.
            self.home.spawn(async move { tokio::time::timeout(patience, connector.cancel(token)).await });
        }
        drop(connection);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.at_work || self.in_transaction {
            self.abandon();
        }
    }
}
