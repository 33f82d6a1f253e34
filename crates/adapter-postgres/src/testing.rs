//! A database of its own for every test.
//!
//! The server is the one of `TEST_DATABASE_URL` (a superuser's URL), else a throwaway server in memory that all test
//! processes of this user share; where there are no server binaries, `GUICHE_EMBEDDED_INSTALL` and
//! `GUICHE_POSTGRES_ARCHIVE` say what is done about it, as for the service. The schema is migrated once into a template, which is named after the hash of
//! the migrations; every test gets a copy of it, with the same non-superuser owner as in production.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use guiche_adapter_embedded_postgres::{Acquire, EmbeddedPostgres, Options};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

pub use crate::migrate::revert_all;
use crate::{PgOptions, PgStores, ROLES_SQL, migrate};

/// A database that nobody else uses; dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    server: &'static Server,
}

/// Serialises the making of templates and the copying from them.
const TEMPLATE_LOCK: &str = "SELECT pg_advisory_lock(7205759403792795)";

impl TestDatabase {
    /// A fresh database with the whole schema. Works on any runtime, in any number of threads and processes at once.
    ///
    /// # Panics
    /// When there is no server and none can be started: a test cannot go on without.
    pub async fn new() -> Self {
        Self::make(Some(concat!("tpl_", env!("GUICHE_SCHEMA_HASH")))).await
    }

    /// A fresh database without any schema, for tests of the migrations themselves.
    ///
    /// # Panics
    /// As [`TestDatabase::new`].
    pub async fn empty() -> Self {
        Self::make(None).await
    }

    /// Stores on this database, with few connections and short timeouts.
    ///
    /// # Panics
    /// When the database does not answer.
    pub async fn stores(&self) -> PgStores {
        PgStores::connect(self.options())
            .await
            .unwrap_or_else(|refusal| fail("connect to a test database", &refusal))
    }

    /// What [`TestDatabase::stores`] connects with.
    #[must_use]
    pub fn options(&self) -> PgOptions {
        let mut options = PgOptions::new(self.app_url(), self.worker_url());
        options.app_connections = 8;
        options.application_name.clone_from(&self.name);
        options
    }

    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A URL for the login that serves.
    #[must_use]
    pub fn app_url(&self) -> String {
        self.url("guiche_app")
    }

    /// A URL for the login of the workers.
    #[must_use]
    pub fn worker_url(&self) -> String {
        self.url("guiche_worker")
    }

    /// A URL for the owner of the tables.
    #[must_use]
    pub fn owner_url(&self) -> String {
        self.url("guiche_owner")
    }

    /// A URL for the cluster's superuser.
    #[must_use]
    pub fn superuser_url(&self) -> String {
        self.server.url(None, &self.name)
    }

    /// A URL for any role that can sign in.
    #[must_use]
    pub fn url(&self, role: &str) -> String {
        self.server.url(Some(role), &self.name)
    }

    /// A bare connection for SQL that the stores have no words for. The session ends with the returned client.
    ///
    /// # Panics
    /// When the URL is refused.
    pub async fn raw(&self, url: &str) -> Client {
        connect(url).await
    }

    async fn make(template: Option<&'static str>) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("t_{}_{}_{}", moment(), std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let database = name.clone();
        let task = runtime().spawn(async move {
            static SERVER: OnceCell<Server> = OnceCell::const_new();
            let start = async || {
                let server = Server::start().await;
                server.sweep().await;
                server
            };
            let server = SERVER.get_or_init(start).await;
            server.copy(template, &database).await;
            server
        });
        match task.await {
            Ok(server) => Self { name, server },
            Err(refusal) => fail("make a test database", &refusal),
        }
    }
}

impl Drop for TestDatabase {
    /// On a thread of its own, so that no runtime is blocked from within; waited for, because the process may end next.
    fn drop(&mut self) {
        let (server, name) = (self.server, self.name.clone());
        let dropping = std::thread::spawn(move || {
            runtime().block_on(async {
                let admin = connect(&server.url(None, "postgres")).await;
                let gone = admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
                if let Err(refusal) = gone {
                    tracing::warn!(reason = %refusal, "a test database stays behind");
                }
            });
        });
        // A test that fails must be able to unwind through here.
        let _ = dropping.join();
    }
}

/// Where test databases are made.
#[derive(Debug)]
enum Server {
    Given(String),
    Shared(EmbeddedPostgres),
}

impl Server {
    async fn start() -> Self {
        match std::env::var("TEST_DATABASE_URL") {
            Ok(url) if !url.is_empty() => Self::Given(url),
            Ok(_) | Err(_) => {
                let acquire = Acquire::from_environment();
                let acquire = acquire.unwrap_or_else(|lines| fail("read the environment", &lines));
                let options = Options { acquire, ..Options::throwaway(Options::throwaway_directory("test")) };
                let shared = EmbeddedPostgres::start(options).await;
                Self::Shared(
                    shared.unwrap_or_else(|refusal| fail("start a PostgreSQL server for tests", &refusal)),
                )
            }
        }
    }

    /// `None` is the superuser.
    fn url(&self, role: Option<&str>, database: &str) -> String {
        match (self, role) {
            (Self::Shared(server), Some(role)) => server.url(role, database),
            (Self::Shared(server), None) => server.superuser_url(database),
            (Self::Given(superuser), role) => replaced(superuser, role, database),
        }
    }

    /// Drops what killed test processes left behind more than an hour ago, and templates of schemas long gone.
    async fn sweep(&self) {
        const OLD: &str = "
            SELECT datname::text, datistemplate FROM pg_database
            WHERE datname ~ '^t_[0-9]+_' AND split_part(datname, '_', 2)::numeric < $1::text::numeric
            UNION ALL
            (SELECT datname::text, datistemplate FROM pg_database WHERE datname ~ '^tpl_[0-9a-f]+$' ORDER BY oid DESC OFFSET 6)";
        let admin = connect(&self.url(None, "postgres")).await;
        execute(&admin, TEMPLATE_LOCK).await;
        let before = moment().saturating_sub(3_600_000_000).to_string();
        for row in admin.query(OLD, &[&before]).await.unwrap_or_default() {
            let (name, is_template): (String, bool) = (row.get(0), row.get(1));
            let unmark = if is_template {
                format!("ALTER DATABASE {name} IS_TEMPLATE false; ")
            } else {
                String::new()
            };
            for step in [unmark, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")] {
                // Somebody else may have been faster.
                let _ = admin.batch_execute(&step).await;
            }
        }
    }

    /// Creates the database, as a copy of the template where one is asked for.
    async fn copy(&self, template: Option<&str>, name: &str) {
        let admin = connect(&self.url(None, "postgres")).await;
        execute(&admin, TEMPLATE_LOCK).await;
        let source = match template {
            Some(template) => {
                self.ensure_template(&admin, template).await;
                format!("TEMPLATE {template} STRATEGY file_copy")
            }
            None => {
                execute(&admin, ROLES_SQL).await;
                String::new()
            }
        };
        execute(&admin, &format!("CREATE DATABASE {name} OWNER guiche_owner {source}")).await;
        if template.is_some() {
            // What a migration says about the database as such does not travel with the copy.
            let privileges = format!(
                "REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO guiche_app, guiche_worker"
            );
            execute(&admin, &privileges).await;
        }
    }

    /// Built under another name and renamed when whole: a half-made template is never copied.
    async fn ensure_template(&self, admin: &Client, template: &str) {
        let known = "SELECT count(*) FROM pg_database WHERE datname = $1";
        let found: i64 = match admin.query_one(known, &[&template]).await {
            Ok(row) => row.get(0),
            Err(refusal) => fail("look for the template", &refusal),
        };
        if found > 0 {
            return;
        }
        let draft = format!("{template}_draft");
        execute(admin, ROLES_SQL).await;
        execute(admin, &format!("DROP DATABASE IF EXISTS {draft} WITH (FORCE)")).await;
        execute(admin, &format!("CREATE DATABASE {draft} OWNER guiche_owner")).await;
        if let Err(refusal) = migrate(self.url(Some("guiche_owner"), &draft).into()).await {
            fail("migrate the template", &refusal);
        }
        execute(admin, &format!("ALTER DATABASE {draft} ALLOW_CONNECTIONS false")).await;
        execute(admin, &format!("ALTER DATABASE {draft} RENAME TO {template}")).await;
        execute(admin, &format!("ALTER DATABASE {template} IS_TEMPLATE true")).await;
    }
}

/// The superuser's URL with another database, and without its password for another role.
fn replaced(superuser: &str, role: Option<&str>, database: &str) -> String {
    let Ok(mut url) = url::Url::parse(superuser) else { fail("read TEST_DATABASE_URL", &"it is no URL") };
    url.set_path(&format!("/{database}"));
    if let Some(role) = role {
        let pairs: Vec<(String, String)> =
            url.query_pairs().filter(|(name, _)| name != "user").map(|(k, v)| (k.into(), v.into())).collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
        if url.set_username(role).is_err() {
            url.query_pairs_mut().append_pair("user", role);
        }
        if let Ok(password) = std::env::var("TEST_DATABASE_ROLE_PASSWORD") {
            let _ = url.set_password(Some(&password));
        }
    }
    url.into()
}

/// Makes names differ from those of an earlier process with our number.
#[expect(clippy::disallowed_methods, reason = "a name for a test database, not a time of the domain")]
fn moment() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros())
}

/// Administration has a runtime of its own, so that it works from whatever runtime a test has.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.unwrap_or_else(|refusal| fail("make a runtime", &refusal))
    })
}

async fn connect(url: &str) -> Client {
    match tokio_postgres::connect(url, NoTls).await {
        Ok((client, connection)) => {
            tokio::spawn(async move {
                // Ends with the client, or by force with its database.
                let _ = connection.await;
            });
            client
        }
        Err(refusal) => fail("connect", &refusal),
    }
}

async fn execute(client: &Client, sql: &str) {
    if let Err(refusal) = client.batch_execute(sql).await {
        fail("prepare a test database", &refusal);
    }
}

#[expect(clippy::panic, reason = "test code: nothing sensible can follow")]
fn fail(what: &str, refusal: &dyn std::fmt::Debug) -> ! {
    panic!("cannot {what}: {refusal:?}")
}
