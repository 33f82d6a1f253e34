//! A database of its own on the tests' PostgreSQL, for tests that are no futures.

use guiche_adapter_postgres::testing::TestDatabase;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use crate::world::World;

/// A database with the whole schema.
pub(crate) struct Database {
    runtime: Runtime,
    pub(crate) inner: TestDatabase,
}

impl Database {
    pub(crate) fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let inner = runtime.block_on(TestDatabase::new());
        Self { runtime, inner }
    }

    /// Runs SQL as the cluster's superuser.
    pub(crate) fn sql(&self, sql: &str) {
        self.runtime.block_on(async { self.superuser().await.batch_execute(sql).await.unwrap() });
    }

    /// The one number that the query returns.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.runtime.block_on(async { self.superuser().await.query_one(sql, &[]).await.unwrap().get(0) })
    }

    /// Two texts of each row.
    pub(crate) fn rows(&self, sql: &str) -> Vec<(String, String)> {
        let rows = self.runtime.block_on(async { self.superuser().await.query(sql, &[]).await.unwrap() });
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    async fn superuser(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.inner.superuser_url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

/// A world whose servers and commands use that database.
pub(crate) fn world_on(database: &Database) -> World {
    let mut world = World::new();
    world.set("DATABASE_URL", &database.inner.app_url());
    world.set("DATABASE_WORKER_URL", &database.inner.worker_url());
    world.set("DATABASE_OWNER_URL", &database.inner.owner_url());
    world
}
