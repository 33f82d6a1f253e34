//! What must be so of Lightning addresses when everything has come to rest: our books, those of who runs nodes and of who
//! runs stores, and the audit trail.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use guiche_kernel::{Timestamp, UserId};
use guiche_lightning_setup::audit::Walk;
use guiche_lightning_setup::{AuditEntry, AuditRow, SetupId};
use serde_json::Value;

use crate::books::Books;
use crate::hosts::Hosts;

/// What our books say of a setup. The names are those under which its attempts order outside.
const SETUPS: &str = "
    SELECT a.id::text AS id, a.status::text AS status, a.attempt::bigint AS attempts,
        'g-' || replace(a.id::text, '-', '') || '-' || a.attempt AS name,
        coalesce(a.voltage_node_id, '') AS node, coalesce(a.btcpay_store_id, '') AS store,
        coalesce((SELECT s.resource FROM lightning_setup_steps s WHERE s.lightning_address_id = a.id
            AND s.attempt = a.attempt AND s.step = 'webhook_registered'), '') AS webhook,
        ARRAY(SELECT 'g-' || replace(a.id::text, '-', '') || '-' || s.attempt FROM lightning_setup_steps s
            WHERE s.lightning_address_id = a.id AND s.state = 'orphaned') AS orphans,
        ARRAY(SELECT l.operation_type::text FROM lightning_setup_log l WHERE l.lightning_address_id = a.id
            ORDER BY l.number) AS told,
        coalesce(lightning_fault_text(a.fault), 'no fault') AS fault
    FROM lightning_addresses a";

const TRAIL: &str = "
    SELECT number, id::text AS id, user_id::text AS user_id, lightning_address_id::text AS setup,
        operation_type::text AS operation, btcpay_configured, voltage_configured, success, error_message,
        (extract(epoch FROM created_at) * 1000000)::bigint AS micros, hash
    FROM lightning_setup_log ORDER BY number";

struct Entry {
    id: String,
    status: String,
    attempts: i64,
    name: String,
    node: String,
    store: String,
    webhook: String,
    orphans: Vec<String>,
    told: Vec<String>,
    fault: String,
}

/// How often each status stands in the books.
pub(crate) async fn standing(books: &Books) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for status in books.texts("SELECT status::text FROM lightning_addresses").await {
        *counts.entry(status).or_default() += 1;
    }
    counts
}

/// As if whoever worked on setups had been away for longer than any lease lasts, and than a call's effect can be late.
pub(crate) async fn time_passes(books: &Books) {
    shift(books, "due_at IS NOT NULL").await;
}

/// The same for setups that wait for their time, and that nobody holds.
async fn rest_is_over(books: &Books) {
    shift(books, "due_at > now() + interval '1 second' AND leased_until IS NULL").await;
}

async fn shift(books: &Books, which: &str) {
    let sql = format!(
        "WITH shifted AS (
            UPDATE lightning_addresses SET due_at = due_at - interval '70 seconds',
                leased_until = leased_until - interval '70 seconds'
            WHERE {which} RETURNING id
        )
        UPDATE lightning_setup_steps SET since = since - interval '70 seconds'
        WHERE state IN ('intended', 'undoing') AND lightning_address_id IN (SELECT id FROM shifted)"
    );
    books.run(&sql).await;
}

/// Returns when no setup is under way any more; nobody waits for pauses.
pub(crate) async fn come_to_rest(books: &Books, within: Duration) -> Result<(), String> {
    let running = "SELECT address || ' ' || status FROM lightning_addresses WHERE due_at IS NOT NULL";
    let begun = Instant::now();
    loop {
        let left = books.texts(running).await;
        if left.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > within {
            return Err(format!("after {within:?}, setups without an end: {left:?}"));
        }
        rest_is_over(books).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Compares everything to the last entry; the error says what differs. Nothing is under way.
pub(crate) async fn compare(books: &Books, hosts: &Hosts) -> Result<(), String> {
    let entries: Vec<Entry> = books.rows(SETUPS).await.iter().map(Entry::read).collect();
    let (nodes, stores) = (hosts.nodes.ledger().await, hosts.stores.ledger().await);
    let (nodes, stores) = (array(&nodes["nodes"]), array(&stores["stores"]));
    for entry in &entries {
        entry.is_told()?;
        if entry.is_active() {
            entry.is_served_by(nodes, stores)?;
        }
    }
    let active = || entries.iter().filter(|entry| entry.is_active());
    let known: BTreeSet<_> = active().flat_map(|it| [&*it.node, &*it.store]).collect();
    let orphans: BTreeSet<_> = entries.iter().flat_map(|it| it.orphans.iter().map(String::as_str)).collect();
    let ids = nodes.iter().map(|node| (&node["node_id"], &node["name"]));
    for (id, name) in ids.chain(stores.iter().map(|store| (&store["id"], &store["name"]))) {
        let is_ours = known.contains(text(id)) || orphans.contains(text(name));
        ensure(is_ours, || format!("{} exists outside, and no book knows of it: {}", text(name), text(id)))?;
    }
    the_trail_is_whole(books).await
}

impl Entry {
    fn read(row: &tokio_postgres::Row) -> Self {
        Self {
            id: row.get("id"),
            status: row.get("status"),
            attempts: row.get("attempts"),
            name: row.get("name"),
            node: row.get("node"),
            store: row.get("store"),
            webhook: row.get("webhook"),
            orphans: row.get("orphans"),
            told: row.get("told"),
            fault: row.get("fault"),
        }
    }

    fn is_active(&self) -> bool {
        self.status == "fully_configured"
    }

    /// The audit trail says how each attempt began and how it ended, each once; what may be left outside is listed.
    fn is_told(&self) -> Result<(), String> {
        let Self { id, status, attempts, orphans, told, fault, .. } = self;
        let last = match status.as_str() {
            "fully_configured" => "setup_completed",
            "failed" => "setup_failed",
            "needs_attention" => "setup_needs_attention",
            "removed" => "teardown_completed",
            _ => return Err(format!("setup {id} is still {status}")),
        };
        let told_last = told.last().is_some_and(|operation| operation == last);
        ensure(told_last, || format!("setup {id} is {status} ({fault}), and the audit trail says {told:?}"))?;
        let count = |words: &[&str]| told.iter().filter(|word| words.contains(&word.as_str())).count();
        let (begun, ended) =
            (count(&["setup_begun"]), count(&["setup_completed", "setup_failed", "setup_needs_attention"]));
        let attempts = usize::try_from(*attempts).unwrap();
        ensure((begun, ended) == (attempts, attempts), || {
            format!("setup {id} had {attempts} attempts ({fault}), and the audit trail says {told:?}")
        })?;
        let listed = match status.as_str() {
            "needs_attention" => !orphans.is_empty(),
            "failed" | "removed" => orphans.is_empty(),
            _ => true,
        };
        ensure(listed, || {
            format!("setup {id} is {status}, and its journal lists as left outside: {orphans:?}")
        })
    }

    /// One node, one store that reaches it without being able to spend, one webhook; with the ids of our books.
    fn is_served_by(&self, nodes: &[Value], stores: &[Value]) -> Result<(), String> {
        let named = |things: &[Value]| {
            things.iter().filter(|it| it["name"] == *self.name).cloned().collect::<Vec<_>>()
        };
        let (nodes, stores) = (named(nodes), named(stores));
        let ([node], [store]) = (nodes.as_slice(), stores.as_slice()) else {
            return Err(format!("{} exists {} times and {} times", self.name, nodes.len(), stores.len()));
        };
        ensure(node["node_id"] == *self.node && store["id"] == *self.store, || {
            format!("{} has other ids in our books: {} and {}", self.name, self.node, self.store)
        })?;
        let webhooks = array(&store["webhooks"]);
        let leads_here = |webhook: &Value| {
            webhook["id"] == *self.webhook && text(&webhook["url"]).ends_with(&format!("/{}", self.id))
        };
        ensure(webhooks.len() == 1 && webhooks.iter().all(leads_here), || {
            format!("{} has webhooks, which are not {}: {webhooks:?}", self.name, self.webhook)
        })?;
        let connection = &store["connection"];
        let baked = array(&node["wallet"]["baked"]);
        let reaches = text(&connection["server"]).contains(text(&node["endpoint"]))
            && baked.iter().any(|baked| baked["macaroon"] == connection["macaroon"]);
        ensure(reaches, || format!("the store of {} does not reach its node", self.name))
    }
}

/// The chain of hashes, walked from its beginning to its head.
async fn the_trail_is_whole(books: &Books) -> Result<(), String> {
    let mut walk = Walk::new(None);
    for row in books.rows(TRAIL).await {
        walk.step(&audited(&row)).map_err(|broken| broken.to_string())?;
    }
    let head = books.rows("SELECT number, hash FROM lightning_setup_log_head").await;
    let head = head.first().map(|row| (row.get("number"), hash(row)));
    walk.end(head).map(drop).map_err(|broken| broken.to_string())
}

fn audited(row: &tokio_postgres::Row) -> AuditEntry {
    let uuid = |name: &str| row.get::<_, &str>(name).parse().unwrap();
    let micros = i128::from(row.get::<_, i64>("micros"));
    AuditEntry {
        row: AuditRow {
            number: row.get("number"),
            id: uuid("id"),
            user_id: Some(UserId::new(uuid("user_id"))),
            setup: SetupId::new(uuid("setup")),
            operation: row.get("operation"),
            btcpay_configured: row.get("btcpay_configured"),
            voltage_configured: row.get("voltage_configured"),
            success: row.get("success"),
            error_message: row.get("error_message"),
            created_at: Timestamp::from_unix_timestamp_nanos(micros * 1000).unwrap(),
        },
        hash: hash(row),
    }
}

fn hash(row: &tokio_postgres::Row) -> [u8; 32] {
    row.get::<_, Vec<u8>>("hash").try_into().unwrap()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn ensure(is_so: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(what()) }
}
