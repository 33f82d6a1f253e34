//! Processes that share a data directory, and their ends in good order.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::books::Books;
use crate::office::Call;
use crate::process::World;
use crate::support::eventually;

const END: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_and_a_migration_share_one_database() {
    let world = World::new();
    // All at once, on nothing: one of them makes the cluster.
    let (one, two, migrated) = tokio::join!(world.ready(), world.ready(), world.run(&["migrate"]));
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let citizen = one.office().register("ana").await;
    let opened = one.office().tell(Call::open(&citizen, Some("key"))).await.expect(201);
    let (ticket, hash) = (opened.text("ticket_id"), opened.text("payment_hash"));
    // The other one knows the session, the ticket, the key and the payment.
    let again = two.office().tell(Call::open(&citizen, Some("key"))).await.expect(201);
    assert_eq!(again.body, opened.body);
    two.office().tell(Call::pay(&hash)).await.expect(200);
    let confirmed = one.office().tell(Call::to(&citizen, &ticket, "confirm-payment")).await.expect(200);
    assert_eq!(confirmed.text("status"), "paid");

    let migrated = world.run(&["migrate"]).await;
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    two.office().tell(Call::ticket(&citizen, &ticket)).await.expect(200);

    let server = world.postmaster().unwrap();
    one.signal("TERM");
    let ended = one.ended(END).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(world.postmaster(), Some(server), "the server stays for the one that is left");
    two.office().tell(Call::open(&citizen, None)).await.expect(201);
    two.signal("TERM");
    let ended = two.ended(END).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(world.is_quiet(), "the last one stops the server, and waits for it");

    let third = world.ready().await;
    let found = third.office().tell(Call::ticket(&citizen, &ticket)).await.expect(200);
    assert_eq!(found.text("payment_status"), "paid");
    Books::of(&world).await.audit().await;
    assert_eq!(Books::of(&world).await.entries().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_stops_with_the_last_one_however_it_ends() {
    let world = World::new();
    let mut one = world.ready().await;
    let mut two = world.ready().await;
    let citizen = one.office().register("ana").await;
    one.kill();
    two.office().tell(Call::open(&citizen, None)).await.expect(201);
    two.kill();
    eventually("the server's end", END, async || world.is_quiet().then_some(())).await;
    let three = world.ready().await;
    let list = three.office().tell(Call::get("/api/v1/tickets").by(&citizen)).await.expect(200);
    assert_eq!(list.json()["total"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_way_are_answered_before_the_end() {
    for name in ["TERM", "INT"] {
        let world = World::new();
        let app = world.ready().await;
        let office = app.office();
        let citizen = office.register("ana").await;
        let books = Books::of(&world).await;
        books.run("BEGIN; LOCK TABLE tickets IN EXCLUSIVE MODE").await;
        let (asking, asker) = (office.clone(), citizen.clone());
        let asked = tokio::spawn(async move { asking.tell(Call::open(&asker, Some("key"))).await });
        books.somebody_waits().await;
        app.signal(name);
        eventually("closed doors", END, async || {
            // A new connection each time: an open one may be let finish.
            crate::office::Office::at(&app.address).ask(Call::get("/livez")).await.err()
        })
        .await;
        books.run("COMMIT").await;
        // The session would keep the server from a quick stop otherwise.
        drop(books);
        let opened = asked.await.unwrap().expect(201);
        let ended = app.ended(END).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stderr.contains("\"stopped\""), "{ended:?}");
        let app = world.ready().await;
        let again = app.office().tell(Call::open(&citizen, Some("key"))).await.expect(201);
        assert_eq!(again.body, opened.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_secret_is_closed_to_others() {
    let world = World::new();
    let app = world.ready().await;
    let citizen = app.office().register("ana").await;
    app.office().journey(&citizen).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let secrets = world.data().join("secrets");
    assert_eq!(mode(&secrets), 0o700);
    let files: Vec<_> = fs::read_dir(&secrets).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 2, "{files:?}");
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    assert_eq!(mode(&world.data().join("spark-stub.ledger")), 0o600);
    for directory in ["", "data", "run", "lock"] {
        assert_eq!(mode(&world.postgres().join(directory)), 0o700, "{directory:?}");
    }
    // Nothing else lies in the open.
    for entry in fs::read_dir(world.data()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
}
