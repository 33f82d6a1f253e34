//! Tickets and invoices by the hundred thousand, written by SQL: nobody has to have asked for them.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use guiche_adapter_spark::fake::Entry;
use guiche_kernel::{BoxError, Timestamp};
use guiche_tickets::watch;
use time::format_description::well_known::Rfc3339;
use tokio_postgres::Client;

/// How long an invoice can be paid.
pub(crate) const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Unpaid invoices, each of a ticket of its own, issued evenly over a while that ends at a moment. The schedule of the
/// watcher was kept until then: each waits for its next look after it.
pub(crate) struct Unpaid {
    pub(crate) number: u32,
    pub(crate) over: Duration,
    pub(crate) until: Timestamp,
}

impl Unpaid {
    /// Stores them.
    pub(crate) async fn store(&self, client: &Client) -> Result<(), BoxError> {
        let store = STORE
            .replace("$number", &self.number.to_string())
            .replace("$over", &self.over.as_micros().to_string())
            .replace("$until", &self.until.format(&Rfc3339)?)
            .replace("$lifetime", &LIFETIME.as_secs().to_string())
            .replace("$looks", &looks().map(|after| after.to_string()).collect::<Vec<_>>().join(","));
        // One by one: several statements at once are one transaction, in which nothing can be vacuumed.
        for statement in [&store, "VACUUM ANALYZE", "CHECKPOINT"] {
            client.batch_execute(statement).await?;
        }
        Ok(())
    }

    /// How many looks the schedule has between two moments, in a second.
    pub(crate) fn looks_a_second(&self, from: Timestamp, until: Timestamp) -> f64 {
        let (first, last) = (self.age_of_oldest(from), self.age_of_oldest(until));
        let each = 1.0 / f64::from(self.number);
        let looks: f64 = (0..self.number)
            .map(|number| {
                // Younger than the oldest by its part of the while.
                let younger = self.over.as_secs_f64() * f64::from(number) * each;
                let ages = (first - younger)..(last - younger);
                looks().map(f64::from).filter(|after| ages.contains(after)).map(|_| 1.0).sum::<f64>()
            })
            .sum();
        looks / (last - first)
    }

    fn age_of_oldest(&self, moment: Timestamp) -> f64 {
        (moment - self.until).as_seconds_f64() + self.over.as_secs_f64()
    }
}

/// The ages, in seconds, at which an unpaid invoice is looked at.
fn looks() -> impl Iterator<Item = i32> {
    let issued = Timestamp::UNIX_EPOCH;
    let next = move |after: &Timestamp| watch::next_look(issued, issued + LIFETIME, *after);
    std::iter::successors(next(&issued), next)
        .filter_map(move |at| i32::try_from((at - issued).whole_seconds()).ok())
}

/// As a replica: rules of the tables that look at each row alone would take longer than all the rest. The ids grow with
/// time, as those of the service do; hashes and the provider's names do not.
const STORE: &str = "
    SET synchronous_commit = off;
    SET session_replication_role = replica;
    INSERT INTO users (id, email, email_key, password_hash, epoch, created_at, updated_at)
    SELECT md5('payer ' || n)::uuid, email, email, 'none', 0, now(), now()
    FROM generate_series(0, 999) n, concat('payer-', n, '@example.org') AS email;
    CREATE TEMP TABLE seeds AS
    SELECT n, issued_at, expires_at, expires_at > '$until' AS is_open, md5('payer ' || n % 1000)::uuid AS user_id, sha256(convert_to('seed ' || n, 'UTF8')) AS hash,
        overlay(md5('seed ' || n) placing
            lpad(to_hex((extract(epoch FROM issued_at) * 1000)::bigint), 12, '0') || '7' from 1)::uuid AS id
    FROM generate_series(1, $number) n, LATERAL (
        SELECT '$until'::timestamptz - ($number - n) * ($over / $number) * interval '1 microsecond'
    ) AS at (issued_at), LATERAL (SELECT issued_at + interval '$lifetime seconds') AS until (expires_at);
    INSERT INTO tickets (
        id, user_id, operation_id, operation_name, amount_sats, form_data, status, version, created_at, updated_at, expires_at
    )
    SELECT s.id, s.user_id, o.id, o.name, o.price_sats, '{}', CASE WHEN s.is_open THEN 'pending' ELSE 'expired' END, 1,
        s.issued_at, s.issued_at, s.expires_at
    FROM seeds s, (SELECT * FROM operations WHERE id = 1) o ORDER BY s.n;
    INSERT INTO invoices (
        payment_hash, ticket_id, user_id, amount_sats, ordinal, provider_invoice_id, bolt11, issued_at, expires_at, status
    )
    SELECT s.hash, s.id, s.user_id, o.price_sats, 1, 'SparkLightningReceiveRequest:' || md5('seed ' || s.n)::uuid,
        'lnbcrt500u' || repeat('q', 390), s.issued_at, s.expires_at, CASE WHEN s.is_open THEN 'open' ELSE 'expired' END
    FROM seeds s, (SELECT * FROM operations WHERE id = 1) o ORDER BY s.n;
    INSERT INTO invoice_looks (
        payment_hash, ticket_id, user_id, provider_invoice_id, issued_at, expires_at, due_at, open
    )
    SELECT i.payment_hash, i.ticket_id, i.user_id, i.provider_invoice_id, i.issued_at, i.expires_at, next.look, i.status = 'open'
    FROM invoices i, LATERAL (
        SELECT min(i.issued_at + after * interval '1 second') FROM unnest(ARRAY[$looks]) AS after
        WHERE i.issued_at + after * interval '1 second' > '$until'
    ) AS next (look)
    WHERE next.look IS NOT NULL ORDER BY i.issued_at;
    DROP TABLE seeds;
    RESET session_replication_role;
    RESET synchronous_commit";

/// Writes what a provider would know of all the invoices that are stored. `paid` tells, by their place in the order of
/// their issue, which were paid and when.
pub(crate) async fn write_ledger(
    client: &Client,
    file: &Path,
    paid: impl Fn(usize) -> Option<Timestamp>,
) -> Result<(), BoxError> {
    let stored = "
        SELECT ticket_id::text, provider_invoice_id::text, encode(payment_hash, 'hex'), bolt11::text,
            extract(epoch FROM expires_at)::bigint
        FROM invoices ORDER BY issued_at";
    let mut ledger = BufWriter::new(File::create(file)?);
    for (place, row) in client.query(stored, &[]).await?.iter().enumerate() {
        let paid_at = paid(place);
        let spark_status =
            if paid_at.is_some() { "TRANSFER_COMPLETED" } else { "INVOICE_CREATED" }.to_owned();
        let entry = Entry {
            key: row.get(0),
            id: row.get(1),
            payment_hash: row.get(2),
            bolt11: row.get(3),
            expires_at: Timestamp::from_unix_timestamp(row.get(4))?,
            amount_sats: 50_000,
            memo: String::new(),
            expiry_seconds: LIFETIME.as_secs(),
            preimage: String::new(),
            spark_status,
            paid_at,
        };
        serde_json::to_writer(&mut ledger, &entry)?;
        ledger.write_all(b"\n")?;
    }
    Ok(ledger.flush()?)
}
