//! What only the inside can see: whose identity a connection carries, and which statements it keeps.

use std::time::Duration;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};
use guiche_kernel::{Actor, Caller, Epoch, StoreError, Tx as _, UserId};
use guiche_tickets::{TicketId, TicketQuery, TicketTx as _};
use guiche_users::{Email, NewAccount, PasswordHash};
use time::macros::datetime;
use uuid::Uuid;

use crate::pool::PgPool;
use crate::stores::PgStores;
use crate::testing::TestDatabase;
use crate::tx::PgTx;

#[derive(QueryableByName)]
struct Seen {
    #[diesel(sql_type = Text)]
    identity: String,
    #[diesel(sql_type = BigInt)]
    accounts: i64,
}

async fn seen(pool: &PgPool) -> (String, i64) {
    let look = "SELECT coalesce(current_setting('app.user_id', true), '') AS identity,
        (SELECT count(*) FROM users) AS accounts";
    let seen: Seen = pool.rows(diesel::sql_query(look)).await.unwrap().pop().unwrap();
    (seen.identity, seen.accounts)
}

/// Stores with one connection for citizens, so that whoever comes next gets the one that was used before.
async fn one_connection() -> (PgStores, Caller, TestDatabase) {
    let database = TestDatabase::new().await;
    let mut options = database.options();
    options.app_connections = 1;
    let stores = PgStores::connect(options).await.unwrap();
    let account = NewAccount {
        id: UserId::new(Uuid::from_u128(0x0195_f3a4_7c1e_7c3a_8d5e_0123_4567_89ab)),
        email: Email::parse("alice@example.org").unwrap(),
        password_hash: PasswordHash::new("$2b$04$".to_owned()),
        created_at: datetime!(2026-01-01 12:00 UTC),
    };
    stores.users().register(&account).await.unwrap();
    (stores, Caller { user_id: account.id, epoch: Epoch::FIRST }, database)
}

#[tokio::test]
async fn no_end_of_a_call_or_a_transaction_leaves_an_identity_behind() {
    let (stores, alice, _database) = one_connection().await;
    let (app, worker) = stores.pools();
    let nobody = (String::new(), 0);
    let begin = || PgTx::begin(app, worker, Actor::User(alice));
    let stale = Caller { epoch: Epoch::new(9), ..alice };

    stores.users().get(&alice).await.unwrap();
    assert_eq!(seen(app).await, nobody, "after a call");
    assert!(matches!(stores.users().get(&stale).await, Err(StoreError::Revoked)));
    assert_eq!(seen(app).await, nobody, "after a refused call");
    Box::new(begin().await.unwrap()).commit().await.unwrap();
    assert_eq!(seen(app).await, nobody, "after a commit");
    Box::new(begin().await.unwrap()).rollback().await.unwrap();
    assert_eq!(seen(app).await, nobody, "after a rollback");
    assert!(PgTx::begin(app, worker, Actor::User(stale)).await.is_err());
    assert_eq!(seen(app).await, nobody, "after a refused beginning");
    drop(begin().await.unwrap());
    assert_eq!(seen(app).await, nobody, "after a drop");

    let mut broken = begin().await.unwrap();
    assert!(broken.lease.run(diesel::sql_query("SELECT 1 / 0")).await.is_err());
    Box::new(broken).rollback().await.unwrap();
    assert_eq!(seen(app).await, nobody, "after an error and a rollback");

    let mut asleep = begin().await.unwrap();
    let sleep = asleep.lease.run(diesel::sql_query("SELECT pg_sleep(10)"));
    assert!(tokio::time::timeout(Duration::from_millis(50), sleep).await.is_err());
    drop(asleep);
    assert_eq!(seen(app).await, nobody, "after a call that was cut short");

    let sleep = app.run(diesel::sql_query("SELECT set_config('app.user_id', 'x', false), pg_sleep(10)"));
    assert!(tokio::time::timeout(Duration::from_millis(50), sleep).await.is_err());
    assert_eq!(seen(app).await, nobody, "after a call outside a transaction that was cut short");
}

#[tokio::test]
async fn a_commit_after_an_error_is_not_taken_for_one() {
    let (stores, alice, _database) = one_connection().await;
    let (app, worker) = stores.pools();
    let mut broken = PgTx::begin(app, worker, Actor::User(alice)).await.unwrap();
    assert!(broken.lease.run(diesel::sql_query("SELECT 1 / 0")).await.is_err());
    // The server answers such a COMMIT with ROLLBACK and no error.
    let committed = Box::new(broken).commit().await;
    assert!(committed.is_err(), "nothing was kept, and the caller must not believe otherwise");
}

#[tokio::test]
async fn calls_are_prepared_once_for_each_connection() {
    #[derive(QueryableByName)]
    struct Prepared {
        #[diesel(sql_type = Text)]
        statement: String,
    }
    let (stores, alice, _database) = one_connection().await;
    let (app, worker) = stores.pools();
    for round in 0..20_u128 {
        stores.tickets().find(alice.into(), TicketId::new(Uuid::from_u128(round))).await.unwrap();
        stores.tickets().list(alice, &TicketQuery::default()).await.unwrap();
        stores.users().get(&alice).await.unwrap();
        stores.operations().list().await.unwrap();
        let mut tx = PgTx::begin(app, worker, Actor::User(alice)).await.unwrap();
        tx.tickets().lock(TicketId::new(Uuid::from_u128(round))).await.unwrap();
        Box::new(tx).commit().await.unwrap();
    }
    let look =
        "SELECT statement FROM pg_prepared_statements WHERE statement NOT LIKE '%pg_prepared%' ORDER BY 1";
    let prepared: Vec<Prepared> = app.rows(diesel::sql_query(look)).await.unwrap();
    let beginnings: Vec<String> =
        prepared.iter().map(|row| row.statement.chars().take_while(|c| *c != '(').collect()).collect();
    let calls = ["account_of", "find_ticket", "list_tickets", "lock_ticket", "register"];
    for call in calls {
        let times = beginnings.iter().filter(|text| text.trim() == format!("SELECT * FROM {call}")).count();
        assert_eq!(times, 1, "{call}: {beginnings:?}");
    }
    assert!(beginnings.len() <= calls.len() + 2, "and the ping and the catalogue: {beginnings:?}");
}

#[tokio::test]
async fn what_the_server_says_unasked_is_no_answer() {
    let (stores, _, _database) = one_connection().await;
    let (app, _) = stores.pools();
    let mut lease = app.lease().await.unwrap();
    for _ in 0..3 {
        lease.run(diesel::sql_query("DO $$ BEGIN RAISE NOTICE 'unasked'; END $$")).await.unwrap();
    }
    drop(lease);
    assert_eq!(seen(app).await, (String::new(), 0));
}

/// Longer than any buffer on the way, so that reading and passing on take turns.
#[tokio::test]
async fn an_answer_of_any_length_arrives() {
    #[derive(QueryableByName)]
    struct Number {
        #[diesel(sql_type = BigInt)]
        n: i64,
    }
    let (stores, _, _database) = one_connection().await;
    let (app, _) = stores.pools();
    let count = "SELECT n, repeat('x', 1000) FROM generate_series(1::bigint, 20000) n";
    let numbers: Vec<Number> = app.rows(diesel::sql_query(count)).await.unwrap();
    assert!(numbers.iter().map(|row| row.n).eq(1..=20_000));
}
