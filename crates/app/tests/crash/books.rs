//! The database as its superuser sees it, past row-level security.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio_postgres::{Client, Config, NoTls};

use crate::process::World;
use crate::support::eventually;

/// A connection as the superuser.
pub(crate) struct Books(Client);

/// What the database says of a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) status: String,
    pub(crate) invoices: i64,
    pub(crate) open_invoices: i64,
    pub(crate) paid_invoices: i64,
    pub(crate) opened_events: i64,
    pub(crate) paid_events: i64,
}

const ENTRIES: &str = "
    SELECT t.id::text, t.status,
        (SELECT count(*) FROM invoices i WHERE i.ticket_id = t.id),
        (SELECT count(*) FROM invoices i WHERE i.ticket_id = t.id AND i.status = 'open'),
        (SELECT count(*) FROM invoices i WHERE i.ticket_id = t.id AND i.status = 'paid'),
        (SELECT count(*) FROM outbox o WHERE o.ticket_id = t.id AND o.kind = 'ticket.opened'),
        (SELECT count(*) FROM outbox o WHERE o.ticket_id = t.id AND o.kind = 'ticket.paid')
    FROM tickets t";

impl Books {
    /// Of the world's private server.
    pub(crate) async fn of(world: &World) -> Self {
        Self::at(&world.postgres().join("run"), 5432).await
    }

    /// By the socket in that directory.
    pub(crate) async fn at(socket: &Path, port: u16) -> Self {
        eventually("the books", Duration::from_secs(20), async || Self::try_at(socket, port).await).await
    }

    pub(crate) async fn try_at(socket: &Path, port: u16) -> Option<Self> {
        let mut config = Config::new();
        config.host_path(socket).port(port).user("postgres").dbname("guiche").application_name("books");
        config.connect_timeout(Duration::from_secs(2));
        let (client, connection) = config.connect(NoTls).await.ok()?;
        tokio::spawn(connection);
        Some(Self(client))
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.0.batch_execute(sql).await.unwrap();
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.0.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// The first column of every row.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        self.0.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    pub(crate) async fn rows(&self, sql: &str) -> Vec<tokio_postgres::Row> {
        self.0.query(sql, &[]).await.unwrap()
    }

    /// Every ticket by its id.
    pub(crate) async fn entries(&self) -> BTreeMap<String, Entry> {
        let rows = self.0.query(ENTRIES, &[]).await.unwrap();
        rows.into_iter()
            .map(|row| {
                let entry = Entry {
                    status: row.get(1),
                    invoices: row.get(2),
                    open_invoices: row.get(3),
                    paid_invoices: row.get(4),
                    opened_events: row.get(5),
                    paid_events: row.get(6),
                };
                (row.get(0), entry)
            })
            .collect()
    }

    /// Waits until so many sessions of the program wait for a lock.
    pub(crate) async fn somebody_waits(&self) {
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND usename LIKE 'guiche%'";
        eventually("a session that waits for a lock", Duration::from_secs(5), async || {
            (self.count(waiting).await > 0).then_some(())
        })
        .await;
    }

    /// As if a minute had passed for whoever holds a key: claims lapse then. Only while nobody works on one.
    pub(crate) async fn a_minute_passes_for_claims(&self) {
        self.run("UPDATE idempotency_claims SET claimed_until = claimed_until - interval '1 minute'").await;
    }

    /// Refuses what no sequence of crashes may lead to.
    pub(crate) async fn audit(&self) {
        for (id, entry) in self.entries().await {
            let settled = i64::from(entry.status == "paid");
            assert_eq!(entry.invoices, 1, "{id}: {entry:?}");
            assert!(entry.open_invoices <= 1, "{id}: {entry:?}");
            assert_eq!(entry.open_invoices == 1, entry.status == "pending", "{id}: {entry:?}");
            assert_eq!(entry.paid_invoices, settled, "{id}: {entry:?}");
            assert_eq!(entry.paid_events, settled, "{id}: {entry:?}");
            assert_eq!(entry.opened_events, 1, "{id}: {entry:?}");
        }
        let lone = "SELECT (SELECT count(*) FROM invoices) - (SELECT count(*) FROM tickets)";
        assert_eq!(self.count(lone).await, 0, "invoices without tickets");
        let shared = "SELECT count(*) FROM (SELECT FROM idempotency_claims WHERE ticket_id IS NOT NULL
            GROUP BY ticket_id HAVING count(*) > 1) twice";
        assert_eq!(self.count(shared).await, 0, "two keys share a ticket");
    }
}
