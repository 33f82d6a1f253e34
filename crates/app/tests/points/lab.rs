//! One PostgreSQL, one provider, one receiver of events, and one process of the program after another.

use std::fs;
use std::time::{Duration, Instant};

use guiche_app::fail_points::Plant;

use crate::audit::Violation;
use crate::books::Books;
use crate::cluster::Cluster;
use crate::hosts::Hosts;
use crate::office::Call;
use crate::process::{App, World};
use crate::provider::{self, Provider};
use crate::receiver::Receiver;
use crate::support::eventually;

/// Who asks for every ticket.
pub(crate) const CITIZEN: &str = "ana";
/// How long everything may take to come to rest after a start, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same where a mistake was planted that may keep it from ever coming to rest.
const PATIENCE_WITH_A_PLANT: Duration = Duration::from_secs(10);

pub(crate) struct Lab {
    pub(crate) app: App,
    pub(crate) books: Books,
    pub(crate) provider: Provider,
    pub(crate) receiver: Receiver,
    pub(crate) hosts: Hosts,
    /// How many keys were used: each must lead to one ticket.
    pub(crate) requests: usize,
    patience: Duration,
    pub(crate) world: World,
    /// Last, so that it goes when nobody uses it any more.
    _cluster: Cluster,
}

impl Lab {
    pub(crate) async fn new(plant: Option<Plant>) -> Self {
        let cluster = Cluster::new().await;
        let mut world = cluster.migrated_world().await;
        let (provider, receiver) = (Provider::start(), Receiver::start().await);
        let hosts = Hosts::start(provider::played);
        let directory = world.path().to_str().unwrap().to_owned();
        for (name, value) in [
            ("SPARK_MODE", "live"),
            ("SPARK_API_URL", &*provider.url),
            ("SPARK_API_KEY", guiche_adapter_spark::fake::DEFAULT_KEY),
            ("LIGHTNING_NETWORK", "regtest"),
            ("WEBHOOKS_ALLOW_PRIVATE", "127.0.0.0/8"),
            ("FAIL_POINTS", &*directory),
            ("FAIL_POINTS_PLANT", plant.map_or("none", Plant::as_str)),
        ] {
            world.set(name, value);
        }
        for (name, value) in hosts.settings() {
            world.set(name, &value);
        }
        let added = world.run(&["webhooks", "add", "--url", &receiver.url]).await;
        assert_eq!(added.code, Some(0), "{added:?}");
        let app = world.ready().await;
        app.office().register(CITIZEN).await;
        let books = cluster.books().await;
        let patience = PATIENCE;
        Self { app, books, provider, receiver, hosts, requests: 0, patience, world, _cluster: cluster }
    }

    /// Whether a build with fail points starts in production: the one thing that it must never do.
    pub(crate) async fn is_refused_in_production() -> bool {
        let mut world = World::new();
        for (name, value) in [
            ("GUICHE_ENV", "production"),
            ("JWT_SECRET_KEY", "kJ8s7hQ2mZp4Xv9tRb3nLw6yCf1gDa5e"),
            ("BCRYPT_COST", "12"),
            ("SPARK_MODE", "live"),
            ("SPARK_API_URL", "https://spark.example.org"),
            ("SPARK_API_KEY", "a-key"),
            ("LIGHTNING_NETWORK", "regtest"),
        ] {
            world.set(name, value);
        }
        let ended = world.run(&["check-config"]).await;
        let is_refused = ended.code == Some(2) && ended.stderr.contains("this build has fail points");
        if !is_refused {
            println!("FAILED: a build with fail points is not refused in production: {ended:?}");
        }
        is_refused
    }

    /// For a lab in which something may never come to rest.
    pub(crate) fn be_impatient(&mut self) {
        self.patience = PATIENCE_WITH_A_PLANT;
    }

    /// How long everything may take to come to rest.
    pub(crate) const fn patience(&self) -> Duration {
        self.patience
    }

    pub(crate) fn is_impatient(&self) -> bool {
        self.patience < PATIENCE
    }

    /// Has the process stop at the nth passing of the point from now on.
    pub(crate) fn arm(&self, point: &str, nth: u64, round: usize) {
        // Whole at once, for whoever reads it at this moment.
        let draft = self.world.path().join("armed.new");
        fs::write(&draft, format!("{point} {nth} round-{round}")).unwrap();
        fs::rename(draft, self.world.path().join("armed")).unwrap();
    }

    pub(crate) fn disarm(&self) {
        fs::remove_file(self.world.path().join("armed")).unwrap();
    }

    /// Whether the point that was armed for this round was reached.
    pub(crate) fn is_hit(&self, round: usize) -> bool {
        let hit = fs::read_to_string(self.world.path().join("hit"));
        hit.is_ok_and(|hit| hit == format!("round-{round}"))
    }

    /// Starts a process; that it serves, whatever was killed before it, is the first promise.
    pub(crate) async fn start(&self) -> Result<App, Violation> {
        let app = self.world.serve().await;
        let office = app.office();
        let begun = Instant::now();
        loop {
            let answer = office.ask(Call::get("/readyz")).await;
            if answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                return Ok(app);
            }
            if begun.elapsed() > self.patience {
                let log = app.log();
                return Err(Violation(format!("it is not ready after its start: {answer:?}\n{log}")));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Returns when PostgreSQL has noticed that the killed process is gone, and has undone what it left half done.
    pub(crate) async fn sessions_end(&self) {
        let sessions =
            "SELECT count(*) FROM pg_stat_activity WHERE usename IN ('guiche_app', 'guiche_worker')";
        eventually("the end of a killed process' sessions", PATIENCE, async || {
            (self.books.count(sessions).await == 0).then_some(())
        })
        .await;
    }

    /// As if the process had been away for ten minutes: leases end, and what was to be done meanwhile is overdue. What was
    /// to be done never stays so.
    pub(crate) async fn time_passes(&self) {
        self.books
            .run(
                "UPDATE idempotency_claims SET claimed_until = claimed_until - interval '10 minutes'
                    WHERE ticket_id IS NULL;
                UPDATE invoice_looks SET due_at = due_at - interval '10 minutes',
                    leased_until = leased_until - interval '10 minutes';
                UPDATE webhook_deliveries SET next_at = next_at - interval '10 minutes',
                    leased_until = leased_until - interval '10 minutes' WHERE state = 'pending'",
            )
            .await;
    }

    /// The first look at an invoice is due now, and not in two seconds.
    pub(crate) async fn look_now(&self, hash: &str) {
        let sql = format!(
            "UPDATE invoice_looks SET due_at = issued_at WHERE payment_hash = decode('{hash}', 'hex')
                AND due_at = issued_at + interval '2 seconds' AND leased_until IS NULL"
        );
        self.books.run(&sql).await;
    }

    /// A look at the ticket's invoice is due now, if there is to be any; not while a watcher is at it.
    pub(crate) async fn look_soon(&self, ticket: &str) {
        let sql = format!(
            "UPDATE invoice_looks SET due_at = due_at - interval '1 minute',
                leased_until = leased_until - interval '1 minute' WHERE ticket_id = '{ticket}' AND open"
        );
        self.books.run(&sql).await;
    }

    /// Waits until no ticket is unpaid and no event untold.
    pub(crate) async fn comes_to_rest(&self) -> Result<(), Violation> {
        let unpaid = "SELECT id::text FROM tickets WHERE status <> 'paid'";
        self.until_none(unpaid, "tickets that were paid and are not").await?;
        let unordered = "SELECT id::text FROM outbox WHERE NOT fanned_out";
        self.until_none(unordered, "events that nobody was told of").await?;
        let pending =
            "SELECT event_id::text || ' ' || state FROM webhook_deliveries WHERE state <> 'delivered'";
        self.until_none(pending, "events that were not delivered").await?;
        self.everything_was_heard().await
    }

    /// What was told is not compared with what was heard by anybody but us.
    async fn everything_was_heard(&self) -> Result<(), Violation> {
        let events = usize::try_from(self.books.count("SELECT count(*) FROM outbox").await).unwrap();
        let begun = Instant::now();
        while self.receiver.count() < events {
            if begun.elapsed() > self.patience {
                let lost = events - self.receiver.count();
                return Err(Violation(format!("events that were delivered, it says, and not heard: {lost}")));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn until_none(&self, sql: &str, what: &str) -> Result<(), Violation> {
        let begun = Instant::now();
        loop {
            let left = self.books.texts(sql).await;
            if left.is_empty() {
                return Ok(());
            }
            if begun.elapsed() > self.patience {
                return Err(Violation(format!("after {:?}, {what}: {left:?}", self.patience)));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
