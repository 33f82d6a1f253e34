//! What single calls of the database's functions do at their edges, where the ports cannot lead them one at a time.

use std::time::Duration;

use guiche_kernel::{Actor, Clock as _, Limit, StoreError};
use guiche_tickets::{
    Claim, ClaimOutcome, ClaimRequest, PageStart, Ticket, TicketPage, TicketQuery, TicketStatus,
};
use tokio_postgres::Client;

use crate::scene::{Scene, number, texts};

/// Closes the invoice of a ticket whose version is said to be `version` and the invoice's status `status`.
fn expiry(ticket: &Ticket, version: i64, hash: &str, status: &str) -> String {
    format!(
        "SELECT save_ticket('{}', {version}, {version} + 1, 'expired', now(), NULL, NULL, NULL, now(), NULL,
            ARRAY[{hash}], ARRAY['{status}'], ARRAY['expired'], ARRAY[NULL::timestamptz], ARRAY[NULL::bytea],
            ARRAY[NULL::timestamptz], 2, '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}')",
        ticket.id()
    )
}

/// As the worker, in a transaction that is taken back.
async fn answered(worker: &Client, call: &str) -> String {
    worker.batch_execute("BEGIN").await.unwrap();
    let answer = texts(worker, call).await.remove(0);
    let still = "SELECT version::text || ' ' || (SELECT status FROM invoices) FROM tickets";
    let state = texts(worker, still).await.remove(0);
    worker.batch_execute("ROLLBACK").await.unwrap();
    format!("{answer} {state}")
}

#[tokio::test]
async fn a_save_compares_each_thing_by_itself_and_is_whole_or_nothing() {
    let scene = Scene::new().await;
    let ticket = scene.opened(scene.person("alice@example.org").await).await;
    let worker = scene.database.raw(&scene.database.worker_url()).await;
    let hex: String =
        ticket.invoices()[0].payment_hash.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
    let hash = format!(r"'\x{hex}'::bytea");
    assert_eq!(answered(&worker, &expiry(&ticket, 1, &hash, "open")).await, "done 2 expired");
    for (what, call) in [
        ("another version", expiry(&ticket, 2, &hash, "open")),
        ("another status", expiry(&ticket, 1, &hash, "withdrawn")),
        ("no such invoice", expiry(&ticket, 1, "sha256('nobody')", "open")),
    ] {
        assert_eq!(answered(&worker, &call).await, "conflict 1 open", "{what}");
    }
}

#[tokio::test]
async fn an_event_that_is_pushed_names_its_invoice() {
    let scene = Scene::new().await;
    let ticket = scene.opened(scene.person("alice@example.org").await).await;
    let hash = ticket.invoices()[0].payment_hash;
    scene.clock.advance(Duration::from_secs(901));
    let mut tx = scene.stores.tickets().begin(Actor::Worker).await.unwrap();
    let mut locked = tx.tickets().lock(ticket.id()).await.unwrap().unwrap();
    let _ = locked.expire(&hash, scene.clock.now(), scene.clock.now());
    tx.tickets().save(&locked).await.unwrap();
    tx.outbox().push(&locked.take_events(&scene.ids)).await.unwrap();
    tx.commit().await.unwrap();
    let named =
        "SELECT count(*) FROM outbox o JOIN invoices i USING (payment_hash) WHERE kind = 'ticket.expired'";
    assert_eq!(number(&scene.superuser().await, named).await, 1);
}

async fn claimed(scene: &Scene, caller: guiche_kernel::Caller, request: &ClaimRequest) -> Claim {
    let outcome = scene.stores.tickets().claim(caller, request).await.unwrap();
    let ClaimOutcome::Mine(claim) = outcome else { panic!("{outcome:?}") };
    claim
}

#[tokio::test]
async fn a_lapsed_claim_of_exactly_the_last_moment_is_not_too_old() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let first = claimed(&scene, alice, &scene.request()).await;
    scene.clock.advance(Duration::from_secs(30));
    let again = ClaimRequest { renew_before: first.requested_at, ..scene.request() };
    assert_eq!(claimed(&scene, alice, &again).await.subject, first.subject);
    scene.clock.advance(Duration::from_secs(30));
    let later =
        ClaimRequest { renew_before: first.requested_at + Duration::from_micros(1), ..scene.request() };
    assert_eq!(claimed(&scene, alice, &later).await.subject, later.subject);
}

#[tokio::test]
async fn only_the_subject_of_the_claim_completes_it() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let claim = claimed(&scene, alice, &scene.request()).await;
    let ticket = scene.opened(alice).await;
    let other = Claim { subject: scene.ids.uuid(), ..claim.clone() };
    let mut tx = scene.stores.tickets().begin(alice.into()).await.unwrap();
    let hash = ticket.invoices()[0].payment_hash;
    let refused = tx.claims().complete(&other, ticket.id(), &hash).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    tx.claims().complete(&claim, ticket.id(), &hash).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn an_offset_ends_where_the_count_does() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    scene.fill(alice, "pending", 10_002).await;
    let page = async |rows: u32, status: Option<TicketStatus>| {
        let query = TicketQuery { limit: Limit::try_new(5).unwrap(), start: PageStart::Offset(rows), status };
        scene.stores.tickets().list(alice, &query).await.unwrap()
    };
    let end = TicketPage::COUNTED_UP_TO;
    for status in [None, Some(TicketStatus::Pending)] {
        assert_eq!(page(end, status).await.tickets.len(), 2, "{status:?}");
        for beyond in [end + 1, u32::MAX] {
            let page = page(beyond, status).await;
            assert_eq!((page.tickets.len(), page.total, page.next), (0, None, None), "{status:?}");
        }
    }
}

#[tokio::test]
async fn old_rows_are_forgotten_in_batches_until_there_are_none() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let client = scene.superuser().await;
    let fill = format!(
        "INSERT INTO idempotency_claims SELECT '{0}', 'r', n::text, sha256('x'), gen_random_uuid(), m, m, m
            FROM generate_series(1, 12001) n, LATERAL (SELECT '2026-01-01'::timestamptz + n * interval '1 s' AS m) _;
        INSERT INTO sessions SELECT gen_random_uuid(), '{0}', '2025-01-01', '2026-01-01'::timestamptz + n * interval '1 s'
            FROM generate_series(1, 12001) n",
        alice.user_id
    );
    client.batch_execute(&fill).await.unwrap();
    let before = time::macros::datetime!(2026-01-01 00:00 UTC) + Duration::from_secs(12_001);
    assert_eq!(scene.stores.tickets().prune_claims(before).await.unwrap(), 12_000);
    assert_eq!(scene.stores.prune_sessions(before).await.unwrap(), 12_000);
    for table in ["idempotency_claims", "sessions"] {
        assert_eq!(number(&client, &format!("SELECT count(*) FROM {table}")).await, 1, "{table}");
    }
    // No call takes more than its share, however many there are.
    client
        .batch_execute(&format!("DELETE FROM sessions; DELETE FROM idempotency_claims; {fill}"))
        .await
        .unwrap();
    let worker = scene.database.raw(&scene.database.worker_url()).await;
    for function in ["prune_claims", "prune_sessions"] {
        let once = format!("SELECT pruned FROM {function}('infinity', 5000)");
        assert_eq!(number(&worker, &once).await, 5_000, "{function}");
    }
}
