//! Two processes must get more done than one, where what takes time is the way to others: settling payments of a far
//! provider, and telling far endpoints.

use std::time::{Duration, Instant};

use guiche_app::system::SystemClock;
use guiche_kernel::{BoxError, Clock as _};
use tokio_postgres::Client;

use super::rotation::Key;
use crate::bench::{Bench, WARM_UP};
use crate::provider::Provider;
use crate::receiver::Receiver;
use crate::results::{Bound, Figure, median};
use crate::seed::{Unpaid, write_ledger};
use crate::world::{Database, Service};

const DATABASE: &str = "replicas";
/// Of the provider, and of every endpoint.
const LATENCY: Duration = Duration::from_millis(50);
/// One look in so many finds money; with more, it is the processors that limit.
const PAID_EVERY: usize = 10;
/// No process makes more looks, or deliveries, in a second: 64 and 16 at once, at this latency.
const LOOKS_A_SECOND: u32 = 1_280;
const DELIVERIES_A_SECOND: u32 = 320;
/// None of them is given more than four at once, whoever sends; so many leave room for two processes.
const ENDPOINTS: u32 = 16;
/// Starts, warming up and ends, in which work is done that is not counted.
const MARGIN: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(crate) async fn run(bench: &Bench<'_>) -> Result<Vec<Figure>, BoxError> {
    let mut office = Office::open(bench).await?;
    let settled = office.in_turns("payments settled by", Work::Settling).await?;
    office.add_endpoints()?;
    let delivered = office.in_turns("events delivered by", Work::Telling).await?;
    Ok(vec![settled, delivered])
}

#[derive(Clone, Copy)]
enum Work {
    Settling,
    Telling,
}

/// A database with work for many processes.
struct Office<'a> {
    bench: &'a Bench<'a>,
    database: Database,
    client: Client,
    _provider: Provider,
    receiver: Receiver,
    settings: Vec<(&'static str, String)>,
    /// How many of the unpaid invoices were handed out.
    used: i64,
}

impl<'a> Office<'a> {
    async fn open(bench: &'a Bench<'a>) -> Result<Self, BoxError> {
        // One and two processes, each time.
        let number = LOOKS_A_SECOND * 3 * bench.options.repeat() * (bench.options.seconds() + MARGIN);
        bench.tell(format!("{number} unpaid invoices"));
        let database = bench.world.database(DATABASE).await?;
        let client = bench.world.superuser(DATABASE).await?;
        let unpaid = Unpaid { number, over: Duration::from_secs(1), until: SystemClock.now() };
        unpaid.store(&client).await?;
        client.batch_execute(TAKE_BACK).await?;
        let ledger = bench.world.directory().join("replicas.ledger");
        let now = SystemClock.now();
        write_ledger(&client, &ledger, |place| place.is_multiple_of(PAID_EVERY).then_some(now)).await?;
        let provider = Provider::start(Some(ledger)).await?;
        provider.answer_after(LATENCY)?;
        let mut settings = provider.settings();
        // A key that all of them have: each would make one of its own.
        settings.push(("SERVICE_ENCRYPTION_KEYS", Key::make("a").setting()));
        settings.push(("WEBHOOKS_ALLOW_PRIVATE", "127.0.0.0/8".to_owned()));
        let receiver = Receiver::start(LATENCY).await?;
        Ok(Self { bench, database, client, _provider: provider, receiver, settings, used: 0 })
    }

    /// Somebody to be told of everything from now on.
    fn add_endpoints(&self) -> Result<(), BoxError> {
        for number in 0..ENDPOINTS {
            let url = format!("http://{}/{number}", self.receiver.address);
            let mut add = self.bench.world.on(&self.database);
            add.args(["webhooks", "add", "--url", &url]).envs(self.settings.iter().cloned());
            let added = add.output()?;
            if !added.status.success() {
                let complaint = String::from_utf8_lossy(&added.stderr);
                return Err(format!("guiche webhooks add: {complaint}").into());
            }
        }
        Ok(())
    }

    /// What one process does in a second, and what two do, in turns.
    async fn in_turns(&mut self, what: &str, work: Work) -> Result<Figure, BoxError> {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        for _ in 0..self.bench.options.repeat() {
            self.bench.tell(format!("{what} one process"));
            one.push(self.rate(work, 1).await?);
            self.bench.tell(format!("{what} two processes"));
            two.push(self.rate(work, 2).await?);
            self.bench.step();
        }
        let detail = format!(
            "{:.0} and {:.0} a second; whoever is asked or told answers after {} ms",
            median(two.iter().copied()),
            median(one.iter().copied()),
            LATENCY.as_millis()
        );
        Ok(Figure {
            what: format!("{what} two processes, to those by one"),
            value: median(one.iter().zip(&two).map(|(one, two)| two / one)),
            unit: "times",
            bound: Bound::AtLeast(1.5),
            detail,
        })
    }

    /// What so many processes do in a second.
    async fn rate(&mut self, work: Work, processes: u32) -> Result<f64, BoxError> {
        self.hand_out(work, processes).await?;
        let begun = self.done(work).await?;
        let services: Vec<Service> = (0..processes)
            .map(|number| {
                let name = format!("{DATABASE}-{number}");
                self.bench.world.serve_as(&name, &self.database, &self.settings)
            })
            .collect::<Result<_, _>>()?;
        let started = Instant::now();
        while self.done(work).await? == begun {
            if started.elapsed() > PATIENCE {
                return Err("nothing is done".into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        tokio::time::sleep(WARM_UP).await;
        let (before, from) = (self.done(work).await?, Instant::now());
        tokio::time::sleep(self.bench.time()).await;
        let (after, time) = (self.done(work).await?, from.elapsed());
        services.into_iter().try_for_each(Service::stop)?;
        self.client.batch_execute(TAKE_BACK).await?;
        Ok(f64::from(after - before) / time.as_secs_f64())
    }

    /// As much work as so many processes can do at the most.
    async fn hand_out(&mut self, work: Work, processes: u32) -> Result<(), BoxError> {
        let seconds = self.bench.options.seconds() + MARGIN;
        match work {
            Work::Settling => {
                let number = i64::from(LOOKS_A_SECOND * processes * seconds);
                self.client.execute(DUE, &[&self.used, &number]).await?;
                self.used += number;
            }
            Work::Telling => {
                let number = i64::from((DELIVERIES_A_SECOND * processes * seconds).div_ceil(ENDPOINTS));
                self.client.execute(UNTOLD, &[&number]).await?;
            }
        }
        Ok(())
    }

    /// How much is done by now.
    async fn done(&self, work: Work) -> Result<u32, BoxError> {
        match work {
            Work::Settling => Ok(u32::try_from(self.client.query_one(SETTLED, &[]).await?.get::<_, i64>(0))?),
            Work::Telling => Ok(self.receiver.taken()),
        }
    }
}

const DUE: &str = "
    UPDATE invoice_looks l SET due_at = l.issued_at
    FROM (SELECT payment_hash FROM invoices ORDER BY issued_at OFFSET $1 LIMIT $2) slice
    WHERE l.payment_hash = slice.payment_hash";
const UNTOLD: &str = "
    UPDATE outbox SET fanned_out = false WHERE id IN (SELECT id FROM outbox ORDER BY position LIMIT $1)";
const SETTLED: &str = "SELECT count(*) FROM outbox WHERE kind = 'ticket.paid'";
const TAKE_BACK: &str = "
    UPDATE invoice_looks SET due_at = 'infinity', leased_until = NULL WHERE due_at <> 'infinity';
    DELETE FROM webhook_deliveries;
    UPDATE outbox SET fanned_out = true WHERE NOT fanned_out";
