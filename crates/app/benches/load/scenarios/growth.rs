//! A citizen's page must not cost more because others have tickets too.

use guiche_kernel::BoxError;
use tokio_postgres::Client;

use crate::bench::{Bench, WARM_UP};
use crate::people::{self, Crowd};
use crate::results::{Bound, Figure, median};
use crate::world::Service;
use crate::wrk::{Play, Request};

/// The citizen whose page it is.
const ONE: Crowd = Crowd { citizens: 1, tickets: 100 };
/// Everybody.
const MANY: Crowd = Crowd { citizens: 10_000, tickets: 100 };
/// A quick look grows less.
const FEWER: Crowd = Crowd { citizens: 1_000, tickets: 100 };

pub(crate) async fn run(bench: &Bench<'_>) -> Result<Figure, BoxError> {
    let crowd = if bench.options.quick { FEWER } else { MANY };
    let total = crowd.citizens * crowd.tickets;
    let (small, page_of_small) = office(bench, "small", ONE).await?;
    bench.tell(format!("{total} tickets"));
    let (grown, page_of_grown) = office(bench, "grown", crowd).await?;
    let ask = |service: &Service, page: &Request, time| {
        let seen =
            bench.wrk.play("growth", service.address, std::slice::from_ref(page), Play::flat_out(1, time))?;
        Ok::<_, BoxError>(seen.p50_us / 1e3)
    };
    for (service, page) in [(&small, &page_of_small), (&grown, &page_of_grown)] {
        ask(service, page, WARM_UP)?;
    }
    bench.tell(format!("a page among 100 and among {total} tickets"));
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for _ in 0..bench.options.repeat() {
        before.push(ask(&small, &page_of_small, bench.time())?);
        after.push(ask(&grown, &page_of_grown, bench.time())?);
        bench.step();
    }
    small.stop()?;
    grown.stop()?;
    Ok(Figure {
        what: format!("p50 of a page among {total} tickets, to that among 100"),
        value: median(before.iter().zip(&after).map(|(before, after)| after / before)),
        unit: "times",
        bound: Bound::AtMost(1.3),
        detail: format!("one connection: {:.3} ms and {:.3} ms", median(before), median(after)),
    })
}

/// A service on a database of its own, and the request for the first citizen's page.
async fn office(bench: &Bench<'_>, name: &str, crowd: Crowd) -> Result<(Service, Request), BoxError> {
    let database = bench.world.database(name).await?;
    let service = bench.world.serve(&database)?;
    let client = bench.world.superuser(name).await?;
    let citizens = people::settle(service.address, &client, ONE).await?;
    let first = citizens.first().ok_or("there is no citizen")?;
    grow(&client, crowd).await?;
    Ok((service, Request::get("/api/v1/tickets?limit=20", &first.token)))
}

/// Adds citizens with their tickets, in the order of their moments, as life mixes them. Without invoices, which lists do
/// not read; as a replica, because a ticket without an invoice is refused otherwise.
async fn grow(client: &Client, crowd: Crowd) -> Result<(), BoxError> {
    let grow = GROW
        .replace("$others", &(crowd.citizens - ONE.citizens).to_string())
        .replace("$tickets", &crowd.tickets.to_string());
    // One by one: several statements at once are one transaction, in which nothing can be vacuumed.
    for statement in [&grow, "VACUUM ANALYZE", "CHECKPOINT"] {
        client.batch_execute(statement).await?;
    }
    Ok(())
}

const GROW: &str = "
    SET synchronous_commit = off;
    SET session_replication_role = replica;
    INSERT INTO users (id, email, email_key, password_hash, epoch, created_at, updated_at)
    SELECT md5('other ' || n)::uuid, concat('other-', n, '@example.org'), concat('other-', n, '@example.org'),
        u.password_hash, 0, u.created_at, u.updated_at
    FROM (SELECT * FROM users LIMIT 1) u, generate_series(1, $others) n;
    INSERT INTO tickets (
        id, user_id, operation_id, operation_name, amount_sats, form_data, status, version, created_at, updated_at, expires_at
    )
    SELECT md5(concat('other ', n, ' ', turn))::uuid, md5('other ' || n)::uuid, t.operation_id, t.operation_name,
        t.amount_sats, t.form_data, t.status, t.version, moment, moment, moment + interval '1 day'
    FROM (SELECT * FROM tickets LIMIT 1) t, generate_series(1, $tickets) turn, generate_series(1, $others) n,
        LATERAL (SELECT now() - turn * interval '1 minute' + n * interval '1 millisecond') AS at (moment);
    RESET session_replication_role;
    RESET synchronous_commit";
