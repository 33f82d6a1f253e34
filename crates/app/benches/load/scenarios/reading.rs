//! What citizens read of their tickets, beside pgbench with the same SELECT under the same row-level security.

use std::time::Duration;

use guiche_kernel::BoxError;

use crate::bench::{Bench, CONNECTIONS, Pair};
use crate::pgbench::Statements;
use crate::results::Row;
use crate::wrk::Request;

/// `GET /tickets/{id}`: each citizen asks for tickets of their own, one after the other.
pub(crate) async fn get(bench: &Bench<'_>) -> Result<Vec<Row>, BoxError> {
    let most = bench.readers.iter().map(|citizen| citizen.tickets.len()).min().unwrap_or_default();
    let owned =
        (0..most).flat_map(|n| bench.readers.iter().filter_map(move |c| Some((c, c.tickets.get(n)?))));
    let requests: Vec<Request> = owned
        .map(|(owner, ticket)| Request::get(format!("/api/v1/tickets/{ticket}"), &owner.token))
        .collect();
    let pair = Pair {
        call: "get",
        requests: &requests,
        time: bench.time(),
        rest: Duration::ZERO,
        limit: "pgbench",
        goal: Some((0.5, &CONNECTIONS)),
    };
    let statements = find_statements(bench);
    bench
        .pair(&pair, async |_| {
            Ok(bench.pgbench.call("find", &bench.database, &statements, bench.time())?.rate)
        })
        .await
}

/// One for each citizen: the statement of `GET /tickets/{id}`, for one of their tickets.
pub(crate) fn find_statements(bench: &Bench<'_>) -> Statements {
    let owned = bench.readers.iter().filter_map(|citizen| Some((&citizen.id, citizen.tickets.first()?)));
    let script = |(owner, ticket)| format!("SELECT * FROM find_ticket('{owner}', 0, '{ticket}');\n");
    Statements { scripts: owned.map(script).collect(), ..Statements::default() }
}

/// `GET /tickets?limit=20`: each citizen asks for the first page of a hundred tickets.
pub(crate) async fn list(bench: &Bench<'_>) -> Result<Vec<Row>, BoxError> {
    let requests: Vec<Request> = bench
        .readers
        .iter()
        .map(|citizen| Request::get("/api/v1/tickets?limit=20", &citizen.token))
        .collect();
    let pair = Pair {
        call: "list 20",
        requests: &requests,
        time: bench.time(),
        rest: Duration::ZERO,
        limit: "pgbench",
        goal: Some((0.5, &CONNECTIONS)),
    };
    let owners = bench.readers.iter().map(|citizen| &citizen.id);
    // One row more than is shown, as the service asks.
    let script = |owner| format!("SELECT * FROM list_tickets('{owner}', 0, NULL, NULL, NULL, 0, 21);\n");
    let statements = Statements { scripts: owners.map(script).collect(), ..Statements::default() };
    bench
        .pair(&pair, async |_| {
            Ok(bench.pgbench.call("list", &bench.database, &statements, bench.time())?.rate)
        })
        .await
}
