//! Tickets that are read together: each by its own citizen, and what happens to all of them when the database does not do it.
//!
//! The tests run on one thread: what is asked for before anybody waits is in the queue when the first batch is put together.

use std::time::Duration;

use futures::future::join_all;
use guiche_kernel::{Caller, Limit, StoreError};
use guiche_tickets::{Cursor, PageStart, Ticket, TicketId, TicketPage, TicketQuery, TicketStatus};
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::scene::{Scene, number, texts};
use crate::waiting::{SOON, answered, stopped};

/// So many go by themselves; the others gather.
const FIRST: usize = 1;
const BATCHES: &str = "SELECT last_value FROM batches";

/// From now on batches are counted, and each begins with the given statements.
async fn plant(scene: &Scene, function: &str, statements: &str) {
    let planted = format!(
        "CREATE SEQUENCE batches MINVALUE 0 START 0;
        SELECT nextval('batches');
        GRANT USAGE ON SEQUENCE batches TO guiche_app;
        DO $do$ BEGIN
            EXECUTE replace(
                pg_get_functiondef('{function}'::regproc), 'BEGIN', $$BEGIN PERFORM nextval('batches'); {statements}$$
            );
        END $do$"
    );
    scene.superuser().await.batch_execute(&planted).await.unwrap();
}

type Found = Result<Option<Ticket>, StoreError>;

/// Asks for all of them; the calls are under way when this returns.
async fn asked(scene: &Scene, all: &[(Caller, TicketId)]) -> Vec<JoinHandle<Found>> {
    let calls = all.iter().map(|&(caller, ticket)| {
        let store = scene.stores.tickets();
        tokio::spawn(async move { store.find(caller.into(), ticket).await })
    });
    let calls = calls.collect();
    tokio::task::yield_now().await;
    calls
}

/// Nobody reads a ticket until the returned client commits.
async fn closed(scene: &Scene) -> Client {
    let keeper = scene.superuser().await;
    keeper.batch_execute("BEGIN; LOCK TABLE tickets IN ACCESS EXCLUSIVE MODE").await.unwrap();
    keeper
}

/// Asks for one ticket so often that whoever comes next has to wait, and then for all of the others: in one batch, if they
/// fit into one.
async fn together(scene: &Scene, all: &[(Caller, TicketId)]) -> Vec<Found> {
    let keeper = closed(scene).await;
    let first = asked(scene, &[all[0]; FIRST]).await;
    stopped(scene, &scene.superuser().await, FIRST).await;
    let calls = asked(scene, all).await;
    keeper.batch_execute("COMMIT").await.unwrap();
    for outcome in answered(first).await {
        outcome.unwrap();
    }
    answered(calls).await
}

async fn two(scene: &Scene) -> ((Caller, Ticket), (Caller, Ticket)) {
    let (alice, bob) = (scene.person("alice@example.org").await, scene.person("bob@example.org").await);
    ((alice, scene.opened(alice).await), (bob, scene.opened(bob).await))
}

#[tokio::test]
async fn everybody_finds_their_own_and_nobody_elses() {
    let scene = Scene::new().await;
    let ((alice, hers), (bob, his)) = two(&scene).await;
    let unknown = TicketId::new(Uuid::nil());
    let all = [
        (alice, hers.id(), Some(&hers)),
        (alice, his.id(), None),
        (bob, his.id(), Some(&his)),
        (bob, hers.id(), None),
        (alice, unknown, None),
        (alice, hers.id(), Some(&hers)),
    ];
    let questions: Vec<_> = all.iter().map(|&(caller, ticket, _)| (caller, ticket)).collect();
    for (found, (_, _, expected)) in together(&scene, &questions).await.into_iter().zip(all) {
        assert_eq!(found.unwrap().as_ref(), expected);
    }
}

#[tokio::test]
async fn an_ended_session_is_told_to_its_caller_only() {
    let scene = Scene::new().await;
    let ((alice, hers), (bob, his)) = two(&scene).await;
    scene
        .superuser()
        .await
        .batch_execute("UPDATE users SET epoch = 1 WHERE email_key LIKE 'bob%'")
        .await
        .unwrap();
    let all = [(alice, hers.id()), (bob, his.id()), (bob, hers.id()), (alice, hers.id())];
    let found = together(&scene, &all).await;
    assert!(matches!(
        &found[..],
        [Ok(Some(one)), Err(StoreError::Revoked), Err(StoreError::Revoked), Ok(Some(other))]
            if *one == hers && *other == hers
    ));
}

/// A ticket with several invoices is whole, and the places of a batch are not mixed up.
#[tokio::test]
async fn tickets_of_several_invoices_stay_apart() {
    let scene = Scene::new().await;
    let ((alice, hers), (bob, his)) = two(&scene).await;
    let superuser = scene.superuser().await;
    for ordinal in [3, 2] {
        let more = format!(
            "INSERT INTO invoices SELECT sha256('{ordinal}' || ticket_id::text::bytea), ticket_id, user_id, amount_sats,
                {ordinal}, provider_invoice_id || {ordinal}, bolt11, issued_at, expires_at, 'expired'
            FROM invoices WHERE ordinal = 1"
        );
        superuser.batch_execute(&more).await.unwrap();
    }
    let mut alone = Vec::new();
    for (caller, ticket) in [(alice, hers.id()), (bob, his.id())] {
        alone.push(scene.stores.tickets().find(caller.into(), ticket).await.unwrap());
    }
    assert_eq!(alone[0].as_ref().unwrap().invoices().len(), 3);
    let all = [(alice, hers.id()), (bob, his.id()), (alice, hers.id()), (alice, hers.id()), (bob, his.id())];
    let found: Vec<_> = together(&scene, &all).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(found, [0, 1, 0, 0, 1].map(|which: usize| alone[which].clone()));
}

#[tokio::test]
async fn a_hundred_at_once_are_a_handful_of_batches() {
    let scene = Scene::new().await;
    let ((alice, hers), _) = two(&scene).await;
    plant(&scene, "find_tickets", "").await;
    for found in together(&scene, &[(alice, hers.id()); 100]).await {
        assert_eq!(found.unwrap().as_ref(), Some(&hers));
    }
    assert_eq!(number(&scene.superuser().await, BATCHES).await, 4, "32, 32, 32 and 4");
}

#[tokio::test]
async fn when_a_batch_is_refused_each_is_asked_alone() {
    let scene = Scene::new().await;
    let ((alice, hers), (bob, his)) = two(&scene).await;
    plant(&scene, "find_tickets", "PERFORM 1 / 0;").await;
    let all = [(alice, hers.id()), (bob, his.id()), (bob, hers.id())];
    let found: Vec<_> = together(&scene, &all).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(found, [Some(hers), Some(his), None]);
    assert_eq!(number(&scene.superuser().await, BATCHES).await, 1);
}

/// What a batch leaves out, for whatever reason, is not taken as an answer.
#[tokio::test]
async fn what_a_batch_does_not_find_is_asked_alone() {
    let scene = Scene::new().await;
    let ((alice, hers), (bob, his)) = two(&scene).await;
    plant(&scene, "find_tickets", "RETURN;").await;
    let found: Vec<_> = together(&scene, &[(alice, hers.id()), (bob, his.id())])
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(found, [Some(hers), Some(his)]);
    assert_eq!(number(&scene.superuser().await, BATCHES).await, 1);
}

#[tokio::test]
async fn who_gives_up_takes_nobody_along() {
    let scene = Scene::new().await;
    let ((alice, hers), (bob, his)) = two(&scene).await;
    plant(&scene, "find_tickets", "").await;
    let keeper = closed(&scene).await;
    let mut calls = asked(&scene, &[(alice, hers.id()), (bob, his.id())]).await;
    stopped(&scene, &scene.superuser().await, FIRST).await;
    calls.extend(asked(&scene, &[(alice, hers.id()), (bob, his.id())].repeat(3)).await);
    // One of those that go by themselves, which gives its turn on, and some of those that wait.
    for given_up in [0, 2, 5] {
        calls[given_up].abort();
    }
    tokio::task::yield_now().await;
    keeper.batch_execute("COMMIT").await.unwrap();
    let outcomes = tokio::time::timeout(SOON, join_all(calls)).await.expect("nobody waits for ever");
    for (place, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(found) => assert_eq!(found.unwrap().as_ref(), Some(if place % 2 == 0 { &hers } else { &his })),
            Err(aborted) => assert!(aborted.is_cancelled() && [0, 2, 5].contains(&place)),
        }
    }
    assert_eq!(number(&keeper, BATCHES).await, 1);
}

#[tokio::test]
async fn a_connection_that_dies_in_the_middle_is_told_to_all_of_its_batch() {
    let scene = Scene::new().await;
    let ((alice, hers), (bob, his)) = two(&scene).await;
    // The batch stops inside of the database, after those who went by themselves.
    plant(&scene, "find_tickets", "PERFORM pg_advisory_xact_lock_shared(1);").await;
    let (keeper, observer) = (closed(&scene).await, scene.superuser().await);
    observer.batch_execute("SELECT pg_advisory_lock(1)").await.unwrap();
    let first = asked(&scene, &[(alice, hers.id()); FIRST]).await;
    stopped(&scene, &observer, FIRST).await;
    let calls = asked(&scene, &[(alice, hers.id()), (bob, his.id()), (bob, hers.id())]).await;
    keeper.batch_execute("COMMIT").await.unwrap();
    for found in answered(first).await {
        assert_eq!(found.unwrap().as_ref(), Some(&hers));
    }
    for process in stopped(&scene, &observer, 1).await {
        observer.execute("SELECT pg_terminate_backend($1)", &[&process]).await.unwrap();
    }
    for found in answered(calls).await {
        assert!(matches!(found, Err(StoreError::Unavailable(_))), "{found:?}");
    }
    observer.batch_execute("SELECT pg_advisory_unlock(1)").await.unwrap();
    let found = answered(asked(&scene, &[(alice, hers.id()), (bob, his.id())]).await).await;
    assert_eq!(found.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [Some(hers), Some(his)]);
}

#[tokio::test]
async fn who_waited_too_long_for_a_turn_is_told() {
    let scene = Scene::new().await;
    let ((alice, hers), _) = two(&scene).await;
    let patience = scene.database.options().wait_timeout;
    let keeper = closed(&scene).await;
    let first = asked(&scene, &[(alice, hers.id()); FIRST]).await;
    stopped(&scene, &scene.superuser().await, FIRST).await;
    let queued = asked(&scene, &[(alice, hers.id()); 5]).await;
    // Nobody's answer can come meanwhile, so that no timer but that of the queue goes by this clock's leap.
    tokio::time::pause();
    tokio::time::advance(patience + Duration::from_millis(1)).await;
    tokio::time::resume();
    keeper.batch_execute("COMMIT").await.unwrap();
    for found in answered(first).await {
        assert_eq!(found.unwrap().as_ref(), Some(&hers));
    }
    for found in answered(queued).await {
        assert!(matches!(found, Err(StoreError::Unavailable(_))), "{found:?}");
    }
}

#[tokio::test]
async fn while_batches_are_slow_more_of_them_go() {
    let scene = Scene::new().await;
    let ((alice, hers), _) = two(&scene).await;
    let (keeper, observer) = (closed(&scene).await, scene.superuser().await);
    let mut calls = asked(&scene, &[(alice, hers.id()); FIRST]).await;
    stopped(&scene, &observer, FIRST).await;
    calls.extend(asked(&scene, &[(alice, hers.id()); 5]).await);
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(11)).await;
    tokio::time::resume();
    // The next one finds that somebody waits for long, and both go in a turn more.
    calls.extend(asked(&scene, &[(alice, hers.id())]).await);
    stopped(&scene, &observer, FIRST + 1).await;
    keeper.batch_execute("COMMIT").await.unwrap();
    for found in answered(calls).await {
        assert_eq!(found.unwrap().as_ref(), Some(&hers));
    }
}

#[tokio::test]
async fn closing_answers_everybody() {
    let scene = Scene::new().await;
    let ((alice, hers), _) = two(&scene).await;
    let keeper = closed(&scene).await;
    let first = asked(&scene, &[(alice, hers.id()); FIRST]).await;
    stopped(&scene, &scene.superuser().await, FIRST).await;
    let queued = asked(&scene, &[(alice, hers.id()); 5]).await;
    scene.stores.close();
    keeper.batch_execute("COMMIT").await.unwrap();
    for found in answered(first).await {
        assert_eq!(found.unwrap().as_ref(), Some(&hers));
    }
    for found in answered(queued).await {
        assert!(matches!(found, Err(StoreError::Unavailable(_))), "{found:?}");
    }
}

fn query(limit: u16, status: Option<TicketStatus>, start: PageStart) -> TicketQuery {
    TicketQuery { status, limit: Limit::try_new(limit).unwrap(), start }
}

fn summary(page: &TicketPage) -> (Vec<TicketId>, Option<u32>, Option<Cursor>) {
    (page.tickets.iter().map(|ticket| ticket.id).collect(), page.total, page.next)
}

/// Pages of every kind, of several citizens, in one batch: as each of them is alone.
#[tokio::test]
async fn pages_together_are_as_they_are_alone() {
    let scene = Scene::new().await;
    let (alice, bob) = (scene.person("alice@example.org").await, scene.person("bob@example.org").await);
    let (empty, ended) = (scene.person("empty@example.org").await, scene.person("ended@example.org").await);
    for (caller, count) in [(alice, 25), (bob, 3), (ended, 4)] {
        scene.fill(caller, "pending", count).await;
    }
    scene
        .superuser()
        .await
        .batch_execute("UPDATE users SET epoch = 1 WHERE email_key LIKE 'ended%'")
        .await
        .unwrap();
    let store = scene.stores.tickets();
    let next = store.list(alice, &query(7, None, PageStart::Newest)).await.unwrap().next.unwrap();
    let of_alice = [
        query(20, None, PageStart::Newest),
        query(25, None, PageStart::Newest),
        query(1, None, PageStart::Newest),
        query(20, None, PageStart::After(next)),
        query(5, None, PageStart::Offset(10)),
        query(20, None, PageStart::Offset(24)),
        query(20, None, PageStart::Offset(25)),
        query(20, None, PageStart::Offset(10_001)),
        query(20, Some(TicketStatus::Pending), PageStart::Newest),
        query(20, Some(TicketStatus::Paid), PageStart::Newest),
    ];
    let newest = query(20, None, PageStart::Newest);
    let mut all: Vec<(Caller, TicketQuery)> = of_alice.into_iter().map(|query| (alice, query)).collect();
    all.extend([bob, empty, ended, bob].map(|caller| (caller, newest.clone())));
    // Bob shows Alice's cursor.
    all.push((bob, query(20, None, PageStart::After(next))));

    plant(&scene, "list_tickets_of", "").await;
    let keeper = closed(&scene).await;
    let list = |(caller, query): (Caller, TicketQuery)| {
        let store = scene.stores.tickets();
        tokio::spawn(async move { store.list(caller, &query).await })
    };
    let first: Vec<_> = (0..FIRST).map(|_| list((alice, newest.clone()))).collect();
    tokio::task::yield_now().await;
    stopped(&scene, &scene.superuser().await, FIRST).await;
    let calls: Vec<_> = all.iter().cloned().map(list).collect();
    tokio::task::yield_now().await;
    keeper.batch_execute("COMMIT").await.unwrap();
    answered(first).await;
    let pages = answered(calls).await;
    assert_eq!(number(&keeper, BATCHES).await, 1);
    for (page, (caller, query)) in pages.into_iter().zip(all) {
        let alone = store.list(caller, &query).await;
        match (&page, &alone) {
            (Ok(page), Ok(alone)) => assert_eq!(summary(page), summary(alone), "{query:?}"),
            (Err(StoreError::Revoked), Err(StoreError::Revoked)) => assert_eq!(caller, ended),
            _ => panic!("{query:?}: {page:?}, but alone {alone:?}"),
        }
    }
}

/// By raw SQL: a caller sees what is theirs, and nothing stays in force afterwards.
#[tokio::test]
async fn no_row_comes_under_another_identity_than_its_callers() {
    let scene = Scene::new().await;
    let ((alice, hers), (bob, his)) = two(&scene).await;
    let app = scene.app().await;
    let array = |of: &[String]| format!("ARRAY['{}']", of.join("', '"));
    let callers = [alice, alice, bob, bob, alice];
    let users = array(&callers.map(|caller| caller.user_id.to_string()));
    let tickets = array(&[&hers, &his, &hers, &his, &hers].map(|ticket| ticket.id().to_string()));
    let find = format!(
        "SELECT place || ' ' || (user_id = ({users}::uuid[])[place]) FROM find_tickets({users}::uuid[], ARRAY[0, 0, 0, 0, 1],
            {tickets}::uuid[])"
    );
    assert_eq!(texts(&app, &find).await, ["1 true", "4 true"]);
    let list = format!(
        "SELECT DISTINCT place || ' ' || total || ' ' || id FROM list_tickets_of({users}::uuid[], ARRAY[0, 0, 0, 1, 1],
            ARRAY[NULL, NULL, NULL, NULL, NULL]::timestamptz[], ARRAY[NULL, NULL, NULL, NULL, NULL]::uuid[],
            ARRAY[0, 0, 0, 0, 0], ARRAY[9, 9, 9, 9, 9]) ORDER BY 1"
    );
    let expected =
        [(1, &hers), (2, &hers), (3, &his)].map(|(place, ticket)| format!("{place} 1 {}", ticket.id()));
    assert_eq!(texts(&app, &list).await, expected);
    for table in ["users", "tickets", "invoices"] {
        assert_eq!(
            number(&app, &format!("SELECT count(*) FROM {table}")).await,
            0,
            "{table}: nobody is in force"
        );
    }
    assert_eq!(texts(&app, "SHOW plan_cache_mode").await, ["auto"], "nor is anything else of it");
}
