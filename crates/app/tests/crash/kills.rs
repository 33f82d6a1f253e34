//! `kill -9` at moments of chance, under load, again and again, on the private database.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::books::Books;
use crate::clients::{Client, Door, Fate};
use crate::process::{World, signal};
use crate::support::{Chance, eventually};

const KILLS: u32 = 20;
const CLIENTS: usize = 8;

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
