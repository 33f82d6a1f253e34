//! `kill -9` at moments of chance while addresses are set up and torn down, again and again, with who runs nodes and stores
//! in processes of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::addresses;
use crate::books::Books;
use crate::cluster::Cluster;
use crate::hosts::{self, Hosts};
use crate::office::{Answer, Call, Citizen, Office};
use crate::support::{Chance, eventually};

const KILLS: u32 = 20;
/// Who ask for so few names that several want the same.
const PEOPLE: usize = 6;
const NAMES: u64 = 10;
const COMPARED_EVERY: u32 = 4;
pub(crate) const SETUP: &str = "/api/v1/lightning/setup";
/// Whatever people do, they are answered with one of these.
const ANSWERS: [(u16, &str); 12] = [
    (201, "fully_configured"),
    (202, "in_progress"),
    (202, "rolling_back"),
    (202, "not_configured"),
    (404, "setup_not_found"),
    (409, "setup_in_progress"),
    (409, "setup_already_complete"),
    (409, "address_taken"),
    (409, "nothing_to_retry"),
    (409, "node_has_funds"),
    (502, "setup_failed"),
    (503, "setup_provider_unavailable"),
];
const SESSIONS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE usename IN ('guiche_app', 'guiche_worker')";
const UNDER_WAY: &str = "SELECT count(*) FROM lightning_addresses WHERE due_at IS NOT NULL";
/// How long everything may take to come to rest, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// What has this very program play one of those who run nodes and stores, and nothing else.
const PLAYS: &str = "GUICHE_TEST_PLAYS";

/// This very program, as one of those who run nodes and stores.
pub(crate) fn played(which: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = "setups::who_runs_nodes_and_stores_is_another_process";
    command.args(["--exact", test, "--nocapture"]).env(PLAYS, which);
    command
}

#[test]
fn who_runs_nodes_and_stores_is_another_process() {
    if let Ok(which) = std::env::var(PLAYS) {
        return hosts::play(&which);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let hosts = Hosts::start(played);
    let (nodes, stores) =
        runtime.block_on(async { (hosts.nodes.ledger().await, hosts.stores.ledger().await) });
    assert_eq!((&nodes["nodes"], &stores["stores"]), (&json!([]), &json!([])));
    let (nodes, stores) = (hosts.nodes.url.clone(), hosts.stores.url.clone());
    drop(hosts);
    for url in [nodes, stores] {
        let address = url.trim_start_matches("http://");
        std::net::TcpStream::connect(address).expect_err("it is gone with whoever started it");
    }
}

/// Somebody who asks for addresses, tears them down and tries again, from two places at once.
struct Person {
    name: String,
    citizen: Citizen,
    chance: Chance,
    /// The address that was acknowledged as working, and that nobody has asked to tear down since.
    has: Option<String>,
    /// How often each answer was given.
    answers: BTreeMap<String, usize>,
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    SetUp(String),
    Retry,
    TearDown,
}

impl Wish {
    fn of(chance: &mut Chance) -> Self {
        match chance.below(8) {
            0 => Self::TearDown,
            1 | 2 => Self::Retry,
            _ => Self::SetUp(format!("name-{}", chance.below(NAMES))),
        }
    }

    fn call<'a>(&self, citizen: &'a Citizen, wait: u64) -> Call<'a> {
        let call = match self {
            Self::SetUp(name) => Call::post(SETUP).json(json!({ "lightning_address": name })),
            Self::Retry => Call::post(format!("{SETUP}/retry")),
            Self::TearDown => return Call::delete(SETUP).by(citizen),
        };
        call.by(citizen).header("prefer", format!("wait={wait}"))
    }
}

impl Person {
    async fn register(office: &Office, number: usize, chance: Chance) -> Self {
        let name = format!("person-{number}");
        let citizen = office.register(&name).await;
        Self { name, citizen, chance, has: None, answers: BTreeMap::new() }
    }

    /// Goes about it until an answer is lost.
    async fn live(&mut self, office: &Office, begun: &AtomicU64) {
        loop {
            let wishes = [Wish::of(&mut self.chance), Wish::of(&mut self.chance)];
            // From now on, and not only once it is answered.
            if wishes.contains(&Wish::TearDown) {
                self.has = None;
            }
            let asked = wishes.each_ref().map(|wish| {
                begun.fetch_add(1, Ordering::Relaxed);
                office.ask(wish.call(&self.citizen, self.chance.below(3)))
            });
            let mut is_lost = false;
            for answer in futures::future::join_all(asked).await {
                match answer {
                    Ok(answer) => self.hear(&answer, wishes.contains(&Wish::TearDown)),
                    Err(lost) if lost.0.is_timeout() => panic!("a request hung: {lost:?}"),
                    Err(_) => is_lost = true,
                }
            }
            if is_lost {
                return;
            }
        }
    }

    /// A beginning or an end, or a refusal that says why; nothing else is an answer.
    fn hear(&mut self, answer: &Answer, is_torn_down: bool) {
        let code = if answer.status < 400 { answer.text("status") } else { answer.code() };
        assert!(ANSWERS.contains(&(answer.status, &*code)), "{answer:?}");
        if answer.status == 201 && !is_torn_down {
            self.has = Some(answer.text("lightning_address"));
        }
        *self.answers.entry(code).or_default() += 1;
    }

    /// What was acknowledged as working works, whatever was killed since, and is theirs.
    async fn has_what_was_acknowledged(&self, books: &Books) {
        let Some(address) = &self.has else { return };
        let sql = format!(
            "SELECT a.status::text || ' ' || u.email::text FROM lightning_addresses a
                JOIN users u ON u.id = a.user_id WHERE a.address = '{address}' AND a.active"
        );
        let expected = format!("fully_configured {}@example.org", self.name);
        assert_eq!(books.texts(&sql).await, [expected], "{address}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_made_twice_or_left_behind_by_kills() {
    let mut chance = Chance::announced("setups");
    let hosts = Hosts::start(played);
    let cluster = Cluster::new().await;
    let mut world = cluster.migrated_world().await;
    for (name, value) in hosts.settings() {
        world.set(name, &value);
    }
    let books = cluster.books().await;
    let mut app = world.ready().await;
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        people.push(Person::register(&app.office(), number, chance.fork()).await);
    }
    let mut under_way = 0;
    for kill in 1..=KILLS {
        let (begun, office) = (AtomicU64::new(0), app.office());
        // Setups take a few hundred milliseconds: some have ended by then, and some have not.
        let moment = Duration::from_micros(chance.below(2_000_000));
        lose_answers(&hosts, &mut chance).await;
        let load = futures::future::join_all(people.iter_mut().map(|person| person.live(&office, &begun)));
        let killing = async {
            tokio::time::sleep(moment).await;
            app.kill();
        };
        futures::future::join(load, killing).await;
        eventually("the end of the killed process' sessions", PATIENCE, async || {
            (books.count(SESSIONS).await == 0).then_some(())
        })
        .await;
        let left = books.count(UNDER_WAY).await;
        under_way += left;
        addresses::time_passes(&books).await;
        app = world.ready().await;
        for person in &people {
            person.has_what_was_acknowledged(&books).await;
        }
        println!("kill {kill:2}: after {:3} requests, {left} setups under way", begun.into_inner());
        // In between the next kill meets those that go on.
        if kill % COMPARED_EVERY == 0 {
            addresses::come_to_rest(&books, PATIENCE).await.unwrap();
            addresses::compare(&books, &hosts).await.unwrap();
        }
    }
    let standing = addresses::standing(&books).await;
    hosts.heal().await;
    everybody_succeeds(&app.office(), &books, &people).await;
    addresses::compare(&books, &hosts).await.unwrap();

    let heard = |word: &str| people.iter().filter_map(|it| it.answers.get(word)).sum::<usize>();
    let words: BTreeSet<_> = people.iter().flat_map(|person| person.answers.keys()).collect();
    println!("kills                      {KILLS}, with {under_way} setups under way in all");
    println!("the addresses before the end {standing:?}");
    for word in words {
        println!("  {word:<24} {}", heard(word));
    }
    assert!(under_way >= i64::from(KILLS) / 4, "too little was under way to say anything");
    assert!(heard("setup_in_progress") > 0, "nobody asked twice at once");
    assert!(heard("address_taken") > 0, "nobody wanted the same name");
}

/// What is made in vain, since nobody hears of it, for some of the next calls.
async fn lose_answers(hosts: &Hosts, chance: &mut Chance) {
    for (host, operation) in [
        (&hosts.nodes, "create_node"),
        (&hosts.nodes, "initwallet"),
        (&hosts.stores, "create_store"),
        (&hosts.stores, "register_webhook"),
    ] {
        if chance.below(4) == 0 {
            host.fail(operation, 1, json!({ "kind": "lose_answer" })).await;
        }
    }
}

/// Whoever has no address that works asks for one of their own, and gets it.
async fn everybody_succeeds(office: &Office, books: &Books, people: &[Person]) {
    for (number, person) in people.iter().enumerate() {
        let standing = office.tell(Call::get(SETUP).by(&person.citizen)).await.expect(200);
        if standing.text("status") != "fully_configured" {
            let wish = Wish::SetUp(format!("at-last-{number}"));
            office.tell(wish.call(&person.citizen, 25)).await.expect(201);
        }
    }
    let active = books.count("SELECT count(*) FROM lightning_addresses WHERE active").await;
    assert_eq!(active, i64::try_from(PEOPLE).unwrap());
}
