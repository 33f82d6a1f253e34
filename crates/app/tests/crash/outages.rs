//! The database stops, dies, freezes, throws everybody out; the process stays, says so quickly, and recovers by itself.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::books::Books;
use crate::cluster::Cluster;
use crate::office::{Answer, Call, Citizen, Office};
use crate::process::{App, World, signal};
use crate::support::{Chance, eventually};

const CLIENTS: usize = 6;
const RECOVERY: Duration = Duration::from_secs(30);
/// The longest wait for a place in the pool and then for a connection. With nobody at the other end a refusal needs
/// neither, and takes milliseconds; the figures are printed.
const AT_ONCE: Duration = Duration::from_secs(10);
/// When the other end is silent, a request waits for a connection, or for an answer on one; well below its own limit.
const SILENT: Duration = Duration::from_secs(20);

/// What a load has seen.
#[derive(Default)]
struct Seen {
    over: AtomicBool,
    answers: AtomicU64,
    refusals: AtomicU64,
    slowest_refusal_ms: AtomicU64,
}

/// A client that works through an outage, and what it was given.
struct Client {
    citizen: Citizen,
    chance: Chance,
    /// Key and answer.
    tickets: Vec<(String, Answer)>,
    /// Keys that were refused or told to wait.
    doubtful: Vec<String>,
    keys: u64,
}

impl Client {
    async fn live(&mut self, office: &Office, seen: &Seen, longest: Duration) {
        while !seen.over.load(Ordering::Relaxed) {
            let opens = self.chance.below(2) == 0;
            let key = format!("key-{}", self.keys);
            let call = match self.chance.below(3) {
                _ if opens => Call::open(&self.citizen, Some(&key)),
                0 => Call::get("/api/v1/tickets").by(&self.citizen),
                1 => Call::get("/api/v1/auth/me").by(&self.citizen),
                _ => match self.chance.index(self.tickets.len()) {
                    Some(which) => Call::ticket(&self.citizen, &self.tickets[which].1.text("ticket_id")),
                    None => Call::get("/api/v1/operations"),
                },
            };
            let answer = office.tell(call).await;
            self.judge(&answer, seen, longest);
            if opens {
                self.keys += 1;
                match answer.status {
                    201 => self.tickets.push((key, answer)),
                    _ => self.doubtful.push(key),
                }
            }
        }
    }

    fn judge(&self, answer: &Answer, seen: &Seen, longest: Duration) {
        seen.answers.fetch_add(1, Ordering::Relaxed);
        if matches!(answer.status, 200 | 201) {
            return;
        }
        assert!(answer.is_problem(503, "database_unavailable"), "{answer:?}");
        assert!(answer.retry_after.is_some(), "{answer:?}");
        assert!(answer.took < longest, "a refusal took {:?}: {answer:?}", answer.took);
        seen.refusals.fetch_add(1, Ordering::Relaxed);
        let took = u64::try_from(answer.took.as_millis()).unwrap();
        seen.slowest_refusal_ms.fetch_max(took, Ordering::Relaxed);
    }

    /// What was refused is done under the same key, once.
    async fn resolve(&mut self, office: &Office) {
        for key in std::mem::take(&mut self.doubtful) {
            let citizen = &self.citizen;
            let answer = eventually("an answer to a key", RECOVERY, async || {
                let answer = office.tell(Call::open(citizen, Some(&key))).await;
                (!answer.is_problem(409, "idempotency_key_in_use")).then(|| answer.expect(201))
            })
            .await;
            self.tickets.push((key, answer));
        }
    }

    /// What was acknowledged is there.
    async fn look_up(&self, office: &Office) {
        for (key, opened) in &self.tickets {
            let found = office.tell(Call::ticket(&self.citizen, &opened.text("ticket_id"))).await.expect(200);
            assert_eq!(found.text("ln_invoice"), opened.text("ln_invoice"));
            let again = office.tell(Call::open(&self.citizen, Some(key))).await.expect(201);
            assert_eq!(again.body, opened.body, "a replay differs");
        }
    }
}

/// A migrated server, a process on it, and its clients.
struct Scene {
    app: App,
    _world: World,
    cluster: Cluster,
    clients: Vec<Client>,
}

impl Scene {
    async fn new(test: &str) -> Self {
        let mut chance = Chance::announced(test);
        let cluster = Cluster::new().await;
        let world = cluster.migrated_world().await;
        let app = world.ready().await;
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let citizen = app.office().register(&format!("client-{number}")).await;
            let chance = chance.fork();
            clients.push(Client { citizen, chance, tickets: Vec::new(), doubtful: Vec::new(), keys: 0 });
        }
        Self { app, _world: world, cluster, clients }
    }

    /// Lets clients work while the database has the given trouble, which ends with the database well again.
    async fn through(
        &mut self,
        name: &str,
        longest: Duration,
        trouble: impl AsyncFnOnce(&mut Cluster, &Office, &Seen),
    ) {
        let seen = Seen::default();
        let office = self.app.office();
        let clients = self.clients.iter_mut().map(|client| client.live(&office, &seen, longest));
        let load = futures::future::join_all(clients);
        let cluster = &mut self.cluster;
        let course = async {
            some_more(&seen.answers, 30, Duration::from_secs(30)).await;
            let begun = Instant::now();
            trouble(cluster, &office, &seen).await;
            let (down, well_again) = (begun.elapsed(), Instant::now());
            office.ready(RECOVERY).await;
            let recovered = well_again.elapsed();
            some_more(&seen.answers, 30, Duration::from_secs(30)).await;
            seen.over.store(true, Ordering::Relaxed);
            (down, recovered)
        };
        let (_, (down, recovered)) = futures::future::join(load, course).await;
        assert!(self.app.is_running(), "the process did not survive: {}", self.app.log());
        futures::future::join_all(self.clients.iter().map(|client| client.look_up(&office))).await;
        self.cluster.books().await.audit().await;
        let tickets: usize = self.clients.iter().map(|client| client.tickets.len()).sum();
        println!(
            "{name}: {} ms of trouble, ready again {} ms later; {} answers, {} of them 503 (slowest {} ms); {tickets} tickets, all there",
            down.as_millis(),
            recovered.as_millis(),
            seen.answers.load(Ordering::Relaxed),
            seen.refusals.load(Ordering::Relaxed),
            seen.slowest_refusal_ms.load(Ordering::Relaxed),
        );
    }

    /// Afterwards every key that was refused or told to wait gives exactly one ticket.
    async fn conclude(mut self) {
        let (office, books) = (self.app.office(), self.cluster.books().await);
        books.a_minute_passes_for_claims().await;
        futures::future::join_all(self.clients.iter_mut().map(|client| client.resolve(&office))).await;
        futures::future::join_all(self.clients.iter().map(|client| client.look_up(&office))).await;
        books.audit().await;
        let tickets: usize = self.clients.iter().map(|client| client.tickets.len()).sum();
        assert_eq!(books.entries().await.len(), tickets, "one ticket for each key");
        println!("in the end {tickets} keys, one ticket for each");
        // Told to end while there is no database, the process still ends in good order.
        drop(books);
        self.cluster.stop().await;
        self.app.signal("TERM");
        let ended = self.app.ended(RECOVERY).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

/// Waits until a count has grown by so much.
async fn some_more(count: &AtomicU64, more: u64, within: Duration) {
    let goal = count.load(Ordering::Relaxed) + more;
    eventually("more answers", within, async || (count.load(Ordering::Relaxed) >= goal).then_some(())).await;
}

/// The probes tell the truth while the database is away.
async fn probes_say_so(office: &Office) {
    eventually("unready", Duration::from_secs(10), async || {
        let answer = office.tell(Call::get("/readyz")).await;
        assert!(answer.took < Duration::from_secs(5), "{answer:?}");
        (answer.status == 503).then_some(())
    })
    .await;
    office.tell(Call::get("/livez")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_a_killed_and_an_impatient_database_are_survived() {
    let mut scene = Scene::new("outages").await;
    scene
        .through("fast shutdown", AT_ONCE, async |cluster, office, seen| {
            cluster.stop().await;
            some_more(&seen.refusals, 50, Duration::from_secs(60)).await;
            probes_say_so(office).await;
            cluster.up().await;
        })
        .await;
    scene
        .through("kill -9 of the postmaster", AT_ONCE, async |cluster, office, seen| {
            cluster.kill().await;
            some_more(&seen.refusals, 50, Duration::from_secs(60)).await;
            probes_say_so(office).await;
            cluster.up().await;
        })
        .await;
    scene
        .through("every session terminated, ten times", AT_ONCE, async |cluster, _, seen| {
            let books = cluster.books().await;
            for _ in 0..10 {
                let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename LIKE 'guiche%'";
                assert!(books.count(terminate).await > 0, "nobody was there");
                some_more(&seen.answers, 10, Duration::from_secs(30)).await;
            }
        })
        .await;
    scene.conclude().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_database_is_survived() {
    let mut scene = Scene::new("frozen").await;
    scene
        .through("frozen: all of it", SILENT, async |cluster, office, seen| {
            // The first process first: nobody is let in meanwhile.
            signal("STOP", &[cluster.postmaster().unwrap()]);
            let frozen = cluster.processes();
            signal("STOP", &frozen);
            probes_say_so(office).await;
            some_more(&seen.refusals, 6, Duration::from_secs(60)).await;
            signal("CONT", &frozen);
        })
        .await;
    scene
        .through("frozen: whoever lets in", SILENT, async |cluster, office, seen| {
            let books = cluster.books().await;
            let first = cluster.postmaster().unwrap();
            signal("STOP", &[first]);
            let terminate =
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename LIKE 'guiche%'";
            books.count(terminate).await;
            probes_say_so(office).await;
            some_more(&seen.refusals, 6, Duration::from_secs(60)).await;
            signal("CONT", &[first]);
        })
        .await;
    scene.conclude().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_private_database_is_brought_back_by_the_process() {
    let world = World::new();
    let mut app = world.ready().await;
    let office = app.office();
    let citizen = office.register("ana").await;
    let opened = office.tell(Call::open(&citizen, Some("before"))).await.expect(201);
    for round in 1..=3 {
        let old = world.postmaster().unwrap();
        signal("KILL", &[old]);
        let begun = Instant::now();
        eventually("another server", RECOVERY, async || world.postmaster().filter(|new| *new != old)).await;
        // The probe's answer may be remembered for a moment; what counts is that requests are served.
        eventually("an answer from the books", RECOVERY, async || {
            let answer = office.tell(Call::get("/api/v1/auth/me").by(&citizen)).await;
            assert!(answer.status == 200 || answer.is_problem(503, "database_unavailable"), "{answer:?}");
            (answer.status == 200).then_some(())
        })
        .await;
        office.ready(RECOVERY).await;
        println!(
            "private server killed, round {round}: ready again after {} ms",
            begun.elapsed().as_millis()
        );
        let again = office.tell(Call::open(&citizen, Some("before"))).await.expect(201);
        assert_eq!(again.body, opened.body, "a replay differs");
        office.tell(Call::open(&citizen, None)).await.expect(201);
    }
    assert!(app.is_running());
    Books::of(&world).await.audit().await;
}
