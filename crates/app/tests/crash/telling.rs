//! `kill -9` between the commit of an event and its delivery: every event is told, under its one id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::books::Books;
use crate::process::World;
use crate::support::{Chance, eventually};

const KILLS: u64 = 4;
const JOURNEYS: u64 = 5;
/// A lease (30 s) and the first pause (5 s), on a busy machine.
const TOLD_WITHIN: Duration = Duration::from_secs(120);

/// How often each id was heard, and every body that came under it.
type Heard = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// A receiver that now and then has a bad moment, but never twice for the same event: the pauses grow, and the third
/// is longer than anybody here waits.
async fn receiver(mut chance: Chance) -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let heard = Heard::default();
    let (all, refused) = (Arc::clone(&heard), Arc::<Mutex<BTreeSet<String>>>::default());
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let (all, refused) = (Arc::clone(&all), Arc::clone(&refused));
            let (bad, slow) = (chance.below(4) == 0, chance.below(200));
            tokio::spawn(async move {
                let (mut request, mut buffer) = (String::new(), [0; 4096]);
                while !request.ends_with("}}") {
                    match socket.read(&mut buffer).await {
                        // The sender was killed.
                        Ok(0) | Err(_) => return,
                        Ok(count) => request.push_str(std::str::from_utf8(&buffer[..count]).unwrap()),
                    }
                }
                tokio::time::sleep(Duration::from_millis(slow)).await;
                let (head, body) = request.split_once("\r\n\r\n").unwrap();
                let id = head.lines().find_map(|line| line.strip_prefix("webhook-id: ")).unwrap();
                let fine = !(bad && refused.lock().unwrap().insert(id.to_owned()));
                if fine {
                    all.lock().unwrap().entry(id.to_owned()).or_default().push(body.to_owned());
                }
                let status = if fine { "204 Fine" } else { "500 Not now" };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = socket.write_all(answer.as_bytes()).await;
            });
        }
    });
    (url, heard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_told_whenever_the_server_is_killed() {
    let mut chance = Chance::announced("telling");
    let mut world = World::new();
    world.set("WEBHOOKS_ALLOW_PRIVATE", "127.0.0.0/8");
    let (url, heard) = receiver(chance.fork()).await;
    let mut app = world.ready().await;
    let added = world.run(&["webhooks", "add", "--url", &url]).await;
    assert_eq!(added.code, Some(0), "{added:?}");
    let secret = added.stdout.lines().find_map(|line| line.split_once("whsec_")).unwrap().1.to_owned();
    for kill in 0..KILLS {
        let office = app.office();
        for journey in 0..JOURNEYS {
            office.journey(&office.register(&format!("citizen-{kill}-{journey}")).await).await;
        }
        tokio::time::sleep(Duration::from_millis(chance.below(1_500))).await;
        app.kill();
        app = world.ready().await;
    }
    let committed: BTreeSet<_> =
        Books::of(&world).await.texts("SELECT id::text FROM outbox").await.into_iter().collect();
    assert_eq!(u64::try_from(committed.len()).unwrap(), 2 * KILLS * JOURNEYS, "opened and paid, each");
    let told = eventually("every event is told", TOLD_WITHIN, async || {
        let heard = heard.lock().unwrap().clone();
        (heard.len() == committed.len()).then_some(heard)
    })
    .await;
    assert_eq!(told.keys().cloned().collect::<BTreeSet<_>>(), committed);
    for (id, bodies) in &told {
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{id}: {bodies:?}");
    }
    let again = told.values().map(|bodies| bodies.len() - 1).sum::<usize>();
    println!("telling: {} events over {KILLS} kills, {again} heard once more", told.len());
    assert_eq!(world.said().matches(&secret).count(), 1, "it is said once, to whoever asked for it");
}
