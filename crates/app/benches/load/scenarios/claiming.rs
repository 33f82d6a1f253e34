//! Taking the looks that are due must cost the same, however many invoices there are.

use std::time::Duration;

use guiche_app::system::SystemClock;
use guiche_kernel::{BoxError, Clock as _};
use tokio_postgres::{Client, Statement};

use crate::bench::{Bench, micros};
use crate::proc;
use crate::results::{Bound, Figure, median};
use crate::seed::Unpaid;

const FEW: u32 = 1_000;
const MANY: u32 = 1_000_000;
/// A quick look has fewer.
const FEWER: u32 = 100_000;
/// The whole schedule: among the many are invoices of every age that is watched.
const OVER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How many looks are taken at a time, as the watcher does.
const BATCH: i64 = 128;
/// Claims of a measurement, and those before the first one, in which caches fill and plans settle.
const CLAIMS: u32 = 50;
const WARM_UP: u32 = 20;

pub(crate) async fn run(bench: &Bench<'_>) -> Result<Figure, BoxError> {
    let many = if bench.options.quick { FEWER } else { MANY };
    let mut few = Queue::fill(bench, "claims_of_few", FEW).await?;
    let mut all = Queue::fill(bench, "claims_of_many", many).await?;
    for queue in [&mut few, &mut all] {
        queue.claim(WARM_UP).await?;
    }
    bench.tell(format!("claims among {FEW} and among {many} invoices"));
    let (mut small, mut large) = (Vec::new(), Vec::new());
    for _ in 0..bench.options.repeat() {
        small.push(few.claim(CLAIMS).await?);
        large.push(all.claim(CLAIMS).await?);
        bench.step();
    }
    Ok(Figure {
        what: format!("claim of {BATCH} looks among {many} invoices, to that among {FEW}"),
        value: median(small.iter().zip(&large).map(|(small, large)| large / small)),
        unit: "times",
        bound: Bound::AtMost(1.5),
        detail: format!(
            "processor time of PostgreSQL: {:.2} ms and {:.2} ms",
            median(large) / 1e3,
            median(small) / 1e3
        ),
    })
}

/// A database whose looks are taken one batch after the other. Time is played: all are due, and what was taken goes to
/// the end.
struct Queue {
    client: Client,
    claim: Statement,
    put_back: Statement,
    /// The process of the server that works for this connection.
    backend: u32,
    turn: i32,
}

const BACKEND: &str = "SELECT pg_backend_pid()";
const CLAIM: &str = "
    SELECT payment_hash FROM claim_looks('2100-01-01', timestamptz '2099-01-01' + $1::int4 * interval '1 second', $2)";
const PUT_BACK: &str = "
    SELECT reschedule_looks(timestamptz '2099-01-01' + $1::int4 * interval '1 second', $2::bytea[], array_agg(
        timestamptz '2090-01-01' + ($1::int4 * 1000 + place) * interval '1 millisecond'
    ))
    FROM generate_series(1, cardinality($2::bytea[])) AS place";

impl Queue {
    async fn fill(bench: &Bench<'_>, database: &str, number: u32) -> Result<Self, BoxError> {
        bench.tell(format!("{number} unpaid invoices"));
        bench.world.database(database).await?;
        let client = bench.world.superuser(database).await?;
        Unpaid { number, over: OVER, until: SystemClock.now() }.store(&client).await?;
        // Under the login and the rules of the watcher.
        client.batch_execute("SET ROLE guiche_worker").await?;
        let backend = u32::try_from(client.query_one(BACKEND, &[]).await?.get::<_, i32>(0))?;
        let (claim, put_back) = (client.prepare(CLAIM).await?, client.prepare(PUT_BACK).await?);
        Ok(Self { client, claim, put_back, backend, turn: 0 })
    }

    /// Takes so many batches; the median of what one costs, in microseconds of processor time.
    async fn claim(&mut self, claims: u32) -> Result<f64, BoxError> {
        let mut costs = Vec::new();
        for _ in 0..claims {
            self.turn += 1;
            let before = proc::cpu_to_the_nanosecond(self.backend)?;
            let taken = self.client.query(&self.claim, &[&self.turn, &BATCH]).await?;
            costs.push(micros(proc::cpu_to_the_nanosecond(self.backend)?.saturating_sub(before)));
            if i64::try_from(taken.len())? != BATCH {
                return Err(format!("{} looks were taken, of {BATCH}", taken.len()).into());
            }
            let hashes: Vec<Vec<u8>> = taken.iter().map(|row| row.get(0)).collect();
            self.client.execute(&self.put_back, &[&self.turn, &hashes]).await?;
        }
        Ok(median(costs))
    }
}
