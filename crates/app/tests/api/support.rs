//! A world for each test: database, data directory and clock. Any number of servers can be started in it, at once or
//! one after the other.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use guiche_adapter_postgres::testing::TestDatabase;
use guiche_app::config::{Config, Sources};
use guiche_app::database::Database;
use guiche_app::http::{self, RunningServer, ServerSettings};
use guiche_app::lightning::{Custodian, Fakes, Installer};
use guiche_app::shutdown::Shutdown;
use guiche_app::system::{OsRandomness, SystemClock};
use guiche_app::telling::Messenger;
use guiche_app::wiring;
use guiche_app::workers::{Office, Workers};
use guiche_kernel::testing::ManualClock;
use guiche_kernel::{Timer, Timestamp};
use guiche_webhooks::Webhooks;
use serde_json::{Value, json};

use crate::client::Answer;

/// The `kid` and the secret with which the servers of all tests sign.
pub(crate) const KEY_ID: &str = "tests-2026";
pub(crate) const KEY: &str = "v8Jq2xT5nPz7LwRk4YcBhM9sDfGa3EuX6iNo";

/// What the gateway signs its pushes with.
pub(crate) const PUSH_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const CPF: &str = "52998224725";
pub(crate) const CNH: &str = "02650306461";
pub(crate) const PRICE: u64 = 50_000;

/// What stays when a server stops.
pub(crate) struct World {
    // Before the directory: connections go first.
    pub(crate) database: TestDatabase,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    users: AtomicU32,
}

impl World {
    pub(crate) async fn new() -> Arc<Self> {
        Arc::new(Self {
            database: TestDatabase::new().await,
            directory: tempfile::tempdir().unwrap(),
            clock: Arc::default(),
            users: AtomicU32::new(0),
        })
    }

    /// A server with every limit off.
    pub(crate) async fn serve(self: &Arc<Self>) -> TestApp {
        self.serve_with(&[], Arc::new(SystemClock)).await
    }

    /// A server with variables of its own, and with the given way to wait.
    pub(crate) async fn serve_with(
        self: &Arc<Self>,
        extra: &[(&str, &str)],
        timer: Arc<dyn Timer>,
    ) -> TestApp {
        self.serve_changed(extra, timer, |_| ()).await
    }

    /// As [`serve_with`](Self::serve_with), with a configuration that no variable of a test could bring about.
    pub(crate) async fn serve_changed(
        self: &Arc<Self>,
        extra: &[(&str, &str)],
        timer: Arc<dyn Timer>,
        change: impl FnOnce(&mut Config),
    ) -> TestApp {
        // First, since stores are told where we are before the server runs.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let public_url = format!("http://{}", listener.local_addr().unwrap());
        let extra = [&[("PUBLIC_URL", public_url.as_str())][..], extra].concat();
        let mut config = Config::parse(&self.sources(&extra)).unwrap();
        change(&mut config);
        let shutdown = Shutdown::default();
        let clock = Arc::clone(&self.clock);
        let world = wiring::World { clock, timer, randomness: Arc::new(OsRandomness) };
        let wired = wiring::wire(&config, &shutdown, world).await.unwrap();
        let settings =
            ServerSettings { workers: 2, drain: Duration::from_secs(5), ..ServerSettings::default() };
        let server = http::start(listener, &wired.table, wired.surface, settings).unwrap();
        TestApp {
            world: Arc::clone(self),
            address: server.address(),
            routes: wired.table.all().map(|(method, path)| (method, path.to_owned())).collect(),
            office: wired.office,
            messenger: wired.messenger,
            installer: wired.installer,
            custodian: wired.custodian,
            fakes: wired.fakes,
            webhooks: wired.webhooks,
            client: guiche_app::web::client()
                .redirect(reqwest::redirect::Policy::none())
                // A connection left open would hold up the end of the server.
                .pool_max_idle_per_host(0)
                .build()
                .unwrap(),
            parts: Some((server, wired.workers, wired.database)),
            shutdown,
        }
    }

    fn sources(&self, extra: &[(&str, &str)]) -> Sources {
        Sources { environment: self.variables(extra), file: None }
    }

    /// The environment of a server in this world.
    pub(crate) fn variables(&self, extra: &[(&str, &str)]) -> BTreeMap<String, String> {
        let keys = format!("{KEY_ID}:{KEY}");
        let (app, worker) = (self.database.app_url(), self.database.worker_url());
        let mut variables: BTreeMap<&str, &str> = [
            ("GUICHE_DATA_DIR", self.directory.path().to_str().unwrap()),
            ("LISTEN_ADDR", "127.0.0.1:0"),
            ("METRICS_ADDR", "127.0.0.1:0"),
            ("DATABASE_URL", &app),
            ("DATABASE_WORKER_URL", &worker),
            ("JWT_SECRET_KEYS", &keys),
            ("BCRYPT_COST", "4"),
            ("WEBHOOK_SECRET_SPARK", PUSH_SECRET),
            ("RATE_LIMIT_ADDRESS", "0"),
            ("RATE_LIMIT_ACCOUNT", "0"),
            ("RATE_LIMIT_LOGIN", "0"),
            ("RATE_LIMIT_LNURL", "0"),
        ]
        .into();
        variables.extend(extra.iter().copied());
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Every table with the number of its rows and a digest of what is in them.
    pub(crate) async fn contents(&self) -> BTreeMap<String, (i64, String)> {
        let superuser = self.database.raw(&self.database.superuser_url()).await;
        let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
        let mut contents = BTreeMap::new();
        for row in superuser.query(tables, &[]).await.unwrap() {
            let table: String = row.get(0);
            let digest = format!(
                "SELECT count(*), md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) FROM \"{table}\" t"
            );
            let row = superuser.query_one(&digest, &[]).await.unwrap();
            contents.insert(table, (row.get(0), row.get(1)));
        }
        assert!(contents.contains_key("tickets"), "{contents:?}");
        contents
    }

    /// One number that SQL knows.
    pub(crate) async fn count(&self, from: &str) -> i64 {
        let superuser = self.database.raw(&self.database.superuser_url()).await;
        superuser.query_one(&format!("SELECT count(*) FROM {from}"), &[]).await.unwrap().get(0)
    }

    /// SQL as the superuser, past every trigger, for what no request can bring about.
    pub(crate) async fn execute(&self, sql: &str) {
        let superuser = self.database.raw(&self.database.superuser_url()).await;
        superuser.batch_execute("SET session_replication_role = replica").await.unwrap();
        superuser.batch_execute(sql).await.unwrap();
    }
}

/// A running server. It ends with this value, and its last request with it.
pub(crate) struct TestApp {
    pub(crate) world: Arc<World>,
    pub(crate) address: SocketAddr,
    /// Method and pattern of every route.
    pub(crate) routes: Vec<(String, String)>,
    pub(crate) client: reqwest::Client,
    office: Office,
    pub(crate) messenger: Messenger,
    pub(crate) installer: Option<Installer>,
    pub(crate) custodian: Custodian,
    pub(crate) fakes: Option<Arc<Fakes>>,
    pub(crate) webhooks: Arc<Webhooks>,
    shutdown: Shutdown,
    parts: Option<(RunningServer, Workers, Database)>,
}

impl TestApp {
    /// A server in a world of its own.
    pub(crate) async fn start() -> Self {
        World::new().await.serve().await
    }

    /// Ends the server as a process would.
    pub(crate) async fn stop(mut self) {
        Self::end(self.shutdown.clone(), self.parts.take()).await;
    }

    async fn end(shutdown: Shutdown, parts: Option<(RunningServer, Workers, Database)>) {
        let Some((server, workers, database)) = parts else { return };
        shutdown.begin();
        server.stop().await.unwrap();
        workers.stop(Duration::from_secs(5)).await;
        database.close().await.unwrap();
    }

    /// What ends first when a process is told to stop, ends now.
    pub(crate) fn begin_shutdown(&self) {
        self.shutdown.begin();
    }

    /// From now on the office works by itself.
    pub(crate) fn start_office(&mut self) {
        let (_, workers, _) = self.parts.as_mut().unwrap();
        self.office.start(workers);
    }

    /// From now on setups are worked on.
    pub(crate) fn start_installer(&mut self) {
        let (_, workers, _) = self.parts.as_mut().unwrap();
        self.installer.as_ref().unwrap().start(workers);
    }

    /// What the office does by itself every few seconds.
    pub(crate) async fn watch(&self) {
        self.office.clone().watch().await.unwrap();
    }

    pub(crate) async fn prune(&self) {
        self.office.clone().prune().await.unwrap();
    }

    /// Somebody new, signed in.
    pub(crate) async fn user(&self) -> User {
        let email = format!("user{}@example.org", self.world.users.fetch_add(1, Ordering::Relaxed));
        let registered = self.register(&email, PASSWORD).await.json(201);
        let id = registered["id"].as_str().unwrap().to_owned();
        let tokens = self.login(&email, PASSWORD).await.json(200);
        User { id, email, token: text(&tokens, "access_token"), refresh: text(&tokens, "refresh_token") }
    }

    pub(crate) async fn register(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        self.post("/api/v1/auth/register").body(&body).send().await
    }

    pub(crate) async fn login(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        self.post("/api/v1/auth/login").body(&body).send().await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        self.post("/api/v1/auth/refresh").body(&json!({ "refresh_token": token })).send().await
    }

    pub(crate) async fn me(&self, token: &str) -> Answer {
        self.get("/api/v1/auth/me").token(token).send().await
    }

    /// A ticket, as its opening was answered.
    pub(crate) async fn open(&self, user: &User) -> Value {
        self.post("/api/v1/tickets").token(&user.token).body(&order()).send().await.json(201)
    }

    /// The ticket with everything.
    pub(crate) async fn ticket(&self, user: &User, opened: &Value) -> Value {
        self.get(&path_of(opened, "")).token(&user.token).send().await.json(200)
    }

    /// A `POST` to the ticket, without a body.
    pub(crate) async fn act(&self, user: &User, opened: &Value, action: &str) -> Answer {
        self.post(&path_of(opened, &format!("/{action}"))).token(&user.token).send().await
    }

    pub(crate) async fn prove(&self, user: &User, opened: &Value, preimage: &str) -> Answer {
        let path = path_of(opened, "/payment-proof");
        self.post(&path).token(&user.token).body(&json!({ "preimage": preimage })).send().await
    }

    /// The payer's wallet pays; the answer has the proof.
    pub(crate) async fn pay(&self, opened: &Value, query: &str) -> Answer {
        let hash = opened["payment_hash"].as_str().unwrap();
        self.post(&format!("/dev/invoices/{hash}/pay{query}")).send().await
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let (shutdown, parts) = (self.shutdown.clone(), self.parts.take());
        if parts.is_some() {
            let runtime = tokio::runtime::Handle::current();
            tokio::task::block_in_place(|| runtime.block_on(Self::end(shutdown, parts)));
        }
    }
}

/// Somebody who is signed in.
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) token: String,
    pub(crate) refresh: String,
}

/// A good order.
pub(crate) fn order() -> Value {
    json!({ "operation_id": 1, "form_data": form() })
}

/// A well filled-in form.
pub(crate) fn form() -> Value {
    json!({ "cpf": CPF, "cnh_number": CNH, "cnh_mirror": "123456789" })
}

/// The path of a ticket, known by its opening or by a list.
pub(crate) fn path_of(ticket: &Value, rest: &str) -> String {
    let id = ticket.get("ticket_id").or_else(|| ticket.get("id")).and_then(Value::as_str).unwrap();
    format!("/api/v1/tickets/{id}{rest}")
}

pub(crate) fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} of {value}")).to_owned()
}

/// `2026-01-01T12:00:00Z` and so many seconds.
pub(crate) fn noon(seconds: i64) -> String {
    let start = Timestamp::from_unix_timestamp(NOON + seconds).unwrap();
    start.format(&time::format_description::well_known::Rfc3339).unwrap()
}

/// Where the clock starts.
pub(crate) const NOON: i64 = 1_767_268_800;
