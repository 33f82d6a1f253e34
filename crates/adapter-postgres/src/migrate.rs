//! Migrations: compiled in, applied by the owner, one migrator at a time.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Text};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use guiche_kernel::{BoxError, StoreError};
use secrecy::SecretString;

use crate::MigrateError;
use crate::connect::Connector;
use crate::error::{ConnectError, store_error};
use crate::pool::Lease;

pub(crate) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// Whoever holds this advisory lock migrates.
const ONE_MIGRATOR: &str = "SELECT pg_advisory_lock(7205759403792793)";

/// Closes the schema to everybody but the owner. It belongs to whoever owns the database, by an implicit membership that
/// NOINHERIT keeps from working by itself before PostgreSQL 16: there the owner steps into that role for a moment.
const PREPARE: &str = "
    DO $$
    BEGIN
        IF NOT has_schema_privilege(current_user, 'public', 'CREATE WITH GRANT OPTION') THEN
            SET LOCAL ROLE pg_database_owner;
            GRANT ALL ON SCHEMA public TO guiche_owner WITH GRANT OPTION;
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
        END IF;
    END
    $$;
";

/// Servers look here whether they fit the schema.
const PUBLISH: &str = "GRANT SELECT ON __diesel_schema_migrations TO guiche_app, guiche_worker";

/// Applies every migration that is missing, each in a transaction of its own, and returns their names. Any number of
/// processes may do this at once: one migrates, the others wait and find nothing to do.
///
/// `owner_url` is a login as `guiche_owner`; a superuser is refused. May be called on any runtime.
///
/// # Errors
/// [`MigrateError`]. The migrations before the one that failed stay applied.
pub async fn migrate(owner_url: SecretString) -> Result<Vec<String>, MigrateError> {
    on_a_runtime_of_its_own(owner_url, |harness| {
        let applied = harness.run_pending_migrations(MIGRATIONS)?;
        Ok(applied.iter().map(ToString::to_string).collect())
    })
    .await
}

/// Takes every migration back, and returns their names; for tests of the way down.
///
/// # Errors
/// As [`migrate`].
#[cfg(feature = "testing")]
pub async fn revert_all(owner_url: SecretString) -> Result<Vec<String>, MigrateError> {
    on_a_runtime_of_its_own(owner_url, |harness| {
        let reverted = harness.revert_all_migrations(MIGRATIONS)?;
        Ok(reverted.iter().map(ToString::to_string).collect())
    })
    .await
}

type Harness = AsyncMigrationHarness<AsyncPgConnection>;

/// The harness blocks its thread and needs a runtime with several: whatever the caller runs on, it gets one for itself.
async fn on_a_runtime_of_its_own<W>(owner_url: SecretString, work: W) -> Result<Vec<String>, MigrateError>
where
    W: FnOnce(&mut Harness) -> Result<Vec<String>, BoxError> + Send + 'static,
{
    let task = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|refusal| MigrateError::Step(refusal.into()))?;
        let mut harness = AsyncMigrationHarness::new(runtime.block_on(prepared(&owner_url))?);
        let _entered = runtime.enter();
        let names = work(&mut harness).map_err(MigrateError::Step)?;
        runtime.block_on(async {
            let mut connection = harness.into_inner();
            connection.batch_execute(PUBLISH).await.map_err(store_error)
        })?;
        Ok(names)
    });
    task.await.map_err(|refusal| MigrateError::Step(refusal.into()))?
}

#[derive(QueryableByName)]
struct Login {
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Bool)]
    privileged: bool,
    #[diesel(sql_type = Array<Text>)]
    missing: Vec<String>,
}

/// A connection of the owner, alone, in a schema that is closed to everybody else.
async fn prepared(owner_url: &SecretString) -> Result<AsyncPgConnection, MigrateError> {
    let connector = Connector::migrating(owner_url)?;
    let unreachable = |refusal: ConnectionError| ConnectError::Store(StoreError::Unavailable(refusal.into()));
    let mut connection = connector.connect().await.map_err(unreachable)?;
    let login: Login = diesel::sql_query(
        "SELECT r.rolname::text AS role, r.rolsuper OR r.rolbypassrls AS privileged,
            ARRAY(
                SELECT w FROM unnest(ARRAY['guiche_owner', 'guiche_app', 'guiche_worker', 'guiche_auth']) w
                WHERE NOT EXISTS (SELECT FROM pg_roles p WHERE p.rolname = w)
            ) AS missing
        FROM pg_roles r WHERE r.rolname = current_user",
    )
    .get_result(&mut connection)
    .await
    .map_err(store_error)?;
    if login.privileged {
        return Err(MigrateError::Privileged(login.role));
    }
    if let Some(role) = login.missing.into_iter().next() {
        return Err(MigrateError::RoleMissing(role));
    }
    for step in [ONE_MIGRATOR, PREPARE] {
        connection.batch_execute(step).await.map_err(store_error)?;
    }
    Ok(connection)
}

/// The names of the migrations that this program needs and the database does not have.
pub(crate) async fn pending(lease: &mut Lease) -> Result<Vec<String>, StoreError> {
    use diesel::migration::MigrationSource;

    #[derive(QueryableByName)]
    struct Version {
        #[diesel(sql_type = Text)]
        version: String,
    }
    #[derive(QueryableByName)]
    struct Exists {
        #[diesel(sql_type = Bool)]
        exists: bool,
    }
    let table = "SELECT to_regclass('public.__diesel_schema_migrations') IS NOT NULL AS exists";
    let begun = lease.rows(diesel::sql_query(table)).await?.pop().is_some_and(|row: Exists| row.exists);
    let applied: Vec<Version> = if begun {
        lease
            .rows(diesel::sql_query("SELECT version::text AS version FROM public.__diesel_schema_migrations"))
            .await?
    } else {
        Vec::new()
    };
    let needed = MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(StoreError::Corrupt)?;
    let is_applied = |name: &str| applied.iter().any(|row| row.version == name);
    Ok(needed
        .iter()
        .filter(|migration| !is_applied(&migration.name().version().to_string()))
        .map(|migration| migration.name().to_string())
        .collect())
}
