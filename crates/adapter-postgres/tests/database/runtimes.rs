//! A server has many threads, each with a runtime of its own, that end one by one; connections are of all of them.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use guiche_adapter_postgres::testing::TestDatabase;
use guiche_adapter_postgres::{ConnectError, PgOptions, PgStores};
use guiche_kernel::{Caller, Epoch, UserId};
use guiche_tickets::TicketId;
use guiche_users::{Email, NewAccount, PasswordHash};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

fn several_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Stores with one connection of each login, so that whoever comes next gets the one that was used before.
async fn one_connection() -> (PgStores, TestDatabase) {
    let database = TestDatabase::new().await;
    let mut options = database.options();
    options.app_connections = 1;
    (PgStores::lazy(&options).unwrap(), database)
}

fn account() -> NewAccount {
    NewAccount {
        id: UserId::new(Uuid::from_u128(7)),
        email: Email::parse("a@example.org").unwrap(),
        password_hash: PasswordHash::new("$2b$04$".to_owned()),
        created_at: time::macros::datetime!(2026-01-01 12:00 UTC),
    }
}

#[test]
fn without_a_runtime_there_is_no_pool() {
    let nowhere = "postgresql://guiche_app@localhost/guiche";
    let refused = PgStores::lazy(&PgOptions::new(nowhere, nowhere)).map(drop);
    assert!(matches!(refused, Err(ConnectError::Pool(_))), "{refused:?}");
}

#[test]
fn a_connection_outlives_the_thread_that_made_it() {
    let main = several_threads();
    let (stores, _database) = main.block_on(one_connection());
    // The first worker connects, and then is busy with something else: its runtime exists, but nobody runs it.
    let first = one_thread();
    first.block_on(stores.ping()).unwrap();
    let (answered, answer) = mpsc::channel();
    let second = {
        let stores = stores.clone();
        thread::spawn(move || answered.send(one_thread().block_on(stores.ping())).unwrap())
    };
    answer.recv_timeout(Duration::from_secs(4)).expect("nobody drives the connection").unwrap();
    second.join().unwrap();
    drop(first);
    one_thread().block_on(stores.ping()).unwrap();
}

#[test]
fn a_worker_that_ends_first_takes_nobody_along() {
    let main = several_threads();
    let (stores, _database) = main.block_on(one_connection());
    let (connected, ready) = mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let first = {
        let stores = stores.clone();
        thread::spawn(move || {
            one_thread().block_on(async move {
                stores.users().register(&account()).await.unwrap();
                connected.send(()).unwrap();
                stopped.await.unwrap();
            });
        })
    };
    ready.recv().unwrap();
    let caller = Caller { user_id: account().id, epoch: Epoch::FIRST };
    one_thread().block_on(async {
        let mut tx = stores.tickets().begin(caller.into()).await.unwrap();
        stop.send(()).unwrap();
        first.join().unwrap();
        assert!(tx.tickets().lock(TicketId::new(Uuid::nil())).await.unwrap().is_none());
        tx.commit().await.unwrap();
    });
}

/// Nothing of an open transaction stays behind on the thread where it was used last.
#[test]
fn a_transaction_goes_on_wherever_it_is_awaited() {
    let main = several_threads();
    let (stores, _database) = main.block_on(one_connection());
    main.block_on(stores.users().register(&account())).unwrap();
    let caller = Caller { user_id: account().id, epoch: Epoch::FIRST };
    let tickets = stores.tickets();
    let mut tx = one_thread().block_on(tickets.begin(caller.into())).unwrap();
    for _ in 0..3 {
        let locked = one_thread().block_on(tx.tickets().lock(TicketId::new(Uuid::nil())));
        assert!(locked.unwrap().is_none());
    }
    main.block_on(tx.commit()).unwrap();
    one_thread().block_on(stores.ping()).unwrap();
}

/// The statement that still runs is cancelled by a task, which must not be of the runtime that ends with the request.
#[test]
fn what_a_dying_thread_leaves_running_is_cancelled() {
    let main = several_threads();
    let (stores, database) = main.block_on(one_connection());
    main.block_on(stores.users().register(&account())).unwrap();
    let blocker = main.block_on(async {
        let blocker = database.raw(&database.superuser_url()).await;
        blocker.batch_execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.unwrap();
        blocker
    });
    let caller = Caller { user_id: account().id, epoch: Epoch::FIRST };
    let dying = one_thread();
    let users = stores.users();
    let cut_short = dying.block_on(async {
        tokio::time::timeout(Duration::from_millis(100), users.get(&caller)).await.is_err()
    });
    drop(dying);
    assert!(cut_short);
    main.block_on(async {
        let observer = database.raw(&database.superuser_url()).await;
        let waiting = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}' AND wait_event_type = 'Lock'",
            database.name()
        );
        let begun = Instant::now();
        while crate::scene::number(&observer, &waiting).await > 0 {
            // The server would notice by itself within a second that its client has gone.
            assert!(begun.elapsed() < Duration::from_millis(600), "still waiting for its lock");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    drop(blocker);
}
