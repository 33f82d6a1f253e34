//! `kill -9` at moments of chance, under load, again and again, on the private database.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::books::Books;
use crate::office::{Answer, Call, Citizen, Office};
use crate::process::{App, START, World, signal};
use crate::support::{Chance, eventually};

const KILLS: u32 = 20;
const CLIENTS: usize = 8;
const ANSWERED: Duration = Duration::from_secs(30);

/// What a client knows about a ticket that it was given.
struct Ticket {
    id: String,
    hash: String,
    key: Option<String>,
    /// The answer, byte for byte.
    opened: String,
    preimage: Option<String>,
    fate: Fate,
}

/// How far the client has heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pending,
    /// A payment, or a look that may pay, got no answer.
    PerhapsPaid,
    /// The wallet says so.
    Paid,
    /// The office says so.
    Settled,
    PerhapsCancelled,
    Cancelled,
    /// The wallet paid after the cancellation.
    PaidTooLate,
    /// A payment after the cancellation got no answer.
    PerhapsPaidTooLate,
}

/// The way to the office, with a count of who went it.
struct Door<'a> {
    office: &'a Office,
    begun: &'a AtomicU64,
}

impl Door<'_> {
    /// `None` when the answer was lost.
    async fn ask(&self, call: Call<'_>) -> Option<Answer> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        match self.office.ask(call).await {
            Ok(answer) => Some(answer),
            Err(lost) if lost.0.is_timeout() => panic!("a request hung: {lost:?}"),
            Err(_) => None,
        }
    }
}

struct Client {
    citizen: Citizen,
    chance: Chance,
    tickets: Vec<Ticket>,
    /// Keys whose request got no answer.
    doubtful: Vec<String>,
    keys: u64,
    /// Requests without a key that got no answer: each may have made a ticket.
    unanswered: usize,
    replays: usize,
    /// The tickets before this one were looked up after an earlier crash.
    looked_up: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kills() {
    let mut chance = Chance::announced("kills");
    let world = World::new();
    let mut app = world.ready().await;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let citizen = app.office().register(&format!("client-{number}")).await;
        clients.push(Client::new(citizen, chance.fork()));
    }
    let (mut slowest_start, mut with_server) = (Duration::ZERO, 0);
    for kill in 1..=KILLS {
        let begun = AtomicU64::new(0);
        let until = 1 + chance.below(160);
        let also_the_server = chance.below(4) == 0;
        let jitter = Duration::from_micros(chance.below(15_000));
        let office = app.office();
        let door = Door { office: &office, begun: &begun };
        let load = futures::future::join_all(clients.iter_mut().map(|client| client.live(&door)));
        let killing = async {
            eventually("enough requests", Duration::from_secs(60), async || {
                (begun.load(Ordering::Relaxed) >= until).then_some(())
            })
            .await;
            tokio::time::sleep(jitter).await;
            let postmaster = world.postmaster().unwrap();
            app.kill();
            if also_the_server {
                signal("KILL", &[postmaster]);
                with_server += 1;
            }
        };
        futures::future::join(load, killing).await;
        let restart = Instant::now();
        app = world.ready().await;
        let restart = restart.elapsed();
        slowest_start = slowest_start.max(restart);
        let office = app.office();
        futures::future::join_all(clients.iter_mut().map(|client| client.look_up(&office))).await;
        Books::of(&world).await.audit().await;
        println!(
            "kill {kill:2}: after {:3} requests, server too: {also_the_server}, up again after {} ms",
            begun.load(Ordering::Relaxed),
            restart.as_millis()
        );
    }

    let office = app.office();
    Books::of(&world).await.a_minute_passes_for_claims().await;
    let doubtful: usize = clients.iter().map(|client| client.doubtful.len()).sum();
    futures::future::join_all(clients.iter_mut().map(|client| client.resolve(&office))).await;
    futures::future::join_all(clients.iter_mut().map(|client| client.conclude(&office))).await;
    let books = Books::of(&world).await;
    books.audit().await;
    let entries = books.entries().await;
    let tickets: usize = clients.iter().map(|client| client.tickets.len()).sum();
    let unanswered: usize = clients.iter().map(|client| client.unanswered).sum();
    assert!(
        (tickets..=tickets + unanswered).contains(&entries.len()),
        "{} in the books, {tickets} acknowledged, {unanswered} unanswered",
        entries.len()
    );
    let count = |fate| clients.iter().flat_map(|client| &client.tickets).filter(|t| t.fate == fate).count();
    let paid = entries.values().filter(|entry| entry.status == "paid").count();
    let replays: usize = clients.iter().map(|client| client.replays).sum();
    println!("kills                      {KILLS} (of these with the database server: {with_server})");
    println!("slowest restart            {} ms", slowest_start.as_millis());
    println!("acknowledged tickets       {tickets}");
    println!(
        "  of these with a key      {}",
        clients.iter().flat_map(|c| &c.tickets).filter(|t| t.key.is_some()).count()
    );
    println!("tickets in the books       {} ({unanswered} unanswered requests without a key)", entries.len());
    println!("byte-equal replays         {replays}");
    println!("keys without an answer     {doubtful} at the end, each then exactly one ticket");
    println!(
        "acknowledged payments      {}, paid tickets {paid}",
        count(Fate::Settled) + count(Fate::PaidTooLate)
    );
    println!("refunds due                {}", count(Fate::PaidTooLate));
    println!("cancelled                  {}", count(Fate::Cancelled));
    assert!(tickets > 50 && replays > 50 && paid > 10, "too little happened to say anything");
}

/// A stage of a first start, and how it is seen from outside.
type Stage = (&'static str, fn(&World, &App) -> bool);

const STAGES: [Stage; 6] = [
    ("secrets", |world, _| world.data().join("secrets").exists()),
    ("half a cluster", |world, _| {
        let home = std::fs::read_dir(world.postgres()).into_iter().flatten().flatten();
        home.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("data.new"))
    }),
    ("a cluster", |world, _| world.postgres().join("data").exists()),
    ("a server", |_, app| app.log().contains("private PostgreSQL is running")),
    ("a schema", |_, app| app.log().contains("the database ")),
    ("an address", |_, app| app.log().contains("listening")),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_may_be_killed_at_any_moment() {
    let mut chance = Chance::announced("first start");
    let world = World::new();
    for (stage, reached) in STAGES.iter().flat_map(|stage| [stage; 2]) {
        let mut app = world.spawn(&["serve"]);
        eventually(stage, START, async || reached(&world, &app).then_some(())).await;
        // Not a wait for anything: the moment of the kill.
        tokio::time::sleep(Duration::from_millis(chance.below(150))).await;
        app.kill();
    }
    let begun = Instant::now();
    let app = world.ready().await;
    println!(
        "a first start killed {} times: ready after {} ms",
        2 * STAGES.len(),
        begun.elapsed().as_millis()
    );
    let citizen = app.office().register("ana").await;
    app.office().journey(&citizen).await;
    Books::of(&world).await.audit().await;
}

impl Client {
    fn new(citizen: Citizen, chance: Chance) -> Self {
        Self {
            citizen,
            chance,
            tickets: Vec::new(),
            doubtful: Vec::new(),
            keys: 0,
            unanswered: 0,
            replays: 0,
            looked_up: 0,
        }
    }

    /// Goes about its business until an answer is lost.
    async fn live(&mut self, door: &Door<'_>) {
        loop {
            let went_on = match self.chance.below(100) {
                0..25 => self.open(door).await,
                25..50 => self.open_with_key(door).await,
                50..55 => self.ask_again(door).await,
                55..65 => self.replay(door).await,
                65..82 => self.pay(door).await,
                82..92 => self.confirm(door).await,
                _ => self.cancel(door).await,
            };
            if went_on.is_none() {
                return;
            }
        }
    }

    fn take_in(&mut self, opened: Answer, key: Option<String>) {
        let opened = opened.expect(201);
        let (id, hash) = (opened.text("ticket_id"), opened.text("payment_hash"));
        self.tickets.push(Ticket { id, hash, key, opened: opened.body, preimage: None, fate: Fate::Pending });
    }

    async fn open(&mut self, door: &Door<'_>) -> Option<()> {
        // Counted before: whatever becomes of the answer, the request may have done its work.
        self.unanswered += 1;
        let answer = door.ask(Call::open(&self.citizen, None)).await?;
        self.unanswered -= 1;
        self.take_in(answer, None);
        Some(())
    }

    async fn open_with_key(&mut self, door: &Door<'_>) -> Option<()> {
        self.keys += 1;
        self.doubtful.push(format!("key-{}", self.keys));
        self.ask_for(door, self.doubtful.len() - 1).await
    }

    async fn ask_again(&mut self, door: &Door<'_>) -> Option<()> {
        let Some(which) = self.chance.index(self.doubtful.len()) else { return Some(()) };
        self.ask_for(door, which).await
    }

    async fn ask_for(&mut self, door: &Door<'_>, which: usize) -> Option<()> {
        let key = self.doubtful[which].clone();
        let answer = door.ask(Call::open(&self.citizen, Some(&key))).await?;
        if answer.is_problem(409, "idempotency_key_in_use") {
            assert!(answer.retry_after.is_some(), "{answer:?}");
            return Some(());
        }
        self.doubtful.swap_remove(which);
        self.take_in(answer, Some(key));
        Some(())
    }

    async fn replay(&mut self, door: &Door<'_>) -> Option<()> {
        let Some(which) = self.chance.index(self.tickets.len()) else { return Some(()) };
        let ticket = &self.tickets[which];
        let Some(key) = &ticket.key else { return Some(()) };
        let again = door.ask(Call::open(&self.citizen, Some(key))).await?.expect(201);
        assert_eq!(again.body, ticket.opened, "a replay differs");
        self.replays += 1;
        Some(())
    }

    async fn pay(&mut self, door: &Door<'_>) -> Option<()> {
        let Some(which) = self.chance.index(self.tickets.len()) else { return Some(()) };
        let ticket = &mut self.tickets[which];
        let cancelled = ticket.fate == Fate::Cancelled && self.chance.below(3) == 0;
        if !cancelled && !matches!(ticket.fate, Fate::Pending | Fate::PerhapsPaid) {
            return Some(());
        }
        if !cancelled {
            ticket.fate = Fate::PerhapsPaid;
        }
        let answer = door.ask(Call::pay(&ticket.hash)).await;
        if cancelled && answer.is_none() {
            ticket.fate = Fate::PerhapsPaidTooLate;
        }
        let answer = answer?;
        match answer.status {
            200 => ticket.preimage = Some(answer.text("preimage")),
            // An earlier payment whose answer was lost.
            409 => assert_eq!(answer.code(), "invalid_ticket_state", "{answer:?}"),
            _ => panic!("{answer:?}"),
        }
        ticket.fate = if cancelled { Fate::PaidTooLate } else { Fate::Paid };
        Some(())
    }

    /// Tells the office of a payment, by a question or by the proof; sometimes too early.
    async fn confirm(&mut self, door: &Door<'_>) -> Option<()> {
        let Some(which) = self.chance.index(self.tickets.len()) else { return Some(()) };
        let ticket = &mut self.tickets[which];
        match ticket.fate {
            Fate::Pending => ticket.fate = Fate::PerhapsPaid,
            Fate::Paid => {}
            Fate::PerhapsPaid
            | Fate::Settled
            | Fate::PerhapsCancelled
            | Fate::Cancelled
            | Fate::PaidTooLate
            | Fate::PerhapsPaidTooLate => return Some(()),
        }
        let call = match &ticket.preimage {
            Some(preimage) if self.chance.below(2) == 0 => {
                let body = serde_json::json!({"preimage": preimage});
                Call::to(&self.citizen, &ticket.id, "payment-proof").json(body)
            }
            Some(_) | None => Call::to(&self.citizen, &ticket.id, "confirm-payment"),
        };
        let answer = door.ask(call).await?.expect(200);
        let paid = answer.text("status") == "paid";
        assert!(paid || ticket.fate == Fate::PerhapsPaid, "the office denies a payment: {answer:?}");
        ticket.fate = if paid { Fate::Settled } else { Fate::Pending };
        Some(())
    }

    async fn cancel(&mut self, door: &Door<'_>) -> Option<()> {
        let Some(which) = self.chance.index(self.tickets.len()) else { return Some(()) };
        let ticket = &mut self.tickets[which];
        if ticket.fate != Fate::Pending {
            return Some(());
        }
        ticket.fate = Fate::PerhapsCancelled;
        let answer = door.ask(Call::to(&self.citizen, &ticket.id, "cancel")).await?.expect(200);
        assert_eq!(answer.text("status"), "cancelled");
        ticket.fate = Fate::Cancelled;
        Some(())
    }

    /// After a crash: every ticket that was acknowledged since the last one exists, with its invoice.
    async fn look_up(&mut self, office: &Office) {
        for ticket in &self.tickets[self.looked_up..] {
            let opened: serde_json::Value = serde_json::from_str(&ticket.opened).unwrap();
            let found = office.tell(Call::ticket(&self.citizen, &ticket.id)).await.expect(200).json();
            for member in ["ln_invoice", "payment_hash", "amount_sats", "expires_at"] {
                assert_eq!(found[member], opened[member], "{member} of {}", ticket.id);
            }
            assert_eq!(found["invoices"].as_array().unwrap().len(), 1, "{found}");
        }
        self.looked_up = self.tickets.len();
    }

    /// Repeats what got no answer, with the same key, until it gets one.
    async fn resolve(&mut self, office: &Office) {
        for key in std::mem::take(&mut self.doubtful) {
            let citizen = &self.citizen;
            let answer = eventually("an answer to a key", ANSWERED, async || {
                let answer = office.tell(Call::open(citizen, Some(&key))).await;
                (!answer.is_problem(409, "idempotency_key_in_use")).then_some(answer)
            })
            .await;
            self.take_in(answer, Some(key));
        }
    }

    /// Everything acknowledged, held against the office once more.
    async fn conclude(&mut self, office: &Office) {
        self.looked_up = 0;
        self.look_up(office).await;
        for ticket in &mut self.tickets {
            if let Some(key) = &ticket.key {
                let again = office.tell(Call::open(&self.citizen, Some(key))).await.expect(201);
                assert_eq!(again.body, ticket.opened, "a replay differs");
                self.replays += 1;
            }
            let read = office.tell(Call::ticket(&self.citizen, &ticket.id)).await.expect(200);
            let stands = read.text("payment_status");
            match ticket.fate {
                Fate::Pending => assert_eq!(stands, "pending"),
                Fate::Settled => assert_eq!(stands, "paid"),
                Fate::Cancelled => assert_eq!(stands, "cancelled"),
                Fate::PerhapsPaid => assert!(["pending", "paid"].contains(&stands.as_str()), "{read:?}"),
                Fate::PerhapsCancelled => {
                    assert!(["pending", "cancelled"].contains(&stands.as_str()), "{read:?}");
                }
                // If there was a payment, the watcher finds it, sooner or later.
                Fate::PerhapsPaidTooLate => {
                    assert!(["cancelled", "refund_due"].contains(&stands.as_str()), "{read:?}");
                }
                Fate::Paid | Fate::PaidTooLate => {
                    let expected = if ticket.fate == Fate::Paid { "paid" } else { "refund_due" };
                    let call = Call::to(&self.citizen, &ticket.id, "confirm-payment");
                    assert_eq!(office.tell(call).await.expect(200).text("status"), expected);
                }
            }
            if ticket.fate == Fate::Paid {
                ticket.fate = Fate::Settled;
            }
        }
    }
}
