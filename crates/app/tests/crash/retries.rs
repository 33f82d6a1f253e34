//! A request with a key, cut off by `kill -9` at three known places, and repeated until it is answered.

use std::time::{Duration, Instant};

use crate::books::Books;
use crate::office::{Call, Citizen, Office};
use crate::process::World;
use crate::support::eventually;

/// Where the request is when the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    BeforeTheClaim,
    BetweenClaimAndCommit,
    BetweenCommitAndAnswer,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_gives_one_ticket_wherever_its_request_died() {
    use Place::{BeforeTheClaim, BetweenClaimAndCommit, BetweenCommitAndAnswer};
    let world = World::new();
    let mut app = world.ready().await;
    let citizen = app.office().register("ana").await;
    for (place, key) in
        [(BeforeTheClaim, "before"), (BetweenClaimAndCommit, "between"), (BetweenCommitAndAnswer, "after")]
    {
        let (office, books) = (app.office(), Books::of(&world).await);
        let table = if place == BeforeTheClaim { "idempotency_claims" } else { "tickets" };
        books.run(&format!("BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE")).await;
        let (asking, asker) = (office.clone(), citizen.clone());
        let asked = tokio::spawn(async move { asking.ask(Call::open(&asker, Some(key))).await });
        books.somebody_waits().await;
        if place == BetweenCommitAndAnswer {
            app.freeze().await;
            books.run("COMMIT").await;
            let stored = format!(
                "SELECT count(*) FROM idempotency_claims WHERE key = '{key}' AND ticket_id IS NOT NULL"
            );
            eventually("the commit", Duration::from_secs(10), async || {
                (books.count(&stored).await == 1).then_some(())
            })
            .await;
        }
        app.kill();
        assert!(asked.await.unwrap().is_err(), "{place:?}: nobody was there to answer");
        app = world.ready().await;
    }
    let office = app.office();
    let waits =
        futures::future::join_all(["before", "between", "after"].map(|key| insist(&office, &citizen, key)))
            .await;
    for (key, (wait, body)) in ["before", "between", "after"].iter().zip(waits) {
        println!("key {key:7}: answered after {} ms", wait.as_millis());
        let again = office.tell(Call::open(&citizen, Some(key))).await.expect(201);
        assert_eq!(again.body, body, "a replay differs");
    }
    let books = Books::of(&world).await;
    books.audit().await;
    assert_eq!(books.entries().await.len(), 3, "one ticket for each key");
    assert_eq!(books.count("SELECT count(*) FROM invoices").await, 3);
    assert_eq!(books.count("SELECT count(*) FROM idempotency_claims").await, 3);
}

/// Repeats the request until it is a 201; meanwhile it is told to wait.
async fn insist(office: &Office, citizen: &Citizen, key: &str) -> (Duration, String) {
    let begun = Instant::now();
    let answer = eventually("an answer to the key", Duration::from_secs(90), async || {
        let answer = office.tell(Call::open(citizen, Some(key))).await;
        if answer.is_problem(409, "idempotency_key_in_use") {
            assert!(answer.retry_after.is_some(), "{answer:?}");
            return None;
        }
        Some(answer.expect(201))
    })
    .await;
    (begun.elapsed(), answer.body)
}
