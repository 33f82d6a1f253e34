//! Who asks: citizens with accounts, sessions and tickets.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use guiche_adapter_spark::{SparkStub, StubSettings};
use guiche_app::config::GeneratedSecrets;
use guiche_app::system::{OsRandomness, SystemClock};
use guiche_kernel::{BoxError, Clock as _, Ids, Sats};
use guiche_tickets::NewInvoice;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use tokio_postgres::Client;

use crate::http;
use crate::wrk::Request;

/// Of everybody.
pub(crate) const PASSWORD: &str = "correct horse battery";
/// What is opened: the one operation that is there from the beginning, with a form that passes its checks.
const ORDER: &str = r#"{"operation_id":1,"form_data":{"cpf":"529.982.247-25","cnh_number":"02650306461","cnh_mirror":"123456789"}}"#;

/// How many citizens there are, and how many tickets each of them has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crowd {
    pub(crate) citizens: i32,
    pub(crate) tickets: i32,
}

impl Crowd {
    /// Enough, also halved, that no row is the hot one.
    pub(crate) const USUAL: Self = Self { citizens: 64, tickets: 100 };
}

/// A citizen, signed in.
#[derive(Debug, Clone)]
pub(crate) struct Citizen {
    pub(crate) id: String,
    pub(crate) email: String,
    /// The access token.
    pub(crate) token: String,
    pub(crate) tickets: Vec<String>,
}

/// Makes the citizens. The first comes by the front door, opens a ticket and so shows what the rows of the others must
/// look like; then all of them sign in.
pub(crate) async fn settle(
    server: SocketAddr,
    client: &Client,
    crowd: Crowd,
) -> Result<Vec<Citizen>, BoxError> {
    register(server, "citizen-0@example.org")?;
    http::ask(server, &order_request(&sign_in(server, "citizen-0@example.org")?))?;
    client.execute(COPY_ACCOUNT, &[&(crowd.citizens - 1)]).await?;
    client.batch_execute(&COPY_TICKETS.replace("$1", &crowd.tickets.to_string())).await?;
    client.batch_execute("VACUUM ANALYZE").await?;
    let mut citizens = Vec::new();
    for row in client.query("SELECT id::text, email FROM users ORDER BY email", &[]).await? {
        let (id, email): (String, String) = (row.get(0), row.get(1));
        let tickets = client.query("SELECT id::text FROM tickets WHERE user_id::text = $1", &[&id]).await?;
        let tickets = tickets.iter().map(|row| row.get(0)).collect();
        citizens.push(Citizen { id, token: sign_in(server, &email)?, email, tickets });
    }
    Ok(citizens)
}

/// The other accounts, with the first one's password.
const COPY_ACCOUNT: &str = "
    INSERT INTO users (id, email, email_key, password_hash, epoch, created_at, updated_at)
    SELECT md5('citizen ' || n)::uuid, new.email, new.email, u.password_hash, 0, u.created_at, u.updated_at
    FROM users u, generate_series(1, $1) n, concat('citizen-', n, '@example.org') AS new (email)";

/// Up to $1 tickets for everybody, each with an invoice, all like the one that is there. One transaction, because a ticket and
/// its invoice are only valid together. Nobody watches the copies: all at once, every minute, would be the watcher's load and
/// not the readers'.
const COPY_TICKETS: &str = "
    CREATE TEMP TABLE copies AS
    SELECT u.id AS user_id, md5('ticket ' || n || u.id)::uuid AS id, now() - n * interval '1 minute' AS moment
    FROM users u, generate_series(1, $1) n
    WHERE n > (SELECT count(*) FROM tickets t WHERE t.user_id = u.id);
    BEGIN;
    INSERT INTO tickets (
        id, user_id, operation_id, operation_name, amount_sats, form_data, status, version, created_at, updated_at, expires_at
    )
    SELECT c.id, c.user_id, t.operation_id, t.operation_name, t.amount_sats, t.form_data, t.status, t.version, c.moment,
        c.moment, c.moment + interval '1 day'
    FROM copies c, (SELECT * FROM tickets LIMIT 1) t;
    INSERT INTO invoices (
        payment_hash, ticket_id, user_id, amount_sats, ordinal, provider_invoice_id, bolt11, issued_at, expires_at, status
    )
    SELECT sha256(uuid_send(c.id)), c.id, c.user_id, i.amount_sats, 1,
        overlay(i.provider_invoice_id placing md5(c.id::text) from 1), i.bolt11, c.moment, c.moment + interval '1 day', 'open'
    FROM copies c, (SELECT * FROM invoices LIMIT 1) i;
    DELETE FROM invoice_looks l USING copies c WHERE l.ticket_id = c.id;
    COMMIT;
    DROP TABLE copies";

/// Tickets that nobody has asked about yet, with invoices that the service's stub knows as its own: everything about them
/// follows from its secret, which lies in the service's data directory.
pub(crate) async fn pending<'a>(
    data_dir: &Path,
    client: &Client,
    citizens: &'a [Citizen],
    number: u32,
) -> Result<Vec<(&'a Citizen, String)>, BoxError> {
    let secret = GeneratedSecrets::below(data_dir).get_or_create("spark-stub", &OsRandomness)?;
    let clock = Arc::new(SystemClock);
    let ids = Ids::new(clock.clone(), Arc::new(OsRandomness));
    let ledger = data_dir.join("pending.ledger");
    let stub = SparkStub::open(StubSettings { secret, ledger }, clock.clone())?.provider_view();
    let moment = clock.now();
    let (mut owned, mut owners, mut tickets) = (Vec::new(), Vec::new(), Vec::new());
    let (mut hashes, mut provider_ids, mut bolt11s) = (Vec::new(), Vec::new(), Vec::new());
    for (_, citizen) in (0..number).zip(citizens.iter().cycle()) {
        let ticket = ids.uuid();
        let request = NewInvoice {
            key: ticket,
            amount: Sats::try_new(PRICE)?,
            description: format!("Guichê driver_license_renewal {ticket}"),
            requested_at: moment,
            lifetime: LIFETIME,
        };
        let issued = stub.issue(request).await?;
        owners.push(citizen.id.clone());
        tickets.push(ticket.to_string());
        hashes.push(issued.payment_hash.to_string());
        provider_ids.push(issued.id.as_str().to_owned());
        bolt11s.push(issued.bolt11);
        owned.push((citizen, ticket.to_string()));
    }
    let (from, until) = (moment.format(&Rfc3339)?, (moment + LIFETIME).format(&Rfc3339)?);
    client
        .execute(STORE_PENDING, &[&owners, &tickets, &hashes, &provider_ids, &bolt11s, &from, &until])
        .await?;
    Ok(owned)
}

/// Of the operation, in sats.
const PRICE: u64 = 50_000;
/// Longer than any run, so that nothing runs out in it.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

const STORE_PENDING: &str = "
    WITH new AS (
        SELECT n.owner::uuid AS owner, n.id::uuid AS id, decode(n.hash, 'hex') AS hash, n.provider_id, n.bolt11,
            $6::text::timestamptz AS moment, $7::text::timestamptz AS expires_at
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS n (owner, id, hash, provider_id, bolt11)
    ), stored AS (
        INSERT INTO tickets (
            id, user_id, operation_id, operation_name, amount_sats, form_data, status, version, created_at, updated_at,
            expires_at
        )
        SELECT n.id, n.owner, t.operation_id, t.operation_name, t.amount_sats, t.form_data, 'pending', 1, n.moment, n.moment,
            n.expires_at
        FROM new n, (SELECT * FROM tickets LIMIT 1) t
    )
    INSERT INTO invoices (
        payment_hash, ticket_id, user_id, amount_sats, ordinal, provider_invoice_id, bolt11, issued_at, expires_at, status
    )
    SELECT n.hash, n.id, n.owner, t.amount_sats, 1, n.provider_id, n.bolt11, n.moment, n.expires_at, 'open'
    FROM new n, (SELECT * FROM tickets LIMIT 1) t";

fn register(server: SocketAddr, email: &str) -> Result<(), BoxError> {
    http::ask(server, &Request::post("/api/v1/auth/register", "", credentials(email))).map(drop)
}

fn sign_in(server: SocketAddr, email: &str) -> Result<String, BoxError> {
    let answer = http::ask(server, &sign_in_request(email))?;
    let answer: Value = serde_json::from_str(&answer.body)?;
    let token = answer.get("access_token").and_then(Value::as_str);
    Ok(token.ok_or("a sign-in without a token")?.to_owned())
}

/// The request by which somebody signs in.
pub(crate) fn sign_in_request(email: &str) -> Request {
    Request::post("/api/v1/auth/login", "", credentials(email))
}

fn credentials(email: &str) -> String {
    json!({ "email": email, "password": PASSWORD }).to_string()
}

/// The request by which somebody opens a ticket.
pub(crate) fn order_request(token: &str) -> Request {
    Request::post("/api/v1/tickets", token, ORDER)
}
