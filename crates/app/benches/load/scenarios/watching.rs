//! The watcher must keep its schedule over very many open invoices, at a cost that nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use guiche_app::system::SystemClock;
use guiche_kernel::{BoxError, Clock as _, Timestamp};
use tokio_postgres::Client;

use crate::bench::{Bench, micros};
use crate::proc;
use crate::provider::Provider;
use crate::results::{Bound, Figure, median};
use crate::seed::{LIFETIME, Unpaid, write_ledger};
use crate::world::Service;

const INVOICES: u32 = 100_000;
/// A quick look has fewer.
const FEWER: u32 = 20_000;
const DATABASE: &str = "watch";
/// Until everything stands: the first look is due then, and not before.
const HEAD_START: Duration = Duration::from_secs(30);
/// From the first look that is due to the first measurement.
const SETTLING: Duration = Duration::from_secs(3);
/// A measurement is so many times as long as others: processor time is told in hundredths of a second.
const LONGER: u32 = 2;
const SAMPLE_EVERY: Duration = Duration::from_millis(100);

pub(crate) async fn run(bench: &Bench<'_>) -> Result<Vec<Figure>, BoxError> {
    let number = if bench.options.quick { FEWER } else { INVOICES };
    bench.tell(format!("{number} open invoices"));
    let database = bench.world.database(DATABASE).await?;
    let client = bench.world.superuser(DATABASE).await?;
    let unpaid = Unpaid { number, over: LIFETIME, until: SystemClock.now() + HEAD_START };
    unpaid.store(&client).await?;
    let ledger = bench.world.directory().join("watch.ledger");
    write_ledger(&client, &ledger, |_| None).await?;
    let provider = Provider::start(Some(ledger)).await?;
    let service = bench.world.serve_as(DATABASE, &database, &provider.settings())?;
    bench.tell(format!("the watcher over {number} open invoices"));
    let left = unpaid.until + SETTLING - SystemClock.now();
    tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
    let mut measured = Vec::new();
    for _ in 0..bench.options.repeat() {
        let lookout = Lookout::begin(bench.world.superuser(DATABASE).await?);
        measured.push(Measured::take(&provider, &service, bench.time() * LONGER).await?);
        measured.last_mut().ok_or("nothing was measured")?.late = lookout.end().await?;
        bench.step();
    }
    let resident = proc::memory(service.pid())?;
    service.stop()?;
    Ok(figures(&unpaid, &measured, resident))
}

/// One measurement.
struct Measured {
    from: Timestamp,
    until: Timestamp,
    cpu: Duration,
    looks: f64,
    /// Seconds.
    late: f64,
}

impl Measured {
    async fn take(provider: &Provider, service: &Service, time: Duration) -> Result<Self, BoxError> {
        let (from, before, asked) = (SystemClock.now(), proc::cpu(service.pid())?, provider.questions());
        tokio::time::sleep(time).await;
        let (until, after) = (SystemClock.now(), proc::cpu(service.pid())?);
        let looks = f64::from(u32::try_from(provider.questions() - asked)?);
        Ok(Self { from, until, cpu: after.saturating_sub(before), looks, late: 0.0 })
    }

    fn seconds(&self) -> f64 {
        (self.until - self.from).as_seconds_f64()
    }
}

/// Looks again and again how long the oldest look that nobody has taken is due.
struct Lookout {
    over: Arc<AtomicBool>,
    worst: tokio::task::JoinHandle<Result<f64, tokio_postgres::Error>>,
}

impl Lookout {
    fn begin(client: Client) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let worst = tokio::spawn(async move {
            let mut worst: f64 = 0.0;
            while !told.load(Ordering::Relaxed) {
                worst = worst.max(client.query_one(OLDEST, &[]).await?.get(0));
                tokio::time::sleep(SAMPLE_EVERY).await;
            }
            Ok(worst)
        });
        Self { over, worst }
    }

    /// The longest, in seconds.
    async fn end(self) -> Result<f64, BoxError> {
        self.over.store(true, Ordering::Relaxed);
        Ok(self.worst.await??)
    }
}

const OLDEST: &str = "
    SELECT greatest(0, extract(epoch FROM clock_timestamp() - greatest(due_at, leased_until)))::float8
    FROM invoice_looks WHERE leased_until IS NULL OR leased_until <= clock_timestamp() ORDER BY due_at LIMIT 1";

fn figures(unpaid: &Unpaid, measured: &[Measured], resident: proc::Memory) -> Vec<Figure> {
    let over = |value: &dyn Fn(&Measured) -> f64| median(measured.iter().map(value));
    let due = over(&|measured| unpaid.looks_a_second(measured.from, measured.until));
    let rate = over(&|measured| measured.looks / measured.seconds());
    let each = over(&|measured| micros(measured.cpu) / measured.looks);
    let number = unpaid.number;
    // The bounds are for the full number.
    let part = f64::from(number) / f64::from(INVOICES);
    vec![
        Figure {
            what: format!("the watcher's share of one core, {number} open invoices"),
            value: over(&|measured| 100.0 * measured.cpu.as_secs_f64() / measured.seconds()),
            unit: "%",
            bound: Bound::AtMost(20.0 * part),
            detail: format!("{rate:.0} looks/s, each {each:.0} µs; the schedule has {due:.0}/s"),
        },
        Figure {
            what: format!("how late the watcher is at the most, {number} open invoices"),
            value: over(&|measured| measured.late),
            unit: "s",
            bound: Bound::AtMost(1.0),
            detail: "the oldest look that is due and not taken, ten times a second".to_owned(),
        },
        Figure {
            what: format!("resident memory, {number} open invoices"),
            value: resident.resident,
            unit: "MB",
            bound: Bound::AtMost(100.0),
            detail: format!("{:.1} MB at the most", resident.peak),
        },
    ]
}
