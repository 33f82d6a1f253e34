//! When the database does not do what it should, or the program stops in the middle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use guiche_adapter_embedded_postgres::{Acquire, EmbeddedPostgres, Options};
use guiche_adapter_postgres::testing::TestDatabase;
use guiche_adapter_postgres::{PgOptions, PgStores, ROLES_SQL};
use guiche_kernel::{Actor, Caller, Epoch, StoreError};
use guiche_tickets::TicketStore;
use tokio::sync::Barrier;

use crate::scene::{Scene, number};

async fn scene_with(change: impl FnOnce(&mut PgOptions)) -> Scene {
    let database = TestDatabase::new().await;
    let mut options = database.options();
    change(&mut options);
    Scene::on(PgStores::connect(options).await.unwrap(), database)
}

/// Connections of the stores that are inside a transaction.
async fn in_transaction(scene: &Scene) -> i64 {
    let client = scene.superuser().await;
    let name = scene.database.name();
    let query = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}' AND state LIKE 'idle in transaction%'"
    );
    number(&client, &query).await
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(3), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_transaction_leaves_nothing_open_and_the_pool_whole() {
    let scene = scene_with(|options| options.app_connections = 1).await;
    let alice = scene.person("alice@example.org").await;
    let ticket = scene.opened(alice).await;
    let store = scene.stores.tickets();
    for _ in 0..5 {
        let mut tx = store.begin(alice.into()).await.unwrap();
        assert!(tx.tickets().lock(ticket.id()).await.unwrap().is_some());
        drop(tx);
        // With one connection in all, the pool must have made a new one.
        assert!(store.find(alice.into(), ticket.id()).await.unwrap().is_some());
    }
    eventually("a transaction stays open", async || in_transaction(&scene).await == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_cut_short_gives_back_every_lock_of_its_transaction_at_once() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let (wanted, held) = (scene.opened(alice).await, scene.opened(alice).await);
    let store = scene.stores.tickets();
    let mut blocker = store.begin(Actor::Worker).await.unwrap();
    assert!(blocker.tickets().lock(wanted.id()).await.unwrap().is_some());

    let cut_short = async {
        let mut tx = store.begin(alice.into()).await.unwrap();
        assert!(tx.tickets().lock(held.id()).await.unwrap().is_some());
        let _ = tx.tickets().lock(wanted.id()).await;
        panic!("the second lock was not waited for");
    };
    let timed_out = tokio::time::timeout(Duration::from_millis(200), cut_short).await;
    assert!(timed_out.is_err());

    // The statement that waited is cancelled, not left to its lock timeout of seconds.
    let begun = Instant::now();
    let mut next = store.begin(alice.into()).await.unwrap();
    assert!(next.tickets().lock(held.id()).await.unwrap().is_some());
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    next.rollback().await.unwrap();
    blocker.rollback().await.unwrap();
}

#[tokio::test]
async fn a_refused_beginning_leaves_the_connection_usable() {
    let scene = scene_with(|options| options.app_connections = 1).await;
    let alice = scene.person("alice@example.org").await;
    let store = scene.stores.tickets();
    let stale = Caller { epoch: Epoch::new(7), ..alice };
    for _ in 0..3 {
        assert!(matches!(store.begin(stale.into()).await.err(), Some(StoreError::Revoked)));
        assert_eq!(in_transaction(&scene).await, 0);
        store.begin(alice.into()).await.unwrap().commit().await.unwrap();
    }
    let client = scene.superuser().await;
    let made = format!(
        "SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE application_name = '{}' AND usename = 'guiche_app'",
        scene.database.name()
    );
    assert_eq!(number(&client, &made).await, 1, "a refusal costs no connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_connections_are_replaced() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let ticket = scene.opened(alice).await;
    let store = scene.stores.tickets();
    let mut tx = store.begin(alice.into()).await.unwrap();
    assert!(tx.tickets().lock(ticket.id()).await.unwrap().is_some());
    let client = scene.superuser().await;
    let terminate = format!(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name = '{}'",
        scene.database.name()
    );
    assert!(number(&client, &terminate).await > 0);
    let lost = tx.tickets().lock(ticket.id()).await;
    assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
    let committed = tx.commit().await;
    assert!(matches!(committed, Err(StoreError::Unavailable(_))), "{committed:?}");
    eventually("all lost connections are noticed", async || {
        for _ in 0..20 {
            if !store.find(alice.into(), ticket.id()).await.is_ok_and(|found| found.is_some()) {
                return false;
            }
        }
        true
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_pool_is_unavailable_and_not_waited_for_without_end() {
    let scene = scene_with(|options| {
        options.app_connections = 1;
        options.wait_timeout = Duration::from_millis(100);
    })
    .await;
    let alice = scene.person("alice@example.org").await;
    let store = scene.stores.tickets();
    let tx = store.begin(alice.into()).await.unwrap();
    let refused = store.begin(alice.into()).await.err();
    assert!(matches!(refused, Some(StoreError::Unavailable(_))), "{refused:?}");
    tx.rollback().await.unwrap();
    store.begin(alice.into()).await.unwrap().rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_takes_too_long_is_a_conflict_and_the_wait_ends() {
    let scene = scene_with(|options| options.lock_timeout = Duration::from_millis(100)).await;
    let alice = scene.person("alice@example.org").await;
    let ticket = scene.opened(alice).await;
    let store = scene.stores.tickets();
    let mut holder = store.begin(alice.into()).await.unwrap();
    assert!(holder.tickets().lock(ticket.id()).await.unwrap().is_some());
    let mut waiter = store.begin(alice.into()).await.unwrap();
    let refused = waiter.tickets().lock(ticket.id()).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    waiter.rollback().await.unwrap();
    holder.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_wait_for_each_other_do_not_wait_for_ever() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let (one, other) = (scene.opened(alice).await, scene.opened(alice).await);
    let store = scene.stores.tickets();
    let each_has_one = Arc::new(Barrier::new(2));
    let both = |first, second| {
        let store: Arc<dyn TicketStore> = Arc::clone(&store);
        let each_has_one = Arc::clone(&each_has_one);
        async move {
            let mut tx = store.begin(alice.into()).await?;
            tx.tickets().lock(first).await?;
            each_has_one.wait().await;
            tx.tickets().lock(second).await?;
            tx.commit().await
        }
    };
    let (first, second) = tokio::join!(both(one.id(), other.id()), both(other.id(), one.id()));
    let refused =
        [&first, &second].into_iter().filter(|outcome| matches!(outcome, Err(StoreError::Conflict))).count();
    let committed = [&first, &second].into_iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!((committed, refused), (1, 1), "{first:?} {second:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_is_unavailable_at_once_and_a_started_one_available_again() {
    let directory = Options::throwaway_directory(&format!("stopped-{}", std::process::id()));
    let options = Options {
        linger: Duration::ZERO,
        bootstrap_sql: Some(ROLES_SQL.to_owned()),
        database: Some(("guiche".to_owned(), "guiche_owner".to_owned())),
        acquire: Acquire::from_environment().unwrap(),
        ..Options::throwaway(&directory)
    };
    let server = EmbeddedPostgres::start(options.clone()).await.unwrap();
    let mut stores =
        PgOptions::new(server.url("guiche_app", "guiche"), server.url("guiche_worker", "guiche"));
    stores.app_connections = 2;
    let stores = PgStores::connect(stores).await.unwrap();
    stores.ping().await.unwrap();
    server.shutdown().await.unwrap();
    let begun = Instant::now();
    for _ in 0..5 {
        let refused = stores.ping().await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let server = EmbeddedPostgres::start(options).await.unwrap();
    stores.ping().await.unwrap();
    stores.close();
    assert!(matches!(stores.ping().await, Err(StoreError::Unavailable(_))));
    let home = server.directory().to_owned();
    server.shutdown().await.unwrap();
    std::fs::remove_dir_all(home).unwrap();
}
