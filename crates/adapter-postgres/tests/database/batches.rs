//! Tickets that are written together: how many at once, and what happens to all of them when the database does not do it.
//!
//! The tests run on one thread: what is asked for before anybody waits is in the queue when the first writer looks at it.

use std::time::Duration;

use futures::future::join_all;
use guiche_kernel::{Caller, StoreError};
use guiche_tickets::{Ticket, TicketEvent};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::scene::{Scene, number};
use crate::waiting::{SOON, answered, stopped};

/// Every insertion of tickets stops until the advisory lock 1 is free, however short the patience with other locks.
const GATE: &str = "
    CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS $$
    BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$;
    CREATE TRIGGER gate BEFORE INSERT ON tickets FOR EACH STATEMENT EXECUTE FUNCTION gate()";
/// Transactions that wrote tickets.
const COMMITS: &str = "SELECT count(DISTINCT xmin::text) FROM tickets";

fn fresh(scene: &Scene, callers: &[Caller], count: usize) -> Vec<(Caller, Ticket, Vec<TicketEvent>)> {
    let callers = callers.iter().cycle().take(count);
    let all = callers.map(|caller| {
        let mut ticket = scene.ticket(*caller);
        let events = ticket.take_events(&scene.ids);
        (*caller, ticket, events)
    });
    all.collect()
}

/// Asks for all of them; the calls are under way when this returns.
async fn asked(
    scene: &Scene,
    all: &[(Caller, Ticket, Vec<TicketEvent>)],
) -> Vec<JoinHandle<Result<(), StoreError>>> {
    let calls = all.iter().cloned().map(|(caller, ticket, events)| {
        let store = scene.stores.tickets();
        tokio::spawn(async move { store.open(caller, &ticket, &events, None).await })
    });
    let calls = calls.collect();
    tokio::task::yield_now().await;
    calls
}

async fn closed_gate(scene: &Scene) -> Client {
    let keeper = scene.superuser().await;
    keeper.batch_execute(&format!("{GATE}; SELECT pg_advisory_lock(1)")).await.unwrap();
    keeper
}

async fn open_gate(keeper: &Client) {
    keeper.batch_execute("SELECT pg_advisory_unlock(1); DROP TRIGGER gate ON tickets").await.unwrap();
}

#[tokio::test]
async fn two_hundred_at_once_are_a_handful_of_transactions() {
    let scene = Scene::new().await;
    let people = [scene.person("alice@example.org").await, scene.person("bob@example.org").await];
    let all = fresh(&scene, &people, 200);
    for outcome in answered(asked(&scene, &all).await).await {
        outcome.unwrap();
    }
    let observer = scene.superuser().await;
    assert_eq!(number(&observer, "SELECT count(*) FROM tickets").await, 200);
    assert_eq!(number(&observer, COMMITS).await, 4, "64, 64, 64 and 8");
    for (caller, ticket, _) in &all {
        let read = scene.stores.tickets().find((*caller).into(), ticket.id()).await.unwrap();
        assert_eq!(read.as_ref(), Some(ticket));
    }
}

#[tokio::test]
async fn a_lone_one_waits_for_nobody() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let mut opening = Box::pin(scene.opened(alice));
    tokio::time::timeout(SOON, &mut opening).await.expect("no company is waited for");
}

#[tokio::test]
async fn many_large_forms_fit_into_one_batch() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let mut all = fresh(&scene, &[alice], 64);
    for (_, ticket, _) in &mut all {
        let mut record = ticket.record().clone();
        let form = serde_json::json!({ "letter": "x".repeat(64 * 1024) });
        record.form = guiche_tickets::FormData::restore(form).unwrap();
        *ticket = Ticket::restore(record, ticket.invoices().to_vec()).unwrap();
    }
    for outcome in answered(asked(&scene, &all).await).await {
        outcome.unwrap();
    }
    let observer = scene.superuser().await;
    assert_eq!(number(&observer, COMMITS).await, 1);
    assert_eq!(
        number(&observer, "SELECT min(length(form_data ->> 'letter'))::bigint FROM tickets").await,
        65_536
    );
}

#[tokio::test]
async fn a_connection_that_dies_in_the_middle_is_told_to_all_of_its_batch() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let acknowledged = scene.opened(alice).await;
    let keeper = closed_gate(&scene).await;
    // Two batches under way; whoever comes after them is served by another connection.
    let calls = asked(&scene, &fresh(&scene, &[alice], 128)).await;
    let doomed = stopped(&scene, &scene.superuser().await, 2).await;
    let late = asked(&scene, &fresh(&scene, &[alice], 3)).await;
    for process in doomed {
        keeper.execute("SELECT pg_terminate_backend($1)", &[&process]).await.unwrap();
    }
    for outcome in answered(calls).await {
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    }
    open_gate(&keeper).await;
    for outcome in answered(late).await {
        outcome.unwrap();
    }
    assert_eq!(number(&keeper, "SELECT count(*) FROM tickets").await, 4);
    assert!(scene.stores.tickets().find(alice.into(), acknowledged.id()).await.unwrap().is_some());
}

#[tokio::test]
async fn who_gives_up_takes_nobody_along() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let keeper = closed_gate(&scene).await;
    let observer = scene.superuser().await;
    // Four in two batches at the gate, and four in the queue behind them.
    let mut calls = asked(&scene, &fresh(&scene, &[alice], 2)).await;
    stopped(&scene, &observer, 1).await;
    calls.extend(asked(&scene, &fresh(&scene, &[alice], 2)).await);
    stopped(&scene, &observer, 2).await;
    calls.extend(asked(&scene, &fresh(&scene, &[alice], 4)).await);
    for given_up in [0, 2, 4, 6] {
        calls[given_up].abort();
    }
    tokio::task::yield_now().await;
    open_gate(&keeper).await;
    let outcomes = tokio::time::timeout(SOON, join_all(calls)).await.expect("nobody waits for ever");
    for (place, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(outcome) => outcome.unwrap(),
            Err(aborted) => assert!(aborted.is_cancelled() && place % 2 == 0),
        }
    }
    // The two that were being written were written; the two in the queue were not.
    assert_eq!(number(&observer, "SELECT count(*) FROM tickets").await, 6);
}

#[tokio::test]
async fn who_waits_for_a_lock_does_so_alone() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let stored = scene.opened(alice).await;
    let all = fresh(&scene, &[alice], 5);
    let [.., (_, slow, _)] = &all[..] else { panic!("five") };
    // Somebody has written this payment hash, and may yet commit it or not.
    let hex: String = slow.invoices()[0].payment_hash.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
    let keeper = scene.superuser().await;
    let same = format!(
        r"BEGIN; INSERT INTO invoices VALUES ('\x{hex}', '{}', '{}', 50000, 2, 'p', 'b', now(), 'infinity', 'expired')",
        stored.id(),
        alice.user_id
    );
    keeper.batch_execute(&same).await.unwrap();
    let mut calls = asked(&scene, &all).await;
    let slow = calls.pop().unwrap();
    for outcome in answered(calls).await {
        outcome.unwrap();
    }
    assert!(!slow.is_finished(), "it waits for who has the lock");
    // Nor does it keep others from being written now.
    for outcome in answered(asked(&scene, &fresh(&scene, &[alice], 3)).await).await {
        outcome.unwrap();
    }
    keeper.batch_execute("COMMIT").await.unwrap();
    let outcome = answered(vec![slow]).await.remove(0);
    assert!(matches!(outcome, Err(StoreError::Duplicate)), "{outcome:?}");
}

/// The scene with other stores, which wait for a connection so long.
async fn with_patience(scene: Scene, connections: usize, wait_timeout: Duration) -> Scene {
    let mut options = scene.database.options();
    (options.app_connections, options.wait_timeout) = (connections, wait_timeout);
    Scene::on(guiche_adapter_postgres::PgStores::connect(options).await.unwrap(), scene.database)
}

#[tokio::test]
async fn without_a_connection_nobody_waits_longer_than_for_one() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let scene = with_patience(scene, 1, Duration::from_millis(100)).await;
    let held = scene.stores.tickets().begin(alice.into()).await.unwrap();
    // More than two batches.
    for outcome in answered(asked(&scene, &fresh(&scene, &[alice], 200)).await).await {
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    }
    held.rollback().await.unwrap();
    scene.opened(alice).await;
}

#[tokio::test]
async fn who_waited_too_long_for_a_writer_is_not_written() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let patience = Duration::from_millis(100);
    let scene = with_patience(scene, 4, patience).await;
    let keeper = closed_gate(&scene).await;
    let under_way = asked(&scene, &fresh(&scene, &[alice], 128)).await;
    stopped(&scene, &scene.superuser().await, 2).await;
    let queued = asked(&scene, &fresh(&scene, &[alice], 5)).await;
    // The one clock that a writer measures by; the server's own goes on as ever.
    tokio::time::pause();
    tokio::time::advance(patience * 2).await;
    tokio::time::resume();
    open_gate(&keeper).await;
    for outcome in answered(under_way).await {
        outcome.unwrap();
    }
    for outcome in answered(queued).await {
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    }
    assert_eq!(number(&keeper, "SELECT count(*) FROM tickets").await, 128);
}

#[tokio::test]
async fn closing_answers_everybody() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let keeper = closed_gate(&scene).await;
    let under_way = asked(&scene, &fresh(&scene, &[alice], 128)).await;
    stopped(&scene, &scene.superuser().await, 2).await;
    let queued = asked(&scene, &fresh(&scene, &[alice], 5)).await;
    scene.stores.close();
    open_gate(&keeper).await;
    for outcome in answered(under_way).await {
        outcome.unwrap();
    }
    for outcome in answered(queued).await {
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    }
}

/// The runtime that drives the connections ends first: against the promise, and still nobody waits for ever.
#[test]
fn the_end_of_the_home_runtime_is_told_to_who_waits() {
    let home = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let here = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (scene, alice) = home.block_on(async {
        let scene = Scene::new().await;
        let alice = scene.person("alice@example.org").await;
        (scene, alice)
    });
    let all = fresh(&scene, &[alice], 3);
    home.shutdown_background();
    let outcomes = here.block_on(async { answered(asked(&scene, &all).await).await });
    for outcome in outcomes {
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    }
}
