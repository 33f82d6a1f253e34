//! Events out, as far as the contract cannot tell: who sees them, what they cost, and what simultaneous work does to them.

use std::time::Duration;

use guiche_adapter_postgres::PgStores;
use guiche_kernel::{Clock as _, Limit, Sealed, StoreError, Timestamp};
use guiche_webhooks::{
    Attempted, DeliveryQuery, DisabledReason, Endpoint, EndpointId, EndpointState, EndpointUrl, Next,
    SealedSecrets, Subscription,
};
use tokio_postgres::Client;

use crate::scene::{Scene, number, refusal, texts};

const EVENTS: &str = "SELECT count(*) FROM outbox WHERE NOT fanned_out";
const DELIVERIES: &str = "SELECT count(*) FROM webhook_deliveries";
const LEASE: Duration = Duration::from_mins(1);

fn endpoint(scene: &Scene) -> Endpoint {
    let id = EndpointId::new(scene.ids.uuid());
    Endpoint {
        id,
        url: EndpointUrl::parse("https://example.org/hook").unwrap(),
        description: String::new(),
        subscription: Subscription::All,
        state: EndpointState::Active,
        secrets: SealedSecrets { current: Sealed::from_text("v1.key.nonce.sealed"), previous: None },
        created_at: scene.clock.now(),
        failing_since: None,
    }
}

async fn added(scene: &Scene) -> EndpointId {
    let endpoint = endpoint(scene);
    scene.stores.endpoints().insert(&endpoint).await.unwrap();
    endpoint.id
}

fn many() -> Limit {
    Limit::try_new(Limit::MAX).unwrap()
}

async fn fan_out(stores: &PgStores, now: Timestamp) -> u64 {
    stores.deliveries().fan_out(now, many()).await.unwrap().events
}

#[tokio::test]
async fn an_event_is_told_as_the_ticket_stood() {
    let scene = Scene::new().await;
    let id = added(&scene).await;
    let citizen = scene.person("ana@example.org").await;
    let ticket = scene.opened(citizen).await;
    let now = scene.clock.now();
    assert_eq!(fan_out(&scene.stores, now).await, 1);
    let due = scene.stores.deliveries().claim(now, now + LEASE, 4, many()).await.unwrap();
    let (to, event) = due[0].content.as_ref().unwrap();
    assert_eq!(to.id, id);
    let body: serde_json::Value = serde_json::from_slice(&event.body()).unwrap();
    let expected = serde_json::json!({
        "type": "ticket.opened",
        "timestamp": "2026-01-01T12:00:00Z",
        "data": {
            "ticket_id": ticket.id().to_string(),
            "user_id": citizen.user_id.to_string(),
            "operation_id": 1,
            "operation_name": "driver_license_renewal",
            "amount_sats": 50_000,
            "payment_status": "pending",
            "version": 1,
            "payment_hash": ticket.invoices()[0].payment_hash.to_string(),
        },
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn an_event_that_commits_after_a_later_one_is_not_passed_over() {
    let scene = Scene::new().await;
    added(&scene).await;
    let citizen = scene.person("ana@example.org").await;
    scene.opened(citizen).await;
    let superuser = scene.superuser().await;
    // A transaction that takes its position first and commits last.
    let slow = scene.superuser().await;
    let push = "INSERT INTO outbox (id, kind, happened_at, ticket_id, user_id, amount_sats, operation_id, status, version)
        SELECT gen_random_uuid(), 'ticket.expired', now(), id, user_id, amount_sats, operation_id, 'expired', 2 FROM tickets";
    slow.batch_execute("BEGIN").await.unwrap();
    slow.batch_execute(push).await.unwrap();
    superuser.batch_execute(push).await.unwrap();
    let now = scene.clock.now();
    assert_eq!(fan_out(&scene.stores, now).await, 2);
    slow.batch_execute("COMMIT").await.unwrap();
    assert_eq!(number(&superuser, EVENTS).await, 1);
    assert_eq!(fan_out(&scene.stores, now).await, 1);
    assert_eq!(number(&superuser, DELIVERIES).await, 3);
}

#[tokio::test]
async fn what_happened_before_there_were_endpoints_is_told_to_nobody() {
    let scene = Scene::new().await;
    scene.citizen("ana@example.org").await;
    let owner = scene.database.raw(&scene.database.owner_url()).await;
    for step in [
        include_str!("../../../../migrations/2026-11-22-000700_webhooks/down.sql"),
        include_str!("../../../../migrations/2026-11-22-000700_webhooks/up.sql"),
    ] {
        owner.batch_execute(step).await.unwrap();
    }
    let superuser = scene.superuser().await;
    assert_eq!(number(&superuser, "SELECT count(*) FROM outbox").await, 1);
    assert_eq!(number(&superuser, EVENTS).await, 0);
    scene.citizen("bia@example.org").await;
    assert_eq!(number(&superuser, EVENTS).await, 1);
}

#[tokio::test]
async fn the_login_that_serves_citizens_sees_none_of_it() {
    let scene = Scene::new().await;
    added(&scene).await;
    scene.citizen("ana@example.org").await;
    let app = scene.app().await;
    for sql in [
        "SELECT * FROM webhook_endpoints",
        "SELECT * FROM webhook_deliveries",
        "UPDATE webhook_endpoints SET secret = secret",
        "DELETE FROM webhook_deliveries",
        "UPDATE outbox SET fanned_out = true",
        "SELECT fan_out_events(now(), 1)",
        "SELECT claim_deliveries(now(), now(), 1, 1)",
        "SELECT webhook_standing()",
    ] {
        let refused = refusal(&app, sql).await;
        assert!(refused.starts_with("42501"), "{sql}: {refused}");
    }
    let worker = scene.database.raw(&scene.database.worker_url()).await;
    for sql in ["DELETE FROM webhook_endpoints", "UPDATE webhook_endpoints SET url = url"] {
        let refused = refusal(&worker, sql).await;
        assert!(refused.starts_with("42501"), "{sql}: {refused}");
    }
    let owner = scene.database.raw(&scene.database.owner_url()).await;
    assert_eq!(number(&owner, "SELECT count(*) FROM webhook_endpoints").await, 0);
}

#[tokio::test]
async fn a_secret_in_the_clear_cannot_be_stored() {
    let scene = Scene::new().await;
    let mut clear = endpoint(&scene);
    clear.secrets.current = Sealed::from_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let refused = scene.stores.endpoints().insert(&clear).await.unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt(_)), "{refused:?}");
    let told = format!("{refused:?} {:?}", std::error::Error::source(&refused));
    assert!(!told.contains("whsec"), "{told}");
}

#[tokio::test]
async fn with_an_event_go_its_deliveries() {
    let scene = Scene::new().await;
    added(&scene).await;
    scene.citizen("ana@example.org").await;
    fan_out(&scene.stores, scene.clock.now()).await;
    let superuser = scene.superuser().await;
    assert_eq!(number(&superuser, DELIVERIES).await, 1);
    superuser.batch_execute("DELETE FROM outbox").await.unwrap();
    assert_eq!(number(&superuser, DELIVERIES).await, 0);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_fails_alone() {
    let scene = Scene::new().await;
    let (ill, fine) = (added(&scene).await, added(&scene).await);
    scene.citizen("ana@example.org").await;
    let now = scene.clock.now();
    fan_out(&scene.stores, now).await;
    let damage = format!("UPDATE webhook_endpoints SET url = 'nowhere' WHERE id = '{ill}'");
    scene.superuser().await.batch_execute(&damage).await.unwrap();
    let deliveries = scene.stores.deliveries();
    let due = deliveries.claim(now, now + LEASE, 4, many()).await.unwrap();
    let read = |id| due.iter().find(|due| due.claim.endpoint_id == id).unwrap();
    assert!(read(fine).content.is_ok());
    assert!(matches!(read(ill).content, Err(StoreError::Corrupt(_))));
    let next = Next::RetryAt(now + LEASE);
    assert!(deliveries.record(&read(ill).claim, Attempted::Unreadable, next, now).await.unwrap());
}

/// How often the table was read from end to end, and how many of its rows were fetched by an index, in this session.
async fn reads(client: &Client) -> (i64, i64) {
    client.batch_execute("SELECT pg_stat_force_next_flush()").await.unwrap();
    let row = client
        .query_one(
            "SELECT coalesce(seq_scan, 0), coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables
            WHERE relname = 'webhook_deliveries'",
            &[],
        )
        .await
        .unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn a_claim_costs_the_same_however_much_was_delivered() {
    let scene = Scene::new().await;
    added(&scene).await;
    scene.citizen("ana@example.org").await;
    let superuser = scene.superuser().await;
    let fill = "
        BEGIN;
        SET LOCAL session_replication_role = replica;
        INSERT INTO webhook_deliveries
        SELECT gen_random_uuid(), (SELECT id FROM webhook_endpoints), 'delivered', 1, now() - n * interval '1 second', now(),
            NULL, now() - n * interval '1 second', 'http_200'
        FROM generate_series(1, 30000) n;
        COMMIT;
        ANALYZE";
    superuser.batch_execute(fill).await.unwrap();
    fan_out(&scene.stores, scene.clock.now()).await;
    let worker = scene.database.raw(&scene.database.worker_url()).await;
    let (scans, fetched) = reads(&worker).await;
    for sql in [
        "SELECT * FROM claim_deliveries('2026-01-02', '2026-01-02 00:01', 4, 16)",
        "SELECT * FROM webhook_standing()",
        "SELECT * FROM fan_out_events('2026-01-02', 100)",
        "SELECT * FROM prune_deliveries('2000-01-01', 5000)",
    ] {
        worker.simple_query(sql).await.unwrap();
        let (scans_after, fetched_after) = reads(&worker).await;
        assert_eq!(scans_after, scans, "{sql}: read from end to end");
        assert!(fetched_after - fetched < 20, "{sql}: {} rows", fetched_after - fetched);
    }
    let newest = DeliveryQuery { limit: Limit::try_new(10).unwrap(), ..DeliveryQuery::default() };
    // The rows that were filled in have no events, and are passed over.
    assert_eq!(scene.stores.deliveries().list(&newest).await.unwrap().len(), 1);
}

/// Two that choose at the same moment: neither takes away what it has no place for, and neither goes away empty.
#[tokio::test]
async fn who_chooses_beside_another_is_given_something_of_another_endpoint() {
    let scene = Scene::new().await;
    let (first, second) = (added(&scene).await, added(&scene).await);
    scene.citizen("ana@example.org").await;
    fan_out(&scene.stores, scene.clock.now()).await;
    let worker = scene.database.worker_url();
    let (one, other) = (scene.database.raw(&worker).await, scene.database.raw(&worker).await);
    let claim = "SELECT endpoint_id::text FROM claim_deliveries('2026-01-02', '2026-01-02 00:01', 4, 1)";
    one.batch_execute("BEGIN").await.unwrap();
    let mut told = texts(&one, claim).await;
    told.extend(texts(&other, claim).await);
    one.batch_execute("COMMIT").await.unwrap();
    told.sort_unstable();
    let mut both = [first.to_string(), second.to_string()];
    both.sort_unstable();
    assert_eq!(told, both);
}

/// Everything at once, on few endpoints: nothing waits in a circle, nothing is lost or done twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_at_the_same_moment_nothing_is_refused_or_lost() {
    let scene = std::sync::Arc::new(Scene::new().await);
    let (steady, shaky) = (added(&scene).await, added(&scene).await);
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..3_u64 {
        let scene = std::sync::Arc::clone(&scene);
        tasks.spawn(async move {
            let citizen = scene.person(&format!("p{worker}@example.org")).await;
            let (deliveries, endpoints) = (scene.stores.deliveries(), scene.stores.endpoints());
            for round in 0..25_u64 {
                scene.opened(citizen).await;
                let now = scene.clock.now();
                deliveries.fan_out(now, many()).await.unwrap();
                for (index, due) in
                    deliveries.claim(now, now + LEASE, 100, many()).await.unwrap().iter().enumerate()
                {
                    let fine = due.claim.endpoint_id == steady || (index + 1) % 3 == 0;
                    let status = Attempted::Answered(if fine { 200 } else { 500 });
                    let next = if fine { Next::Delivered } else { Next::RetryAt(now) };
                    let ours = deliveries.record(&due.claim, status, next, now).await.unwrap();
                    assert!(ours || due.claim.endpoint_id == shaky);
                }
                match (round + worker) % 3 {
                    0 => drop(endpoints.disable(shaky, DisabledReason::Operator, None, now).await.unwrap()),
                    1 => drop(endpoints.enable(shaky).await.unwrap()),
                    _ => {
                        let newest = deliveries.list(&DeliveryQuery::default()).await.unwrap();
                        for delivery in newest.iter().filter(|delivery| delivery.endpoint_id == shaky) {
                            deliveries.redeliver(delivery.event_id, Some(shaky), now).await.unwrap();
                        }
                    }
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let now = scene.clock.now();
    fan_out(&scene.stores, now).await;
    scene.stores.endpoints().disable(shaky, DisabledReason::Operator, None, now).await.unwrap();
    let superuser = scene.superuser().await;
    let of = |id: EndpointId| {
        format!(
            "SELECT state || ' ' || count(*) FROM webhook_deliveries WHERE endpoint_id = '{id}' GROUP BY state ORDER BY 1"
        )
    };
    let states = texts(&superuser, &of(steady)).await.join(", ");
    let left = scene.stores.deliveries().claim(now, now + LEASE, 100, many()).await.unwrap().len();
    assert!(
        states == format!("delivered {}", 75 - left)
            || states == format!("delivered {}, pending {left}", 75 - left),
        "{states}"
    );
    let of_shaky = texts(&superuser, &of(shaky)).await.join(", ");
    assert!(!of_shaky.contains("pending"), "nothing waits for a disabled endpoint: {of_shaky}");
}
