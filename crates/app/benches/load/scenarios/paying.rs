//! `POST /tickets/{id}/confirm-payment`: the payer asks, and nothing has been paid yet. That is what a payer's page asks
//! over and over; the stub finds an invoice paid at the third look, so each ticket is asked about twice at the most.

use std::time::Duration;

use guiche_kernel::BoxError;

use super::reading;
use crate::bench::{Bench, CONNECTIONS, Pair, WARM_UP};
use crate::people;
use crate::results::Row;
use crate::wrk::{Play, Request};

/// Looks at an invoice that find it unpaid.
const LOOKS: f64 = 2.0;
/// Tickets for the first second, whose rate nobody knows.
const FIRST: u32 = 8_000;
/// How much the rate may rise from one measurement to the next.
const RESERVE: f64 = 2.0;

pub(crate) async fn confirm(bench: &Bench<'_>, notes: &mut Vec<String>) -> Result<Vec<Row>, BoxError> {
    let statements = reading::find_statements(bench);
    let mut rows = Vec::new();
    for connections in CONNECTIONS {
        bench.tell(format!("confirm, {connections} connections"));
        let first =
            bench.play("confirm", &questions(bench, FIRST).await?, Play::flat_out(connections, WARM_UP))?;
        let needed = first.rate() * bench.time().as_secs_f64() * RESERVE / LOOKS;
        let (mut measured, mut limits) = (Vec::new(), Vec::new());
        for _ in 0..bench.options.repeat() {
            let requests = questions(bench, whole(needed)).await?;
            measured.push(bench.measure("confirm", &requests, Play::flat_out(connections, bench.time()))?);
            limits.push(bench.pgbench.call("find", &bench.database, &statements, bench.time())?.rate);
            bench.step();
        }
        let pair = Pair {
            call: "confirm",
            requests: &[],
            time: bench.time(),
            rest: Duration::ZERO,
            limit: "pgbench, find",
            goal: None,
        };
        rows.push(Row::of(&pair, connections, &measured, &limits, bench.resident()?));
    }
    let client = bench.world.superuser(&bench.database.name).await?;
    let paid: i64 =
        client.query_one("SELECT count(*) FROM tickets WHERE paid_at IS NOT NULL", &[]).await?.get(0);
    if paid > 0 {
        notes.push(format!(
            "confirm: {paid} of the questions found a payment and settled it, which costs more."
        ));
    }
    Ok(rows)
}

async fn questions(bench: &Bench<'_>, tickets: u32) -> Result<Vec<Request>, BoxError> {
    let client = bench.world.superuser(&bench.database.name).await?;
    let home = bench.world.home_of(&bench.database);
    let pending = people::pending(&home, &client, &bench.openers, tickets).await?;
    Ok(pending
        .iter()
        .map(|(owner, ticket)| {
            Request::post(format!("/api/v1/tickets/{ticket}/confirm-payment"), &owner.token, "")
        })
        .collect())
}

/// The next whole number above, within reason.
fn whole(number: f64) -> u32 {
    (1..=1_000_000).find(|whole| f64::from(*whole) >= number).unwrap_or(1_000_000)
}
