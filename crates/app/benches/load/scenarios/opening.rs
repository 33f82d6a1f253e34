//! `POST /tickets` without a key, beside the limit that its parts compose.
//!
//! The parts: the same function called by pgbench, one row a call; an invoice signed and checked; a bare handler that
//! answers the same bytes. Each has a price in processor time; all cores divided by their sum is a rate that nothing
//! with the same parts can exceed, however well it waits for the disk.

use std::time::Duration;

use guiche_kernel::BoxError;

use crate::bench::{Bench, Pair};
use crate::http;
use crate::limits::{self, Bare};
use crate::people;
use crate::pgbench::Statements;
use crate::results::Row;
use crate::wrk::Request;

/// Where the goal counts.
const AT: [usize; 1] = [64];

pub(crate) async fn run(bench: &Bench<'_>) -> Result<Vec<Row>, BoxError> {
    let requests: Vec<Request> =
        bench.openers.iter().map(|citizen| people::order_request(&citizen.token)).collect();
    let first = requests.first().ok_or("there are no citizens")?;
    let answer = http::ask(bench.service()?.address, first)?;
    let bare = Bare::start(bench.world.directory(), &answer)?;
    let statements = open_statements(bench).await?;
    let pair = Pair {
        call: "open ticket",
        requests: &requests,
        time: bench.time(),
        rest: Duration::ZERO,
        limit: "sum of parts",
        goal: Some((0.5, &AT)),
    };
    bench
        .pair(&pair, async |connections| {
            let call = bench.pgbench.call("open", &bench.database, &statements, bench.time())?;
            let invoice = limits::invoice_cpu(bench.world.directory()).await?;
            let (_, handler) = bench.bare(&bare, &requests, connections)?;
            let cores = f64::from(u32::try_from(bench.cores)?);
            Ok(cores / sum(&[call.cpu, invoice, handler]))
        })
        .await
}

fn sum(parts: &[Duration]) -> f64 {
    parts.iter().map(Duration::as_secs_f64).sum()
}

/// One for each citizen: the statement that stores a ticket, with what a real one holds and with ids that are new and
/// ascending, as the service makes them.
async fn open_statements(bench: &Bench<'_>) -> Result<Statements, BoxError> {
    let client = bench.world.superuser(&bench.database.name).await?;
    let newest = client.query_one(NEWEST, &[]).await?;
    let parts: Vec<String> = (0..newest.len()).map(|column| newest.get(column)).collect();
    let [operation, name, amount, form, provider_id, bolt11] =
        parts.try_into().map_err(|_| "a ticket is not as expected")?;
    let values = vec![
        ("operation", operation),
        ("name", name),
        ("amount", amount),
        ("form", form),
        ("provider_id", provider_id),
        ("bolt11", bolt11),
    ];
    let scripts =
        bench.openers.iter().map(|citizen| OPEN.replace("$owner", &format!("'{}'", citizen.id))).collect();
    Ok(Statements { scripts, values })
}

const NEWEST: &str = "
    SELECT t.operation_id::text, t.operation_name, t.amount_sats::text, t.form_data::text, i.provider_invoice_id::text,
        i.bolt11::text
    FROM tickets t JOIN invoices i ON i.ticket_id = t.id
    ORDER BY t.created_at DESC LIMIT 1";

/// Ids as in UUIDv7: the time in milliseconds, then chance.
const OPEN: &str = "SELECT opened.* FROM (
    SELECT encode(overlay(uuid_send(gen_random_uuid()) placing
        substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1), 'hex')::uuid AS id,
        gen_random_uuid() AS chance, clock_timestamp() AS moment OFFSET 0
) new, open_ticket(
    $owner, 0, new.id, $owner, :operation, :name, :amount, :form, new.moment, new.moment,
    sha256(uuid_send(new.chance)), overlay(:provider_id::text placing new.chance::text from 10), :bolt11, new.moment,
    new.moment + interval '15 minutes', ARRAY[new.chance], ARRAY['ticket.opened'], ARRAY[new.moment], ARRAY['pending'],
    ARRAY[1], ARRAY[sha256(uuid_send(new.chance))], NULL, NULL, NULL
) opened;
";
