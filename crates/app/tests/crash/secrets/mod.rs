//! Canaries: everything that this office does, at the chattiest level, and nothing of what is secret in any log, metric,
//! problem document or dump of the database, in whatever spelling; nor in what commands print, but for the one line in which
//! a new secret is shown.

mod addresses;
mod canaries;
mod citizens;
mod commands;
mod dump;
mod gateway;
mod receivers;

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::books::Books;
use crate::cluster::Cluster;
use crate::office::{Call, Office, Refusals};
use crate::process::{App, START, World};
use crate::support::any;
use addresses::Hosts;
use canaries::{Canaries, Place};
use citizens::Wallet;
use gateway::Gateway;
use receivers::Receivers;

const JWT_SECRET: &str = "canary-of-the-jwt-key-Zq7Lm2Xv9Rt4Kp8W";

/// 32 bytes in base64 that must be found neither so nor as bytes.
fn in_base64(canaries: &mut Canaries, name: &str) -> String {
    let bytes: Vec<u8> = (0..4).flat_map(|_| any().to_be_bytes()).collect();
    let text = STANDARD.encode(&bytes);
    canaries.add(&format!("{name}, as bytes"), bytes);
    canaries.add(name, &text);
    text
}

fn chatty(world: &mut World, canaries: &mut Canaries) {
    world.set("RUST_LOG", "trace,tokio_postgres=trace,hyper=trace,reqwest=trace,actix_http=trace");
    world.set("JWT_SECRET_KEY", JWT_SECRET);
    canaries.add("the key of the tokens", JWT_SECRET);
}

/// An office on a server with passwords, and what was said so far outside of logs.
struct Scene {
    cluster: Cluster,
    world: World,
    canaries: Canaries,
    refusals: Refusals,
    metrics: String,
    /// What a command printed with a secret in it, and that without it.
    shown: Vec<(String, String)>,
}

impl Scene {
    async fn new() -> Self {
        let mut canaries = Canaries::default();
        let cluster = Cluster::new().await;
        canaries.add("the password of the database", &cluster.password);
        let mut world = cluster.world();
        chatty(&mut world, &mut canaries);
        world.set("WEBHOOKS_ALLOW_PRIVATE", "127.0.0.0/8");
        Self {
            cluster,
            world,
            canaries,
            refusals: Refusals::default(),
            metrics: String::new(),
            shown: Vec::new(),
        }
    }

    fn office(&self, app: &App) -> Office {
        app.office().recording(&self.refusals)
    }

    /// Runs a command that shows a secret of webhooks, once; returns what it printed.
    async fn shows_a_secret(&mut self, arguments: &[&str]) -> String {
        let ended = self.world.run(arguments).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let secret = ended.stdout.split_whitespace().find_map(|word| word.strip_prefix("whsec_")).unwrap();
        let without = ended.stdout.replacen(secret, "", 1);
        self.canaries.add("the secret of an endpoint", secret);
        self.canaries.add("the secret of an endpoint, as bytes", STANDARD.decode(secret).unwrap());
        self.shown.push((ended.stdout.clone(), without));
        ended.stdout
    }

    /// A statement that fails is quoted in the server's log, which must not tell its values.
    async fn fail_statements(&mut self, office: &Office) {
        let books = self.cluster.books().await;
        let citizen = office.register("ana").await;
        citizens::remember(&mut self.canaries, &citizen);
        books.run("BEGIN; LOCK TABLE tickets, users IN ACCESS EXCLUSIVE MODE").await;
        let opening = office.tell(citizens::open(&citizen, "111.444.777-35", None)).await;
        assert!(opening.is_problem(503, "database_unavailable"), "{opening:?}");
        self.canaries.add("the CPF of a failed statement", "111.444.777-35");
        let account = json!({"email": "late@example.org", "password": "canary-of-a-late-password"});
        self.canaries.add("the password of a failed registration", "canary-of-a-late-password");
        office.tell(Call::post("/api/v1/auth/register").json(account)).await.expect(503);
        books.run("COMMIT").await;
    }

    /// Stops the server, after a look at its metrics.
    async fn stop(&mut self, app: App) {
        self.metrics += &Office::at(&app.metrics).tell(Call::get("/metrics")).await.expect(200).body;
        app.signal("TERM");
        let ended = app.ended(START).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }

    /// Looks through the database.
    async fn look_into_the_database(&mut self) {
        let books = self.cluster.books().await;
        look_into(&mut self.canaries, &books).await;
    }

    /// Looks through everything that was ever said, and fails with all that was found.
    fn look_everywhere(mut self) {
        let said = self.world.said();
        let log = self.cluster.log();
        assert!(said.contains("\"TRACE\"") && log.contains("lock timeout"), "the logs are not chatty");
        look_through(&mut self.canaries, self.world.sayings(), &self.shown);
        let refused = self.refusals.text();
        assert!(refused.contains("invoice_creation_failed") && self.metrics.contains("provider_"));
        assert!(self.metrics.contains("lightning_setup_rollbacks_total"), "no setup was undone");
        for (named, text) in
            [("PostgreSQL's log", &log), ("a refusal", &refused), ("the metrics", &self.metrics)]
        {
            self.canaries.look(Place::Open, named, text);
        }
        let count = self.canaries.count();
        println!("{count} canaries, {} bytes looked through", self.canaries.looked_at());
        self.canaries.assert_unfound();
        self.canaries.assert_findable_in(&refused);
    }
}

/// Looks through what processes printed; what was shown by right is taken out, once.
fn look_through(canaries: &mut Canaries, sayings: Vec<(String, String)>, shown: &[(String, String)]) {
    for (name, mut text) in sayings {
        let place = if name.contains("-serve.") { Place::Open } else { Place::Command };
        if let Some((_, without)) = shown.iter().find(|(with, _)| *with == text) {
            without.clone_into(&mut text);
        }
        canaries.look(place, &name, &text);
    }
}

/// Looks through the database: everything but the forms, where the canaries must be.
async fn look_into(canaries: &mut Canaries, books: &Books) {
    let tables = dump::tables(books).await;
    for table in [
        "users",
        "refresh_tokens",
        "tickets",
        "invoices",
        "outbox",
        "webhook_endpoints",
        "lightning_addresses",
        "lightning_setup_steps",
        "lightning_setup_log",
    ] {
        assert!(tables.iter().any(|known| known == table), "{table}: {tables:?}");
    }
    let dump = dump::dump(books).await;
    assert!(dump.contains("canary-") && dump.contains("lnbcrt"), "nothing was dumped");
    assert!(dump.contains("canary-name@") && dump.contains("teardown_completed"), "no address was dumped");
    assert!(dump::forms(books).await.contains("39053344705"), "the forms hold what they are for");
    canaries.look(Place::Database, "the database", &dump);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_told_on_a_server_with_passwords() {
    let mut scene = Scene::new().await;
    let gateway = Gateway::start(&mut scene.world, &mut scene.canaries).await;
    let hosts = Hosts::start(&mut scene.world, &mut scene.canaries).await;
    let old = in_base64(&mut scene.canaries, "the old key of what is sealed");
    let new = in_base64(&mut scene.canaries, "the new key of what is sealed");
    scene.world.set("SERVICE_ENCRYPTION_KEYS", &format!("old:{old}"));
    let migrated = scene.world.run(&["migrate"]).await;
    assert_eq!(migrated.code, Some(0), "{migrated:?}");

    let app = scene.world.ready().await;
    let office = scene.office(&app);
    let receivers = Receivers::start(&mut scene).await;
    let email = citizens::account(&office, &mut scene.canaries, async |canaries, citizen| {
        citizens::tickets(&office, &Wallet::Gateway(&gateway.fake), canaries, citizen).await;
        gateway.troubles(&office, citizen).await;
        gateway.pushes(&office, canaries).await;
        hosts.life(&office, canaries, citizen).await;
    })
    .await;
    hosts.commands(&scene.world).await;
    scene.canaries.look(Place::Open, "an answer about addresses", &hosts.answers.text());
    receivers.told(&mut scene, 1).await;
    commands::look(&scene, &email).await;
    scene.look_into_the_database().await;

    scene.world.set("SERVICE_ENCRYPTION_KEYS", &format!("new:{new},old:{old}"));
    scene.stop(app).await;
    let app = scene.world.ready().await;
    receivers.rotate(&mut scene).await;
    let rotated = scene.world.run(&["keys", "rotate"]).await;
    assert!(rotated.code == Some(0) && rotated.stdout.contains("sealed anew under \"new\""), "{rotated:?}");
    let office = scene.office(&app);
    scene.fail_statements(&office).await;
    commands::refusals(&mut scene).await;
    commands::look(&scene, &email).await;
    receivers.told(&mut scene, 1).await;
    scene.stop(app).await;
    scene.look_into_the_database().await;
    scene.look_everywhere();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_told_on_the_private_server() {
    let mut canaries = Canaries::default();
    let mut world = World::new();
    chatty(&mut world, &mut canaries);
    let app = world.ready().await;
    let refusals = Refusals::default();
    let office = app.office().recording(&refusals);
    let mut answers = String::new();
    citizens::account(&office, &mut canaries, async |canaries, citizen| {
        citizens::tickets(&office, &Wallet::Stub, canaries, citizen).await;
        answers = addresses::played(&office, &world, canaries, citizen).await.text();
    })
    .await;
    canaries.look(Place::Open, "an answer about addresses", &answers);
    look_into(&mut canaries, &Books::of(&world).await).await;
    app.signal("TERM");
    let ended = app.ended(START).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for secret in fs::read_dir(world.data().join("secrets")).unwrap() {
        let path = secret.unwrap().path();
        canaries.add(&format!("the generated secret {}", path.display()), fs::read(path).unwrap());
    }
    look_through(&mut canaries, world.sayings(), &[]);
    canaries.look(Place::Open, "a refusal", &refusals.text());
    // The ledger of the stub's payments names no preimage either.
    for file in [world.postgres().join("server.log"), world.data().join("spark-stub.ledger")] {
        let text = fs::read(&file).unwrap();
        canaries.look(Place::Open, &file.display().to_string(), &String::from_utf8_lossy(&text));
    }
    canaries.assert_unfound();
}
